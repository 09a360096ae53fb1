//! Listings, batches, and who else is in the account.

use pool_inventory::{Kind, object::Observed};

use super::bench::{Bench, Stop, Verdict, deletion, ensure, is_passing, name_of, staying};
use crate::{Act, Progress, ProviderError, Request};

/// Whatever was sent along comes back from listings and look-ups.
pub(super) async fn carried(b: &Bench<'_>) -> Verdict {
    for kind in [Kind::Network, Kind::Host, Kind::Volume] {
        let Some(spec) = b.harness.spec(kind, 0) else { continue };
        b.make(kind, 0).await?;
        b.until_visible().await;
        let owner = b.owner(kind, 0);
        let found = b.find(&owner.token).await?;
        for seen in b.list(kind).await?.into_iter().chain(found) {
            let right = seen.owner.as_ref() == Some(&owner) && seen.name == name_of(&owner) && seen.spec == spec;
            ensure(right, || format!("{owner:?} with {spec:?} came back as {seen:?}"))?;
        }
    }
    Ok(())
}

/// What was there all the time is listed exactly once, though others appear and disappear between the pages.
pub(super) async fn paged(b: &Bench<'_>) -> Verdict {
    let count = b.harness.hosts();
    let mut made = Vec::new();
    for n in 0..count {
        made.push(b.make(Kind::Host, n).await?);
    }
    b.until_visible().await;
    let doomed = made.remove(0);
    let (mut ids, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = b.page(b.provider(), Kind::Host, from).await?;
        ids.extend(page.objects.into_iter().map(|o| o.id));
        match pages {
            0 => drop(b.make(Kind::Host, count).await?),
            1 => b.delete(&doomed).await?,
            _ => {}
        }
        pages += 1;
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    for host in made {
        let times = ids.iter().filter(|id| **id == host.id).count();
        ensure(times == 1, || format!("{} was listed {times} times on {pages} pages", host.id))?;
    }
    Ok(())
}

/// The answer at a place is that to the request at this place.
pub(super) async fn ordered(b: &Bench<'_>) -> Verdict {
    let count = b.harness.hosts().min(b.provider().capabilities().batch);
    let mut batch = (0..count).map(|n| b.creation(Kind::Host, n)).collect::<Verdict<Vec<_>>>()?;
    batch.reverse();
    let answers = b.provider().submit(batch.clone()).await;
    ensure(answers.len() == batch.len(), || format!("{} answers to {} requests", answers.len(), batch.len()))?;
    let mut operations = Vec::new();
    for (request, answer) in batch.iter().zip(answers) {
        let host = match answer {
            Ok(Progress::Done(host)) => *host,
            Ok(Progress::Pending(operation)) => {
                operations.push((operation, request));
                continue;
            }
            Err(error) if is_passing(&error) => continue,
            other => return Err(Stop::Fail(format!("a creation was answered with {other:?}"))),
        };
        ensure(host.owner.as_ref() == Some(&request.owner), || format!("{:?} got {host:?}", request.owner))?;
    }
    for (operation, request) in operations {
        let host: Option<Observed> = b.wait(operation).await?;
        let owner = host.and_then(|h| h.owner);
        ensure(owner.as_ref() == Some(&request.owner), || format!("the poll for {:?} got {owner:?}", request.owner))?;
    }
    Ok(())
}

/// As many requests as the capabilities allow, all answered.
pub(super) async fn full_batch(b: &Bench<'_>) -> Verdict {
    let host = b.make(Kind::Host, 0).await?;
    b.delete(&host).await?;
    let size = b.provider().capabilities().batch;
    ensure(size > 0, || "no batch may hold a request".into())?;
    let owner = b.owner(Kind::Host, 0);
    let request = Request { name: name_of(&owner), owner, act: deletion(&host) };
    let answers = b.provider().submit(vec![request; size]).await;
    ensure(answers.len() == size, || format!("{} answers to {size} requests", answers.len()))?;
    let right = |answer: &Result<Progress, ProviderError>| match answer {
        Err(error) => matches!(error, ProviderError::NotFound(_)) || is_passing(error),
        Ok(_) => false,
    };
    let wrong = answers.iter().find(|answer| !right(answer));
    ensure(wrong.is_none(), || format!("the deletion of a deleted host was answered with {wrong:?}"))
}

/// What one process did is there for the next.
pub(super) async fn another_handle(b: &Bench<'_>) -> Verdict {
    let again = b.account.again().await.ok_or_else(|| Stop::Skip("one handle per account".into()))?;
    let made = b.make(Kind::Host, 0).await?;
    b.until_visible().await;
    let listed = b.page(&*again, Kind::Host, None).await?.objects;
    ensure(listed == [made.clone()], || format!("{made:?} is listed elsewhere as {listed:?}"))?;
    let request = Request { name: made.name.clone(), owner: b.owner(Kind::Host, 0), act: deletion(&made) };
    loop {
        match again.submit(vec![request.clone()]).await.pop() {
            Some(Ok(Progress::Gone) | Err(ProviderError::NotFound(_))) => break,
            Some(Ok(Progress::Pending(operation))) => drop(b.wait(operation).await?),
            Some(Err(error)) if is_passing(&error) => {}
            other => return Err(Stop::Fail(format!("elsewhere the deletion was answered with {other:?}"))),
        }
    }
    b.until_visible().await;
    let left = staying(b.list(Kind::Host).await?);
    ensure(left.is_empty(), || format!("deleted elsewhere, listed here: {left:?}"))
}

/// What is not ours is told apart, and does not change when we act.
pub(super) async fn foreign(b: &Bench<'_>) -> Verdict {
    let id = b.account.foreign().await.ok_or_else(|| Stop::Skip("nobody else can be in the account".into()))?;
    b.until_visible().await;
    let see = async || -> Verdict<Observed> {
        let all = b.list(Kind::Host).await?;
        let found = all.iter().find(|o| o.id == id).cloned();
        found.ok_or_else(|| Stop::Fail(format!("the foreign host {id} is not in {all:?}")))
    };
    let before = see().await?;
    ensure(before.owner.is_none(), || format!("the foreign host is taken for ours: {before:?}"))?;
    let ours = b.make(Kind::Host, 0).await?;
    b.act(&ours, Act::Update { id: ours.id.clone(), to: ours.spec.clone(), host: None }).await?;
    b.delete(&ours).await?;
    let after = see().await?;
    ensure(before == after, || format!("the foreign host was {before:?} and is {after:?}"))
}
