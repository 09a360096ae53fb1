//! What each task is, in commands on its host and on control planes.

use std::collections::BTreeMap;

use pool_bootstrap::{
    Facts,
    cluster::{kubernetes, swarm},
};
use pool_inventory::{Text, desired::KubernetesSpec, digest, object::Stage};
use pool_planner::{Reason, plan::Reset};

use super::{Subject, address, control::answer};
use crate::{
    event::Event,
    run::{
        bootstrap::{Patience, failed},
        lines::line,
        step::{Done, StepError},
    },
};

impl Subject<'_> {
    pub(super) async fn init(mut self) -> Done {
        let spec = self.kubernetes()?;
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_kubernetes(&id, &at, spec);
        self.on_host(&|facts: &Facts| kubernetes::init(facts, &member)).await?;
        let anchor = spec.endpoint.is_none();
        self.member()?.anchor = anchor;
        self.joined(spec.version.to_string().into())?;
        self.done(None)
    }

    pub(super) async fn join(mut self) -> Done {
        let spec = self.kubernetes()?;
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_kubernetes(&id, &at, spec);
        let mut link = line(self.shared, &self.row, Patience::of_known()).await?;
        let state = answer(link.as_mut(), &kubernetes::state(&member)).await.map_err(failed)?;
        self.shared.lines.park(&self.row, link);
        let mut whole = state.first().is_some_and(|state| state == "whole");
        if whole && self.step.reason == Reason::Vanished {
            // Its cluster forgot it: it begins anew.
            self.on_host(&|_: &Facts| vec![kubernetes::reset(&id)]).await?;
            whole = false;
        }
        if whole {
            self.on_host(&|_: &Facts| vec![kubernetes::standing(&member), kubernetes::ready(&member)]).await?;
        } else {
            if state.first().is_some_and(|state| state == "half") {
                // What was begun and not finished may be in the cluster's books.
                let name = self.name();
                self.on_control(false, &|_: &Facts| vec![kubernetes::forget(name)]).await?;
            }
            let ticket = self.ticket().await?;
            self.on_host(&|facts: &Facts| kubernetes::join(facts, &member, &ticket)).await?;
        }
        if !member.labels.is_empty() || member.taints.is_some() {
            self.on_control(true, &|_: &Facts| vec![kubernetes::settings(&member)]).await?;
        }
        self.joined(spec.version.to_string().into())?;
        self.done(Some("ready".into()))
    }

    fn joined(&mut self, version: Text) -> Result<(), StepError> {
        let settings = self.settings();
        let member = self.member()?;
        (member.stage, member.version, member.settings) = (Stage::Joined, version, settings);
        Ok(())
    }

    pub(super) async fn drain(self) -> Done {
        self.empty().await?;
        self.done(None)
    }

    /// What runs on it goes elsewhere.
    async fn empty(&self) -> Result<(), StepError> {
        let (name, limit, is_swarm) = (self.name(), self.spec()?.drain_timeout.duration(), self.is_swarm());
        let command = || if is_swarm { swarm::drain(name, limit) } else { kubernetes::drain(name, limit) };
        self.on_control(true, &|_: &Facts| vec![command()]).await.map(drop)
    }

    pub(super) async fn cordon(mut self, on: bool) -> Done {
        let (name, is_swarm) = (self.name(), self.is_swarm());
        let command = || match (is_swarm, on) {
            (true, _) => swarm::available(name, !on),
            (false, true) => kubernetes::cordon(name),
            (false, false) => kubernetes::uncordon(name),
        };
        self.on_control(true, &|_: &Facts| vec![command()]).await?;
        let member = self.member()?;
        member.cordoned = on;
        if member.stage == Stage::Draining && !on {
            member.stage = Stage::Joined;
        }
        self.done(None)
    }

    pub(super) async fn leave(mut self, reset: Reset, forget: bool) -> Done {
        let detail = match reset {
            Reset::No => None,
            Reset::Must => self.clear().await.map(|()| None)?,
            Reset::Try => match line(self.shared, &self.row, Patience::of_known()).await {
                Ok(link) => {
                    self.shared.lines.park(&self.row, link);
                    self.clear().await.map(|()| None)?
                }
                // It is not there, or another host is in its place.
                Err(unreached) if unreached.is_gone() => {
                    let text = format!("{} did not answer: what is on it stays there", self.row.address);
                    self.shared.recorder.publish(Event::Warning { text: text.clone().into() }).await;
                    Some(text.into())
                }
                Err(unreached) => return Err(unreached.into()),
            },
        };
        if forget {
            let (name, is_swarm) = (self.name(), self.is_swarm());
            let command = || if is_swarm { swarm::forget(name) } else { kubernetes::forget(name) };
            self.on_control(false, &|_: &Facts| vec![command()]).await?;
        }
        self.row.member = None;
        self.done(detail)
    }

    async fn clear(&self) -> Result<(), StepError> {
        let (id, is_swarm) = (self.id(), self.is_swarm());
        let command = || if is_swarm { swarm::leave(&id) } else { kubernetes::reset(&id) };
        self.on_host(&|_: &Facts| vec![command()]).await.map(drop)
    }

    pub(super) async fn settle(mut self) -> Done {
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_kubernetes(&id, &at, self.kubernetes()?);
        self.on_control(true, &|_: &Facts| vec![kubernetes::settings(&member)]).await?;
        let settings = self.settings();
        self.member()?.settings = settings;
        self.done(None)
    }

    pub(super) async fn upgrade(self, first: bool) -> Done {
        let spec = self.kubernetes()?;
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_kubernetes(&id, &at, spec);
        self.on_host(&|facts: &Facts| vec![kubernetes::upgrade(facts, &member, first)]).await?;
        self.empty().await?;
        self.on_host(&|_: &Facts| kubernetes::upgrade_kubelet(&member)).await?;
        self.back_to_work(spec).await
    }

    pub(super) async fn rollback(self) -> Done {
        let spec = self.kubernetes()?;
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_kubernetes(&id, &at, spec);
        self.empty().await?;
        self.on_host(&|_: &Facts| kubernetes::rollback(&member)).await?;
        self.back_to_work(spec).await
    }

    /// It takes work again, unless somebody wants it not to.
    async fn back_to_work(mut self, spec: &KubernetesSpec) -> Done {
        if !self.member()?.cordoned {
            let name = self.name();
            self.on_control(true, &|_: &Facts| vec![kubernetes::uncordon(name)]).await?;
        }
        let member = self.member()?;
        (member.stage, member.version) = (Stage::Joined, spec.version.to_string().into());
        self.done(None)
    }

    pub(super) async fn renew(self) -> Done {
        let name = self.name();
        self.on_host(&|_: &Facts| vec![kubernetes::renew(name)]).await?;
        self.done(None)
    }

    pub(super) async fn configure(mut self) -> Done {
        let spec = self.kubernetes()?;
        let (id, at) = (self.id(), address(&self.row)?);
        let member = self.as_kubernetes(&id, &at, spec);
        let network = &spec.pod_network;
        self.on_host(&|_: &Facts| {
            vec![
                kubernetes::manifest("pod network", &network.manifest),
                kubernetes::standing(&member),
                kubernetes::ready(&member),
            ]
        })
        .await?;
        self.member()?.applied = Some(digest::of(network));
        self.done(None)
    }

    /// What the cluster has learnt since the snapshot is lost.
    pub(super) async fn restore(mut self, file: &str) -> Done {
        let spec = self.kubernetes()?;
        self.on_host(&|_: &Facts| vec![kubernetes::restore(file, spec)]).await?;
        let mut link = line(self.shared, &self.row, Patience::of_known()).await?;
        let answer = answer(link.as_mut(), &kubernetes::version()).await.map_err(failed)?;
        self.shared.lines.park(&self.row, link);
        let version = kubernetes::parse_version(&answer).unwrap_or_else(|| spec.version.to_string().into());
        let member = self.member()?;
        (member.stage, member.version) = (Stage::Joined, version);
        self.done(None)
    }

    pub(super) async fn snapshot(self) -> Done {
        let file = format!("/var/lib/pool/etcd/{}-{}.db", self.cluster, self.shared.recorder.run());
        self.on_host(&|_: &Facts| vec![kubernetes::snapshot(&file)]).await?;
        let detail = format!("{file} on {}", self.row.address);
        self.done(Some(detail.into()))
    }

    fn as_kubernetes<'m>(&'m self, id: &'m str, address: &'m str, spec: &'m KubernetesSpec) -> kubernetes::Member<'m> {
        static NONE: BTreeMap<Text, Text> = BTreeMap::new();
        let pool = self.row.pool.as_ref();
        let labels = pool.and_then(|pool| self.spec?.labels.get(pool)).unwrap_or(&NONE);
        let taints = pool.and_then(|pool| spec.taints.get(pool)).map(Vec::as_slice);
        kubernetes::Member { id, name: &self.row.address.name, address, role: self.role(), spec, labels, taints }
    }
}
