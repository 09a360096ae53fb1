//! Making a plan, in named passes over one [`Planner`].
//!
//! | module | pass |
//! |---|---|
//! | `moves`, `world` | rename, join records with what was seen |
//! | `roster` | which hosts each pool shall have |
//! | `classes`, `relief` | whose turn it is first; who gives way to whom, found out in one attempt and done in the next |
//! | `networks`, `judge` | what is to be done about each network and host |
//! | `guard`, `scope` | what of it is out of scope, protected, or beyond a brake |
//! | `copies` | snapshots and backups: kept, forgotten, or destroyed with everything |
//! | `removal` | deletions first, so that others can use the room |
//! | `hosts`, `volumes`, `retype`, `fresh` | changes, then replacements, then new hosts, each with its volumes |
//! | `optimize`, `packing` | only with `--optimize`: hosts go where they cost less, and leave machines that stand empty then |
//! | `errands` | in place of all these: what a user asks for by name |
//! | `boot` | bootstraps, once it is known which hosts stand |
//! | `members` | clusters: who joins, leaves, is upgraded, and in which order |
//! | `finish` | order, groups, serials, demand, cost |
//! | `undo` | what would be taken back if a step failed, where that was asked for |
//!
//! Where room is scarce, `rehearse` looks at all new hosts together, which is a `puzzle`, with `ties` between pools; a small
//! one is searched to the end (`exhaust`).
//! `alternatives` says where hosts go when a place turns out to be sold out.
//! `near` says which places hosts of other pools close.
//! `asks`, `family`, `seats`, `seating`, `machines`, `tiers` place, `standing` keeps places, `groups` explain them; `ledger` keeps accounts; `ladder` compares.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    rc::Rc,
};

use pool_inventory::{
    Address, Kind, Name, Text,
    market::Change,
    object::{Endpoint, Recorded, Spec},
};

mod adopt;
mod alternatives;
pub(crate) mod asks;
mod boot;
mod classes;
mod copies;
pub(crate) mod draft;
mod errands;
mod exhaust;
pub(crate) mod family;
mod finish;
mod fresh;
pub(crate) mod groups;
mod guard;
mod hosts;
mod judge;
mod ladder;
pub(crate) mod ledger;
pub(crate) mod machines;
mod members;
mod moves;
mod near;
mod networks;
mod optimize;
mod order;
mod packing;
mod puzzle;
mod record;
mod rehearse;
mod relief;
mod removal;
mod retype;
pub(crate) mod roster;
mod scope;
mod seating;
mod seats;
mod standing;
mod stuck;
pub(crate) mod tiers;
mod ties;
mod undo;
mod volumes;
mod words;
pub(crate) mod world;

use self::{
    draft::{DraftId, Drafts},
    groups::{GroupDraft, Places},
    ledger::Ledger,
    machines::Machines,
    networks::NetworkState,
    relief::{Found, Victims, Yields},
    roster::Pool,
    scope::Reach,
    seats::{Space, Stock},
    standing::{Kept, Standing},
    stuck::Stays,
    tiers::Tiers,
    world::World,
};
use crate::{
    error::PlanError,
    input::PlanInput,
    plan::{Declined, Plan, Proposal, Reason, Why},
};

/// What will be done about a host.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Nothing needs to be done.
    Keep,
    /// Something would have to be done, or may have to, and is not; `declined` says why.
    Nothing,
    /// It is made, or its making goes on.
    Make(Reason),
    /// It is changed where it stands, or gets a new system.
    Change { how: Change, to: Box<Spec>, reason: Reason },
    /// It stays, or another takes its place where that costs less: what is left is looked at last.
    Improve,
    /// Another takes its place; no reason: because of its place, in words.
    Replace(Reason),
    /// It goes.
    Remove(Reason),
    /// Only its record goes.
    Forget(Reason),
}

/// What becomes of a host; filled in pass by pass.
#[derive(Debug)]
pub(crate) struct HostState {
    pub fate: Fate,
    /// It may be moved where that saves something.
    pub movable: bool,
    /// It is off and must be on.
    pub power_on: bool,
    /// How its record changes before anything else is done.
    pub edit: Option<(Box<Recorded>, Reason)>,
    /// Whether it will stand when the plan is done.
    pub present: bool,
    /// Where it will stand.
    pub provider: Option<Name>,
    /// Zone that its volumes are made in.
    pub zone: Text,
    /// Generation that will stand.
    pub generation: u32,
    /// Where it answers; none: known only after apply.
    pub endpoint: Option<Endpoint>,
    /// It will be another machine: volumes must be attached anew.
    pub remade: bool,
    /// It gets a new system: bootstrap must run, whatever was recorded.
    pub renewed: bool,
    /// Steps after which it can be used.
    pub up: Vec<DraftId>,
    /// Step after which the old one is gone.
    pub down: Option<DraftId>,
    /// Space that was set aside for its new volumes.
    pub space: Vec<Space>,
    /// Steps that give the room for it and for its new volumes.
    pub room: Vec<DraftId>,
    /// Whether it may yet be made in another zone, so that its new volumes wait for it.
    pub moves: bool,
    /// Steps that put a mounted volume on it, with the volume.
    pub mounts: Vec<(DraftId, Address)>,
}

impl HostState {
    pub(crate) fn new(fate: Fate) -> Self {
        Self {
            fate,
            movable: false,
            power_on: false,
            edit: None,
            present: false,
            provider: None,
            zone: "".into(),
            generation: 0,
            endpoint: None,
            remade: false,
            renewed: false,
            up: Vec::new(),
            down: None,
            space: Vec::new(),
            room: Vec::new(),
            moves: false,
            mounts: Vec::new(),
        }
    }
}

/// Index of a host: pool, then member.
pub(crate) type HostId = (usize, usize);

/// Everything that the passes share.
pub(crate) struct Planner<'a> {
    pub input: &'a PlanInput,
    pub world: World<'a>,
    pub pools: Vec<Pool<'a>>,
    pub states: Vec<Vec<HostState>>,
    pub networks: BTreeMap<Name, NetworkState>,
    /// Generations of each volume, by the name of the host that it belongs to.
    pub volumes: BTreeMap<Text, Vec<Range<usize>>>,
    /// Volumes that hosts lose although they stay: whoever replaces such a host waits for it.
    pub detached: BTreeMap<Address, Vec<DraftId>>,
    /// Rows whose record is brought up to date already.
    pub entered: BTreeSet<usize>,
    pub reach: Reach,
    pub ledger: Ledger,
    pub stock: Stock,
    pub tiers: Tiers<'a>,
    pub machines: Machines<'a>,
    /// Places per pool, once they are looked for.
    pub places: BTreeMap<usize, Places<'a>>,
    /// Places per wish, shared by pools with the same wish.
    pub families: BTreeMap<Vec<u8>, Rc<family::Family<'a>>>,
    /// Where hosts of each pool stand, once somebody asks.
    pub census: Option<near::Census>,
    pub kept: Vec<BTreeMap<Standing, Rc<Kept>>>,
    pub groups: Vec<GroupDraft<'a>>,
    pub drafts: Drafts,
    pub declined: Vec<Declined>,
    /// What `--optimize` found.
    pub proposal: Option<Proposal>,
    /// Volumes that get their first content from one that is to be made: they wait for it.
    pub copied: Vec<copies::Copied<'a>>,
    /// Snapshots that stay, by the volume that they keep from going.
    pub snapshots: BTreeMap<Address, Vec<Address>>,
    /// Networks that cannot be replaced because one of their hosts cannot, and why that one cannot.
    pub pinned: &'a BTreeMap<Name, Why>,
    /// Hosts that cannot be replaced, as earlier attempts found out; and what this one found, by pool.
    pub stays: &'a Stays,
    pub stuck: BTreeMap<usize, Stays>,
    /// Whether classes or ranges of hosts decide anything.
    pub ranked: bool,
    /// Who gives way, as earlier attempts found out; and what this one found.
    pub yields: &'a Yields,
    pub found: Found,
    /// Who may give way, once it is looked for.
    pub victims: Option<Victims>,
    /// Pools whose hosts nobody can make way for.
    pub hopeless: BTreeSet<usize>,
    /// Pools that get less than they want, and why.
    pub shorts: BTreeMap<usize, classes::Short>,
    /// The bootstraps of this plan.
    pub booted: BTreeMap<HostId, DraftId>,
    /// The last step about membership of each host's row: one row is written by one step at a time.
    pub touched: BTreeMap<(Address, u32), DraftId>,
    /// Control planes that must stay what they are in this plan.
    pub held_members: BTreeSet<HostId>,
    /// Steps that end hosts, by host and generation, once somebody asks.
    pub ends: BTreeMap<(Address, u32), Vec<DraftId>>,
}

/// What one attempt at a plan came to.
enum Attempt {
    Done(Box<Plan>),
    /// This network cannot be replaced; try again without.
    Pin(Name, Why),
    /// These hosts give way, or need not; try again so.
    Yield(Found),
    /// These hosts cannot be replaced; try again without.
    Stay(Stays),
}

/// Makes a plan: what must be done so that what there is becomes what is declared, in which order, and why.
///
/// A pure function: equal input gives a plan with equal bytes.
///
/// # Errors
///
/// When the input contradicts itself or declares what cannot be carried out. What merely cannot be done now, such as a
/// host for which there is no place, is in [`Plan::declined`], and the rest is planned.
pub fn plan(input: &PlanInput) -> Result<Plan, PlanError> {
    let mut pinned = BTreeMap::new();
    let (mut yields, mut stays) = (Yields::default(), Stays::new());
    loop {
        // Each turn pins one network more, lets one host more stay, or is one of a few about giving way.
        match attempt(input, &pinned, &yields, &stays)? {
            Attempt::Done(plan) => return Ok(*plan),
            Attempt::Pin(network, why) => drop(pinned.insert(network, why)),
            Attempt::Yield(found) => yields.learn(found),
            Attempt::Stay(more) => stays.extend(more),
        }
    }
}

fn attempt(
    input: &PlanInput,
    pinned: &BTreeMap<Name, Why>,
    yields: &Yields,
    stays: &Stays,
) -> Result<Attempt, PlanError> {
    let mut planner = Planner::new(input, pinned, yields, stays)?;
    if input.scope.refresh_only {
        planner.refresh();
        return planner.finish().map(|plan| Attempt::Done(Box::new(plan)));
    }
    if !input.scope.errands.is_empty() {
        planner.errands();
        return planner.finish().map(|plan| Attempt::Done(Box::new(plan)));
    }
    planner.judge_networks()?;
    planner.judge_hosts()?;
    planner.let_stay();
    planner.guard();
    planner.guard_members();
    planner.over_quota();
    if !planner.found.is_empty() {
        return Ok(Attempt::Yield(planner.found));
    }
    planner.find_gains()?;
    planner.make_networks();
    planner.copies();
    planner.remove();
    planner.emit_hosts()?;
    planner.spare();
    if !planner.found.is_empty() {
        return Ok(Attempt::Yield(planner.found));
    }
    let stuck = planner.counted_wrongly();
    if !stuck.is_empty() {
        return Ok(Attempt::Stay(stuck));
    }
    planner.tell_short();
    planner.improve()?;
    planner.consolidate();
    planner.copied_volumes();
    if let Some((network, why)) = planner.stuck_network() {
        return Ok(Attempt::Pin(network, why));
    }
    planner.remove_networks();
    planner.enter_rest();
    planner.bootstraps()?;
    planner.members();
    planner.finish().map(|plan| Attempt::Done(Box::new(plan)))
}

impl<'a> Planner<'a> {
    fn new(
        input: &'a PlanInput,
        pinned: &'a BTreeMap<Name, Why>,
        yields: &'a Yields,
        stays: &'a Stays,
    ) -> Result<Self, PlanError> {
        let (world, declined) = World::new(input)?;
        let mut pools = roster::roster(input, &world);
        for host in pools.iter_mut().flat_map(|pool| &mut pool.hosts) {
            host.wished &= !yields.giving.contains_key(&host.address);
        }
        let reach = Reach::new(input, &world, &pools);
        // What the state lost and this plan may not find again is of others, as far as accounts go.
        let counts = |row: &&world::Row<'_>| row.was.is_some() || reach.covers(&row.now.address);
        let ledger = Ledger::new(input, world.rows.iter().filter(counts).map(|row| &*row.now));
        let mut volumes: BTreeMap<Text, Vec<Range<usize>>> = BTreeMap::new();
        let mut at = 0;
        while let Some(row) = world.rows.get(at) {
            let address = &row.now.address;
            let same = world.rows[at..].iter().take_while(|next| next.now.address == *address).count();
            if let (Kind::Volume, Some((host, _))) = (address.kind, address.name.split_once('.')) {
                volumes.entry(host.into()).or_default().push(at..at + same);
            }
            at += same;
        }
        let kept = pools.iter().map(|_| BTreeMap::new()).collect();
        Ok(Self {
            stock: Stock::new(input),
            tiers: Tiers::default(),
            machines: Machines::new(input, &world, &ledger),
            places: BTreeMap::new(),
            families: BTreeMap::new(),
            census: None,
            groups: Vec::new(),
            drafts: Drafts::default(),
            networks: BTreeMap::new(),
            detached: BTreeMap::new(),
            entered: BTreeSet::new(),
            states: Vec::new(),
            input,
            world,
            pools,
            volumes,
            reach,
            ledger,
            kept,
            declined,
            proposal: None,
            copied: Vec::new(),
            snapshots: BTreeMap::new(),
            pinned,
            stays,
            stuck: BTreeMap::new(),
            ranked: classes::ranked(input),
            yields,
            found: Found::default(),
            victims: None,
            hopeless: BTreeSet::new(),
            shorts: BTreeMap::new(),
            booted: BTreeMap::new(),
            touched: BTreeMap::new(),
            held_members: BTreeSet::new(),
            ends: BTreeMap::new(),
        })
    }

    pub(crate) fn decline(&mut self, address: &Address, why: Why) {
        self.declined.push(Declined { address: address.clone(), why });
    }

    /// All hosts, pool by pool.
    pub(crate) fn host_ids(&self) -> Vec<HostId> {
        let of = |(pool, p): (usize, &Pool<'_>)| (0..p.hosts.len()).map(move |host| (pool, host)).collect::<Vec<_>>();
        self.pools.iter().enumerate().flat_map(of).collect()
    }
}
