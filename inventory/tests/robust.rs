//! Whatever stands in the files: no panic, places that exist, and an end to everything.

use std::{path::Path, sync::Arc, time::Instant};

use pool_inventory::{
    Diagnostics,
    diagnostics::Problems,
    load::{Loaded, resolve},
    source::{FileId, SourceFile, Sources},
    yaml::{MAX_FILE, MAX_NODES, parse},
};
use proptest::prelude::*;

fn file(name: &str, text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile::new(name, name, text))
}

fn read(text: &str) -> Result<Loaded, Diagnostics> {
    let env = |name: &str| (name == "SET").then(|| "5".to_owned());
    resolve(Path::new("/nowhere"), &[file("pool.yaml", text)], None, &env)
}

/// Reads, and looks at every problem in every form.
fn survives(text: &str) {
    let Err(problems) = read(text) else { return };
    assert!(!problems.is_empty(), "refused without a reason");
    for label in problems.list.iter().flat_map(|problem| &problem.labels) {
        let source = problems.sources.get(label.span.file).expect("a file that was read");
        assert!(source.text.get(label.span.range()).is_some(), "{:?} in {text:?}", label.span);
    }
    assert!(!problems.render(false).is_empty());
    assert!(!problems.render(true).is_empty());
    assert_eq!(problems.to_json().as_array().map(Vec::len), Some(problems.list.len()));
}

fn first_message(text: &str) -> String {
    read(text).expect_err("refused").list[0].message.clone()
}

const EVERYTHING: &str = include_str!("../samples/valid/everything/pool.yaml");
const STYLES: &str = include_str!("../samples/valid/styles/pool.yaml");

/// Pieces that have a meaning somewhere.
const PIECES: [&str; 32] = [
    "\n",
    " ",
    "  ",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "!x ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    "---\n",
    "${",
    "${var.",
    "${SET}",
    "}",
    "$$",
    "\t",
    "?",
    "é",
    "\u{0}",
    "~",
    "<<: ",
    "in: [prod]",
    "web-1",
    "%",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        survives(&text);
        let _ = pool_inventory::fmt::format(&text);
    }

    #[test]
    fn any_mix_of_pieces_is_read_or_refused(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.iter().map(|n| PIECES[*n]).collect();
        survives(&text);
        survives(&format!("version: 1\nname: x\npools:\n  web:\n    {text}"));
        let _ = pool_inventory::fmt::format(&text);
    }

    #[test]
    fn any_change_to_a_good_file_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, 0..PIECES.len()), 1..5),
        styles in any::<bool>(),
    ) {
        let mut text: Vec<char> = if styles { STYLES } else { EVERYTHING }.chars().collect();
        for (at, drop, piece) in changes {
            let at = at.index(text.len());
            let end = (at + drop).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        let text: String = text.into_iter().collect();
        survives(&text);
        if let Ok(once) = pool_inventory::fmt::format(&text) {
            let twice = pool_inventory::fmt::format(&once);
            prop_assert_eq!(twice.as_deref().ok(), Some(once.as_str()), "formatting twice differs");
        }
    }

    #[test]
    fn comments_and_blank_lines_anywhere_survive_formatting(lines in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9), 1..12)) {
        let mut text: Vec<String> = STYLES.lines().map(str::to_owned).collect();
        for (number, (at, indent)) in lines.iter().enumerate() {
            let line = if *indent == 8 { String::new() } else { format!("{}# comment {number}", " ".repeat(*indent)) };
            text.insert(at.index(text.len() + 1), line);
        }
        let text = text.join("\n") + "\n";
        let Ok(once) = pool_inventory::fmt::format(&text) else { return Ok(()) };
        for number in 0..lines.len() {
            let comment = format!("# comment {number}\n");
            prop_assert_eq!(text.matches(&comment).count(), once.matches(&comment).count(), "{} in {}", comment, once);
        }
        prop_assert_eq!(read(&text).map(|l| l.desired).ok(), read(&once).map(|l| l.desired).ok());
        prop_assert_eq!(pool_inventory::fmt::format(&once).ok(), Some(once));
    }

    #[test]
    fn any_template_is_read_or_refused(pieces in prop::collection::vec(0usize..20, 0..30)) {
        const CODE: [&str; 20] = [
            "{{", "}}", "{%", "%}", "{#", "#}", " for ", " in ", "hosts", ".web", "[\"a-b\"]", "self", "var", " if ", " raw ",
            " endraw ", "\"", "é", "| join(sep=\"\")", " end",
        ];
        let text: String = pieces.iter().map(|n| CODE[*n]).collect();
        let _ = pool_inventory::template::check(pool_inventory::source::FileId(0), &text);
    }
}

#[test]
fn more_nodes_than_the_budget_are_refused_over_all_files() {
    let (mut nodes, mut problems) = (MAX_NODES - 6, Problems::default());
    assert!(parse("[a, b]", FileId(0), &mut nodes, &mut problems).is_some(), "three nodes fit");
    assert!(parse("{ a: b }", FileId(1), &mut nodes, &mut problems).is_some(), "three more fit");
    assert!(parse("c", FileId(2), &mut nodes, &mut problems).is_none(), "and no more");
    let message = problems.with(Sources::default()).list[0].message.clone();
    assert_eq!(message, format!("the inventory has more than {MAX_NODES} nodes"));
}

#[test]
fn a_file_beyond_the_budget_is_refused_unread() {
    let start = Instant::now();
    let message = first_message(&"#".repeat(MAX_FILE + 1));
    assert!(message.contains("at most 32 MiB"), "{message}");
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn references_that_multiply_are_refused() {
    let mut aliases = String::from("a0: &a0 [x, x]\n");
    let mut variables = String::from("version: 1\nname: x\nvariables:\n  v0: { default: 0123456789 }\n");
    for n in 1..25 {
        aliases += &format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1);
        variables += &format!("  v{n}: {{ default: \"${{var.v{}}}${{var.v{}}}\" }}\n", n - 1, n - 1);
    }
    assert!(read(&aliases).expect_err("refused").render(false).contains("aliases are not used here"));
    assert!(read(&variables).expect_err("refused").render(false).contains("grows beyond 1 MiB"));
}

#[test]
fn a_long_chain_of_variables_is_refused_and_uses_no_stack() {
    let mut text = String::from("version: 1\nname: x\nvariables:\n");
    for n in 0..20_000 {
        text += &format!("  v{n}: {{ default: \"${{var.v{}}}\" }}\n", n + 1);
    }
    let problems = read(&text).expect_err("refused");
    assert!(problems.list.iter().any(|p| p.message.contains("more than 32 deep")));
}

#[test]
fn a_file_of_nothing_but_problems_ends_in_a_bounded_list() {
    let text: String = (0..30_000).map(|n| format!("key{n}: 1\n")).collect();
    let problems = read(&text).expect_err("refused");
    assert_eq!(problems.list.len(), pool_inventory::diagnostics::MAX_DIAGNOSTICS + 1);
    assert!(problems.render(false).contains("more problems are not shown"));
}
