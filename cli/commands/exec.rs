//! `pool exec`: a command on many hosts, each line of output with its host.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use pool_bootstrap::{
    link::LinkError,
    ssh::{SshLink, Stream},
};
use pool_engine::ops::{Environment, Reach};
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinSet};

use super::reach::connect;
use crate::{
    args::Exec,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::{
        style::{ADD, DIM, REMOVE, WARN, paint},
        table::{count, pad},
    },
    selector,
};

/// Hosts at a time unless `--parallelism` says otherwise.
const HOSTS: usize = 32;
/// Longest time on one host unless `--timeout` says otherwise.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Lines that may wait for the terminal.
const LINES: usize = 1024;
/// A longer line is broken.
const LINE_BYTES: usize = 8 * 1024;
/// Bytes kept per host and stream for JSON; the last ones.
const KEPT_BYTES: usize = 256 * 1024;

/// What came of it on one host.
#[derive(Debug, Clone, Serialize)]
struct Done {
    host: String,
    /// None: it was killed, or not reached.
    exit_status: Option<u32>,
    signal: Option<String>,
    /// Why it was not run, or not to its end.
    error: Option<String>,
    unreachable: bool,
    stdout: String,
    stderr: String,
}

impl Done {
    fn new(host: &str) -> Self {
        let (stdout, stderr) = (String::new(), String::new());
        Self { host: host.to_owned(), exit_status: None, signal: None, error: None, unreachable: false, stdout, stderr }
    }
}

/// One line of output.
struct Line {
    host: Arc<str>,
    error: bool,
    text: String,
}

/// Runs the command on all hosts that fit.
pub fn run(cx: &Context, args: &Exec) -> Outcome {
    let selector = selector::parse(&args.selector)?;
    let command: Arc<str> = script(&args.command).into();
    let limit = cx.flags.parallelism.map_or(HOSTS, |n| n as usize);
    let done = cx.with_environment(async |env: Environment| {
        let hosts = env.hosts(&selector).await?;
        if hosts.is_empty() {
            return Err(CliError::new(ExitCode::Failed, format!("no recorded host fits {}", args.selector))
                .hint(format!("hosts are listed by: {}", cx.command("state list 'host/*'"))));
        }
        Ok(on_all(cx, Arc::new(env), hosts, command, limit).await)
    })?;
    let code = exit_code(&done);
    cx.ui.answer("exec", code, &done, String::new);
    cx.ui.talk(&summary(&done));
    Ok(code)
}

/// One word is a script of the host's shell; several are a command and its arguments.
fn script(words: &[String]) -> String {
    match words {
        [script] => script.clone(),
        words => words.iter().map(|word| super::quote(word)).collect::<Vec<_>>().join(" "),
    }
}

async fn on_all(cx: &Context, env: Arc<Environment>, hosts: Vec<Reach>, command: Arc<str>, limit: usize) -> Vec<Done> {
    let width = hosts.iter().map(|host| host.address.name.len()).max().unwrap_or(0);
    let longest = cx.flags.timeout.map_or(LONGEST, |time| time.duration());
    let (sender, mut lines) = mpsc::channel(LINES);
    let mut waiting: VecDeque<Reach> = hosts.into();
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while running.len() < limit {
            let Some(host) = waiting.pop_front() else { break };
            running.spawn(on_one(env.clone(), host, command.clone(), longest, sender.clone()));
        }
        tokio::select! {
            Some(line) = lines.recv() => show(cx, &line, width),
            ended = running.join_next() => match ended {
                Some(Ok(one)) => done.push(one),
                // A task that panicked has told so on standard error; its host is missing from the sum.
                Some(Err(_)) => {}
                None => break,
            },
        }
    }
    drop(sender);
    while let Some(line) = lines.recv().await {
        show(cx, &line, width);
    }
    done.sort_by(|a, b| pool_inventory::names::natural(&a.host, &b.host));
    done
}

fn show(cx: &Context, line: &Line, width: usize) {
    let text = format!("{} {}\n", paint(DIM, &format!("{} |", pad(&line.host, width))), line.text);
    if line.error && cx.ui.wants_text() { cx.ui.say(&text) } else { cx.ui.data(&text) }
}

async fn on_one(
    env: Arc<Environment>,
    host: Reach,
    command: Arc<str>,
    limit: Duration,
    lines: mpsc::Sender<Line>,
) -> Done {
    let mut done = Done::new(&host.address.name);
    match connect(&env, &host).await {
        Ok(link) => talk(&link, &command, limit, &mut done, &lines).await,
        Err(refused) => {
            done.unreachable = refused.unreachable;
            done.error = Some(refused.error.line());
        }
    }
    done
}

async fn talk(link: &SshLink, command: &str, limit: Duration, done: &mut Done, lines: &mpsc::Sender<Line>) {
    let host: Arc<str> = done.host.as_str().into();
    let (mut out, mut err) = (Splitter::default(), Splitter::default());
    let mut tell = |error: bool, texts: Vec<String>| {
        for text in texts {
            keep(if error { &mut done.stderr } else { &mut done.stdout }, &text);
            let line = Line { host: host.clone(), error, text };
            // A terminal that stalls holds up the host, not the memory. Nobody listens any more only when all is over.
            let _ = tokio::task::block_in_place(|| lines.blocking_send(line));
        }
    };
    let ended = link
        .exec(command, limit, &mut |stream, bytes| match stream {
            Stream::Out => tell(false, out.take(bytes)),
            Stream::Err => tell(true, err.take(bytes)),
        })
        .await;
    tell(false, out.rest());
    tell(true, err.rest());
    match ended {
        Ok(exit) => (done.exit_status, done.signal) = (exit.status, exit.signal),
        Err(LinkError::Silent { .. }) => done.error = Some(format!("not done within {} s", limit.as_secs())),
        Err(error) => (done.unreachable, done.error) = (error.is_unreachable(), Some(chain(&error))),
    }
}

/// Keeps the last lines of a stream.
fn keep(kept: &mut String, line: &str) {
    kept.push_str(line);
    kept.push('\n');
    if kept.len() > KEPT_BYTES {
        let from = kept.len() - KEPT_BYTES / 2;
        let from = kept[..].char_indices().map(|(at, _)| at).find(|at| *at >= from).unwrap_or(0);
        *kept = format!("…{}", &kept[from..]);
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Cuts a stream of bytes into lines that a terminal can show: without escape codes, of bounded length.
#[derive(Default)]
struct Splitter(Vec<u8>);

impl Splitter {
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            while self.0.len() >= LINE_BYTES {
                let rest = self.0.split_off(LINE_BYTES);
                lines.push(clean(&std::mem::replace(&mut self.0, rest)));
            }
            if self.0.ends_with(b"\n") {
                lines.push(clean(&std::mem::take(&mut self.0)));
            }
        }
        lines
    }

    fn rest(&mut self) -> Vec<String> {
        if self.0.is_empty() { Vec::new() } else { vec![clean(&std::mem::take(&mut self.0))] }
    }
}

/// Without escape codes, control characters, and characters that turn the direction of writing.
fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = anstream::adapter::strip_str(text.trim_end_matches(['\n', '\r'])).to_string();
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if turns(c) || (c.is_control() && c != '\t') { '\u{fffd}' } else { c }).collect()
}

fn failed(done: &Done) -> bool {
    done.error.is_some() || done.exit_status != Some(0)
}

fn exit_code(done: &[Done]) -> ExitCode {
    let failures: Vec<&Done> = done.iter().filter(|one| failed(one)).collect();
    match failures.iter().all(|one| one.unreachable) {
        _ if failures.is_empty() => ExitCode::Done,
        true => ExitCode::Unreachable,
        false => ExitCode::Failed,
    }
}

fn summary(done: &[Done]) -> String {
    let mut text = String::new();
    for one in done.iter().filter(|one| failed(one)) {
        let (word, why) = match (&one.error, one.exit_status, &one.signal) {
            (Some(error), _, _) if one.unreachable => (paint(WARN, "not reached"), error.clone()),
            (Some(error), _, _) => (paint(REMOVE, "failed"), error.clone()),
            (None, Some(status), _) => (paint(REMOVE, "failed"), format!("exit status {status}")),
            (None, None, signal) => {
                (paint(REMOVE, "failed"), format!("killed by {}", signal.as_deref().unwrap_or("a signal")))
            }
        };
        text += &format!("{word} host/{}: {why}\n", one.host);
    }
    let well = done.iter().filter(|one| !failed(one)).count();
    let sum = if well == done.len() { paint(ADD, "ok") } else { format!("{well} ok, {} not", done.len() - well) };
    format!("{text}{}: {sum}\n", count(done.len(), "host"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(host: &str, exit_status: Option<u32>, unreachable: bool) -> Done {
        let error = unreachable.then(|| "connection refused".to_owned());
        Done { exit_status, error, unreachable, ..Done::new(host) }
    }

    #[test]
    fn the_exit_code_tells_unreachable_from_failed() {
        let (good, bad, gone) = (done("a", Some(0), false), done("b", Some(3), false), done("c", None, true));
        assert_eq!(exit_code(std::slice::from_ref(&good)), ExitCode::Done);
        assert_eq!(exit_code(&[good.clone(), gone.clone()]), ExitCode::Unreachable);
        assert_eq!(exit_code(&[good.clone(), bad.clone(), gone.clone()]), ExitCode::Failed);
        let text = anstream::adapter::strip_str(&summary(&[good, bad, gone])).to_string();
        assert_eq!(
            text,
            "failed host/b: exit status 3\nnot reached host/c: connection refused\n3 hosts: 1 ok, 2 not\n"
        );
    }

    #[test]
    fn output_becomes_lines_that_a_terminal_can_show() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.take(b"one\ntw"), ["one"]);
        assert_eq!(splitter.take("o\r\n\x1b[31mred\x1b[0m\u{202e}x\n".as_bytes()), ["two", "red\u{fffd}x"]);
        assert_eq!(splitter.take(&[b'x'; LINE_BYTES + 5]).len(), 1);
        assert_eq!(splitter.rest(), ["xxxxx"]);
        assert!(splitter.rest().is_empty());
    }

    #[test]
    fn what_is_kept_for_json_is_bounded_and_ends_with_the_last_line() {
        let mut kept = String::new();
        for number in 0..100_000 {
            keep(&mut kept, &format!("line {number} ä"));
        }
        assert!(kept.len() <= KEPT_BYTES + 32 && kept.ends_with("line 99999 ä\n"));
    }

    #[test]
    fn several_words_are_a_command_and_one_is_a_script() {
        let words = |words: &[&str]| script(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["echo", "a b"]), "echo 'a b'");
        assert_eq!(words(&["df -h | tail -1"]), "df -h | tail -1");
    }
}
