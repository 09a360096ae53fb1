//! Creation: what the simulated cloud accepts, and what it has room for.

use pool_inventory::{
    Bytes, Kind, Money, Text,
    desired::Size,
    object::{HostSpec, Spec, Status, VolumeSpec},
};

use super::{
    cloud::{Cloud, Fate, broken},
    market::{IMAGES, REGION},
    object::{Key, Mark, NEVER, Object},
    world::{Effect, Use},
};
use crate::{Progress, ProviderError, Request};

pub(super) fn invalid(field: &str, detail: impl Into<Text>) -> ProviderError {
    ProviderError::Invalid { field: field.into(), detail: detail.into() }
}

impl Cloud<'_> {
    pub fn create(&mut self, request: &Request, spec: &Spec, fate: Fate) -> Result<Progress, ProviderError> {
        let existing = match spec {
            Spec::Host(host) => host.existing.as_ref(),
            Spec::Volume(volume) => volume.existing.as_ref(),
            _ => None,
        };
        if let Some(id) = existing {
            return self.take_over(id, spec.kind());
        }
        let spec = detached(spec.clone());
        if let Some(answer) = self.made_before(request, &spec) {
            self.call.repeated += u64::from(answer.is_ok());
            return answer;
        }
        if request.owner.address.kind != spec.kind() {
            return Err(invalid("address", format!("{} is not a {}", request.owner.address, spec.kind())));
        }
        let price = self.admit(request, &spec)?;
        let source = self.source(request, &spec)?;
        let kind = spec.kind();
        let place = self.intern(spec)?;
        let owner = self.mark(&request.owner)?;
        // A backup is written elsewhere, which takes its time; all else but hosts is there at once.
        let boot = if matches!(kind, Kind::Host | Kind::Backup) { self.shop.spec.boot.0 } else { 0 };
        let object = Object {
            key: Key { kind, seq: self.world.seq + 1 },
            name: request.name.clone(),
            visible: self.seen_at("made", &owner.token.0),
            owner: Some(owner),
            spec: place,
            made: place,
            attached: None,
            ready: match fate {
                Fate::Stuck => NEVER,
                Fate::Slow(longer) => (self.now() + boot).saturating_add(longer.0),
                Fate::Normal | Fate::Broken => self.now() + boot,
            },
            off: false,
            leaving: false,
            ends: None,
            failed: (fate == Fate::Broken).then(broken),
            incarnation: 0,
            content: source.as_ref().and_then(|source| source.content.clone()),
            of: source.map(|source| source.key).filter(|_| matches!(kind, Kind::Snapshot | Kind::Backup)),
            price,
            gone: None,
        };
        self.change(Effect::New(object.clone()))?;
        Ok(self.progress(&object))
    }

    /// The answer for a token that made something before.
    fn made_before(&self, request: &Request, spec: &Spec) -> Option<Result<Progress, ProviderError>> {
        let token = &request.owner.token;
        let object = self.world.by_token(token)?;
        let mark = object.owner.as_ref()?;
        let same = self.world.made_with(object) == spec
            && object.name == request.name
            && mark.address == request.owner.address
            && mark.generation == request.owner.generation;
        Some(match (object.lives(), same) {
            (false, _) => {
                let text = format!("what token {token} made, {}, was deleted", object.key);
                Err(ProviderError::Other(text.into()))
            }
            (true, false) => Err(ProviderError::Other(format!("token {token} was used for something else").into())),
            (true, true) => Ok(self.progress(object)),
        })
    }

    /// Whether it can be made now; its price per hour in millionths.
    fn admit(&self, request: &Request, spec: &Spec) -> Result<i64, ProviderError> {
        let price = match spec {
            Spec::Host(host) => self.admit_host(request, host)?,
            Spec::Volume(volume) => self.admit_volume(volume)?,
            Spec::Network(network) if network.existing.is_some() => {
                return Err(invalid("existing", "this cloud has no networks but those that it makes"));
            }
            Spec::Network(_) | Spec::Snapshot(_) | Spec::Backup(_) => 0,
        };
        self.within_quota(spec, price)?;
        match spec {
            Spec::Host(host) => {
                self.in_stock(host)?;
                self.on_machine(host, None)?;
            }
            Spec::Volume(volume) => self.has_room(&volume.backend, volume.size)?,
            Spec::Network(_) | Spec::Snapshot(_) | Spec::Backup(_) => {}
        }
        Ok(price)
    }

    /// The living object of the same state that this one gets its content from.
    fn source(&self, request: &Request, spec: &Spec) -> Result<Option<Object>, ProviderError> {
        let (field, address, size) = match spec {
            Spec::Snapshot(copy) | Spec::Backup(copy) => ("of", &copy.of, None),
            Spec::Volume(VolumeSpec { from: Some(from), size, .. }) => ("from", from, Some(*size)),
            Spec::Host(_) | Spec::Network(_) | Spec::Volume(_) => return Ok(None),
        };
        let is = |object: &Object| {
            let named = |mark: &Mark| {
                mark.address == *address && self.world.lineages()[mark.lineage as usize] == request.owner.lineage
            };
            object.lives() && object.owner.as_ref().is_some_and(named)
        };
        let range = Key::first(address.kind)..=Key::last(address.kind);
        let found = self.world.objects.range(range).map(|(_, object)| object).rfind(|object| is(object));
        let found = found.ok_or_else(|| invalid(field, format!("there is no {address}")))?;
        if found.status(self.now()) != Status::Ready {
            let status = found.status(self.now());
            return Err(ProviderError::Conflict(format!("{} is {status:?}", found.key).to_lowercase().into()));
        }
        let has = self.world.spec(found);
        let least = has.volume().map(|volume| volume.size).or_else(|| has.copy().map(|copy| copy.size));
        if size.is_some_and(|size| Some(size) < least) {
            return Err(invalid("size", format!("it is smaller than {address}")));
        }
        Ok(Some(found.clone()))
    }

    fn admit_host(&self, request: &Request, host: &HostSpec) -> Result<i64, ProviderError> {
        if *host.region != *REGION {
            return Err(invalid("region", format!("there is no region `{}`", host.region)));
        }
        self.zone_exists(&host.zone)?;
        self.image_exists(&host.image)?;
        if host.at.is_some() {
            return Err(invalid("address", "this cloud chooses addresses itself"));
        }
        if let Some(network) = &host.network {
            let owned = |o: &&Object| {
                let mark = o.owner.as_ref();
                o.lives()
                    && mark.is_some_and(|m| {
                        *m.address.name == **network
                            && self.world.lineages()[m.lineage as usize] == request.owner.lineage
                    })
            };
            let networks = Key::first(Kind::Network)..=Key::last(Kind::Network);
            if !self.world.objects.range(networks).any(|(_, o)| owned(&o)) {
                return Err(invalid("network", format!("there is no network `{network}`")));
            }
        }
        let none = || invalid("offering", format!("there is no offering `{}`", host.offering));
        let offering = self.shop.offerings.get(&host.offering).ok_or_else(none)?;
        let size = Size { vcpus: offering.vcpus, memory: offering.memory, disk: offering.disk };
        if size != host.size {
            return Err(invalid("size", format!("{} has another size", host.offering)));
        }
        Ok(offering.price.0)
    }

    fn admit_volume(&self, volume: &VolumeSpec) -> Result<i64, ProviderError> {
        self.zone_exists(&volume.zone)?;
        if volume.size == Bytes(0) {
            return Err(invalid("size", "a volume must have a size"));
        }
        self.volume_price(&volume.backend, volume.size)
    }

    pub fn volume_price(&self, backend: &Text, size: Bytes) -> Result<i64, ProviderError> {
        let none = || invalid("backend", format!("there is no backend `{backend}`"));
        Ok(self.shop.storage.get(backend).ok_or_else(none)?.price_of(size))
    }

    pub fn image_exists(&self, image: &str) -> Result<(), ProviderError> {
        match IMAGES.contains(&image) {
            true => Ok(()),
            false => Err(invalid("image", format!("there is no image `{image}`"))),
        }
    }

    fn zone_exists(&self, zone: &str) -> Result<(), ProviderError> {
        match self.shop.spec.zones.iter().any(|z| z.as_str() == zone) {
            true => Ok(()),
            false => Err(invalid("zone", format!("there is no zone `{zone}`"))),
        }
    }

    fn in_stock(&self, host: &HostSpec) -> Result<(), ProviderError> {
        match self.shop.left(self.world, &host.zone, &host.offering) {
            Some(0) => Err(ProviderError::NoCapacity(format!("{} is sold out in {}", host.offering, host.zone).into())),
            _ => Ok(()),
        }
    }

    /// Whether a host can stand on the machine that it names: in its zone, with room beside all that is there. `now` is
    /// the machine that it stands on already.
    pub fn on_machine(&self, host: &HostSpec, now: Option<&Text>) -> Result<(), ProviderError> {
        let Some(name) = &host.machine else {
            return match self.shop.machines.values().any(|machine| *machine.zone == *host.zone) {
                true if now.is_none() && host.existing.is_none() => {
                    Err(invalid("machine", format!("hosts in zone {} stand on machines, and none is named", host.zone)))
                }
                true | false => Ok(()),
            };
        };
        if now == Some(name) {
            return Ok(());
        }
        let machine = self.shop.machines.get(name).filter(|machine| *machine.zone == *host.zone);
        let machine = machine.ok_or_else(|| invalid("machine", format!("there is no `{name}` in {}", host.zone)))?;
        let used = self.world.used.machines.get(name).copied().unwrap_or_default();
        let fits = used.vcpus + u64::from(host.size.vcpus) <= u64::from(machine.size.vcpus)
            && used.memory + host.size.memory.0 <= machine.size.memory.0
            && used.disk + host.size.disk.0 <= machine.size.disk.0;
        match fits {
            true => Ok(()),
            false => Err(ProviderError::NoCapacity(format!("machine {name} is full").into())),
        }
    }

    /// Whether a backend can give `more` bytes.
    pub fn has_room(&self, backend: &Text, more: Bytes) -> Result<(), ProviderError> {
        let capacity = self.shop.storage.get(backend).map_or(0, |s| s.capacity.0);
        let used = self.world.used.storage.get(backend).copied().unwrap_or(0);
        match used.saturating_add(more.0) <= capacity {
            true => Ok(()),
            false => Err(ProviderError::NoCapacity(format!("{backend} is full").into())),
        }
    }

    /// Whether the account may have this on top of what it has. `storage` of the quota is by backend: a cloud knows no tiers.
    pub fn within_quota(&self, spec: &Spec, price: i64) -> Result<(), ProviderError> {
        let quota = &self.shop.spec.quota;
        let mut then = self.world.used.clone();
        then.add(spec, price);
        let exceeded = |what: String| Err(ProviderError::QuotaExceeded(what.into()));
        let Use { hosts, vcpus, memory, cost, .. } = &then;
        let counts = [
            ("hosts", *hosts, quota.hosts),
            ("vcpus", *vcpus, quota.vcpus),
            ("memory", *memory, quota.memory.map(|b| b.0)),
        ];
        if let Some((what, wanted, limit)) = counts.iter().find(|(_, wanted, limit)| limit.is_some_and(|l| *wanted > l))
        {
            return exceeded(format!("{what}: {wanted} of {}", limit.unwrap_or(0)));
        }
        let month = Money(i64::try_from(*cost).unwrap_or(i64::MAX / 1000)).per_month();
        if quota.cost.is_some_and(|limit| month > limit) {
            return exceeded(format!("cost: {month} per month"));
        }
        let over = quota.storage.iter().find(|(backend, limit)| {
            let name = format!("{}/{backend}", self.shop.name);
            then.storage.get(name.as_str()).is_some_and(|bytes| *bytes > limit.0)
        });
        match over {
            Some((backend, limit)) => exceeded(format!("storage.{backend}: more than {limit}")),
            None => Ok(()),
        }
    }
}

/// Volumes are made and kept detached; where they are attached stands beside the spec.
pub(super) fn detached(mut spec: Spec) -> Spec {
    if let Spec::Volume(volume) = &mut spec {
        volume.attached = None;
    }
    spec
}
