mod containers;

use pool_inventory::{
    FileMode, Name, Text, TimeSpan,
    desired::{BootstrapSpec, DirectorySpec, FileSource, FileSpec, ScriptSpec, ServiceSpec, TemplateSource, UserSpec},
};

use super::*;
use crate::script::Say;

fn debian() -> Facts {
    Facts { uid: 1000, gid: 1000, sudo: true, apt: true, init: "systemd".into(), ..Facts::default() }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn full() -> Rendered {
    let mut spec = BootstrapSpec::default();
    spec.packages.extend([Text::from("curl"), "chrony".into()]);
    let user = UserSpec {
        groups: [name("docker"), name("adm")].into(),
        shell: None,
        authorized_keys: vec!["ssh-ed25519 AAAA ops@example.net".into()],
        sudo: true,
    };
    spec.users.insert(name("ops"), user);
    spec.users.insert(name("plain"), UserSpec::default());
    spec.directories.insert("/srv/it's".into(), DirectorySpec { mode: FileMode(0o750), owner: None, group: None });
    let template = TemplateSource { path: "m".into(), text: "hello\n".into(), pools: Default::default() };
    let source = FileSource::Template(template);
    spec.files.insert("/etc/motd".into(), FileSpec { source, mode: FileMode(0o644), owner: None, group: None });
    let source = FileSource::Content("secret".into());
    let (owner, group) = (Some("www-data".into()), Some("adm".into()));
    spec.files.insert("/etc/secret".into(), FileSpec { source, mode: FileMode(0o640), owner, group });
    spec.sysctl.insert("net.ipv4.ip_forward".into(), "1".into());
    spec.services.insert("chrony".into(), ServiceSpec { enabled: true, running: false });
    let run = "#!/bin/bash\nkubeadm join\n".into();
    let script = ScriptSpec { check: "test -e '/joined'".into(), run, timeout: TimeSpan::secs(300) };
    spec.scripts.insert(name("join"), script);
    crate::render(&spec, &|t| Ok::<_, std::fmt::Error>(t.text.to_string())).unwrap()
}

/// What is said after the heads.
fn words(say: impl Fn(usize, &Command, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    for (number, command) in commands(&debian(), &full()).unwrap().iter().enumerate() {
        say(number, command, &mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn items_stand_in_the_order_of_the_phases() {
    let items: Vec<String> =
        commands(&debian(), &full()).unwrap().iter().map(|command| command.item.to_string()).collect();
    insta::assert_snapshot!(items.join("\n"), @r#"
    package chrony
    package curl
    user ops
    authorized-keys ops
    sudo ops
    user plain
    authorized-keys plain
    sudo plain
    directory /srv/it's
    file /etc/motd
    file /etc/secret
    sysctl net.ipv4.ip_forward
    file /etc/sysctl.d/90-pool.conf
    service chrony
    script join
    "#);
}

#[test]
fn probes_are_one_line_each() {
    let text = words(|n, command, out| Say::Probe(n, command).script(out));
    insta::assert_snapshot!(text, @r#"
    { n=0; probe_package 'chrony'; } </dev/null
    { n=1; probe_package 'curl'; } </dev/null
    { n=2; probe_user 'ops' '/bin/bash' 'adm' 'docker'; } </dev/null
    { n=3; probe_keys 'ops' be6053a4212aa25b2fb0d9c7423ee3f822113c5368592b9c8a63f987960a8d04; } </dev/null
    { n=4; probe_sudo 'ops' 1; } </dev/null
    { n=5; probe_user 'plain' '/bin/bash'; } </dev/null
    { n=6; probe_keys 'plain' -; } </dev/null
    { n=7; probe_sudo 'plain' 0; } </dev/null
    { n=8; probe_directory '/srv/it'\''s' 750 '1000' '1000'; } </dev/null
    { n=9; probe_file '/etc/motd' 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 644 '1000' '1000' 1; } </dev/null
    { n=10; probe_file '/etc/secret' 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b 640 'www-data' 'adm' 0; } </dev/null
    { n=11; probe_sysctl 'net/ipv4/ip_forward' '1'; } </dev/null
    { n=12; probe_file '/etc/sysctl.d/90-pool.conf' cc45ba25c7a471a68f19ba89aa5417428ecc1b3a130bd7177837976f699d7cbb 644 '0' '0' 1; } </dev/null
    { n=13; probe_service 'chrony' 1 0; } </dev/null
    { n=14; probe_script sh -c 'test -e '\''/joined'\'''; } </dev/null
    "#);
}

#[test]
fn acts_are_whole_statements() {
    let text = words(|number, command, out| {
        let packages: &[&str] = if number == 0 { &["chrony", "curl"] } else { &[] };
        Say::AskScript(number, command).script(out);
        Say::Act { number, command, packages }.script(out);
    });
    insta::assert_snapshot!(text, @r#"
    { begin 0; act_packages 'chrony' 'curl' && has_package 'chrony'; end 0 $?; }
    { begin 1; has_package 'curl'; end 1 $?; }
    { begin 2; { act_user 'ops' '/bin/bash' 'adm' 'docker'; } >&2; end 2 $? ${held:+same}; } </dev/null
    { begin 3; open_keys; }
    { w '# managed by pool
    ssh-ed25519 AAAA ops@example.net
    '; }
    { close_keys 'ops' 1; end 3 $?; }
    { begin 4; { act_sudo 'ops' 1; } >&2; end 4 $? ${held:+same}; } </dev/null
    { begin 5; { act_user 'plain' '/bin/bash'; } >&2; end 5 $? ${held:+same}; } </dev/null
    { begin 6; open_keys; }
    { close_keys 'plain' 0; end 6 $?; }
    { begin 7; { act_sudo 'plain' 0; } >&2; end 7 $? ${held:+same}; } </dev/null
    { begin 8; { act_directory '/srv/it'\''s' 750 '1000' '1000'; } >&2; end 8 $? ${held:+same}; } </dev/null
    { begin 9; open_files '/etc'; one_file 'motd'; }
    { w 'hello
    '; }
    { close_files 9 644 '1000' '1000' 'motd'; set -- "$@" '/etc/motd'; }
    { begin 10; open_files '/etc'; one_file 'secret'; }
    { w 'secret'; }
    { close_files 10 640 'www-data' 'adm' 'secret'; set -- "$@" '/etc/secret'; }
    { begin 11; { act_sysctl 'net/ipv4/ip_forward' '1'; } >&2; end 11 $? ${held:+same}; } </dev/null
    { begin 12; open_files '/etc/sysctl.d'; one_file '90-pool.conf'; }
    { w '# managed by pool
    net.ipv4.ip_forward = 1
    '; }
    { close_files 12 644 '0' '0' '90-pool.conf'; set -- "$@" '/etc/sysctl.d/90-pool.conf'; }
    { begin 13; { act_service 'chrony' 1 0; } >&2; end 13 $? ${held:+same}; } </dev/null
    { ask_script 14 sh -c 'test -e '\''/joined'\'''; }
    { waits=; begin 14; open_script; }
    { w '#!/bin/bash
    kubeadm join
    '; }
    { run_script 300 '/bin/bash'; st=$?; [ $st != 0 ] || lim 60 sh -c 'test -e '\''/joined'\''' >&2 </dev/null || { echo 'its check does not hold after it has run' >&2; st=99; }; end 14 $st; }
    "#);
}

#[test]
fn a_host_that_cannot_do_it_is_told_all_reasons_at_once() {
    let facts = Facts { init: "runit".into(), ..Facts::default() };
    let refusals = commands(&facts, &full()).unwrap_err();
    assert_eq!(refusals, [Refusal::NoApt, Refusal::NoSystemd { init: "runit".into() }]);
    assert!(commands(&facts, &Rendered::default()).unwrap().is_empty());
}

#[test]
fn commands_depend_on_nothing_but_facts_and_spec() {
    assert_eq!(commands(&debian(), &full()), commands(&debian(), &full()));
}

#[test]
fn only_content_that_all_may_read_is_shown() {
    let commands = commands(&debian(), &full()).unwrap();
    let shown = |item: &str| commands.iter().find(|c| &*c.item == item).unwrap().show.is_some();
    assert!(shown("file /etc/motd") && !shown("file /etc/secret"));
}

#[test]
fn every_script_is_a_whole_posix_script() {
    for facts in [debian(), Facts { uid: 0, ..debian() }] {
        whole(&facts, &full());
    }
}

/// What a host is asked and told is a script that shells can read to its end.
fn whole(facts: &Facts, want: &Rendered) {
    let all = commands(facts, want).unwrap();
    let mut probes = Vec::new();
    Say::ProbeHead { who: Some(facts), lazy: true }.script(&mut probes);
    let mut acts = Vec::new();
    Say::ActHead { who: None, mark: 7 }.script(&mut acts);
    let libraries: std::collections::BTreeSet<_> = all.iter().filter_map(|command| command.library).collect();
    for library in libraries {
        Say::Library(library).script(&mut probes);
        Say::Library(library).script(&mut acts);
    }
    for (number, command) in all.iter().enumerate() {
        Say::Probe(number, command).script(&mut probes);
        Say::Act { number, command, packages: &["a"] }.script(&mut acts);
    }
    Say::ProbeEnd.script(&mut probes);
    Say::ActEnd { leave: false }.script(&mut acts);
    reads(&probes);
    reads(&acts);
}

fn reads(script: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    std::fs::write(&path, script).unwrap();
    for shell in ["sh", "bash"] {
        let out = std::process::Command::new(shell).arg("-n").arg(&path).output().unwrap();
        assert!(out.status.success(), "{shell}: {}", String::from_utf8_lossy(&out.stderr));
    }
}
