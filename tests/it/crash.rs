//! Power cuts: the process is killed at every point that it passes, and the next apply makes it whole.
//!
//! Points stand before and after each journal write and each provider call, and inside each call of the simulated cloud.
//! What exists is counted in the simulated cloud's own ledger, not in our state.

mod shapes;

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

pub(crate) use self::shapes::SMALL;
use self::shapes::{SHAPES, Shape};
use crate::program::{command, copies, live, pool, text};

fn pool_until(dir: &Path, arguments: &[&str], crash_at: u32) -> Output {
    command(dir, arguments).env("POOL_CRASH_AT", crash_at.to_string()).output().expect("the binary starts")
}

fn apply_yes(shape_arguments: &[&'static str]) -> Vec<&'static str> {
    let observe = ["--observe", "providers"].iter().copied().filter(|_| shape_arguments.first() == Some(&"apply"));
    shape_arguments.iter().copied().chain(["--yes"]).chain(observe).collect()
}

/// What is there before the disturbance; made once for all points of a shape.
fn before(shape: &Shape) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |text: &str| std::fs::write(dir.path().join("pool.yaml"), text).expect("an inventory");
    std::fs::write(dir.path().join("flannel.yml"), "\"10.244.0.0/16\"").expect("a manifest");
    if let Some(before) = shape.before {
        write(before);
        let first = pool(dir.path(), &apply_yes(&["apply"]));
        assert!(first.status.success(), "{}: {}", shape.name, text(&first));
    }
    if !shape.prepare.is_empty() {
        let prepared = pool(dir.path(), &apply_yes(shape.prepare));
        assert!(prepared.status.success(), "{}: {}", shape.name, text(&prepared));
    }
    write(shape.during);
    dir
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a file");
        }
    }
}

/// Kills at point `at`. Gives whether the process was killed, or had ended before.
fn survive(shape: &Shape, before: &Path, at: u32) -> bool {
    let dir = tempfile::tempdir().expect("a folder");
    copy(before, dir.path());
    let arguments = apply_yes(shape.arguments);
    let hit = pool_until(dir.path(), &arguments, at);
    let killed = hit.status.signal() == Some(9);
    assert!(killed || hit.status.code() == Some(shape.code), "{} at {at}: {}", shape.name, text(&hit));
    let whole = shape.again.map_or_else(|| arguments.clone(), apply_yes);
    let mut again = pool(dir.path(), &whole);
    if shape.code != 0 && !again.status.success() {
        // It met the fault that the one before did not come to.
        again = pool(dir.path(), &whole);
    }
    assert!(again.status.success(), "{} at {at}, the apply after: {}", shape.name, text(&again));
    let mut plan = vec!["plan", "--detailed-exitcode"];
    if shape.arguments == ["destroy"] {
        plan.push("--destroy");
    }
    let last = pool(dir.path(), &plan);
    assert_eq!(last.status.code(), Some(0), "{} at {at}, the plan after: {}", shape.name, text(&last));
    assert_eq!(live(dir.path()), shape.live, "{} at {at}: orphans or losses", shape.name);
    if shape.has_copies() {
        let recorded = pool(dir.path(), &["state", "list", "snapshot/*", "backup/*"]);
        let recorded: Vec<&str> = std::str::from_utf8(&recorded.stdout).expect("text").lines().collect();
        assert_eq!(
            copies(dir.path()),
            recorded,
            "{} at {at}: copies that nobody knows of, or that are gone",
            shape.name
        );
    }
    killed
}

/// What whoever waits for all points wants to see.
#[expect(clippy::print_stderr, reason = "a test of an hour says how far it is")]
fn report(line: &str) {
    eprintln!("{line}");
}

/// Every N-th point is tried: what `POOL_CRASH_STRIDE` says (1 tries all), or what the shape says for a test of minutes.
fn stride(shape: &Shape) -> usize {
    let asked = std::env::var("POOL_CRASH_STRIDE").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(shape.stride).max(1)
}

/// Walks over the points of a shape, two at a time. How many were tried, and how many there are.
fn walk(shape: &Shape, first: u32) -> (usize, usize) {
    let (before, stride) = (before(shape), stride(shape));
    let (next, over, killed) = (AtomicUsize::new(0), AtomicU32::new(u32::MAX), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let walk = || {
            loop {
                let at = first + (next.fetch_add(1, Ordering::SeqCst) * stride) as u32;
                if at >= over.load(Ordering::SeqCst) {
                    return;
                }
                match survive(shape, before.path(), at) {
                    true => drop(killed.fetch_add(1, Ordering::SeqCst)),
                    false => drop(over.fetch_min(at, Ordering::SeqCst)),
                }
            }
        };
        scope.spawn(walk);
        scope.spawn(walk);
    });
    let killed = killed.into_inner();
    report(&format!("{}: killed at {killed} points of about {}", shape.name, killed * stride));
    (killed, killed * stride)
}

#[test]
fn every_kill_is_made_whole_by_the_next_apply() {
    let only = std::env::var("POOL_CRASH_SHAPE").ok();
    let wanted = |shape: &&Shape| only.as_deref().is_none_or(|only| only == shape.name);
    // Another remainder for each shape, so that the sample covers all kinds of points.
    let walks = SHAPES.iter().filter(wanted).zip(0..).map(|(shape, n)| walk(shape, 1 + n % stride(shape) as u32));
    let (tried, points) = walks.fold((0, 0), |sum, (tried, points)| (sum.0 + tried, sum.1 + points));
    report(&format!("{tried} kills at {points} points, and nothing was lost, doubled or left behind"));
    assert!(only.is_some() || tried >= 500 && points > 10_000, "only {tried} kills at {points} points");
}

#[test]
fn lost_replies_leave_exactly_one_machine_each() {
    let dir = tempfile::tempdir().expect("a folder");
    for rate in ["30%", "100%"] {
        let faults = format!("type: sim, faults: [{{ on: create, rate: {rate}, error: lost-reply }}]");
        let inventory =
            SMALL.replace("type: sim", &faults).replace("name: crash", &format!("name: lost-{}", &rate[..2]));
        let place = dir.path().join(rate);
        std::fs::create_dir(&place).and_then(|()| std::fs::write(place.join("pool.yaml"), inventory)).expect("files");
        let applied = pool(&place, &apply_yes(&["apply"]));
        assert!(applied.status.success(), "{rate}: {}", text(&applied));
        assert_eq!(live(&place), (3, 3), "{rate}");
        let plan = pool(&place, &["plan", "--detailed-exitcode"]);
        assert_eq!(plan.status.code(), Some(0), "{rate}: {}", text(&plan));
    }
}

#[test]
fn a_place_without_capacity_is_left_for_the_next_approved_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let inventory = "version: 1\nname: full\nproviders:\n  cloud:\n    type: sim\n    \
        faults: [{ on: create, address: host/web-1, nth: 1, error: no-capacity }]\n\
        pools:\n  web: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12 }\n";
    std::fs::write(dir.path().join("pool.yaml"), inventory).expect("an inventory");
    let applied = pool(dir.path(), &apply_yes(&["apply"]));
    assert!(applied.status.success(), "{}", text(&applied));
    assert!(text(&applied).contains("no capacity in cloud/"), "{}", text(&applied));
    assert_eq!(live(dir.path()), (3, 0));
    let plan = pool(dir.path(), &["plan", "--detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0), "what it costs there is recorded: {}", text(&plan));
}

#[test]
fn of_two_applies_at_once_one_wins() {
    let dir = tempfile::tempdir().expect("a folder");
    let slow = SMALL.replace("type: sim", "type: sim, latency: 300ms, clock: real");
    std::fs::write(dir.path().join("pool.yaml"), slow).expect("an inventory");
    let start = || {
        let mut command = command(dir.path(), &["apply", "--yes", "--lock-timeout", "0s"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts")
    };
    let (one, two) = (start(), start());
    let ends = [one, two].map(|child| child.wait_with_output().expect("it ends"));
    let mut codes = ends.each_ref().map(|end| end.status.code().expect("a code"));
    codes.sort();
    // The one that comes later finds the lease held (6), or its plan overtaken by the first (7).
    assert_eq!(codes[0], 0, "{}{}", text(&ends[0]), text(&ends[1]));
    assert!([6, 7].contains(&codes[1]), "{}{}", text(&ends[0]), text(&ends[1]));
    assert_eq!(live(dir.path()), (3, 3));
}
