//! What goes wrong: in the clouds, to the process, and behind its back.

use crate::{
    model::{Cloud, scarce},
    random::Random,
};

/// What happens to the process of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disruption {
    None,
    /// SIGKILL at the N-th point that it passes.
    CrashAt(u64),
    /// SIGKILL after so many milliseconds.
    KillAfter(u64),
    /// SIGINT after so many milliseconds; a second one after as many again.
    Interrupt {
        after: u64,
        twice: bool,
    },
    /// No file may grow beyond what the largest has now and so many blocks of 512 bytes.
    DiskFull(u64),
    /// A second operator does the same at the same time, and waits so many seconds for the first.
    Two {
        wait: u64,
    },
    /// A second operator takes the lease away after so many milliseconds and goes on.
    Steal(u64),
    /// The process is stopped after so many milliseconds, its lease is taken away, a second operator goes on, it wakes up.
    Freeze(u64),
    /// The clock jumps by so many seconds at the N-th time that it is read.
    Jump {
        at: u64,
        seconds: i64,
    },
    /// The time limit of the command.
    Limit(u64),
}

impl Disruption {
    pub fn any(random: &mut Random) -> Self {
        const KINDS: &[(u64, u8)] =
            &[(30, 0), (20, 1), (10, 2), (6, 3), (6, 4), (6, 5), (8, 6), (4, 7), (4, 8), (5, 9), (3, 10)];
        match random.weighted(KINDS) {
            1 => Self::CrashAt(random.between(1, 60)),
            2 => Self::KillAfter(random.between(5, 150)),
            3 => Self::Interrupt { after: random.between(5, 120), twice: false },
            4 => Self::Interrupt { after: random.between(5, 100), twice: true },
            5 => Self::DiskFull(random.between(0, 40)),
            6 => Self::Two { wait: *random.pick(&[0, 5]) },
            7 => Self::Steal(random.between(10, 120)),
            8 => Self::Freeze(random.between(10, 120)),
            9 => Self::Jump { at: random.between(1, 20), seconds: *random.pick(&[-86_400, -60, 45, 7_200, 400_000]) },
            10 => Self::Limit(random.between(20, 300)),
            _ => Self::None,
        }
    }
}

/// Gives a cloud the faults of a round. `slow`: its calls take real time, so that there is a moment to disturb.
pub fn choose(cloud: &mut Cloud, slow: bool, random: &mut Random) {
    let mut rules = Vec::new();
    let mut others = String::new();
    for _ in 0..random.between(0, 3) {
        rules.push(rule(random));
    }
    // What is slow on a real clock is as good as stuck, now or in a later round.
    cloud.stuck |= rules.iter().any(|rule| rule.contains("stuck") || rule.contains("slow"));
    if random.percent(10) {
        others += &format!(", stock: {{ {} }}", scarce(random));
    }
    // A boot of minutes in real time would be one.
    if slow && !cloud.slow_to_boot() {
        others += &format!(", clock: real, latency: {}ms", random.between(5, 40));
    }
    cloud.faults = format!("{others}, faults: [{}]", rules.join(", "));
}

fn rule(random: &mut Random) -> String {
    let nth = random.between(1, 12);
    let rate = *random.pick(&[5, 10, 30]);
    let act = *random.pick(&["any", "create", "update", "delete"]);
    match random.between(0, 12) {
        0 => format!("{{ on: any, rate: {rate}%, error: transient }}"),
        1 => "{ on: any, rate: 30%, error: transient }".to_owned(),
        2 => format!("{{ on: {act}, rate: {rate}%, error: lost-reply }}"),
        3 => {
            let (times, after) = (random.between(3, 15), random.between(10, 80));
            format!("{{ on: any, nth: {nth}, times: {times}, error: rate-limited, after: {after}ms }}")
        }
        4 => format!("{{ on: create, rate: {rate}%, error: no-capacity }}"),
        5 => format!("{{ on: create, nth: {nth}, error: quota-exceeded }}"),
        6 => format!("{{ on: create, rate: {rate}%, error: broken }}"),
        7 => format!("{{ on: {act}, nth: {nth}, error: broken }}"),
        8 => format!("{{ on: create, nth: {nth}, error: stuck }}"),
        9 => format!("{{ on: delete, rate: 30%, error: slow, after: {}s }}", random.between(1, 600)),
        10 => format!("{{ on: {act}, rate: {rate}%, error: slow, after: {}s }}", random.between(1, 600)),
        11 => format!("{{ on: delete, nth: {nth}, error: {} }}", random.pick(&["stuck", "broken"])),
        _ => format!("{{ on: any, nth: {nth}, error: {} }}", random.pick(&["kill-before", "kill-after"])),
    }
}
