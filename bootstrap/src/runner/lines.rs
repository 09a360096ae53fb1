//! A stream cut into lines, in bounded memory.

/// Longest line of the protocol: a line of a file that is shown.
const LONGEST: usize = 80 << 10;

/// The pieces of an unfinished line, and a budget.
#[derive(Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    left: u64,
}

/// The budget is used up, or a line is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

impl Lines {
    pub(super) fn new(budget: u64) -> Self {
        Self { partial: Vec::new(), left: budget }
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
                each(line);
            } else {
                self.partial.extend_from_slice(line);
                each(&std::mem::take(&mut self.partial));
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
