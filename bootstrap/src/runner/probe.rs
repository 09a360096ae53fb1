//! The conversation that looks at every item.

use std::time::Duration;

use pool_inventory::market::Drift;

use super::lines::Lines;
use crate::{
    clean::{self, Tail},
    command::{Command, Library, libraries},
    diff,
    error::{BootstrapError, Refusal},
    facts::Facts,
    link::{Dialogue, Flow, Link, Next},
    script::Say,
};

/// A check of a script may take 60 s.
const PATIENCE: Duration = Duration::from_secs(90);
/// Most that all probes of a host may say.
const BUDGET: u64 = 32 << 20;

/// How an item was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Not looked at.
    #[default]
    Unknown,
    Holds,
    Missing,
    Differs(String),
}

/// What a probe found.
#[derive(Debug, Clone, Default)]
pub(super) struct Finding {
    pub(super) state: State,
    /// Why it cannot be changed.
    denied: Option<String>,
    /// Whether an artifact must be sent to the host before it can be changed.
    pub(super) lacks: bool,
    /// Content as far as it was shown.
    content: Option<Vec<u8>>,
}

impl Finding {
    pub(super) fn holds(&self) -> bool {
        self.state == State::Holds
    }

    /// What is not as declared; none: nothing.
    pub(super) fn drift(&self, command: &Command) -> Option<Drift> {
        let detail = match (&self.state, &command.show, &self.content) {
            (State::Holds, ..) => return None,
            (State::Missing | State::Unknown, ..) => "missing".to_owned(),
            (State::Differs(why), Some(declared), Some(found)) => {
                let rest = why.strip_prefix("content").unwrap_or(why).trim_start_matches("; ");
                let diff = diff::unified(found.strip_suffix(b".\n").unwrap_or(found), declared);
                if rest.is_empty() { diff } else { format!("{rest}\n{diff}") }
            }
            (State::Differs(why), ..) if why.starts_with("content") => format!("{why} differs, and is not shown"),
            (State::Differs(why), ..) => why.clone(),
        };
        Some(Drift { item: command.item.clone(), detail: detail.into() })
    }

    pub(super) fn refusal(&self, command: &Command, facts: &Facts) -> Option<Refusal> {
        let why = self.denied.as_ref().filter(|_| !self.holds())?;
        let item = command.item.clone();
        Some(Refusal::Denied { item, why: why.as_str().into(), unprivileged: !facts.can_root() })
    }
}

/// Looks at all items in one session; the findings are in the order of the commands. `lazy`: items that are looked at
/// again before they are changed count as missing, unasked, once something before them is to be done.
pub(super) async fn probe(
    link: &mut dyn Link,
    facts: &Facts,
    commands: &[Command],
    lazy: bool,
) -> Result<Vec<Finding>, BootstrapError> {
    let mut talk = Talk::new(facts, commands, lazy);
    let exit = link.converse(&mut talk).await?;
    let at = link.at();
    if talk.flooded {
        return Err(BootstrapError::Flooded { at, doing: "probes".into(), limit: BUDGET });
    }
    if talk.garbled || !talk.complete {
        return Err(BootstrapError::Garbled { at, doing: "probes", exit, lines: talk.words() });
    }
    Ok(talk.answers.findings)
}

struct Talk<'a> {
    facts: &'a Facts,
    lazy: bool,
    commands: &'a [Command],
    libraries: Vec<Library>,
    /// Pieces said: the head, the libraries, the glance, the probes, the end.
    said: usize,
    input: Lines,
    answers: Answers,
    complete: bool,
    garbled: bool,
    flooded: bool,
    talk: Tail,
}

struct Answers {
    findings: Vec<Finding>,
    /// The one that was spoken of last.
    last: usize,
}

impl<'a> Talk<'a> {
    fn new(facts: &'a Facts, commands: &'a [Command], lazy: bool) -> Self {
        Self {
            facts,
            lazy,
            commands,
            libraries: libraries(commands),
            said: 0,
            input: Lines::new(BUDGET),
            answers: Answers { findings: vec![Finding::default(); commands.len()], last: 0 },
            complete: false,
            garbled: false,
            flooded: false,
            talk: Tail::default(),
        }
    }
}

impl Talk<'_> {
    fn words(&self) -> Vec<String> {
        [self.input.noise(), self.talk.lines()].concat()
    }
}

impl Answers {
    /// Takes one line; none: it makes no sense. `Some(true)`: it was the last one.
    fn take(&mut self, line: &[u8]) -> Option<bool> {
        if let Some(content) = line.strip_prefix(b"|") {
            self.content(content)?;
            return Some(false);
        }
        let text = clean::line(line);
        let mut words = text.splitn(4, ' ');
        let (kind, number) = (words.next()?, words.next()?);
        if (kind, number) == ("P", "end") {
            return Some(self.findings.iter().all(|f| f.state != State::Unknown)).filter(|all| *all);
        }
        self.last = number.parse().ok()?;
        let rest = words.collect::<Vec<_>>().join(" ");
        let finding = self.findings.get_mut(self.last)?;
        match (kind, rest.split_once(' ').unwrap_or((&rest, ""))) {
            ("P", ("ok", _)) => finding.state = State::Holds,
            ("P", ("missing", _)) => finding.state = State::Missing,
            ("P", ("differs", why)) => finding.state = State::Differs(why.to_owned()),
            ("U", _) => finding.lacks = true,
            ("D", _) => finding.denied = Some(rest),
            _ => return None,
        }
        Some(false)
    }

    /// A line of the content of the last item; a full stop stands after the last one.
    fn content(&mut self, line: &[u8]) -> Option<()> {
        let content = self.findings.get_mut(self.last)?.content.get_or_insert_default();
        let room = (diff::FOUND + 2).saturating_sub(content.len());
        content.extend_from_slice(&line[..line.len().min(room)]);
        if content.len() < diff::FOUND + 3 {
            content.push(b'\n');
        }
        Some(())
    }
}

impl Dialogue for Talk<'_> {
    fn sudo(&self) -> bool {
        self.facts.by_sudo()
    }

    fn next(&mut self) -> Next<'_> {
        let said = self.said;
        self.said += 1;
        if said == 0 {
            return Next::Say(Say::ProbeHead { who: self.facts.acting(), lazy: self.lazy });
        }
        if let Some(library) = self.libraries.get(said - 1) {
            return Next::Say(Say::Library(*library));
        }
        match (said - 1 - self.libraries.len()).checked_sub(1) {
            None => Next::Say(Say::Glance(self.commands)),
            Some(n) if n < self.commands.len() => Next::Say(Say::Probe(n, &self.commands[n])),
            Some(n) if n == self.commands.len() => Next::Say(Say::ProbeEnd),
            Some(_) => Next::Wait,
        }
    }

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        let (answers, complete, garbled) = (&mut self.answers, &mut self.complete, &mut self.garbled);
        let flood = self.input.push(bytes, |line| match answers.take(line) {
            Some(end) => *complete |= end,
            None => *garbled = true,
        });
        self.flooded |= flood.is_err();
        match (self.flooded || self.garbled, self.complete) {
            (true, _) => Flow::Stop,
            (false, true) => Flow::Done,
            (false, false) => Flow::Go,
        }
    }

    fn stderr(&mut self, bytes: &[u8]) -> Flow {
        self.talk.push(bytes);
        self.flooded |= self.talk.seen > BUDGET;
        if self.flooded { Flow::Stop } else { Flow::Go }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}
