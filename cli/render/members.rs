//! Steps about members of clusters, folded into one line each.

use pool_inventory::{Address, desired::Role};
use pool_planner::{
    Action, Step,
    plan::{Reset, Task},
};

use super::{
    changes::{Counts, Line, Symbol, more},
    words,
};

/// The lines of a member or a cluster: what it is emptied for says that it is emptied.
pub fn lines(address: &Address, steps: &[&Step], counts: &mut Counts) -> Vec<Line> {
    let of = |step: &&Step| match &step.action {
        Action::Member { task } => Some(task.clone()),
        _ => None,
    };
    let tasks: Vec<(&Step, Task)> = steps.iter().filter_map(|step| Some((*step, of(step)?))).collect();
    let alone = tasks.len() == 1;
    let drains = tasks.iter().any(|(_, task)| matches!(task, Task::Drain));
    let told = tasks.iter().filter(|(_, task)| alone || !matches!(task, Task::Drain));
    told.map(|(step, task)| line(address, step, task, drains, counts)).collect()
}

fn line(address: &Address, step: &Step, task: &Task, drains: bool, counts: &mut Counts) -> Line {
    let (symbol, what) = match task {
        Task::Init => (Symbol::Add, "begin the cluster".to_owned()),
        Task::Join { role } => (Symbol::Add, format!("join as {role}")),
        Task::Leave { reset, .. } => (Symbol::Remove, format!("leave{}", cleared(*reset))),
        Task::Drain => (Symbol::Change, "drain".to_owned()),
        Task::Cordon => (Symbol::Change, "cordon".to_owned()),
        Task::Uncordon => (Symbol::Change, "uncordon".to_owned()),
        Task::Settle => (Symbol::Change, "labels and taints".to_owned()),
        Task::Upgrade { first: true } => {
            (Symbol::Change, "upgrade, with the whole cluster; drained meanwhile".to_owned())
        }
        Task::Upgrade { first: false } => (Symbol::Change, "upgrade; drained meanwhile".to_owned()),
        Task::Rollback => (Symbol::Change, "roll back; drained meanwhile".to_owned()),
        Task::Turn { role: Role::ControlPlane } => (Symbol::Change, "promote to manager".to_owned()),
        Task::Turn { role: Role::Worker } => (Symbol::Change, "demote to worker".to_owned()),
        Task::Renew => (Symbol::Change, "renew certificates".to_owned()),
        Task::Configure { host } => (Symbol::Change, format!("pod network, through {host}")),
        Task::Restore { host, file } => (Symbol::Replace, format!("go back to {file} on {host}")),
        Task::Snapshot { host } => (Symbol::Change, format!("snapshot of etcd, on {host}")),
    };
    match symbol {
        Symbol::Add => counts.join += 1,
        Symbol::Remove => counts.leave += 1,
        _ => counts.change += 1,
    }
    let detail = if drains && !matches!(task, Task::Drain) { format!("drain, {what}") } else { what };
    let fields = words::changed(&step.reason);
    let detail = if fields.is_empty() { detail } else { format!("{detail}: {fields}") };
    let reason = words::reason(&step.reason);
    Line { symbol, address: address.clone(), detail, how: "", reason, more: more(step) }
}

fn cleared(reset: Reset) -> &'static str {
    match reset {
        Reset::No => "",
        Reset::Try | Reset::Must => ", and clear the host",
    }
}
