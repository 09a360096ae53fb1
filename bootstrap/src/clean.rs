//! Words of other machines, made harmless: bounded, without control characters.

use std::collections::VecDeque;

/// Lines of a failed command that are kept.
pub const TAIL_LINES: usize = 40;
/// Characters of one line that are kept.
pub const LINE_CHARS: usize = 400;
/// Bytes of an unfinished line that are looked at.
const LINE_BYTES: usize = 4 * LINE_CHARS;

/// One line without escape sequences, control characters or characters that turn the direction of writing, cut at
/// [`LINE_CHARS`].
pub fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(16 * LINE_BYTES)]);
    let mut out = String::with_capacity(text.len().min(LINE_BYTES));
    let mut kept = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\u{1b}' => {
                skip_escape(&mut chars);
                continue;
            }
            '\t' => ' ',
            '\r' | '\n' => continue,
            c if is_hostile(c) => '\u{fffd}',
            c => c,
        };
        if kept == LINE_CHARS {
            out.push('…');
            break;
        }
        out.push(c);
        kept += 1;
    }
    out
}

/// Several lines, each cleaned.
pub fn text(bytes: &[u8]) -> String {
    bytes.split(|b| *b == b'\n').map(line).collect::<Vec<_>>().join("\n")
}

fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => {
            for c in chars.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
        Some(']' | 'P' | '^' | '_' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some('(' | ')' | '#' | '%') => {
            chars.next();
        }
        _ => {}
    }
}

/// The last lines of a stream of any length, in bounded memory.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
    partial: Vec<u8>,
    /// A line that begins so makes all before it forgotten; empty: none does.
    mark: String,
    /// Bytes seen in all.
    pub seen: u64,
}

impl Tail {
    /// A tail that forgets everything at a line that begins with `mark`.
    pub fn until(mark: String) -> Self {
        Self { mark, ..Self::default() }
    }

    /// Takes more of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let room = LINE_BYTES.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        if !self.mark.is_empty() && self.partial.starts_with(self.mark.as_bytes()) {
            self.lines.clear();
            self.partial.clear();
            return;
        }
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line(&self.partial));
        self.partial.clear();
    }

    /// The last lines, cleaned, without empty ones at the ends.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lines.iter().cloned().collect();
        if !self.partial.is_empty() {
            lines.push(line(&self.partial));
        }
        let empty = |l: &String| l.trim().is_empty();
        let start = lines.iter().position(|l| !empty(l)).unwrap_or(lines.len());
        let end = lines.iter().rposition(|l| !empty(l)).map_or(start, |i| i + 1);
        let from = start.max(end.saturating_sub(TAIL_LINES));
        lines[from..end].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_control_characters_do_not_reach_a_terminal() {
        assert_eq!(
            line(b"\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 \x1b]8;;x\x1b\\link a\x08b"),
            "red bell\u{fffd} link a\u{fffd}b"
        );
        assert_eq!(line("a\u{202e}b\u{9b}31m".as_bytes()), "a\u{fffd}b\u{fffd}31m");
        assert_eq!(line(b"\xff\xfe ok\r\n"), "\u{fffd}\u{fffd} ok");
    }

    #[test]
    fn long_lines_are_cut() {
        let long = line(&vec![b'x'; 1 << 20]);
        assert_eq!(long.chars().count(), LINE_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_flood_leaves_its_last_lines_and_little_memory() {
        let mut tail = Tail::default();
        for i in 0..100_000 {
            tail.push(format!("line {i}\n").as_bytes());
        }
        for _ in 0..1000 {
            tail.push(&[b'y'; 4096]);
        }
        assert!(tail.partial.capacity() < 64 << 10);
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[TAIL_LINES - 2], "line 99999");
        assert!(lines[TAIL_LINES - 1].starts_with("yyy"));
    }

    proptest::proptest! {
        #[test]
        fn nothing_hostile_ever_remains(bytes: Vec<u8>) {
            let clean = line(&bytes);
            proptest::prop_assert!(!clean.chars().any(is_hostile));
            proptest::prop_assert!(clean.chars().count() <= LINE_CHARS + 1);
        }
    }
}
