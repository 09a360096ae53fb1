//! The SSH server of a machine.

use std::{
    borrow::Cow,
    fs, io,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pool_inventory::Text;
use russh::{
    Channel, ChannelId, MethodKind, MethodSet, Pty, Sig,
    keys::{PrivateKey, PublicKey},
    server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::{Doing, Fault, log};
use crate::local::notes::{GUEST, INSIDE};

mod channel;

/// Connections at the same time; further ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// Sessions at the same time in one connection.
const SESSIONS: usize = 64;
/// How long a client may take to log in.
const LOGIN: Duration = Duration::from_secs(30);
/// A connection over which nothing comes for so long, not even the answer to a keepalive, is dropped.
const SILENCE: Duration = Duration::from_secs(60);

/// What the server has to know, in `sshd.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub ip: Ipv4Addr,
    pub port: u16,
    pub user: Text,
}

/// Names of the files in the guest folder.
pub(crate) const SETTINGS: &str = "sshd.json";
pub(crate) const HOST_KEY: &str = "host_key";
pub(crate) const AUTHORIZED_KEYS: &str = "authorized_keys";

/// Process `sshd`: says `ready` on standard output when it listens.
pub(super) fn run() -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.doing(|| "starting the SSH server".into())?.block_on(listen())
}

async fn listen() -> Result<(), Fault> {
    let guest = Path::new(INSIDE).join(GUEST);
    let read = |name: &str| fs::read_to_string(guest.join(name)).doing(|| format!("reading {name}"));
    let settings: Settings = serde_json::from_str(&read(SETTINGS)?).doing(|| format!("reading {SETTINGS}"))?;
    let key = PrivateKey::from_openssh(read(HOST_KEY)?).map_err(io::Error::other);
    let config = Arc::new(config(key.doing(|| format!("reading {HOST_KEY}"))?));
    let listener = match TcpListener::bind((settings.ip, settings.port)).await {
        Ok(listener) => listener,
        Err(error) => {
            say(&format!("listening on {}:{}: {error}", settings.ip, settings.port));
            return Err(Fault::new("listening", error));
        }
    };
    say("ready");
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other);
        let slot = slot.doing(|| "waiting for a slot".into())?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = connection(Arc::clone(&config), stream, settings.clone(), guest.join(AUTHORIZED_KEYS));
                tokio::spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            // Of the client's or of a passing kind, such as no more files; the next one may work.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn say(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn config(key: PrivateKey) -> Config {
    Config {
        server_id: russh::SshId::Standard(Cow::Borrowed("SSH-2.0-pool")),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(100),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        inactivity_timeout: None,
        keepalive_interval: Some(SILENCE / 3),
        keepalive_max: 3,
        nodelay: true,
        ..Config::default()
    }
}

async fn connection(config: Arc<Config>, stream: TcpStream, settings: Settings, keys: PathBuf) {
    let peer = stream.peer_addr().map(|peer| format!("{} {}", peer.ip(), peer.port())).unwrap_or_default();
    let client = Client {
        user: settings.user.clone(),
        keys,
        peer: format!("{peer} {} {}", settings.ip, settings.port),
        sessions: Arc::new(Semaphore::new(SESSIONS)),
        known: Arc::new(tokio::sync::Notify::new()),
    };
    let _ = stream.set_nodelay(true);
    let known = Arc::clone(&client.known);
    let Ok(Ok(mut running)) = tokio::time::timeout(LOGIN, russh::server::run_stream(config, stream, client)).await
    else {
        return;
    };
    tokio::select! {
        _ = &mut running => {}
        () = known.notified() => drop(running.await),
        // Dropping it would let it go on: it is told to end.
        () = tokio::time::sleep(LOGIN) => {
            let handle = running.handle();
            let _ = handle.disconnect(russh::Disconnect::ByApplication, "login takes too long".into(), String::new()).await;
            drop(running.await);
        }
    }
}

/// One connection.
struct Client {
    user: Text,
    keys: PathBuf,
    peer: String,
    sessions: Arc<Semaphore>,
    /// Told when somebody has logged in.
    known: Arc<tokio::sync::Notify>,
}

impl Client {
    /// The keys are read each time: they may change while the machine runs.
    fn may(&self, user: &str, key: &PublicKey) -> Auth {
        let lines = fs::read_to_string(&self.keys).unwrap_or_default();
        let known = lines.lines().filter_map(|line| PublicKey::from_openssh(line).ok());
        let same = known.into_iter().any(|known| known.key_data() == key.key_data());
        if same && user == &*self.user { Auth::Accept } else { Auth::reject() }
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.may(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.may(user, key.public_key))
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        self.known.notify_one();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Ok(slot) = Arc::clone(&self.sessions).try_acquire_owned() else {
            reply.reject(russh::ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        reply.accept().await;
        let (user, peer) = (self.user.clone(), self.peer.clone());
        tokio::spawn(async move {
            if let Err(error) = channel::serve(channel, &user, &peer).await {
                log(&format!("a session failed: {error}"));
            }
            drop(slot);
        });
        Ok(())
    }

    // What follows only says yes or no: the channel's own task sees the same requests and acts on them.

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if channel::accepts(name) { session.channel_success(channel) } else { session.channel_failure(channel) }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn signal(&mut self, _channel: ChannelId, _signal: Sig, _session: &mut Session) -> Result<(), Self::Error> {
        Ok(())
    }
}
