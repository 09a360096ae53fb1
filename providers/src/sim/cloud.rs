//! The simulated cloud during one call: it looks at the world, decides, and keeps the effects for the ledger.

use std::sync::Arc;

use pool_inventory::{
    Kind, Text, TimeSpan, Token,
    desired::{SimCall, SimClock, SimError, SimFault},
    object::{Observed, Owner, Spec},
};

use super::{
    fault,
    market::Shop,
    object::{Key, Mark, NEVER, Object},
    world::{Call, Effect, World},
};
use crate::{Act, Operation, Page, Progress, ProviderError, Request};

/// What a fault does to an act that is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Normal,
    /// It ends in an error state.
    Broken,
    /// It never ends.
    Stuck,
    /// It takes longer by so much.
    Slow(TimeSpan),
}

/// What `after` of a rule is where it does not say.
const AFTER: TimeSpan = TimeSpan(1000);

/// One call. `call` collects what its line in the ledger will say.
pub(super) struct Cloud<'a> {
    pub shop: &'a Shop,
    pub world: &'a mut World,
    pub call: &'a mut Call,
    /// The client's process is to be killed once the line is written.
    pub kill: bool,
}

impl Cloud<'_> {
    /// Makes a change and notes it.
    pub fn change(&mut self, effect: Effect) -> Result<(), ProviderError> {
        self.world.apply(&effect).map_err(|detail| ProviderError::Other(detail.into()))?;
        self.call.effects.push(effect);
        Ok(())
    }

    pub fn now(&self) -> u64 {
        self.world.now
    }

    fn fault(&mut self, call: SimCall, subject: Option<&str>) -> Option<SimFault> {
        let (fault, notes) = fault::check(&self.shop.spec.faults, self.shop.spec.seed, self.world, call, subject);
        for note in notes {
            // Notes only count; there is nothing in them that could not be applied.
            let _ = self.change(note);
        }
        fault
    }

    /// The fault of a call that changes nothing; `Err` is its answer.
    pub fn fault_of_reading(&mut self, call: SimCall, subject: Option<&str>) -> Result<(), ProviderError> {
        let Some(fault) = self.fault(call, subject) else { return Ok(()) };
        match fault.error {
            SimError::RateLimited => Err(ProviderError::RateLimited { after: fault.after }),
            // Asking is never slow but by `latency`.
            SimError::Slow => Ok(()),
            SimError::KillBefore | SimError::KillAfter => {
                self.kill = true;
                Err(indeterminate())
            }
            SimError::LostReply => Err(indeterminate()),
            _ => Err(transient()),
        }
    }

    /// All requests of a `submit`, in order; each sees what those before it did.
    pub fn submit(&mut self, batch: &[Request]) -> Vec<Result<Progress, ProviderError>> {
        let mut answers = Vec::with_capacity(batch.len());
        for request in batch {
            if self.kill {
                // The client dies: what stands behind in the batch is never looked at.
                answers.push(Err(indeterminate()));
            } else {
                answers.push(self.request(request));
            }
        }
        if answers.iter().any(|answer| matches!(answer, Err(ProviderError::Conflict(_)))) {
            // Who is refused because a host is not ready asks again until it is.
            self.skip_to_next(Kind::Host);
        }
        answers
    }

    fn request(&mut self, request: &Request) -> Result<Progress, ProviderError> {
        *self.call.requests.entry(word(&request.act).into()).or_default() += 1;
        let call = match &request.act {
            Act::Create(_) => SimCall::Create,
            Act::Delete { .. } => SimCall::Delete,
            Act::Update { .. }
            | Act::Rebuild { .. }
            | Act::Power { .. }
            | Act::Restart { .. }
            | Act::Restore { .. } => SimCall::Update,
        };
        let subject = request.owner.address.to_string();
        let Some(fault) = self.fault(call, Some(&subject)) else { return self.act(request, Fate::Normal) };
        match fault.error {
            SimError::Broken => self.act(request, Fate::Broken),
            SimError::Stuck => self.act(request, Fate::Stuck),
            SimError::Slow => self.act(request, Fate::Slow(fault.after.unwrap_or(AFTER))),
            SimError::Transient => Err(transient()),
            SimError::RateLimited => Err(ProviderError::RateLimited { after: fault.after }),
            SimError::NoCapacity => Err(ProviderError::NoCapacity("simulated fault".into())),
            SimError::QuotaExceeded => Err(ProviderError::QuotaExceeded("simulated fault".into())),
            SimError::LostReply => {
                // Whatever came of it, the client does not hear of it.
                let _ = self.act(request, Fate::Normal);
                Err(indeterminate())
            }
            SimError::KillBefore => {
                self.kill = true;
                Err(indeterminate())
            }
            SimError::KillAfter => {
                self.kill = true;
                self.act(request, Fate::Normal)
            }
        }
    }

    fn act(&mut self, request: &Request, fate: Fate) -> Result<Progress, ProviderError> {
        let token = &request.owner.token;
        match &request.act {
            Act::Create(spec) => self.create(request, spec, fate),
            Act::Update { id, to, host } => self.update(token, id, to, host.as_deref(), fate),
            Act::Rebuild { id, to } => self.rebuild(token, id, to, fate),
            Act::Power { id, on } => self.power(token, id, *on, fate),
            Act::Restart { id } => self.restart(token, id, fate),
            Act::Restore { id, from, kind } => self.restore(token, id, (from, *kind), fate),
            Act::Delete { id, kind } => self.delete(token, id, *kind, fate),
        }
    }

    /// How far an object is.
    pub fn progress(&self, object: &Object) -> Progress {
        if object.ready > self.now() || object.leaving {
            Progress::Pending(Operation(object.key.text()))
        } else {
            Progress::Done(Box::new(self.world.observe(object)))
        }
    }

    /// One page of a kind, in the order of creation; the cursor is the id of the last object of the page before, so
    /// that what is made meanwhile stands behind it.
    pub fn list(&mut self, kind: Kind, from: Option<&str>) -> Result<Page, ProviderError> {
        self.fault_of_reading(SimCall::List, None)?;
        let invalid = |text: &str| ProviderError::Invalid {
            field: "from".into(),
            detail: format!("`{text}` is not the end of a page of {kind}s").into(),
        };
        let start = match from {
            None => Key::first(kind),
            Some(text) => {
                let key: Key = text.parse().map_err(|_| invalid(text))?;
                Key { seq: key.seq + 1, ..if key.kind == kind { key } else { return Err(invalid(text)) } }
            }
        };
        let page = self.shop.spec.page as usize;
        let now = self.now();
        let shown = self.world.objects.range(start..=Key::last(kind)).filter(|(_, o)| o.shown(now));
        let mut keys: Vec<Key> = shown.map(|(key, _)| *key).take(page + 1).collect();
        let more = keys.len() > page;
        keys.truncate(page);
        let objects: Vec<Observed> = keys.iter().map(|key| self.world.observe(&self.world.objects[key])).collect();
        Ok(Page { objects, next: keys.last().filter(|_| more).map(|key| key.text()) })
    }

    /// What a creation with this token made, as far as look-ups know already.
    pub fn find(&mut self, token: &Token) -> Result<Option<Observed>, ProviderError> {
        let address = |o: &Object| o.owner.as_ref().map(|mark| mark.address.to_string());
        let subject = self.world.by_token(token).and_then(address);
        self.fault_of_reading(SimCall::Find, subject.as_deref())?;
        let now = self.now();
        let found = self.world.by_token(token).filter(|o| o.shown(now)).cloned();
        let seen = found.as_ref().map(|o| self.world.observe(o));
        if let Some(object) = found {
            // Who finds it on its way looks again until it has arrived.
            self.skip_to(object.done_at());
        }
        Ok(seen)
    }

    /// Waits on a virtual clock until the next object of a kind is done.
    pub fn skip_to_next(&mut self, kind: Kind) {
        let under_way = |o: &&Object| o.lives() && o.done_at() > self.now();
        let objects = self.world.objects.range(Key::first(kind)..=Key::last(kind)).map(|(_, object)| object);
        let next = objects.filter(under_way).map(Object::done_at).min();
        self.skip_to(next.unwrap_or(NEVER));
    }

    fn skip_to(&mut self, time: u64) {
        if self.shop.spec.clock == SimClock::Virtual && time != NEVER && time > self.now() {
            self.world.now = time;
            self.end_deletions();
        }
    }

    /// How operations go on. On a virtual clock, where none of them is done yet, the first is waited for at once, and
    /// with it those that are done soon after.
    pub fn poll(&mut self, operations: &[Operation]) -> Vec<Result<Progress, ProviderError>> {
        if self.shop.spec.clock == SimClock::Virtual
            && let Some(first) = self.next_event(operations)
        {
            self.world.now = first + self.shop.spec.boot.0 / 10;
            self.end_deletions();
        }
        operations.iter().map(|operation| self.poll_one(operation)).collect()
    }

    fn poll_one(&mut self, Operation(id): &Operation) -> Result<Progress, ProviderError> {
        let address = |o: &Object| o.owner.as_ref().map(|mark| mark.address.to_string());
        let subject = self.world.living(id).and_then(address);
        if self.kill {
            return Err(indeterminate());
        }
        self.fault_of_reading(SimCall::Poll, subject.as_deref())?;
        let object = self.world.living(id).ok_or_else(|| ProviderError::NotFound(id.clone()))?;
        Ok(self.progress(object))
    }

    /// When the first of these operations is done; none: one of them is already, or none of them ever will be.
    fn next_event(&self, operations: &[Operation]) -> Option<u64> {
        let first = operations.iter().filter_map(|Operation(id)| Some(self.world.living(id)?.done_at())).min()?;
        (first > self.now() && first != NEVER).then_some(first)
    }

    /// Lets go what a slow deletion has been at for long enough.
    pub fn end_deletions(&mut self) {
        while let Some(key) = self.world.overdue() {
            let until = self.seen_at("deleted", &key.text());
            // It lives, or it would not be overdue.
            let _ = self.change(Effect::Deleted { id: key, until, token: None });
        }
    }

    /// Index of a spec in the table of specs, where it is put if it is new.
    pub fn intern(&mut self, spec: Spec) -> Result<u32, ProviderError> {
        if let Some(place) = self.world.find_spec(&spec) {
            return Ok(place);
        }
        let place = self.world.spec_count();
        self.change(Effect::Spec(Arc::new(spec)))?;
        Ok(place)
    }

    /// Whose an object is, as the ledger keeps it.
    pub fn mark(&mut self, owner: &Owner) -> Result<Mark, ProviderError> {
        let lineages = self.world.lineages();
        let lineage = match lineages.iter().position(|l| *l == owner.lineage) {
            Some(place) => place as u32,
            None => {
                let place = lineages.len() as u32;
                self.change(Effect::Lineage(owner.lineage.clone()))?;
                place
            }
        };
        let Owner { address, generation, token, .. } = owner.clone();
        Ok(Mark { lineage, address, generation, token })
    }

    /// When listings know of an event of now: within the visibility delay, at a moment that the seed chooses.
    pub fn seen_at(&self, what: &str, token: &str) -> u64 {
        match self.shop.spec.visibility.0 {
            0 => self.now(),
            delay => self.now() + 1 + fault::dice(self.shop.spec.seed, &[what, token]) % delay,
        }
    }
}

fn word(act: &Act) -> &'static str {
    match act {
        Act::Create(_) => "create",
        Act::Update { .. } => "update",
        Act::Rebuild { .. } => "rebuild",
        Act::Power { .. } => "power",
        Act::Restart { .. } => "restart",
        Act::Restore { .. } => "restore",
        Act::Delete { .. } => "delete",
    }
}

fn indeterminate() -> ProviderError {
    ProviderError::Indeterminate("simulated fault: the reply was lost".into())
}

fn transient() -> ProviderError {
    ProviderError::Transient("simulated fault".into())
}

/// The words of an object that a fault broke.
pub(super) fn broken() -> Text {
    "simulated fault: it broke".into()
}
