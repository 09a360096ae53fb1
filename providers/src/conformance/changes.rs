//! Changes of what exists.

use pool_inventory::{
    Bytes, Kind,
    market::{Change, Feature},
    object::{Attachment, Observed, Spec, Status, VolumeSpec},
};

use super::bench::{Bench, Stop, Verdict, ensure};
use crate::Act;

async fn update(b: &Bench<'_>, on: &Observed, to: &Spec, host: Option<&Observed>) -> Verdict<Observed> {
    let act = Act::Update { id: on.id.clone(), to: to.clone(), host: host.map(|h| h.id.clone()) };
    let after = b.act(on, act).await?.ok_or_else(|| Stop::Fail("an update was answered with Gone".into()))?;
    ensure(after.spec == *to && after.id == on.id, || format!("{to:?} was asked for and became {after:?}"))?;
    b.until_visible().await;
    let seen = b.list(on.spec.kind()).await?.into_iter().find(|o| o.id == on.id);
    ensure(seen.as_ref() == Some(&after), || format!("{after:?} is listed as {seen:?}"))?;
    Ok(after)
}

/// Tags of each kind that says so.
pub(super) async fn tags(b: &Bench<'_>) -> Verdict {
    let mut tried = 0;
    for kind in [Kind::Network, Kind::Host, Kind::Volume] {
        let Some(mut to) = b.harness.spec(kind, 0) else { continue };
        if b.provider().capabilities().change(kind, "tags.colour") != Change::InPlace {
            continue;
        }
        let made = b.make(kind, 0).await?;
        let tags = match &mut to {
            Spec::Host(host) => &mut host.tags,
            Spec::Volume(volume) => &mut volume.tags,
            Spec::Network(network) => &mut network.tags,
            Spec::Snapshot(copy) | Spec::Backup(copy) => &mut copy.tags,
        };
        tags.insert("colour".into(), "green".into());
        let first = update(b, &made, &to, None).await?;
        let second = update(b, &made, &to, None).await?;
        ensure(first == second, || format!("the same update made of {first:?} {second:?}"))?;
        tried += 1;
    }
    if tried > 0 { Ok(()) } else { Err(Stop::Skip("no kind changes its tags in place".into())) }
}

/// Attach, extend while attached, detach, each twice; the volume outlives its host.
pub(super) async fn volume(b: &Bench<'_>) -> Verdict {
    let Spec::Volume(spec) = b.spec(Kind::Volume, 0)? else {
        return Err(Stop::Fail("the harness has no volume for a volume".into()));
    };
    let host = b.make(Kind::Host, 0).await?;
    let volume = b.make(Kind::Volume, 0).await?;
    ensure(volume.spec == Spec::Volume(VolumeSpec { attached: None, ..spec.clone() }), || format!("{volume:?}"))?;
    let unseen = b.provider().capabilities().unseen;
    let told = !unseen.get(&Kind::Volume).is_some_and(|fields| fields.contains("mount"));
    let mount = spec.attached.as_ref().and_then(|a| a.mount.clone()).or_else(|| Some("/srv/conformance".into()));
    let mount = mount.filter(|_| told);
    let attached = Some(Attachment { host: b.owner(Kind::Host, 0).address, mount });
    let larger = Bytes(spec.size.0 * 2);
    let steps = [
        VolumeSpec { attached: attached.clone(), ..spec.clone() },
        VolumeSpec { attached, size: larger, ..spec.clone() },
        VolumeSpec { attached: None, size: larger, ..spec.clone() },
    ];
    for step in &steps {
        let to = Spec::Volume(step.clone());
        for _ in 0..2 {
            update(b, &volume, &to, Some(&host)).await?;
        }
    }
    b.delete(&host).await?;
    b.until_visible().await;
    let left = b.list(Kind::Volume).await?;
    let there = left.iter().any(|v| v.id == volume.id && v.spec == Spec::Volume(steps[2].clone()));
    ensure(there, || format!("after its host went there is {left:?}"))?;
    b.delete(&volume).await
}

/// Off, off again, on, on again.
pub(super) async fn power(b: &Bench<'_>) -> Verdict {
    b.needs(Feature::Power)?;
    let host = b.make(Kind::Host, 0).await?;
    for (on, status) in
        [(false, Status::Stopped), (false, Status::Stopped), (true, Status::Ready), (true, Status::Ready)]
    {
        let after = b.act(&host, Act::Power { id: host.id.clone(), on }).await?;
        let right = after.as_ref().is_some_and(|h| h.status == status && h.id == host.id && h.endpoint.is_some() == on);
        ensure(right, || format!("power {on} made {after:?}"))?;
    }
    Ok(())
}

/// Restarted, it is the same host at the same address, and runs.
pub(super) async fn restart(b: &Bench<'_>) -> Verdict {
    b.needs(Feature::Power)?;
    let host = b.make(Kind::Host, 0).await?;
    let after = b.act(&host, Act::Restart { id: host.id.clone() }).await?;
    ensure(after.as_ref() == Some(&host), || format!("{host:?} was restarted and became {after:?}"))
}

/// Another system on the same machine, then the same again with no effect.
pub(super) async fn rebuild(b: &Bench<'_>) -> Verdict {
    let to = b.harness.rebuilt().ok_or_else(|| Stop::Skip("hosts cannot be rebuilt".into()))?;
    let host = b.make(Kind::Host, 0).await?;
    let again = async || b.act(&host, Act::Rebuild { id: host.id.clone(), to: Box::new(to.clone()) }).await;
    let (first, second) = (again().await?, again().await?);
    ensure(first == second, || format!("the same rebuild made {first:?} and {second:?}"))?;
    let right = first.as_ref().is_some_and(|h| {
        h.id == host.id && h.spec == Spec::Host(to.clone()) && h.owner == host.owner && h.status == Status::Ready
    });
    ensure(right, || format!("the rebuild made {first:?}"))
}
