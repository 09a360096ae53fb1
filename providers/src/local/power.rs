//! Starting and ending machines.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::fd::AsFd,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use pool_storage_tiers::files::{absent_is_none, is_locked, lock_file, wait_unlocked};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    control::{self, Answer, Ask},
    machine::{ALIVE, WORD},
    notes::Notes,
};

/// How long a machine may take to be up; usual is a tenth of a second.
const BOOT: Duration = Duration::from_secs(30);
/// How long it may take to be gone.
const END: Duration = Duration::from_secs(20);
/// The log is begun anew above this.
const LOG: u64 = 256 * 1024;

/// Whether any process of the machine lives.
pub(super) fn is_running(dir: &Path) -> io::Result<bool> {
    is_locked(&dir.join(ALIVE))
}

/// Starts a machine that is off and waits until it can be logged in to.
pub(super) fn start(program: &Path, dir: &Path, notes: &Notes) -> io::Result<()> {
    let mut command = Command::new("setsid");
    command.args(["--fork", "unshare", "--mount", "--propagation", "private"]);
    if notes.rootless {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--").arg(program).args([WORD, "keeper"]).arg(dir);
    // Nothing of what we were started with is the machine's business: secrets stand in environments.
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    // The lock goes from us to the machine without a gap: were we killed right now, whoever comes next would see
    // either a machine or none, never one that is about to be.
    let alive = lock_file(&dir.join(ALIVE), Duration::from_secs(2))?;
    command.current_dir("/").stdin(alive).stderr(log(dir)?);
    let (ours, theirs) = io::pipe()?;
    let mut child = command.stdout(theirs).spawn()?;
    // It holds our pipe's other end.
    drop(command);
    let said = first_line(ours, BOOT);
    child.wait()?;
    match said {
        Ok(line) => match line.trim().split_once(' ') {
            Some(("failed", why)) => Err(io::Error::other(why.to_owned())),
            _ => Ok(()),
        },
        // The log may be removed with the machine before anybody can read it.
        Err(error) => Err(io::Error::new(error.kind(), format!("{error}; last in its log: {}", last_line(dir)))),
    }
}

/// The end of the log, in one line.
fn last_line(dir: &Path) -> String {
    let text = fs::read(dir.join("log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    last.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn log(dir: &Path) -> io::Result<File> {
    let path = dir.join("log");
    let long = absent_is_none(fs::metadata(&path))?.is_some_and(|found| found.len() > LOG);
    fs::OpenOptions::new().create(true).append(!long).write(true).truncate(long).open(path)
}

/// Reads one line of at most a few KiB; an end before it means that the process has ended.
fn first_line(mut pipe: io::PipeReader, patience: Duration) -> io::Result<String> {
    let until = Instant::now() + patience;
    let mut line = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        if poll(&mut [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)], Some(&left))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the machine does not come up"));
        }
        let mut some = [0; 1024];
        match pipe.read(&mut some)? {
            0 => return Err(io::Error::other("the machine ended at once")),
            n => line.extend_from_slice(&some[..n]),
        }
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// Ends a machine, if it runs, and waits until nothing of it is left.
pub(super) fn stop(dir: &Path, gently: bool) -> io::Result<()> {
    let until = Instant::now() + END;
    while is_running(dir)? {
        // Refused or cut off: it is just starting or ending.
        if ask(dir, &Ask::Off { gently }).is_ok() && wait_unlocked(&dir.join(ALIVE), END)? {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the machine does not end"));
        }
        wait_unlocked(&dir.join(ALIVE), Duration::from_millis(50))?;
    }
    Ok(())
}

/// Asks the keeper of a running machine.
pub(super) fn ask(dir: &Path, ask: &Ask) -> io::Result<Answer> {
    control::ask(dir, ask, END)
}
