//! Placing hosts of several pools at once, where room is scarce: a good greedy answer, then a bounded search for a better.
//!
//! Only numbers: pools are classes of hosts that are alike, places are options, accounts and stock are room. The search is
//! deterministic, and its work is bounded whatever the puzzle: moves of one host that push others aside, then, where
//! there are few hosts, a search of everything that the prices of room (Lagrange multipliers) do not rule out.

use super::ties::{self, Mask, Tally, Tie};

/// What is to be placed, and the room for it.
pub(crate) struct Puzzle {
    /// In the order in which they are served.
    pub classes: Vec<Class>,
    pub room: Vec<u64>,
    /// Rules between classes.
    pub ties: Vec<Tie>,
}

/// Hosts that are alike.
pub(crate) struct Class {
    pub hosts: u32,
    /// Best first.
    pub options: Vec<Choice>,
    /// Hosts that stand already, per domain.
    pub counts: Vec<u32>,
    /// The most by which domains may differ.
    pub most: Option<u32>,
    /// Whether domains are filled as evenly as can be, before costs count.
    pub even: bool,
}

/// A place for a host of a class.
pub(crate) struct Choice {
    pub cost: i64,
    /// Index of room, and how much of it.
    pub uses: Vec<(u32, u64)>,
    pub domain: u32,
}

/// Hosts by class and option.
pub(crate) type Answer = Vec<Vec<u32>>;

/// Attempts that the search of moves may make, and those of the search of everything.
const MOVES: u64 = 150_000;
const NODES: u64 = 250_000;
/// Hosts that everything is searched for, at most.
const FEW: u32 = 64;
/// Hosts that are pushed aside one after the other, at most.
const DEPTH: u32 = 3;
/// What one host more in a domain weighs where domains are filled evenly: more than any difference of costs.
const UNEVEN: i128 = 1 << 80;

/// An answer that is better than the greedy one; none: the greedy one is as good, or room is not scarce. Where classes
/// are tied, one by one is no good: an answer in which all hosts have a place, or none.
pub(crate) fn solve(puzzle: &Puzzle) -> Option<Answer> {
    let mut board = Board::new(puzzle);
    let tied = !puzzle.ties.is_empty();
    if tied {
        board.mask = ties::pattern(puzzle);
    }
    if !board.fill() && !tied {
        return None;
    }
    let greedy = board.value();
    board.limit = board.work + MOVES;
    board.seat_rest();
    board.improve();
    board.mask.clear();
    if tied {
        board.improve();
    }
    let mut best = (board.value(), board.taken.clone());
    if puzzle.classes.iter().map(|class| class.hosts).sum::<u32>() <= FEW {
        board.limit = board.work + NODES;
        if let Some(taken) = super::exhaust::search(&mut board, &best.0) {
            board.restore(&taken);
            best = (board.value(), taken);
        }
    }
    let good = if tied { best.0.missing.iter().all(|missing| *missing == 0) } else { best.0 < greedy };
    good.then_some(best.1)
}

/// How good an answer is; less is better: hosts without a place, class by class, then the cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Value {
    pub missing: Vec<u32>,
    pub cost: i128,
}

/// An answer while it is looked for.
pub(crate) struct Board<'p> {
    pub puzzle: &'p Puzzle,
    pub room: Vec<u64>,
    pub taken: Answer,
    counts: Vec<Vec<u32>>,
    fresh: Vec<Vec<u32>>,
    pub placed: Vec<u32>,
    pub tallies: Vec<Tally>,
    /// What may be taken; empty: everything.
    pub mask: Mask,
    cost: i128,
    /// Attempts so far, and where they end.
    pub work: u64,
    pub limit: u64,
}

impl<'p> Board<'p> {
    pub(crate) fn new(puzzle: &'p Puzzle) -> Self {
        let classes = &puzzle.classes;
        Self {
            puzzle,
            room: puzzle.room.clone(),
            taken: classes.iter().map(|class| vec![0; class.options.len()]).collect(),
            counts: classes.iter().map(|class| class.counts.clone()).collect(),
            fresh: classes.iter().map(|class| vec![0; class.counts.len()]).collect(),
            placed: vec![0; classes.len()],
            tallies: puzzle.ties.iter().map(Tally::new).collect(),
            mask: Mask::new(),
            cost: 0,
            work: 0,
            limit: 0,
        }
    }

    pub(crate) fn value(&self) -> Value {
        let missing = self.puzzle.classes.iter().zip(&self.placed).map(|(class, placed)| class.hosts - placed);
        Value { missing: missing.collect(), cost: self.cost }
    }

    /// Places what can be placed, and makes that better by so many attempts.
    pub(crate) fn build(&mut self, moves: u64) {
        self.fill();
        self.limit = self.work + moves;
        self.seat_rest();
        self.improve();
    }

    /// Whether there is room, and the option is open.
    pub(crate) fn fits(&self, class: usize, option: usize) -> bool {
        let open = self.mask.get(class).and_then(|open| open.get(option)).copied().unwrap_or(true);
        open && self.puzzle.classes[class].options[option]
            .uses
            .iter()
            .all(|(at, amount)| self.room[*at as usize] >= *amount)
    }

    pub(crate) fn put(&mut self, class: usize, option: usize) {
        let (of, choice) = (&self.puzzle.classes[class], &self.puzzle.classes[class].options[option]);
        for (at, amount) in &choice.uses {
            self.room[*at as usize] -= amount;
        }
        let domain = choice.domain as usize;
        self.counts[class][domain] += 1;
        self.fresh[class][domain] += 1;
        self.taken[class][option] += 1;
        self.placed[class] += 1;
        for (tie, side) in self.ties(class) {
            self.tallies[tie].add(side, self.puzzle.ties[tie].sides[side].keys[option] as usize);
        }
        self.cost +=
            i128::from(choice.cost) + if of.even { UNEVEN * i128::from(self.counts[class][domain]) } else { 0 };
    }

    pub(crate) fn lift(&mut self, class: usize, option: usize) {
        let (of, choice) = (&self.puzzle.classes[class], &self.puzzle.classes[class].options[option]);
        for (at, amount) in &choice.uses {
            self.room[*at as usize] += amount;
        }
        let domain = choice.domain as usize;
        self.cost -=
            i128::from(choice.cost) + if of.even { UNEVEN * i128::from(self.counts[class][domain]) } else { 0 };
        self.counts[class][domain] -= 1;
        self.fresh[class][domain] -= 1;
        self.taken[class][option] -= 1;
        self.placed[class] -= 1;
        for (tie, side) in self.ties(class) {
            self.tallies[tie].remove(side, self.puzzle.ties[tie].sides[side].keys[option] as usize);
        }
    }

    /// Whether no tie is broken, and no domain that got hosts is too far above the emptiest.
    pub(crate) fn sound(&self, class: usize) -> bool {
        if !self.bound(class) {
            return false;
        }
        let Some(most) = self.puzzle.classes[class].most else { return true };
        let least = self.counts[class].iter().min().copied().unwrap_or(0);
        let high = |(count, fresh): (&u32, &u32)| *fresh > 0 && *count > least.saturating_add(most);
        !self.counts[class].iter().zip(&self.fresh[class]).any(high)
    }

    fn try_put(&mut self, class: usize, option: usize) -> bool {
        self.work += 1;
        if !self.fits(class, option) {
            return false;
        }
        self.put(class, option);
        if self.sound(class) {
            return true;
        }
        self.lift(class, option);
        false
    }

    /// Places hosts one after the other, each where it is best; whether anything was not as it would like.
    fn fill(&mut self) -> bool {
        let mut scarce = false;
        for class in 0..self.puzzle.classes.len() {
            let of = &self.puzzle.classes[class];
            let mut heads: Vec<Vec<usize>> = vec![Vec::new(); of.counts.len()];
            for option in (0..of.options.len()).rev() {
                heads[of.options[option].domain as usize].push(option);
            }
            while self.placed[class] < of.hosts {
                let Some((option, short)) = self.best(class, &mut heads) else {
                    scarce = true;
                    break;
                };
                scarce |= short;
                self.put(class, option);
            }
        }
        scarce
    }

    /// The best option with room; `heads` holds those left per domain, best last. Whether some had none.
    fn best(&mut self, class: usize, heads: &mut [Vec<usize>]) -> Option<(usize, bool)> {
        let of = &self.puzzle.classes[class];
        let least = self.counts[class].iter().min().copied().unwrap_or(0);
        let tied = self.ties(class).next().is_some();
        let (mut best, mut short) = (None, false);
        self.work += heads.len() as u64;
        for (domain, left) in heads.iter_mut().enumerate() {
            let count = self.counts[class][domain];
            if of.most.is_some_and(|most| count >= least.saturating_add(most)) {
                continue;
            }
            while left.last().is_some_and(|option| !self.fits(class, *option)) {
                left.pop();
                short = true;
            }
            let Some(&option) = (if tied { self.joins(class, left) } else { left.last() }) else { continue };
            let key = (if of.even { count } else { 0 }, option);
            best = best.map_or(Some(key), |best: (u32, usize)| Some(best.min(key)));
        }
        best.map(|(_, option)| (option, short))
    }

    /// Finds places for those that have none, by moving others.
    fn seat_rest(&mut self) {
        for class in 0..self.puzzle.classes.len() {
            while self.placed[class] < self.puzzle.classes[class].hosts && self.work < self.limit {
                if !self.seat(class, DEPTH, None) {
                    break;
                }
            }
        }
    }

    /// A place for one more host of a class, if need be one from which others move on.
    fn seat(&mut self, class: usize, depth: u32, avoid: Option<usize>) -> bool {
        let options = self.puzzle.classes[class].options.len();
        for option in (0..options).filter(|option| Some(*option) != avoid) {
            if self.try_put(class, option) {
                return true;
            }
        }
        if depth == 0 {
            return false;
        }
        for option in (0..options).filter(|option| Some(*option) != avoid) {
            for (other, from) in self.blockers(class, option) {
                if self.work >= self.limit {
                    return false;
                }
                if self.push_aside((class, option), (other, from), depth) {
                    return true;
                }
            }
        }
        false
    }

    /// Puts a host where others are, which then find another place.
    fn push_aside(&mut self, (class, option): (usize, usize), (other, from): (usize, usize), depth: u32) -> bool {
        let mut lifted = 0;
        while lifted < DEPTH && self.taken[other][from] > 0 && !self.fits(class, option) {
            self.lift(other, from);
            lifted += 1;
        }
        let before = self.taken.clone();
        if self.try_put(class, option) {
            let placed = (0..lifted).all(|_| self.seat(other, depth - 1, Some(from)));
            if placed && self.sound(class) && self.sound(other) {
                return true;
            }
            self.restore(&before);
        }
        (0..lifted).for_each(|_| self.put(other, from));
        false
    }

    pub(crate) fn restore(&mut self, taken: &Answer) {
        for down in [true, false] {
            for (class, options) in taken.iter().enumerate() {
                for (option, wanted) in options.iter().enumerate() {
                    while down && self.taken[class][option] > *wanted {
                        self.lift(class, option);
                    }
                    while !down && self.taken[class][option] < *wanted {
                        self.put(class, option);
                    }
                }
            }
        }
    }

    /// Hosts that take what an option is short of.
    fn blockers(&mut self, class: usize, option: usize) -> Vec<(usize, usize)> {
        self.work += 1 + self.puzzle.classes.iter().map(|class| class.options.len() as u64).sum::<u64>() / 8;
        let uses = &self.puzzle.classes[class].options[option].uses;
        let short = |(at, amount): &&(u32, u64)| self.room[*at as usize] < *amount;
        let short: Vec<u32> = uses.iter().filter(short).map(|(at, _)| *at).collect();
        let mut out = Vec::new();
        for (other, of) in self.puzzle.classes.iter().enumerate() {
            for (from, choice) in of.options.iter().enumerate() {
                let there = self.taken[other][from] > 0 && (other, from) != (class, option);
                if there && choice.uses.iter().any(|(at, _)| short.contains(at)) {
                    out.push((other, from));
                }
            }
        }
        out
    }

    /// Moves hosts, each with at most one that makes way, as long as that costs less.
    fn improve(&mut self) {
        let mut better = true;
        while better && self.work < self.limit {
            better = false;
            for class in 0..self.puzzle.classes.len() {
                for option in 0..self.puzzle.classes[class].options.len() {
                    while self.taken[class][option] > 0 && self.work < self.limit && self.shift(class, option) {
                        better = true;
                    }
                }
            }
        }
    }

    /// Moves one host from an option to where everything costs less.
    fn shift(&mut self, class: usize, option: usize) -> bool {
        let before = self.cost;
        self.lift(class, option);
        for to in (0..self.puzzle.classes[class].options.len()).filter(|to| *to != option) {
            if self.try_put(class, to) {
                if self.cost < before {
                    return true;
                }
                self.lift(class, to);
                continue;
            }
            if self.puzzle.classes[class].options[to].cost >= self.puzzle.classes[class].options[option].cost {
                continue;
            }
            for (other, from) in self.blockers(class, to) {
                self.lift(other, from);
                if self.try_put(class, to) {
                    for next in (0..self.puzzle.classes[other].options.len()).filter(|next| *next != from) {
                        if self.try_put(other, next) {
                            if self.cost < before && self.sound(class) {
                                return true;
                            }
                            self.lift(other, next);
                        }
                        if self.work >= self.limit {
                            break;
                        }
                    }
                    self.lift(class, to);
                }
                self.put(other, from);
                if self.work >= self.limit {
                    break;
                }
            }
        }
        self.put(class, option);
        false
    }
}
