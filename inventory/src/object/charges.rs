//! What objects use, per account: the one definition.

use std::{collections::BTreeMap, fmt};

use super::{Recorded, Spec};
use crate::{
    market::machine_account,
    names::{Name, Text},
    units::{Bytes, Money},
};

impl Recorded {
    /// What this object uses, per account: `tenant/T/hosts`, `tenant/T/vcpus`, `tenant/T/memory`, `tenant/T/cost`
    /// (millionths per hour), `tenant/T/storage.TIER`, `provider/P/hosts`, `…/vcpus`, `…/memory`, `…/addresses`,
    /// `…/storage` (bytes of volumes), `…/volumes`, `…/snapshots`, `…/backups`, `backend/B` (bytes), `machine/P/M/vcpus`,
    /// `…/memory`, `…/disk`.
    ///
    /// Adopted hosts count for the tenant's `hosts` only, and adopted volumes for its `storage.TIER`: their providers
    /// counted them before they were taken over, and count them when they are let go.
    pub fn charges(&self) -> Vec<(Text, u64)> {
        charges(&self.spec, &self.tenant, &self.provider, self.price, self.adopted)
    }
}

/// What an object of this spec uses; see [`Recorded::charges`].
pub fn charges(spec: &Spec, tenant: &Name, provider: &Name, price: Money, adopted: bool) -> Vec<(Text, u64)> {
    let mut out = Vec::new();
    Charge { spec, tenant, provider, price, adopted }.each(|account, amount| out.push((account.name(), amount)));
    out
}

/// What all these objects use together. Sums are made before accounts get their names as text, which takes longer than
/// all the rest where there are thousands of objects and a dozen accounts.
pub fn totals<'a>(rows: impl IntoIterator<Item = &'a Recorded>) -> Vec<(Text, u64)> {
    let mut sums: BTreeMap<Account<'a>, u64> = BTreeMap::new();
    for Recorded { spec, tenant, provider, price, adopted, .. } in rows {
        Charge { spec, tenant, provider, price: *price, adopted: *adopted }.each(|account, amount| {
            let sum = sums.entry(account).or_default();
            *sum = sum.saturating_add(amount);
        });
    }
    sums.into_iter().map(|(account, sum)| (account.name(), sum)).collect()
}

/// An account, before it has its name as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Account<'a> {
    Tenant(&'static str, &'a Name),
    Tier(&'a Name, &'a Name),
    Provider(&'static str, &'a Name),
    Backend(&'a Text),
    Machine(&'static str, &'a Name, &'a Text),
}

impl Account<'_> {
    fn name(self) -> Text {
        self.to_string().into()
    }
}

impl fmt::Display for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Tenant(what, tenant) => write!(f, "tenant/{tenant}/{what}"),
            Account::Tier(tier, tenant) => write!(f, "tenant/{tenant}/storage.{tier}"),
            Account::Provider(what, provider) => write!(f, "provider/{provider}/{what}"),
            Account::Backend(backend) => write!(f, "backend/{backend}"),
            Account::Machine(what, provider, machine) => f.write_str(&machine_account(provider, machine, what)),
        }
    }
}

/// What decides what an object uses.
struct Charge<'a> {
    spec: &'a Spec,
    tenant: &'a Name,
    provider: &'a Name,
    price: Money,
    adopted: bool,
}

impl<'a> Charge<'a> {
    fn each(&self, mut add: impl FnMut(Account<'a>, u64)) {
        let Charge { spec, tenant, provider, price, adopted } = *self;
        add(Account::Tenant("cost", tenant), u64::try_from(price.0).unwrap_or(0));
        match spec {
            Spec::Host(_) if adopted => add(Account::Tenant("hosts", tenant), 1),
            Spec::Host(host) => {
                let size = [("hosts", 1), ("vcpus", u64::from(host.size.vcpus)), ("memory", host.size.memory.0)];
                size.iter().for_each(|(what, amount)| add(Account::Tenant(what, tenant), *amount));
                size.iter().for_each(|(what, amount)| add(Account::Provider(what, provider), *amount));
                if let Some(machine) = &host.machine {
                    // Who boots from a volume uses no disk of the machine.
                    let disk = if host.root.is_some() { 0 } else { host.size.disk.0 };
                    let of_machine = [size[1], size[2], ("disk", disk)];
                    of_machine
                        .iter()
                        .for_each(|(what, amount)| add(Account::Machine(what, provider, machine), *amount));
                }
                if let Some(root) = &host.root {
                    self.storage(&root.tier, &root.backend, root.size, &mut add);
                }
                if host.public.is_some() {
                    add(Account::Provider("addresses", provider), 1);
                }
            }
            Spec::Volume(volume) if adopted => add(Account::Tier(&volume.tier, tenant), volume.size.0),
            Spec::Volume(volume) => self.storage(&volume.tier, &volume.backend, volume.size, &mut add),
            Spec::Snapshot(_) => add(Account::Provider("snapshots", provider), 1),
            Spec::Backup(_) => add(Account::Provider("backups", provider), 1),
            Spec::Network(_) => {}
        }
    }

    fn storage(&self, tier: &'a Name, backend: &'a Text, size: Bytes, add: &mut impl FnMut(Account<'a>, u64)) {
        add(Account::Tier(tier, self.tenant), size.0);
        add(Account::Backend(backend), size.0);
        add(Account::Provider("storage", self.provider), size.0);
        add(Account::Provider("volumes", self.provider), 1);
    }
}
