//! One recorded object, and one pool, in full.

use std::fmt::Write as _;

use pool_inventory::{
    Address, Name,
    desired::{Hosts, PoolSpec},
    object::{Recorded, Spec, Stage},
};

use super::{
    style::{BOLD, DIM, paint},
    table::Table,
    words,
};

/// Everything that is recorded of an object.
pub fn record(record: &Recorded) -> String {
    let mut rows = Rows(Vec::new());
    rows.add("where", words::object(&record.provider, &record.spec, record.price));
    rows.add("tenant", record.tenant.to_string());
    rows.some("pool", record.pool.as_ref());
    match &record.id {
        Some(id) => rows.add("id", id.to_string()),
        None => rows.add("id", "none: its creation was begun and has not been seen to end".to_owned()),
    }
    if let Some(at) = &record.endpoint {
        rows.add("address", format!("{}:{}", at.host, at.port));
        at.host_keys.iter().for_each(|key| rows.add("host key", key.to_string()));
    }
    spec(&mut rows, &record.spec);
    if let Some(host) = record.spec.host() {
        let done =
            record.bootstrapped.as_deref().map_or("not done, or not in full".to_owned(), |d| format!("done ({d})"));
        rows.add("bootstrap", done);
        let keys: Vec<_> = host.authorized_keys.iter().map(|key| key.split(' ').next().unwrap_or("key")).collect();
        rows.add("login", format!("{} ({})", host.user, keys.join(", ")));
    }
    if let Some(member) = &record.member {
        let stage = match &member.stage {
            Stage::Joined => member.version.to_string(),
            Stage::Joining { .. } => "joining was begun and not finished".to_owned(),
            Stage::Upgrading { to } => format!("{}; going to {to} was begun and not finished", member.version),
            Stage::Draining => format!("{}; drained", member.version),
            Stage::Leaving => "leaving was begun and not finished".to_owned(),
        };
        rows.add("member", format!("{} of {} · {stage}", member.role, member.cluster));
    }
    let flags =
        [(record.adopted, "adopted: released, never deleted"), (record.protected, "protected: never destroyed")];
    flags.iter().filter(|(set, _)| *set).for_each(|(_, text)| rows.add("note", (*text).to_owned()));
    if !record.needs.is_empty() {
        rows.add("needs", record.needs.iter().map(Address::to_string).collect::<Vec<_>>().join(", "));
    }
    rows.add("record", format!("generation {}, serial {}", record.generation, record.serial));
    format!("{}\n{}", paint(BOLD, &record.address.to_string()), rows.render())
}

fn spec(rows: &mut Rows, spec: &Spec) {
    match spec {
        Spec::Host(host) => {
            if !host.image.is_empty() {
                rows.add("image", host.image.to_string());
                rows.add("disk", host.size.disk.to_string());
            }
            rows.some("network", host.network.as_ref());
            rows.some("public address from", host.public.as_ref());
            rows.some("boots from", host.root.as_ref().map(|root| format!("{} {}", root.backend, root.size)).as_ref());
            rows.add("tags", words::labels(&host.tags));
        }
        Spec::Volume(volume) => {
            let attached = volume.attached.as_ref().map_or_else(|| "detached".to_owned(), words::attachment);
            rows.add("attached", attached);
            rows.add("space", format!("{:?}, on_remove: {:?}", volume.provisioning, volume.on_remove).to_lowercase());
            rows.add("tags", words::labels(&volume.tags));
        }
        Spec::Network(network) => {
            rows.some("router to", network.router.as_ref());
            for (direction, rules) in [("ingress", &network.ingress), ("egress", &network.egress)] {
                for (name, rule) in rules {
                    rows.add(direction, format!("{name}: {rule}"));
                }
            }
            rows.add("tags", words::labels(&network.tags));
        }
        Spec::Snapshot(copy) | Spec::Backup(copy) => {
            rows.add("of", copy.of.to_string());
            rows.add("tags", words::labels(&copy.tags));
        }
    }
}

/// A pool: what is declared, and its recorded objects.
pub fn pool(name: &Name, spec: Option<&PoolSpec>, records: &[&Recorded]) -> String {
    let mut text = format!("{}\n", paint(BOLD, &format!("pool/{name}")));
    match spec {
        Some(spec) => text.push_str(&declared(spec)),
        None => text.push_str("  not declared any more\n"),
    }
    let mut table = Table::new(&["object", "where and what"]);
    for record in records {
        table.row([record.address.to_string(), words::object(&record.provider, &record.spec, record.price)]);
    }
    let _ = if table.is_empty() {
        writeln!(text, "\nNothing of it is recorded.")
    } else {
        write!(text, "\n{}", table.render())
    };
    text
}

fn declared(spec: &PoolSpec) -> String {
    let mut rows = Rows(Vec::new());
    rows.add("tenant", spec.tenant.to_string());
    rows.some("class", spec.class.as_ref());
    rows.add(
        "hosts",
        match &spec.hosts {
            Hosts::Count(number) => number.to_string(),
            Hosts::Range { min, max } => format!("{min} to {max}, as many as there is room for"),
            Hosts::Named(named) => named.keys().map(Name::to_string).collect::<Vec<_>>().join(", "),
        },
    );
    if let Some(size) = &spec.size {
        rows.add("size", format!("{} vCPU · {} · {} disk", size.vcpus, size.memory, size.disk));
    }
    rows.some("image", spec.image.as_ref());
    rows.some("network", spec.network.as_ref());
    if !spec.place.on.is_empty() {
        rows.add("place", spec.place.on.iter().map(|place| place.0.to_string()).collect::<Vec<_>>().join(", "));
    }
    for (name, volume) in &spec.volumes {
        let mount = volume.mount.as_ref().map(|mount| format!(" at {mount}")).unwrap_or_default();
        rows.add("volume", format!("{name}: {} of {}{mount}", volume.size, volume.tier));
    }
    rows.add("labels", words::labels(&spec.labels));
    if spec.protected {
        rows.add("note", "protected: never destroyed".to_owned());
    }
    rows.render()
}

struct Rows(Vec<(&'static str, String)>);

impl Rows {
    fn add(&mut self, name: &'static str, value: String) {
        if !value.is_empty() {
            self.0.push((name, value));
        }
    }

    fn some<T: ToString>(&mut self, name: &'static str, value: Option<&T>) {
        self.add(name, value.map(T::to_string).unwrap_or_default());
    }

    fn render(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, value): &(&str, String)| format!("  {}  {value}\n", paint(DIM, &format!("{name:<width$}")));
        self.0.iter().map(line).collect()
    }
}
