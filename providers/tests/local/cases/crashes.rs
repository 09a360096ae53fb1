//! Killed at any point.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use pool_inventory::{
    Kind,
    object::{Spec, Status},
};
use pool_providers::{Act, Provider, local::machine::WORD};

use crate::bench::{Bench, owner, processes};

/// First argument of the process that creates one machine in a folder.
pub const CREATE: &str = "--create-one";

/// The processes of the bench's machines, by the word that says what they are.
fn pids(dir: &Path, role: &str) -> Vec<i32> {
    let role = format!("{WORD} {role}");
    let found = processes(dir).into_iter().filter(|line| line.contains(&role) && !line.contains("unshare"));
    found.filter_map(|line| line.split([' ', ':']).nth(1)?.parse().ok()).collect()
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The process that holds a machine is killed, and what holds its inside.
pub fn keeper(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    bench.output(&host, "nohup sleep 1234 >/dev/null 2>&1 & echo kept > /root/a");
    let state = || bench.runtime.block_on(provider.find(&owner("web-0").token)).expect("asked").expect("there").status;
    for role in ["keeper", "init"] {
        let [pid] = pids(&bench.dir, role)[..] else { panic!("{role}: {:?}", processes(&bench.dir)) };
        kill(pid);
        until("the machine is off", || state() == Status::Stopped);
        until("no process is left", || processes(&bench.dir).is_empty());
        let on = bench.done(&provider, "web-0", Act::Power { id: host.id.clone(), on: true });
        assert_eq!(on, host);
        assert_eq!(bench.output(&host, "cat /root/a"), "kept");
    }
    // The SSH server alone comes back by itself.
    bench.exec(&host, "kill -9 $PPID");
    until("it answers again", || bench.runtime.block_on(crate::ssh::connect(&host, "root", &bench.key)).is_ok());
    assert_eq!(bench.output(&host, "cat /root/a"), "kept");
    bench.delete(&provider, &host);
}

/// `pool` is killed while it makes a machine.
pub fn creation(bench: &Bench) {
    let public = bench.key.public();
    for round in 0..32_u64 {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args([CREATE, &bench.dir.to_string_lossy(), &public])
            // What it would clean up itself, were it not killed.
            .env("TMPDIR", bench.dir.parent().expect("a parent"))
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        // From before the first file to after the last answer, evenly.
        std::thread::sleep(Duration::from_millis(round * 3));
        kill(child.id().try_into().expect("a pid"));
        child.wait().expect("ended");

        let provider = bench.open();
        let find = || bench.runtime.block_on(provider.find(&owner("web-0").token)).expect("asked");
        let mut found = None;
        // What it had just begun to start may hold the machine for a moment longer.
        until("the machine is settled", || {
            found = find();
            found.as_ref().is_none_or(|host| host.status != Status::Pending)
        });
        match &found {
            // Either it is there and works, or nothing is.
            Some(host) => assert_eq!(bench.output(host, "hostname"), "web-0"),
            None => {
                until("nothing is left", || processes(&bench.dir).is_empty());
                let machines = fs::read_dir(bench.dir.join("machines")).expect("there").flatten();
                assert_eq!(machines.filter(|entry| entry.path().is_dir()).count(), 0, "round {round}");
            }
        }
        let host = bench.create(&provider, "web-0");
        assert_eq!(bench.output(&host, "hostname"), "web-0");
        let listed = bench.runtime.block_on(provider.list(Kind::Host, None)).expect("listed");
        assert_eq!(listed.objects.len(), 1);
        bench.delete(&provider, &host);
    }
}

/// The process that [`creation`] kills.
pub fn create_one(dir: &str, public: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let bench = Bench::at(Path::new(dir), runtime);
    let mut spec = bench.spec();
    spec.authorized_keys = vec![public.into()];
    bench.done(&bench.open(), "web-0", Act::Create(Spec::Host(spec)));
    std::mem::forget(bench);
}

/// First argument of the process that lives on a computer with a mount below `/var`.
pub const CROWDED: &str = "--crowded";

/// Without root, no layer can lie over a folder of the system below which something is mounted.
pub fn crowded(bench: &Bench) {
    // Root of a namespace of its own mounts something; then it is nobody again, who cannot take it away.
    let computer =
        "mount -t tmpfs tmpfs /var/cache && exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", computer, "sh"])
        .arg(std::env::current_exe().expect("own path"))
        .arg(CROWDED)
        .arg(&bench.dir)
        .env("TMPDIR", bench.dir.parent().expect("a parent"))
        .output()
        .expect("started");
    assert!(output.status.success(), "{output:?}");
}

/// The process of [`crowded`].
pub fn live_crowded(dir: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let bench = Bench::at(Path::new(dir), runtime);
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    let look = "grep -c ^Package: /var/lib/dpkg/status | grep -qv '^0$' && ls /var/cache && echo a >/var/lib/a && \
        echo b >/var/cache/b && mkdir /var/c && echo c >/var/c/c && echo d >/etc/d && cat /var/lib/a /var/cache/b /var/c/c";
    assert_eq!(bench.output(&host, look), "a\nb\nc");
    assert!(!Path::new("/var/lib/a").exists() && !Path::new("/var/cache/b").exists() && !Path::new("/var/c").exists());
    for on in [false, true] {
        bench.done(&provider, "web-0", Act::Power { id: host.id.clone(), on });
    }
    assert_eq!(bench.output(&host, "cat /var/lib/a /var/cache/b /var/c/c /etc/d"), "a\nb\nc\nd");
    bench.delete(&provider, &host);
}

/// `pool` is killed while it deletes one.
pub fn deletion(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    let notes = bench.dir.join("machines").join(&*host.id).join("machine.json");
    let text = fs::read_to_string(&notes).expect("notes");
    fs::write(&notes, text.replace("\"made\"", "\"deleting\"")).expect("written");
    let listed = bench.runtime.block_on(provider.list(Kind::Host, None)).expect("listed");
    assert!(listed.objects.is_empty(), "{listed:?}");
    assert!(processes(&bench.dir).is_empty());
    assert!(!notes.exists());
}
