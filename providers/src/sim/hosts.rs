//! Addresses and host keys of simulated hosts.

use pool_inventory::{
    Kind, Text,
    object::{Endpoint, Status},
};

use super::object::Object;

/// Hosts per value of an address byte; keeps clear of .0 and .255.
const PER_BYTE: u64 = 250;

/// Where a host answers; only hosts that run do.
pub(super) fn endpoint(object: &Object, status: &Status, salt: u64) -> Option<Endpoint> {
    if object.key.kind != Kind::Host || *status != Status::Ready {
        return None;
    }
    Some(Endpoint { host: address(object.key.seq, salt), port: 22, host_keys: vec![host_key(object, salt)] })
}

/// An address that no other host of this cloud has had; the salt keeps two clouds of one inventory apart.
fn address(seq: u64, salt: u64) -> Text {
    let high = (salt + seq / (PER_BYTE * PER_BYTE)) % 256;
    format!("10.{high}.{}.{}", seq / PER_BYTE % PER_BYTE, seq % PER_BYTE + 1).into()
}

/// A well-formed Ed25519 key that nobody has the private part of; a rebuilt host has another.
fn host_key(object: &Object, salt: u64) -> Text {
    let token = object.owner.as_ref().map_or("", |owner| owner.token.0.as_ref());
    let text = format!("host key\n{salt}\n{}\n{token}\n{}", object.key, object.incarnation);
    let mut wire = vec![0, 0, 0, 11];
    wire.extend_from_slice(b"ssh-ed25519\0\0\0\x20");
    wire.extend_from_slice(blake3::hash(text.as_bytes()).as_bytes());
    format!("ssh-ed25519 {}", base64(&wire)).into()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, i| word << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn base64_pads_as_the_standard_says() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_hundred_thousand_hosts_have_addresses_of_their_own() {
        let all: BTreeSet<Text> = (1..=100_000).map(|seq| address(seq, 255)).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|a| a.parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.octets()[0] == 10)));
    }
}
