//! How acts on servers go on: what each state of a server means for each act. Pure.

use pool_inventory::Text;

use super::{
    answers::{Fault, Server},
    delete::Belongings,
    observe::{self, CONSOLE, keys},
};
use crate::{ProviderError, openstack::poll::Handle};

/// How long a server that runs may be without the address or host key that it should have.
const LATE: i64 = 120;
/// How long the first start of a system may take until its host keys are on the console.
const FIRST_START: i64 = 600;
/// How long a server may show nothing of a deletion that was accepted.
const UNMOVED: i64 = 30;

/// What is to be done about an act.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// It is over; the server is as it is.
    Done,
    /// The server is gone; so go what belonged to it, and then the act ends with this.
    Gone(Belongings, Option<ProviderError>),
    /// It is over.
    Fail(ProviderError),
    /// The list does not say enough.
    Ask,
    /// The server has found no machine: it is deleted, and then the act ends with this.
    Clear(ProviderError),
    /// The new size is right.
    Confirm,
    /// The old size is right.
    Revert,
    /// It failed, and the server's log of actions says why.
    Blame,
    /// The cloud keeps deleted servers for a while; this one goes now.
    Force,
    /// The host key is on the console.
    ReadConsole,
}

/// What a handle keeps: when the act began, and what the server shall be.
pub(super) fn kept(handle: &Handle) -> (i64, &str) {
    let (since, rest) = handle.extra.split_once(':').unwrap_or((&handle.extra, ""));
    (since.parse().unwrap_or_default(), rest)
}

/// What is to be done about an act on a server, at a time. None: the server is not there.
pub(super) fn step(handle: &Handle, server: Option<&Server>, now: i64) -> Step {
    let (since, wanted) = kept(handle);
    let verb = &*handle.verb;
    let Some(server) = server.filter(|server| &*server.status != "DELETED") else { return absent(handle) };
    if !server.whole() {
        return Step::Wait;
    }
    let busy = server.task.is_some();
    let has = server.flavor.as_ref().map_or("", |flavor| &*flavor.original_name);
    let waited = now - since;
    match (verb, &*server.status) {
        ("delete" | "clear", "SOFT_DELETED") => Step::Force,
        ("delete" | "clear", _) if busy || waited < UNMOVED => Step::Wait,
        ("delete" | "clear", _) => {
            let why = server.fault.as_ref().map_or("it was not deleted", |fault| &*fault.message);
            Step::Fail(ProviderError::Conflict(why.into()))
        }
        ("create", "ERROR") => broken(server),
        ("create" | "rebuild", "BUILD" | "REBUILD") => Step::Wait,
        ("resize", "VERIFY_RESIZE") if busy => Step::Wait,
        ("resize", "VERIFY_RESIZE") if has == wanted => Step::Confirm,
        ("resize", "VERIFY_RESIZE") => Step::Revert,
        ("revert", "VERIFY_RESIZE") | ("resize" | "revert", "RESIZE" | "REVERT_RESIZE") => Step::Wait,
        ("restart", "REBOOT" | "HARD_REBOOT") => Step::Wait,
        (_, "ERROR") if server.fault.is_none() => Step::Ask,
        (_, "ERROR") => Step::Done,
        _ if busy => Step::Wait,
        ("resize", _) if has != wanted => Step::Blame,
        ("revert", _) if has != wanted => {
            Step::Fail(ProviderError::Conflict(format!("its size went back to {has}").into()))
        }
        ("start", "SHUTOFF") => Step::Fail(ProviderError::Conflict("it did not start".into())),
        ("stop", "ACTIVE") => Step::Fail(ProviderError::Conflict("it did not stop".into())),
        ("address", _) if server.floats() != says_public(server) && waited < LATE => Step::Wait,
        ("create" | "rebuild", "ACTIVE") => running(server, waited),
        ("create" | "rebuild" | "resize" | "revert" | "start" | "stop" | "restart" | "address", _) => Step::Done,
        _ => Step::Fail(ProviderError::NotFound(handle.to_string().into())),
    }
}

fn says_public(server: &Server) -> bool {
    server.metadata.contains_key(keys::PUBLIC)
}

fn absent(handle: &Handle) -> Step {
    match &*handle.verb {
        "delete" => Step::Gone(Belongings::read(&handle.extra), None),
        "clear" => {
            let (belongings, error) = read_clear(&handle.extra);
            Step::Gone(belongings, Some(error))
        }
        "create" => Step::Fail(ProviderError::Other("the server was deleted while it was made".into())),
        _ => Step::Fail(ProviderError::NotFound(handle.id.clone())),
    }
}

/// A server that runs is made when it has what it should have; the cloud is not waited for without end.
fn running(server: &Server, waited: i64) -> Step {
    let addressed = observe::endpoint(server).is_some() && (server.floats() || !says_public(server));
    if !addressed && waited < LATE {
        return Step::Wait;
    }
    if unread(server) && waited < FIRST_START { Step::ReadConsole } else { Step::Done }
}

/// Whether the host keys of a server of ours are still to be read from its console.
pub(super) fn unread(server: &Server) -> bool {
    &*server.status == "ACTIVE" && server.metadata.get(keys::HOST_KEY).is_some_and(|key| &**key == CONSOLE)
}

fn broken(server: &Server) -> Step {
    let Some(fault) = &server.fault else { return Step::Ask };
    match out_of_room(fault) {
        Some(error) => Step::Clear(error),
        None => Step::Done,
    }
}

/// What Nova says when no machine takes a server: there is none to try, or it was tried on as many as there are. The
/// latter is the former to Nova too (`MaxRetriesExceeded` is a `NoValidHost`).
const NO_ROOM: [&str; 5] = [
    "No valid host",
    "NoValidHost",
    "Exhausted all hosts available for retrying build failures",
    "Exceeded maximum number of retries",
    "Exceeded max scheduling attempts",
];

/// Whether these words of Nova mean that no machine takes a server.
pub(super) fn no_room(text: &str) -> bool {
    NO_ROOM.iter().any(|words| text.contains(words))
}

/// Whether a fault means that there was no room for the server, so that another place may have some.
fn out_of_room(Fault { code, message }: &Fault) -> Option<ProviderError> {
    let text: Text = message.trim().into();
    if no_room(&text) {
        return Some(ProviderError::NoCapacity(text));
    }
    // Nova counts again once a server exists: of two that met at the limit, one is too many.
    (matches!(code, 403 | 413) && text.to_ascii_lowercase().contains("quota"))
        .then_some(ProviderError::QuotaExceeded(text))
}

/// What the handle of a deletion keeps that ends a creation: `SINCE:DESCRIPTION:CLASS:WORDS`.
pub(super) fn write_clear(since: i64, description: &str, error: &ProviderError) -> String {
    match error {
        ProviderError::QuotaExceeded(text) => format!("{since}:{description}:quota:{text}"),
        ProviderError::NoCapacity(text) => format!("{since}:{description}:room:{text}"),
        other => format!("{since}:{description}:other:{other}"),
    }
}

fn read_clear(extra: &str) -> (Belongings, ProviderError) {
    let mut parts = extra.splitn(4, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (since, description, class, text) = (part(), part(), part(), Text::from(part()));
    let belongings = Belongings::read(&format!("{since}:{description}"));
    let error = match class {
        "quota" => ProviderError::QuotaExceeded(text),
        "room" => ProviderError::NoCapacity(text),
        _ => ProviderError::Other(text),
    };
    (belongings, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_no_machine_took_is_without_room() {
        let fault = |code, message: &str| Fault { code, message: message.into() };
        let exhausted = "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures \
             for instance 7f0c1a52-0a3c-4c7e-9d0e-0e2f6d1c2b3a.";
        for words in ["No valid host was found. There are not enough hosts available.", exhausted] {
            assert_eq!(out_of_room(&fault(500, words)), Some(ProviderError::NoCapacity(words.into())));
        }
        assert_eq!(out_of_room(&fault(500, "Build of instance 7f0c aborted: no such image")), None);
    }
}
