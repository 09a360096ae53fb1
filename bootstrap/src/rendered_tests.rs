use super::*;
use pool_inventory::{TimeSpan, desired::FileSpec};

#[derive(Debug, thiserror::Error)]
#[error("undefined variable `x`")]
struct Undefined;

fn file(source: FileSource) -> FileSpec {
    FileSpec { source, mode: FileMode(0o644), owner: None, group: None }
}

fn check(change: impl FnOnce(&mut BootstrapSpec)) -> Option<String> {
    let mut spec = BootstrapSpec::default();
    change(&mut spec);
    render(&spec, &|_| Ok::<_, Undefined>(String::new())).err().map(|error| error.to_string())
}

#[test]
fn templates_are_rendered_and_plain_content_stays() {
    let mut spec = BootstrapSpec::default();
    let template = TemplateSource { path: "motd.tera".into(), text: "hi".into(), pools: BTreeSet::new() };
    spec.files.insert("/etc/motd".into(), file(FileSource::Template(template)));
    spec.files.insert("/etc/issue".into(), file(FileSource::Content("{{ plain }}".into())));
    let rendered = render(&spec, &|t| Ok::<_, Undefined>(format!("{}!", t.text))).unwrap();
    assert_eq!(&*rendered.files["/etc/motd"].content, "hi!");
    assert_eq!(&*rendered.files["/etc/issue"].content, "{{ plain }}");
    let error = render(&spec, &|_| Err(Undefined)).unwrap_err();
    assert_eq!(error.to_string(), "the template of /etc/motd cannot be rendered");
}

#[test]
fn what_no_host_can_do_is_refused() {
    let content = || file(FileSource::Content("".into()));
    let directory = DirectorySpec { mode: FileMode(0o755), owner: None, group: None };
    let script = |check: &str| ScriptSpec { check: check.into(), run: "".into(), timeout: TimeSpan::secs(1) };
    for package in ["-y", "Chrony", "a b", "chrony;reboot", "", "chrony:"] {
        assert!(check(|s| _ = s.packages.insert(package.into())).is_some(), "{package}");
    }
    for package in ["chrony", "g++", "libc6:amd64", "0ad"] {
        assert_eq!(check(|s| _ = s.packages.insert(package.into())), None);
    }
    for path in ["motd", "/etc/../x", "/etc//x", "/etc/", "/a\0b", "/"] {
        assert!(check(|s| drop(s.files.insert(path.into(), content()))).is_some(), "{path}");
    }
    let odd = "/srv/it's $(odd)\n—名";
    assert_eq!(check(|s| drop(s.files.insert(odd.into(), content()))), None);
    let twice = check(|s| {
        s.files.insert("/srv/a".into(), content());
        s.directories.insert("/srv/a".into(), directory.clone());
    });
    assert_eq!(twice.unwrap(), "file /srv/a: declared as a directory as well");
    assert!(check(|s| _ = s.services.insert("-x".into(), ServiceSpec { enabled: true, running: true })).is_some());
    assert!(check(|s| drop(s.sysctl.insert("../../etc/passwd".into(), "1".into()))).is_some());
    assert!(check(|s| drop(s.sysctl.insert("vm.swappiness".into(), "1\n2".into()))).is_some());
    assert!(check(|s| drop(s.scripts.insert(Name::new("a").unwrap(), script("a\0b")))).is_some());
    let user = UserSpec { authorized_keys: vec!["ssh-ed25519 A\nssh-ed25519 B".into()], ..Default::default() };
    assert!(check(|s| drop(s.users.insert(Name::new("a").unwrap(), user))).is_some());
}
