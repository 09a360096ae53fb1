//! From an address to a logged-in connection.

use std::{borrow::Cow, sync::Arc};

use pool_inventory::{Text, object::Endpoint};
use russh::{Preferred, cipher, client, kex};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{
    Deadlines, Login, MAX_JUMPS, SshError, SshLink, auth,
    hostkey::{self, Check, Stop},
};

/// Hybrid post-quantum exchange first; finite-field groups last, they cost a hundred times as much.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::DH_G14_SHA256,
    kex::DH_G16_SHA512,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// AES-256-GCM first: half the work of ChaCha20 on machines with AES instructions.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Connects to `endpoint`, through the jump hosts of `login`, verifies the host key and logs in.
pub async fn connect(endpoint: &Endpoint, login: &Login, deadlines: Deadlines) -> Result<SshLink, SshError> {
    connect_depth(endpoint, login, deadlines, 0).await
}

async fn connect_depth(
    endpoint: &Endpoint,
    login: &Login,
    deadlines: Deadlines,
    depth: usize,
) -> Result<SshLink, SshError> {
    let at: Text = match &*endpoint.host {
        host if host.contains(':') => format!("[{host}]:{}", endpoint.port).into(),
        host => format!("{host}:{}", endpoint.port).into(),
    };
    if depth > MAX_JUMPS {
        return Err(SshError::TooManyJumps { at, max: MAX_JUMPS });
    }
    let Some(jump) = &login.jump else {
        let stream = tcp(endpoint, &at, deadlines).await?;
        return login_over(stream, None, endpoint, login, deadlines, at).await;
    };
    let via = Box::pin(connect_depth(&jump.0, &jump.1, deadlines, depth + 1)).await?;
    let open = via.handle.channel_open_direct_tcpip(&*endpoint.host, u32::from(endpoint.port), "127.0.0.1", 0);
    let doing = "connecting through the jump host";
    let channel = timeout(deadlines.connect, open)
        .await
        .map_err(|_| SshError::TimedOut { at: at.clone(), doing, after: deadlines.connect })?
        .map_err(|error| SshError::Unreachable { at: at.clone(), source: std::io::Error::other(error) })?;
    login_over(channel.into_stream(), Some(Box::new(via)), endpoint, login, deadlines, at).await
}

async fn tcp(endpoint: &Endpoint, at: &Text, deadlines: Deadlines) -> Result<TcpStream, SshError> {
    let stream = timeout(deadlines.connect, TcpStream::connect((&*endpoint.host, endpoint.port)))
        .await
        .map_err(|_| SshError::TimedOut { at: at.clone(), doing: "connecting", after: deadlines.connect })?
        .map_err(|source| SshError::Unreachable { at: at.clone(), source })?;
    // Without it every small message of the login waits for an acknowledgement: 40 ms each.
    stream.set_nodelay(true).map_err(|source| SshError::Unreachable { at: at.clone(), source })?;
    Ok(stream)
}

async fn login_over<S>(
    stream: S,
    via: Option<Box<SshLink>>,
    endpoint: &Endpoint,
    login: &Login,
    deadlines: Deadlines,
    at: Text,
) -> Result<SshLink, SshError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let known = hostkey::parse(&endpoint.host_keys).ok_or_else(|| SshError::HostKeyUnreadable { at: at.clone() })?;
    let config = Arc::new(config(&known, deadlines));
    let (check, seen) = Check::new(known, login.trust);
    let work = async {
        let mut handle = client::connect_stream(config, stream, check).await.map_err(|stop| stopped(stop, &at))?;
        auth::authenticate(&mut handle, login, &at).await?;
        Ok(handle)
    };
    let doing = "logging in";
    let handle = timeout(deadlines.login, work).await.map_err(|_| SshError::TimedOut {
        at: at.clone(),
        doing,
        after: deadlines.login,
    })??;
    let key = seen.get().and_then(|key| key.to_openssh().ok()).unwrap_or_default();
    Ok(SshLink { handle, at, host_key: key.into(), deadlines, sessions: 0.into(), shell: None, via })
}

fn config(known: &[russh::keys::PublicKey], deadlines: Deadlines) -> client::Config {
    client::Config {
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            cipher: Cow::Borrowed(CIPHERS),
            key: Cow::Owned(hostkey::algorithms(known)),
            ..Preferred::DEFAULT
        },
        keepalive_interval: Some(deadlines.keepalive),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}

fn stopped(stop: Stop, at: &Text) -> SshError {
    let at = at.clone();
    match stop {
        Stop::Mismatch { expected, found } => SshError::HostKeyMismatch { at, expected, found },
        Stop::Unknown { found } => SshError::HostKeyUnknown { at, found },
        Stop::Ssh(
            source @ (russh::Error::IO(_)
            | russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::SendError
            | russh::Error::RecvError),
        ) => SshError::Closed { at, source: Some(source) },
        Stop::Ssh(source) => SshError::Protocol { at, source },
    }
}
