//! From drafts to a plan: order, serials, demand, cost.

use std::collections::{BTreeMap, BTreeSet};

use pool_inventory::{
    Address, Kind, Money, Name, Text,
    desired::{ArtifactSpec, KubernetesSpec},
    object::Spec,
};

use super::{Planner, draft::DraftId, order::order};
use crate::{
    error::PlanError,
    input::{OnFailure, access},
    plan::{Action, CostChange, Group, PLAN_VERSION, Plan, PoolBootstrap, Step, Task},
};

/// The control plane that a step about a whole cluster is done through.
fn through(action: &Action) -> Option<Address> {
    match action {
        Action::Member { task: Task::Configure { host } | Task::Snapshot { host } | Task::Restore { host, .. } } => {
            Some(host.clone())
        }
        _ => None,
    }
}

impl Planner<'_> {
    /// Puts everything together.
    pub(crate) fn finish(mut self) -> Result<Plan, PlanError> {
        self.outlive();
        let groups = self.finish_groups();
        let drafts = std::mem::take(&mut self.drafts.0);
        let steps = order(drafts)?;
        let bootstraps = self.pool_bootstraps(&steps, &groups);
        let clusters = self.plan_clusters(&steps);
        let mut declined = std::mem::take(&mut self.declined);
        declined.sort_by(|a, b| a.address.cmp(&b.address));
        declined.dedup();
        let touched: BTreeSet<&Address> =
            steps.iter().map(|step| &step.address).chain(declined.iter().map(|d| &d.address)).collect();
        let unchanged = self.count_unchanged(&touched);
        let proposal = self.proposal.take().map(Box::new);
        let desired = &self.input.desired;
        let undo = (self.input.scope.on_failure == OnFailure::Undo).then(|| super::undo::undo(&steps, self.input));
        let others = || groups.iter().flat_map(|group| &group.alternatives);
        let used = steps.iter().map(|step| &step.provider).chain(others().map(|other| &other.provider));
        let used: BTreeSet<&Name> = used.collect();
        let spec = |name: &Name| Some((name.clone(), desired.providers.get(name)?.clone()));
        let followers = others().flat_map(|other| other.volumes.values().map(|volume| &volume.backend));
        let backends: BTreeSet<&Text> = steps.iter().filter_map(|step| self.backend(step)).chain(followers).collect();
        let backend = |name: &&Text| Some((Name::new(name).ok()?, desired.backends.get(&***name)?.clone()));
        Ok(Plan {
            version: PLAN_VERSION,
            inventory: desired.inventory.clone(),
            environment: desired.environment.clone(),
            lineage: self.input.lineage.clone(),
            reads: self.reads(&steps, &bootstraps),
            scope: self.input.scope.clone(),
            providers: used.iter().filter_map(|name| spec(name)).collect(),
            backends: backends.iter().filter_map(backend).collect(),
            demand: self.ledger.demand(),
            cost: self.cost(&steps),
            steps,
            undo,
            groups,
            declined,
            artifacts: self.artifacts(&bootstraps),
            bootstraps,
            clusters,
            unchanged,
            proposal,
        })
    }

    /// What a record says must outlive it is deleted after it.
    fn outlive(&mut self) {
        let goes = |action: &Action| matches!(action, Action::Delete | Action::Release | Action::Forget);
        let going = self.drafts.0.iter().zip(0..).filter(|(draft, _)| goes(&draft.action));
        let going: Vec<(Address, u32, DraftId)> =
            going.map(|(draft, id)| (draft.address.clone(), draft.generation, DraftId(id))).collect();
        let by_address: BTreeMap<&Address, Vec<DraftId>> =
            going.iter().fold(BTreeMap::new(), |mut map: BTreeMap<&Address, Vec<DraftId>>, (address, _, id)| {
                map.entry(address).or_default().push(*id);
                map
            });
        for (address, generation, id) in &going {
            let rows = self.world.of(address);
            let Some(row) = self.world.rows[rows].iter().find(|row| row.now.generation == *generation) else {
                continue;
            };
            for later in row.now.needs.iter().filter_map(|need| by_address.get(need)).flatten() {
                self.drafts.needs(*later, [*id]);
            }
        }
    }

    fn count_unchanged(&self, touched: &BTreeSet<&Address>) -> usize {
        let mut count = 0;
        let mut last: Option<&Address> = None;
        for row in &self.world.rows {
            let address = &row.now.address;
            if last != Some(address) && !touched.contains(address) {
                count += 1;
            }
            last = Some(address);
        }
        count
    }

    /// The backend whose declaration a step needs.
    fn backend<'s>(&'s self, step: &'s Step) -> Option<&'s Text> {
        let spec = match &step.action {
            Action::Create { spec, .. } => spec,
            Action::Update { to, .. } | Action::Attach { to } | Action::Detach { to } => to,
            _ => {
                let rows = self.world.of(&step.address);
                let row = self.world.rows[rows].iter().find(|row| row.now.generation == step.generation);
                &row?.now.spec
            }
        };
        spec.volume().map(|volume| &volume.backend).or_else(|| spec.copy().map(|copy| &copy.backend))
    }

    /// Serials of all that the steps touch or look at.
    fn reads(&self, steps: &[Step], bootstraps: &BTreeMap<Name, PoolBootstrap>) -> BTreeMap<Address, u64> {
        let mut wanted: BTreeSet<Address> = BTreeSet::new();
        for step in steps {
            match step.address.kind {
                Kind::Pool => {}
                Kind::Member => wanted.extend(step.address.host_of_member()),
                Kind::Cluster => wanted.extend(through(&step.action)),
                _ => drop(wanted.insert(step.address.clone())),
            }
            if let crate::plan::Reason::Moved { from } = &step.reason {
                wanted.insert(from.clone());
            }
            match &step.action {
                Action::Attach { to } => {
                    let host = to.volume().and_then(|volume| volume.attached.as_ref());
                    wanted.extend(host.map(|attached| attached.host.clone()));
                }
                Action::Create { spec: Spec::Snapshot(copy) | Spec::Backup(copy), .. } => {
                    wanted.insert(copy.of.clone());
                }
                Action::Create { spec: Spec::Volume(volume), .. } => wanted.extend(volume.from.clone()),
                Action::Restore { from } => {
                    wanted.insert(from.clone());
                }
                Action::Create { spec: Spec::Host(host), .. } => {
                    wanted.extend(host.network.as_ref().map(|network| Address::network(network)));
                }
                _ => {}
            }
        }
        wanted.extend(self.controllers(steps));
        let mentioned = bootstraps.values().flat_map(|pool| pool.hosts.values()).flatten();
        wanted.extend(mentioned.map(|host| Address::host(&host.name)));
        let recorded = &self.input.recorded;
        let serial = |address: Address| {
            let end = recorded.partition_point(|row| row.address <= address);
            let newest = end.checked_sub(1).map(|at| &recorded[at]).filter(|row| row.address == address);
            let serial = newest.map_or(0, |row| row.serial);
            (address, serial)
        };
        wanted.into_iter().map(serial).collect()
    }

    fn artifacts(&self, bootstraps: &BTreeMap<Name, PoolBootstrap>) -> BTreeMap<Name, ArtifactSpec> {
        let used = bootstraps.values().flat_map(|pool| pool.spec.artifacts());
        let declared = &self.input.desired.artifacts;
        used.filter_map(|used| Some((used.name.clone(), declared.get(&used.name)?.clone()))).collect()
    }

    fn pool_bootstraps(&self, steps: &[Step], groups: &[Group]) -> BTreeMap<Name, PoolBootstrap> {
        // Who unmounts a volume logs in as well.
        let unmounted = |step: &Step| match step.action {
            Action::Detach { .. } if self.only_attaches(&step.provider) => step.address.host_of_volume(),
            _ => None,
        };
        let booted = |step: &Step| matches!(step.action, Action::Bootstrap { .. }).then(|| step.address.clone());
        let hosts: BTreeMap<Address, &Name> =
            steps.iter().filter_map(|step| Some((booted(step).or_else(|| unmounted(step))?, &step.provider))).collect();
        let mut out = BTreeMap::new();
        if hosts.is_empty() {
            return out;
        }
        for pool in &self.pools {
            let (Some(name), Some(decl)) = (&pool.name, pool.decl) else { continue };
            let (mut ways, mut ways_to) = (BTreeMap::new(), BTreeSet::new());
            let mut due = false;
            for host in &pool.hosts {
                let Some(provider) = hosts.get(&host.address) else { continue };
                due = true;
                ways_to.insert(*provider);
                if let Some(access) = access(&self.input.desired, name, &host.address.name, provider) {
                    ways.insert(host.address.name.clone(), access.clone());
                }
            }
            if !due {
                continue;
            }
            let index = |name: &Name| self.pools.iter().position(|pool| pool.name.as_ref() == Some(name));
            let mentioned = decl.bootstrap.pools().into_iter();
            let known = mentioned.filter_map(|name| index(&name).map(|at| (name, self.known(at)))).collect();
            let bootstrap = PoolBootstrap {
                spec: decl.bootstrap.clone(),
                variables: self.input.desired.variables.clone(),
                labels: decl.labels.clone(),
                tenant: decl.tenant.clone(),
                hosts: known,
                package: self.package(name),
                elsewhere: self.access_elsewhere(name, &ways_to, groups),
                access: ways,
            };
            out.insert(name.clone(), bootstrap);
        }
        out
    }

    /// Version of the packages that hosts of a pool get as members of a cluster.
    fn package(&self, pool: &Name) -> Option<Text> {
        let mut of = self.input.desired.clusters.values().filter(|cluster| cluster.role_of(pool).is_some());
        of.find_map(|cluster| cluster.kubernetes().map(KubernetesSpec::package))
    }

    /// How to log in to hosts of a pool that go to providers where none is planned.
    fn access_elsewhere(
        &self,
        pool: &Name,
        planned: &BTreeSet<&Name>,
        groups: &[Group],
    ) -> BTreeMap<Name, pool_inventory::desired::Access> {
        let others = groups.iter().filter(|group| group.pool == *pool).flat_map(|group| &group.alternatives);
        let abroad = others.map(|other| &other.provider).filter(|at| planned.len() > 1 || !planned.contains(at));
        let way = |at: &Name| Some((at.clone(), access(&self.input.desired, pool, "", at)?.clone()));
        abroad.filter_map(way).collect()
    }

    /// What all costs before and after.
    fn cost(&self, steps: &[Step]) -> CostChange {
        let before: Money = self.input.recorded.iter().map(|row| row.price).sum();
        let mut after = before;
        let price = |step: &Step| {
            let rows = self.world.of(&step.address);
            let row = self.world.rows[rows].iter().find(|row| row.now.generation == step.generation)?;
            row.was.map(|was| was.price)
        };
        let mut recorded: BTreeMap<(&Address, u32), Money> = BTreeMap::new();
        for step in steps {
            let key = (&step.address, step.generation);
            let was = recorded.get(&key).copied().or_else(|| price(step)).unwrap_or(Money::ZERO);
            let now = match &step.action {
                Action::Create { record, .. } | Action::Adopt { record, .. } => record.price,
                Action::Record { to } => to.price,
                Action::Delete | Action::Release | Action::Forget => Money::ZERO,
                _ => continue,
            };
            after = after + now - was;
            recorded.insert(key, now);
        }
        let machines = self.machines_cost(steps);
        CostChange { before: before + machines.0, after: after + machines.1 }
    }
}
