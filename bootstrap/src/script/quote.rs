//! Words for a POSIX shell.

/// Longest piece of content in one statement: far below every shell's limits.
const PIECE: usize = 16 << 10;

/// One word that the shell reads back exactly. `text` holds no NUL; see [`crate::render`].
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('\'');
    for (i, part) in text.split('\'').enumerate() {
        if i > 0 {
            out.push_str("'\\''");
        }
        out.push_str(part);
    }
    out.push('\'');
}

/// Statements that append `content` to the file `$f`, whatever bytes it has: `{ w '…'; }`, and `{ z; }` for a NUL.
///
/// Each statement stands in braces, so that input that breaks off in the middle is a syntax error and not a shorter
/// command.
pub fn append_content(out: &mut Vec<u8>, content: &str) {
    for (i, part) in content.split('\0').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"{ z; }\n");
        }
        let mut rest = part;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
            let mut line = String::with_capacity(piece.len() + 16);
            line.push_str("{ w ");
            push_quoted(&mut line, piece);
            line.push_str("; }\n");
            out.extend_from_slice(line.as_bytes());
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use proptest::prelude::*;

    use super::*;

    fn sh(script: &[u8]) -> Vec<u8> {
        let mut child = Command::new("sh").arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let script = script.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&script));
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(out.status.success());
        out.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_quoted_word_round_trips_through_sh(text in "[^\0]{0,64}") {
            let script = format!("printf %s {}\n", quote(&text));
            prop_assert_eq!(sh(script.as_bytes()), text.as_bytes());
        }

        #[test]
        fn hostile_words_stay_words(text in "['\"$`\\\\;&|<>(){}\n\r\t *?~!#-]{0,40}") {
            let script = format!("set -- {0} {0}; printf '%s,%s' $# \"$2\"\n", quote(&text));
            let expected = format!("2,{text}");
            prop_assert_eq!(sh(script.as_bytes()), expected.as_bytes());
        }

        #[test]
        fn content_round_trips_through_a_file(text in any::<String>(), tail in "[\0\n'é]{0,9}") {
            let folder = tempfile::tempdir().unwrap();
            let content = format!("{text}{tail}");
            let mut script = crate::script::ACT_HEAD.as_bytes().to_vec();
            script.extend_from_slice(format!("f={}/f; : >\"$f\"\n", folder.path().display()).as_bytes());
            append_content(&mut script, &content);
            script.extend_from_slice(b"{ cat \"$f\"; exit $bad; }\n");
            prop_assert_eq!(sh(&script), content.as_bytes());
        }
    }

    #[test]
    fn large_content_is_cut_into_pieces_at_characters() {
        let content = "é".repeat(PIECE);
        let mut script = Vec::new();
        append_content(&mut script, &content);
        let text = String::from_utf8(script).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|l| l.len() < PIECE + 16));
    }

    #[test]
    fn a_statement_that_breaks_off_is_never_run() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let statement = format!("{{ echo x >{}; }}", mark.display());
        for cut in 1..statement.len() {
            let mut child = Command::new("sh").arg("-s").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&statement.as_bytes()[..cut]).unwrap();
            assert!(!child.wait().unwrap().success() || !mark.exists(), "cut at {cut}");
            assert!(!mark.exists(), "cut at {cut}");
        }
    }
}
