//! The first process of a machine.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use super::{Doing, Fault, WORD, log, rights, root};
use crate::local::{
    control::{self, Answer, Ask, Say},
    notes::{INSIDE, NOTES, Notes},
};

/// How long processes may take to end after they were asked to.
const GRACE: Duration = Duration::from_secs(3);
/// Shortest time between two starts of the SSH server.
const REST: Duration = Duration::from_secs(1);

/// Process `init`: builds the machine and looks after it until it is told to end, or nobody is left to tell it so.
pub(super) fn run(dir: &Path) -> Result<(), Fault> {
    let mut line = control::connect(dir).doing(|| "connecting to the keeper".into())?;
    let mut answers = BufReader::new(line.try_clone().doing(|| "sharing the lifeline".into())?);
    call(&mut line, &mut answers, &Ask::Hello)?;
    let server = match build(dir, &mut line, &mut answers).and_then(|()| start_server()) {
        Ok(server) => server,
        Err(fault) => {
            let _ = control::send(&mut line, &Say::Failed(fault.chain()));
            return Err(fault);
        }
    };
    control::send(&mut line, &Say::Ready).doing(|| "telling the keeper".into())?;
    let ending = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ending);
    std::thread::spawn(move || follow(answers, &told));
    supervise(server, &ending)
}

fn build(dir: &Path, line: &mut UnixStream, answers: &mut BufReader<UnixStream>) -> Result<(), Fault> {
    let notes: Notes = fs::read(dir.join(NOTES))
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .doing(|| "reading the notes".into())?;
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
    rustix::system::sethostname(notes.hostname().as_bytes()).doing(|| "setting the host name".into())?;
    let settings = root::enter(dir, &notes)?;
    if !notes.rootless {
        rights::enter_user_namespace()?;
        call(line, answers, &Say::Map)?;
    }
    settings.forbid_user_namespaces()?;
    rights::drop_rights()
}

fn call<T: serde::Serialize>(
    line: &mut UnixStream,
    answers: &mut BufReader<UnixStream>,
    message: &T,
) -> Result<(), Fault> {
    let what = || "talking to the keeper".to_owned();
    control::send(line, message).doing(what)?;
    match control::receive(answers).doing(what)? {
        Answer::Ok => Ok(()),
        Answer::Failed(why) => Err(Fault::new("the keeper could not help", io::Error::other(why))),
        Answer::Busy(_) | Answer::Off => Err(Fault::new("talking to the keeper", io::ErrorKind::InvalidData.into())),
    }
}

/// Starts the SSH server and waits until it listens.
fn start_server() -> Result<Child, Fault> {
    let what = || "starting the SSH server".to_owned();
    let mut command = Command::new(PathBuf::from(INSIDE).join("program"));
    command.args([WORD, "sshd"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = command.spawn().doing(what)?;
    let mut said = String::new();
    if let Some(out) = server.stdout.take() {
        BufReader::new(out).read_line(&mut said).doing(what)?;
    }
    match said.trim() {
        "ready" => Ok(server),
        "" => Err(Fault::new(what(), io::Error::other("it ended; the machine's log says why"))),
        why => Err(Fault::new(what(), io::Error::other(why.to_owned()))),
    }
}

/// Collects every process that ends, and starts the SSH server again when it is among them.
fn supervise(mut server: Child, ending: &AtomicBool) -> Result<(), Fault> {
    let mut started = Instant::now();
    loop {
        let own = Pid::from_child(&server);
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, _))) if pid != own => continue,
            Err(rustix::io::Errno::INTR) => continue,
            _ => {}
        }
        if !ending.load(Ordering::SeqCst) {
            std::thread::sleep(REST.saturating_sub(started.elapsed()));
        }
        if ending.load(Ordering::SeqCst) {
            // `follow` ends us; until then there may be others to collect.
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        log("the SSH server ended; it is started again");
        started = Instant::now();
        match start_server() {
            Ok(again) => server = again,
            Err(fault) => log(&fault.chain()),
        }
    }
}

/// Ends the machine when the keeper says so, and at once when the keeper is gone.
fn follow(mut answers: BufReader<UnixStream>, ending: &AtomicBool) {
    while let Ok(answer) = control::receive(&mut answers) {
        if matches!(answer, Answer::Off) {
            ending.store(true, Ordering::SeqCst);
            end_processes();
            break;
        }
    }
    // The kernel ends every process of the machine with its first one.
    std::process::exit(0);
}

fn end_processes() {
    let until = Instant::now() + GRACE;
    for pid in others() {
        let _ = kill_process(pid, Signal::TERM);
    }
    while !others().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn others() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| *pid > 1).filter_map(Pid::from_raw).collect()
}
