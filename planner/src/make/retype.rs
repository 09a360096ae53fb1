//! Room for volumes that grow or go to another backend.

use pool_inventory::{
    Bytes, Kind, Text,
    desired::PoolVolume,
    market::Change,
    object::{Recorded, Spec},
};

use super::{
    Planner,
    draft::DraftId,
    ledger::{Charges, difference},
    record::field,
    seats::sizing,
    tiers::{Serving, volume_price},
    volumes::Wish,
    words,
};
use crate::plan::{Refusal, Why};

impl<'a> Planner<'a> {
    /// The backend that a volume goes to which its own may not serve any more; none where it cannot go anywhere.
    pub(crate) fn other_backend(
        &self,
        wish: &Wish<'a>,
        row: usize,
        serving: &Serving<'_>,
        size: Bytes,
    ) -> Result<Text, Why> {
        let now = &self.world.rows[row].now;
        let from = now.spec.volume().map_or_else(|| "none".into(), |volume| volume.backend.clone());
        let first = serving.offers.first().map_or("none", |offer| &offer.name);
        let how = self.input.capabilities.get(&now.provider).map(|c| c.change(Kind::Volume, "backend"));
        if how != Some(Change::InPlace) || serving.offers.is_empty() {
            return Err(Why::CannotMove { fields: field("backend", &from, &first) });
        }
        let own = self.ledger.of(now);
        let mut refusals = Vec::new();
        for offer in &serving.offers {
            let spec = sizing(&PoolVolume { size, ..wish.decl.clone() }, &offer.name);
            let price = volume_price(offer, size);
            let to = self.ledger.price_of(&spec, &wish.pool.tenant, &now.provider, price, false);
            let (more, _) = difference(&own, &to);
            match self.ledger.fits(&more, &Charges::new()) {
                Ok(()) => return Ok(offer.name.clone()),
                Err(account) => {
                    let (name, limit, wanted) = self.ledger.describe(account, &more);
                    refusals.push(Refusal { candidate: offer.name.clone(), why: words::over(&name, limit, wanted) });
                }
            }
        }
        refusals.extend(serving.refusals.iter().cloned());
        Err(Why::NoBackend { refusals })
    }

    /// Takes what a volume grows by, or takes elsewhere; the answer is what to wait for, and what it will give back.
    pub(crate) fn room_to_grow(
        &mut self,
        row: usize,
        to: &Spec,
        edit: Option<&Recorded>,
    ) -> Result<(Vec<DraftId>, Charges), Why> {
        let now = &self.world.rows[row].now;
        let (tenant, price) = edit.map_or((&now.tenant, now.price), |edit| (&edit.tenant, edit.price));
        let of = |spec: &Spec, price| self.ledger.price_of(spec, tenant, &now.provider, price, false);
        // The price, and what the record alone knows, are taken by the step before.
        let (total, _) = difference(&of(&now.spec, now.price), &of(to, price));
        let before = edit.map_or(&now.spec, |edit| &edit.spec);
        let (more, less) = difference(&of(before, price), &of(to, price));
        match self.ledger.fits(&total, &Charges::new()) {
            Ok(()) => Ok((self.ledger.take(&more, &Charges::new()), less)),
            Err(account) => {
                let (name, limit, wanted) = self.ledger.describe(account, &total);
                let backend = to.volume().map_or_else(|| "".into(), |volume| volume.backend.clone());
                let refusal = || Refusal { candidate: backend, why: words::over(&name, limit, wanted) };
                Err(words::quota(&name, limit, wanted).unwrap_or_else(|| Why::NoBackend { refusals: vec![refusal()] }))
            }
        }
    }
}
