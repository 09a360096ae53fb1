//! The binary `pool`: reads the command line, calls an operation of the engine, prints what came of it.
//!
//! | module | what it holds |
//! |---|---|
//! | `args`, `help` | the command line and its texts |
//! | `argv`, `parse` | from words to `args::Cli` |
//! | `commands` | one file per command |
//! | `render` | pure: data in, text out |
//! | `ui` | the one place that writes |
//! | `error` | errors and exit codes as users see them |
//! | `context` | what every command gets: flags, the `Ui`, an open environment |

mod args;
mod argv;
mod commands;
mod context;
#[cfg(test)]
mod docs;
mod error;
mod help;
mod interrupt;
mod parse;
mod progress;
mod render;
mod selector;
mod ui;

use context::Context;
use error::{CliError, ExitCode};
use ui::Ui;

/// Plans and runs make and drop millions of small objects on several threads, which it does in two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    // A process of a local machine is this program too; it must be so before any thread runs.
    if let [_, word, machine @ ..] = &argv[..]
        && word == pool_providers::local::machine::WORD
    {
        return pool_providers::local::machine::main(machine);
    }
    std::process::ExitCode::from(run(argv).code())
}

fn run(argv: Vec<std::ffi::OsString>) -> ExitCode {
    let said = |flag: &str| argv.iter().any(|arg| arg.to_str().is_some_and(|arg| arg.trim_start_matches('-') == flag));
    let (no_color, json) = (said("no-color"), said("json"));
    let cli = match parse::parse(argv) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &Ui::plain(no_color, json)),
    };
    let cx = match Context::new(cli.global) {
        Ok(cx) => cx,
        Err(error) => {
            error.show(&Ui::plain(no_color, json), commands::name(&cli.command));
            return error.code;
        }
    };
    let code = commands::run(&cx, &cli.command).unwrap_or_else(|error| {
        error.show(&cx.ui, commands::name(&cli.command));
        error.code
    });
    match cx.ui.finish() {
        Some(error) => {
            let error = CliError::new(ExitCode::Failed, "cannot write the results").cause(error);
            cx.ui.say(&error.render(cx.ui.coloured_talk()));
            if code == ExitCode::Done { error.code } else { code }
        }
        None => code,
    }
}

/// Help and version go to standard output; everything else that clap has to say is an error of usage.
fn refuse(error: &clap::Error, ui: &Ui) -> ExitCode {
    use clap::error::ErrorKind;
    let text = error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            ui.raw(&text);
            ExitCode::Done
        }
        _ => {
            ui.say(&text);
            CliError::usage(error.to_string().trim_end()).tell(ui, "");
            ExitCode::Usage
        }
    }
}
