//! Snapshots, backups, and volumes that are made from others.

use pool_inventory::{
    Address, Kind,
    market::Feature,
    object::{CopySpec, Observed, Spec, Status, VolumeSpec},
};

use super::bench::{Bench, Stop, Verdict, deletion, ensure, name_of, request, staying};
use crate::{Act, ProviderError, Request};

/// What a copy of a volume of the harness is.
fn copy_spec(b: &Bench<'_>, kind: Kind) -> Verdict<Spec> {
    let Spec::Volume(volume) = b.spec(Kind::Volume, 0)? else {
        return Err(Stop::Fail("the harness has no volume for a volume".into()));
    };
    let copy = CopySpec {
        of: b.owner(Kind::Volume, 0).address,
        tier: volume.tier,
        backend: volume.backend,
        size: volume.size,
        tags: volume.tags,
    };
    Ok(if kind == Kind::Snapshot { Spec::Snapshot(copy) } else { Spec::Backup(copy) })
}

fn creation(b: &Bench<'_>, kind: Kind) -> Verdict<Request> {
    let owner = b.owner(kind, 0);
    Ok(Request { name: name_of(&owner), owner, act: Act::Create(copy_spec(b, kind)?) })
}

/// What this suite has made of a kind: others may have copies of theirs in the account.
async fn ours(b: &Bench<'_>, kind: Kind) -> Verdict<Vec<Observed>> {
    let lineage = b.owner(kind, 0).lineage;
    let mut listed = b.list(kind).await?;
    listed.retain(|object| object.owner.as_ref().is_some_and(|owner| owner.lineage == lineage));
    Ok(listed)
}

/// Takes a copy of the volume of the case.
async fn take(b: &Bench<'_>, kind: Kind) -> Verdict<Observed> {
    let made = b.finish(creation(b, kind)?).await?;
    let made = made.ok_or_else(|| Stop::Fail("a creation was answered with Gone".into()))?;
    ensure(made.status == Status::Ready, || format!("{} is {:?} after its creation", made.id, made.status))?;
    Ok(made)
}

/// The feature that a case on copies of a kind needs.
fn need(b: &Bench<'_>, kind: Kind) -> Verdict {
    b.spec(Kind::Volume, 0)?;
    b.needs(Feature::of_copies(kind).unwrap_or(Feature::Snapshots))
}

/// Taken, found by token, listed, taken once however often it is asked for, deleted, gone; its volume is as before.
pub(super) async fn whole_life(b: &Bench<'_>, kind: Kind) -> Verdict {
    need(b, kind)?;
    let volume = b.make(Kind::Volume, 0).await?;
    let made = take(b, kind).await?;
    let owner = b.owner(kind, 0);
    let of = made.spec.copy().map(|copy| &copy.of);
    let right = made.spec.kind() == kind && of == Some(&volume_address(b)) && made.owner.as_ref() == Some(&owner);
    ensure(right, || format!("a {kind} of {} was asked for, {made:?} was made", volume.id))?;
    ensure(made.name == name_of(&owner), || format!("{made:?} has another name than was asked for"))?;
    b.until_visible().await;
    let found = b.find(&owner.token).await?;
    ensure(found.as_ref() == Some(&made), || format!("the token finds {found:?}, made was {made:?}"))?;
    let again = take(b, kind).await?;
    ensure(again == made, || format!("the same token made {made:?} and {again:?}"))?;
    let listed = ours(b, kind).await?;
    ensure(listed == std::slice::from_ref(&made), || format!("of one {kind} the list shows {listed:?}"))?;
    let unchanged = ours(b, Kind::Volume).await?;
    ensure(unchanged.contains(&volume), || format!("{volume:?} became {unchanged:?}"))?;
    b.delete(&made).await?;
    b.until_visible().await;
    let left = staying(ours(b, kind).await?);
    ensure(left.is_empty(), || format!("after the deletion there is {left:?}"))?;
    let found = b.find(&owner.token).await?;
    ensure(found.is_none(), || format!("after the deletion the token finds {found:?}"))?;
    b.delete(&volume).await
}

fn volume_address(b: &Bench<'_>) -> Address {
    b.owner(Kind::Volume, 0).address
}

/// Written, copied, overwritten, restored: what was copied is there again, in the same volume.
pub(super) async fn restored(b: &Bench<'_>, kind: Kind) -> Verdict {
    need(b, kind)?;
    let volume = b.make(Kind::Volume, 0).await?;
    let readable = b.account.content(&volume, Some("before")).await.is_some();
    let copy = take(b, kind).await?;
    b.account.content(&volume, Some("after")).await;
    // Twice: who lost the answer asks again.
    for _ in 0..2 {
        let act = Act::Restore { id: volume.id.clone(), from: copy.id.clone(), kind };
        let after = b.act(&volume, act).await?;
        ensure(after.as_ref() == Some(&volume), || format!("{volume:?} was restored and became {after:?}"))?;
    }
    let content = b.account.content(&volume, None).await;
    ensure(!readable || content.as_deref() == Some("before"), || format!("after the restore it holds {content:?}"))?;
    b.delete(&copy).await?;
    b.delete(&volume).await
}

/// A volume made from a snapshot, a backup or a volume holds what that holds, and lives on without it.
pub(super) async fn made_from(b: &Bench<'_>, kind: Kind) -> Verdict {
    need(b, kind)?;
    let volume = b.make(Kind::Volume, 0).await?;
    let readable = b.account.content(&volume, Some("first")).await.is_some();
    let copy = if kind == Kind::Volume { None } else { Some(take(b, kind).await?) };
    let Spec::Volume(spec) = b.spec(Kind::Volume, 1)? else {
        return Err(Stop::Fail("the harness has no volume for a volume".into()));
    };
    let owner = b.owner(Kind::Volume, 1);
    let spec = Spec::Volume(VolumeSpec { attached: None, from: Some(b.owner(kind, 0).address), ..spec });
    let made = b.finish(Request { name: name_of(&owner), owner, act: Act::Create(spec) }).await?;
    let made = made.filter(|made| made.status == Status::Ready && made.id != volume.id);
    let made = made.ok_or_else(|| Stop::Fail(format!("no volume was made from a {kind}")))?;
    let content = b.account.content(&made, None).await;
    ensure(!readable || content.as_deref() == Some("first"), || format!("what was made holds {content:?}"))?;
    if let Some(copy) = copy {
        b.delete(&copy).await?;
    }
    b.delete(&volume).await?;
    b.until_visible().await;
    let left = staying(ours(b, Kind::Volume).await?);
    ensure(left.len() == 1 && left[0].id == made.id, || format!("after its source went there is {left:?}"))?;
    b.delete(&made).await
}

/// A volume is not deleted while it has a snapshot; a backup is there when its volume is gone.
pub(super) async fn outlives(b: &Bench<'_>) -> Verdict {
    need(b, Kind::Snapshot)?;
    need(b, Kind::Backup)?;
    let volume = b.make(Kind::Volume, 0).await?;
    let (snapshot, backup) = (take(b, Kind::Snapshot).await?, take(b, Kind::Backup).await?);
    let early = b.answer(&request(&volume, deletion(&volume))?).await?;
    let refused = matches!(early, Err(ProviderError::Conflict(_)));
    ensure(refused, || format!("the deletion of a volume with a snapshot was answered with {early:?}"))?;
    b.delete(&snapshot).await?;
    b.delete(&volume).await?;
    b.until_visible().await;
    let left = staying(ours(b, Kind::Backup).await?);
    ensure(left == std::slice::from_ref(&backup), || format!("after its volume went there is {left:?}"))?;
    b.delete(&backup).await
}
