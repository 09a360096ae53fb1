//! The conversation that reads facts.

use std::time::Duration;

use super::lines::Lines;
use crate::{
    clean::{self, Tail},
    error::BootstrapError,
    facts::{END, Facts},
    link::{Dialogue, Flow, Link, Next},
    script::Say,
};

/// More than any honest host says about itself.
const BUDGET: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

struct Talk {
    said: bool,
    input: Lines,
    lines: Vec<String>,
    flooded: bool,
    talk: Tail,
}

/// Reads the facts of a host, in one session.
pub(super) async fn facts(link: &mut dyn Link) -> Result<Facts, BootstrapError> {
    let input = Lines::new(BUDGET);
    let mut talk = Talk { said: false, input, lines: Vec::new(), flooded: false, talk: Tail::default() };
    let exit = link.converse(&mut talk).await?;
    if talk.flooded {
        return Err(BootstrapError::Flooded { at: link.at(), doing: "facts".into(), limit: BUDGET });
    }
    let garbled = || {
        let lines = [talk.input.noise(), talk.lines.clone(), talk.talk.lines()].concat();
        let from = lines.len().saturating_sub(clean::TAIL_LINES);
        BootstrapError::Garbled { at: link.at(), doing: "facts", exit, lines: lines[from..].to_vec() }
    };
    Facts::parse(&talk.lines).ok_or_else(garbled)
}

impl Dialogue for Talk {
    fn next(&mut self) -> Next<'_> {
        if std::mem::replace(&mut self.said, true) { Next::Wait } else { Next::Say(Say::Facts) }
    }

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        let lines = &mut self.lines;
        self.flooded |= self.input.push(bytes, |line| lines.push(clean::line(line))).is_err();
        match self.lines.last() {
            _ if self.flooded => Flow::Stop,
            Some(last) if last == END => Flow::Done,
            _ => Flow::Go,
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
