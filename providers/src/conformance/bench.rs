//! How the cases talk to a provider: settling, retrying and waiting as the engine does.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use pool_inventory::{
    Address, Kind, Lineage, Text, Token,
    market::Feature,
    object::{Observed, Owner, Spec, Status},
};

use super::{Account, Harness};
use crate::{Act, Operation, Progress, Provider, ProviderError, Request};

/// Most times that a call is tried again. A provider under test may lose every other reply, not nearly all of them.
const RETRIES: u32 = 60;

/// Pause between two tries and between two polls.
const PAUSE: Duration = Duration::from_millis(5);

/// Why a case ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It does not apply.
    Skip(String),
    /// It does not hold.
    Fail(String),
}

/// What a case, or a part of one, comes to.
pub type Verdict<T = ()> = Result<T, Stop>;

impl From<ProviderError> for Stop {
    fn from(error: ProviderError) -> Self {
        Stop::Fail(format!("unexpected answer {error:?}"))
    }
}

/// Fails with `why` unless `holds`.
pub(super) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Stop::Fail(why())) }
}

/// One case's view of an account.
pub struct Bench<'a> {
    pub(super) harness: &'a dyn Harness,
    pub(super) account: &'a dyn Account,
    /// What was asked for last of each object, by its id: it stands for what lists do not tell.
    asked: Mutex<HashMap<Text, Spec>>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(harness: &'a dyn Harness, account: &'a dyn Account) -> Self {
        Self { harness, account, asked: Mutex::default() }
    }

    /// An object as the engine sees it.
    fn seen(&self, mut object: Observed) -> Observed {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let unseen = self.provider().capabilities().unseen;
        if let (Some(fields), Some(asked)) = (unseen.get(&object.spec.kind()), asked.get(&object.id)) {
            object.spec.fill(fields, asked);
        }
        object
    }

    fn remember(&self, request: &Request, object: &Observed) {
        let asked = match &request.act {
            Act::Create(spec) | Act::Update { to: spec, .. } => spec.clone(),
            Act::Rebuild { to, .. } => Spec::Host((**to).clone()),
            _ => return,
        };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(object.id.clone(), asked);
    }

    pub(super) fn provider(&self) -> &'a dyn Provider {
        self.account.provider()
    }

    /// What the harness has for a kind, or the end of the case.
    pub(super) fn spec(&self, kind: Kind, n: usize) -> Verdict<Spec> {
        self.harness.spec(kind, n).ok_or_else(|| Stop::Skip(format!("this provider has no {kind}s")))
    }

    /// Ends the case where the provider cannot do it.
    pub(super) fn needs(&self, feature: Feature) -> Verdict {
        match self.provider().capabilities().features.contains(&feature) {
            true => Ok(()),
            false => Err(Stop::Skip(format!("this provider cannot do this: {}", feature.describe()))),
        }
    }

    /// Whose the `n`th object of a kind is.
    pub(super) fn owner(&self, kind: Kind, n: usize) -> Owner {
        let address = match kind {
            Kind::Volume => Address::volume(&format!("web-{n}"), "data"),
            Kind::Network => Address::network(&format!("net-{n}")),
            Kind::Snapshot | Kind::Backup => {
                Address::copy_of(kind, &Address::volume(&format!("web-{n}"), "data"), "first")
            }
            _ => Address::host(&format!("web-{n}")),
        };
        let lineage = Lineage::from_bits([0xC0; 16]);
        Owner { token: Token::derive(&lineage, &address, 1, 0), lineage, address, generation: 1 }
    }

    /// The creation of the `n`th object of a kind.
    pub(super) fn creation(&self, kind: Kind, n: usize) -> Verdict<Request> {
        let owner = self.owner(kind, n);
        Ok(Request { name: name_of(&owner), owner, act: Act::Create(self.spec(kind, n)?) })
    }

    /// Makes the `n`th object of a kind, and waits until it is ready.
    pub(super) async fn make(&self, kind: Kind, n: usize) -> Verdict<Observed> {
        let made = self.finish(self.creation(kind, n)?).await?;
        let made = made.ok_or_else(|| Stop::Fail("a creation was answered with Gone".into()))?;
        ensure(made.status == Status::Ready, || format!("{} is {:?} after its creation", made.id, made.status))?;
        Ok(made)
    }

    /// Does something with an object; what it is afterwards, none: gone.
    pub(super) async fn act(&self, on: &Observed, act: Act) -> Verdict<Option<Observed>> {
        self.finish(request(on, act)?).await
    }

    /// Deletes an object and waits until it is gone.
    pub(super) async fn delete(&self, on: &Observed) -> Verdict {
        match self.act(on, deletion(on)).await? {
            None => Ok(()),
            Some(left) => Err(Stop::Fail(format!("a deletion was answered with {left:?}"))),
        }
    }

    /// Carries a request through to its end. A request whose answer was lost is sent again, which must do no harm.
    pub(super) async fn finish(&self, request: Request) -> Verdict<Option<Observed>> {
        let ended = self.carry_through(&request).await?;
        Ok(ended.map(|object| {
            self.remember(&request, &object);
            self.seen(object)
        }))
    }

    async fn carry_through(&self, request: &Request) -> Verdict<Option<Observed>> {
        let mut lost = false;
        for _ in 0..RETRIES {
            match self.submit_one(request).await {
                Ok(Progress::Done(object)) => return Ok(Some(*object)),
                Ok(Progress::Gone) => return Ok(None),
                Ok(Progress::Pending(operation)) => return self.wait(operation).await,
                Err(ProviderError::NotFound(_)) if lost && matches!(request.act, Act::Delete { .. }) => {
                    return Ok(None);
                }
                Err(error) => {
                    lost |= matches!(error, ProviderError::Indeterminate(_));
                    self.pause(&error).await?;
                }
            }
        }
        Err(Stop::Fail(format!("no lasting answer to {:?}", request.act)))
    }

    /// The lasting answer to a request: one that does not ask to try again.
    pub(super) async fn answer(&self, request: &Request) -> Verdict<Result<Progress, ProviderError>> {
        for _ in 0..RETRIES {
            match self.submit_one(request).await {
                Err(error) if is_passing(&error) => self.pause(&error).await?,
                answer => return Ok(answer),
            }
        }
        Err(Stop::Fail(format!("no lasting answer to {:?}", request.act)))
    }

    async fn submit_one(&self, request: &Request) -> Result<Progress, ProviderError> {
        let mut answers = self.provider().submit(vec![request.clone()]).await;
        match (answers.pop(), answers.is_empty()) {
            (Some(answer), true) => answer,
            _ => Err(ProviderError::Other("one request was not answered once".into())),
        }
    }

    /// Waits for an operation; the case's time limit ends a wait that does not end itself.
    pub(super) async fn wait(&self, operation: Operation) -> Verdict<Option<Observed>> {
        loop {
            let mut answers = self.provider().poll(std::slice::from_ref(&operation)).await;
            ensure(answers.len() == 1, || format!("one operation was answered {} times", answers.len()))?;
            match answers.remove(0) {
                Ok(Progress::Done(object)) => return Ok(Some(*object)),
                Ok(Progress::Gone) => return Ok(None),
                Ok(Progress::Pending(_)) => tokio::time::sleep(PAUSE).await,
                Err(error) => self.pause(&error).await?,
            }
        }
    }

    /// The lasting answer of a look-up.
    pub(super) async fn find(&self, token: &Token) -> Verdict<Option<Observed>> {
        for _ in 0..RETRIES {
            match self.provider().find(token).await {
                Ok(found) => return Ok(found.map(|object| self.seen(object))),
                Err(error) => self.pause(&error).await?,
            }
        }
        Err(Stop::Fail(format!("no lasting answer to a look-up of {token}")))
    }

    /// All objects of a kind, over all pages, as they were answered.
    pub(super) async fn list(&self, kind: Kind) -> Verdict<Vec<Observed>> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = self.page(self.provider(), kind, from).await?;
            all.extend(page.objects);
            from = page.next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// The lasting answer to the question for a page.
    pub(super) async fn page(&self, of: &dyn Provider, kind: Kind, from: Option<Text>) -> Verdict<crate::Page> {
        for _ in 0..RETRIES {
            match of.list(kind, from.clone()).await {
                Ok(page) => {
                    let objects = page.objects.into_iter().map(|object| self.seen(object)).collect();
                    return Ok(crate::Page { objects, ..page });
                }
                Err(error) => self.pause(&error).await?,
            }
        }
        Err(Stop::Fail(format!("no lasting answer to a list of {kind}s")))
    }

    /// Waits until listings and look-ups must know of everything.
    pub(super) async fn until_visible(&self) {
        tokio::time::sleep(self.provider().capabilities().visibility_delay.duration() + Duration::from_millis(1)).await;
    }

    /// Waits until nothing that was sent can be on its way any more.
    pub(super) async fn until_quiet(&self) {
        tokio::time::sleep(self.provider().capabilities().doubt.duration()).await;
        self.until_visible().await;
    }

    /// Waits before the next try; an error that lasts ends the case.
    async fn pause(&self, error: &ProviderError) -> Verdict {
        let span = match error {
            ProviderError::RateLimited { after: Some(after) } => after.duration(),
            error if is_passing(error) => PAUSE,
            error => return Err(error.clone().into()),
        };
        tokio::time::sleep(span).await;
        Ok(())
    }
}

/// Whether an error asks to try again.
pub(super) fn is_passing(error: &ProviderError) -> bool {
    use ProviderError::{Indeterminate, RateLimited, Transient};
    matches!(error, Indeterminate(_) | RateLimited { .. } | Transient(_))
}

/// An act on an object, in its owner's name.
pub(super) fn request(on: &Observed, act: Act) -> Verdict<Request> {
    let owner = on.owner.clone().ok_or_else(|| Stop::Fail(format!("{} has lost its owner", on.id)))?;
    Ok(Request { name: on.name.clone(), owner, act })
}

/// The deletion of an object.
pub(super) fn deletion(on: &Observed) -> Act {
    Act::Delete { id: on.id.clone(), kind: on.spec.kind() }
}

/// The name in the cloud that the suite gives to what it makes.
pub(super) fn name_of(owner: &Owner) -> Text {
    format!("conformance-default-{}", owner.address.name).into()
}

/// Those of `objects` that are not on their way out.
pub(super) fn staying(objects: Vec<Observed>) -> Vec<Observed> {
    objects.into_iter().filter(|o| o.status != Status::Deleting).collect()
}
