use proptest::{collection::btree_map, option, prelude::*};

use super::*;

const OWN: &str = "82891c06-f4b2-4bee-86ee-88cf83482d14";

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// A group as Neutron keeps it: it refuses what is there already.
struct Neutron {
    group: Group,
    made: u32,
}

impl Neutron {
    /// As a group is made: everything may go out.
    fn new() -> Self {
        let mut neutron =
            Self { group: Group { id: OWN.into(), description: None, security_group_rules: Vec::new() }, made: 0 };
        neutron.add(&everything(true), &BTreeSet::new());
        neutron.add(&everything(false), &BTreeSet::new());
        neutron
    }

    fn add(&mut self, wanted: &Content, names: &BTreeSet<Name>) {
        let rules = &mut self.group.security_group_rules;
        assert!(!rules.iter().any(|rule| content(rule).as_ref() == Some(wanted)), "{wanted:?} is there already");
        self.made += 1;
        let mut rule = body(OWN, wanted, names);
        rule["id"] = format!("{:08x}-0000", self.made).into();
        rules.push(serde_json::from_value(rule).expect("a rule"));
    }

    fn remove(&mut self, id: &str) {
        self.group.security_group_rules.retain(|rule| &*rule.id != id);
    }

    /// Carries out the steps; what must hold in between is looked at in between.
    fn apply(&mut self, wanted: &Wanted) {
        let before: BTreeSet<Content> = self.contents();
        let steps = steps(&self.group.security_group_rules, wanted);
        for (content, names) in &steps.add {
            self.add(content, names);
        }
        assert!(self.contents().is_superset(&before), "something was closed before all was open");
        for (id, content, names) in &steps.rename {
            self.remove(id);
            self.add(content, names);
        }
        for id in &steps.remove {
            self.remove(id);
        }
    }

    fn contents(&self) -> BTreeSet<Content> {
        self.group.security_group_rules.iter().filter_map(content).collect()
    }
}

fn group_of(name: &Name) -> Option<Text> {
    Some(if name.as_str() == "front" { OWN.into() } else { format!("group-{name}").into() })
}

fn network_of(group: &str) -> Option<Name> {
    if group == OWN { Some(name("front")) } else { Name::new(group.strip_prefix("group-")?).ok() }
}

fn rule() -> impl Strategy<Value = Rule> {
    let peer = prop_oneof![
        Just(Peer::Any),
        prop_oneof![Just("10.0.0.0/8"), Just("192.168.7.0/24")].prop_map(|r| Peer::Range(r.parse().expect("a range"))),
        prop_oneof![Just("front"), Just("back")].prop_map(|n| Peer::Network(name(n))),
    ];
    let ports = option::of((1..4u16, 0..3u16)).prop_map(|p| p.map(|(first, n)| Ports { first, last: first + n }));
    let protocol = prop_oneof![Just(Protocol::Any), Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Icmp)];
    (peer, protocol, ports).prop_map(|(peer, protocol, ports)| {
        let ports = ports.filter(|_| matches!(protocol, Protocol::Tcp | Protocol::Udp));
        Rule { peer, protocol, ports }
    })
}

fn spec() -> impl Strategy<Value = NetworkSpec> {
    let rules = || btree_map("[a-d]".prop_map(|text| name(&text)), rule(), 0..4);
    (rules(), rules()).prop_map(|(ingress, egress)| {
        let mut spec = NetworkSpec::new("10.1.0.0/24".parse().expect("a range"));
        (spec.ingress, spec.egress) = (ingress, egress);
        spec
    })
}

proptest! {
    #[test]
    fn what_is_asked_for_is_what_is_seen_and_asking_again_does_nothing(before in spec(), after in spec()) {
        let mut neutron = Neutron::new();
        for spec in [&before, &after] {
            let wanted = wanted(spec, true, &OWN.into(), group_of);
            neutron.apply(&wanted);
            let seen = seen(Some(&neutron.group), true, &name("front"), network_of);
            prop_assert_eq!(&seen, &(spec.ingress.clone(), spec.egress.clone()));
            prop_assert_eq!(steps(&neutron.group.security_group_rules, &wanted), Steps::default());
        }
    }

    #[test]
    fn what_others_change_shows_and_an_update_ends_it(spec in spec(), stranger in rule(), out in any::<bool>(), lost in any::<prop::sample::Index>()) {
        let mut neutron = Neutron::new();
        let wanted = wanted(&spec, true, &OWN.into(), group_of);
        neutron.apply(&wanted);
        let lost = neutron.group.security_group_rules[lost.index(neutron.group.security_group_rules.len())].clone();
        neutron.remove(&lost.id);
        let v6_egress = content(&lost) == Some(everything(false));
        let declared = (spec.ingress.clone(), spec.egress.clone());
        let seen_of = |neutron: &Neutron| seen(Some(&neutron.group), true, &name("front"), network_of);
        prop_assert!(v6_egress || seen_of(&neutron) != declared, "{lost:?} is missed by nobody");
        neutron.apply(&wanted);
        prop_assert_eq!(seen_of(&neutron), declared.clone());

        let (range, ports) = ("203.0.113.0/24".parse().expect("a range"), stranger.ports);
        let foreign = Content { out, v4: true, protocol: stranger.protocol, ports, peer: End::Range(range) };
        neutron.add(&foreign, &BTreeSet::new());
        prop_assert_ne!(seen_of(&neutron), declared.clone());
        neutron.apply(&wanted);
        prop_assert_eq!(seen_of(&neutron), declared);
    }
}

#[test]
fn what_no_rule_of_ours_can_say_shows_too() {
    let mut neutron = Neutron::new();
    let spec = NetworkSpec::new("10.1.0.0/24".parse().expect("a range"));
    neutron.apply(&wanted(&spec, true, &OWN.into(), group_of));
    let odd = serde_json::json!({
        "id": "9E3F0001-2222", "direction": "ingress", "ethertype": "IPv4", "protocol": "vrrp",
        "remote_group_id": "ffeeddcc-0000", "description": "set by hand",
    });
    neutron.group.security_group_rules.push(serde_json::from_value(odd).expect("a rule"));
    let (ingress, egress) = seen(Some(&neutron.group), true, &name("front"), network_of);
    let shown: Vec<String> = ingress.iter().map(|(name, rule)| format!("{name}: {rule}")).collect();
    assert_eq!(shown, ["other-9e3f0001: any network/other-ffeeddcc"]);
    assert!(egress.is_empty());
}

#[test]
fn a_network_without_its_group_differs_from_what_was_asked_for() {
    let (ingress, _) = seen(None, true, &name("front"), network_of);
    assert_eq!(ingress.keys().map(Name::as_str).collect::<Vec<_>>(), ["members-missing"]);
}

#[test]
fn a_rule_for_all_addresses_is_one_for_anybody() {
    let mut neutron = Neutron::new();
    let mut spec = NetworkSpec::new("10.1.0.0/24".parse().expect("a range"));
    let rule = |peer| Rule { peer, protocol: Protocol::Tcp, ports: Some(Ports { first: 443, last: 443 }) };
    spec.ingress.insert(name("web"), rule(Peer::Any));
    spec.ingress.insert(name("all"), rule(Peer::Range("0.0.0.0/0".parse().expect("a range"))));
    let all = wanted(&spec, true, &OWN.into(), group_of);
    assert_eq!(all.len(), 4, "members, what goes out, and one for both names: {all:?}");
    neutron.apply(&all);
    // As an older version of ours, or somebody else, made it.
    for rule in neutron.group.security_group_rules.iter_mut().filter(|rule| rule.port_range_min.is_some()) {
        rule.remote_ip_prefix = Some("0.0.0.0/0".into());
    }
    assert_eq!(steps(&neutron.group.security_group_rules, &all), Steps::default());
    let (ingress, _) = seen(Some(&neutron.group), true, &name("front"), network_of);
    assert!(ingress.values().all(|rule| rule.peer == Peer::Any) && ingress.len() == 2, "{ingress:?}");
}
