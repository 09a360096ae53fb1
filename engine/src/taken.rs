//! Machines and volumes that were taken over carry no mark in their cloud: what only the record knows of them is filled
//! into what was seen, so that both can be compared.

use std::collections::{BTreeMap, HashMap};

use pool_inventory::{
    Address, Name, Text,
    market::Seen,
    object::{HostSpec, Recorded, Spec},
};

/// Fills in what no list can tell.
pub(crate) fn fill(seen: &mut Seen, recorded: &[Recorded]) {
    let mut rows: BTreeMap<&Name, HashMap<&Text, &Recorded>> = BTreeMap::new();
    for row in recorded.iter().filter(|row| row.adopted) {
        if let Some(id) = &row.id {
            rows.entry(&row.provider).or_default().insert(id, row);
        }
    }
    for (provider, rows) in rows {
        for object in seen.providers.get_mut(provider).into_iter().flatten() {
            if let Spec::Volume(volume) = &mut object.spec
                && let Some(at) = &mut volume.attached
                && let Some(host) = known(&rows, &at.host)
            {
                at.host = host.clone();
            }
            let Some(row) = rows.get(&object.id).filter(|row| row.spec.kind() == object.spec.kind()) else { continue };
            match (&mut object.spec, &row.spec) {
                (Spec::Host(seen), Spec::Host(was)) => *seen = host(seen, was),
                (Spec::Volume(seen), Spec::Volume(was)) => seen.existing.clone_from(&was.existing),
                _ => {}
            }
        }
    }
}

/// The address of a machine that its cloud calls by its id.
fn known<'r>(rows: &HashMap<&Text, &'r Recorded>, at: &Address) -> Option<&'r Address> {
    let row = rows.get(&at.name)?;
    row.spec.host().map(|_| &row.address)
}

fn host(seen: &HostSpec, was: &HostSpec) -> HostSpec {
    HostSpec {
        existing: was.existing.clone(),
        network: was.network.clone(),
        user: was.user.clone(),
        authorized_keys: was.authorized_keys.clone(),
        at: was.at.clone(),
        console_keys: was.console_keys,
        address: was.address,
        apart: was.apart,
        ..seen.clone()
    }
}
