//! Hosts that exist, over real OpenSSH servers on loopback.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::program::expect;

/// sshd processes of one test; ended with it.
struct Fleet {
    dir: tempfile::TempDir,
    port: u16,
    servers: Vec<(String, Child)>,
}

impl Fleet {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        keygen(&dir.path().join("id"));
        // Any free port will do: each host has a loopback address of its own.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        Self { dir, port, servers: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn start(&mut self, name: &str, address: &str) {
        let home = self.path().join(name);
        if !home.exists() {
            fs::create_dir_all(home.join("home")).expect("a folder");
            keygen(&home.join("host_key"));
        }
        let (at, dir) = (home.display(), self.path().display());
        let settings = format!(
            "ListenAddress {address}:{}\nHostKey {at}/host_key\nPidFile none\nAuthorizedKeysFile {dir}/id.pub\n\
             PasswordAuthentication no\nStrictModes no\nUsePAM no\nSetEnv HOME={at}/home\n",
            self.port
        );
        fs::write(home.join("sshd_config"), settings).expect("a file");
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-f").arg(home.join("sshd_config")).arg("-E").arg(home.join("log"));
        let child = command.stdin(Stdio::null()).spawn().expect("sshd is installed (package openssh-server)");
        self.servers.push((name.to_owned(), child));
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((address, self.port)).is_err() {
            assert!(Instant::now() < until, "sshd of {name} does not answer");
            std::thread::yield_now();
        }
    }

    fn host_key(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path().join(name).join("host_key.pub")).expect("a host key");
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (_, server) in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn keygen(path: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.expect("ssh-keygen is installed").success());
}

/// Who runs the test: an sshd of theirs lets nobody else in.
fn user() -> String {
    let said = Command::new("id").arg("-un").output().expect("id is installed").stdout;
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// An inventory of one pool per host: all hosts share one root here, so each has a folder of its own.
fn inventory(fleet: &Fleet, hosts: &[(&str, &str, String)]) -> PathBuf {
    let dir = fleet.path().join("inventory");
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("hello.tera"), "hello from {{ self.name }}\n").expect("a template");
    let mut text = format!(
        "version: 1\nname: existing\nproviders:\n  racks:\n    type: ssh\n    ssh: {{ user: {}, key: {{ file: {}/id }}, port: {}, trust: pinned }}\npools:\n",
        user(),
        fleet.path().display(),
        fleet.port
    );
    for (name, address, key) in hosts {
        let root = fleet.path().join("result").join(name);
        text += &format!(
            "  {name}:\n    hosts: {{ {name}: {{ address: {address}, host_key: \"{key}\" }} }}\n    place: {{ on: [racks] }}\n    \
             bootstrap:\n      directories: {{ {0}: {{ mode: \"0755\" }} }}\n      \
             files: {{ {0}/hello: {{ template: hello.tera, mode: \"0644\" }} }}\n      \
             scripts: {{ stamp: {{ check: \"test -f {0}/stamp\", run: \"echo stamped > {0}/stamp\" }} }}\n",
            root.display()
        );
    }
    fs::write(dir.join("pool.yaml"), text).expect("an inventory");
    dir
}

#[test]
fn bootstraps_sees_drift_and_changes_nothing_twice() {
    let mut fleet = Fleet::new();
    fleet.start("alpha", "127.0.0.2");
    fleet.start("beta", "127.0.0.3");
    let hosts = [("alpha", "127.0.0.2"), ("beta", "127.0.0.3")].map(|(n, a)| (n, a, fleet.host_key(n)));
    let dir = inventory(&fleet, &hosts);
    expect(&dir, &["apply", "--yes"], 0);
    let hello = fleet.path().join("result/alpha/hello");
    assert_eq!(fs::read_to_string(&hello).expect("the file is there"), "hello from alpha\n");
    expect(&dir, &["plan", "--detailed-exitcode"], 0);

    fs::write(&hello, "hello from nobody\n").expect("a change behind our back");
    let plan = expect(&dir, &["plan", "--detailed-exitcode", "-v"], 2);
    assert!(plan.contains("-hello from nobody") && plan.contains("+hello from alpha"), "the drift is shown: {plan}");
    expect(&dir, &["apply", "--yes"], 0);
    assert_eq!(fs::read_to_string(&hello).expect("the file is there"), "hello from alpha\n");

    let said = expect(&dir, &["exec", "pool=beta", "--", "echo", "it works"], 0);
    assert!(said.contains("it works"), "{said}");
    expect(&dir, &["destroy", "--yes"], 0);
    assert!(hello.exists(), "adopted hosts are let go, not emptied");
}

#[test]
fn a_wrong_host_key_is_refused_before_anything_is_sent() {
    let mut fleet = Fleet::new();
    fleet.start("alpha", "127.0.0.2");
    fleet.start("beta", "127.0.0.3");
    let dir = inventory(&fleet, &[("alpha", "127.0.0.2", fleet.host_key("beta"))]);
    let output = expect(&dir, &["apply", "--yes"], 8);
    assert!(output.contains("shows the host key ssh-ed25519 SHA256:"), "{output}");
    assert!(!fleet.path().join("result/alpha").exists(), "nothing was done on a host that is not the right one");
}

#[test]
fn a_host_with_a_new_key_is_put_in_order_by_the_apply_that_records_the_key() {
    let mut fleet = Fleet::new();
    fleet.start("alpha", "127.0.0.2");
    let dir = inventory(&fleet, &[("alpha", "127.0.0.2", fleet.host_key("alpha"))]);
    expect(&dir, &["apply", "--yes"], 0);
    // It was installed anew: another key, and an empty disk.
    let (_, mut alpha) = fleet.servers.pop().expect("alpha");
    alpha.kill().and_then(|()| alpha.wait().map(|_| ())).expect("alpha ends");
    fs::remove_dir_all(fleet.path().join("alpha")).expect("its files go");
    fs::remove_dir_all(fleet.path().join("result/alpha")).expect("what was done goes");
    fleet.start("alpha", "127.0.0.2");
    let plan = expect(&dir, &["plan"], 0);
    assert!(plan.contains("shows the host key ssh-ed25519 SHA256:"), "{plan}");
    inventory(&fleet, &[("alpha", "127.0.0.2", fleet.host_key("alpha"))]);
    expect(&dir, &["apply", "--yes"], 0);
    assert!(fleet.path().join("result/alpha/stamp").exists(), "one apply was enough");
    expect(&dir, &["plan", "--detailed-exitcode"], 0);
}

#[test]
fn one_hanging_and_one_refusing_host_stop_nobody_and_are_resumed() {
    let mut fleet = Fleet::new();
    for (name, address) in [("alpha", "127.0.0.2"), ("beta", "127.0.0.3"), ("gamma", "127.0.0.4")] {
        fleet.start(name, address);
    }
    // gamma goes down again; delta takes connections and says nothing.
    let (_, mut gamma) = fleet.servers.pop().expect("gamma");
    gamma.kill().and_then(|()| gamma.wait().map(|_| ())).expect("gamma ends");
    let hanging = TcpListener::bind(("127.0.0.5", fleet.port)).expect("delta listens");
    let mut hosts: Vec<_> = [("alpha", "127.0.0.2"), ("beta", "127.0.0.3"), ("gamma", "127.0.0.4")]
        .map(|(name, address)| (name, address, fleet.host_key(name)))
        .into();
    hosts.push(("delta", "127.0.0.5", fleet.host_key("alpha")));
    let dir = inventory(&fleet, &hosts);
    let output = expect(&dir, &["apply", "--yes"], 4);
    for done in ["alpha", "beta"] {
        assert!(fleet.path().join("result").join(done).join("stamp").exists(), "{done}: {output}");
    }
    drop(hanging);
    fleet.start("gamma", "127.0.0.4");
    let hosts: Vec<_> = hosts.into_iter().filter(|(name, _, _)| *name != "delta").collect();
    inventory(&fleet, &hosts);
    expect(&dir, &["apply", "--yes", "--override", "max_destroyed", "--reason", "delta is gone"], 0);
    assert!(fleet.path().join("result/gamma/stamp").exists());
    expect(&dir, &["plan", "--detailed-exitcode"], 0);
}
