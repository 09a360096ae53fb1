//! `local` machines, for real: as this process's user, and as root also once more without root.

mod bench;
mod cases;
mod ssh;

use std::{env, ffi::OsString, process::ExitCode};

use pool_providers::local::machine;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    if args.get(1).is_some_and(|word| word == machine::WORD) {
        return machine::main(&args[2..]);
    }
    if let Some([word, dir, public]) = args.get(1..4)
        && word == cases::CREATE
    {
        cases::create_one(&dir.to_string_lossy(), &public.to_string_lossy());
        return ExitCode::SUCCESS;
    }
    if let Some([word, dir]) = args.get(1..3)
        && word == cases::CROWDED
    {
        cases::live_crowded(&dir.to_string_lossy());
        return ExitCode::SUCCESS;
    }
    bench::run(cases::ALL, &args[1..])
}
