//! What is said over a machine's control socket: one line of JSON each way.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use pool_inventory::Text;
use pool_storage_tiers::files;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::notes::Fitting;

/// Name of the socket in a machine's folder.
const SOCKET: &str = "control";
/// Longest line; far above anything that is said.
const LINE: u64 = 64 * 1024;

/// What is asked of the keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ask {
    /// From the machine itself, first of all: the connection stays open as its lifeline.
    Hello,
    /// Turn the machine off; the keeper ends.
    Off {
        /// Whether its processes get time to end by themselves.
        gently: bool,
    },
    /// Mount a volume in the running machine.
    Attach { id: Text, fitting: Fitting },
    /// Unmount it there.
    Detach { id: Text, fitting: Fitting },
    /// Its image has grown: let loop device and file system follow.
    Grow { id: Text, fitting: Fitting },
}

/// What the machine says over its lifeline.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Say {
    /// It is in a new user namespace that needs its map of ids.
    Map,
    /// Its SSH server listens.
    Ready,
    /// It cannot start.
    Failed(String),
}

/// What the keeper answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// Done.
    Ok,
    /// The volume is in use; by what.
    Busy(String),
    /// It failed; why, as one line.
    Failed(String),
    /// To the machine only: end your processes and yourself.
    Off,
}

/// Listens in a machine's folder.
pub(super) fn listen(dir: &Path) -> io::Result<UnixListener> {
    let folder = File::open(dir)?;
    files::absent_is_none(std::fs::remove_file(dir.join(SOCKET)))?;
    UnixListener::bind(short(&folder))
}

/// Connects to the keeper of a machine.
pub(super) fn connect(dir: &Path) -> io::Result<UnixStream> {
    let folder = File::open(dir)?;
    UnixStream::connect(short(&folder))
}

/// Socket addresses hold 107 bytes, folders may be deeper; the way over the open folder is always short.
fn short(folder: &File) -> PathBuf {
    format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()).into()
}

/// Asks once and waits for the answer.
pub(super) fn ask(dir: &Path, ask: &Ask, patience: Duration) -> io::Result<Answer> {
    let mut stream = connect(dir)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    send(&mut stream, ask)?;
    receive(&mut BufReader::new(stream))
}

/// Sends one line.
pub(super) fn send<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Receives one line; the end of the stream is an error.
pub(super) fn receive<T: DeserializeOwned>(stream: &mut impl BufRead) -> io::Result<T> {
    let mut line = String::new();
    stream.by_ref().take(LINE).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
