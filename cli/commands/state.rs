//! `pool state`

use std::{io::Read, path::Path};

use pool_engine::ops::Environment;
use pool_inventory::{Address, names::wildcard, object::Recorded};
use serde_json::json;

use super::{show::not_recorded, unlock::confirm};
use crate::{
    args::StateCommand,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::{object, table::Table, words},
};

/// Looks at what is recorded, or corrects it.
pub fn run(cx: &Context, command: &StateCommand) -> Outcome {
    match command {
        StateCommand::List { pattern } => list(cx, pattern),
        StateCommand::Show { address } => show(cx, address),
        StateCommand::Mv { from, to } => mv(cx, from, to),
        StateCommand::Rm { addresses } => rm(cx, addresses),
        StateCommand::Pull => pull(cx),
        StateCommand::Push { file, force } => push(cx, file, *force),
    }
}

fn records(cx: &Context) -> Result<Vec<Recorded>, CliError> {
    cx.with_environment(async |env: Environment| Ok(env.records().await?))
}

fn list(cx: &Context, patterns: &[String]) -> Outcome {
    let records = records(cx)?;
    let fits = |record: &&Recorded| {
        let address = record.address.to_string();
        patterns.is_empty() || patterns.iter().any(|pattern| wildcard(pattern, &address))
    };
    let found: Vec<&Recorded> = records.iter().filter(fits).collect();
    cx.ui.answer("state list", ExitCode::Done, &found, || listing(&found, cx.ui.verbose()));
    Ok(ExitCode::Done)
}

/// One address per line, for pipes; with `-v` where and what as well.
fn listing(records: &[&Recorded], verbose: bool) -> String {
    if !verbose {
        return records.iter().map(|record| format!("{}\n", record.address)).collect();
    }
    let mut table = Table::new(&["object", ">generation", "where and what"]);
    for record in records {
        let what = words::object(&record.provider, &record.spec, record.price);
        table.row([record.address.to_string(), record.generation.to_string(), what]);
    }
    table.render()
}

fn show(cx: &Context, address: &Address) -> Outcome {
    let records = records(cx)?;
    let found: Vec<&Recorded> = records.iter().filter(|record| record.address == *address).collect();
    if found.is_empty() {
        return Err(not_recorded(cx, address));
    }
    cx.ui.answer("state show", ExitCode::Done, &found, || {
        found.iter().map(|record| object::record(record)).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::Done)
}

fn mv(cx: &Context, from: &Address, to: &Address) -> Outcome {
    cx.with_environment(async |env: Environment| Ok(env.state_mv(from, to).await?))?;
    cx.ui.answer("state mv", ExitCode::Done, &json!({ "from": from, "to": to }), || {
        format!("{from} is recorded as {to}\n")
    });
    Ok(ExitCode::Done)
}

fn rm(cx: &Context, addresses: &[Address]) -> Outcome {
    let names = addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(" ");
    let question = format!("Forget {names}? What they stand for is left alone and no longer managed.");
    confirm(cx, &question, &format!("state rm {names} --yes"))?;
    cx.with_environment(async |env: Environment| {
        for address in addresses {
            env.state_rm(address).await?;
        }
        Ok(())
    })?;
    cx.ui.answer("state rm", ExitCode::Done, &json!({ "forgotten": addresses }), || {
        addresses.iter().map(|address| format!("{address} is forgotten\n")).collect()
    });
    Ok(ExitCode::Done)
}

/// JSON by nature: printed as it is, whatever the flags say.
fn pull(cx: &Context) -> Outcome {
    let state = cx.with_environment(async |env: Environment| Ok(env.state_pull().await?))?;
    cx.ui.raw(&format!("{}\n", state.trim_end()));
    Ok(ExitCode::Done)
}

/// All that is to be read, unless it has no end: the export of 100,000 hosts has about 200 MB.
fn bounded(from: impl Read) -> std::io::Result<String> {
    const LARGEST: u64 = 1 << 30;
    let mut text = String::new();
    from.take(LARGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST {
        true => Err(std::io::Error::other("it is larger than any export")),
        false => Ok(text),
    }
}

fn push(cx: &Context, file: &Path, force: bool) -> Outcome {
    let shown = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let read = match file == Path::new("-") {
        true => bounded(std::io::stdin()),
        false => std::fs::File::open(file).and_then(bounded),
    };
    let text = read.map_err(|error| CliError::new(ExitCode::Failed, format!("cannot read {shown}")).cause(error))?;
    let again =
        format!("state push {}{} --yes", super::quote(&file.to_string_lossy()), if force { " --force" } else { "" });
    confirm(cx, &format!("Replace the state by {shown}?"), &again)?;
    cx.with_environment(async |env: Environment| Ok(env.state_push(&text, force).await?))?;
    cx.ui.answer("state push", ExitCode::Done, &json!({ "from": shown }), || {
        format!("the state is now that of {shown}\n")
    });
    Ok(ExitCode::Done)
}
