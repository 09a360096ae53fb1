//! A search of all answers to a small puzzle, but for those that cannot be better than one that is known.
//!
//! What cannot be better is told by prices for the room that is scarce: with them each host alone finds its cheapest
//! option, and all together cost at least as much, less what all the room is worth.

use super::puzzle::{Answer, Board, Puzzle, Value};

/// Rounds in which the prices of room are found.
const ROUNDS: usize = 150;

/// The best answer in which each host has a place, if that is better than `known` and is found in time.
pub(crate) fn search(board: &mut Board<'_>, known: &Value) -> Option<Answer> {
    let whole = known.missing.iter().all(|missing| *missing == 0);
    #[expect(clippy::cast_precision_loss, reason = "a bound; it is compared with a margin")]
    let most = if whole { known.cost as f64 } else { f64::INFINITY };
    let prices = Prices::find(board.puzzle, most);
    let kept = board.taken.clone();
    board.restore(&kept.iter().map(|options| vec![0; options.len()]).collect());
    let mut walk = Walk { prices, best: known.clone(), found: None, order: order(board.puzzle) };
    if !whole {
        walk.best = Value { missing: vec![0; known.missing.len()], cost: i128::MAX };
    }
    let floor = walk.prices.floor(board.puzzle);
    walk.class(board, 0, floor);
    board.restore(&kept);
    walk.found
}

/// Classes with the fewest options first.
fn order(puzzle: &Puzzle) -> Vec<usize> {
    let mut order: Vec<usize> = (0..puzzle.classes.len()).collect();
    order.sort_by_key(|class| puzzle.classes[*class].options.len());
    order
}

/// What a host costs at each option with the room that it takes, per class; and the least of that from each option on.
struct Prices {
    reduced: Vec<Vec<f64>>,
    least: Vec<Vec<f64>>,
    /// What all the room is worth.
    worth: f64,
}

#[expect(clippy::cast_precision_loss, reason = "bounds; they are compared with a margin")]
impl Prices {
    fn find(puzzle: &Puzzle, most: f64) -> Self {
        let mut price = vec![0.0; puzzle.room.len()];
        let mut best = (f64::NEG_INFINITY, price.clone());
        let mut step = 1.0;
        // Without a known answer, something above any sensible one: what all hosts cost at their dearest.
        let dearest = |class: &super::puzzle::Class| {
            class.options.iter().map(|option| option.cost as f64).fold(0.0, f64::max) * f64::from(class.hosts)
        };
        let target = if most.is_finite() { most } else { puzzle.classes.iter().map(dearest).sum() };
        for round in 0..ROUNDS {
            let (value, excess) = relaxed(puzzle, &price);
            if value > best.0 {
                best = (value, price.clone());
            } else if round % 10 == 9 {
                step *= 0.7;
            }
            let norm: f64 = excess.iter().map(|x| x * x).sum();
            if norm < 1e-12 || value >= target {
                break;
            }
            let length = step * (target - value) / norm;
            price.iter_mut().zip(&excess).for_each(|(price, excess)| *price = (*price + length * excess).max(0.0));
        }
        Self::new(puzzle, &best.1)
    }

    fn new(puzzle: &Puzzle, price: &[f64]) -> Self {
        let reduced: Vec<Vec<f64>> = puzzle
            .classes
            .iter()
            .map(|class| class.options.iter().map(|option| reduced(puzzle, option, price)).collect())
            .collect();
        let least = |all: &Vec<f64>| {
            let mut least = all.clone();
            for at in (1..least.len()).rev() {
                least[at - 1] = least[at - 1].min(least[at]);
            }
            least
        };
        Self { least: reduced.iter().map(least).collect(), reduced, worth: price.iter().sum() }
    }

    /// What all hosts cost at least.
    fn floor(&self, puzzle: &Puzzle) -> f64 {
        let classes = puzzle.classes.iter().zip(&self.least);
        let all: f64 = classes
            .map(|(class, least)| f64::from(class.hosts) * least.first().copied().unwrap_or(f64::INFINITY))
            .filter(|cost| !cost.is_nan())
            .sum();
        all - self.worth
    }
}

/// Costs with prices for room, each kind of room being 1 in all.
#[expect(clippy::cast_precision_loss, reason = "bounds; they are compared with a margin")]
fn reduced(puzzle: &Puzzle, option: &super::puzzle::Choice, price: &[f64]) -> f64 {
    let room =
        |(at, amount): &(u32, u64)| price[*at as usize] * (*amount as f64) / (puzzle.room[*at as usize].max(1) as f64);
    option.cost as f64 + option.uses.iter().map(room).sum::<f64>()
}

/// The cost where each host takes its cheapest option at these prices, and how far each kind of room is exceeded.
#[expect(clippy::cast_precision_loss, reason = "bounds; they are compared with a margin")]
fn relaxed(puzzle: &Puzzle, price: &[f64]) -> (f64, Vec<f64>) {
    let mut excess = vec![-1.0; puzzle.room.len()];
    let mut value = -price.iter().sum::<f64>();
    for class in &puzzle.classes {
        let costs = class.options.iter().map(|option| (reduced(puzzle, option, price), option));
        let Some((cost, option)) = costs.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
        value += cost * f64::from(class.hosts);
        for (at, amount) in &option.uses {
            let share = (*amount as f64) / (puzzle.room[*at as usize].max(1) as f64);
            excess[*at as usize] += share * f64::from(class.hosts);
        }
    }
    (value, excess)
}

struct Walk {
    prices: Prices,
    best: Value,
    found: Option<Answer>,
    order: Vec<usize>,
}

impl Walk {
    /// Goes on with the next class. `floor`: what everything costs at least.
    fn class(&mut self, board: &mut Board<'_>, at: usize, floor: f64) {
        let Some(&class) = self.order.get(at) else {
            let value = board.value();
            if value < self.best {
                (self.best, self.found) = (value, Some(board.taken.clone()));
            }
            return;
        };
        self.host(board, at, class, 0, floor);
    }

    /// Places the next host of a class at an option from `from` on: hosts of a class are alike.
    #[expect(clippy::cast_precision_loss, reason = "a bound; it is compared with a margin")]
    fn host(&mut self, board: &mut Board<'_>, at: usize, class: usize, from: usize, floor: f64) {
        let left = board.puzzle.classes[class].hosts - board.placed[class];
        if left == 0 {
            if board.sound(class) {
                self.class(board, at + 1, floor);
            }
            return;
        }
        let before = self.prices.least[class].get(from).copied().unwrap_or(f64::INFINITY);
        for option in from..board.puzzle.classes[class].options.len() {
            board.work += 1;
            if board.work >= board.limit {
                return;
            }
            // This host at this option, and those after it at no earlier one.
            let rest = self.prices.least[class][option] - before;
            let here = floor + self.prices.reduced[class][option] - before + rest * f64::from(left - 1);
            let most = self.best.cost as f64;
            if here >= most - most.abs() * 1e-9 {
                continue;
            }
            if !board.fits(class, option) {
                continue;
            }
            board.put(class, option);
            if !board.meets(class) {
                self.host(board, at, class, option, here);
            }
            board.lift(class, option);
        }
    }
}
