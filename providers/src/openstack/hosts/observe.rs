//! Servers and lone ports, as the engine sees them. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pool_inventory::{
    Bytes, Kind, Name, Text,
    desired::Size,
    object::{Endpoint, HostSpec, Observed, Owner, Spec, Status},
};

use super::answers::{Fault, Port, Server};
use crate::openstack::{DOUBT, marks};

/// What a server's metadata says beside whose it is and its labels.
pub(super) mod keys {
    /// The image, as it was asked for.
    pub const IMAGE: &str = "pool_image";
    /// The image's id at that time.
    pub const IMAGE_ID: &str = "pool_image_id";
    /// The network, as the inventory calls it.
    pub const NETWORK: &str = "pool_network";
    /// The external network of its public address.
    pub const PUBLIC: &str = "pool_public";
    /// Digest of what it was told at its first start.
    pub const SETUP: &str = "pool_setup";
    /// Its public host key, or `console`; further ones, and parts of long ones, have a number behind.
    pub const HOST_KEY: &str = "pool_host_key";
}

/// The value of [`keys::HOST_KEY`] until the key was read from the console.
pub(super) const CONSOLE: &str = "console";

/// How an id begins that is that of a port.
const PORT: &str = "port:";

/// The port of an id that is none of a server.
pub(super) fn port_of_id(id: &str) -> Option<&str> {
    id.strip_prefix(PORT)
}

/// A server, as the engine sees it. `images` are names of images by id; `region` is where it is.
pub(super) fn observed(server: &Server, region: &Text, images: &BTreeMap<Text, Text>) -> Observed {
    let owner = marks::read_metadata(&server.metadata).filter(|owner| owner.address.kind == Kind::Host);
    let status = status(server);
    let endpoint = (status == Status::Ready).then(|| endpoint(server)).flatten();
    Observed {
        id: server.id.clone(),
        name: server.name.clone(),
        owner,
        status,
        spec: Spec::Host(spec(server, region, images)),
        endpoint,
    }
}

fn spec(server: &Server, region: &Text, images: &BTreeMap<Text, Text>) -> HostSpec {
    let says = |key: &str| server.metadata.get(key).cloned();
    let flavor = server.flavor.as_ref();
    let size = flavor.map_or_else(Size::default, |flavor| Size {
        vcpus: flavor.vcpus,
        memory: Bytes(flavor.ram << 20),
        disk: Bytes(flavor.disk << 30),
    });
    let mut offering = flavor.map_or_else(|| "".into(), |flavor| flavor.original_name.clone());
    if &*server.status == "VERIFY_RESIZE" {
        // A resize that was cut off: told as a difference, so that the next plan sees to its end.
        offering = format!("{offering}, not confirmed").into();
    }
    HostSpec {
        offering,
        region: region.clone(),
        zone: server.zone.clone().unwrap_or_default(),
        size,
        image: image(server, images),
        network: says(keys::NETWORK).and_then(|name| Name::new(&name).ok()),
        tags: marks::labels(&server.metadata),
        public: says(keys::PUBLIC),
        ..HostSpec::default()
    }
}

fn image(server: &Server, images: &BTreeMap<Text, Text>) -> Text {
    let (asked, id) = (server.metadata.get(keys::IMAGE), server.metadata.get(keys::IMAGE_ID));
    match (asked, server.image.id()) {
        // It boots from a volume: Nova does not say from which image that was made.
        (Some(asked), None) => asked.clone(),
        (Some(asked), now) if now == id => asked.clone(),
        (_, Some(now)) => images.get(now).unwrap_or(now).clone(),
        (None, None) => "".into(),
    }
}

/// How a server is.
pub(super) fn status(server: &Server) -> Status {
    let task = server.task.as_deref().unwrap_or_default();
    if matches!(task, "deleting" | "soft-deleting") {
        return Status::Deleting;
    }
    match &*server.status {
        "ACTIVE" | "VERIFY_RESIZE" | "PASSWORD" | "RESCUE" | "MIGRATING" => Status::Ready,
        "SHUTOFF" | "PAUSED" | "SUSPENDED" | "SHELVED" | "SHELVED_OFFLOADED" => Status::Stopped,
        "DELETED" | "SOFT_DELETED" => Status::Deleting,
        "ERROR" => Status::Failed(fault_text(server.fault.as_ref())),
        // The machine that it runs on does not answer: that is not known to be its end.
        "UNKNOWN" => Status::Ready,
        _ => Status::Pending,
    }
}

/// What Nova says went wrong.
pub(super) fn fault_text(fault: Option<&Fault>) -> Text {
    match fault {
        Some(Fault { code: 0 | 500, message }) => message.clone(),
        Some(Fault { code, message }) => format!("{message} ({code})").into(),
        None => "the server is in error, and Nova does not say why".into(),
    }
}

/// Where a server answers: its public address, else the first of its own.
pub(super) fn endpoint(server: &Server) -> Option<Endpoint> {
    let all = || server.addresses.values().flatten();
    let own = |version: u8| all().find(move |at| at.version == version && !at.floating());
    let at = all().find(|at| at.floating()).or_else(|| own(4)).or_else(|| own(6))?;
    Some(Endpoint { host: at.addr.clone(), port: 22, host_keys: host_keys(&server.metadata) })
}

fn host_keys(metadata: &BTreeMap<Text, Text>) -> Vec<Text> {
    let mut all: Vec<Text> = Vec::new();
    for part in (0..).map_while(|n| metadata.get(&*host_key_name(n))) {
        match all.last_mut() {
            // A key begins with its kind; what does not is the rest of the one before.
            Some(last) if !part.starts_with("ssh-") && !part.starts_with("ecdsa-") => {
                *last = format!("{last}{part}").into()
            }
            _ => all.push(part.clone()),
        }
    }
    all.retain(|key| &**key != CONSOLE);
    all
}

fn host_key_name(n: usize) -> String {
    if n == 0 { keys::HOST_KEY.into() } else { format!("{}.{n}", keys::HOST_KEY) }
}

/// Host keys as metadata; a value has at most 255 characters.
pub(super) fn host_key_metadata(keys: &[Text]) -> BTreeMap<Text, Text> {
    let parts = keys.iter().flat_map(|key| key.as_bytes().chunks(255));
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    parts.enumerate().map(|(n, part)| (host_key_name(n).into(), text(part).into())).collect()
}

/// A port of ours that no server has.
pub(super) fn lone_port(port: &Port, owner: Owner, now: Timestamp) -> Observed {
    let made = port.created_at.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
    let age = made.map(|made| now.duration_since(made).as_secs());
    // Its server may be on its way: a creation sends one request after the other.
    let young = age.is_some_and(|age| age < DOUBT.duration().as_secs().cast_signed());
    Observed {
        id: format!("{PORT}{}", port.id).into(),
        name: port.name.clone(),
        owner: Some(owner),
        status: if young { Status::Pending } else { Status::Failed("only its port is there".into()) },
        spec: Spec::Host(HostSpec::default()),
        endpoint: None,
    }
}

/// Whose a port is, if it is one of ours that no server has.
pub(super) fn lone_owner(port: &Port) -> Option<Owner> {
    let owner = marks::read_description(port.description.as_deref()?)?;
    (port.device_id.is_empty() && owner.address.kind == Kind::Host).then_some(owner)
}

/// Whether a server has an image whose name it does not say.
pub(super) fn image_is_unnamed(server: &Server) -> bool {
    let says = server.metadata.get(keys::IMAGE).and(server.metadata.get(keys::IMAGE_ID));
    server.image.id().is_some_and(|id| says != Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_keys_of_any_length_are_kept_in_metadata() {
        let rsa: Text = format!("ssh-rsa {}", "A".repeat(700)).into();
        let all: [&[Text]; 3] =
            [&["ssh-ed25519 AAAA".into()], std::slice::from_ref(&rsa), &["ssh-ed25519 AAAA".into(), rsa.clone()]];
        for keys in all {
            let metadata = host_key_metadata(keys);
            assert!(metadata.values().all(|value| value.len() <= 255));
            assert_eq!(host_keys(&metadata), keys);
        }
        assert_eq!(host_keys(&[(keys::HOST_KEY.into(), CONSOLE.into())].into()), Vec::<Text>::new());
    }
}
