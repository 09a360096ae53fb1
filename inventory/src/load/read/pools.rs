//! Pools.

use std::collections::BTreeMap;

use super::{
    Reader,
    existing::{Sort, base_access},
    known::What,
    places::{Places, can},
    providers::images_of,
    rules::ordinal_of,
    runtimes::Registries,
};
use crate::{
    desired::{
        ArtifactFile, ArtifactRef, IMAGES, Needs, NetworkDecl, OnRemove, PoolSpec, PoolVolume, ProviderSpec, Size,
    },
    load::suggest::hint,
    names::{Address, Kind, Name, Text},
    units::{Bytes, FileMode},
    yaml::{Entry, Node},
};

pub type Providers = BTreeMap<Name, ProviderSpec>;
type Images = BTreeMap<Name, BTreeMap<Name, Text>>;

impl<'n, 's> Reader<'n, 's> {
    pub fn pools(
        &mut self,
        providers: &Providers,
        networks: &BTreeMap<Name, NetworkDecl>,
        images: &mut Images,
        registries: &Registries,
    ) -> BTreeMap<Name, PoolSpec> {
        let mut pools = BTreeMap::new();
        for entry in self.section("pools") {
            let mut pool = self.pool(entry, providers, networks, images);
            if let Some(bootstrap) = entry.value.get("bootstrap") {
                pool.bootstrap.runtime = self.runtime(bootstrap, registries);
                let images = pool.bootstrap.runtime.iter().flat_map(|runtime| &runtime.images);
                let files =
                    images.map(|(name, artifact)| (format!("{IMAGES}/{name}.tar").into(), image_file(artifact)));
                pool.bootstrap.artifact_files.extend(files.collect::<Vec<_>>());
            }
            if let Ok(name) = Name::new(&entry.key) {
                pools.insert(name, pool);
            }
        }
        pools
    }

    fn pool(
        &mut self,
        entry: &'n Entry<'s>,
        providers: &Providers,
        networks: &BTreeMap<Name, NetworkDecl>,
        images: &mut Images,
    ) -> PoolSpec {
        let node = &entry.value;
        let sort = Sort::of(node);
        let named = sort != Sort::Made;
        let tenant = self.tenant_of(node);
        let place = self.place(node, sort);
        let places = self.candidates(entry, &place, sort, providers);
        let network = node.get("network").and_then(|at| self.reference(at, What::Network));
        let declared = network.as_ref().and_then(|name| networks.get(name));
        if let Some(at) = node.get("network") {
            self.check_network(at, declared, &tenant, &places);
        }
        if named {
            self.refuse_for_named(entry);
        } else if node.get("hosts").is_some() {
            self.require_for_made(entry);
            self.refuse_where_impossible(entry, &places);
        }
        let base = base_access(&places, sort);
        let own = node.get("ssh").map(|ssh| self.access(ssh, &base));
        if !can(&places, &["openstack"]) {
            self.refuse_console(node, &format!("pools.{}", entry.key));
        }
        let needs: Needs = node.get("size").filter(|_| !named).map(|size| self.needs(size)).unwrap_or_default();
        if let Some(arch) = needs.arch {
            self.check_arch(entry, arch);
        }
        let image = node.get("image").filter(|_| !named).and_then(|at| self.image(at, &places, images));
        PoolSpec {
            tenant,
            class: node.get("class").and_then(|at| self.reference(at, What::Class)),
            addresses: if named { BTreeMap::new() } else { self.addresses(entry, declared) },
            public: if named { None } else { self.public(node, declared) },
            root: node.get("root").and_then(|root| self.reference(root.get("tier")?, What::Tier)),
            hosts: self.hosts(entry, own.as_ref().unwrap_or(&base), sort),
            size: node.get("size").filter(|_| !named).map(|size| self.size(size)),
            needs,
            image,
            network,
            place,
            bootstrap: node.get("bootstrap").map(|spec| self.bootstrap(spec)).unwrap_or_default(),
            volumes: self.volumes(entry, &places),
            labels: self.labels(node),
            ignore_changes: self.ignored(node),
            ssh: own,
            protected: self.flag(node, "protected", false),
        }
    }

    fn require_for_made(&mut self, entry: &Entry<'_>) {
        for key in ["size", "image"] {
            if entry.value.get(key).is_none() {
                let message = format!("missing key `{key}` in pools.{}", entry.key);
                self.say(entry.at, message, "needed where `hosts` says how many");
            }
        }
    }

    fn size(&mut self, node: &Node<'_>) -> Size {
        Size {
            vcpus: self.value(node, "vcpus", 1),
            memory: self.value(node, "memory", Bytes(0)),
            disk: self.value(node, "disk", Bytes(0)),
        }
    }

    fn needs(&mut self, size: &Node<'_>) -> Needs {
        Needs {
            arch: self.word(size, "arch"),
            gpus: self.value(size, "gpus", 0),
            features: self.texts(size, "features"),
        }
    }

    /// A declared image, or one that providers call by this very name.
    fn image(&mut self, at: &Node<'_>, places: &Places<'_>, images: &mut Images) -> Option<Name> {
        let name = self.name(at)?;
        if !images.contains_key(&name) {
            let known = self.known.names(What::Provider).filter(|provider| {
                let kind = self.known.provider_type(provider).unwrap_or("");
                images_of(kind).contains(&name.as_str())
            });
            let own: BTreeMap<Name, Text> =
                known.filter_map(|provider| Some((Name::new(provider).ok()?, name.as_str().into()))).collect();
            if own.is_empty() {
                if places.is_empty() {
                    return None; // where it should be looked for is not known either
                }
                let brought = places.iter().flat_map(|(_, spec)| images_of(spec.kind.as_str()).iter().copied());
                let mut all: Vec<&str> = brought.chain(images.keys().map(Name::as_str)).collect();
                all.sort_unstable();
                all.dedup();
                self.say(at.span, format!("unknown image `{name}`"), hint(&name, all.iter().copied()));
                return None;
            }
            images.insert(name.clone(), own);
        }
        let there = &images[&name];
        if !places.is_empty() && !places.iter().any(|(provider, _)| there.contains_key(*provider)) {
            let on: Vec<&str> = places.iter().map(|(provider, _)| provider.as_str()).collect();
            let message = format!("image `{name}` is on none of the providers of this pool ({})", on.join(", "));
            let has: Vec<&str> =
                places.iter().flat_map(|(_, spec)| images_of(spec.kind.as_str()).iter().copied()).collect();
            self.say(
                at.span,
                message,
                if has.is_empty() { String::new() } else { format!("they have {}", has.join(", ")) },
            );
        }
        Some(name)
    }

    fn volumes(&mut self, pool: &'n Entry<'s>, places: &Places<'_>) -> BTreeMap<Name, PoolVolume> {
        let entries = pool.value.get("volumes").map(Node::entries).unwrap_or_default();
        let mut mounts: BTreeMap<Text, &Entry<'_>> = BTreeMap::new();
        self.map(entries, |this, entry| {
            let node = &entry.value;
            let mount = this.text(node, "mount");
            if let (Some(path), Some(at)) = (&mount, node.get("mount")) {
                if &**path == "/" {
                    this.say(at.span, "a volume cannot be mounted at `/`", "");
                }
                if let Some(other) = mounts.insert(path.clone(), entry) {
                    let message = format!("volumes `{}` and `{}` are both mounted at {path}", other.key, entry.key);
                    this.say(at.span, message, "");
                }
            }
            let tier = node.get("tier").and_then(|at| this.reference(at, What::Tier));
            let size = this.value(node, "size", Bytes(0));
            if let (Bytes(0), Some(at)) =
                (size, node.get("size").filter(|at| at.text().is_some_and(|t| t.starts_with('0'))))
            {
                this.say(at.span, format!("volume `{}` has no size", entry.key), "");
            }
            PoolVolume {
                size,
                tier: tier.unwrap_or_else(super::known::default_tenant),
                mount,
                on_remove: this.word(node, "on_remove").unwrap_or(OnRemove::Keep),
                protected: this.flag(node, "protected", false),
                from: this.first_content(&pool.key, entry, places),
            }
        })
    }

    /// The volume, snapshot or backup that a volume begins as.
    fn first_content(&mut self, pool: &str, entry: &Entry<'_>, places: &Places<'_>) -> Option<Address> {
        let at = entry.value.get("from")?;
        let from: Address = at.text()?.parse().ok()?;
        let volume = from.volume_of_copy().unwrap_or_else(|| from.clone());
        let host_and_name = (volume.kind == Kind::Volume).then(|| volume.name.split_once('.')).flatten();
        let Some((host, name)) = host_and_name else {
            self.say(
                at.span,
                format!("{from} is not a volume, snapshot or backup"),
                "as in snapshot/web-0.data.monday",
            );
            return None;
        };
        if !can(places, &["openstack", "sim"]) {
            self.say(at.span, format!("nothing can be copied into volumes of pools.{pool}"), COPIES);
        }
        if from.kind == Kind::Volume && name == entry.key && ordinal_of(host, |other| other == pool).is_some() {
            self.say(at.span, format!("{from} would be a copy of itself"), "name a snapshot of it, or another volume");
        }
        Some(from)
    }

    fn ignored(&mut self, node: &Node<'_>) -> Vec<Text> {
        for item in node.get("ignore_changes").map(Node::items).unwrap_or_default() {
            let Some(field) = item.text() else { continue };
            let known = IGNORABLE.contains(&field) || field.strip_prefix("tags.").is_some_and(|tag| !tag.is_empty());
            if !known {
                let note = hint(field, IGNORABLE.iter().copied());
                self.say(item.span, format!("`{field}` is not a field that can be ignored"), note);
            }
        }
        self.texts(node, "ignore_changes")
    }
}

const COPIES: &str = "only providers of type openstack and sim make volumes from others";

/// Fields of hosts and volumes whose drift can be left alone, besides `tags.NAME`.
const IGNORABLE: [&str; 9] = [
    "authorized_keys",
    "image",
    "offering",
    "provisioning",
    "size",
    "size.disk",
    "size.memory",
    "size.vcpus",
    "tags.*",
];

/// An archive of images as a file of a host.
fn image_file(artifact: &ArtifactRef) -> ArtifactFile {
    let root = || Some(Text::from("0"));
    ArtifactFile { artifact: artifact.clone(), mode: FileMode(0o600), owner: root(), group: root() }
}
