//! From creation to deletion, and what is refused.

use pool_inventory::{
    Kind,
    object::{HostSpec, Spec},
};

use super::bench::{Bench, Verdict, deletion, ensure, is_passing, request, staying};
use crate::{Act, Operation, ProviderError};

/// Made, found by token, listed, deleted, gone.
pub(super) async fn whole_life(b: &Bench<'_>, kind: Kind) -> Verdict {
    let made = b.make(kind, 0).await?;
    ensure(made.spec.kind() == kind, || format!("a {kind} was asked for, {made:?} was made"))?;
    ensure(kind != Kind::Host || made.endpoint.is_some(), || format!("{made:?} runs and answers nowhere"))?;
    b.until_visible().await;
    let found = b.find(&b.owner(kind, 0).token).await?;
    ensure(found.as_ref() == Some(&made), || format!("the token finds {found:?}, made was {made:?}"))?;
    let listed = b.list(kind).await?;
    ensure(listed.contains(&made), || format!("{} is not in the list {listed:?}", made.id))?;

    b.delete(&made).await?;
    b.until_visible().await;
    let left = staying(b.list(kind).await?);
    ensure(left.is_empty(), || format!("after the deletion there is {left:?}"))?;
    let found = b.find(&b.owner(kind, 0).token).await?;
    ensure(found.is_none(), || format!("after the deletion the token finds {found:?}"))
}

/// Acts on an object that was deleted, and polls of what never was.
pub(super) async fn not_found(b: &Bench<'_>) -> Verdict {
    let made = b.make(Kind::Host, 0).await?;
    b.delete(&made).await?;
    let id = made.id.clone();
    let acts = [
        deletion(&made),
        Act::Power { id: id.clone(), on: false },
        Act::Update { id, to: made.spec.clone(), host: None },
    ];
    for act in acts {
        let answer = b.answer(&request(&made, act.clone())?).await?;
        let right = matches!(answer, Err(ProviderError::NotFound(_)));
        ensure(right, || format!("{act:?} of a deleted host was answered with {answer:?}"))?;
    }
    let mut polled = b.provider().poll(&[Operation("conformance-none".into())]).await;
    while matches!(polled.first(), Some(Err(error)) if is_passing(error)) {
        polled = b.provider().poll(&[Operation("conformance-none".into())]).await;
    }
    let right = matches!(polled.as_slice(), [Err(ProviderError::NotFound(_))]);
    ensure(right, || format!("an operation that never was: {polled:?}"))
}

/// A definitive error means that nothing was made, and that the token is free for nothing else.
pub(super) async fn refused(b: &Bench<'_>) -> Verdict {
    let mut creation = b.creation(Kind::Host, 0)?;
    if let Act::Create(Spec::Host(host)) = &mut creation.act {
        *host = HostSpec { image: "conformance-no-such-image".into(), ..host.clone() };
    }
    let answer = b.answer(&creation).await?;
    ensure(answer.is_err(), || format!("an image that does not exist was accepted: {answer:?}"))?;
    b.until_visible().await;
    let found = b.find(&creation.owner.token).await?;
    let listed = b.list(Kind::Host).await?;
    ensure(found.is_none() && listed.is_empty(), || format!("a refused creation left {found:?}, {listed:?}"))
}

/// What is made must be for sale, in the promised order, and counted.
pub(super) async fn market(b: &Bench<'_>) -> Verdict {
    let mut market = b.provider().market().await;
    while matches!(&market, Err(error) if is_passing(error)) {
        market = b.provider().market().await;
    }
    let market = market?;
    let key = |o: &pool_inventory::market::Offering| (o.region.clone(), o.zone.clone(), o.name.clone());
    let sorted = market.offerings.windows(2).all(|pair| key(&pair[0]) <= key(&pair[1]));
    ensure(sorted, || "offerings are not sorted by region, zone, name".into())?;
    if let Spec::Host(host) = b.spec(Kind::Host, 0)? {
        let offered = market.offerings.iter().any(|o| {
            (&o.region, &o.zone, &o.name) == (&host.region, &host.zone, &host.offering)
                && (o.size == host.size || o.elastic)
        });
        ensure(offered && market.images.contains(&host.image), || format!("{host:?} is not for sale"))?;
    }
    if let Some(Spec::Volume(volume)) = b.harness.spec(Kind::Volume, 0) {
        let offered = market.backends.iter().any(|backend| backend.name == volume.backend);
        ensure(offered, || format!("backend {} is not for sale", volume.backend))?;
    }
    Ok(())
}
