//! A model-based random test of the whole program, as separate processes on simulated clouds.
//!
//! | module | what |
//! |---|---|
//! | `model` | a random inventory and random edits |
//! | `trouble` | faults of the clouds, and what happens to processes |
//! | `run` | one life: rounds of edits and commands under trouble, then peace |
//! | `judge` | what must hold, by the clouds' own ledgers |
//!
//! `POOL_CHAOS_SEED=N` repeats one life and keeps its folder; `POOL_CHAOS_RUNS=N` and `POOL_CHAOS_FOR=2h` say how many, or
//! how long; `POOL_CHAOS_FROM=N` is the first seed; `POOL_BIN` is another binary than the one that is tested here.
//! `benches/chaos.sh` runs it for hours.

mod judge;
mod model;
mod random;
mod run;
mod trouble;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use run::Run;

/// Lives at a time: each waits for processes most of its time.
const THREADS: u64 = 2;

/// What whoever waits for hours wants to see.
#[expect(clippy::print_stderr, reason = "a test of hours says how far it is")]
fn report(line: &str) {
    eprintln!("{line}");
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Lives through one seed. `Err`: what did not hold, and all that was done.
fn live(seed: u64) -> Result<u32, String> {
    let program = setting("POOL_BIN").unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pool")));
    let dir = tempfile::Builder::new().prefix(&format!("chaos-{seed}-")).tempdir().expect("a folder");
    let mut run = Run::new(seed, dir.path(), &program);
    let begun = Instant::now();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.live()))
        .unwrap_or_else(|_| Err("the test itself panicked".to_owned()));
    if result.is_ok() && setting::<u64>("POOL_CHAOS_SEED").is_none() {
        return Ok(run.commands);
    }
    let kept = dir.keep();
    let _ = std::fs::write(kept.join("log"), &run.log);
    let seconds = begun.elapsed().as_secs_f32();
    match result {
        Ok(()) => Ok(run.commands),
        Err(why) => Err(format!("seed {seed} ({seconds:.1} s), kept in {}: {why}", kept.display())),
    }
}

#[test]
fn whatever_happens_nothing_is_lost_doubled_or_left_behind() {
    if let Some(seed) = setting("POOL_CHAOS_SEED") {
        live(seed).expect("this life");
        return;
    }
    let begun = Instant::now();
    let time = setting::<pool_inventory::TimeSpan>("POOL_CHAOS_FOR").map(pool_inventory::TimeSpan::duration);
    let runs = setting("POOL_CHAOS_RUNS").unwrap_or(if time.is_some() { u64::MAX } else { 200 });
    let first: u64 = setting("POOL_CHAOS_FROM").unwrap_or(1);
    let (next, commands) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= runs || begun.elapsed() >= time.unwrap_or(Duration::MAX) {
                        return;
                    }
                    match live(first + number) {
                        Ok(count) => drop(commands.fetch_add(u64::from(count), Ordering::SeqCst)),
                        Err(why) => {
                            report(&why);
                            failures.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                        }
                    }
                }
            });
        }
    });
    let lived = next.load(Ordering::SeqCst).saturating_sub(THREADS).min(runs);
    let commands = commands.load(Ordering::SeqCst);
    report(&format!("{lived} lives, {commands} processes, {:.0} s", begun.elapsed().as_secs_f32()));
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failures.is_empty(), "{} of them failed:\n{}", failures.len(), failures.join("\n"));
}
