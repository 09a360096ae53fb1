//! `pool schema`, `pool completions`, `pool man`: texts for editors, shells and people.

use clap_complete::generate;
use serde_json::json;

use crate::{
    args::Completions,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    parse,
};

/// Prints the JSON Schema of inventory files; JSON by nature, so `--json` changes nothing.
pub fn schema(cx: &Context) -> Outcome {
    cx.ui.raw(&format!("{:#}\n", pool_inventory::schema::json_schema()));
    Ok(ExitCode::Done)
}

/// Prints a completion script.
pub fn completions(cx: &Context, args: &Completions) -> Outcome {
    let mut script = Vec::new();
    generate(args.shell, &mut parse::command(), "pool", &mut script);
    script_answer(cx, "completions", script)
}

/// Prints the manual page: all commands on one page.
pub fn man(cx: &Context) -> Outcome {
    let mut page = Vec::new();
    render_man(&mut page).map_err(|error| CliError::new(ExitCode::Failed, "cannot write the page").cause(error))?;
    script_answer(cx, "man", page)
}

fn script_answer(cx: &Context, command: &str, text: Vec<u8>) -> Outcome {
    let text = String::from_utf8_lossy(&text).into_owned();
    cx.ui.answer(command, ExitCode::Done, &json!({ "text": text }), || text.clone());
    Ok(ExitCode::Done)
}

fn render_man(page: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = parse::command();
    command.build();
    let man = clap_mangen::Man::new(command.clone()).title("POOL").section("1");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    page.extend_from_slice(b".SH COMMANDS\n");
    commands(page, &command, "pool")?;
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n.nf\n");
    page.extend_from_slice(super::help::exit_codes().replace('-', "\\-").as_bytes());
    page.extend_from_slice(b".fi\n");
    man.render_version_section(page)
}

fn commands(page: &mut Vec<u8>, command: &clap::Command, path: &str) -> std::io::Result<()> {
    for sub in command.get_subcommands() {
        let path = format!("{path} {}", sub.get_name());
        page.extend_from_slice(format!(".SS {path}\n").as_bytes());
        // Flags of every command stand once, at the top.
        let own = sub.clone().mut_args(|arg| {
            let everywhere = arg.is_global_set() || arg.get_id() == "help";
            arg.hide(everywhere)
        });
        let man = clap_mangen::Man::new(own);
        let mut part = Vec::new();
        man.render_description_section(&mut part)?;
        man.render_options_section(&mut part)?;
        // Headings of a page have no place inside a section of it.
        for line in String::from_utf8_lossy(&part).lines() {
            let line = if line.starts_with(".SH ") { ".PP" } else { line };
            page.extend_from_slice(format!("{line}\n").as_bytes());
        }
        commands(page, sub, &path)?;
    }
    Ok(())
}
