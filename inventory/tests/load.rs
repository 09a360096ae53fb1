//! What `load` gives besides the inventory itself: sources, warnings, environments, problems as JSON.

use std::{fs, path::Path};

use pool_inventory::{environments, load};

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("below the root")).expect("made");
    fs::write(path, text).expect("written");
}

const POOLS: &str = "\
providers: { cloud: { type: sim } }
pools:
  web:
    hosts: 1
    size: { vcpus: 1, memory: 1GiB, disk: 10GiB }
    image: debian-12
    bootstrap:
      files:
        /etc/a: { template: t/a.tera }
        /etc/b: { source: b.txt }
        /etc/c: { template: t/a.tera }
";

#[test]
fn every_file_that_matters_is_named_once() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "pool.yaml", "version: 1\nname: x\n");
    write(folder.path(), "teams/web.pool.yaml", POOLS);
    write(folder.path(), "t/a.tera", "{{ self.name }}");
    write(folder.path(), "b.txt", "b");
    write(folder.path(), "unrelated.yaml", "x");
    let loaded = load(folder.path(), None, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<String> =
        loaded.sources.iter().map(|p| p.strip_prefix(folder.path()).expect("below").display().to_string()).collect();
    assert_eq!(names, ["b.txt", "pool.yaml", "t/a.tera", "teams/web.pool.yaml"]);
}

#[test]
fn a_variable_that_nothing_mentions_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "version: 1\nname: x\nvariables:\n  used: { default: 1 }\n  forgotten: { default: 2 }\n";
    write(folder.path(), "pool.yaml", text);
    write(folder.path(), "x.pool.yaml", &POOLS.replace("hosts: 1", "hosts: ${var.used}"));
    write(folder.path(), "t/a.tera", "");
    write(folder.path(), "b.txt", "b");
    let loaded = load(folder.path(), None, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    let shown = loaded.warnings.render_warnings(false);
    assert!(shown.starts_with("warning: variable `forgotten` is never used\n --> pool.yaml:5:3\n"), "{shown}");
    assert_eq!(loaded.warnings.list.len(), 1);
}

#[test]
fn a_network_that_keeps_ssh_out_is_a_warning_where_hosts_are_set_up_over_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "t/a.tera", "");
    write(folder.path(), "b.txt", "b");
    let head = "version: 1\nname: x\nimages: { debian-12: { cloud: d } }\nnetworks:\n";
    let warned = |network: &str, more: &str| {
        write(folder.path(), "pool.yaml", &format!("{head}  a: {{ cidr: 10.0.0.0/24, on: [cloud]{network} }}\n"));
        let pools = POOLS.replace("sim", "openstack").replace("    image:", "    network: a\n    image:");
        write(folder.path(), "x.pool.yaml", &(pools + more));
        let loaded = load(folder.path(), None, &|_| None).unwrap_or_else(|e| panic!("{e}"));
        loaded.warnings.render_warnings(false)
    };
    for closed in
        ["", ", ingress: { web: { from: any, port: 443 } }", ", ingress: { udp: { from: any, protocol: udp } }"]
    {
        let shown = warned(closed, "");
        assert!(
            shown.starts_with("warning: network `a` lets nobody in to port 22, where pools.web is set up"),
            "{shown}"
        );
    }
    for open in ["{ from: 192.0.2.0/24, port: 20-30 }", "{ from: any }", "{ from: any, protocol: any }"] {
        assert_eq!(warned(&format!(", ingress: {{ ssh: {open} }}"), ""), "");
    }
    assert_eq!(warned("", "    ssh: { jump: bastion }\n"), "");
    assert!(warned(", ingress: { ssh: { from: any, port: 22 } }", "    ssh: { port: 2222 }\n").contains("2222"));
}

#[test]
fn environments_are_known_without_choosing_one() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "pool.yaml", "version: 1\nname: x\n");
    assert_eq!(environments(folder.path()).expect("read"), ["default"]);
    write(folder.path(), "pool.yaml", "version: 1\nname: x\nenvironments: { prod: {}, dev: {} }\n");
    assert_eq!(environments(folder.path()).expect("read"), ["prod", "dev"]);
    assert_eq!(load(folder.path(), Some("dev"), &|_| None).expect("valid").desired.environment.as_str(), "dev");
    assert!(load(folder.path(), None, &|_| None).is_err(), "two environments: one must be chosen");
    write(folder.path(), "pool.yaml", "version: 1\nname: x\nenvironments: { prod: {} }\n");
    assert_eq!(load(folder.path(), None, &|_| None).expect("valid").desired.environment.as_str(), "prod");
}

#[test]
fn problems_are_there_for_programs_too() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "pool.yaml", "version: 1\nname: x\ntenants:\n  a: {}\n  a: { quota: { hots: 1 } }\n");
    let json = load(folder.path(), None, &|_| None).expect_err("a duplicate").to_json();
    assert_eq!(json[0]["message"], "`a` is defined twice");
    assert_eq!((&json[0]["file"], &json[0]["line"], &json[0]["column"]), (&"pool.yaml".into(), &5.into(), &3.into()));
    assert_eq!(json[0]["related"][0]["line"], 4);
}

#[test]
fn a_folder_without_an_inventory_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let problems = load(folder.path(), None, &|_| None).expect_err("nothing there");
    assert!(problems.render(false).contains("pool init"), "{problems}");
    write(folder.path(), "pool.yaml", "version: 1\nname: x\n");
    fs::write(folder.path().join("bad.pool.yaml"), b"\xff").expect("written");
    let problems = load(folder.path(), None, &|_| None).expect_err("no text");
    assert!(problems.render(false).contains("bad.pool.yaml is not UTF-8 text (byte 0)"), "{problems}");
}

#[test]
fn all_addresses_are_anybody_and_all_ports_are_none_in_particular() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "version: 1\nname: x\nproviders: { cloud: { type: sim } }\nnetworks:\n";
    let lan = |name: &str, cidr: &str, all: &str| {
        format!(
            "  {name}:\n    cidr: {cidr}\n    on: [cloud]\n    ingress:\n      a: {{ from: any, protocol: tcp }}\n      \
             b: {{ from: \"{all}\", protocol: tcp, port: \"1-65535\" }}\n"
        )
    };
    let text = format!("{text}{}{}", lan("lan", "10.1.0.0/24", "0.0.0.0/0"), lan("lan6", "fd00:1::/64", "::/0"));
    write(folder.path(), "pool.yaml", &text);
    let loaded = load(folder.path(), None, &|_| None).unwrap_or_else(|e| panic!("{e}"));
    for network in loaded.desired.networks.values() {
        let rules: Vec<_> = network.ingress.values().collect();
        assert_eq!(rules[0], rules[1], "clouds refuse two rules that say the same");
    }
}
