//! A small SSH client for the cases.

use std::sync::Arc;

use pool_inventory::{Text, object::Observed};
use russh::{
    ChannelMsg,
    client::{self, Handle},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, ssh_key::private::Ed25519Keypair},
};

/// A key to log in with.
pub struct Key(pub Arc<PrivateKey>);

impl Key {
    pub fn new() -> Self {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).expect("random");
        Self(Arc::new(PrivateKey::from(Ed25519Keypair::from_seed(&seed))))
    }

    pub fn public(&self) -> Text {
        self.0.public_key().to_openssh().expect("a public key").into()
    }
}

/// Accepts exactly the host keys that the provider handed out.
pub struct Pinned(Vec<PublicKey>);

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        Ok(self.0.iter().any(|known| known.key_data() == key.key_data()))
    }
}

/// Logs in; none of the errors is a wrong key alone.
pub async fn connect(host: &Observed, user: &str, key: &Key) -> Result<Handle<Pinned>, String> {
    let at = host.endpoint.as_ref().expect("an endpoint");
    let keys = at.host_keys.iter().map(|key| PublicKey::from_openssh(key).expect("a host key")).collect();
    let config = Arc::new(client::Config { nodelay: true, ..Default::default() });
    let mut session =
        client::connect(config, (&*at.host, at.port), Pinned(keys)).await.map_err(|error| error.to_string())?;
    let key = PrivateKeyWithHashAlg::new(Arc::clone(&key.0), None);
    let done = session.authenticate_publickey(user, key).await.map_err(|error| error.to_string())?;
    if done.success() { Ok(session) } else { Err("refused".to_owned()) }
}

/// Runs one command with this input.
pub async fn exec(session: &Handle<Pinned>, command: &str, input: &[u8]) -> (u32, String, String) {
    let channel = session.channel_open_session().await.expect("a channel");
    channel.exec(true, command).await.expect("asked");
    let (mut read, write) = channel.split();
    let input = input.to_vec();
    let typed = async move {
        // A command may end before it has read everything; then nobody makes room for the rest any more.
        if write.data(&input[..]).await.is_ok() {
            let _ = write.eof().await;
        }
        std::future::pending::<()>().await;
    };
    let (mut out, mut err, mut status) = (Vec::new(), Vec::new(), u32::MAX);
    let heard = async {
        while let Some(word) = read.wait().await {
            match word {
                ChannelMsg::Data { data } => out.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, .. } => err.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => status = exit_status,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = typed => {}
        () = heard => {}
    }
    (status, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
}
