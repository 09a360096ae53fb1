//! What must come before what, and that nothing is done twice or to what is not there.

use std::collections::BTreeMap;

use pool_inventory::{Address, Kind, object::Spec};

use super::{
    Notes, Rule,
    facts::{Facts, makes, removes},
};
use crate::plan::{Action, Step};

pub(super) fn check(facts: &Facts<'_>, notes: &mut Notes) {
    once(facts, notes);
    for step in &facts.plan.steps {
        present(facts, step, notes);
        match &step.action {
            Action::Create { spec, .. } | Action::Adopt { spec, .. } => made(facts, step, spec, notes),
            Action::Attach { to } => attached(facts, step, to, notes),
            _ => {}
        }
    }
    emptied(facts, notes);
}

/// One creation per address, one removal per generation, a record's own steps one after the other.
fn once(facts: &Facts<'_>, notes: &mut Notes) {
    let mut makers: BTreeMap<&Address, usize> = BTreeMap::new();
    for ((address, _), steps) in &facts.steps {
        *makers.entry(address).or_default() += steps.iter().filter(|step| makes(&step.action)).count();
        let count = |is: &dyn Fn(&Action) -> bool| steps.iter().filter(|step| is(&step.action)).count();
        let kinds: [&dyn Fn(&Action) -> bool; 8] = [
            &removes,
            &|a| matches!(a, Action::Record { .. }),
            &|a| matches!(a, Action::Attach { .. }),
            &|a| matches!(a, Action::Detach { .. }),
            &|a| matches!(a, Action::Bootstrap { .. }),
            &|a| matches!(a, Action::Update { .. } | Action::Rebuild { .. }),
            &|a| matches!(a, Action::PowerOn | Action::PowerOff | Action::Restart),
            &|a| matches!(a, Action::Restore { .. }),
        ];
        if kinds.iter().any(|kind| count(kind) > 1) {
            notes.add(Rule::Once, steps.first().map(|step| step.id), Some(address), "the same is done to it twice");
        }
        // Nothing is done to an object after it is gone, nor before its record is in order.
        for pair in steps.windows(2) {
            let apart = matches!(pair[1].action, Action::Bootstrap { .. } | Action::Record { .. });
            if removes(&pair[0].action) && !makes(&pair[1].action) {
                notes.add(Rule::Order, Some(pair[1].id), Some(address), "it is gone by then");
            } else if !apart && !facts.waits(pair[1].id, pair[0].id) {
                let detail = format!("it does not wait for step {} on the same object", pair[0].id.0);
                notes.add(Rule::Order, Some(pair[1].id), Some(address), detail);
            }
        }
    }
    for (address, count) in makers.into_iter().filter(|(_, count)| *count > 1) {
        notes.add(Rule::Once, None, Some(address), format!("it is made {count} times"));
    }
}

/// What a step acts on is recorded, or made by an earlier step that it waits for.
fn present(facts: &Facts<'_>, step: &Step, notes: &mut Notes) {
    if makes(&step.action) || matches!(step.action, Action::Gather | Action::Member { .. }) {
        return;
    }
    let key = (&step.address, step.generation);
    let renews = matches!(step.action, Action::Record { .. }) && facts.rows.contains_key(&key);
    let maker = facts.on(&step.address, step.generation).iter().find(|other| makes(&other.action) && !renews);
    match (facts.rows.get(&key), maker) {
        (_, Some(maker)) if step.id > maker.id && facts.waits(step.id, maker.id) => {}
        (Some(row), None) => {
            let removal = removes(&step.action) || matches!(step.action, Action::Record { .. });
            if row.id.is_none() && !removal {
                notes.add(Rule::Once, Some(step.id), Some(&step.address), "its creation never ended");
            }
            let ends = matches!(step.action, Action::Delete) && facts.leaving(row);
            if facts.gone(row) && !ends && !matches!(step.action, Action::Forget | Action::Record { .. }) {
                notes.add(Rule::Once, Some(step.id), Some(&step.address), "it is gone from its provider");
            }
            if (!facts.gone(row) || facts.leaving(row)) && matches!(step.action, Action::Forget) {
                notes.add(Rule::Once, Some(step.id), Some(&step.address), "it is forgotten and may be there");
            }
            if row.provider != step.provider {
                notes.add(Rule::Reach, Some(step.id), Some(&step.address), "it is at another provider");
            }
            if row.adopted != matches!(step.action, Action::Release)
                && matches!(step.action, Action::Delete | Action::Release)
            {
                notes.add(
                    Rule::Reach,
                    Some(step.id),
                    Some(&step.address),
                    "adopted hosts are released, others deleted",
                );
            }
        }
        (None, None) => notes.add(Rule::Once, Some(step.id), Some(&step.address), "it is not recorded"),
        (_, Some(_)) => notes.add(Rule::Order, Some(step.id), Some(&step.address), "it does not wait for its creation"),
    }
    let (Action::Update { from, .. } | Action::Rebuild { from, .. }) = &step.action else { return };
    let before = facts.on(&step.address, step.generation).iter().rev().filter(|other| other.id < step.id);
    let edited = before.into_iter().find_map(|other| match &other.action {
        Action::Record { to } => Some(&to.spec),
        Action::Detach { to } => Some(to),
        _ => None,
    });
    let recorded = edited.or_else(|| facts.rows.get(&key).map(|row| &row.spec));
    if recorded.is_some_and(|recorded| recorded != from) {
        notes.add(Rule::Once, Some(step.id), Some(&step.address), "it starts from a spec that was not applied");
    }
}

/// A creation comes after all older generations are gone and after the network that it stands in.
fn made(facts: &Facts<'_>, step: &Step, spec: &Spec, notes: &mut Notes) {
    for (generation, row) in facts.generations(&step.address) {
        if generation == step.generation && row.id.is_none() {
            continue; // its creation goes on
        }
        if generation >= step.generation {
            notes.add(Rule::Once, Some(step.id), Some(&step.address), "its generation is recorded already");
        }
        match facts.remover(&step.address, generation) {
            Some(remover) if facts.waits(step.id, remover.id) => {}
            Some(_) => {
                notes.add(
                    Rule::Order,
                    Some(step.id),
                    Some(&step.address),
                    "it does not wait until its predecessor is gone",
                );
            }
            None => notes.add(Rule::Once, Some(step.id), Some(&step.address), "its predecessor stays"),
        }
    }
    if step.generation == 0 {
        notes.add(Rule::Once, Some(step.id), Some(&step.address), "generations begin with 1");
    }
    if let Spec::Volume(volume) = spec
        && volume.attached.is_some()
        && !matches!(step.action, Action::Adopt { .. })
    {
        notes.add(Rule::Order, Some(step.id), Some(&step.address), "volumes are made detached");
    }
    let Some(network) = spec.host().and_then(|host| host.network.as_ref()) else { return };
    let network = Address::network(network);
    let mut wrong =
        |what: &str| notes.add(Rule::Order, Some(step.id), Some(&step.address), format!("{what} {network}"));
    match facts.maker(&network) {
        Some(maker) if !facts.waits(step.id, maker.id) => wrong("it does not wait for"),
        Some(_) => {}
        // An older generation may go: what the state lost and was found again takes its place.
        None => match facts.newest(&network) {
            Some((newest, _)) if facts.remover(&network, newest).is_some() => wrong("it does not outlive"),
            Some((newest, _)) => match facts.entered.get(&(&network, newest)) {
                Some(entered) if !facts.waits(step.id, *entered) => wrong("it does not wait for"),
                _ => {}
            },
            None => wrong("nothing makes"),
        },
    }
}

/// A volume is attached to a host that stands then, and is attached nowhere else.
fn attached(facts: &Facts<'_>, step: &Step, to: &Spec, notes: &mut Notes) {
    let mut wrong = |detail: String| notes.add(Rule::Order, Some(step.id), Some(&step.address), detail);
    let Some(at) = to.volume().and_then(|volume| volume.attached.as_ref()) else {
        return wrong("it is attached to nothing".into());
    };
    let recorded = facts.newest(&at.host).map(|(_, row)| row);
    let maker = facts.maker(&at.host);
    match (maker, recorded) {
        (Some(maker), _) if facts.waits(step.id, maker.id) => {}
        (Some(_), _) => wrong(format!("it does not wait until {} is made", at.host)),
        (None, None) => wrong(format!("{} is not there", at.host)),
        (None, Some(row)) => {
            let newest = row.generation;
            let goes = facts.remover(&at.host, newest).is_some();
            if goes || row.id.is_none() || facts.gone(row) {
                wrong(format!("{} will not be there", at.host));
            }
        }
    }
    let Some(row) = facts.rows.get(&(&step.address, step.generation)) else { return };
    let now = facts.observed(row).map_or(&row.spec, |seen| &seen.spec);
    let elsewhere = now.volume().and_then(|volume| volume.attached.as_ref()).is_some_and(|now| now.mount != at.mount);
    let replaced = maker.is_some() && now.volume().is_some_and(|volume| volume.attached.is_some());
    let detached = facts.on(&step.address, step.generation).iter().any(|s| matches!(s.action, Action::Detach { .. }));
    if (elsewhere || replaced) && !detached {
        wrong("it is attached elsewhere, and not detached before".into());
    }
}

/// A host goes after its volumes are detached, a network after its hosts are gone, a volume after its snapshots are.
fn emptied(facts: &Facts<'_>, notes: &mut Notes) {
    for ((address, generation), row) in &facts.rows {
        let attached_to = || {
            let now = facts.observed(row).map_or(&row.spec, |seen| &seen.spec);
            let seen = now.volume()?.attached.as_ref()?;
            // The cloud may know the host by an older name; the record knows it by the one that it has.
            let own = row.spec.volume().and_then(|volume| volume.attached.as_ref());
            Some(own.map_or(&seen.host, |own| &own.host))
        };
        let (holder, release) = match address.kind {
            Kind::Snapshot => match address.volume_of_copy() {
                Some(volume) if !facts.gone(row) => (volume, "gone"),
                _ => continue,
            },
            Kind::Volume => match attached_to() {
                Some(host) if !facts.gone(row) => (host.clone(), "detached"),
                _ => continue,
            },
            Kind::Host => match row.spec.host().and_then(|host| host.network.as_ref()) {
                Some(network) => (Address::network(network), "gone"),
                None => continue,
            },
            _ => continue,
        };
        let held = facts.steps.range((&holder, 0)..=(&holder, u32::MAX)).flat_map(|(_, steps)| steps.iter());
        // A double of a host holds nothing: what is attached is attached to the newest, at its own provider.
        let newest = facts.newest(&holder).map(|(generation, _)| generation);
        let holds = |step: &&&Step| {
            let real = address.kind != Kind::Volume || newest == Some(step.generation) && step.provider == row.provider;
            real && matches!(step.action, Action::Delete | Action::Release)
        };
        for removal in held.filter(holds) {
            let lets_go = |step: &&&Step| match address.kind {
                // What was taken over is let go as it is.
                Kind::Volume if row.adopted => removes(&step.action),
                Kind::Volume => matches!(step.action, Action::Detach { .. }),
                _ => removes(&step.action),
            };
            let release_step = facts.on(address, *generation).iter().find(lets_go);
            if !release_step.is_some_and(|step| facts.waits(removal.id, step.id)) {
                let detail = format!("it does not wait until {address} is {release}");
                notes.add(Rule::Order, Some(removal.id), Some(&holder), detail);
            }
        }
    }
}
