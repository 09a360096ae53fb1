//! Power cuts: the process is killed at every point that it passes, and the next apply makes it whole.
//!
//! Points stand before and after each journal write and each provider call. What exists is counted in the simulated
//! cloud's own ledger, not in our state.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Output, Stdio},
};

use crate::program::{command, copies, live, pool, text};

/// One way through the life of an inventory: what is applied undisturbed first, and what is disturbed then.
struct Shape {
    name: &'static str,
    before: Option<&'static str>,
    /// What is done undisturbed before, beside the apply.
    prepare: &'static [&'static str],
    during: &'static str,
    arguments: &'static [&'static str],
    /// What makes it whole; none: the same again.
    again: Option<&'static [&'static str]>,
    /// Hosts and volumes that are there at the end.
    live: (usize, usize),
    /// What it ends with where nothing kills it.
    code: i32,
}

const SMALL: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: hello } } } }\n";

const GROWN: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    policy: { max_destroyed: 100%, max_replaced: 100% }\n\
    pools:\n  web: { hosts: 2, size: { vcpus: 4, memory: 8GiB, disk: 20GiB }, image: ubuntu-24-04,\n    \
    volumes: { data: { size: 20GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: changed } } } }\n";

const SLOW: &str = "version: 1\nname: crash\n\
    providers: { cloud: { type: sim, boot: 20s, latency: 10ms, visibility: 200ms, page: 2 } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 2, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, on_remove: delete } } }\n";

/// The last of its volumes cannot be attached, once.
const FAILING: &str = "version: 1\nname: crash\nproviders:\n  cloud:\n    type: sim\n    \
    faults: [{ on: update, address: volume/web-2.data, nth: 1, error: quota-exceeded }]\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 3, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } } }\n";

const WIDE: &str = "version: 1\nname: crash\nproviders: { cloud: { type: sim } }\n\
    tiers: { fast: { backends: [cloud/fast] } }\n\
    pools:\n  web: { hosts: 24, size: { vcpus: 2, memory: 4GiB, disk: 20GiB }, image: debian-12,\n    \
    volumes: { data: { size: 10GiB, tier: fast, mount: /data, on_remove: delete } },\n    \
    bootstrap: { files: { /etc/motd: { content: hello } } } }\n";

const SNAPSHOT: &[&str] = &["volume", "snapshot", "volume/web-*.data", "one"];

impl Shape {
    const fn new(name: &'static str, before: Option<&'static str>, during: &'static str, live: (usize, usize)) -> Self {
        Self { name, before, prepare: &[], during, arguments: &["apply"], again: None, live, code: 0 }
    }

    /// Everything goes.
    const fn destroy(self) -> Self {
        Self { arguments: &["destroy"], live: (0, 0), ..self }
    }

    /// Something that is asked for by name: after a power cut it may be done or not, and an apply finds out.
    const fn errand(name: &'static str, prepare: &'static [&'static str], arguments: &'static [&'static str]) -> Self {
        let again: Option<&[&str]> = Some(&["apply"]);
        Self { prepare, arguments, again, ..Self::new(name, Some(SMALL), SMALL, (3, 3)) }
    }
}

const SHAPES: [Shape; 12] = [
    Shape::new("create", None, SMALL, (3, 3)),
    Shape::new("change", Some(SMALL), GROWN, (2, 2)),
    Shape::new("destroy", Some(SMALL), SMALL, (0, 0)).destroy(),
    Shape::new("slow cloud", None, SLOW, (2, 2)),
    Shape {
        arguments: &["apply", "--on-failure", "undo"],
        again: Some(&["apply"]),
        code: 1,
        ..Shape::new("undo", None, FAILING, (3, 3))
    },
    Shape::new("wide create", None, WIDE, (24, 24)),
    Shape::new("wide destroy", Some(WIDE), WIDE, (0, 0)).destroy(),
    Shape::errand("snapshot", &[], SNAPSHOT),
    Shape::errand("restore", SNAPSHOT, &["volume", "restore", "snapshot/web-1.data.one"]),
    Shape::errand("delete a copy", SNAPSHOT, &["volume", "delete", "snapshot/web-1.data.one"]),
    Shape::errand("stop", &[], &["host", "stop", "web-0", "web-2"]),
    Shape { prepare: SNAPSHOT, ..Shape::new("destroy with copies", Some(SMALL), SMALL, (0, 0)).destroy() },
];

fn pool_until(dir: &Path, arguments: &[&str], crash_at: u32) -> Output {
    command(dir, arguments).env("POOL_CRASH_AT", crash_at.to_string()).output().expect("the binary starts")
}

fn apply_yes(shape_arguments: &[&'static str]) -> Vec<&'static str> {
    let observe = ["--observe", "providers"].iter().copied().filter(|_| shape_arguments.first() == Some(&"apply"));
    shape_arguments.iter().copied().chain(["--yes"]).chain(observe).collect()
}

/// Kills at point `at`. Gives whether the process was killed, or had ended before.
fn survive(shape: &Shape, at: u32) -> bool {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |text: &str| std::fs::write(dir.path().join("pool.yaml"), text).expect("an inventory");
    if let Some(before) = shape.before {
        write(before);
        let first = pool(dir.path(), &apply_yes(&["apply"]));
        assert!(first.status.success(), "{} at {at}: {}", shape.name, text(&first));
    }
    if !shape.prepare.is_empty() {
        let prepared = pool(dir.path(), &apply_yes(shape.prepare));
        assert!(prepared.status.success(), "{} at {at}: {}", shape.name, text(&prepared));
    }
    write(shape.during);
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
    let recorded = pool(dir.path(), &["state", "list", "snapshot/*", "backup/*"]);
    let recorded: Vec<&str> = std::str::from_utf8(&recorded.stdout).expect("text").lines().collect();
    assert_eq!(
        copies(dir.path()),
        recorded,
        "{} at {at}: copies that nobody knows of, or that are not there",
        shape.name
    );
    killed
}

/// How many points lie between two that are tried; `POOL_CRASH_STRIDE=1` tries all. Wide shapes have several hundred
/// points, most of them alike, so fewer of theirs are tried by default.
fn stride(shape: &Shape) -> usize {
    let asked = std::env::var("POOL_CRASH_STRIDE").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if shape.name.starts_with("wide") { 29 } else { 3 }).max(1)
}

#[test]
fn every_kill_is_made_whole_by_the_next_apply() {
    let mut points = 0;
    for (index, shape) in SHAPES.iter().enumerate() {
        // Another remainder for each shape, so that the sample covers all kinds of points.
        let stride = stride(shape);
        let first = 1 + index as u32 % stride as u32;
        points += (first..).step_by(stride).take_while(|at| survive(shape, *at)).count() * stride;
    }
    assert!(points > 950, "only {points} points were passed");
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
