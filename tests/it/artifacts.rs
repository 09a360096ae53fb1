//! Artifacts from the outside: fetched once for many hosts, carried in bundles, sent to real little machines.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use insta::assert_snapshot;

use crate::{context::TestContext, local::Ground};

/// A server of one file, which counts who asks.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start(content: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                lines.map_while(Result::ok).find(String::is_empty);
                count.fetch_add(1, Ordering::Relaxed);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(content));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

const TOOL: &[u8] = b"#!/bin/sh\necho tool\n";

fn sha256(content: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x");
    std::fs::write(&file, content).expect("written");
    let out = Command::new("sha256sum").arg(&file).output().expect("sha256sum is there");
    String::from_utf8(out.stdout).expect("text")[..64].to_owned()
}

/// Hosts of a simulated cloud that get a tool from `url` and a manifest from the inventory.
fn inventory(t: &TestContext, url: &str, sha256: &str, hosts: usize) {
    t.file("files/manifest.yml", "kind: Namespace\n");
    t.file("motd.tera", "{{ self.name }}\n");
    let manifest = self::sha256(b"kind: Namespace\n");
    let text = format!(
        "version: 1\nname: acme\nenvironments: {{ test: {{}}, prod: {{}} }}\nproviders: {{ cloud: {{ type: sim }} }}\n\
         images: {{ debian-12: {{ cloud: debian-12 }} }}\n\
         artifacts:\n  tool: {{ url: \"{url}\", sha256: {sha256} }}\n  \
         manifest: {{ path: files/manifest.yml, sha256: {manifest} }}\n\
         pools:\n  web:\n    hosts: {hosts}\n    size: {{ vcpus: 1, memory: 1GiB, disk: 10GiB }}\n    image: debian-12\n    \
         bootstrap:\n      files:\n        /etc/motd: {{ template: motd.tera }}\n        \
         /opt/tool: {{ artifact: tool, mode: \"0755\" }}\n        /etc/manifest.yml: {{ artifact: manifest }}\n"
    );
    t.file("pool.yaml", &text);
}

#[test]
fn many_hosts_cost_one_fetch_and_a_second_apply_none() {
    let (t, server) = (TestContext::new(), Server::start(TOOL));
    inventory(&t, &format!("http://127.0.0.1:{}/tool", server.port), &sha256(TOOL), 20);
    let said = t.run("apply --env test --yes");
    assert!(said.starts_with("exit 0"), "{said}");
    assert_eq!(server.asked(), 1);
    let again = t.run("apply --env test --yes");
    assert!(again.contains("No changes."), "{again}");

    // Other content is another digest: every host gets it, from one fetch. Another place with the same content is none.
    let yaml = t.read("pool.yaml").replace("http://127.0.0.1", "http://localhost");
    t.file("pool.yaml", &yaml);
    let again = t.run("apply --env test --yes");
    assert!(again.contains("No changes."), "{again}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn an_artifact_that_cannot_be_had_fails_its_hosts_with_the_reason() {
    let (t, server) = (TestContext::new(), Server::start(b"something else"));
    inventory(&t, &format!("http://127.0.0.1:{}/tool", server.port), &sha256(TOOL), 3);
    let said = t.run("apply --env test --yes");
    assert!(said.starts_with("exit 8"), "hosts were made: {said}");
    let why = format!("it has the SHA-256 digest {}, the inventory says {}", sha256(b"something else"), sha256(TOOL));
    assert_eq!(said.matches(&format!("{why}\n  hint: ")).count(), 3, "{said}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn the_preflight_says_whether_artifacts_can_be_had() {
    let (t, server) = (TestContext::new(), Server::start(TOOL));
    let url = format!("http://127.0.0.1:{}/tool", server.port);
    inventory(&t, &url, &sha256(TOOL), 1);
    let said = t.run("check --env test");
    assert!(said.contains(&format!("{url} has it, 20 B")) && said.contains("files/manifest.yml is the one"), "{said}");
    assert!(!t.root().join(".pool/cache").exists(), "nothing was fetched");
    assert!(t.run("bundle create -q").starts_with("exit 0"));
    assert!(t.run("check --env test").contains("it is in the cache"));
    t.file("files/manifest.yml", "kind: Pod\n");
    t.file(
        "pool.yaml",
        &t.read("pool.yaml").replace(&url, "http://127.0.0.1:1/x").replace(&sha256(TOOL), &sha256(b"x")),
    );
    let said = t.run("check --env test");
    assert!(said.starts_with("exit 5") && said.contains("failed to fetch http://127.0.0.1:1/x: "), "{said}");
    assert!(said.contains("files/manifest.yml has the SHA-256 digest"), "{said}");
}

/// Bytes of a file, and whether two are alike.
fn bytes(t: &TestContext, name: &str) -> Vec<u8> {
    std::fs::read(t.root().join(name)).expect("it is there")
}

#[test]
fn a_bundle_needs_no_network_where_it_is_unpacked() {
    let (t, server) = (TestContext::new(), Server::start(TOOL));
    inventory(&t, &format!("http://127.0.0.1:{}/tool", server.port), &sha256(TOOL), 2);
    assert_snapshot!(t.run("bundle create"), @r"
    exit 0
    --- stdout
    Wrote acme-bundle.tar: 3 files, 1 fetched artifact, 709 B
    SHA-256 [HEX][HEX]
    Unpack it there with: pool bundle unpack acme-bundle.tar
    --- stderr
    fetching tool, 20 B
    ");
    let first = bytes(&t, "acme-bundle.tar");
    std::fs::remove_dir_all(t.root().join(".pool")).expect("removed");
    assert!(t.run("bundle create -q -o again.tar").starts_with("exit 0"));
    assert!(bytes(&t, "again.tar") == first, "equal files make equal bytes");

    let open =
        std::os::unix::fs::PermissionsExt::mode(&t.root().join(".pool").metadata().expect("there").permissions());
    assert_eq!(open & 0o077, 0, "what is ours is nobody else's");

    // Where nothing answers any more.
    let asked = server.asked();
    assert_snapshot!(t.run("bundle unpack acme-bundle.tar site"), @r"
    exit 0
    --- stdout
    Unpacked into site: 3 files, 1 fetched artifact, 709 B
    Go on with: pool -C site plan
    ");
    assert!(t.run("-C site apply --env prod --yes").starts_with("exit 0"));
    assert_eq!(server.asked(), asked);
    assert!(t.run("-C site bundle create --env prod -o there.tar").starts_with("exit 0"), "and on from there");

    // Any tar does the same.
    std::fs::create_dir(t.root().join("plain")).expect("made");
    let tar = Command::new("tar").args(["-xf", "../acme-bundle.tar"]).current_dir(t.root().join("plain")).status();
    assert!(tar.expect("tar is there").success());
    assert!(t.run("-C plain apply --env test --yes").starts_with("exit 0"));
    assert_eq!(server.asked(), asked);
}

#[test]
fn a_later_bundle_goes_over_an_earlier_one_and_loses_nobodys_work() {
    let (t, server) = (TestContext::new(), Server::start(TOOL));
    inventory(&t, &format!("http://127.0.0.1:{}/tool", server.port), &sha256(TOOL), 2);
    t.file("old.pool.yaml", "variables: { x: { default: 1 } }\n");
    assert!(t.run("bundle create -o 1.tar").starts_with("exit 0"));
    std::fs::remove_file(t.root().join("old.pool.yaml")).expect("removed");
    t.file("motd.tera", "welcome to {{ self.name }}\n");
    assert!(t.run("bundle create -o 2.tar").starts_with("exit 0"));
    assert!(t.run("bundle unpack 1.tar site").starts_with("exit 0"));
    assert!(t.run("-C site apply --env prod --yes").starts_with("exit 0"));
    assert!(t.run("bundle unpack 2.tar site").starts_with("exit 0"));
    assert!(!t.root().join("site/old.pool.yaml").exists(), "what left the inventory leaves the site");
    let plan = t.run("-C site plan --env prod");
    assert!(plan.contains("2 to bootstrap"), "the state stayed: {plan}");

    t.file("site/motd.tera", "changed here\n");
    t.file("site/own.pool.yaml", "variables: { y: { default: 1 } }\n");
    assert_snapshot!(t.run("bundle unpack 1.tar site"), @r"
    exit 5
    --- stderr
    error: motd.tera in site would be lost: changed since the last bundle, or never part of one; overwrite with --overwrite
    ");
    assert_eq!(t.read("site/motd.tera"), "changed here\n");
    assert!(t.run("bundle unpack 1.tar site --overwrite").starts_with("exit 0"));
    assert_eq!(t.read("site/motd.tera"), "{{ self.name }}\n");
    assert!(t.root().join("site/own.pool.yaml").exists(), "what no bundle had is left alone");
}

#[test]
fn a_bundle_that_is_damaged_changes_nothing() {
    let (t, server) = (TestContext::new(), Server::start(TOOL));
    inventory(&t, &format!("http://127.0.0.1:{}/tool", server.port), &sha256(TOOL), 2);
    assert!(t.run("bundle create -o whole.tar").starts_with("exit 0"));
    let whole = bytes(&t, "whole.tar");
    let refused = |name: &str, content: &[u8]| {
        std::fs::write(t.root().join("broken.tar"), content).expect("written");
        let said = t.run("bundle unpack broken.tar site");
        assert!(!Path::new(&t.root().join("site")).exists(), "{name}: {said}");
        said
    };
    assert_snapshot!(refused("cut off", &whole[..whole.len() / 2]), @r"
    exit 1
    --- stderr
    error: failed to read the bundle broken.tar: it ends too early
    ");
    assert!(refused("no bundle", &[b'x'; 2000]).contains("it is not a bundle, or damaged"));
    let at = whole.windows(9).position(|bytes| bytes == b"echo tool").expect("the tool is in it");
    let mut tampered = whole.clone();
    tampered[at] = b'E';
    let said = refused("tampered", &tampered);
    assert!(said.contains("is damaged: its digest is not the one of the manifest"), "{said}");
    let swap = |from: &[u8], to: &[u8]| {
        let mut text = whole.clone();
        while let Some(at) = text.windows(from.len()).position(|bytes| bytes == from) {
            text[at..at + to.len()].copy_from_slice(to);
        }
        text
    };
    let said = refused("climbing", &swap(b"files/manifest.yml", b"../../manifest.yml"));
    assert!(said.starts_with("exit 1"), "{said}");
}

/// Real little machines that get a tool and an archive, over a line of so many MiB a second.
fn machines(ground: &Ground, rate: &str) {
    let folder = ground.path();
    if !folder.join("files/tool").exists() {
        let noise: Vec<u8> =
            (0..6_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2..3].to_vec()).collect();
        ground.write("files/.keep", "");
        std::fs::write(folder.join("files/tool"), noise).expect("written");
        ground.write("tree/bin/hello", "hello\n");
        let tar = Command::new("tar").args(["-czf", "files/tree.tgz", "tree"]).current_dir(&folder).status();
        assert!(tar.expect("tar is there").success());
    }
    let digest = |name: &str| sha256(&std::fs::read(folder.join(name)).expect("it is there"));
    let text = format!(
        "version: 1\nname: machines\nproviders: {{ here: {{ type: local }} }}\npolicy: {{ upload_rate: {rate} }}\n\
         artifacts:\n  tool: {{ path: files/tool, sha256: {} }}\n  tree: {{ path: files/tree.tgz, sha256: {} }}\n\
         pools:\n  web:\n    hosts: 2\n    size: {{ vcpus: 1, memory: 64MiB, disk: 64MiB }}\n    image: host\n    \
         bootstrap:\n      files: {{ /srv/tool: {{ artifact: tool, mode: \"0755\" }} }}\n      \
         unpack: {{ tree: {{ to: /srv/tree, strip: 1 }} }}\n",
        digest("files/tool"),
        digest("files/tree.tgz")
    );
    ground.write("pool.yaml", &text);
}

/// Kills `pool` while it sends, and lets the next run go on.
fn killed_while_sending(ground: &Ground) {
    machines(ground, "1MiB/s");
    let mut command = ground.command(&["apply", "--yes", "--json"], None);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let events = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let on_its_way = |line: &String| line.contains("sends tool: ") && !line.contains("sends tool: 0 B");
    assert!(events.into_iter().any(|line| on_its_way(&line)), "it was sent before it could be killed");
    child.kill().expect("killed");
    child.wait().expect("ended");
    machines(ground, "1GiB/s");
    ground.expect(&["apply", "--yes"], 0);
    let look = "sha256sum </srv/tool; cat /srv/tree/bin/hello; ls -A /var/lib/pool/artifacts/in | wc -l";
    let said = ground.expect(&["exec", "all", "--", look], 0);
    let digest = sha256(&std::fs::read(ground.path().join("files/tool")).expect("it is there"));
    for host in ["web-0", "web-1"] {
        for line in [format!("{digest}  -"), "hello".to_owned(), "0".to_owned()] {
            assert!(said.contains(&format!("{host} | {line}\n")), "{said}");
        }
    }
    ground.expect(&["plan", "--detailed-exitcode"], 0);
    ground.expect(&["exec", "host/web-0", "--", "rm /srv/tree/bin/hello && echo x >>/srv/tool"], 0);
    let plan = ground.expect(&["plan", "-v", "--detailed-exitcode"], 2);
    assert!(plan.contains("/srv/tree/bin/hello is missing"), "{plan}");
    ground.expect(&["apply", "--yes"], 0);
    ground.expect(&["plan", "--detailed-exitcode"], 0);
    ground.expect(&["destroy", "--yes"], 0);
    ground.assert_empty("destroyed");
}

#[test]
fn an_apply_that_is_killed_while_it_sends_is_gone_on_with() {
    for ground in [Ground::own(), Ground::rootless()] {
        if ground.may() {
            killed_while_sending(&ground);
        }
    }
}
