//! One thing to hold on a host: how to see whether it does, and how to make it so.

use std::{collections::BTreeSet, time::Duration};

use pool_inventory::{FileMode, Name, Text};

/// One item of a bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What it is, for people: `file /etc/motd`, `package chrony`.
    pub item: Text,
    /// A call of one function of `probe.sh`.
    pub probe: String,
    /// How it is made so.
    pub act: Act,
    /// Longest time for that.
    pub timeout: Duration,
    /// The content that may be shown beside what is found; none: nothing of the content is shown.
    pub show: Option<Text>,
    /// Whether it must be looked at again once something before it has changed.
    pub recheck: bool,
    /// Whether a host on which nothing was done is so already: nothing of the kind may be there.
    pub bare: bool,
    /// Whether what comes after may lie on it: all that must be looked at again once it was made so.
    pub ground: bool,
    /// A file or directory whose rights and content its probe asks for.
    pub place: Option<Text>,
    /// A service whose state its probe asks for.
    pub unit: Option<Text>,
    /// Which further functions its probe and its act call.
    pub library: Option<Library>,
}

/// Functions that only some items need; they are said once, before the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Library {
    /// Volumes.
    Mounts,
    /// Artifacts.
    Artifacts,
    /// What runs containers.
    Containers,
    /// Kubernetes.
    Kubernetes,
    /// Docker Swarm.
    Swarm,
}

/// How an item is made so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Install a package; missing ones are installed together.
    Package(Text),
    /// Call one function of `act.sh`.
    Call(String),
    /// Call one function with a file `$f` that only root may read, and that is gone afterwards.
    Fed {
        /// The call.
        call: String,
        /// Content of the file.
        content: Text,
    },
    /// Call one function of `act.sh`, which takes an artifact.
    Artifact {
        /// The artifact's name.
        name: Name,
        /// Its digest.
        sha256: Text,
        /// Whether it is sent to the host first, where it is not there yet; else the host downloads it.
        sent: bool,
        /// The call.
        call: String,
    },
    /// Write a file whole: beside its place, then renamed.
    File {
        /// Absolute path.
        path: Text,
        /// Content.
        content: Text,
        /// Permission bits.
        mode: FileMode,
        /// Name or number.
        owner: String,
        /// Name or number.
        group: String,
    },
    /// Write a user's authorised keys; empty: remove what we wrote.
    Keys {
        /// The user.
        user: Text,
        /// Content of the file.
        content: Text,
    },
    /// Run a script unless its check holds.
    Script {
        /// The check, as words for the shell.
        check: String,
        /// What is run.
        run: Text,
        /// What runs it.
        interpreter: Vec<String>,
        /// Longest time for `run`.
        seconds: u64,
    },
}

impl Command {
    /// An item like most: nothing of it is shown, and it depends on no other.
    pub fn new(item: Text, probe: String, act: Act, timeout: Duration) -> Self {
        Self {
            item,
            probe,
            act,
            timeout,
            show: None,
            place: None,
            unit: None,
            recheck: false,
            bare: false,
            ground: false,
            library: None,
        }
    }

    /// Whether it is a file that can be written together with `first`: in the same folder, with the same rights.
    pub(crate) fn goes_with(&self, first: &Command) -> bool {
        let place = |command: &Command| match &command.act {
            Act::File { path, mode, owner, group, .. } => {
                Some((path.rsplit_once('/').map(|(folder, _)| folder.to_owned()), *mode, owner.clone(), group.clone()))
            }
            _ => None,
        };
        place(self).is_some_and(|own| place(first) == Some(own))
    }

    /// Whether it is a script with a check.
    pub(crate) fn is_script(&self) -> bool {
        matches!(self.act, Act::Script { .. })
    }

    /// Bytes of the file that it writes.
    pub(crate) fn content_len(&self) -> usize {
        if let Act::File { content, .. } = &self.act { content.len() } else { 0 }
    }

    /// Whether it may take long: such an item is only begun when all before it have ended, so that a run can be
    /// stopped before it.
    pub fn is_slow(&self) -> bool {
        self.timeout > QUICK
    }
}

/// The libraries that items need, each once.
pub(crate) fn libraries<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Vec<Library> {
    commands.into_iter().filter_map(|command| command.library).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Longest time for an item that only changes files.
pub const QUICK: Duration = Duration::from_secs(60);
