//! What is done through a control plane, on behalf of another host.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pool_bootstrap::{
    BootstrapError, Facts, Link, Outcome, Refusal,
    cluster::{kubernetes::Ticket, swarm},
    command::Command,
    runner::{ask, read_facts},
};
use pool_inventory::{Name, desired::Role, object::Recorded};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::{Subject, address, refused};
use crate::run::{
    bootstrap::{Patience, failed, work},
    lines::line,
    step::StepError,
};

/// Tickets of this run: a token serves everybody who joins in these minutes.
pub struct Tickets {
    kubernetes: Book<Ticket>,
    swarm: Book<swarm::Ticket>,
    /// Hosts that join at the same time: each asks much of the control planes.
    doors: Semaphore,
}

/// Most hosts that join clusters at the same time.
const DOORS: usize = 64;

impl Default for Tickets {
    fn default() -> Self {
        Self { kubernetes: Book::default(), swarm: Book::default(), doors: Semaphore::new(DOORS) }
    }
}

impl Tickets {
    /// Waits until one more host may join; it may until the answer is dropped.
    pub(super) async fn door(&self) -> Option<SemaphorePermit<'_>> {
        // It is closed by nobody.
        self.doors.acquire().await.ok()
    }
}

/// Tickets, by cluster and role, with the time at which each was made.
type Book<T> = Mutex<BTreeMap<(Name, Role), (Instant, T)>>;

/// How long a ticket is handed out: its token lasts for 15 minutes.
const FRESH: Duration = Duration::from_secs(8 * 60);

impl Subject<'_> {
    /// Runs commands on the host itself.
    pub(super) async fn on_host(
        &self,
        commands: &(dyn Fn(&Facts) -> Vec<Command> + Sync),
    ) -> Result<Outcome, StepError> {
        let mut link = line(self.shared, &self.row, Patience::of_known()).await?;
        let outcome = self.run(link.as_mut(), commands).await?;
        self.shared.lines.park(&self.row, link);
        Ok(outcome)
    }

    async fn run(
        &self,
        link: &mut dyn Link,
        commands: &(dyn Fn(&Facts) -> Vec<Command> + Sync),
    ) -> Result<Outcome, StepError> {
        let phases = |facts: &Facts| -> Result<Vec<Command>, Vec<Refusal>> { Ok(commands(facts)) };
        work(self.shared, self.step, link, &phases).await.map_err(|error| failed(error).into())
    }

    /// Runs commands on a control plane other than this host; on itself where it is the only one and `own` says so.
    /// A control plane that does not answer is passed over.
    pub(super) async fn on_control(
        &self,
        own: bool,
        commands: &(dyn Fn(&Facts) -> Vec<Command> + Sync),
    ) -> Result<Outcome, StepError> {
        let (row, mut link) = self.control(own).await?;
        let outcome = self.run(link.as_mut(), commands).await?;
        self.shared.lines.park(&row, link);
        Ok(outcome)
    }

    async fn control(&self, own: bool) -> Result<(Recorded, Box<dyn Link>), StepError> {
        let mut all = self.others();
        if own {
            all.push(self.row.clone());
        }
        let mut last = None;
        for row in all {
            match line(self.shared, &row, Patience::of_known()).await {
                Ok(link) => return Ok((row, link)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| refused("the cluster has no control plane that could do it").into(), StepError::from))
    }

    /// What this host needs to join.
    pub(super) async fn ticket(&self) -> Result<Ticket, StepError> {
        let key = (self.cluster.clone(), self.role());
        // Whoever comes next waits for the answer instead of asking again.
        let mut tickets = self.shared.tickets.kubernetes.lock().await;
        if let Some((_, ticket)) = tickets.get(&key).filter(|(made, _)| made.elapsed() < FRESH) {
            return Ok(ticket.clone());
        }
        let (row, mut link) = self.control(false).await?;
        let question = Ticket::question(self.role());
        let answer = answer(link.as_mut(), &question).await.map_err(|error| StepError::from(failed(error)))?;
        let ticket = Ticket::parse(&answer, self.role());
        let ticket = ticket.ok_or_else(|| refused("a control plane gave no token to join with"))?;
        self.shared.lines.park(&row, link);
        tickets.insert(key, (Instant::now(), ticket.clone()));
        Ok(ticket)
    }
}

impl Subject<'_> {
    /// What this host needs to join a swarm.
    pub(super) async fn swarm_ticket(&self) -> Result<swarm::Ticket, StepError> {
        let key = (self.cluster.clone(), self.role());
        let mut tickets = self.shared.tickets.swarm.lock().await;
        if let Some((_, ticket)) = tickets.get(&key).filter(|(made, _)| made.elapsed() < FRESH) {
            return Ok(ticket.clone());
        }
        let (row, mut link) = self.control(false).await?;
        let question = swarm::Ticket::question(self.role(), &address(&row)?);
        let answer = answer(link.as_mut(), &question).await.map_err(|error| StepError::from(failed(error)))?;
        let ticket = swarm::Ticket::parse(&answer).ok_or_else(|| refused("a manager gave no token to join with"))?;
        self.shared.lines.park(&row, link);
        tickets.insert(key, (Instant::now(), ticket.clone()));
        Ok(ticket)
    }
}

/// Asks a host something, as root.
pub async fn answer(link: &mut dyn Link, question: &pool_bootstrap::Question) -> Result<Vec<String>, BootstrapError> {
    let facts = read_facts(link).await?;
    ask(link, facts.uid != 0 && facts.sudo, question).await
}
