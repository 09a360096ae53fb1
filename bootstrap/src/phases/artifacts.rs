//! Artifacts: archives that are unpacked, and files. They come before the other files, which may lie among what was unpacked.

use std::time::Duration;

use pool_inventory::{
    Text,
    desired::{Arch, ArtifactRef},
};

use super::{item, owner};
use crate::{
    command::{Act, Command, Library},
    error::Refusal,
    facts::Facts,
    rendered::{Rendered, sha256},
    script::quote,
};

/// Longest time for putting one in place, or for unpacking it.
const PUT: Duration = Duration::from_secs(20 * 60);

/// Longest time for that when the host downloads it first.
const LOAD: Duration = Duration::from_secs(2 * 60 * 60);

pub(super) fn commands(facts: &Facts, want: &Rendered) -> Result<Vec<Command>, Refusal> {
    let mut takes = Vec::new();
    for (name, unpack) in &want.unpack {
        let rest = format!("{} {}", unpack.strip, note(&format!("unpack {name} {}", unpack.to)));
        takes.push(Take::new(facts, want, &unpack.artifact, ("unpack", name.as_str(), &unpack.to), rest)?);
    }
    for (path, file) in &want.artifacts {
        let (owner, group) = owner(facts, file.owner.as_ref(), file.group.as_ref());
        let note = note(&format!("file {path}"));
        let rest = format!("{:o} {} {} {note}", file.mode.0, quote(&owner), quote(&group));
        takes.push(Take::new(facts, want, &file.artifact, ("file", path, path), rest)?);
    }
    let last = |at: usize| !takes[at + 1..].iter().any(|later| later.sha256 == takes[at].sha256);
    Ok((0..takes.len()).map(|at| takes[at].command(last(at))).collect())
}

/// The name of the note that is kept of an item on the host.
fn note(of: &str) -> String {
    sha256(of)[..32].to_owned()
}

/// An item that takes an artifact.
struct Take<'a> {
    artifact: &'a ArtifactRef,
    sha256: &'a Text,
    url: Option<&'a Text>,
    item: Text,
    /// Whether it is unpacked.
    unpacked: bool,
    /// Where it goes.
    to: &'a Text,
    /// Further words for the functions that look at it and put it there.
    rest: String,
    /// Whether something to download it with is installed before.
    installed: bool,
}

impl<'a> Take<'a> {
    fn new(
        facts: &Facts,
        want: &'a Rendered,
        artifact: &'a ArtifactRef,
        (kind, name, to): (&str, &str, &'a Text),
        rest: String,
    ) -> Result<Self, Refusal> {
        let not_made = || Refusal::NotMade { artifact: artifact.name.clone(), arch: facts.arch.clone() };
        let sha256 = artifact.sha256(Arch::of_machine(&facts.arch)).ok_or_else(not_made)?;
        let installed = want.packages.iter().any(|package| matches!(&**package, "curl" | "wget"));
        let (item, url) = (item(kind, name), want.pulls.get(sha256));
        Ok(Self { artifact, sha256, url, item, unpacked: kind == "unpack", to, rest, installed })
    }

    /// `last`: nothing after it takes the same artifact.
    fn command(&self, last: bool) -> Command {
        let verb = if self.unpacked { "unpack" } else { "artifact" };
        let words = format!("{} {} {}", quote(self.to), self.sha256, self.rest);
        let how = match (self.url, self.installed) {
            (None, _) => "send",
            (Some(_), false) => "load",
            (Some(_), true) => "-",
        };
        let put = format!("act_{verb} {words} {}", u8::from(!last));
        let call = match self.url {
            Some(url) => format!("act_load {} {} && {put}", self.sha256, quote(url)),
            None => put,
        };
        let (name, sha256, sent) = (self.artifact.name.clone(), self.sha256.clone(), self.url.is_none());
        Command {
            library: Some(Library::Artifacts),
            ..Command::new(
                self.item.clone(),
                format!("probe_{verb} {words} {how}"),
                Act::Artifact { name, sha256, sent, call },
                if sent { PUT } else { LOAD },
            )
        }
    }
}
