//! Clusters of the world: what they truly are, what they tell, and what they refuse.
//!
//! What is recorded of a member and what its cluster knows of it are two things here, as they are outside: a run that is
//! cut off leaves them apart.

use std::collections::BTreeMap;

use pool_inventory::{
    Address, Name, Text,
    desired::*,
    digest,
    market::{ClusterSeen, HostSeen, MemberSeen},
    object::{Membership, Recorded, Stage, Status},
};
use pool_planner::{
    Plan, Step,
    plan::{Reset, Task},
};

use super::{World, name};

/// A cluster as it is.
pub type Members = BTreeMap<Text, MemberSeen>;

impl World {
    /// A cluster over pools, as it is declared: the last one is what is meant to be changed afterwards.
    pub fn cluster(
        &mut self,
        cluster: &str,
        control: &str,
        workers: &[&str],
        version: Option<&str>,
    ) -> &mut ClusterSpec {
        let kind = version.map_or(ClusterKind::Swarm, |version| ClusterKind::Kubernetes(Box::new(kubernetes(version))));
        let spec = ClusterSpec {
            control_plane: name(control),
            workers: workers.iter().map(|pool| name(pool)).collect(),
            max_unavailable: 1,
            drain_timeout: pool_inventory::TimeSpan::secs(300),
            labels: BTreeMap::new(),
            kind,
        };
        self.desired.clusters.insert(name(cluster), spec);
        self.desired.clusters.get_mut(cluster).unwrap()
    }

    /// What clusters tell of themselves, through control planes that answer.
    pub fn clusters_seen(&self) -> BTreeMap<Name, ClusterSeen> {
        let mut out = BTreeMap::new();
        let rows = self.recorded.iter().filter(|row| row.bootstrapped.is_some() && row.id.is_some());
        for row in rows.filter(|_| !self.mute) {
            let Some(member) = row.member.as_ref().filter(|m| m.role == Role::ControlPlane && m.has_joined()) else {
                continue;
            };
            let silent = || ClusterSeen::Silent("no control plane answered".into());
            let seen = out.entry(member.cluster.clone()).or_insert_with(silent);
            let real = self.true_members(&member.cluster);
            if self.answers(row) && real.get(&row.address.name).is_some_and(|seen| seen.control) && quorum(&real) {
                *seen = ClusterSeen::Members(real);
            }
        }
        out
    }

    /// The members of a cluster, with the trouble that their machines make.
    fn true_members(&self, cluster: &Name) -> Members {
        let mut members = self.clusters.get(cluster).cloned().unwrap_or_default();
        for (host, seen) in &mut members {
            if !self.machine_runs(host) {
                seen.trouble = Some("its machine does not run".into());
            }
        }
        members
    }

    fn machine_runs(&self, host: &Text) -> bool {
        self.clouds.values().flatten().any(|object| {
            object.spec.host().is_some()
                && object.status == Status::Ready
                && object.owner.as_ref().map_or(object.name == *host, |owner| owner.address.name == *host)
        }) || self.recorded.iter().filter(|row| row.address == Address::host(host)).any(|row| {
            // A machine that was renamed carries its old name.
            let own = |object: &pool_inventory::object::Observed| {
                Some(&object.id) == row.id.as_ref() && object.status == Status::Ready
            };
            row.adopted || self.clouds.values().flatten().any(own)
        })
    }

    fn answers(&self, row: &Recorded) -> bool {
        !matches!(self.probes.get(&row.address.name), Some(HostSeen::Unreachable(_)))
            && self.machine_runs(&row.address.name)
    }

    /// Makes durable what a step begins, as it stands when a run is cut off; `done`: the cluster has changed already.
    pub fn begin(&mut self, plan: &Plan, step: &Step, task: &Task, done: bool) {
        let before = self.clone();
        self.member(plan, step, task);
        let (truth, host) = (self.clusters.clone(), subject(step, task));
        *self = before;
        if done {
            self.clusters = truth;
        }
        let cluster = cluster_of(step);
        let spec = plan.clusters[&cluster].spec.as_ref();
        let version = spec.map(ClusterSpec::version).unwrap_or_default();
        self.serial += 1;
        let serial = self.serial;
        let row = self.recorded.iter_mut().find(|r| r.address == host && r.generation == step.generation).unwrap();
        row.serial = serial;
        let role = spec.and_then(|spec| spec.role_of(row.pool.as_ref()?));
        let fresh = || Membership {
            cluster,
            role: role.unwrap(),
            version: "".into(),
            stage: Stage::Joining { first: false },
            settings: None,
            applied: None,
            cordoned: false,
            anchor: false,
        };
        let member = row.member.get_or_insert_with(|| Box::new(fresh()));
        match task {
            Task::Init => member.stage = Stage::Joining { first: true },
            Task::Join { .. } if !member.has_joined() => member.stage = Stage::Joining { first: false },
            Task::Drain => member.stage = Stage::Draining,
            Task::Leave { .. } => member.stage = Stage::Leaving,
            Task::Upgrade { .. } | Task::Rollback => member.stage = Stage::Upgrading { to: version },
            _ => {}
        }
    }

    /// A cluster that does what it is told, and refuses what a cluster would refuse.
    pub fn member(&mut self, plan: &Plan, step: &Step, task: &Task) {
        let (cluster, host) = (cluster_of(step), subject(step, task));
        let spec = plan.clusters[&cluster].spec.clone();
        let row = self.recorded.iter().find(|r| r.address == host && r.generation == step.generation);
        let row = row.unwrap_or_else(|| panic!("{} of {host}, which is not recorded", step.action.verb())).clone();
        let role = spec.as_ref().and_then(|spec| spec.role_of(row.pool.as_ref()?));
        let others = |row: &&Recorded| {
            let controls = |m: &Membership| m.cluster == cluster && m.role == Role::ControlPlane && m.has_joined();
            row.address != host && row.member.as_deref().is_some_and(controls) && self.answers(row)
        };
        let control = self.recorded.iter().any(|row| others(&row));
        if !matches!(
            task,
            Task::Leave { reset: Reset::No | Reset::Try, .. } | Task::Drain | Task::Cordon | Task::Uncordon
        ) {
            assert!(self.answers(&row), "{}: {host} does not answer", step.action.verb());
        }
        self.change(&cluster, &row, spec.as_ref(), role, control, task);
        self.serial += 1;
        let serial = self.serial;
        let row = self.recorded.iter_mut().find(|r| r.address == host && r.generation == step.generation).unwrap();
        row.serial = serial;
        let pool = row.pool.clone();
        let set = || Some(settings(spec.as_ref().unwrap(), pool.as_ref().unwrap()));
        let version = spec.as_ref().map(ClusterSpec::version).unwrap_or_default();
        if matches!(task, Task::Init | Task::Join { .. }) {
            let anchored = |spec: &ClusterSpec| spec.kubernetes().is_some_and(|spec| spec.endpoint.is_none());
            let before = row.member.take();
            row.member = Some(Box::new(Membership {
                cluster,
                role: role.unwrap(),
                version,
                stage: Stage::Joined,
                settings: set(),
                applied: before.as_ref().and_then(|member| member.applied.clone()),
                cordoned: before.as_ref().is_some_and(|member| member.cordoned),
                anchor: before.is_some_and(|member| member.anchor)
                    || matches!(task, Task::Init) && spec.as_ref().is_some_and(anchored),
            }));
            return;
        }
        let member = row.member.as_deref_mut();
        let member = member.unwrap_or_else(|| panic!("{} of {host}, which is no member", step.action.verb()));
        match task {
            Task::Leave { .. } => row.member = None,
            Task::Drain => member.stage = Stage::Draining,
            Task::Uncordon => (member.stage, member.cordoned) = (Stage::Joined, false),
            Task::Cordon => member.cordoned = true,
            Task::Upgrade { .. } | Task::Rollback => (member.stage, member.version) = (Stage::Joined, version),
            Task::Settle => member.settings = set(),
            Task::Configure { .. } => {
                member.applied = Some(digest::of(&spec.as_ref().unwrap().kubernetes().unwrap().pod_network));
            }
            Task::Turn { role } => member.role = *role,
            Task::Renew | Task::Snapshot { .. } | Task::Restore { .. } | Task::Init | Task::Join { .. } => {}
        }
    }

    /// What a task changes in the cluster itself.
    fn change(
        &mut self,
        cluster: &Name,
        row: &Recorded,
        spec: Option<&ClusterSpec>,
        role: Option<Role>,
        control: bool,
        task: &Task,
    ) {
        let host = row.address.name.clone();
        let before = self.true_members(cluster);
        let is_member = before.contains_key(&host);
        let version = spec.map(ClusterSpec::version).unwrap_or_default();
        let well: Vec<&MemberSeen> = before.values().filter(|m| m.control && m.trouble.is_none()).collect();
        let goes = matches!(task, Task::Leave { forget: false, .. });
        assert!(goes || matches!(task, Task::Init) || quorum(&before), "{}: {cluster} lost its quorum", task.verb());
        let real = self.clusters.entry(cluster.clone()).or_default();
        match task {
            Task::Init => {
                assert!(row.bootstrapped.is_some(), "{host} joins and is bare");
                assert!(!control, "{host}: a cluster begins once, at its first control plane");
                if !is_member {
                    assert!(well.is_empty(), "{cluster} begins twice, at {host}");
                    *real = Members::new();
                }
                real.insert(host, MemberSeen { control: true, version, ..MemberSeen::default() });
            }
            Task::Join { role: joins } => {
                assert_eq!(role, Some(*joins), "{host} joins as something else");
                assert!(row.bootstrapped.is_some(), "{host} joins and is bare");
                assert!(control, "{host}: nobody is there to be joined");
                let behind = well.iter().any(|member| older(&member.version, &version));
                assert!(!behind, "{host} joins with {version}, which control planes do not run");
                let control = *joins == Role::ControlPlane;
                real.insert(host, MemberSeen { control, version, ..MemberSeen::default() });
                // One that is new takes part at once: it must not cost the majority.
                assert!(quorum(&self.true_members(cluster)), "{cluster} lost its quorum");
            }
            Task::Leave { forget, .. } => {
                assert!(!forget || control, "nobody is left to forget {host}");
                real.remove(&host);
                if *forget {
                    let after = self.true_members(cluster);
                    assert!(quorum(&after), "{cluster} lost its quorum when {host} left");
                } else if real.is_empty() {
                    self.clusters.remove(cluster);
                }
            }
            Task::Turn { role } => {
                assert!(control, "nobody is left to turn {host}");
                real.get_mut(&host).unwrap_or_else(|| panic!("{host} is turned and no member")).control =
                    *role == Role::ControlPlane;
                assert!(quorum(&self.true_members(cluster)), "{cluster} lost its quorum when {host} was turned");
            }
            Task::Upgrade { first } => {
                let member = real.get_mut(&host).unwrap_or_else(|| panic!("{host} is upgraded and no member"));
                assert!(!older(&version, &member.version), "{host} goes back from {} to {version}", member.version);
                assert!(minor(&version) <= minor(&member.version) + 1, "{host} skips a release");
                let led = well.iter().any(|other| other.version == version);
                let behind = well.iter().any(|other| older(&other.version, &version));
                assert!(*first || led, "{host}: no control plane leads");
                assert!(member.control || !behind, "{host} is newer than a control plane");
                member.version = version;
            }
            Task::Rollback => real.get_mut(&host).unwrap().version = version,
            Task::Drain | Task::Cordon | Task::Settle | Task::Uncordon if !self.mute => {
                let member = real.get_mut(&host);
                let member =
                    member.unwrap_or_else(|| panic!("{} of {host}, which its cluster does not know", task.verb()));
                member.cordoned = matches!(task, Task::Drain | Task::Cordon);
            }
            Task::Renew => real.entry(host).or_default().expires = None,
            _ => {}
        }
    }
}

/// A release of Kubernetes with all that goes with it.
fn kubernetes(version: &str) -> KubernetesSpec {
    KubernetesSpec {
        version: version.parse().unwrap(),
        endpoint: None,
        service_cidr: "10.96.0.0/12".parse().unwrap(),
        pod_network: PodNetwork {
            kind: PodNetworkKind::Flannel,
            cidr: "10.244.0.0/16".parse().unwrap(),
            manifest: "flannel".into(),
        },
        image_repository: "registry.k8s.io".into(),
        packages: KubernetesPackages { repository: None, revision: "1.1".into() },
        taints: BTreeMap::new(),
        cgroup_v1: false,
        renew_before: pool_inventory::TimeSpan::secs(30 * 24 * 3600),
    }
}

fn cluster_of(step: &Step) -> Name {
    Name::new(step.address.name.split('/').next().unwrap()).unwrap()
}

/// The host that a task is done on.
fn subject(step: &Step, task: &Task) -> Address {
    match task {
        Task::Configure { host } | Task::Snapshot { host } | Task::Restore { host, .. } => host.clone(),
        _ => step.address.host_of_member().unwrap(),
    }
}

/// Whether more than half of the control planes work.
pub fn quorum(members: &Members) -> bool {
    let control = || members.values().filter(|member| member.control);
    2 * control().filter(|member| member.trouble.is_none()).count() > control().count()
}

fn older(a: &str, b: &str) -> bool {
    matches!((a.parse::<Version>(), b.parse::<Version>()), (Ok(a), Ok(b)) if a < b)
}

fn minor(version: &str) -> u32 {
    version.parse::<Version>().map_or(0, |version| version.minor)
}

/// Digest of what is set for a member inside its cluster.
fn settings(spec: &ClusterSpec, pool: &Name) -> Text {
    digest::of(&(spec.labels.get(pool), spec.kubernetes().and_then(|kubernetes| kubernetes.taints.get(pool))))
}
