//! One run: an inventory, its life under trouble, and the end of all trouble.

use std::{
    fmt::Write as _,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use pool_inventory::{Kind, Name, desired::SimSpec, object::Spec};
use pool_providers::sim::{Meddling, SimProvider};
use serde_json::Value;

use crate::{
    judge::{World, ledger_of},
    model::Model,
    random::Random,
    trouble::{self, Disruption},
};

/// A command that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Applies in peace until there is nothing left to do: one, and one more for what the first found broken.
const PATIENCE: usize = 4;

/// How a command ended.
struct End {
    code: Option<i32>,
    killed: bool,
    text: String,
}

pub struct Run {
    dir: PathBuf,
    program: PathBuf,
    random: Random,
    model: Model,
    /// Everything that was done, for whoever looks for the reason.
    pub log: String,
    outputs: u32,
    pub commands: u32,
}

impl Run {
    pub fn new(seed: u64, dir: &Path, program: &Path) -> Self {
        let mut random = Random::new(seed);
        let model = Model::new(&mut random);
        let (dir, program) = (dir.to_owned(), program.to_owned());
        Self { dir, program, random, model, log: String::new(), outputs: 0, commands: 0 }
    }

    /// The whole life. The error says which invariant does not hold.
    pub fn live(&mut self) -> Result<(), String> {
        for round in 0..self.random.between(2, 4) {
            if round > 0 {
                for _ in 0..self.random.between(0, 2) {
                    let edit = self.model.edit(&mut self.random);
                    self.note(&format!("edit: {edit}"));
                }
                if self.random.percent(40) {
                    self.meddle()?;
                }
            }
            self.round()?;
        }
        self.peace()?;
        if self.random.percent(25) { self.end() } else { Ok(()) }
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.log, "--- {text}");
    }

    fn write(&mut self) -> Result<(), String> {
        let text = self.model.text();
        self.note(&format!("inventory:\n{text}"));
        fs::write(self.dir.join("pool.yaml"), text).map_err(|error| error.to_string())
    }

    fn round(&mut self) -> Result<(), String> {
        let mut disruption = Disruption::any(&mut self.random);
        // Who is stopped while it makes the state is waited for, and for long.
        if matches!(disruption, Disruption::Freeze(_)) && self.largest() == 0 {
            disruption = Disruption::None;
        }
        let slow = !matches!(disruption, Disruption::None | Disruption::CrashAt(_) | Disruption::Jump { .. });
        let trouble = self.random.percent(75);
        for cloud in &mut self.model.clouds {
            cloud.faults.clear();
            if trouble {
                trouble::choose(cloud, slow, &mut self.random);
            }
        }
        self.write()?;
        let command = self.command();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let before = World::read(&self.dir, &self.model)?;
        self.note(&format!("{disruption:?}"));
        match disruption {
            Disruption::Two { .. } | Disruption::Steal(_) | Disruption::Freeze(_) => self.two(&command, disruption)?,
            _ => drop(self.disturbed(&command, disruption)?),
        }
        let after = World::read(&self.dir, &self.model)?;
        after.always(&self.dir, &self.model)?;
        let alone = !matches!(disruption, Disruption::Two { .. } | Disruption::Steal(_) | Disruption::Freeze(_));
        let whole = command.contains(&"destroy") && !command.contains(&"--target");
        after.since(&before, &self.model, alone && !whole)
    }

    /// What is done in a round.
    fn command(&mut self) -> Vec<String> {
        let pool = match self.model.pools.is_empty() {
            true => "none".to_owned(),
            false => self.random.pick(&self.model.pools).name.clone(),
        };
        let providers = ["--observe", "providers"];
        const KINDS: &[(u64, u8)] = &[(50, 0), (8, 1), (8, 2), (8, 3), (5, 4), (5, 5), (4, 6), (4, 7), (4, 8), (3, 9)];
        let target = format!("pool/{pool}");
        let (host, volumes) = (format!("{pool}-0"), format!("pool={pool}"));
        let words: Vec<&str> = match self.random.weighted(KINDS) {
            0 => [&["apply", "--yes"][..], &providers].concat(),
            1 => vec!["apply", "--yes", "--partial"],
            2 => [&["apply", "--yes", "--partial", "--on-failure", "stop"][..], &providers].concat(),
            3 => [&["apply", "--yes", "--partial", "--parallelism", "1"][..], &providers].concat(),
            4 => [&["apply", "--yes", "--target", &target][..], &providers].concat(),
            5 => vec!["destroy", "--yes", "--target", &target],
            6 => vec!["volume", "snapshot", &volumes, "one", "--yes"],
            7 => vec!["host", "stop", &host, "--yes"],
            8 => [&["apply", "--yes", "--refresh-only"][..], &providers].concat(),
            _ => vec!["destroy", "--yes"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    fn start(&mut self, words: &[&str], how: Disruption) -> Result<(Child, PathBuf), String> {
        self.commands += 1;
        self.outputs += 1;
        let file = self.dir.join(format!(".out-{}", self.outputs));
        let mut command = match how {
            Disruption::DiskFull(blocks) => {
                // The shell hands down that too large a file is an error and no signal.
                let mut shell = Command::new("sh");
                let limit = (self.largest() / 512 + blocks).to_string();
                shell.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &limit]);
                shell.arg(&self.program);
                shell
            }
            Disruption::Interrupt { .. } => {
                // Whoever runs this in the background has Ctrl-C ignored, and hands that down.
                let mut listens = Command::new("env");
                listens.arg("--default-signal=INT").arg(&self.program);
                listens
            }
            _ => Command::new(&self.program),
        };
        command.arg("-C").arg(&self.dir).args(words);
        if let Disruption::Limit(millis) = how {
            command.args(["--timeout", &format!("{millis}ms")]);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POOL_")) {
            command.env_remove(name);
        }
        match how {
            Disruption::CrashAt(point) => drop(command.env("POOL_CRASH_AT", point.to_string())),
            Disruption::Jump { at, seconds } => {
                command.env("POOL_CLOCK_JUMP", format!("{at}:{}", seconds * 1000));
            }
            _ => {}
        }
        let output = fs::File::create(&file).map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        self.note(&format!("pool {}", words.join(" ")));
        child.map(|child| (child, file)).map_err(|error| format!("{} does not start: {error}", self.program.display()))
    }

    fn largest(&self) -> u64 {
        let files = [".pool", ".pool/sim"].map(|folder| fs::read_dir(self.dir.join(folder)));
        let files = files.into_iter().flatten().flatten().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).max().unwrap_or(0)
    }

    /// Waits for the end, and looks at it. `may_die`: it is killed on purpose.
    fn finish(&mut self, (mut child, file): (Child, PathBuf), may_die: bool) -> Result<End, String> {
        let begun = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if begun.elapsed() > HANGS => {
                    let _ = child.kill();
                    let said = fs::read(&file).unwrap_or_default();
                    let said = String::from_utf8_lossy(&said);
                    return Err(format!("it hangs:\n{said}"));
                }
                None => sleep(Duration::from_millis(2)),
            }
        };
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()).into_owned();
        let _ = writeln!(self.log, "{text}--- {status} after {} ms", begun.elapsed().as_millis());
        let end = End { code: status.code(), killed: status.signal() == Some(9), text };
        let wrong = |why: &str| Err(format!("{why}: {status}"));
        if end.text.contains("panicked") || end.text.contains("bug in pool") {
            return wrong("a bug of its own");
        }
        match end.code {
            Some(0 | 1 | 2 | 4 | 5 | 6 | 7 | 8 | 130) => Ok(end),
            // A command about a pool that has no hosts, or about nothing.
            Some(64) if !end.text.contains("pool.yaml:") => Ok(end),
            None if end.killed && may_die => Ok(end),
            _ => wrong("an end that is not among those promised"),
        }
    }

    /// One command, and what happens to its process.
    fn disturbed(&mut self, words: &[&str], how: Disruption) -> Result<End, String> {
        let started = self.start(words, how)?;
        let pid = started.0.id();
        let pause = |millis| sleep(Duration::from_millis(millis));
        match how {
            Disruption::KillAfter(millis) => {
                pause(millis);
                signal(pid, "KILL");
            }
            Disruption::Interrupt { after, twice } => {
                pause(after);
                signal(pid, "INT");
                if twice {
                    pause(after / 4);
                    signal(pid, "INT");
                }
            }
            _ => {}
        }
        self.finish_any(started)
    }

    /// The end of a process that may be killed, by us or by a fault of a cloud; or by a signal before it listens to it.
    fn finish_any(&mut self, started: (Child, PathBuf)) -> Result<End, String> {
        match self.finish(started, true) {
            Err(text) if text.contains("SIGINT") => Ok(End { code: None, killed: true, text }),
            other => other,
        }
    }

    /// Two operators at once, in one way or another.
    fn two(&mut self, words: &[&str], how: Disruption) -> Result<(), String> {
        let wait = if let Disruption::Two { wait } = how { wait } else { 0 };
        let wait = format!("{wait}s");
        let words: Vec<&str> = words.iter().copied().chain(["--lock-timeout", &wait]).collect();
        let first = self.start(&words, Disruption::None)?;
        let pid = first.0.id();
        match how {
            Disruption::Steal(millis) => {
                sleep(Duration::from_millis(millis));
                self.unlock()?;
                // What was sent before arrives; the cloud says of itself that it takes no longer.
                sleep(Duration::from_millis(100));
            }
            Disruption::Freeze(millis) => {
                sleep(Duration::from_millis(millis));
                signal(pid, "STOP");
                self.unlock()?;
            }
            _ => {}
        }
        let stopped = Instant::now();
        let second = self.start(&words, Disruption::None)?;
        let ended = self.finish_any(second);
        if matches!(how, Disruption::Freeze(_)) {
            // Whoever stood still for a shorter time than this has only what it had sent before.
            sleep(Duration::from_millis(1200).saturating_sub(stopped.elapsed()));
        }
        signal(pid, "CONT");
        self.finish_any(first)?;
        ended.map(drop)
    }

    /// Takes the lease away from whoever has it.
    fn unlock(&mut self) -> Result<(), String> {
        let status = self.start(&["status", "--json"], Disruption::None)?;
        let status = self.finish(status, false)?;
        let json = status.text.find('{').map_or("", |at| &status.text[at..]);
        let value: Value = serde_json::from_str(json).unwrap_or(Value::Null);
        let Some(id) = value["result"]["lease"]["id"].as_str() else { return Ok(()) };
        let unlock = self.start(&["unlock", id, "--yes"], Disruption::None)?;
        self.finish(unlock, false).map(drop)
    }

    /// No faults, no hands but ours: everything becomes as declared, and then nothing is left to do.
    fn peace(&mut self) -> Result<(), String> {
        self.model.release();
        self.write()?;
        self.mend()?;
        let mut whole = None;
        for _ in 0..PATIENCE {
            let apply = self.start(&["apply", "--yes", "--partial"], Disruption::None)?;
            self.finish(apply, false)?;
            let plan = self.start(&["plan", "--json", "--detailed-exitcode"], Disruption::None)?;
            let plan = self.finish(plan, false)?;
            if steps(&plan.text) == Some(0) && matches!(plan.code, Some(0 | 5)) {
                whole = Some(plan.code == Some(0));
                break;
            }
        }
        let whole = whole.ok_or(format!("after {PATIENCE} applies in peace there is still something to do"))?;
        let world = World::read(&self.dir, &self.model)?;
        world.always(&self.dir, &self.model)?;
        let recorded = self.export()?;
        world.settled(&self.model, &recorded, whole)
    }

    /// Everything is destroyed.
    fn end(&mut self) -> Result<(), String> {
        for words in [&["destroy", "--yes"][..], &["plan", "--destroy", "--detailed-exitcode"]] {
            let command = self.start(words, Disruption::None)?;
            let end = self.finish(command, false)?;
            if end.code != Some(0) {
                return Err(format!("pool {} in peace ends with {:?}", words.join(" "), end.code));
            }
        }
        let world = World::read(&self.dir, &self.model)?;
        world.always(&self.dir, &self.model)?;
        self.model.pools.clear();
        let recorded = self.export()?;
        world.settled(&self.model, &recorded, true)
    }

    fn export(&mut self) -> Result<Value, String> {
        let pull = self.start(&["state", "pull"], Disruption::None)?;
        let pull = self.finish(pull, false)?;
        if pull.text.contains("no state") || pull.code != Some(0) {
            return Ok(Value::Null);
        }
        serde_json::from_str(&pull.text).map_err(|error| format!("the state's export: {error}"))
    }

    /// Somebody else does something in an account.
    fn meddle(&mut self) -> Result<(), String> {
        let cloud = self.random.pick(&self.model.clouds).clone();
        let world = World::read(&self.dir, &self.model)?;
        let ledger = &world.0[&cloud.name];
        let Some(kind) = [Kind::Host, Kind::Volume, Kind::Network].get(self.random.between(0, 2) as usize) else {
            return Ok(());
        };
        let ids = world.ids(&cloud.name, *kind);
        if ids.is_empty() {
            return Ok(());
        }
        let id = self.random.pick(&ids).clone();
        let object = ledger.live.iter().find(|o| o.id == id).ok_or("it lives")?;
        let what = match (self.random.between(0, 5), &object.spec) {
            (0 | 1, _) => Meddling::Delete { id },
            (2, Spec::Host(_)) => Meddling::Stop { id },
            (2, Spec::Volume(_)) => Meddling::Write { id, content: "something".into() },
            (3, _) => Meddling::Break { id, words: "somebody broke it".into() },
            (4, spec) if cloud.quota.is_none() => Meddling::Foreign { name: "stranger".into(), spec: spec.clone() },
            (_, spec) => {
                let mut spec = spec.clone();
                match &mut spec {
                    Spec::Host(host) => drop(host.tags.insert("stray".into(), "yes".into())),
                    Spec::Volume(volume) => drop(volume.tags.insert("stray".into(), "yes".into())),
                    _ => return Ok(()),
                }
                Meddling::Change { id, spec }
            }
        };
        self.behind(&cloud.name, what)
    }

    /// What would never end is ended by whoever runs the clouds. Machines that never came up are left to us.
    fn mend(&mut self) -> Result<(), String> {
        let world = World::read(&self.dir, &self.model)?;
        for (cloud, id) in world.unended() {
            self.behind(&cloud, Meddling::Mend { id })?;
        }
        Ok(())
    }

    /// Does something in an account that is not ours to do.
    fn behind(&mut self, cloud: &str, what: Meddling) -> Result<(), String> {
        self.note(&format!("behind our back in {cloud}: {what:?}"));
        let name = Name::new(cloud).map_err(|error| error.to_string())?;
        let path = ledger_of(&self.dir, cloud);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let opened = SimProvider::open(name, SimSpec::default(), path).map_err(|error| error.to_string())?;
        runtime.block_on(opened.meddle(what)).map(drop).map_err(|error| error.to_string())
    }
}

/// How many steps the plan in the JSON lines of `pool plan` has.
fn steps(lines: &str) -> Option<u64> {
    let summary = lines.lines().rev().find(|line| line.contains("\"event\":\"summary\""))?;
    serde_json::from_str::<Value>(summary).ok()?["steps"].as_u64()
}

fn signal(pid: u32, name: &str) {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return };
    let signal = match name {
        "INT" => rustix::process::Signal::INT,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        _ => rustix::process::Signal::KILL,
    };
    // It may have ended before.
    let _ = rustix::process::kill_process(pid, signal);
}
