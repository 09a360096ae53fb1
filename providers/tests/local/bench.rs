//! Runs the cases one after the other, each in a folder of its own that must be empty of processes and mounts afterwards.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Instant,
};

use pool_inventory::{
    Address, Bytes, Lineage, Name, Text, Token,
    desired::{BackendSpec, Size},
    object::{HostSpec, Observed, Owner, Spec},
};
use pool_providers::{Act, Progress, Provider, ProviderError, Request, local::LocalProvider};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities};

use crate::ssh::Key;

/// A case: its name, whether it is for root only, and what it does.
pub type Case = (&'static str, For, fn(&Bench));

/// Which users a case is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    All,
    Root,
    Rootless,
}

/// Set for the run without root that a run as root starts.
const ROOTLESS: &str = "POOL_TEST_ROOTLESS";

/// Runs the cases whose names contain one of the words, or all.
pub fn run(cases: &[Case], args: &[OsString]) -> ExitCode {
    let words: Vec<&str> = args.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')).collect();
    let root = has_root();
    let refused = refused(root);
    let cases = if refused {
        &[("a_computer_that_forbids_machines_says_so", For::All, forbidden as fn(&Bench))]
    } else {
        cases
    };
    let list = args.iter().any(|word| word == "--list");
    let mut failed = 0;
    for (name, whom, case) in cases {
        let ours = match whom {
            For::All => true,
            For::Root => root,
            For::Rootless => !root,
        };
        if !ours || !(words.is_empty() || words.iter().any(|word| name.contains(word))) {
            continue;
        }
        if list {
            say(&format!("{name}: test"));
            continue;
        }
        let start = Instant::now();
        let bench = Bench::new();
        let ok = catch_unwind(AssertUnwindSafe(|| case(&bench))).is_ok();
        let left = bench.end();
        let verdict = if ok && left.is_empty() { "ok" } else { "FAILED" };
        say(&format!("test {name} ... {verdict} ({} ms)", start.elapsed().as_millis()));
        for trace in &left {
            say(&format!("    left behind: {trace}"));
        }
        if !left.is_empty() {
            bench.sweep();
        }
        failed += usize::from(!ok || !left.is_empty());
    }
    if rustix::process::geteuid().is_root() && !list && std::env::var_os(ROOTLESS).is_none() {
        failed += usize::from(!without_root(&words));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether this process may do what root may: that of most containers may not mount anything.
pub fn has_root() -> bool {
    let may_mount = |sets: CapabilitySets| sets.effective.contains(CapabilitySet::SYS_ADMIN);
    rustix::process::geteuid().is_root() && capabilities(None).is_ok_and(may_mount)
}

/// Whether this computer lets this process make no machine: many containers and some distributions do not.
fn refused(root: bool) -> bool {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--uts", "--ipc", "--fork", "--propagation", "private"]);
    if !root {
        unshare.args(["--user", "--map-root-user"]);
    }
    let outcome = unshare.args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null()).status();
    !outcome.is_ok_and(|status| status.success())
}

/// What somebody reads on such a computer.
fn forbidden(bench: &Bench) {
    let provider = bench.open();
    let answer = bench.submit(&provider, request("web-0", Act::Create(Spec::Host(bench.spec()))));
    let Err(ProviderError::Other(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("starting the machine") && why.contains("unshare"), "which step was refused: {why}");
}

/// Runs this binary again as `nobody`, from a folder that `nobody` can read.
fn without_root(words: &[&str]) -> bool {
    let dir = tempfile::Builder::new().prefix("pool-rootless-").tempdir().expect("temp");
    let nobody = 65534;
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("opened");
    let binary = dir.path().join("local");
    fs::copy(std::env::current_exe().expect("own path"), &binary).expect("copied");
    let temp = dir.path().join("tmp");
    fs::create_dir(&temp).expect("made");
    std::os::unix::fs::chown(&temp, Some(nobody), Some(nobody)).expect("given");
    say("without root:");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary).args(words);
    command.env(ROOTLESS, "1").env("TMPDIR", &temp).env("HOME", &temp).current_dir("/");
    command.status().is_ok_and(|status| status.success())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One case's own provider and what it needs to talk to it.
pub struct Bench {
    pub runtime: tokio::runtime::Runtime,
    pub dir: PathBuf,
    pub key: Arc<Key>,

    temp: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("pool-local-").tempdir().expect("temp");
        let dir = temp.path().join("here");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
        Self { runtime, dir, key: Arc::new(Key::new()), temp }
    }

    /// What is left of the case.
    fn end(&self) -> Vec<String> {
        let mut left: Vec<String> = Vec::new();
        let machines = fs::read_dir(self.dir.join("machines")).into_iter().flatten().flatten();
        left.extend(machines.map(|entry| entry.path().display().to_string()).filter(|path| path.contains("/m-")));
        left.extend(processes(self.temp.path()));
        left.extend(mounts(self.temp.path()));
        left.extend(loops(self.temp.path()));
        left
    }

    /// What a failed case left running, so that the next one starts clean.
    fn sweep(&self) {
        let provider = self.open();
        let page = self.runtime.block_on(provider.list(pool_inventory::Kind::Host, None)).unwrap_or_default();
        for host in page.objects {
            let act = Act::Delete { id: host.id, kind: pool_inventory::Kind::Host };
            let _ = self.submit(&provider, request("any", act));
        }
    }

    /// A bench in a folder of another one.
    pub fn at(dir: &Path, runtime: tokio::runtime::Runtime) -> Self {
        Self { runtime, dir: dir.to_owned(), ..Self::new() }
    }

    /// Opens the provider, as each run of `pool` does.
    pub fn open(&self) -> LocalProvider {
        self.open_with(&BTreeMap::new())
    }

    /// Opens the provider with declared backends.
    pub fn open_with(&self, backends: &BTreeMap<Name, BackendSpec>) -> LocalProvider {
        let program = std::env::current_exe().expect("own path");
        LocalProvider::open(&name("here"), &self.dir, program, backends).expect("opened")
    }

    pub fn submit(&self, provider: &LocalProvider, request: Request) -> Result<Progress, ProviderError> {
        self.runtime.block_on(provider.submit(vec![request])).remove(0)
    }

    /// Acts on an object of this name and expects to hear what it is now.
    pub fn done(&self, provider: &LocalProvider, host: &str, act: Act) -> Observed {
        match self.submit(provider, request(host, act)) {
            Ok(Progress::Done(observed)) => *observed,
            other => panic!("{host}: {other:?}"),
        }
    }

    pub fn create(&self, provider: &LocalProvider, host: &str) -> Observed {
        self.done(provider, host, Act::Create(Spec::Host(self.spec())))
    }

    pub fn delete(&self, provider: &LocalProvider, host: &Observed) {
        let act = Act::Delete { id: host.id.clone(), kind: pool_inventory::Kind::Host };
        let gone = self.submit(provider, request("any", act));
        assert_eq!(gone, Ok(Progress::Gone));
    }

    pub fn spec(&self) -> HostSpec {
        HostSpec {
            offering: "machine".into(),
            region: "".into(),
            zone: "".into(),
            size: Size { vcpus: 1, memory: Bytes::mib(256), disk: Bytes::gib(1) },
            image: "host".into(),
            network: None,
            tags: Default::default(),
            user: "root".into(),
            authorized_keys: vec![self.key.public()],
            at: None,
            ..HostSpec::default()
        }
    }

    /// Runs a command in a machine: status, output, errors.
    pub fn exec(&self, host: &Observed, command: &str) -> (u32, String, String) {
        self.exec_as(host, "root", command)
    }

    pub fn exec_as(&self, host: &Observed, user: &str, command: &str) -> (u32, String, String) {
        self.runtime.block_on(async {
            let session = crate::ssh::connect(host, user, &self.key).await.expect("logged in");
            crate::ssh::exec(&session, command, b"").await
        })
    }

    /// Output of a command that must succeed.
    pub fn output(&self, host: &Observed, command: &str) -> String {
        let (status, out, err) = self.exec(host, command);
        assert_eq!(status, 0, "{command}: {out}{err}");
        out.trim().to_owned()
    }
}

pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub fn owner(host: &str) -> Owner {
    let lineage = Lineage::from_bits([7; 16]);
    let address = Address::host(host);
    let token = Token::derive(&lineage, &address, 1, 0);
    Owner { lineage, address, generation: 1, token }
}

pub fn request(host: &str, act: Act) -> Request {
    Request { owner: owner(host), name: Text::from(format!("test-default-{host}")), act }
}

/// Processes whose command line names the folder, zombies included only while their parent is one of these.
pub fn processes(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").expect("proc").flatten();
    let lines = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (pid != std::process::id() && line.contains(&dir) && line.contains(pool_providers::local::machine::WORD))
            .then(|| format!("process {pid}: {line}"))
    });
    lines.collect()
}

/// Mounts of the folder or with parts of it, as this process sees them. Others come and go on a computer.
pub fn mounts(dir: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let ours = table.lines().filter(|line| line.contains(&*dir.to_string_lossy()));
    ours.map(|line| format!("mount {line}")).collect()
}

/// Loop devices whose files are in the folder.
pub fn loops(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let used = entries.filter_map(|entry| {
        let file = fs::read_to_string(entry.path().join("loop/backing_file")).ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        file.contains(&*dir.to_string_lossy()).then(|| format!("loop device {name} on {}", file.trim_end()))
    });
    used.collect()
}
