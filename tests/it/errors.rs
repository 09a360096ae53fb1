//! What goes wrong before anything was done.

use crate::context::TestContext;

#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let t = TestContext::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has /dev/full");
    let output = t.command("help exit-codes").stdout(full).output().expect("the program can be started");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the results"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let t = TestContext::new();
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let output = t.command("completions bash").stdout(writer).output().expect("the program can be started");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}
