//! What is recorded stands for what a provider cannot tell.

use std::collections::BTreeSet;

use super::{CopySpec, HostSpec, NetworkSpec, Spec, VolumeSpec};
use crate::names::Text;

impl Spec {
    /// Takes over these fields of another spec of the same kind, by the names that [`Spec::changes`] uses; `size` and
    /// `tags` are whole, and `mount` is that of a volume that is attached.
    pub fn fill(&mut self, fields: &BTreeSet<Text>, from: &Spec) {
        let fields = fields.iter().map(|field| &**field);
        match (self, from) {
            (Spec::Host(to), Spec::Host(from)) => fields.for_each(|field| to.fill(field, from)),
            (Spec::Volume(to), Spec::Volume(from)) => fields.for_each(|field| to.fill(field, from)),
            (Spec::Network(to), Spec::Network(from)) => fields.for_each(|field| to.fill(field, from)),
            (Spec::Snapshot(to), Spec::Snapshot(from)) | (Spec::Backup(to), Spec::Backup(from)) => {
                fields.for_each(|field| to.fill(field, from));
            }
            _ => {}
        }
    }
}

impl HostSpec {
    fn fill(&mut self, field: &str, from: &Self) {
        match field {
            "offering" => self.offering.clone_from(&from.offering),
            "region" => self.region.clone_from(&from.region),
            "zone" => self.zone.clone_from(&from.zone),
            "size" => self.size = from.size,
            "size.vcpus" => self.size.vcpus = from.size.vcpus,
            "size.memory" => self.size.memory = from.size.memory,
            "size.disk" => self.size.disk = from.size.disk,
            "image" => self.image.clone_from(&from.image),
            "network" => self.network.clone_from(&from.network),
            "tags" => self.tags.clone_from(&from.tags),
            "user" => self.user.clone_from(&from.user),
            "authorized_keys" => self.authorized_keys.clone_from(&from.authorized_keys),
            "address" => self.at.clone_from(&from.at),
            "addresses" => self.address = from.address,
            "public" => self.public.clone_from(&from.public),
            "apart" => self.apart = from.apart,
            "root" => self.root.clone_from(&from.root),
            "trust" => self.console_keys = from.console_keys,
            "existing" => self.existing.clone_from(&from.existing),
            "machine" => self.machine.clone_from(&from.machine),
            _ => {}
        }
    }
}

impl VolumeSpec {
    fn fill(&mut self, field: &str, from: &Self) {
        match field {
            "tier" => self.tier.clone_from(&from.tier),
            "backend" => self.backend.clone_from(&from.backend),
            "zone" => self.zone.clone_from(&from.zone),
            "size" => self.size = from.size,
            "provisioning" => self.provisioning = from.provisioning,
            "tags" => self.tags.clone_from(&from.tags),
            "attached" => self.attached.clone_from(&from.attached),
            "mount" => {
                if let (Some(to), Some(from)) = (&mut self.attached, &from.attached) {
                    to.mount.clone_from(&from.mount);
                }
            }
            "on_remove" => self.on_remove = from.on_remove,
            "from" => self.from.clone_from(&from.from),
            "existing" => self.existing.clone_from(&from.existing),
            _ => {}
        }
    }
}

impl NetworkSpec {
    fn fill(&mut self, field: &str, from: &Self) {
        match field {
            "cidr" => self.cidr = from.cidr,
            "existing" => self.existing.clone_from(&from.existing),
            "router" => self.router.clone_from(&from.router),
            "dhcp" => self.dhcp = from.dhcp,
            "dns" => self.dns.clone_from(&from.dns),
            "ingress" => self.ingress.clone_from(&from.ingress),
            "egress" => self.egress.clone_from(&from.egress),
            "tags" => self.tags.clone_from(&from.tags),
            _ => {}
        }
    }
}

impl CopySpec {
    fn fill(&mut self, field: &str, from: &Self) {
        match field {
            "of" => self.of.clone_from(&from.of),
            "tier" => self.tier.clone_from(&from.tier),
            "backend" => self.backend.clone_from(&from.backend),
            "size" => self.size = from.size,
            "tags" => self.tags.clone_from(&from.tags),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        desired::{Apart, OnRemove, Provisioning, Rule, Size},
        names::{Address, Name},
        object::{Attachment, Endpoint, RootDisk},
        units::Bytes,
    };

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn host() -> HostSpec {
        HostSpec {
            offering: "m1".into(),
            region: "r".into(),
            zone: "z".into(),
            size: Size { vcpus: 1, memory: Bytes::gib(1), disk: Bytes::gib(1) },
            image: "debian".into(),
            network: Some(name("front")),
            tags: [("team".into(), "a".into())].into(),
            user: "pool".into(),
            authorized_keys: vec!["ssh-ed25519 AAAA".into()],
            at: Some(Endpoint { host: "192.0.2.1".into(), port: 22, host_keys: Vec::new() }),
            address: Some([10, 0, 0, 7].into()),
            public: Some("public".into()),
            apart: Some(Apart::Must),
            root: Some(RootDisk { tier: name("high"), backend: "p/gold".into(), size: Bytes::gib(9) }),
            console_keys: true,
            existing: Some("id".into()),
            machine: Some("m-1".into()),
        }
    }

    /// Every field that two specs can differ in can be taken over, and nothing else is.
    fn every_difference_can_be_filled(full: &Spec, empty: &Spec) {
        let changes = empty.changes(full);
        assert!(changes.len() > 3, "{changes:?}");
        for change in &changes {
            let field: Text = change.field.split_once('.').map_or(&*change.field, |(head, _)| head).into();
            let mut filled = empty.clone();
            filled.fill(&[field.clone()].into(), full);
            let left = filled.changes(full);
            assert!(left.iter().all(|left| !left.field.starts_with(&*field) || left.field.starts_with("addresses")));
            assert!(left.len() < changes.len(), "{field} was not filled");
        }
        let mut filled = empty.clone();
        let all = changes.iter().map(|change| change.field.split('.').next().unwrap_or_default().into()).collect();
        filled.fill(&all, full);
        assert_eq!(filled.changes(full), []);
    }

    #[test]
    fn all_fields_of_hosts_volumes_networks_and_copies() {
        every_difference_can_be_filled(&Spec::Host(host()), &Spec::Host(HostSpec::default()));

        let volume = |n: u64| VolumeSpec {
            tier: name(&format!("t{n}")),
            backend: format!("b{n}").into(),
            zone: format!("z{n}").into(),
            size: Bytes::gib(n),
            provisioning: if n > 1 { Provisioning::Thin } else { Provisioning::Thick },
            tags: [("n".into(), n.to_string().into())].into(),
            attached: (n > 1).then(|| Attachment { host: Address::host("web-1"), mount: Some("/srv".into()) }),
            on_remove: if n > 1 { OnRemove::Keep } else { OnRemove::Delete },
            from: None,
            existing: (n > 1).then(|| "id".into()),
        };
        every_difference_can_be_filled(&Spec::Volume(volume(2)), &Spec::Volume(volume(1)));

        let mut full = NetworkSpec::new("10.0.0.0/24".parse().expect("a range"));
        let mut empty = full.clone();
        (empty.cidr, empty.dhcp) = (None, false);
        (full.existing, full.router) = (Some("a".into()), Some("public".into()));
        full.dns = vec![[192, 0, 2, 53].into()];
        full.tags = [("team".into(), "a".into())].into();
        let rule = Rule { peer: crate::desired::Peer::Any, protocol: crate::desired::Protocol::Tcp, ports: None };
        full.ingress = [(name("ssh"), rule.clone())].into();
        full.egress = [(name("all"), rule)].into();
        every_difference_can_be_filled(&Spec::Network(full), &Spec::Network(empty));

        let copy = |n: u64| CopySpec {
            of: Address::volume(&format!("web-{n}"), "data"),
            tier: name(&format!("t{n}")),
            backend: format!("b{n}").into(),
            size: Bytes::gib(n),
            tags: [("n".into(), n.to_string().into())].into(),
        };
        every_difference_can_be_filled(&Spec::Backup(copy(1)), &Spec::Backup(copy(2)));
    }

    #[test]
    fn a_mount_point_is_taken_over_only_where_the_volume_is_attached() {
        let at = |mount: Option<&str>| Some(Attachment { host: Address::host("web-1"), mount: mount.map(Into::into) });
        let spec = |attached| {
            Spec::Volume(VolumeSpec {
                tier: name("t"),
                backend: "b".into(),
                zone: "".into(),
                size: Bytes::gib(1),
                provisioning: Provisioning::Thin,
                tags: [].into(),
                attached,
                on_remove: OnRemove::Keep,
                from: None,
                existing: None,
            })
        };
        let fields = ["mount".into()].into();
        let (mut attached, mut detached) = (spec(at(None)), spec(None));
        attached.fill(&fields, &spec(at(Some("/srv"))));
        detached.fill(&fields, &spec(at(Some("/srv"))));
        assert_eq!(attached, spec(at(Some("/srv"))));
        assert_eq!(detached, spec(None));
    }
}
