//! Pools in the puzzle that must, or must not, share places with each other.
//!
//! Two classes are tied by the places that their options stand in (keys). While an answer is built, tallies say in O(1)
//! whether a host breaks a tie. Which of the places should be whose is tried in patterns, each of them a smaller puzzle.

use super::puzzle::{Board, Puzzle};

/// A rule between two classes.
pub(crate) struct Tie {
    pub sides: [Side; 2],
    /// One is only where the other is, or the two never meet.
    pub together: bool,
    /// How many places there are.
    pub keys: usize,
}

/// A class in a tie.
pub(crate) struct Side {
    pub class: usize,
    /// Place of each option.
    pub keys: Vec<u32>,
}

/// Hosts of both sides per place.
pub(crate) struct Tally {
    counts: [Vec<u32>; 2],
    /// Places with hosts of one side only.
    alone: [u32; 2],
    /// Places with hosts of both.
    both: u32,
}

/// Places that patterns are made of, at most: those that are cheapest for both.
const KEYS: usize = 6;
/// Attempts that are made for all patterns together, and for one beyond the first filling.
const WORK: u64 = 1_000_000;
const TRIAL: u64 = 10_000;

impl Tally {
    pub(crate) fn new(tie: &Tie) -> Self {
        Self { counts: [vec![0; tie.keys], vec![0; tie.keys]], alone: [0, 0], both: 0 }
    }

    pub(crate) fn add(&mut self, side: usize, key: usize) {
        self.counts[side][key] += 1;
        if self.counts[side][key] > 1 {
            return;
        }
        if self.counts[1 - side][key] > 0 {
            self.both += 1;
            self.alone[1 - side] -= 1;
        } else {
            self.alone[side] += 1;
        }
    }

    pub(crate) fn remove(&mut self, side: usize, key: usize) {
        self.counts[side][key] -= 1;
        if self.counts[side][key] > 0 {
            return;
        }
        if self.counts[1 - side][key] > 0 {
            self.both -= 1;
            self.alone[1 - side] += 1;
        } else {
            self.alone[side] -= 1;
        }
    }

    /// Whether one more host of a side at a place breaks nothing.
    fn allows(&self, side: usize, key: usize, together: bool) -> bool {
        let met = self.counts[1 - side][key] > 0;
        match together {
            _ if self.counts[side][key] > 0 => true,
            false => !met,
            true if met => self.alone[side] == 0 || self.alone[1 - side] == 1,
            true => self.alone[1 - side] == 0,
        }
    }

    pub(crate) fn is_sound(&self, together: bool) -> bool {
        if together { self.alone[0] == 0 || self.alone[1] == 0 } else { self.both == 0 }
    }
}

impl<'p> Board<'p> {
    /// The ties of a class, and which side of them it is.
    pub(crate) fn ties(&self, class: usize) -> impl Iterator<Item = (usize, usize)> + use<'p> {
        let all = self.puzzle.ties.iter().enumerate();
        let of = move |(at, tie): (usize, &Tie)| Some((at, tie.sides.iter().position(|side| side.class == class)?));
        all.filter_map(of)
    }

    /// Whether no tie of a class is broken.
    pub(crate) fn bound(&self, class: usize) -> bool {
        self.ties(class).all(|(tie, _)| self.tallies[tie].is_sound(self.puzzle.ties[tie].together))
    }

    /// Whether a host of a class that may never meet another is where that is.
    pub(crate) fn meets(&self, class: usize) -> bool {
        let apart = |tie: usize| !self.puzzle.ties[tie].together;
        self.ties(class).any(|(tie, _)| apart(tie) && !self.tallies[tie].is_sound(false))
    }

    /// The best of these options that fits and breaks no tie; they stand best last.
    pub(crate) fn joins<'o>(&mut self, class: usize, options: &'o [usize]) -> Option<&'o usize> {
        let joins = |board: &Self, option: usize| {
            board.ties(class).all(|(at, side)| {
                let tie = &board.puzzle.ties[at];
                board.tallies[at].allows(side, tie.sides[side].keys[option] as usize, tie.together)
            })
        };
        options.iter().rev().find(|option| {
            self.work += 1;
            joins(self, **option) && self.fits(class, **option)
        })
    }
}

/// What each class may take, by option; a class that has none may take all.
pub(crate) type Mask = Vec<Vec<bool>>;

/// Tries, tie by tie, which places should be whose; the mask of the best that was found.
pub(crate) fn pattern(puzzle: &Puzzle) -> Mask {
    let mut best: Mask = vec![Vec::new(); puzzle.classes.len()];
    let mut work = 0;
    let mut value = None;
    for tie in puzzle.ties.iter().chain(&puzzle.ties) {
        let base = best.clone();
        for sides in patterns(puzzle, tie) {
            if work >= WORK {
                return best;
            }
            let mut mask = base.clone();
            for (side, open) in tie.sides.iter().zip(sides) {
                let allowed = side.keys.iter().map(|key| open[*key as usize]);
                let before = &base[side.class];
                mask[side.class] =
                    allowed.enumerate().map(|(at, open)| open && before.get(at).copied().unwrap_or(true)).collect();
            }
            let mut board = Board::new(puzzle);
            board.mask = mask;
            board.build(TRIAL);
            work += board.work;
            let found = board.value();
            if value.as_ref().is_none_or(|best| found < *best) {
                (value, best) = (Some(found), board.mask);
            }
        }
    }
    best
}

/// Which places are open to each side; first of all: all to both.
fn patterns(puzzle: &Puzzle, tie: &Tie) -> Vec<[Vec<bool>; 2]> {
    let all = vec![true; tie.keys];
    let mut out = vec![[all.clone(), all.clone()]];
    let keys = cheapest(puzzle, tie);
    let only = |keys: &[usize]| -> Vec<bool> { (0..tie.keys).map(|key| keys.contains(&key)).collect() };
    let but = |open: &[bool]| -> Vec<bool> { open.iter().map(|open| !open).collect() };
    if tie.together {
        for (at, key) in keys.iter().enumerate() {
            let one = only(&[*key]);
            out.push([one.clone(), one.clone()]);
            out.push([one.clone(), all.clone()]);
            out.push([all.clone(), one]);
            out.extend(keys[..at].iter().map(|other| [only(&[*key, *other]), only(&[*key, *other])]));
        }
    } else {
        // Each of these places is for one of the two; what else there is, for either.
        for chosen in 1..(1usize << keys.len()) {
            let mine: Vec<usize> = (0..keys.len()).filter(|at| chosen >> at & 1 == 1).map(|at| keys[at]).collect();
            let mine = only(&mine);
            let theirs = but(&mine);
            out.push([mine, theirs]);
        }
    }
    out
}

/// The places that both sides together find cheapest.
fn cheapest(puzzle: &Puzzle, tie: &Tie) -> Vec<usize> {
    let least = |side: &Side, key: usize| {
        let options = &puzzle.classes[side.class].options;
        let there = side.keys.iter().zip(options).filter(|(of, _)| **of as usize == key);
        there.map(|(_, option)| i128::from(option.cost)).min()
    };
    let sum = |key: usize| {
        let [a, b] = [least(&tie.sides[0], key), least(&tie.sides[1], key)];
        match tie.together {
            true => a.zip(b).map(|(a, b)| a + b),
            false => a.into_iter().chain(b).min(),
        }
    };
    let mut keys: Vec<(i128, usize)> = (0..tie.keys).filter_map(|key| Some((sum(key)?, key))).collect();
    keys.sort_unstable();
    keys.into_iter().take(KEYS).map(|(_, key)| key).collect()
}
