//! The login: a key, then an agent's keys.

use pool_inventory::Text;
use russh::{
    client::{AuthResult, Handle},
    keys::{
        HashAlg, PrivateKeyWithHashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
    },
};

use super::{Agent, Login, SshError, hostkey::Check};

/// Agent keys that are offered: servers close the connection after six failures.
const AGENT_KEYS: usize = 5;

pub(super) async fn authenticate(handle: &mut Handle<Check>, login: &Login, at: &Text) -> Result<(), SshError> {
    let mut tried = Vec::new();
    if let Some(key) = &login.key {
        let key = PrivateKeyWithHashAlg::new(key.secret(), Some(HashAlg::Sha512));
        let result = handle.authenticate_publickey(&*login.user, key).await;
        if accepted(result, at)? {
            return Ok(());
        }
        tried.push("the given key".to_owned());
    }
    if login.agent != Agent::No {
        let keys = ask_agent(handle, login, at).await?;
        let Some(keys) = keys else { return Ok(()) };
        tried.push(format!("{keys} keys of the agent"));
    }
    let tried = if tried.is_empty() { "neither a key nor an agent".into() } else { tried.join(" and ") };
    Err(SshError::AuthFailed { at: at.clone(), user: login.user.clone(), tried })
}

fn accepted(result: Result<AuthResult, russh::Error>, at: &Text) -> Result<bool, SshError> {
    match result {
        Ok(result) => Ok(result.success()),
        Err(source) => Err(SshError::Closed { at: at.clone(), source: Some(source) }),
    }
}

/// Offers the agent's keys; none: one was accepted, else how many were refused.
async fn ask_agent(handle: &mut Handle<Check>, login: &Login, at: &Text) -> Result<Option<usize>, SshError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| SshError::Agent { at: at.clone(), source };
    let mut agent = match &login.agent {
        Agent::Socket(path) => AgentClient::connect_uds(path).await,
        Agent::Environment | Agent::No => AgentClient::connect_env().await,
    }
    .map_err(|error| failed(error.into()))?;
    let keys = agent.request_identities().await.map_err(|error| failed(error.into()))?;
    let keys: Vec<PublicKey> = keys
        .into_iter()
        .filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            AgentIdentity::Certificate { .. } => None,
        })
        .take(AGENT_KEYS)
        .collect();
    let count = keys.len();
    for key in keys {
        let hash = Some(HashAlg::Sha512).filter(|_| key.algorithm().is_rsa());
        let result = handle.authenticate_publickey_with(&*login.user, key, hash, &mut agent).await;
        match result {
            Ok(result) if result.success() => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    Ok(Some(count))
}
