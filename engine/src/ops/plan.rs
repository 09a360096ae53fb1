//! Planning: observe, plan, check, save.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
    sync::Arc,
    time::Instant,
};

use pool_inventory::{
    Address, Kind, Lineage, Name, Text,
    desired::ProviderKind,
    market::{Capabilities, Feature, HostSeen, Seen},
    object::Recorded,
};
use pool_planner::{Plan, PlanInput, Scope, input::Errand};
use pool_providers::{Provider, ProviderError};
use pool_state::NewPlan;

use super::{Basis, Environment, Events, Observe, OpsError, PlanRequest, SavedPlan};
use crate::{
    clock,
    observe::{self, Expected},
    probe, random, taken,
};

/// Version of the envelope around a plan.
pub const ENVELOPE_VERSION: u32 = 1;

/// What was seen of the world, and what it took.
pub(super) struct View {
    pub(super) seen: Seen,
    pub(super) markets: BTreeMap<Name, pool_inventory::market::Market>,
    pub(super) capabilities: BTreeMap<Name, Capabilities>,
    pub(super) basis: Basis,
    pub(super) errors: BTreeMap<Name, ProviderError>,
}

/// What a plan is made from beside what is declared, recorded and seen.
pub(super) struct Known {
    pub(super) stock_outs: BTreeMap<Text, i64>,
    pub(super) lineage: Lineage,
    pub(super) public_keys: BTreeMap<Name, Text>,
}

impl Environment {
    /// Observes, plans, and saves the plan under a one-use id.
    pub async fn plan(&self, request: PlanRequest) -> Result<SavedPlan, OpsError> {
        let events = tokio::sync::mpsc::channel(1).0;
        Ok(self.plan_telling(request, events).await?.0)
    }

    /// As [`Environment::plan`], with what the plan was made from, for questions about what it does not do; says on
    /// `events` what it waits for.
    pub async fn plan_telling(&self, request: PlanRequest, events: Events) -> Result<(SavedPlan, PlanInput), OpsError> {
        let store = self.store().await?;
        let recorded = self.settled(store, events).await?;
        let view = self.view_for(Some(request.observe), &recorded, &request.scope.errands).await?;
        self.refuse_unauthorized(&view)?;
        let basis = view.basis.clone();
        let known = Known {
            stock_outs: store.stock_outs().await?,
            lineage: store.lineage().clone(),
            public_keys: self.public_keys()?,
        };
        let input = PlanInput { scope: request.scope, ..self.plan_input(recorded, view, known) };
        let mut plan = pool_planner::plan(&input).map_err(|e| OpsError::Refused(chain(&e).into()))?;
        if let [first, rest @ ..] = pool_planner::check(&plan, &input).as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let text = format!(
                "the plan does not pass its own check: {}{more}; this is a bug in pool, nothing was changed",
                first.detail
            );
            return Err(OpsError::Other(text.into()));
        }
        plan.declined.sort_by(|a, b| a.address.cmp(&b.address));
        refuse_unknown(&plan, &input)?;
        let basis = Basis { serial: store.serial().await?, ..basis };
        let saved = seal(plan, basis, input.now, self.desired.policy.plan_ttl.0 as i64 / 1000);
        let row = NewPlan {
            id: saved.id.clone(),
            bytes: to_bytes(&saved)?,
            hash: saved.hash.clone(),
            created: saved.created,
            expires: saved.expires,
        };
        store.save_plan(row).await?;
        Ok((saved, input))
    }

    /// All that a plan of the whole environment is made from.
    pub(super) fn plan_input(&self, recorded: Vec<Recorded>, view: View, known: Known) -> PlanInput {
        let seed = blake3::hash(known.lineage.0.as_bytes());
        PlanInput {
            desired: self.desired.clone(),
            recorded,
            seen: view.seen,
            markets: view.markets,
            capabilities: view.capabilities,
            stock_outs: known.stock_outs,
            lineage: known.lineage,
            public_keys: known.public_keys,
            scope: Scope::default(),
            now: clock::now(),
            seed: u64::from_le_bytes(seed.as_bytes()[..8].try_into().unwrap_or_default()),
        }
    }

    /// A saved plan by its id, the beginning of it, or the path of a plan file.
    pub async fn saved_plan(&self, id_or_file: &str) -> Result<SavedPlan, OpsError> {
        if id_or_file.contains(['/', '.']) || Path::new(id_or_file).is_file() {
            return read_plan_file(Path::new(id_or_file));
        }
        let found = match self.existing_store().await? {
            Some(store) => store.plan(id_or_file).await?,
            None => None,
        };
        let row = found.ok_or_else(|| {
            OpsError::NotFound(format!("there is no plan {id_or_file}; make one with: pool plan").into())
        })?;
        from_bytes(&row.bytes)
    }

    /// Looks at the world: providers that are declared or recorded, and hosts if asked.
    pub(super) async fn view(&self, how: Option<Observe>, recorded: &[Recorded]) -> Result<View, OpsError> {
        self.view_for(how, recorded, &[]).await
    }

    /// The same, with what errands need.
    async fn view_for(
        &self,
        how: Option<Observe>,
        recorded: &[Recorded],
        errands: &[Errand],
    ) -> Result<View, OpsError> {
        let begun = Instant::now();
        let (open, mut errors) = self.providers();
        let capabilities: BTreeMap<Name, Capabilities> =
            open.iter().map(|(name, provider)| (name.clone(), provider.capabilities())).collect();
        let mut seen = Seen::default();
        let mut markets = BTreeMap::new();
        let mut basis = Basis {
            pools: self.desired.pools.len(),
            hosts: self.declared_hosts(),
            sources: self.sources.clone(),
            ..Basis::default()
        };
        if how.is_some() {
            for (name, view) in observe::providers(&open, expected(&open, recorded, errands)).await {
                match view {
                    Ok(mut view) => {
                        basis.list_calls += view.calls;
                        if let Some(can) = capabilities.get(&name) {
                            let rows = recorded.iter().filter(|row| row.provider == name);
                            observe::fill(&mut view.objects, &can.unseen, rows);
                        }
                        seen.providers.insert(name.clone(), view.objects);
                        markets.insert(name, view.market);
                    }
                    Err(error) => {
                        errors.insert(name, error);
                    }
                }
            }
        }
        taken::fill(&mut seen, recorded);
        if how == Some(Observe::Hosts) {
            let found = probe::hosts(
                &self.desired,
                recorded,
                &capabilities,
                self.ways(),
                self.request.parallelism.unwrap_or(64),
            )
            .await;
            (seen.hosts, seen.clusters) = (found.hosts, found.clusters);
            basis.probed = seen.hosts.len();
            let down = |(host, seen): (&Text, &HostSeen)| match seen {
                HostSeen::Unreachable(why) => Some((host.clone(), why.clone())),
                _ => None,
            };
            basis.unreachable = seen.hosts.iter().filter_map(down).collect();
        }
        basis.unseen = errors.iter().map(|(name, error)| (name.clone(), error.to_string().into())).collect();
        basis.observe_ms = begun.elapsed().as_millis() as u64;
        Ok(View { seen, markets, capabilities, basis, errors })
    }

    /// Refused credentials end a plan at once: what would come of it is not what was asked for.
    fn refuse_unauthorized(&self, view: &View) -> Result<(), OpsError> {
        for (provider, error) in &view.errors {
            if let ProviderError::Unauthorized(detail) = error {
                return Err(OpsError::Unauthorized { provider: provider.clone(), detail: detail.clone() });
            }
        }
        Ok(())
    }

    /// The public keys that hosts of each pool are made with.
    pub(super) fn public_keys(&self) -> Result<BTreeMap<Name, Text>, OpsError> {
        let ways = self.ways();
        let mut keys = BTreeMap::new();
        for (pool, spec) in &self.desired.pools {
            let first = self.desired.providers.iter().find(|(name, provider)| {
                !matches!(provider.kind, ProviderKind::Ssh)
                    && (spec.place.on.is_empty() || spec.place.on.iter().any(|on| matches_provider(&on.0, name)))
            });
            let Some((provider, _)) = first else { continue };
            let access = pool_planner::input::access(&self.desired, pool, "", provider);
            keys.insert(pool.clone(), ways.public_key(access)?);
        }
        Ok(keys)
    }
}

/// A mistyped address must not pass for "nothing to do": what is named is declared, recorded or spoken of by the plan.
fn refuse_unknown(plan: &Plan, input: &PlanInput) -> Result<(), OpsError> {
    let Scope { targets, excludes, replace, errands, .. } = &input.scope;
    // An errand is about what is there: a declaration alone is not enough.
    let is = |recorded: &Recorded, address: &Address| match address.kind {
        // A cluster is what its members are.
        Kind::Cluster => recorded.member.as_ref().is_some_and(|member| *member.cluster == *address.name),
        _ => recorded.address == *address,
    };
    let missing = errands.iter().map(needed_by).find(|address| !input.recorded.iter().any(|r| is(r, address)));
    if let Some(address) = missing {
        return Err(OpsError::NotFound(format!("{address} is not recorded").into()));
    }
    if targets.is_empty() && excludes.is_empty() && replace.is_empty() {
        return Ok(());
    }
    let declared = |address: &Address| match address.kind {
        Kind::Pool => input.desired.pools.keys().any(|name| name.as_str() == &*address.name),
        Kind::Tenant => input.desired.tenants.keys().any(|name| name.as_str() == &*address.name),
        Kind::Network => input.desired.networks.keys().any(|name| name.as_str() == &*address.name),
        Kind::Cluster => input.desired.clusters.keys().any(|name| name.as_str() == &*address.name),
        Kind::Host | Kind::Volume | Kind::Snapshot | Kind::Backup | Kind::Member => false,
    };
    let objects: HashSet<&Address> = (input.recorded.iter().map(|row| &row.address))
        .chain(plan.steps.iter().map(|step| &step.address))
        .chain(plan.declined.iter().map(|declined| &declined.address))
        .collect();
    let pools: HashSet<&str> = input.recorded.iter().filter_map(|row| Some(row.pool.as_ref()?.as_str())).collect();
    let recorded = |address: &Address| address.kind == Kind::Pool && pools.contains(&*address.name);
    let known = |address: &Address| {
        let host = address.host_of_volume();
        let object = |address: &Address| objects.contains(address);
        declared(address) || recorded(address) || object(address) || host.as_ref().is_some_and(object)
    };
    match targets.iter().chain(excludes).chain(replace).find(|address| !known(address)) {
        Some(address) => Err(OpsError::NotFound(format!("{address} is neither declared nor recorded").into())),
        None => Ok(()),
    }
}

/// What must be recorded for an errand: what it names, or the volume that a copy is taken of.
fn needed_by(errand: &Errand) -> Address {
    match errand {
        Errand::Copy { to } => to.volume_of_copy().unwrap_or_else(|| to.clone()),
        other => other.address().clone(),
    }
}

/// What is looked for at each provider: what is recorded, and the kinds of copies that errands are about.
pub(super) fn expected(
    open: &BTreeMap<Name, Arc<dyn Provider>>,
    recorded: &[Recorded],
    errands: &[Errand],
) -> BTreeMap<Name, Expected> {
    let is_copy = |kind: &Kind| Feature::of_copies(*kind).is_some();
    let asked: BTreeSet<Kind> = errands.iter().map(|errand| errand.address().kind).filter(is_copy).collect();
    let fresh = || Expected { copies: asked.clone(), ..Expected::default() };
    let mut out: BTreeMap<Name, Expected> = open.keys().map(|name| (name.clone(), fresh())).collect();
    for row in recorded {
        let entry = out.entry(row.provider.clone()).or_insert_with(fresh);
        entry.ids.extend(row.id.clone());
        entry.copies.extend(Some(row.address.kind).filter(is_copy));
    }
    out
}

pub(super) fn matches_provider(pattern: &str, provider: &str) -> bool {
    let head = pattern.split('/').next().unwrap_or(pattern);
    pool_inventory::names::wildcard(head, provider)
}

/// Puts a plan into its envelope.
fn seal(plan: Plan, basis: Basis, now: i64, ttl: i64) -> SavedPlan {
    let hash: Text = blake3::hash(&plan.to_bytes()).to_hex().as_str().into();
    let id: Text = pool_inventory::names::hex(&random::bits()[..4]).into();
    SavedPlan { envelope: ENVELOPE_VERSION, id, created: now, expires: now + ttl, hash, basis, plan }
}

/// The bytes of a plan file.
pub fn to_bytes(saved: &SavedPlan) -> Result<Vec<u8>, OpsError> {
    serde_json::to_vec(saved).map_err(|e| OpsError::Other(format!("failed to write the plan: {e}").into()))
}

/// Reads the bytes of a plan file; refuses other versions and changed plans.
pub fn from_bytes(bytes: &[u8]) -> Result<SavedPlan, OpsError> {
    #[derive(serde::Deserialize)]
    struct Outside<'b> {
        envelope: u32,
        #[serde(borrow)]
        plan: Option<&'b serde_json::value::RawValue>,
    }
    let unusable = |text: String| OpsError::PlanUnusable(text.into());
    let outside: Outside<'_> =
        serde_json::from_slice(bytes).map_err(|e| unusable(format!("this is no plan file of pool: {e}")))?;
    if outside.envelope != ENVELOPE_VERSION {
        return Err(unusable(format!(
            "the plan file has version {}, this pool reads version {ENVELOPE_VERSION}",
            outside.envelope
        )));
    }
    let saved: SavedPlan =
        serde_json::from_slice(bytes).map_err(|e| unusable(format!("the plan file is damaged: {e}")))?;
    if saved.plan.version != pool_planner::plan::PLAN_VERSION {
        return Err(unusable(format!(
            "the plan has version {}, this pool reads version {}",
            saved.plan.version,
            pool_planner::plan::PLAN_VERSION
        )));
    }
    let plan = outside.plan.map_or("", |plan| plan.get());
    if blake3::hash(plan.as_bytes()).to_hex().as_str() != &*saved.hash {
        return Err(unusable(format!(
            "plan {} was changed after it was made: its digest is not the one it carries",
            saved.id
        )));
    }
    Ok(saved)
}

fn read_plan_file(path: &Path) -> Result<SavedPlan, OpsError> {
    /// A plan of 100,000 hosts has about 200 MB.
    const LARGEST: u64 = 1 << 30;
    let error =
        |e: std::io::Error| OpsError::NotFound(format!("failed to read the plan file {}: {e}", path.display()).into());
    if std::fs::metadata(path).map_err(error)?.len() > LARGEST {
        return Err(OpsError::PlanUnusable(format!("{} is larger than any plan", path.display()).into()));
    }
    from_bytes(&std::fs::read(path).map_err(error)?)
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
