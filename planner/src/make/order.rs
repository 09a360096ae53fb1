//! Puts steps in order: what is needed first, and among equals by address.

use std::{cmp::Reverse, collections::BinaryHeap};

use petgraph::{
    Direction,
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};
use pool_inventory::Address;

use super::draft::{Draft, DraftId};
use crate::{
    error::PlanError,
    plan::{Action, Step, StepId},
};

/// Gives drafts their final ids; a step needs only steps with smaller ids.
pub(crate) fn order(drafts: Vec<Draft>) -> Result<Vec<Step>, PlanError> {
    let ranks = ranks(&drafts);
    let edges = drafts.iter().map(|draft| draft.needs.len()).sum();
    let mut graph: DiGraph<(), (), u32> = DiGraph::with_capacity(drafts.len(), edges);
    for _ in &drafts {
        graph.add_node(());
    }
    let mut waiting = vec![0usize; drafts.len()];
    let mut needs: Vec<Vec<DraftId>> = Vec::with_capacity(drafts.len());
    for (at, draft) in (0..).zip(&drafts) {
        let mut own = draft.needs.clone();
        own.sort_unstable();
        own.dedup();
        for need in &own {
            graph.add_edge(NodeIndex::new(need.0 as usize), NodeIndex::new(at), ());
        }
        waiting[at] = own.len();
        needs.push(own);
    }
    let mut ready: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    let rank = |at: usize| Reverse((ranks[at], u32::try_from(at).unwrap_or(u32::MAX)));
    ready.extend((0..drafts.len()).filter(|at| waiting[*at] == 0).map(rank));
    let mut sequence: Vec<u32> = Vec::with_capacity(drafts.len());
    while let Some(Reverse((_, at))) = ready.pop() {
        sequence.push(at);
        for next in graph.neighbors_directed(NodeIndex::new(at as usize), Direction::Outgoing) {
            waiting[next.index()] -= 1;
            if waiting[next.index()] == 0 {
                ready.push(rank(next.index()));
            }
        }
    }
    if sequence.len() < drafts.len() {
        return Err(PlanError::Cycle { cycle: cycle(&graph, &drafts) });
    }
    Ok(steps(drafts, &sequence, &needs))
}

fn steps(drafts: Vec<Draft>, sequence: &[u32], needs: &[Vec<DraftId>]) -> Vec<Step> {
    let mut ids = vec![StepId(0); drafts.len()];
    for (id, at) in (0..).zip(sequence) {
        ids[*at as usize] = StepId(id);
    }
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(sequence.len());
    for &at in sequence {
        let Some(draft) = drafts[at as usize].take() else { continue };
        let mut needs: Vec<StepId> = needs[at as usize].iter().map(|need| ids[need.0 as usize]).collect();
        needs.sort_unstable();
        out.push(Step {
            id: ids[at as usize],
            address: draft.address,
            generation: draft.generation,
            provider: draft.provider,
            action: draft.action,
            reason: draft.reason,
            needs,
        });
    }
    out
}

/// Position of each draft when sorted by address, generation and kind of action.
fn ranks(drafts: &[Draft]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    let key = |at: usize| (drafts[at].generation, stage(&drafts[at].action), at);
    order.sort_by(|a, b| drafts[*a].address.cmp(&drafts[*b].address).then_with(|| key(*a).cmp(&key(*b))));
    let mut ranks = vec![0; drafts.len()];
    for (rank, at) in (0..).zip(order) {
        ranks[at] = rank;
    }
    ranks
}

fn stage(action: &Action) -> u8 {
    match action {
        Action::Record { .. } => 0,
        Action::Forget | Action::Delete | Action::Release => 1,
        Action::Gather => 2,
        Action::Create { .. } | Action::Adopt { .. } => 3,
        Action::PowerOn | Action::PowerOff | Action::Restart => 4,
        Action::Update { .. } | Action::Rebuild { .. } => 5,
        Action::Detach { .. } => 6,
        Action::Restore { .. } => 7,
        Action::Attach { .. } => 8,
        Action::Bootstrap { .. } => 9,
        Action::Member { .. } => 10,
    }
}

/// One cycle, as a path of addresses that ends where it begins.
fn cycle(graph: &DiGraph<(), (), u32>, drafts: &[Draft]) -> Vec<Address> {
    let knot = tarjan_scc(graph).into_iter().filter(|part| part.len() > 1).min_by_key(Vec::len).unwrap_or_default();
    let Some(&start) = knot.iter().min() else { return Vec::new() };
    let inside = |node: &NodeIndex<u32>| knot.contains(node);
    let mut path = vec![start];
    // Within a knot each step has a successor in it, so walking on must meet the path again.
    while let Some(next) = path.last().and_then(|last| {
        let mut next: Vec<NodeIndex<u32>> = graph.neighbors(*last).filter(inside).collect();
        next.sort_unstable();
        next.first().copied()
    }) {
        if let Some(at) = path.iter().position(|node| *node == next) {
            path.drain(..at);
            path.push(next);
            break;
        }
        path.push(next);
    }
    let mut out: Vec<Address> = path.iter().map(|node| drafts[node.index()].address.clone()).collect();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use pool_inventory::Name;

    use super::*;
    use crate::plan::Reason;

    fn draft(name: &str, needs: &[u32]) -> Draft {
        Draft {
            address: Address::host(name),
            generation: 1,
            provider: Name::new("p").expect("a name"),
            action: Action::PowerOn,
            reason: Reason::Requested,
            needs: needs.iter().map(|n| DraftId(*n)).collect(),
        }
    }

    fn names(drafts: Vec<Draft>) -> Vec<String> {
        order(drafts).expect("no cycle").iter().map(|step| step.address.name.to_string()).collect()
    }

    #[test]
    fn needed_steps_come_first_and_the_rest_by_address() {
        let drafts = vec![draft("web-10", &[]), draft("web-2", &[2]), draft("zoo-1", &[]), draft("web-1", &[])];
        assert_eq!(names(drafts), ["web-1", "web-10", "zoo-1", "web-2"]);
    }

    #[test]
    fn a_cycle_is_shown_as_a_path_that_ends_where_it_begins() {
        let drafts = vec![draft("a-0", &[2]), draft("b-0", &[0]), draft("c-0", &[1]), draft("d-0", &[])];
        let error = order(drafts).expect_err("three steps wait for each other");
        let text = error.to_string();
        assert!(text.contains("host/a-0 → host/b-0 → host/c-0 → host/a-0"), "{text}");
    }
}
