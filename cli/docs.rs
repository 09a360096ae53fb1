//! `docs/cli.md`, generated from the command line's description. `UPDATE_SNAPSHOTS=1 cargo test` rewrites it.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::{commands::exit_codes, parse};

#[test]
fn the_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
    let wanted = reference();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &wanted).expect("the reference can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/cli.md is not what the code says; run: UPDATE_SNAPSHOTS=1 cargo test -p pool --bin pool docs"
    );
}

fn reference() -> String {
    let mut command = parse::command();
    command.build();
    let mut text = String::from(
        "# The command line\n\nGenerated from the code. Every flag has a variable: `--lock-timeout` is `POOL_LOCK_TIMEOUT`.\n\n",
    );
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(text, "{about}.\n\n## Flags of every command\n");
    flags(&mut text, command.get_arguments().filter(|arg| arg.is_global_set()));
    commands(&mut text, &command, "pool");
    let _ = writeln!(text, "\n## Exit codes\n\n```\n{}```", exit_codes());
    text
}

fn commands(text: &mut String, command: &Command, path: &str) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name());
        let usage: Vec<String> = sub.get_positionals().map(positional).collect();
        let aliases: Vec<&str> = sub.get_visible_aliases().collect();
        let _ = writeln!(text, "\n## `{}`\n", [std::slice::from_ref(&path), &usage[..]].concat().join(" "));
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{about}.");
        if !aliases.is_empty() {
            let _ = writeln!(text, "Alias: `{}`.", aliases.join("`, `"));
        }
        let own: Vec<&Arg> = sub.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help").collect();
        if !own.is_empty() {
            text.push('\n');
            flags(text, own.into_iter());
        }
        if let Some(examples) = sub.get_after_help() {
            let _ = writeln!(text, "\n```\n{examples}\n```");
        }
        commands(text, sub, &path);
    }
}

fn flags<'a>(text: &mut String, args: impl Iterator<Item = &'a Arg>) {
    text.push_str("| | |\n|---|---|\n");
    for arg in args.filter(|arg| !arg.is_hide_set()) {
        let names = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
        let mut name = names.into_iter().flatten().collect::<Vec<_>>().join(", ");
        match (arg.is_positional(), arg.get_action().takes_values()) {
            (true, _) => name = positional(arg),
            (false, true) => name = format!("{name} {}", values(arg)),
            (false, false) => {}
        }
        let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        let possible: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|v| !v.is_hide_set())
            .map(|v| format!("`{}`", v.get_name()))
            .collect();
        if !possible.is_empty() && arg.get_action().takes_values() {
            let _ = write!(help, ": {}", possible.join(", "));
        }
        if let [default] = arg.get_default_values()
            && arg.get_action().takes_values()
        {
            let _ = write!(help, " (default `{}`)", default.to_string_lossy());
        }
        let _ = writeln!(text, "| `{}` | {help} |", name.replace('|', "\\|"));
    }
}

fn values(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ")
}

fn positional(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let name = if arg.is_last_set() { format!("-- {name}…") } else { name };
    if arg.is_required_set() { name } else { format!("[{name}]") }
}
