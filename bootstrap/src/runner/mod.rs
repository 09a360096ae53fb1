//! Looks at a host, and makes it what is asked for.
//!
//! Three conversations: facts, probes, and only where something is not as it should be, changes. They share one shell, and
//! so one session; a second one is needed where the login user becomes root through sudo.

mod act;
mod ask;
mod facts;
mod lines;
mod probe;
mod send;

pub use ask::ask;
pub(crate) use lines::START;

use std::time::Duration;

use pool_inventory::{Name, Text, market::Drift};
use tokio_util::sync::CancellationToken;

use crate::{
    command::Command,
    error::{BootstrapError, Refusal},
    facts::Facts,
    link::{
        Link,
        upload::{NoSupply, Supply},
    },
    phases,
    rendered::{Mount, Rendered},
};

/// What a host looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is.
    pub facts: Facts,
    /// What is not as declared, in the order in which it would be changed.
    pub drifts: Vec<Drift>,
}

/// What was done on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it is.
    pub facts: Facts,
    /// Items that were changed, in order.
    pub changed: Vec<Text>,
    /// Items that were as declared.
    pub unchanged: usize,
}

/// Something that happens during [`apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemEvent {
    /// All items were looked at.
    Probed {
        /// Items that will be done, or at least looked at again, in order.
        todo: Vec<Text>,
        /// How many hold already.
        unchanged: usize,
    },
    /// An artifact is on its way to the host.
    Sending {
        /// Its name.
        name: Name,
        /// Bytes sent so far.
        sent: u64,
        /// How many there are.
        size: u64,
    },
    /// An artifact is on the host.
    Sent {
        /// Its name.
        name: Name,
        /// How large it is.
        size: u64,
        /// How long it took.
        took: Duration,
    },
    /// An item is being done.
    Started {
        /// Which.
        item: Text,
    },
    /// It was made so.
    Changed {
        /// Which.
        item: Text,
        /// How long it took.
        took: Duration,
    },
    /// It holds, because of something done before.
    Unchanged {
        /// Which.
        item: Text,
    },
}

/// Looks at a host, in one session (two with sudo), and changes nothing.
pub async fn observe(link: &mut dyn Link, want: &Rendered) -> Result<Report, BootstrapError> {
    let facts = facts::facts(link).await?;
    let (commands, findings) = look(link, &facts, &|facts| phases::commands(facts, want), false).await?;
    let drifts = commands.iter().zip(&findings).filter_map(|(command, finding)| finding.drift(command));
    Ok(Report { drifts: drifts.collect(), facts })
}

/// Reads the facts of a host, in one session.
pub async fn read_facts(link: &mut dyn Link) -> Result<Facts, BootstrapError> {
    facts::facts(link).await
}

/// Makes a host what is asked for; does only what is missing. Without artifacts: see [`apply_with`].
///
/// `on` is called for every item as it happens. When `cancel` is cancelled, items that were begun are finished and
/// nothing further is begun. Whatever ends it: another call goes on from there.
pub async fn apply(
    link: &mut dyn Link,
    want: &Rendered,
    cancel: &CancellationToken,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<Outcome, BootstrapError> {
    apply_phases(link, &|facts| phases::commands(facts, want), cancel, on).await
}

/// What `phases` make of a host's facts: the commands, or all reasons why it cannot be.
pub type Phases<'a> = dyn Fn(&Facts) -> Result<Vec<Command>, Vec<Refusal>> + Sync + 'a;

/// The same for any phases.
pub async fn apply_phases(
    link: &mut dyn Link,
    want: &Phases<'_>,
    cancel: &CancellationToken,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<Outcome, BootstrapError> {
    apply_with(link, want, &NoSupply::default(), cancel, on).await
}

/// The same for phases that take artifacts: those that the host lacks come from `supply`, and are sent before anything is
/// changed but what they are to lie on.
pub async fn apply_with(
    link: &mut dyn Link,
    want: &Phases<'_>,
    supply: &dyn Supply,
    cancel: &CancellationToken,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<Outcome, BootstrapError> {
    let facts = facts::facts(link).await?;
    let mut grounds = Vec::new();
    let mut due = look_due(link, &facts, want, on).await?;
    let ground: Vec<&Command> = due.todo().filter(|command| command.ground).collect();
    if !ground.is_empty() {
        grounds = change(link, &facts, &ground, cancel, on).await?.changed;
        // What was looked at before may lie below it, out of sight.
        due = look_due(link, &facts, want, on).await?;
    }
    let unchanged = (due.commands.len() - due.todo.len()).saturating_sub(grounds.len());
    if due.todo.is_empty() {
        return Ok(Outcome { facts, changed: grounds, unchanged });
    }
    send::send(link, &facts, &due, supply, cancel, on).await?;
    let todo: Vec<&Command> = due.todo().collect();
    let done = change(link, &facts, &todo, cancel, on).await?;
    Ok(Outcome { facts, changed: [grounds, done.changed].concat(), unchanged: unchanged + done.same })
}

/// Takes a volume off a host, so that it can be detached: unmounted, and gone from its table of filesystems. A volume that
/// is not there any more is no error. `going`: the host goes as well, and what still uses the volume is no obstacle.
pub async fn release(link: &mut dyn Link, path: &Text, mount: &Mount, going: bool) -> Result<(), BootstrapError> {
    let facts = facts::facts(link).await?;
    let command = phases::release(path, mount, going);
    // It is one short item: who asks to stop waits for its end.
    act::act(link, &facts, &[&command], &CancellationToken::new(), &mut |_| ()).await?;
    Ok(())
}

/// All items, and what is to be done.
struct Due {
    commands: Vec<Command>,
    /// Indices of those that must be done.
    todo: Vec<usize>,
    /// Indices of those that need an artifact which the host lacks.
    lacking: Vec<usize>,
}

impl Due {
    fn todo(&self) -> impl Iterator<Item = &Command> {
        self.todo.iter().map(|at| &self.commands[*at])
    }
}

/// Looks for what must be done; refuses what cannot be done before anything is.
async fn look_due(
    link: &mut dyn Link,
    facts: &Facts,
    want: &Phases<'_>,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<Due, BootstrapError> {
    let (commands, findings) = look(link, facts, want, true).await?;
    let refusals: Vec<Refusal> =
        commands.iter().zip(&findings).filter_map(|(command, finding)| finding.refusal(command, facts)).collect();
    if !refusals.is_empty() {
        return Err(BootstrapError::Refused { at: link.at(), refusals });
    }
    let mut todo: Vec<usize> = Vec::new();
    for (at, (command, finding)) in commands.iter().zip(&findings).enumerate() {
        if !finding.holds() || (command.recheck && !todo.is_empty()) {
            todo.push(at);
        }
    }
    let unchanged = commands.len() - todo.len();
    on(ItemEvent::Probed { todo: todo.iter().map(|at| commands[*at].item.clone()).collect(), unchanged });
    let lacking = (0..findings.len()).filter(|at| findings[*at].lacks).collect();
    Ok(Due { commands, todo, lacking })
}

async fn change(
    link: &mut dyn Link,
    facts: &Facts,
    todo: &[&Command],
    cancel: &CancellationToken,
    on: &mut (dyn FnMut(ItemEvent) + Send),
) -> Result<act::Done, BootstrapError> {
    if cancel.is_cancelled() {
        return Err(BootstrapError::Cancelled { at: link.at(), changed: Vec::new() });
    }
    act::act(link, facts, todo, cancel, on).await
}

async fn look(
    link: &mut dyn Link,
    facts: &Facts,
    want: &Phases<'_>,
    lazy: bool,
) -> Result<(Vec<Command>, Vec<probe::Finding>), BootstrapError> {
    let refused = |refusals| BootstrapError::Refused { at: link.at(), refusals };
    let commands = want(facts).map_err(refused)?;
    if commands.is_empty() {
        return Ok((commands, Vec::new()));
    }
    let findings = probe::probe(link, facts, &commands, lazy).await?;
    Ok((commands, findings))
}

#[cfg(test)]
mod tests;
