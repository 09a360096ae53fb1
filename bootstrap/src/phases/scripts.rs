//! Scripts with a check, in the order of their names.

use std::time::Duration;

use pool_inventory::{Name, desired::ScriptSpec};

use super::item;
use crate::{
    command::{Act, Command},
    error::Refusal,
    facts::Facts,
    rendered::Rendered,
    script::quote,
};

/// Longest time for the two checks around a run, and for ending what was stopped.
const AROUND: Duration = Duration::from_secs(140);

pub(super) fn commands(_: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    Ok(want.scripts.iter().map(|(name, script)| command(name, script)).collect())
}

fn command(name: &Name, script: &ScriptSpec) -> Command {
    let check = format!("sh -c {}", quote(&script.check));
    Command {
        recheck: true,
        ..Command::new(
            item("script", name),
            format!("probe_script {check}"),
            Act::Script {
                check,
                run: script.run.clone(),
                interpreter: interpreter(&script.run),
                seconds: script.timeout.duration().as_secs().max(1),
            },
            script.timeout.duration() + AROUND,
        )
    }
}

/// What runs a script: its `#!` line, or `sh -e`, which stops at the first command that fails.
fn interpreter(run: &str) -> Vec<String> {
    let first = run.strip_prefix("#!").and_then(|rest| rest.lines().next()).unwrap_or_default().trim();
    match first.split_once(char::is_whitespace) {
        _ if first.is_empty() => vec!["sh".into(), "-e".into()],
        // As the kernel has it: all that follows is one argument.
        Some((program, argument)) => vec![program.into(), argument.trim().into()],
        None => vec![first.into()],
    }
}

#[cfg(test)]
mod tests {
    use super::interpreter;

    #[test]
    fn the_first_line_says_what_runs_a_script() {
        assert_eq!(interpreter("echo"), ["sh", "-e"]);
        assert_eq!(interpreter("#!/bin/bash\necho"), ["/bin/bash"]);
        assert_eq!(interpreter("#! /usr/bin/env  python3 -u \nprint()"), ["/usr/bin/env", "python3 -u"]);
        assert_eq!(interpreter("#!\n"), ["sh", "-e"]);
    }
}
