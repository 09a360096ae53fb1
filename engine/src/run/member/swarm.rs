//! What each task is for Docker Swarm.

use std::collections::BTreeMap;

use pool_bootstrap::{Facts, cluster::swarm};
use pool_inventory::{Text, object::Stage};
use pool_planner::Reason;

use super::{Subject, address, control::answer, refused};
use crate::run::{
    bootstrap::{Patience, failed},
    lines::line,
    step::{Done, StepError},
};

impl Subject<'_> {
    pub(super) async fn swarm_init(mut self) -> Done {
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_swarm(&id, &at);
        self.on_host(&|_: &Facts| vec![swarm::init(&member)]).await?;
        self.call_it(&member).await?;
        self.swarm_joined()?;
        self.done(None)
    }

    pub(super) async fn swarm_join(mut self) -> Done {
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_swarm(&id, &at);
        let mut link = line(self.shared, &self.row, Patience::of_known()).await?;
        let state = answer(link.as_mut(), &swarm::state(&member)).await.map_err(failed)?;
        self.shared.lines.park(&self.row, link);
        let whole = state.first().is_some_and(|state| state == "whole") && self.step.reason != Reason::Vanished;
        if !whole {
            let name = self.name();
            if state.first().is_some_and(|state| state != "absent") {
                self.on_host(&|_: &Facts| vec![swarm::leave(&id)]).await?;
            }
            // A node of an earlier life of this host may be in the swarm's books.
            self.on_control(false, &|_: &Facts| vec![swarm::forget(name)]).await?;
            let ticket = self.swarm_ticket().await?;
            self.on_host(&|_: &Facts| vec![swarm::join(&member, &ticket)]).await?;
        }
        self.call_it(&member).await?;
        self.swarm_joined()?;
        self.done(Some("ready".into()))
    }

    /// Tells the swarm which host the node is.
    async fn call_it(&self, member: &swarm::Member<'_>) -> Result<(), StepError> {
        let mut link = line(self.shared, &self.row, Patience::of_known()).await?;
        let lines = answer(link.as_mut(), &swarm::id()).await.map_err(failed)?;
        self.shared.lines.park(&self.row, link);
        let node = swarm::parse_id(&lines).ok_or_else(|| refused("the host does not know its node"))?;
        self.on_control(true, &|_: &Facts| vec![swarm::name(member, &node)]).await.map(drop)
    }

    fn swarm_joined(&mut self) -> Result<(), StepError> {
        let (settings, role) = (self.settings(), self.role());
        let member = self.member()?;
        (member.stage, member.settings, member.role) = (Stage::Joined, settings, role);
        Ok(())
    }

    pub(super) async fn swarm_settle(mut self) -> Done {
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_swarm(&id, &at);
        self.on_control(true, &|_: &Facts| vec![swarm::labels(&member)]).await?;
        let settings = self.settings();
        self.member()?.settings = settings;
        self.done(None)
    }

    /// A worker becomes a manager, or the other way round.
    pub(super) async fn swarm_turn(mut self) -> Done {
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_swarm(&id, &at);
        let (name, role) = (self.name(), self.role());
        self.on_control(false, &|_: &Facts| vec![swarm::turn(name, role)]).await?;
        self.on_host(&|_: &Facts| vec![swarm::turned(&member)]).await?;
        self.member()?.role = role;
        self.done(None)
    }

    pub(super) fn as_swarm<'m>(&'m self, id: &'m str, address: &'m str) -> swarm::Member<'m> {
        static NONE: BTreeMap<Text, Text> = BTreeMap::new();
        let labels = self.row.pool.as_ref().and_then(|pool| self.spec?.labels.get(pool)).unwrap_or(&NONE);
        swarm::Member { id, name: &self.row.address.name, address, role: self.role(), labels }
    }
}
