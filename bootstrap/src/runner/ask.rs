//! The conversation that asks a host something.

use std::time::Duration;

use super::lines::Lines;
use crate::{
    clean::Tail,
    error::BootstrapError,
    link::{Dialogue, Exit, Flow, Link, Next},
    script::{Question, Say},
};

/// More than any honest answer is.
const BUDGET: u64 = 16 << 20;
/// Beyond the limit of the question itself: for the way.
const SLACK: Duration = Duration::from_secs(15);

/// Asks `question`, as root where `sudo` says so. The answer is as the host wrote it, and not for logs.
pub async fn ask(link: &mut dyn Link, sudo: bool, question: &Question) -> Result<Vec<String>, BootstrapError> {
    let mut talk = Talk {
        sudo,
        question,
        said: false,
        input: Lines::new(BUDGET),
        answer: Vec::new(),
        status: None,
        garbled: false,
        flooded: false,
        words: Tail::default(),
    };
    let exit = link.converse(&mut talk).await?;
    let at = link.at();
    match talk.status {
        _ if talk.flooded => Err(BootstrapError::Flooded { at, doing: question.about.into(), limit: BUDGET }),
        _ if talk.garbled => {
            Err(BootstrapError::Garbled { at, doing: question.about, exit, lines: talk.words.lines() })
        }
        Some(0) => Ok(talk.answer),
        Some(status) => {
            let exit = Exit { status: Some(status), signal: None };
            Err(BootstrapError::Failed { at, item: question.about.into(), exit, lines: talk.words.lines() })
        }
        None => Err(BootstrapError::Garbled { at, doing: question.about, exit, lines: talk.words.lines() }),
    }
}

struct Talk<'a> {
    sudo: bool,
    question: &'a Question,
    said: bool,
    input: Lines,
    answer: Vec<String>,
    status: Option<u32>,
    garbled: bool,
    flooded: bool,
    words: Tail,
}

impl Dialogue for Talk<'_> {
    fn sudo(&self) -> bool {
        self.sudo
    }

    fn next(&mut self) -> Next<'_> {
        if std::mem::replace(&mut self.said, true) { Next::Wait } else { Next::Say(Say::Ask(self.question)) }
    }

    fn stdout(&mut self, bytes: &[u8]) -> Flow {
        let (answer, status, garbled) = (&mut self.answer, &mut self.status, &mut self.garbled);
        let flood = self.input.push(bytes, |line| match (line.strip_prefix(b"|"), line.strip_prefix(b"A ")) {
            (Some(line), _) => answer.push(String::from_utf8_lossy(line).into_owned()),
            (None, Some(number)) => *status = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()),
            (None, None) => *garbled = true,
        });
        self.flooded |= flood.is_err();
        match (self.flooded || self.garbled, self.status) {
            (true, _) => Flow::Stop,
            (false, Some(_)) => Flow::Done,
            (false, None) => Flow::Go,
        }
    }

    fn stderr(&mut self, bytes: &[u8]) -> Flow {
        self.words.push(bytes);
        self.flooded |= self.words.seen > BUDGET;
        if self.flooded { Flow::Stop } else { Flow::Go }
    }

    fn patience(&self) -> Duration {
        self.question.limit + SLACK
    }
}
