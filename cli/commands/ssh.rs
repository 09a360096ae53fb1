//! `pool ssh`: a session on a host, its key verified.

use std::io::{IsTerminal, Read, Write};

use pool_bootstrap::{
    link::Exit,
    ssh::{Event, Pty, Session, SshError},
};
use pool_engine::ops::{Environment, Reach};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::reach::connect;
use crate::{
    args::Ssh,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    selector,
};

/// What the session ends with when the connection is lost, as with OpenSSH.
const LOST: u8 = 255;
/// Pieces of input that may wait for the host.
const INPUT: usize = 16;

/// Opens a session and ends with what it ended with.
pub fn run(cx: &Context, args: &Ssh) -> Outcome {
    let selector = selector::parse(&args.host)?;
    cx.with_environment(async |env: Environment| {
        let hosts = env.hosts(&selector).await?;
        let host = the_one(cx, &args.host, &hosts)?;
        let link = connect(&env, host).await.map_err(|refused| refused.error)?;
        let pty = terminal();
        let session = link.open(None, pty.as_ref()).await.map_err(lost)?;
        // Restored on every way out of this function.
        let _raw = pty.is_some().then(Raw::enter).flatten();
        let exit = talk(session, pty.is_some()).await?;
        link.close().await;
        Ok(code(&exit))
    })
}

fn the_one<'a>(cx: &Context, asked: &str, hosts: &'a [Reach]) -> Result<&'a Reach, CliError> {
    match hosts {
        [one] => Ok(one),
        [] => Err(CliError::new(ExitCode::Failed, format!("no recorded host is called {asked}"))
            .hint(format!("hosts are listed by: {}", cx.command("state list 'host/*'")))),
        many => Err(CliError::usage(format!("{asked} fits {} hosts; a session needs one", many.len()))),
    }
}

fn lost(error: SshError) -> CliError {
    CliError::new(ExitCode::Session(LOST), "the session was lost").cause(error)
}

fn code(exit: &Exit) -> ExitCode {
    let status = exit.status.and_then(|status| u8::try_from(status).ok());
    status.map_or(ExitCode::Session(LOST), ExitCode::Session)
}

/// The terminal that we stand on, if input and output are one.
fn terminal() -> Option<Pty> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    let (columns, rows) = size();
    let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
    Some(Pty { term, columns, rows })
}

fn size() -> (u32, u32) {
    tcgetwinsize(std::io::stdout()).map_or((80, 24), |size| (u32::from(size.ws_col), u32::from(size.ws_row)))
}

/// A terminal that passes every key on; as it was before when dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The shell sets the terminal right again if this fails.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Passes bytes in both directions until the session ends.
async fn talk(session: Session, terminal: bool) -> Result<Exit, CliError> {
    let Session { mut reader, writer } = session;
    let mut input = read_input();
    let mut resized = signal(SignalKind::window_change())
        .map_err(|error| CliError::new(ExitCode::Failed, "cannot listen for signals").cause(error))?;
    let (mut open, mut escape) = (true, Escape::default());
    loop {
        tokio::select! {
            event = reader.next() => match event {
                Event::Out(bytes) => show(&mut std::io::stdout(), &bytes),
                Event::Err(bytes) => show(&mut std::io::stderr(), &bytes),
                Event::End(exit) => return Ok(exit),
            },
            piece = input.recv(), if open => match piece {
                Some(bytes) if terminal && escape.ends(&bytes) => return Ok(Exit::default()),
                Some(bytes) => writer.write(bytes).await.map_err(lost)?,
                None => {
                    open = false;
                    writer.end().await.map_err(lost)?;
                }
            },
            _ = resized.recv(), if terminal => {
                let (columns, rows) = size();
                writer.resize(columns, rows).await.map_err(lost)?;
            }
        }
    }
}

/// A terminal that is gone ends the session by ending its input.
fn show(stream: &mut dyn Write, bytes: &[u8]) {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
}

/// Standard input, piece by piece. A thread of its own: a read from a terminal cannot be taken back.
fn read_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(INPUT);
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        let mut stdin = std::io::stdin().lock();
        while let Ok(length @ 1..) = stdin.read(&mut buffer) {
            if sender.blocking_send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// `~.` at the start of a line ends a session that hangs.
struct Escape {
    line_start: bool,
    tilde: bool,
}

impl Default for Escape {
    fn default() -> Self {
        Self { line_start: true, tilde: false }
    }
}

impl Escape {
    fn ends(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'.' if self.tilde => return true,
                byte => {
                    self.tilde = *byte == b'~' && self.line_start;
                    self.line_start = matches!(byte, b'\r' | b'\n');
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tilde_and_dot_at_the_start_of_a_line_end_the_session() {
        let ends = |typed: &[&str]| {
            let mut escape = Escape::default();
            typed.iter().any(|piece| escape.ends(piece.as_bytes()))
        };
        assert!(ends(&["~."]));
        assert!(ends(&["ls\r", "~", "."]));
        assert!(!ends(&["ls ~."]));
        assert!(!ends(&["~x.", ".", "~a\r~~."]));
    }

    #[test]
    fn the_status_is_passed_on() {
        let exit = |status, signal: Option<&str>| Exit { status, signal: signal.map(str::to_owned) };
        assert_eq!(code(&exit(Some(0), None)).code(), 0);
        assert_eq!(code(&exit(Some(7), None)).code(), 7);
        assert_eq!(code(&exit(None, Some("KILL"))).code(), 255);
        assert_eq!(code(&exit(Some(70_000), None)).code(), 255);
    }
}
