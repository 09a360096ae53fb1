//! How a file differs, for people.

use std::time::Duration;

use similar::TextDiff;

use crate::clean;

/// Lines of a diff that are kept.
const LINES: usize = 60;

/// Bytes of the found content that a host sends at most; one more tells that there is more.
pub(crate) const FOUND: usize = 64 << 10;

/// A unified diff from what is found to what is declared, cleaned and bounded.
pub(crate) fn unified(found: &[u8], declared: &str) -> String {
    if found.len() > FOUND || declared.len() > FOUND {
        return "content differs (too large to be shown)".into();
    }
    let Ok(found) = std::str::from_utf8(found) else {
        return "content differs (what is found is no text)".into();
    };
    let diff = TextDiff::configure().timeout(Duration::from_millis(100)).diff_lines(found, declared);
    let text = diff.unified_diff().context_radius(2).header("on the host", "declared").to_string();
    let total = text.lines().count();
    let mut out: Vec<String> = text.lines().take(LINES).map(|line| clean::line(line.as_bytes())).collect();
    if total > LINES {
        out.push(format!("… and {} more lines", total - LINES));
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_line_is_shown_with_its_neighbours() {
        insta::assert_snapshot!(unified(b"a\nb\nc\nd\ne\nf\n", "a\nb\nX\nd\ne\nf\n"), @r"
        --- on the host
        +++ declared
        @@ -1,5 +1,5 @@
         a
         b
        -c
        +X
         d
         e
        ");
    }

    #[test]
    fn a_missing_last_newline_is_seen() {
        assert!(unified(b"a", "a\n").contains("No newline"));
    }

    #[test]
    fn hostile_and_large_contents_stay_harmless_and_short() {
        let hostile = "\x1b]0;gotcha\x07\n".repeat(1000);
        let text = unified(hostile.as_bytes(), "");
        assert!(!text.contains('\x1b') && !text.contains('\x07'));
        assert_eq!(text.lines().count(), LINES + 1);
        assert_eq!(unified(&[0xff, 0], "a"), "content differs (what is found is no text)");
        assert!(unified(&vec![b'a'; FOUND + 1], "a").contains("too large"));
    }
}
