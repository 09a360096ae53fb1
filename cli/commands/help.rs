//! `pool help`

use serde_json::json;

use crate::{
    args::Help,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    parse,
};

/// Prints help for a command or a topic.
pub fn run(cx: &Context, args: &Help) -> Outcome {
    if args.topic == ["exit-codes"] {
        let codes: Vec<_> = ExitCode::ALL
            .iter()
            .map(|(code, meaning)| json!({ "code": code.code(), "meaning": meaning.replace('\n', " ") }))
            .collect();
        cx.ui.answer("help", ExitCode::Done, &codes, exit_codes);
        return Ok(ExitCode::Done);
    }
    let mut command = parse::command();
    command.build();
    let mut at = &mut command;
    for word in &args.topic {
        at = at.find_subcommand_mut(word).ok_or_else(|| {
            CliError::usage(format!("there is no help for `{}`", args.topic.join(" ")))
                .hint("commands are listed by: pool help; further topics: exit-codes")
        })?;
    }
    let text = at.render_help();
    cx.ui.answer("help", ExitCode::Done, &json!({ "text": text.to_string() }), || text.ansi().to_string());
    Ok(ExitCode::Done)
}

/// The table of exit codes.
pub fn exit_codes() -> String {
    let line =
        |(code, meaning): &(ExitCode, &str)| format!("{:>5}  {}\n", code.code(), meaning.replace('\n', "\n       "));
    let table: String = ExitCode::ALL.iter().map(line).collect();
    format!(
        "Exit codes of pool; JSON carries the same code.\n\n{table}\n`pool ssh` ends with what the session ended with.\n"
    )
}
