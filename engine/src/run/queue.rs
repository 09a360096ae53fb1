//! Which step may start next: a small pure structure, tested without a runtime.
//!
//! O(steps + edges) memory and time over a whole run.

use std::collections::VecDeque;

use pool_planner::{Step, StepId};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Waits for so many others.
    Waiting(u32),
    /// May start.
    Ready,
    /// Was handed out.
    Running,
    /// Over.
    Ended,
}

/// The steps of a plan on their way.
#[derive(Debug)]
pub struct Queue {
    /// The id of the first step; the others follow without a gap.
    first: u32,
    at: Vec<At>,
    dependents: Vec<Vec<StepId>>,
    ready: VecDeque<StepId>,
    open: usize,
}

impl Queue {
    /// A queue over all steps, none of them started. They need only one another.
    pub fn new(steps: &[Step]) -> Self {
        let first = steps.first().map_or(0, |step| step.id.0);
        let mut dependents = vec![Vec::new(); steps.len()];
        let mut at = Vec::with_capacity(steps.len());
        let mut ready = VecDeque::new();
        for step in steps {
            for need in &step.needs {
                dependents[(need.0 - first) as usize].push(step.id);
            }
            if step.needs.is_empty() {
                ready.push_back(step.id);
                at.push(At::Ready);
            } else {
                at.push(At::Waiting(step.needs.len() as u32));
            }
        }
        Self { first, at, dependents, ready, open: steps.len() }
    }

    /// The next step that may start; it counts as running from now on.
    pub fn next(&mut self) -> Option<StepId> {
        let id = self.ready.pop_front()?;
        let index = self.index(id);
        self.at[index] = At::Running;
        Some(id)
    }

    /// A running step succeeded: what needed only it may start.
    pub fn finish(&mut self, id: StepId) {
        self.end(id);
        let index = self.index(id);
        for dependent in std::mem::take(&mut self.dependents[index]) {
            let index = self.index(dependent);
            if let At::Waiting(left) = &mut self.at[index] {
                *left -= 1;
                if *left == 0 {
                    self.at[index] = At::Ready;
                    self.ready.push_back(dependent);
                }
            }
        }
    }

    /// A running step failed: everything that needs it, directly or not, ends too. Gives those, each with the step
    /// that it needed.
    pub fn fail(&mut self, id: StepId) -> Vec<(StepId, StepId)> {
        self.end(id);
        let mut skipped = Vec::new();
        let mut stack = vec![id];
        while let Some(cause) = stack.pop() {
            let index = self.index(cause);
            for dependent in std::mem::take(&mut self.dependents[index]) {
                if matches!(self.at[self.index(dependent)], At::Waiting(_)) {
                    self.end(dependent);
                    skipped.push((dependent, cause));
                    stack.push(dependent);
                }
            }
        }
        skipped.sort();
        skipped
    }

    /// Ends everything that has not started.
    pub fn abandon(&mut self) -> Vec<StepId> {
        self.ready.clear();
        let mut left = Vec::new();
        for index in 0..self.at.len() {
            if matches!(self.at[index], At::Waiting(_) | At::Ready) {
                let id = StepId(self.first + index as u32);
                self.end(id);
                left.push(id);
            }
        }
        left
    }

    /// Whether every step has ended.
    pub fn is_over(&self) -> bool {
        self.open == 0
    }

    fn index(&self, id: StepId) -> usize {
        (id.0 - self.first) as usize
    }

    fn end(&mut self, id: StepId) {
        let index = self.index(id);
        if self.at[index] != At::Ended {
            self.at[index] = At::Ended;
            self.open -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use pool_inventory::{Address, Name};
    use pool_planner::{Action, Reason};

    use super::*;

    fn steps(needs: &[&[u32]]) -> Vec<Step> {
        let step = |(i, needs): (usize, &&[u32])| Step {
            id: StepId(i as u32),
            address: Address::host(&format!("h-{i}")),
            generation: 1,
            provider: Name::new("p").expect("a name"),
            action: Action::Forget,
            reason: Reason::Removed,
            needs: needs.iter().copied().map(StepId).collect(),
        };
        needs.iter().enumerate().map(step).collect()
    }

    fn take(queue: &mut Queue) -> Vec<u32> {
        std::iter::from_fn(|| queue.next()).map(|id| id.0).collect()
    }

    #[test]
    fn a_diamond_runs_in_order() {
        let mut queue = Queue::new(&steps(&[&[], &[0], &[0], &[1, 2]]));
        assert_eq!(take(&mut queue), [0]);
        queue.finish(StepId(0));
        assert_eq!(take(&mut queue), [1, 2]);
        queue.finish(StepId(2));
        assert_eq!(take(&mut queue), [] as [u32; 0]);
        queue.finish(StepId(1));
        assert_eq!(take(&mut queue), [3]);
        queue.finish(StepId(3));
        assert!(queue.is_over());
    }

    #[test]
    fn a_failure_skips_what_needs_it_once_and_nothing_else() {
        let mut queue = Queue::new(&steps(&[&[], &[0], &[0], &[1, 2], &[]]));
        assert_eq!(take(&mut queue), [0, 4]);
        let skipped: Vec<u32> = queue.fail(StepId(0)).iter().map(|(step, _)| step.0).collect();
        assert_eq!(skipped, [1, 2, 3]);
        assert!(!queue.is_over());
        queue.finish(StepId(4));
        assert!(queue.is_over());
    }

    #[test]
    fn a_queue_over_later_steps_gives_their_ids() {
        let mut queue = Queue::new(&steps(&[&[], &[], &[], &[2]])[2..]);
        assert_eq!(take(&mut queue), [2]);
        queue.finish(StepId(2));
        assert_eq!(take(&mut queue), [3]);
        assert_eq!(queue.fail(StepId(3)), []);
        assert!(queue.is_over());
    }

    #[test]
    fn abandoning_leaves_running_steps_alone() {
        let mut queue = Queue::new(&steps(&[&[], &[0], &[]]));
        assert_eq!(queue.next(), Some(StepId(0)));
        assert_eq!(queue.abandon(), [StepId(1), StepId(2)]);
        assert!(!queue.is_over());
        queue.finish(StepId(0));
        assert!(queue.is_over());
    }
}
