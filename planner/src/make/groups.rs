//! Places of a pool, and the groups that tell why its hosts are where they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use pool_inventory::{
    Address, Name, Text,
    desired::{PoolSpec, PoolVolume},
    object::Spec,
};

use super::{
    Fate, HostId, Planner,
    alternatives::Seekers,
    asks::asked,
    family::{Builder, Family, Spot, domain_key},
    ledger::{Charges, Ledger, amount_in},
    near::Others,
    seats::{Fresh, Rules, Session, Space},
    tiers::Tiers,
};
use crate::{
    error::PlanError,
    input::PlanInput,
    plan::{Candidate, Group, GroupId, MAX_CANDIDATES, Refusal},
};

/// Provider and zone of volumes that a host must follow.
pub(crate) type Pin = (Name, Text);

/// Region and zone, for pools whose hosts cannot leave their zone.
pub(crate) type Corner = Option<(Text, Text)>;

/// The places of one pool.
pub(crate) struct Places<'a> {
    pub family: Rc<Family<'a>>,
    pub session: Session,
    /// What hosts of other pools mean for it.
    pub others: Others,
    groups: BTreeMap<(Name, Corner), GroupId>,
    failed: BTreeMap<Option<Pin>, GroupId>,
}

impl Places<'_> {
    /// Whether a host got one of them.
    pub(crate) fn are_taken(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Whether a provider has, or was refused as, one of these places.
    pub(crate) fn has(&self, provider: Option<&Name>) -> bool {
        let spots = self.family.spots.iter().map(|spot| spot.provider);
        provider.is_some_and(|provider| spots.into_iter().any(|p| p == provider))
    }
}

/// A group while it is filled.
pub(crate) struct GroupDraft<'a> {
    pool: usize,
    family: Option<Rc<Family<'a>>>,
    /// Where its hosts are; none: nowhere.
    at: Option<(Name, Corner)>,
    hosts: Vec<Text>,
    /// Spot → hosts there.
    taken: BTreeMap<usize, u32>,
    /// What each of its hosts takes at least, with its new volumes.
    least: Option<Charges>,
    pub refusals: Vec<Refusal>,
}

impl<'a> Planner<'a> {
    /// All places for hosts of a pool.
    pub(crate) fn family(&mut self, pool: usize) -> Result<Rc<Family<'a>>, PlanError> {
        let (Some(name), Some(spec)) = (self.pools[pool].name.clone(), self.pools[pool].decl) else {
            return Ok(Rc::new(Family { spots: Vec::new(), refusals: Vec::new(), domains: BTreeMap::new() }));
        };
        let tiers: Vec<_> = spec.volumes.values().map(|volume| (&volume.tier, volume.size)).collect();
        let (needed, special) = (asked(spec), (&spec.public, &spec.root, &spec.needs));
        let wish =
            (&spec.tenant, &spec.size, &spec.image, &spec.network, &spec.place, needed, tiers, &spec.ssh, special);
        let key = serde_json::to_vec(&wish).expect("a wish has only string keys and finite numbers");
        if let Some(known) = self.families.get(&key) {
            return Ok(Rc::clone(known));
        }
        let builder = Builder { input: self.input, ledger: &self.ledger, tiers: &mut self.tiers, pool: &name, spec };
        let family = Rc::new(builder.build()?);
        self.families.insert(key, Rc::clone(&family));
        Ok(family)
    }

    /// Gets ready to place hosts of a pool; hosts that stay count for spreading.
    pub(crate) fn open_places(&mut self, pool: usize) -> Result<(), PlanError> {
        if self.places.contains_key(&pool) {
            return Ok(());
        }
        let family = self.family(pool)?;
        let spread = self.pools[pool].decl.and_then(|decl| decl.place.spread);
        let mut present = Vec::new();
        for (host, state) in self.states[pool].iter().enumerate() {
            if !state.present || state.remade || matches!(state.fate, Fate::Replace(_)) {
                continue;
            }
            let Some(row) = self.newest(pool, host) else { continue };
            let now = &self.world.rows[row].now;
            if let Spec::Host(spec) = &now.spec {
                let key = domain_key(spread, &now.provider, &spec.region, &spec.zone);
                present.extend(family.domains.get(&key));
            }
        }
        let rules = self.pools[pool].decl.map(|decl| Rules::of(&decl.place)).unwrap_or_default();
        let session = Session::new(&family, rules, present.into_iter());
        let others = self.others(pool);
        let places = Places { family, session, others, groups: BTreeMap::new(), failed: BTreeMap::new() };
        self.places.insert(pool, places);
        Ok(())
    }

    /// Whether a host may be made in another zone than the planned one, should that be sold out. Not where its place is a
    /// matter of where others stand, and not with volumes that are there already, or begin as copies of what is.
    pub(crate) fn may_move(&self, (pool, host): HostId, spot: usize) -> bool {
        let (Some(decl), Some(places)) = (self.pools[pool].decl, self.places.get(&pool)) else { return false };
        let place = &decl.place;
        let ruled = place.max_skew.is_some() || !place.affinity.is_empty() || !place.anti_affinity.is_empty();
        let name = &self.pools[pool].hosts[host].address.name;
        let fresh = |(volume, decl): (&Name, &PoolVolume)| {
            decl.from.is_none() && self.world.of(&Address::volume(name, volume)).next_back().is_none()
        };
        let zone = |spot: &Spot<'a>| (spot.provider, &spot.offering.region, &spot.offering.zone);
        let here = zone(&places.family.spots[spot]);
        !ruled
            && !places.others.bind()
            && decl.volumes.iter().all(fresh)
            && (decl.volumes.is_empty() || places.family.spots.iter().any(|spot| zone(spot) != here))
    }

    /// Notes that a host got a place, and what it takes there.
    pub(crate) fn group_of(&mut self, id: HostId, spot: usize, charges: &Charges) -> GroupId {
        let (pool, host) = id;
        let name = self.pools[pool].hosts[host].address.name.clone();
        let moves = self.may_move(id, spot);
        let family = Rc::clone(&self.places[&pool].family);
        let place = &family.spots[spot];
        let corner = (!moves).then(|| (place.offering.region.clone(), place.offering.zone.clone()));
        let key = (place.provider.clone(), corner);
        let next = GroupId(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        let known = self.places.get(&pool).and_then(|places| places.groups.get(&key)).copied();
        let id = known.unwrap_or(next);
        if known.is_none() {
            let at = Some(key.clone());
            let family = Some(Rc::clone(&family));
            let (hosts, taken, refusals) = (Vec::new(), BTreeMap::new(), Vec::new());
            self.groups.push(GroupDraft { pool, family, at, hosts, taken, least: None, refusals });
            if let Some(places) = self.places.get_mut(&pool) {
                places.groups.insert(key, id);
            }
        }
        let group = &mut self.groups[id.0 as usize];
        group.hosts.push(name);
        *group.taken.entry(spot).or_default() += 1;
        group.least = Some(group.least.as_ref().map_or_else(|| charges.clone(), |least| lesser(least, charges)));
        id
    }

    /// Notes that a host got none, and why each place was refused.
    pub(crate) fn failed_group(&mut self, (pool, host): HostId, pin: Option<Pin>, why: Vec<Refusal>) -> GroupId {
        let name = self.pools[pool].hosts[host].address.name.clone();
        let known = self.places.get(&pool).and_then(|places| places.failed.get(&pin)).copied();
        if let Some(id) = known {
            self.groups[id.0 as usize].hosts.push(name);
            return id;
        }
        let id = GroupId(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        let mut refusals = Vec::new();
        if let Some(places) = self.places.get_mut(&pool) {
            refusals.extend(places.family.refusals.iter().cloned());
            places.failed.insert(pin, id);
        }
        refusals.extend(why);
        let (hosts, taken) = (vec![name], BTreeMap::new());
        self.groups.push(GroupDraft { pool, family: None, at: None, hosts, taken, least: None, refusals });
        id
    }

    /// A backend for one new volume, and what it charges together with `before`.
    pub(crate) fn backend_for(
        &mut self,
        provider: &Name,
        zone: &Text,
        tenant: &Name,
        fresh: &Fresh<'a>,
        before: &super::ledger::Charges,
        own: &super::ledger::Charges,
    ) -> Result<(Space, super::ledger::Charges), Text> {
        super::seats::backend((provider, zone), (tenant, fresh, None), (before, own), &mut self.room())
    }

    /// The groups as the plan shows them.
    pub(crate) fn finish_groups(&mut self) -> Vec<Group> {
        let drafts = std::mem::take(&mut self.groups);
        let mut told = BTreeSet::new();
        let mut ats: BTreeMap<usize, Vec<(Name, Corner)>> = BTreeMap::new();
        for draft in &drafts {
            ats.entry(draft.pool).or_default().extend(draft.at.clone());
        }
        let mut out = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let Some(name) = self.pools[draft.pool].name.clone() else { continue };
            let mut group = Group {
                pool: name,
                candidates: Vec::new(),
                refusals: draft.refusals,
                alternatives: Vec::new(),
                hosts: draft.hosts,
            };
            if let (Some(family), Some(at)) = (draft.family, draft.at) {
                let mut others: &[(Name, Corner)] = &[];
                let first = told.insert(draft.pool);
                if first {
                    others = &ats[&draft.pool];
                    group.refusals.extend(family.refusals.iter().cloned());
                    group.refusals.extend(self.places[&draft.pool].session.refusals());
                }
                // The first group also shows the places that no group stands for.
                let shown = |spot: &super::family::Spot<'_>| {
                    inside(&at, spot) || first && !others.iter().any(|other| inside(other, spot))
                };
                group.candidates = candidates(&family, &draft.taken, MAX_CANDIDATES, shown);
                let least = draft.least.unwrap_or_default();
                let seekers = Seekers { pool: draft.pool, at: &at, taken: &draft.taken, least };
                group.alternatives = self.alternatives(&family, seekers);
            }
            out.push(group);
        }
        out
    }
}

fn inside(at: &(Name, Corner), spot: &super::family::Spot<'_>) -> bool {
    let corner = at.1.as_ref();
    *spot.provider == at.0
        && corner.is_none_or(|(region, zone)| spot.offering.region == *region && spot.offering.zone == *zone)
}

/// What both take, per account.
pub(crate) fn lesser(a: &Charges, b: &Charges) -> Charges {
    let both = a.iter().map(|(id, amount)| (*id, (*amount).min(amount_in(b, *id))));
    both.filter(|(_, amount)| *amount > 0).collect()
}

/// The best places of a group, and those that were taken.
fn candidates<'a>(
    family: &Family<'a>,
    taken: &BTreeMap<usize, u32>,
    most: usize,
    shown: impl Fn(&super::family::Spot<'a>) -> bool,
) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    let mut others = most.saturating_sub(taken.len());
    for (index, spot) in family.spots.iter().enumerate().filter(|(_, spot)| shown(spot)) {
        let hosts = taken.get(&index).copied().unwrap_or(0);
        if hosts == 0 {
            match others.checked_sub(1) {
                Some(rest) => others = rest,
                None => continue,
            }
        }
        out.push(Candidate {
            provider: spot.provider.clone(),
            region: spot.offering.region.clone(),
            zone: spot.offering.zone.clone(),
            offering: spot.offering.name.clone(),
            price: spot.price,
            rank: spot.rank,
            taken: hosts,
        });
    }
    out
}

/// The places that hosts of a pool could have now, best first, at most [`MAX_CANDIDATES`], and why others are refused;
/// room that others use up is not looked at.
pub(crate) fn open_to(
    input: &PlanInput,
    pool: &Name,
    spec: &PoolSpec,
) -> Result<(Vec<Candidate>, Vec<Refusal>), PlanError> {
    let (mut all, refusals) = family_of(input, pool, spec)?;
    all.truncate(MAX_CANDIDATES);
    Ok((all, refusals))
}

/// The same, with all places.
pub(crate) fn family_of(
    input: &PlanInput,
    pool: &Name,
    spec: &PoolSpec,
) -> Result<(Vec<Candidate>, Vec<Refusal>), PlanError> {
    let (ledger, mut tiers) = (Ledger::default(), Tiers::default());
    let family = Builder { input, ledger: &ledger, tiers: &mut tiers, pool, spec }.build()?;
    let all = candidates(&family, &BTreeMap::new(), usize::MAX, |_| true);
    Ok((all, family.refusals))
}
