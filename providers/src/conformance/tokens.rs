//! Tokens: whatever happens on the way, one creation makes one object.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pool_inventory::Kind;

use super::bench::{Bench, Stop, Verdict, ensure};
use crate::Request;

/// The same request twice is one object.
pub(super) async fn again(b: &Bench<'_>) -> Verdict {
    let first = b.make(Kind::Host, 0).await?;
    let second = b.make(Kind::Host, 0).await?;
    ensure(first.id == second.id, || format!("one token made {} and {}", first.id, second.id))?;
    exactly_one(b, &b.creation(Kind::Host, 0)?).await
}

/// The same request four times at once is one object; in one batch too.
pub(super) async fn at_once(b: &Bench<'_>) -> Verdict {
    let request = b.creation(Kind::Host, 0)?;
    let finish = || b.finish(request.clone());
    let (one, two, three, four) = tokio::join!(finish(), finish(), finish(), finish());
    let mut ids = Vec::new();
    for made in [one?, two?, three?, four?] {
        ids.extend(made.map(|host| host.id));
    }
    ids.dedup();
    ensure(ids.len() == 1, || format!("one token made {ids:?}"))?;

    let twins = b.creation(Kind::Host, 1)?;
    if b.provider().capabilities().batch > 1 {
        drop(b.provider().submit(vec![twins.clone(), twins.clone()]).await);
    }
    b.finish(twins.clone()).await?;
    exactly_one(b, &request).await?;
    exactly_one(b, &twins).await
}

/// A creation is dropped at each of its awaits in turn; then the token tells what became of it, and doing it again
/// makes what is missing and nothing else.
pub(super) async fn cancelled(b: &Bench<'_>) -> Verdict {
    for (n, polls) in (1..=b.harness.hosts().min(6)).enumerate() {
        let request = b.creation(Kind::Host, n)?;
        let ended = Steps { future: b.provider().submit(vec![request.clone()]), left: polls }.await;
        b.until_quiet().await;
        let found = b.find(&request.owner.token).await?;
        let made = b.finish(request.clone()).await?.ok_or_else(|| Stop::Fail("a creation ended in Gone".into()))?;
        let same = found.as_ref().is_none_or(|found| found.id == made.id);
        ensure(same, || format!("the token found {found:?} and then made {made:?}"))?;
        exactly_one(b, &request).await?;
        if ended {
            break;
        }
    }
    Ok(())
}

async fn exactly_one(b: &Bench<'_>, request: &Request) -> Verdict {
    b.until_visible().await;
    let all = b.list(Kind::Host).await?;
    let of_token =
        |o: &&pool_inventory::object::Observed| o.owner.as_ref().is_some_and(|x| x.token == request.owner.token);
    let ids: Vec<_> = all.iter().filter(of_token).map(|o| &o.id).collect();
    ensure(ids.len() == 1, || format!("token {} has {ids:?}", request.owner.token))
}

/// Polls a future so many times and then drops it, at the await at which it stands; whether it ended before.
struct Steps<F> {
    future: F,
    left: usize,
}

impl<F: Future + Unpin> Future for Steps<F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if self.left == 0 {
            return Poll::Ready(false);
        }
        self.left -= 1;
        match Pin::new(&mut self.future).poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            // The last permitted poll is not waited for: what it began is given up at once.
            Poll::Pending if self.left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    }
}
