//! One session of the SSH server: a command or a shell.

use std::{
    ffi::OsString,
    io,
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, server::Msg};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    sync::{Semaphore, mpsc},
    time::timeout,
};

use crate::local::{
    machine::{
        WORD,
        terminal::{Terminal, window},
        users,
    },
    notes::INSIDE,
};

/// Input that waits for a command to read it.
///
/// The library hands out room for more input as soon as input arrives, and reads nothing else while one session does
/// not take its input. So sessions take it, up to here.
const INPUT: u32 = 32 * 1024 * 1024;
/// How long a session whose input is full may hold up its connection.
const STALL: Duration = Duration::from_secs(60);
/// How long output of a terminal is waited for after the shell has ended, while something else holds the terminal.
const REST: Duration = Duration::from_millis(200);
/// Input of a terminal that waits to be read.
const TYPED: usize = 1024 * 1024;
/// Environment variables that a client may set.
const VARIABLES: usize = 64;

/// Whether a client may set this variable; the same as in Debian's configuration of OpenSSH.
pub(super) fn accepts(name: &str) -> bool {
    name == "LANG" || name.starts_with("LC_")
}

#[derive(Default)]
struct Setup {
    env: Vec<(String, String)>,
    terminal: Option<(String, rustix::termios::Winsize)>,
}

/// Serves one channel to its end.
pub(super) async fn serve(channel: russh::Channel<Msg>, user: &str, peer: &str) -> Result<(), russh::Error> {
    let (mut input, output) = channel.split();
    let mut setup = Setup::default();
    let command = loop {
        match input.wait().await {
            None | Some(ChannelMsg::Close) => return Ok(()),
            Some(ChannelMsg::SetEnv { variable_name, variable_value, .. }) => {
                if accepts(&variable_name) && setup.env.len() < VARIABLES {
                    setup.env.push((variable_name, variable_value));
                }
            }
            Some(ChannelMsg::RequestPty { term, col_width, row_height, .. }) => {
                setup.terminal = Some((term, window(col_width, row_height)));
            }
            Some(ChannelMsg::RequestShell { .. }) => break None,
            Some(ChannelMsg::Exec { command, .. }) => break Some(OsString::from_vec(command)),
            Some(_) => {}
        }
    };
    let outcome = match start(&setup, user, peer, command) {
        Ok((child, None)) => plain(child, &mut input, &output).await?,
        Ok((child, Some(terminal))) => on_terminal(child, &terminal, &mut input, &output).await?,
        Err(error) => {
            output.extended_data_bytes(1, format!("{error}\n").into_bytes()).await?;
            Some(ExitStatus::from_raw(255 << 8))
        }
    };
    if let Some(status) = outcome {
        output.eof().await?;
        report(&output, status).await?;
    }
    output.close().await
}

async fn report(output: &ChannelWriteHalf<Msg>, status: ExitStatus) -> Result<(), russh::Error> {
    // A command that a signal ended has the status that a shell would give it, which every client understands.
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    output.exit_status(u32::try_from(code).unwrap_or(255)).await
}

fn start(setup: &Setup, user: &str, peer: &str, line: Option<OsString>) -> io::Result<(Child, Option<Terminal>)> {
    let mut command = Command::new(Path::new(INSIDE).join("program"));
    command.args([WORD, "session", user, if setup.terminal.is_some() { "tty" } else { "plain" }]);
    command.args(line).env_clear().envs(setup.env.iter().map(|(name, value)| (name, value)));
    command.env("SSH_CONNECTION", peer);
    let Some((term, size)) = &setup.terminal else {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        return Ok((command.spawn()?, None));
    };
    let owner = users::find(user).map_err(io::Error::other)?.uid;
    let (ours, theirs) = Terminal::open(*size, owner)?;
    command.env("TERM", term);
    command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
    Ok((command.spawn()?, Some(ours)))
}

/// A command without a terminal; it ends when it has exited and nobody holds its output any more. None: the client
/// has closed the channel before that.
async fn plain(
    mut child: Child,
    input: &mut ChannelReadHalf,
    output: &ChannelWriteHalf<Msg>,
) -> Result<Option<ExitStatus>, russh::Error> {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut to_out, mut to_err) = (output.make_writer(), output.make_writer_ext(Some(1)));
    let mut stdin = child.stdin.take().map(Input::new);
    let work = async {
        let copy_out = async { if let Some(out) = &mut out { tokio::io::copy(out, &mut to_out).await } else { Ok(0) } };
        let copy_err = async { if let Some(err) = &mut err { tokio::io::copy(err, &mut to_err).await } else { Ok(0) } };
        let (status, _, _) = tokio::join!(child.wait(), copy_out, copy_err);
        status
    };
    tokio::pin!(work);
    loop {
        tokio::select! {
            status = &mut work => return Ok(Some(status?)),
            word = input.wait() => match word {
                Some(ChannelMsg::Data { data }) => {
                    if let Some(stdin) = &stdin && !stdin.push(data.to_vec()).await {
                        break;
                    }
                }
                Some(ChannelMsg::Eof) => stdin = None,
                Some(ChannelMsg::Signal { signal }) => send(group, &signal),
                None | Some(ChannelMsg::Close) => break,
                Some(_) => {}
            },
        }
    }
    // Like a terminal that is closed; what wants to live on says so with nohup.
    send(group, &Sig::HUP);
    Ok(None)
}

/// A command on a terminal; it ends when it has exited, like a login on a console.
async fn on_terminal(
    mut child: Child,
    terminal: &Terminal,
    input: &mut ChannelReadHalf,
    output: &ChannelWriteHalf<Msg>,
) -> Result<Option<ExitStatus>, russh::Error> {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let mut shown = output.make_writer();
    let mut buffer = vec![0; 16 * 1024];
    let mut typed: Vec<u8> = Vec::new();
    let mut status = None;
    loop {
        tokio::select! {
            read = terminal.read(&mut buffer) => match read? {
                0 => break,
                n => shown.write_all(&buffer[..n]).await?,
            },
            ended = child.wait(), if status.is_none() => status = Some(ended?),
            () = tokio::time::sleep(REST), if status.is_some() => break,
            written = terminal.write(&typed), if !typed.is_empty() => drop(typed.drain(..written?)),
            word = input.wait() => match word {
                // As on a real terminal, what nobody reads is lost in the end.
                Some(ChannelMsg::Data { data }) if typed.len() < TYPED => typed.extend_from_slice(&data),
                Some(ChannelMsg::WindowChange { col_width, row_height, .. }) => {
                    terminal.resize(window(col_width, row_height))?;
                }
                Some(ChannelMsg::Signal { signal }) => send(group, &signal),
                None | Some(ChannelMsg::Close) => {
                    send(group, &Sig::HUP);
                    return Ok(None);
                }
                Some(_) => {}
            },
        }
    }
    match status {
        Some(status) => Ok(Some(status)),
        None => Ok(Some(child.wait().await?)),
    }
}

fn send(group: Option<Pid>, signal: &Sig) {
    let signal = match signal {
        Sig::ABRT => Signal::ABORT,
        Sig::ALRM => Signal::ALARM,
        Sig::HUP => Signal::HUP,
        Sig::INT => Signal::INT,
        Sig::KILL => Signal::KILL,
        Sig::QUIT => Signal::QUIT,
        Sig::TERM => Signal::TERM,
        Sig::USR1 => Signal::USR1,
        Sig::FPE | Sig::ILL | Sig::PIPE | Sig::SEGV | Sig::Custom(_) => return,
    };
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

/// Standard input of a command: taken at once, written as the command reads it.
struct Input {
    queue: mpsc::UnboundedSender<Vec<u8>>,
    room: Arc<Semaphore>,
}

impl Input {
    fn new(mut stdin: ChildStdin) -> Self {
        let (queue, mut waiting) = mpsc::unbounded_channel::<Vec<u8>>();
        let room = Arc::new(Semaphore::new(INPUT as usize));
        let freed = Arc::clone(&room);
        tokio::spawn(async move {
            while let Some(bytes) = waiting.recv().await {
                // A command that does not read its input to the end is none of our business.
                let _ = stdin.write_all(&bytes).await;
                freed.add_permits(bytes.len());
            }
        });
        Self { queue, room }
    }

    /// `false`: there was no room for too long.
    async fn push(&self, bytes: Vec<u8>) -> bool {
        let need = u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(INPUT);
        match timeout(STALL, self.room.acquire_many(need)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.queue.send(bytes).is_ok()
            }
            _ => false,
        }
    }
}
