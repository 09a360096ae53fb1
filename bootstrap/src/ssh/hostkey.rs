//! Whether the other side is who it should be, decided before anything is sent to it.

use std::sync::{Arc, OnceLock};

use pool_inventory::{Text, desired::Trust};
use russh::{
    Channel,
    client::{ChannelOpenHandle, Handler, Msg, Session},
    keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate},
};

/// SHA-256 fingerprint of a key, as OpenSSH shows it.
pub fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// The key that a host shows, once it was accepted.
pub(super) type Seen = Arc<OnceLock<PublicKey>>;

/// Decides on the host key.
pub(super) struct Check {
    known: Vec<PublicKey>,
    trust: Trust,
    seen: Seen,
}

/// Why a connection ended during its handshake.
#[derive(Debug)]
pub(super) enum Stop {
    /// The library's own reasons.
    Ssh(russh::Error),
    /// A known key exists, and this is another.
    Mismatch { expected: Vec<String>, found: String },
    /// No key is known and none may be learnt.
    Unknown { found: String },
}

impl From<russh::Error> for Stop {
    fn from(error: russh::Error) -> Self {
        Stop::Ssh(error)
    }
}

impl Check {
    pub(super) fn new(known: Vec<PublicKey>, trust: Trust) -> (Self, Seen) {
        let seen = Seen::default();
        (Self { known, trust, seen: seen.clone() }, seen)
    }

    fn decide(&self, key: &PublicKey) -> Result<(), Stop> {
        if self.known.iter().any(|known| known.key_data() == key.key_data()) {
            return Ok(());
        }
        match (self.known.is_empty(), self.trust) {
            (true, Trust::FirstContact) => Ok(()),
            (true, Trust::Pinned | Trust::Injected | Trust::Console) => Err(Stop::Unknown { found: fingerprint(key) }),
            (false, _) => {
                let expected = self.known.iter().map(fingerprint).collect();
                Err(Stop::Mismatch { expected, found: fingerprint(key) })
            }
        }
    }
}

impl Handler for Check {
    type Error = Stop;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Stop> {
        // Certificates are not asked for, so a plain key is what comes; a certificate is judged by the key in it.
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            PublicKeyOrCertificate::Certificate(certificate) => PublicKey::from(certificate.public_key().clone()),
        };
        self.decide(&key)?;
        // Rekeying asks again; the first answer stands, and a changed key fails above once it is known.
        let first = self.seen.get_or_init(|| key.clone());
        Ok(first.key_data() == key.key_data())
    }

    // We ask for no forwarding, so whatever the other side wants to open is refused: a reply that is dropped says no.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Stop> {
        Ok(())
    }
}

/// Reads the known keys of an endpoint; none if one of them cannot be read.
pub(super) fn parse(keys: &[Text]) -> Option<Vec<PublicKey>> {
    keys.iter().map(|key| PublicKey::from_openssh(key).ok()).collect()
}

/// The host key algorithms to ask for: those of known keys first, so that a host with several keys shows the known one.
pub(super) fn algorithms(known: &[PublicKey]) -> Vec<Algorithm> {
    let mut order: Vec<Algorithm> = known.iter().map(PublicKey::algorithm).collect();
    for algorithm in russh::Preferred::DEFAULT.key.iter() {
        if !order.contains(algorithm) {
            order.push(algorithm.clone());
        }
    }
    order.dedup();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::{PrivateKey, key::safe_rng};

    fn key() -> PublicKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap().public_key().clone()
    }

    #[test]
    fn a_known_key_is_accepted_whatever_its_comment() {
        let mut known = key();
        let shown = known.clone();
        known.set_comment("root@web-0");
        let (check, _) = Check::new(vec![key(), known], Trust::Pinned);
        assert!(check.decide(&shown).is_ok());
    }

    #[test]
    fn another_key_is_refused_even_at_first_contact() {
        let known = key();
        let (check, _) = Check::new(vec![known.clone()], Trust::FirstContact);
        let shown = key();
        match check.decide(&shown) {
            Err(Stop::Mismatch { expected, found }) => {
                assert_eq!(expected, [fingerprint(&known)]);
                assert_eq!(found, fingerprint(&shown));
            }
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn without_a_known_key_only_first_contact_goes_on() {
        assert!(Check::new(vec![], Trust::FirstContact).0.decide(&key()).is_ok());
        for trust in [Trust::Pinned, Trust::Injected] {
            assert!(matches!(Check::new(vec![], trust).0.decide(&key()), Err(Stop::Unknown { .. })));
        }
    }

    #[test]
    fn the_algorithm_of_the_known_key_is_asked_for_first() {
        let ecdsa = Algorithm::Ecdsa { curve: russh::keys::EcdsaCurve::NistP256 };
        let known = PrivateKey::random(&mut safe_rng(), ecdsa.clone()).unwrap().public_key().clone();
        let order = algorithms(&[known]);
        assert_eq!(order[0], ecdsa);
        assert_eq!(order.iter().filter(|a| **a == ecdsa).count(), 1);
    }
}
