use super::*;
use crate::{object::Endpoint, source::FileId};

const FILE: FileId = FileId(0);

fn message(text: &str) -> String {
    check(FILE, text).map_or_else(|d| d.message, |info| format!("fine, {:?}", info.pools))
}

#[test]
fn what_a_template_mentions_is_known_before_it_is_rendered() {
    let info =
        check(FILE, "{% for h in hosts.db %}{{ h.address }}{% endfor %}{{ hosts[\"my-web\"] | length }}{{ var.n }}")
            .expect("well formed");
    assert_eq!(format!("{:?}", info.pools), "{`db`, `my-web`}");
    assert_eq!(&*info.variables[0].0, "n");
}

#[test]
fn wrong_templates_are_refused_when_the_inventory_is_read() {
    for (text, wanted) in [
        ("{{ self.name", "template: "),
        ("{{ nme }}", "unknown name `nme`"),
        ("{{ self.nme }}", "unknown field `self.nme`"),
        ("{{ hosts }}", "`hosts` without"),
        ("{% for p, h in hosts %}{% endfor %}", "`hosts` without"),
        ("{{ hosts[var.x] }}", "`hosts` without"),
        ("{{ hosts.Web }}", "`hosts.Web`"),
        ("{% set hosts = 1 %}", "`hosts` is taken"),
        ("{{ 1 | nofilter }}", "template: "),
        ("{% include \"x\" %}", "template: "),
        ("{% extends \"x\" %}", "template: "),
    ] {
        let said = message(text);
        assert!(said.starts_with(wanted), "{text}: {said}");
    }
}

fn context(shared: &SharedContext) -> TemplateContext {
    let labels = BTreeMap::from([("team".into(), "a<b".into())]);
    let host = SelfHost {
        name: "web-1",
        address: "192.0.2.1",
        pool: "web",
        tenant: "default",
        environment: "dev",
        labels: &labels,
    };
    TemplateContext::new(shared, &host)
}

fn render_text(text: &str) -> Result<String, TemplateError> {
    let host = |name: &str, at: Option<&str>| KnownHost {
        name: name.into(),
        endpoint: at.map(|host| Endpoint { host: host.into(), port: 22, host_keys: Vec::new() }),
        labels: BTreeMap::new(),
    };
    let hosts =
        BTreeMap::from([(Name::new("db").expect("a name"), vec![host("db-0", Some("192.0.2.2")), host("db-1", None)])]);
    let variables = BTreeMap::from([("n".into(), Scalar::Int(2)), ("on".into(), Scalar::Bool(true))]);
    let source = TemplateSource { path: "motd.tera".into(), text: text.into(), pools: BTreeSet::new() };
    render(&source, &context(&SharedContext::new(&variables, &hosts)))
}

#[test]
fn everything_promised_can_be_seen() {
    let text = "{{ self.name }} {{ self.address }} {{ self.pool }} {{ self.tenant }} {{ self.environment }} \
                {{ self.labels.team }} {{ var.n + 1 }} {% if var.on %}on{% endif %} {{ hosts.db[0].address }} \
                {% for h in hosts.db %}{{ h.name }},{% endfor %}";
    let wanted = "web-1 192.0.2.1 web default dev a<b 3 on 192.0.2.2 db-0,db-1,";
    assert_eq!(render_text(text).as_deref(), Ok(wanted));
}

#[test]
fn what_is_undefined_is_an_error_with_its_place() {
    let error = render_text("a\n{{ self.labels.tem }}").expect_err("undefined");
    assert_eq!((error.line, &*error.path), (2, "motd.tera"));
    assert!(error.to_string().starts_with("motd.tera:2:"), "{error}");
    assert!(render_text("{{ hosts.db[1].address }}").is_err(), "an address that is not known yet");
    assert!(render_text("{{ var.m }}").is_err());
    assert_eq!(render_text("{% if self.labels.x %}a{% else %}b{% endif %}").as_deref(), Ok("b"), "asking is no use");
}
