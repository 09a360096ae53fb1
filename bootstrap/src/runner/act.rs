//! The conversation that changes what is not as it should be.

use std::time::{Duration, Instant};

use pool_inventory::Text;
use tokio_util::sync::CancellationToken;

use super::{ItemEvent, lines::Lines};
use crate::{
    clean::Tail,
    command::{Act, Command, Library, libraries},
    error::BootstrapError,
    facts::Facts,
    link::{Dialogue, Exit, Flow, Link, LinkError, Next},
    script::Say,
};

/// Most that one item may say.
const BUDGET: u64 = 64 << 20;
/// Items that are sent ahead of the one that runs, so that a round trip is not paid for each.
const AHEAD: usize = 16;
/// Checks of scripts among them; a run that is stopped waits for these.
const ASKED: usize = 4;
/// Content of files that are written together: as much as takes no minute on a slow line.
const TOGETHER: usize = 64 << 10;
/// Beyond an item's own limit: for ending what the host stopped itself, and for the way.
const SLACK: Duration = Duration::from_secs(15);
/// While no item runs: longer than a check may take.
const IDLE: Duration = Duration::from_secs(90);

/// What was changed.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) changed: Vec<Text>,
    /// Items that something before them had made hold.
    pub(super) same: usize,
}

/// Makes the items of `todo` so, in order; the first that fails ends it.
pub(super) async fn act(
    link: &mut dyn Link,
    facts: &Facts,
    todo: &[&Command],
    cancel: &CancellationToken,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<Done, BootstrapError> {
    let mut talk = Talk::new(facts, todo, cancel, on);
    let result = link.converse(&mut talk).await;
    talk.conclude(link.at(), result)
}

struct Talk<'a> {
    facts: &'a Facts,
    todo: &'a [&'a Command],
    packages: Vec<&'a str>,
    cancel: &'a CancellationToken,
    on: &'a mut (dyn FnMut(ItemEvent) + Send),
    mark: u64,
    /// What is still to be said before the first item, last first.
    libraries: Vec<Library>,
    head: bool,
    /// Whether the end was said.
    tail: bool,
    /// Ends that were said too early, because a script had to run, and whose answers are still to come.
    early: usize,
    sent: usize,
    /// The script that must run, and is the next.
    due: Option<usize>,
    /// Scripts below this number were told to run, or need not.
    run_to: usize,
    input: Lines,
    talk: Tail,
    run: Run,
}

/// What the host has told.
#[derive(Default)]
struct Run {
    done: Done,
    /// Items that have ended.
    ended: usize,
    /// When the item that runs was begun.
    begun: Option<Instant>,
    /// Exit status of the item that failed.
    failed: Option<u32>,
    complete: bool,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Garbled,
    Flooded,
    Slow,
}

impl<'a> Talk<'a> {
    fn new(
        facts: &'a Facts,
        todo: &'a [&'a Command],
        cancel: &'a CancellationToken,
        on: &'a mut (dyn FnMut(ItemEvent) + Send),
    ) -> Self {
        let packages = todo.iter().filter_map(|command| match &command.act {
            Act::Package(name) => Some(&**name),
            _ => None,
        });
        let mark = crate::nonce();
        let mut libraries = libraries(todo.iter().copied());
        libraries.reverse();
        Self {
            facts,
            todo,
            packages: packages.collect(),
            cancel,
            on,
            mark,
            libraries,
            head: false,
            tail: false,
            early: 0,
            sent: 0,
            due: None,
            run_to: 0,
            input: Lines::new(BUDGET),
            talk: Tail::until(format!("pool-{mark:016x} ")),
            run: Run::default(),
        }
    }

    /// Whether the item that comes next may be said already.
    fn may_send(&self) -> bool {
        let (ahead, next) = (&self.todo[self.run.ended..self.sent], self.todo[self.sent]);
        if next.is_script() {
            // A question begins nothing.
            return ahead.len() < AHEAD && self.asked() < ASKED;
        }
        match ahead {
            [] => true,
            _ if ahead.iter().any(|c| c.is_slow()) || next.is_slow() => false,
            _ => ahead.len() < AHEAD,
        }
    }

    /// Scripts that were asked for, and whose answers are still to come.
    fn asked(&self) -> usize {
        let from = self.run.ended.max(self.run_to);
        self.todo[from.min(self.sent)..self.sent].iter().filter(|command| command.is_script()).count()
    }

    /// How many files can be written together from the next item on; at least one.
    fn together(&self) -> usize {
        let first = self.todo[self.sent];
        let room = (AHEAD - (self.sent - self.run.ended).min(AHEAD - 1)).min(self.todo.len() - self.sent);
        let mut bytes = first.content_len();
        let follows = |command: &&&Command| {
            bytes += command.content_len();
            command.goes_with(first) && bytes <= TOGETHER
        };
        1 + self.todo[self.sent + 1..self.sent + room].iter().take_while(follows).count()
    }

    /// A script must run: what was said after the question was not heard.
    fn must_run(&mut self, number: usize) -> Option<()> {
        let asked = number == self.run.ended && number < self.sent && number >= self.run_to;
        if !asked || self.run.begun.is_some() || !self.todo[number].is_script() {
            return None;
        }
        self.due = Some(number);
        self.sent = number;
        self.early += usize::from(std::mem::take(&mut self.tail));
        Some(())
    }

    fn stopped(&self) -> bool {
        self.run.failed.is_some() || self.cancel.is_cancelled()
    }

    fn take(&mut self, line: &[u8]) -> Option<()> {
        let line = std::str::from_utf8(line).ok()?;
        if line == "Z" {
            self.run.complete = true;
            return Some(());
        }
        if line == "Y" {
            self.early = self.early.checked_sub(1)?;
            return Some(());
        }
        let mut words = line.split(' ');
        let (kind, number) = (words.next()?, words.next()?.parse::<usize>().ok()?);
        if kind == "N" {
            return self.must_run(number);
        }
        let command = self.todo.get(number).filter(|_| number == self.run.ended && number < self.sent)?;
        let item = command.item.clone();
        let Some(begun) = self.run.begun else {
            if kind != "B" {
                return None;
            }
            self.run.begun = Some(Instant::now());
            (self.on)(ItemEvent::Started { item });
            return Some(());
        };
        match (kind, words.next()?) {
            ("E", "changed") => {
                self.run.done.changed.push(item.clone());
                (self.on)(ItemEvent::Changed { item, took: begun.elapsed() });
            }
            ("E", "same") => {
                self.run.done.same += 1;
                (self.on)(ItemEvent::Unchanged { item });
            }
            ("F", status) => {
                self.run.failed = Some(status.parse().ok()?);
                return Some(());
            }
            _ => return None,
        }
        self.run.begun = None;
        self.run.ended += 1;
        // Each item has the whole budget.
        self.input.refill(BUDGET);
        self.talk.seen = 0;
        Some(())
    }

    fn watch(&mut self) -> Flow {
        let late = |begun: Instant| begun.elapsed() > self.todo[self.run.ended].timeout + SLACK;
        if self.run.begun.is_some_and(late) {
            self.run.trouble = Some(Trouble::Slow);
        }
        match (self.run.trouble, self.run.complete) {
            (Some(_), _) => Flow::Stop,
            (None, true) => Flow::Done,
            (None, false) => Flow::Go,
        }
    }

    fn conclude(self, at: Text, result: Result<Exit, LinkError>) -> Result<Done, BootstrapError> {
        let lines = self.talk.lines();
        let current = self.todo.get(self.run.ended).filter(|_| self.run.begun.is_some());
        let took = self.run.begun.map(|begun| begun.elapsed()).unwrap_or_default();
        let (exit, item, after) = match (result, current) {
            (Err(LinkError::Silent { .. }), Some(c)) => {
                return Err(BootstrapError::ItemTimedOut { at, item: c.item.clone(), after: c.timeout, lines });
            }
            (Err(source), Some(c)) => {
                return Err(BootstrapError::Lost { at, item: c.item.clone(), source: source.into() });
            }
            (Err(source), None) => return Err(source.into()),
            (Ok(exit), Some(c)) => (exit, c.item.clone(), limit(c)),
            (Ok(exit), None) => (exit, "the start of changes".into(), IDLE),
        };
        match (self.run.trouble, self.run.failed) {
            (Some(Trouble::Flooded), _) => Err(BootstrapError::Flooded { at, doing: item, limit: BUDGET }),
            (Some(Trouble::Slow), _) => Err(BootstrapError::ItemTimedOut { at, item, after, lines }),
            // `timeout` on the host measures, and news of the beginning may have come late: half the limit is proof enough
            // that it was not the item itself that ended so.
            (_, Some(124 | 137)) if took * 2 >= after => Err(BootstrapError::ItemTimedOut { at, item, after, lines }),
            (_, Some(status)) => {
                let exit = Exit { status: Some(status), signal: None };
                Err(BootstrapError::Failed { at, item, exit, lines })
            }
            (None, None) if self.run.complete && self.run.ended == self.todo.len() => Ok(self.run.done),
            (None, None) if self.run.complete && self.cancel.is_cancelled() => {
                Err(BootstrapError::Cancelled { at, changed: self.run.done.changed })
            }
            (None, None) if current.is_some() => Err(BootstrapError::Failed { at, item, exit, lines }),
            _ => Err(BootstrapError::Garbled { at, doing: "changes", exit, lines }),
        }
    }
}

/// The limit that the host itself keeps.
fn limit(command: &Command) -> Duration {
    match &command.act {
        Act::Script { seconds, .. } => Duration::from_secs(*seconds),
        _ => command.timeout,
    }
}

impl Dialogue for Talk<'_> {
    fn sudo(&self) -> bool {
        self.facts.by_sudo()
    }

    fn next(&mut self) -> Next<'_> {
        if !std::mem::replace(&mut self.head, true) {
            return Next::Say(Say::ActHead { who: self.facts.acting(), mark: self.mark });
        }
        if let Some(library) = self.libraries.pop() {
            return Next::Say(Say::Library(library));
        }
        if (self.sent == self.todo.len() && self.due.is_none()) || self.stopped() {
            if !std::mem::replace(&mut self.tail, true) {
                return Next::Say(Say::ActEnd { leave: self.due.is_some() });
            }
            // Where a script may still have to run, there is more to say.
            return if self.asked() > 0 || self.early > 0 { Next::Wait } else { Next::End };
        }
        if self.due.is_none() && !self.may_send() {
            return Next::Wait;
        }
        let (number, due) = (self.sent, self.due.take().is_some());
        let command = self.todo[number];
        if matches!(command.act, Act::File { .. }) {
            self.sent += self.together();
            return Next::Say(Say::Files { number, commands: &self.todo[number..self.sent] });
        }
        self.sent += 1;
        if command.is_script() && !due {
            return Next::Say(Say::AskScript(number, command));
        }
        self.run_to = number + 1;
        let first = number == 0 || !matches!(self.todo[number - 1].act, Act::Package(_));
        let packages: &[&str] = if first { &self.packages } else { &[] };
        Next::Say(Say::Act { number, command, packages })
    }

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        let mut lines = Vec::new();
        if self.input.push(bytes, |line| lines.push(line.to_vec())).is_err() {
            self.run.trouble = Some(Trouble::Flooded);
        }
        for line in lines {
            if self.run.failed.is_none() && self.take(&line).is_none() {
                self.run.trouble.get_or_insert(Trouble::Garbled);
            }
        }
        self.watch()
    }

    fn stderr(&mut self, bytes: &[u8]) -> Flow {
        self.talk.push(bytes);
        if self.talk.seen > BUDGET {
            self.run.trouble = Some(Trouble::Flooded);
        }
        self.watch()
    }

    fn patience(&self) -> Duration {
        match self.run.begun {
            Some(begun) => {
                let limit = self.todo[self.run.ended].timeout + SLACK;
                limit.saturating_sub(begun.elapsed()).max(Duration::from_millis(1))
            }
            None => IDLE,
        }
    }
}
