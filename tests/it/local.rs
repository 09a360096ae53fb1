//! Real little machines on this computer, through the binary: a whole life, with root and without, and power cuts.
//!
//! What exists is counted in processes, mounts and folders, not in our state.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::program::text;

/// Whom `pool` runs as when it runs without root.
const NOBODY: u32 = 65534;

/// An inventory folder, and the user who works in it.
pub struct Ground {
    dir: tempfile::TempDir,
    program: PathBuf,
    /// As `NOBODY`, although the test itself has root.
    demoted: bool,
}

impl Ground {
    /// As whoever runs the test.
    pub fn own() -> Self {
        let dir = tempfile::Builder::new().prefix("pool-local-").tempdir().expect("a folder");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_pool"));
        Self { dir, program, demoted: false }
    }

    /// Certainly without root.
    pub fn rootless() -> Self {
        let mut ground = Self::own();
        if rustix::process::geteuid().is_root() {
            let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("our folder");
            let program = ground.dir.path().join("pool");
            fs::copy(&ground.program, &program).expect("a copy that others may run");
            open(ground.dir.path());
            open(&program);
            fs::create_dir(ground.path()).expect("a folder");
            std::os::unix::fs::chown(ground.path(), Some(NOBODY), Some(NOBODY)).expect("a folder of the other user's");
            (ground.program, ground.demoted) = (program, true);
        }
        ground
    }

    /// Whether this computer lets machines be made. Where it does not, that is what somebody must read.
    pub fn may(&self) -> bool {
        let mut unshare = match self.demoted {
            true => demoted(Path::new("unshare")),
            false => Command::new("unshare"),
        };
        unshare.args(["--mount", "--pid", "--fork", "--propagation", "private"]);
        if self.demoted || !capable() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let outcome = unshare.args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null()).status();
        if outcome.expect("unshare is installed").success() {
            return true;
        }
        self.quickstart();
        let said = self.expect(&["apply", "--yes"], 8);
        assert!(said.contains("starting the machine") && said.contains("unshare"), "{said}");
        self.expect(&["destroy", "--yes"], 0);
        self.assert_empty("destroyed");
        false
    }

    /// The inventory's folder.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("q")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let folder = path.parent().expect("it has a folder");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(&path, text).expect("a file");
        if self.demoted {
            // Whatever mask the test runs with.
            for path in [folder, &path] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("the other user's");
            }
        }
    }

    /// The quickstart, as it stands in the repository.
    fn quickstart(&self) -> String {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
        let read = |name: &str| fs::read_to_string(from.join(name)).expect("a file of the example");
        self.write("templates/welcome.tera", &read("templates/welcome.tera"));
        self.write("pool.yaml", &read("pool.yaml"));
        read("pool.yaml")
    }

    /// Writes `pool.yaml` with one part replaced.
    fn change(&self, yaml: &str, old: &str, new: &str) -> String {
        assert!(yaml.contains(old), "{old} is not in the inventory");
        let changed = yaml.replacen(old, new, 1);
        self.write("pool.yaml", &changed);
        changed
    }

    pub fn run(&self, arguments: &[&str], crash_at: Option<usize>) -> Output {
        self.command(arguments, crash_at).output().expect("the binary starts")
    }

    /// `pool` with these words, ready to be started.
    pub fn command(&self, arguments: &[&str], crash_at: Option<usize>) -> Command {
        let mut command = if self.demoted { demoted(&self.program) } else { Command::new(&self.program) };
        command.arg("-C").arg(self.path()).args(arguments).current_dir("/").stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.path());
        command.envs(crash_at.map(|at| ("POOL_CRASH_AT", at.to_string())));
        command
    }

    /// Runs `pool` and expects an exit code; gives everything that was said.
    #[track_caller]
    pub fn expect(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments, None);
        assert_eq!(output.status.code(), Some(code), "pool {}: {}", arguments.join(" "), text(&output));
        text(&output)
    }

    /// Names of what stands in a folder of the provider.
    fn folders(&self, of: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path().join(".pool/local/here").join(of)).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// The command lines of all processes of machines of this inventory.
    fn processes(&self) -> Vec<String> {
        let dir = self.path().to_string_lossy().into_owned();
        let lines = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        lines.filter(|line| line.contains("__machine ") && line.contains(&dir)).collect()
    }

    /// Machines that run and those that have a folder, and volumes: each exactly as often as declared.
    #[track_caller]
    fn assert_stands(&self, hosts: usize, volumes: usize, when: &str) {
        let processes = self.processes();
        let keepers = processes.iter().filter(|line| line.contains("__machine keeper ")).count();
        let count = (keepers, self.folders("machines").len(), self.folders("dir/volumes").len());
        assert_eq!(count, (hosts, hosts, volumes), "{when}: keepers, machines, volumes; {processes:#?}");
    }

    /// No process, mount or folder is left.
    #[track_caller]
    pub fn assert_empty(&self, when: &str) {
        assert_eq!(self.processes(), [""; 0], "{when}");
        assert_eq!(mounts_of(&self.path()), [""; 0], "{when}");
        self.assert_stands(0, 0, when);
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // After a failure as after a success nothing of a test stays on the computer.
        if !self.processes().is_empty() {
            let _ = self.run(&["destroy", "--yes", "-q"], None);
        }
    }
}

/// A program as `NOBODY`.
fn demoted(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let id = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    command.args(id).args(["--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

/// Whether this process may mount: root may, but not the root of most containers.
fn capable() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("our status");
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("a set").trim();
    rustix::process::geteuid().is_root() && u64::from_str_radix(set, 16).expect("a number") & (1 << 21) != 0
}

/// This computer's mounts below a folder.
fn mounts_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy();
    let table = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    table.lines().filter(|line| line.contains(&*dir)).map(str::to_owned).collect()
}

/// The quickstart from its first plan to its end.
fn whole_life(ground: &Ground) {
    let yaml = ground.quickstart();
    ground.expect(&["plan", "--detailed-exitcode"], 2);
    ground.expect(&["apply", "--yes"], 0);
    ground.expect(&["plan", "--detailed-exitcode"], 0);
    ground.assert_stands(3, 3, "applied");
    let said = ground.expect(&["exec", "pool=web", "--", "cat /srv/web/welcome.txt; hostname"], 0);
    for line in ["web-0 | web-0: made by pool", "web-1 | web-1: made by pool", "web-0 | web-0\n", "| databases:"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let volume =
        "cat /etc/db.conf; grep -c ' /srv/data ' /proc/self/mountinfo; echo kept >/srv/data/a; cat /srv/data/a";
    let said = ground.expect(&["exec", "host/db-0", "--", volume], 0);
    assert!(said.contains("db-0 | listen = 5432\ndb-0 | 1\ndb-0 | kept\n"), "{said}");
    a_changed_line(ground, &yaml);
    scaled(ground, &yaml);
    ground.expect(&["destroy", "--yes"], 0);
    ground.assert_empty("destroyed");
    ground.expect(&["plan", "--destroy", "--detailed-exitcode"], 0);
}

/// Another greeting: only the files that show it are written.
fn a_changed_line(ground: &Ground, yaml: &str) {
    let before = ground.folders("machines");
    ground.change(yaml, "made by pool", "another greeting");
    let plan = ground.expect(&["plan", "--detailed-exitcode"], 2);
    assert!(plan.contains("0 to add, 0 to change, 0 to replace, 0 to destroy; 2 to bootstrap"), "{plan}");
    assert!(!plan.contains("db-0"), "{plan}");
    ground.expect(&["apply", "--yes"], 0);
    let said = ground.expect(&["exec", "all", "--", "cat /srv/web/welcome.txt /srv/data/a 2>/dev/null; true"], 0);
    for line in ["web-0 | web-0: another greeting\n", "web-1 | web-1: another greeting\n", "| kept\n"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    ground.expect(&["plan", "--detailed-exitcode"], 0);
    assert_eq!(ground.folders("machines"), before, "no machine was made anew");
}

/// A web host less, with its volume, and one more again: the others are not touched, and the name comes back.
fn scaled(ground: &Ground, yaml: &str) {
    let before = ground.folders("machines");
    let names = ground.expect(&["state", "list"], 0);
    let less = ground.change(&yaml.replace("made by pool", "another greeting"), "hosts: 2", "hosts: 1");
    let plan = ground.expect(&["plan"], 0);
    assert!(plan.contains("- host/web-1") && plan.contains("0 to add, 0 to change, 0 to replace"), "{plan}");
    assert!(!plan.contains("web-0") && !plan.contains("db-0"), "{plan}");
    ground.expect(&["apply", "--yes"], 0);
    ground.assert_stands(2, 2, "one web host less");
    let kept = ground.folders("machines");
    assert!(kept.is_subset(&before), "{kept:?} of {before:?}");
    ground.change(&less, "hosts: 1", "hosts: 2");
    ground.expect(&["apply", "--yes"], 0);
    ground.assert_stands(3, 3, "one web host more");
    assert!(ground.folders("machines").is_superset(&kept), "the other two are the same machines");
    assert_eq!(ground.expect(&["state", "list"], 0), names);
    ground.expect(&["plan", "--detailed-exitcode"], 0);
}

#[test]
fn the_quickstart_has_a_whole_life() {
    let ground = Ground::own();
    if ground.may() {
        whole_life(&ground);
    }
}

#[test]
fn the_quickstart_needs_no_root() {
    let ground = Ground::rootless();
    if !ground.may() {
        return;
    }
    whole_life(&ground);
    let state = fs::metadata(ground.path().join(".pool/state.db")).expect("a state file");
    assert!(!ground.demoted || std::os::unix::fs::MetadataExt::uid(&state) == NOBODY, "it ran as the other user");
}

#[test]
fn packages_are_refused_at_plan_time_without_root() {
    let ground = Ground::rootless();
    let yaml = ground.quickstart();
    ground.change(&yaml, "      directories:", "      packages: [nginx]\n      directories:");
    let said = ground.expect(&["plan"], 5);
    assert!(said.contains("! host/web-0") && said.contains("here: cannot do packages"), "{said}");
    ground.expect(&["apply", "--yes"], 5);
    ground.assert_empty("nothing was begun");
}

/// One way to go, from what stands after the one before.
struct Leg {
    name: &'static str,
    arguments: &'static [&'static str],
    yaml: &'static str,
    /// Hosts, each with a volume, that stand afterwards.
    stand: usize,
}

const SMALL: &str = "version: 1\nname: crash\nproviders: { here: { type: local } }\n\
    tiers: { standard: { provisioning: thin, backends: [here/dir] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 2, size: { vcpus: 1, memory: 64MiB, disk: 64MiB }, image: host,\n    \
    volumes: { data: { size: 16MiB, tier: standard, mount: /srv/data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/a: { content: hello } } } }\n";

/// A host more; tags, volumes and files of the others change in place.
const GROWN: &str = "version: 1\nname: crash\nproviders: { here: { type: local } }\n\
    tiers: { standard: { provisioning: thin, backends: [here/dir] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 3, size: { vcpus: 1, memory: 64MiB, disk: 64MiB }, image: host, labels: { a: b },\n    \
    volumes: { data: { size: 32MiB, tier: standard, mount: /srv/data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/a: { content: changed } } } }\n";

/// Two hosts less, and the volume of the last one elsewhere.
const SHRUNK: &str = "version: 1\nname: crash\nproviders: { here: { type: local } }\n\
    tiers: { standard: { provisioning: thin, backends: [here/dir] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 1, size: { vcpus: 1, memory: 64MiB, disk: 64MiB }, image: host,\n    \
    volumes: { data: { size: 32MiB, tier: standard, mount: /srv/moved, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/b: { content: hello } } } }\n";

const LEGS: [Leg; 4] = [
    Leg { name: "create", arguments: &["apply", "--yes"], yaml: SMALL, stand: 2 },
    Leg { name: "grow", arguments: &["apply", "--yes"], yaml: GROWN, stand: 3 },
    Leg { name: "shrink", arguments: &["apply", "--yes"], yaml: SHRUNK, stand: 1 },
    Leg { name: "destroy", arguments: &["destroy", "--yes"], yaml: SHRUNK, stand: 0 },
];

/// Goes one way, is killed at point `at`, and goes on. Gives whether it was killed, or had ended before.
fn survive(ground: &Ground, leg: &Leg, at: usize) -> bool {
    let when = format!("{} at {at}", leg.name);
    ground.write("pool.yaml", leg.yaml);
    let hit = ground.run(leg.arguments, Some(at));
    let killed = hit.status.signal() == Some(9);
    assert!(killed || hit.status.success(), "{when}: {}", text(&hit));
    let again = ground.run(leg.arguments, None);
    assert!(again.status.success(), "{when}, the run after: {}", text(&again));
    let plan: &[&str] = if leg.stand == 0 { &["plan", "--destroy"] } else { &["plan"] };
    let last = ground.run(&[plan, &["--detailed-exitcode"]].concat(), None);
    assert_eq!(last.status.code(), Some(0), "{when}, the plan after: {}\nafter\n{}", text(&last), text(&again));
    ground.assert_stands(leg.stand, leg.stand, &when);
    if leg.stand == 0 {
        ground.assert_empty(&when);
    }
    killed
}

/// How many points lie between two that are tried; `POOL_CRASH_STRIDE=1` tries all.
fn stride(usual: usize) -> usize {
    std::env::var("POOL_CRASH_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(usual).max(1)
}

/// Goes all ways again and again, killed further on each time, until nothing is left to be killed at.
#[expect(clippy::print_stdout, reason = "how many kills there were is what a full run is started for")]
fn killed_everywhere(ground: &Ground, stride: usize) {
    if !ground.may() {
        return;
    }
    fs::create_dir_all(ground.path()).expect("a folder");
    let mut kills = [0; LEGS.len()];
    for round in 0.. {
        let before = kills;
        for (index, leg) in LEGS.iter().enumerate() {
            // Another remainder for each leg, so that the sample covers all kinds of points.
            let at = 1 + index * stride / LEGS.len() + round * stride;
            kills[index] += usize::from(survive(ground, leg, at));
        }
        if kills == before {
            break;
        }
    }
    let all: usize = kills.iter().sum();
    println!("{all} kills: {kills:?}");
    assert!(all * stride > 100, "only {kills:?} points were passed");
}

#[test]
fn what_a_cut_off_change_left_can_be_destroyed() {
    let ground = Ground::own();
    if !ground.may() {
        return;
    }
    fs::create_dir_all(ground.path()).expect("a folder");
    for at in (1..).step_by(stride(8)) {
        ground.write("pool.yaml", SMALL);
        ground.expect(&["apply", "--yes"], 0);
        ground.write("pool.yaml", GROWN);
        let killed = ground.run(&["apply", "--yes"], Some(at)).status.signal() == Some(9);
        ground.expect(&["destroy", "--yes"], 0);
        ground.assert_empty(&format!("cut off at {at}"));
        if !killed {
            break;
        }
    }
}

#[test]
fn every_kill_on_this_computer_is_made_whole_by_the_next_apply() {
    killed_everywhere(&Ground::own(), stride(5));
}

#[test]
fn every_kill_without_root_is_made_whole_by_the_next_apply() {
    killed_everywhere(&Ground::rootless(), stride(10));
}
