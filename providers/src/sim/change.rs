//! Changes of objects that exist, and their end.

use std::collections::BTreeMap;

use pool_inventory::{
    Bytes, Kind, Text, Token,
    market::{Capabilities, Change, Feature, PATIENCE},
    object::{Attachment, HostSpec, Spec, Status, VolumeSpec},
};

use super::{
    cloud::{Cloud, Fate, broken},
    create::{detached, invalid},
    object::{Attached, Key, NEVER, Object},
    world::Effect,
};
use crate::{Progress, ProviderError};

/// What the simulated cloud can do.
pub(super) fn capabilities(spec: &pool_inventory::desired::SimSpec) -> Capabilities {
    let table = |rows: &[(&str, Change)]| -> BTreeMap<Text, Change> {
        rows.iter().map(|(field, change)| (Text::from(*field), *change)).collect()
    };
    let in_place = Change::InPlace;
    let host = [
        ("tags.*", in_place),
        ("machine", in_place),
        ("image", Change::Rebuild),
        ("authorized_keys", Change::Rebuild),
        ("user", Change::Rebuild),
    ];
    let volume = [("tags.*", in_place), ("size", in_place), ("attached", in_place), ("on_remove", in_place)];
    let network = ["tags.*", "router", "dhcp", "dns", "ingress.*", "egress.*"].map(|field| (field, in_place));
    use Feature::{
        Adopting, Apart, Backups, EnforcedSize, Mounts, Networks, Owners, Packages, Power, Routers, Rules, Services,
        Snapshots, Sysctl, Users,
    };
    let hosts = [Packages, Users, Services, Sysctl, Owners, Power, Adopting];
    let others = [EnforcedSize, Mounts, Networks, Rules, Routers, Snapshots, Backups];
    Capabilities {
        changes: [(Kind::Host, table(&host)), (Kind::Volume, table(&volume)), (Kind::Network, table(&network))].into(),
        features: hosts.into_iter().chain(others).chain((!spec.machines.is_empty()).then_some(Apart)).collect(),
        creates: true,
        batch: spec.page as usize,
        visibility_delay: spec.visibility,
        doubt: pool_inventory::TimeSpan(0),
        patience: spec.patience.unwrap_or(PATIENCE),
        calls: 64,
        poll: pool_inventory::TimeSpan(0),
        unseen: BTreeMap::new(),
    }
}

/// What is asked of something that was taken over, without what is recorded of it alone: this cloud knows of no taking
/// over.
fn as_told(to: &Spec, from: &Spec) -> Spec {
    match (to, from) {
        (Spec::Host(to), Spec::Host(from)) if to.existing.is_some() => Spec::Host(HostSpec {
            existing: from.existing.clone(),
            network: from.network.clone(),
            user: from.user.clone(),
            authorized_keys: from.authorized_keys.clone(),
            at: from.at.clone(),
            console_keys: from.console_keys,
            ..to.clone()
        }),
        (Spec::Volume(to), Spec::Volume(from)) if to.existing.is_some() => {
            Spec::Volume(VolumeSpec { existing: from.existing.clone(), tier: from.tier.clone(), ..to.clone() })
        }
        _ => to.clone(),
    }
}

impl Cloud<'_> {
    /// What exists and is nobody's, as it is; nothing is changed.
    pub fn take_over(&self, id: &Text, kind: Kind) -> Result<Progress, ProviderError> {
        let object = self.get(id, kind)?;
        match object.owner {
            Some(_) => Err(ProviderError::AlreadyExists(id.clone())),
            None => Ok(self.progress(&object)),
        }
    }

    /// The living object with an id, if it is of a kind.
    fn get(&self, id: &Text, kind: Kind) -> Result<Object, ProviderError> {
        let found = self.world.living(id).filter(|o| o.key.kind == kind);
        found.cloned().ok_or_else(|| ProviderError::NotFound(id.clone()))
    }

    fn changed(&mut self, object: Object, token: &Token, fate: Fate) -> Result<Progress, ProviderError> {
        let object = match fate {
            Fate::Normal => object,
            Fate::Broken => Object { failed: Some(broken()), ..object },
            Fate::Stuck => Object { ready: NEVER, ..object },
            Fate::Slow(longer) => Object { ready: object.ready.max(self.now()).saturating_add(longer.0), ..object },
        };
        self.change(Effect::Changed(object.clone(), Some(token.clone())))?;
        Ok(self.progress(&object))
    }

    /// Refuses to change what has to be replaced or rebuilt for it.
    fn allow(&self, from: &Spec, to: &Spec, up_to: Change) -> Result<(), ProviderError> {
        let can = &self.shop.can;
        let change = from.changes(to).into_iter().find(|c| can.change(from.kind(), &c.field) > up_to);
        match change {
            Some(change) => {
                Err(invalid(&change.field, format!("it cannot change from {} to {} here", change.from, change.to)))
            }
            None => Ok(()),
        }
    }

    pub fn update(
        &mut self,
        token: &Token,
        id: &Text,
        to: &Spec,
        host: Option<&str>,
        fate: Fate,
    ) -> Result<Progress, ProviderError> {
        let mut object = self.get(id, to.kind())?;
        let from = self.world.observe(&object).spec;
        let to = &as_told(to, &from);
        self.allow(&from, to, Change::InPlace)?;
        if from == *to {
            return Ok(self.progress(&object));
        }
        if let (Spec::Volume(from), Spec::Volume(to)) = (&from, to) {
            self.grow(&mut object, from, to)?;
            if from.attached != to.attached {
                object.attached = self.attach(&object, to, host)?;
            }
        }
        if let (Spec::Host(from), Spec::Host(to)) = (&from, to) {
            self.on_machine(to, from.machine.as_ref())?;
        }
        object.spec = self.intern(detached(to.clone()))?;
        self.changed(object, token, fate)
    }

    fn grow(&self, object: &mut Object, from: &VolumeSpec, to: &VolumeSpec) -> Result<(), ProviderError> {
        if to.size < from.size {
            return Err(invalid("size", format!("a volume cannot shrink from {} to {}", from.size, to.size)));
        }
        let more = Bytes(to.size.0 - from.size.0);
        let price = self.volume_price(&to.backend, to.size)?;
        if more.0 > 0 {
            let difference = Spec::Volume(VolumeSpec { size: more, ..from.clone() });
            self.within_quota(&difference, price - object.price)?;
            self.has_room(&to.backend, more)?;
        }
        object.price = price;
        Ok(())
    }

    /// Where the volume is attached when this is done.
    fn attach(&self, object: &Object, to: &VolumeSpec, host: Option<&str>) -> Result<Option<Attached>, ProviderError> {
        let Some(Attachment { host: address, mount }) = &to.attached else { return Ok(None) };
        let id = host.ok_or_else(|| invalid("attached", "the id of the host is missing"))?;
        let host = self.get(&id.into(), Kind::Host)?;
        match host.status(self.now()) {
            Status::Ready | Status::Stopped => {}
            status => return Err(ProviderError::Conflict(format!("{id} is {status:?}").to_lowercase().into())),
        }
        if let Some(other) = object.attached.as_ref().filter(|a| a.host != host.key) {
            let text = format!("{} is attached to {}", object.key, other.host);
            return Err(ProviderError::Conflict(text.into()));
        }
        let zone = self.world.spec(&host).host().map(|h| h.zone.clone());
        if zone.as_ref() != Some(&to.zone) {
            return Err(invalid("attached", format!("{id} is not in zone {}", to.zone)));
        }
        Ok(Some(Attached { host: host.key, address: address.clone(), mount: mount.clone() }))
    }

    pub fn rebuild(&mut self, token: &Token, id: &Text, to: &HostSpec, fate: Fate) -> Result<Progress, ProviderError> {
        let object = self.get(id, Kind::Host)?;
        let from = self.world.spec(&object).clone();
        let (image, to) = (to.image.clone(), Spec::Host(to.clone()));
        self.allow(&from, &to, Change::Rebuild)?;
        let healthy = object.failed.is_none() && object.ready != NEVER;
        if from == to && healthy {
            return Ok(self.progress(&object));
        }
        self.image_exists(&image)?;
        if let (Spec::Host(from), Spec::Host(to)) = (&from, &to) {
            self.on_machine(to, from.machine.as_ref())?;
        }
        let spec = self.intern(to)?;
        let incarnation = object.incarnation + 1;
        let ready = self.now() + self.shop.spec.boot.0;
        self.changed(Object { spec, incarnation, ready, off: false, failed: None, ..object }, token, fate)
    }

    pub fn power(&mut self, token: &Token, id: &Text, on: bool, fate: Fate) -> Result<Progress, ProviderError> {
        let object = self.get(id, Kind::Host)?;
        match object.status(self.now()) {
            Status::Ready | Status::Stopped if object.off != on => Ok(self.progress(&object)),
            Status::Ready | Status::Stopped => {
                let ready = if on { self.now() + self.shop.spec.boot.0 } else { object.ready };
                self.changed(Object { off: !on, ready, ..object }, token, fate)
            }
            // Booting leads to "on" by itself.
            Status::Pending if on => Ok(self.progress(&object)),
            status => Err(ProviderError::Conflict(format!("{id} is {status:?}").to_lowercase().into())),
        }
    }

    pub fn restart(&mut self, token: &Token, id: &Text, fate: Fate) -> Result<Progress, ProviderError> {
        let object = self.get(id, Kind::Host)?;
        match object.status(self.now()) {
            Status::Ready => {
                let ready = self.now() + self.shop.spec.boot.0;
                self.changed(Object { ready, ..object }, token, fate)
            }
            // It starts already.
            Status::Pending => Ok(self.progress(&object)),
            status => Err(ProviderError::Conflict(format!("{id} is {status:?}").to_lowercase().into())),
        }
    }

    /// Gives a detached volume the content of a snapshot of it, or of any backup that fits.
    pub fn restore(
        &mut self,
        token: &Token,
        id: &Text,
        (from, kind): (&Text, Kind),
        fate: Fate,
    ) -> Result<Progress, ProviderError> {
        let volume = self.get(id, Kind::Volume)?;
        let copy = self.get(from, kind)?;
        if let Some(attached) = &volume.attached {
            return Err(ProviderError::Conflict(format!("{id} is attached to {}", attached.host).into()));
        }
        for object in [&volume, &copy] {
            match object.status(self.now()) {
                Status::Ready => {}
                // A restore that was asked for before goes on.
                Status::Pending if object.key == volume.key => return Ok(self.progress(&volume)),
                status => {
                    let text = format!("{} is {status:?}", object.key).to_lowercase();
                    return Err(ProviderError::Conflict(text.into()));
                }
            }
        }
        if kind == Kind::Snapshot && copy.of != Some(volume.key) {
            return Err(invalid("from", format!("{from} is no snapshot of {id}")));
        }
        let size = |object: &Object| {
            let spec = self.world.spec(object);
            spec.volume().map(|volume| volume.size).or_else(|| spec.copy().map(|copy| copy.size))
        };
        if size(&volume) < size(&copy) {
            return Err(invalid("from", format!("{id} is smaller than {from}")));
        }
        let ready = self.now() + self.shop.spec.boot.0;
        self.changed(Object { content: copy.content, ready, ..volume }, token, fate)
    }

    pub fn delete(&mut self, token: &Token, id: &Text, kind: Kind, fate: Fate) -> Result<Progress, ProviderError> {
        let object = self.get(id, kind)?;
        if let Some(attached) = &object.attached {
            return Err(ProviderError::Conflict(format!("{id} is attached to {}", attached.host).into()));
        }
        if kind == Kind::Network {
            self.unused(&object)?;
        }
        let snapshots = Key::first(Kind::Snapshot)..=Key::last(Kind::Snapshot);
        let of = |copy: &Object| copy.lives() && copy.of == Some(object.key);
        if kind == Kind::Volume && self.world.objects.range(snapshots).any(|(_, copy)| of(copy)) {
            return Err(ProviderError::Conflict(format!("{id} has snapshots").into()));
        }
        if fate == Fate::Broken {
            return Err(ProviderError::Other("simulated fault: it cannot be deleted".into()));
        }
        let ends = match fate {
            Fate::Stuck => Some(NEVER),
            Fate::Slow(longer) => Some(self.now().saturating_add(longer.0)),
            Fate::Normal | Fate::Broken => None,
        };
        // What leaves slowly does not leave sooner for being told again; what is stuck does.
        let ends = object.ends.or(ends);
        if let Some(ends) = ends {
            let ends = Some(ends).filter(|end| *end != NEVER);
            return self.changed(Object { leaving: true, ends, ..object }, token, Fate::Normal);
        }
        let until = self.seen_at("deleted", id);
        self.change(Effect::Deleted { id: object.key, until, token: Some(token.clone()) })?;
        Ok(Progress::Gone)
    }

    fn unused(&self, network: &Object) -> Result<(), ProviderError> {
        let Some(mark) = &network.owner else { return Ok(()) };
        let inside = |o: &Object| {
            let host = self.world.spec(o).host();
            o.lives()
                && o.owner.as_ref().is_some_and(|owner| owner.lineage == mark.lineage)
                && host.and_then(|h| h.network.as_ref()).is_some_and(|name| **name == *mark.address.name)
        };
        let hosts = self.world.objects.range(Key::first(Kind::Host)..=Key::last(Kind::Host));
        match hosts.filter(|(_, o)| inside(o)).count() {
            0 => Ok(()),
            count => Err(ProviderError::Conflict(format!("{} is in use by {count} hosts", network.key).into())),
        }
    }
}
