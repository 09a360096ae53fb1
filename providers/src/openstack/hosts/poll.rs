//! How acts on servers go on: one list for all that are under way, and what follows from it.

use std::collections::HashMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use pool_inventory::{Kind, Text};
use serde::Deserialize;
use serde_json::json;

use super::{
    answers::{InstanceAction, Server},
    delete::Belongings,
    host_keys, observe,
    progress::{Step, kept, no_room, step, write_clear},
};
use crate::{
    Progress, ProviderError,
    openstack::{Cloud, client::Service, marks, poll::Handle},
};

/// The clocks of the cloud and of this computer may differ by this much, in seconds; those that differ by more cost a
/// call for each server.
const SKEW: i64 = 300;

type Answer = Result<Progress, ProviderError>;

/// How far an act is after its step.
enum Next {
    Answer(Progress),
    /// The server is gone; what belonged to it goes next.
    Gone(Belongings, Option<ProviderError>),
}

impl Cloud {
    pub(in crate::openstack) async fn poll_hosts(&self, handles: &[Handle]) -> Vec<Answer> {
        if handles.is_empty() {
            return Vec::new();
        }
        // A creation that found no machine goes on as a deletion, also for those who ask by its first handle.
        let handles: Vec<Handle> =
            handles.iter().map(|handle| self.hosts.clearing(handle).unwrap_or_else(|| handle.clone())).collect();
        let servers = match self.changed(&handles).await {
            Ok(servers) => servers,
            Err(error) => return handles.iter().map(|_| Err(error.clone())).collect(),
        };
        let steps = join_all(handles.iter().map(|handle| self.advance(handle, servers.get(&handle.id)))).await;
        let gone: Vec<Belongings> = steps
            .iter()
            .filter_map(|next| if let Ok(Next::Gone(belongings, _)) = next { Some(belongings.clone()) } else { None })
            .collect();
        let dropped = if gone.is_empty() { Ok(true) } else { self.drop_belongings(&gone).await };
        let answer = |(next, handle): (Result<Next, ProviderError>, &Handle)| match (next?, &dropped) {
            (Next::Answer(progress), _) => Ok(progress),
            (Next::Gone(_, None), Ok(_)) => Ok(Progress::Gone),
            (Next::Gone(_, Some(error)), Ok(_)) => Err(error),
            // It is tried again with the next poll.
            (Next::Gone(..), Err(_)) => Ok(handle.pending()),
        };
        steps.into_iter().zip(&handles).map(answer).collect()
    }

    /// The servers of handles: those that changed since the first of them began, by one list; the others one by one.
    async fn changed(&self, handles: &[Handle]) -> Result<HashMap<Text, Server>, ProviderError> {
        let first = handles.iter().map(|handle| kept(handle).0).min().unwrap_or_default();
        let since = Timestamp::from_second(first - SKEW).unwrap_or(Timestamp::UNIX_EPOCH);
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let query = [("changes-since", since.as_str())];
        let all: Vec<Server> = self.client.all(Service::Compute, &["servers", "detail"], "servers", &query).await?;
        let mut servers: HashMap<Text, Server> = all.into_iter().map(|server| (server.id.clone(), server)).collect();
        let missing: Vec<&Text> =
            handles.iter().map(|handle| &handle.id).filter(|id| !servers.contains_key(*id)).collect();
        for server in join_all(missing.into_iter().map(|id| self.server(id))).await {
            servers.extend(server?.map(|server| (server.id.clone(), server)));
        }
        Ok(servers)
    }

    async fn advance(&self, handle: &Handle, server: Option<&Server>) -> Result<Next, ProviderError> {
        let now = Timestamp::now().as_second();
        let mut found = step(handle, server, now);
        let mut asked = None;
        if found == Step::Ask {
            // Lists may leave out what went wrong with a server that never had a machine.
            asked = self.server(&handle.id).await?;
            found = step(handle, asked.as_ref(), now);
        }
        let server = asked.as_ref().or(server);
        let wait = || Next::Answer(handle.pending());
        match (found, server) {
            (Step::Gone(belongings, error), _) => return Ok(Next::Gone(belongings, error)),
            (Step::Fail(error), _) => return Err(error),
            (Step::Wait, _) | (_, None) => {}
            // Nova has no words for it.
            (Step::Done | Step::Ask, Some(server)) => return self.done(server).await,
            (Step::Clear(error), Some(server)) => return self.clear(server, &error).await,
            (Step::Confirm, Some(server)) => self.confirm(server).await?,
            (Step::Revert, Some(server)) => {
                // It ends as a difference, which the update is tried again for.
                self.unless_done(self.action(&server.id, json!({"revertResize": null})).await)?;
            }
            (Step::Blame, Some(server)) => return Err(self.blame(server).await?),
            (Step::Force, Some(server)) => {
                self.unless_done(self.action(&server.id, json!({"forceDelete": null})).await)?;
            }
            (Step::ReadConsole, Some(server)) => {
                if let Some(server) = self.read_console(server).await? {
                    return self.done(&server).await;
                }
            }
        }
        Ok(wait())
    }

    async fn done(&self, server: &Server) -> Result<Next, ProviderError> {
        Ok(Next::Answer(Progress::Done(Box::new(self.observe(server).await?))))
    }

    /// The new size is kept; where Nova refuses that for good, the old one.
    async fn confirm(&self, server: &Server) -> Result<(), ProviderError> {
        match self.action(&server.id, json!({"confirmResize": null})).await {
            // It is being confirmed already.
            Err(ProviderError::Invalid { .. }) => Ok(()),
            Err(error @ ProviderError::Other(_)) => {
                self.unless_done(self.action(&server.id, json!({"revertResize": null})).await)?;
                Err(error)
            }
            other => self.unless_done(other),
        }
    }

    /// A server that changed between the list and the act is looked at again with the next poll.
    fn unless_done(&self, done: Result<(), ProviderError>) -> Result<(), ProviderError> {
        match done {
            Err(ProviderError::Conflict(_) | ProviderError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    /// Deletes a server that no machine has, so that another place can be tried.
    async fn clear(&self, server: &Server, error: &ProviderError) -> Result<Next, ProviderError> {
        let description = marks::read_metadata(&server.metadata).map(|owner| marks::description(&owner));
        let extra = write_clear(Timestamp::now().as_second(), &description.unwrap_or_default(), error);
        let handle = Handle::new(Kind::Host, "clear", &server.id, extra);
        self.hosts.clear(&handle);
        self.unless_done(self.client.delete(Service::Compute, &["servers", &server.id]).await)?;
        Ok(Next::Answer(handle.pending()))
    }

    /// Why the last resize came to nothing, in Nova's words.
    async fn blame(&self, server: &Server) -> Result<ProviderError, ProviderError> {
        #[derive(Deserialize)]
        struct Actions {
            #[serde(rename = "instanceActions")]
            all: Vec<InstanceAction>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(rename = "instanceAction")]
            action: Details,
        }
        #[derive(Deserialize)]
        struct Details {
            #[serde(default)]
            events: Vec<Event>,
        }
        #[derive(Deserialize)]
        struct Event {
            event: Text,
            #[serde(default)]
            result: Option<Text>,
            #[serde(default)]
            details: Option<Text>,
        }
        let path = ["servers", &server.id, "os-instance-actions"];
        let actions: Actions = self.client.get(Service::Compute, &path, &[]).await?;
        let Some(last) = actions.all.iter().find(|action| &*action.action == "resize") else {
            return Ok(ProviderError::Other("the server has its old size".into()));
        };
        let path = ["servers", &server.id, "os-instance-actions", &last.request_id];
        let one: One = self.client.get(Service::Compute, &path, &[]).await?;
        let events = one.action.events;
        if let Some(words) = events.iter().find_map(|event| event.details.clone()) {
            return Ok(if no_room(&words) { ProviderError::NoCapacity(words) } else { ProviderError::Other(words) });
        }
        // Nova tells its words to administrators alone, but everybody how far it came.
        let failed = events.iter().find(|event| event.result.as_deref() == Some("Error"));
        let failed = failed.map_or("resize", |event| &*event.event);
        let placed = events.iter().any(|event| event.event.starts_with("compute_"));
        Ok(match placed {
            false => ProviderError::NoCapacity(format!("Nova found no machine for the new size ({failed})").into()),
            true => ProviderError::Other(format!("the server has its old size: {failed} failed").into()),
        })
    }

    /// The server with its host keys, once its console shows them; they are kept with the server.
    pub(super) async fn read_console(&self, server: &Server) -> Result<Option<Server>, ProviderError> {
        let keys = self.console_keys(&server.id).await?;
        if keys.is_empty() {
            return Ok(None);
        }
        let more = observe::host_key_metadata(&keys);
        self.add_metadata(&server.id, json!(more)).await?;
        let mut server = server.clone();
        server.metadata.extend(more);
        Ok(Some(server))
    }

    /// The host keys that the console of a server shows; empty: none, or not yet.
    pub(super) async fn console_keys(&self, id: &Text) -> Result<Vec<Text>, ProviderError> {
        #[derive(Deserialize)]
        struct Console {
            output: String,
        }
        let body = json!({"os-getConsoleOutput": {}});
        let read: Result<Console, _> = self.client.post(Service::Compute, &["servers", id, "action"], &body).await;
        match read {
            Ok(console) => Ok(host_keys::of_console(&console.output)),
            // The machine is not that far.
            Err(ProviderError::Conflict(_) | ProviderError::NotFound(_)) => Ok(Vec::new()),
            // It is a question, although it is a POST.
            Err(ProviderError::Indeterminate(words)) => Err(ProviderError::Transient(words)),
            Err(error) => Err(error),
        }
    }
}
