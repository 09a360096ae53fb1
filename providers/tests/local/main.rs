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
    bench::run(cases::ALL, &args[1..])
}
