//! A stream cut into lines, in bounded memory.

use crate::clean::Tail;

/// What our scripts say first: whatever comes before was said by the login shell of the host.
pub(crate) const START: &str = "pool start";

/// Longest line of the protocol: a line of a file that is shown.
const LONGEST: usize = 80 << 10;

/// The pieces of an unfinished line, and a budget.
#[derive(Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    left: u64,
    started: bool,
    /// What was said before the start.
    noise: Tail,
}

/// The budget is used up, or a line is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

impl Lines {
    pub(super) fn new(budget: u64) -> Self {
        Self { partial: Vec::new(), left: budget, started: false, noise: Tail::default() }
    }

    /// Allows as much again as at the beginning.
    pub(super) fn refill(&mut self, budget: u64) {
        self.left = budget;
    }

    /// What the login shell said of its own accord, and what else came before the start; last lines, cleaned.
    pub(super) fn noise(&self) -> Vec<String> {
        self.noise.lines()
    }

    fn line(&mut self, line: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.started {
            each(line);
        } else if line == START.as_bytes() {
            self.started = true;
        } else {
            self.noise.push(line);
            self.noise.push(b"\n");
        }
    }

    /// Calls `each` for every line that `bytes` completes.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Flood> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Flood)?;
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let Some(line) = piece.strip_suffix(b"\n") else {
                self.partial.extend_from_slice(piece);
                break;
            };
            if self.partial.is_empty() {
                self.line(line, &mut each);
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole, &mut each);
            }
        }
        if self.partial.len() > LONGEST { Err(Flood) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(1000);
        lines.push(b"Welcome!\npool start\n", |_| unreachable!()).unwrap();
        assert_eq!(lines.noise(), ["Welcome!"]);
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece.as_bytes(), |l| out.push(String::from_utf8_lossy(l).into_owned())).unwrap();
        }
        out
    }

    #[test]
    fn lines_come_whole_however_the_stream_is_cut() {
        assert_eq!(cut(&["a\nb", "c\n", "\nd"]), ["a", "bc", ""]);
        assert_eq!(cut(&["a", "b", "\n"]), ["ab"]);
    }

    #[test]
    fn a_flood_is_seen() {
        let mut lines = Lines::new(10);
        assert_eq!(lines.push(b"0123456789", |_| ()), Ok(()));
        assert_eq!(lines.push(b"0", |_| ()), Err(Flood));
        assert_eq!(Lines::new(u64::MAX).push(&vec![b'x'; LONGEST + 1], |_| ()), Err(Flood));
    }
}
