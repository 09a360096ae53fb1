//! Steps about members of clusters. What a host is in a cluster is recorded with the host, before and after.

mod control;
mod swarm;
mod tasks;

pub use control::{Tickets, answer};

use pool_inventory::{
    Address, Name, Text,
    desired::{ClusterSpec, KubernetesSpec, Role},
    digest,
    object::{Membership, Recorded, Stage},
};
use pool_planner::{Step, plan::Task};

use super::{
    Shared,
    recorder::Effect,
    step::{Done, StepError, started},
};
use crate::event::{Failure, FailureClass};

/// A member, or what is to become one, and its cluster.
pub(super) struct Subject<'a> {
    shared: &'a Shared,
    step: &'a Step,
    row: Recorded,
    cluster: Name,
    /// None: the cluster goes.
    spec: Option<&'a ClusterSpec>,
}

/// Carries out a task.
pub async fn member(shared: &Shared, step: &Step, task: &Task) -> Done {
    let mut subject = Subject::new(shared, step, task)?;
    let _door = match task {
        Task::Join { .. } => shared.tickets.door().await,
        _ => None,
    };
    subject.begin(task).await?;
    if subject.is_swarm() {
        match task {
            Task::Init => return subject.swarm_init().await,
            Task::Join { .. } => return subject.swarm_join().await,
            Task::Settle => return subject.swarm_settle().await,
            Task::Turn { .. } => return subject.swarm_turn().await,
            _ => {}
        }
    }
    match task {
        Task::Init => subject.init().await,
        Task::Join { .. } => subject.join().await,
        Task::Drain => subject.drain().await,
        Task::Cordon => subject.cordon(true).await,
        Task::Uncordon => subject.cordon(false).await,
        Task::Leave { reset, forget } => subject.leave(*reset, *forget).await,
        Task::Settle => subject.settle().await,
        Task::Upgrade { first } => subject.upgrade(*first).await,
        Task::Rollback => subject.rollback().await,
        Task::Renew => subject.renew().await,
        Task::Configure { .. } => subject.configure().await,
        Task::Snapshot { .. } => subject.snapshot().await,
        Task::Restore { file, .. } => subject.restore(file).await,
        Task::Turn { .. } => Err(refused("a node of Kubernetes cannot be turned; it leaves and joins").into()),
    }
}

impl<'a> Subject<'a> {
    fn new(shared: &'a Shared, step: &'a Step, task: &Task) -> Result<Self, StepError> {
        let host = match task {
            Task::Configure { host } | Task::Snapshot { host } | Task::Restore { host, .. } => Some(host.clone()),
            _ => step.address.host_of_member(),
        };
        let row = host.and_then(|host| shared.records.get(&host, step.generation));
        let row = row.ok_or_else(|| refused("its host is not recorded as it was when the plan was made"))?;
        let cluster = step.address.name.split('/').next().and_then(|name| Name::new(name).ok());
        let cluster = cluster.ok_or_else(|| refused("its cluster has no name"))?;
        let plan = shared.plan.clusters.get(&cluster).ok_or_else(|| refused("the plan does not know its cluster"))?;
        Ok(Self { shared, step, row, cluster, spec: plan.spec.as_ref() })
    }

    /// `LINEAGE/CLUSTER`
    fn id(&self) -> String {
        format!("{}/{}", self.shared.lineage, self.cluster)
    }

    fn name(&self) -> &str {
        &self.row.address.name
    }

    fn spec(&self) -> Result<&'a ClusterSpec, StepError> {
        self.spec.ok_or_else(|| refused("its cluster is no longer declared").into())
    }

    fn kubernetes(&self) -> Result<&'a KubernetesSpec, StepError> {
        self.spec()?.kubernetes().ok_or_else(|| refused("this is for Kubernetes alone").into())
    }

    /// Whether it is a Docker Swarm; of one that is no longer declared, members without a version are.
    fn is_swarm(&self) -> bool {
        match self.spec {
            Some(spec) => spec.kubernetes().is_none(),
            None => self.row.member.as_ref().is_some_and(|member| member.version.is_empty()),
        }
    }

    fn role(&self) -> Role {
        let declared = self.spec.and_then(|spec| spec.role_of(self.row.pool.as_ref()?));
        declared.or(self.row.member.as_ref().map(|member| member.role)).unwrap_or(Role::Worker)
    }

    /// Makes durable what is begun.
    async fn begin(&mut self, task: &Task) -> Result<(), StepError> {
        let version = self.spec.map(ClusterSpec::version).unwrap_or_default();
        let (cluster, role) = (self.cluster.clone(), self.role());
        let fresh = || Membership {
            cluster,
            role,
            version: "".into(),
            stage: Stage::Joining { first: false },
            settings: None,
            applied: None,
            cordoned: false,
            anchor: false,
        };
        let joining = matches!(task, Task::Init | Task::Join { .. });
        let member = match &mut self.row.member {
            Some(member) => member,
            None if joining => self.row.member.insert(Box::new(fresh())),
            None => return Err(refused("its host is no member").into()),
        };
        match task {
            Task::Init => member.stage = Stage::Joining { first: true },
            Task::Join { .. } if !member.has_joined() => member.stage = Stage::Joining { first: false },
            Task::Drain => member.stage = Stage::Draining,
            Task::Leave { .. } => member.stage = Stage::Leaving,
            Task::Upgrade { .. } | Task::Rollback => member.stage = Stage::Upgrading { to: version },
            _ => {}
        }
        started(self.shared, self.step, 0, Some(self.row.clone())).await?;
        Ok(())
    }

    fn member(&mut self) -> Result<&mut Membership, StepError> {
        self.row.member.as_deref_mut().ok_or_else(|| refused("its host is no member").into())
    }

    /// What it is now is recorded.
    fn done(self, detail: Option<Text>) -> Done {
        Ok((detail, Effect::Put(self.row)))
    }

    /// Digest of what is set for it inside the cluster.
    fn settings(&self) -> Option<Text> {
        let (spec, pool) = (self.spec?, self.row.pool.as_ref()?);
        let taints = spec.kubernetes().and_then(|kubernetes| kubernetes.taints.get(pool));
        Some(digest::of(&(spec.labels.get(pool), taints)))
    }

    /// Other hosts that control the cluster, the most settled first.
    fn others(&self) -> Vec<Recorded> {
        self.shared.records.control_planes(&self.cluster, &self.row.address)
    }
}

/// Where a member answers other members.
fn address(row: &Recorded) -> Result<Text, StepError> {
    row.endpoint.as_ref().map(|at| at.host.clone()).ok_or_else(|| refused("the host has no address").into())
}

fn refused(why: &str) -> Failure {
    let hint = Some("plan again with: pool plan".into());
    Failure { class: FailureClass::Refused, message: why.into(), detail: None, hint }
}

/// Which rows control a cluster.
pub fn controls(row: &Recorded, cluster: &Name, but: &Address) -> bool {
    let member = row.member.as_deref().filter(|member| member.cluster == *cluster);
    row.address != *but
        && member.is_some_and(|member| {
            member.role == Role::ControlPlane && member.has_joined() && member.stage != Stage::Leaving
        })
}
