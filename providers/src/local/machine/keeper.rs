//! The process outside a machine that holds it: when it ends, the machine ends.

use std::{
    fs,
    io::{self, BufReader},
    os::{fd::AsFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use super::{Doing, Fault, WORD, graft, log};
use crate::local::{
    control::{self, Answer, Ask, Say},
    notes::{Fitting, NOTES, Notes},
};

/// Locked as long as any process of the machine lives.
pub(crate) const ALIVE: &str = "alive";
/// A connection that says nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a gentle end may take before it is made a hard one.
const GRACE: Duration = Duration::from_secs(5);

struct Keeper {
    dir: PathBuf,
    rootless: bool,
    /// The machine's lifeline and first process, once it has said hello.
    machine: Mutex<Option<Machine>>,
    /// Told when the machine's first process is gone.
    ended: Condvar,
    /// One change of volumes at a time.
    volumes: Mutex<()>,
}

struct Machine {
    line: UnixStream,
    pid: Pid,
}

/// Process `keeper`: runs one machine from start to end.
pub(super) fn run(dir: &Path) -> Result<(), Fault> {
    let outcome = start(dir);
    if let Err(fault) = &outcome {
        report(&format!("failed {}", fault.chain()));
    }
    let (keeper, mut child, _alive) = outcome?;
    let status = child.wait();
    log(&format!("the machine ended: {status:?}"));
    // Whoever waited for the machine to be ready learns that it never will be.
    report("failed it ended before it was ready; the machine's log says why");
    keeper.end_volumes();
    Ok(())
}

/// One line to whoever started us, once; then nobody is spoken to any more.
fn report(line: &str) {
    use io::Write;
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    if let Ok(null) = fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

fn start(dir: &Path) -> Result<(Arc<Keeper>, Child, fs::File), Fault> {
    // Whoever started us holds the lock and gave it to us as our standard input.
    let alive = io::stdin().as_fd().try_clone_to_owned().map(fs::File::from).doing(|| "taking the lock".into())?;
    flock(&alive, FlockOperation::NonBlockingLockExclusive).doing(|| "taking the lock".into())?;
    let notes: Notes = fs::read(dir.join(NOTES))
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .doing(|| "reading the notes".into())?;
    let keeper = Arc::new(Keeper {
        dir: dir.to_owned(),
        rootless: notes.rootless,
        machine: Mutex::new(None),
        ended: Condvar::new(),
        volumes: Mutex::new(()),
    });
    for (id, fitting) in &notes.volumes {
        keeper.mount_image(id, fitting)?;
    }
    let socket = control::listen(dir).doing(|| "listening on the control socket".into())?;
    let shared = alive.try_clone().doing(|| "sharing the lock".into())?;
    let child = spawn(dir, shared)?;
    let listener = Arc::clone(&keeper);
    std::thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            let keeper = Arc::clone(&listener);
            std::thread::spawn(move || keeper.serve(stream));
        }
    });
    Ok((keeper, child, alive))
}

/// Starts the machine. Its processes share our lock: it is free when the last of them has ended.
fn spawn(dir: &Path, alive: fs::File) -> Result<Child, Fault> {
    let what = || "starting the machine".to_owned();
    let program = std::env::current_exe().doing(what)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private", "--"]);
    command.arg(program).args([WORD, "init"]).arg(dir);
    command.stdin(Stdio::null()).stdout(Stdio::from(alive)).spawn().doing(what)
}

impl Keeper {
    fn machine(&self) -> MutexGuard<'_, Option<Machine>> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: UnixStream) {
        let outcome = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| {
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut reader = BufReader::new(stream.try_clone()?);
            let mut stream = stream;
            match control::receive(&mut reader)? {
                Ask::Hello => self.lifeline(stream, reader),
                ask => control::send(&mut stream, &self.answer(ask)),
            }
        });
        if let Err(error) = outcome {
            log(&format!("a control connection failed: {error}"));
        }
    }

    fn answer(&self, ask: Ask) -> Answer {
        let done = match ask {
            Ask::Hello => Ok(true),
            Ask::Off { gently } => {
                self.off(gently);
                Ok(true)
            }
            Ask::Attach { id, fitting } => self.attach(&id, &fitting).map(|()| true),
            Ask::Detach { id, fitting } => self.detach(&id, &fitting),
            Ask::Grow { id, fitting } => self.grow(&id, &fitting),
        };
        match done {
            Ok(true) => Answer::Ok,
            Ok(false) => Answer::Busy("processes of the machine use the volume".into()),
            Err(fault) => Answer::Failed(fault.chain()),
        }
    }

    /// The machine's own connection; as long as it is open, the machine lives.
    fn lifeline(&self, mut stream: UnixStream, mut reader: BufReader<UnixStream>) -> io::Result<()> {
        let pid = rustix::net::sockopt::socket_peercred(&stream)?.pid;
        *self.machine() = Some(Machine { line: stream.try_clone()?, pid });
        control::send(&mut stream, &Answer::Ok)?;
        reader.get_ref().set_read_timeout(None)?;
        while let Ok(word) = control::receive(&mut reader) {
            match word {
                Say::Map => control::send(&mut stream, &map_ids(pid))?,
                Say::Ready => report("ready"),
                Say::Failed(why) => report(&format!("failed {why}")),
            }
        }
        *self.machine() = None;
        self.ended.notify_all();
        Ok(())
    }

    /// Ends the machine; the main thread sees it end, cleans up and ends the keeper.
    fn off(&self, gently: bool) {
        let mut machine = self.machine();
        if gently && let Some(machine) = machine.as_mut() {
            let _ = control::send(&mut machine.line, &Answer::Off);
        }
        if gently {
            let waited = self.ended.wait_timeout_while(machine, GRACE, |machine| machine.is_some());
            machine = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match machine.as_ref() {
            Some(machine) => drop(kill_process(machine.pid, Signal::KILL)),
            // It never said hello, or is gone already: our end is its end.
            None if !gently => std::process::exit(1),
            None => {}
        }
    }

    fn attach(&self, id: &str, fitting: &Fitting) -> Result<(), Fault> {
        let _one = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        self.mount_image(id, fitting)?;
        let Some(target) = fitting.mount.as_deref() else { return Ok(()) };
        let pid = self.pid()?;
        if mounted_at(pid, target)? {
            return Ok(());
        }
        let source = graft::source(&self.dir, id, fitting);
        helper(&["graft", &pid.as_raw_pid().to_string(), &source.to_string_lossy(), target]).map(drop)
    }

    fn detach(&self, id: &str, fitting: &Fitting) -> Result<bool, Fault> {
        let _one = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = fitting.mount.as_deref() {
            let pid = self.pid()?;
            if mounted_at(pid, target)? && !helper(&["ungraft", &pid.as_raw_pid().to_string(), target])? {
                return Ok(false);
            }
        }
        self.unmount_image(id)?;
        Ok(true)
    }

    fn pid(&self) -> Result<Pid, Fault> {
        let machine = self.machine();
        let gone = || Fault::new("the machine is ending", io::ErrorKind::NotConnected.into());
        machine.as_ref().map(|machine| machine.pid).ok_or_else(gone)
    }

    fn mount_image(&self, id: &str, fitting: &Fitting) -> Result<(), Fault> {
        let at = graft::image_mount(&self.dir, id);
        if !fitting.image || is_mount(&at)? {
            return Ok(());
        }
        if self.rootless {
            return Err(Fault::new("mounting an image needs root", io::ErrorKind::PermissionDenied.into()));
        }
        fs::create_dir_all(&at).doing(|| format!("making {}", at.display()))?;
        let mut command = Command::new("mount");
        // The kernel frees the loop device with the mount, also when we are killed.
        command.args(["-n", "-t", "ext4", "-o", "loop,nodev,nosuid"]).arg(&fitting.source).arg(&at);
        tool(command)
    }

    fn unmount_image(&self, id: &str) -> Result<(), Fault> {
        let at = graft::image_mount(&self.dir, id);
        if !is_mount(&at)? {
            return Ok(());
        }
        let flags = rustix::mount::UnmountFlags::empty();
        rustix::mount::unmount(&at, flags).doing(|| format!("unmounting {}", at.display()))
    }

    /// After the machine has ended: its images, so that their loop devices are free before the lock is.
    fn end_volumes(&self) {
        let Ok(entries) = fs::read_dir(self.dir.join("images")) else { return };
        for id in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
            if let Err(fault) = self.unmount_image(&id) {
                log(&fault.chain());
            }
        }
    }

    /// Lets a file system follow its image. `false`: it is in use and cannot grow in place.
    fn grow(&self, id: &str, fitting: &Fitting) -> Result<bool, Fault> {
        let device = device_of(&graft::image_mount(&self.dir, id))?;
        let mut losetup = Command::new("losetup");
        losetup.arg("--set-capacity").arg(&device);
        tool(losetup)?;
        let mut resize = Command::new("resize2fs");
        resize.arg(&device);
        let Err(fault) = tool(resize) else { return Ok(true) };
        // The kernel lets only some roots do that, not those of many containers. Where nobody uses the volume just
        // now, it can be taken out, grown, and put back.
        log(&fault.chain());
        if !self.detach(id, fitting)? {
            return Ok(false);
        }
        let grown = pool_storage_tiers::grow_file_system(&fitting.source);
        self.attach(id, fitting)?;
        grown.doing(|| "growing the file system".into()).map(|()| true)
    }
}

/// All ids stand for themselves: the namespace is there for what it does not grant.
fn map_ids(pid: Pid) -> Answer {
    for name in ["uid_map", "gid_map"] {
        let path = format!("/proc/{}/{name}", pid.as_raw_pid());
        if let Err(error) = fs::write(&path, "0 0 4294967295\n") {
            return Answer::Failed(format!("writing {path}: {error}"));
        }
    }
    Answer::Ok
}

/// Runs one of our own short processes; `false`: it said that a volume is busy.
fn helper(words: &[&str]) -> Result<bool, Fault> {
    let what = || format!("running {}", words.join(" "));
    // The program that runs, even where a newer one has taken its place on disk.
    let output = Command::new("/proc/self/exe").arg(WORD).args(words).stdin(Stdio::null()).output().doing(what)?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(graft::BUSY) => Ok(false),
        _ => Err(Fault::new(what(), io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))),
    }
}

fn tool(mut command: Command) -> Result<(), Fault> {
    let what = || format!("running {:?}", command.get_program());
    let what = what();
    let output = command.stdin(Stdio::null()).output().doing(|| what.clone())?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::new(what, io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())))
}

/// Lines of a mount table, as (mount point, source).
pub(super) fn mounts(table: &str) -> Result<Vec<(String, String)>, Fault> {
    let text = fs::read_to_string(table).doing(|| format!("reading {table}"))?;
    let line = |line: &str| {
        let (fields, rest) = line.split_once(" - ")?;
        Some((unescape(fields.split(' ').nth(4)?), unescape(rest.split(' ').nth(1)?)))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// Spaces and the like stand in mount tables as three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

fn mounted_at(pid: Pid, target: &str) -> Result<bool, Fault> {
    let target = target.trim_end_matches('/');
    Ok(mounts(&format!("/proc/{}/mountinfo", pid.as_raw_pid()))?.iter().any(|(at, _)| at == target))
}

fn is_mount(at: &Path) -> Result<bool, Fault> {
    Ok(mounts("/proc/self/mountinfo")?.iter().any(|(point, _)| Path::new(point) == at))
}

fn device_of(at: &Path) -> Result<String, Fault> {
    let found = mounts("/proc/self/mountinfo")?.into_iter().find(|(point, _)| Path::new(point) == at);
    found
        .map(|(_, source)| source)
        .ok_or_else(|| Fault::new(format!("{} is not mounted", at.display()), io::Error::from(Errno::INVAL)))
}
