//! Files and archives that hosts get and that are too large for an inventory, or no text.

use serde::{Deserialize, Serialize};

use super::Arch;
use crate::{
    names::{Name, Text},
    units::FileMode,
};

/// Something that is fetched once, verified by its digest, and handed to hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSpec {
    /// One for all machines, or one per instruction set; never empty.
    pub builds: Vec<ArtifactBuild>,
}

/// An artifact for some machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactBuild {
    /// The machines that it is for; none: all.
    pub arch: Option<Arch>,
    /// SHA-256 of its content, 64 lower-case hex digits.
    pub sha256: Text,
    /// Where we take it from.
    pub source: ArtifactSource,
    /// The URL that hosts download it from; none: it is uploaded to them.
    pub pull: Option<Text>,
}

/// Where an artifact is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactSource {
    /// A URL, http or https.
    Url(Text),
    /// A path below the inventory's folder.
    Path(Text),
}

impl ArtifactSpec {
    /// What is said of it where it is used: its digests, and not where it comes from, so that hosts have nothing to do
    /// when it merely moves.
    pub fn named(&self, name: Name) -> ArtifactRef {
        ArtifactRef { name, digests: self.builds.iter().map(|build| (build.arch, build.sha256.clone())).collect() }
    }

    /// The build with this digest.
    pub fn build(&self, sha256: &str) -> Option<&ArtifactBuild> {
        self.builds.iter().find(|build| &*build.sha256 == sha256)
    }
}

/// An artifact where it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Its name in the inventory.
    pub name: Name,
    /// SHA-256 by instruction set; none: of all machines.
    pub digests: Vec<(Option<Arch>, Text)>,
}

impl ArtifactRef {
    /// The digest for a machine; none: it is not made for such machines.
    pub fn sha256(&self, arch: Option<Arch>) -> Option<&Text> {
        self.digests.iter().find(|(of, _)| of.is_none() || *of == arch).map(|(_, sha256)| sha256)
    }
}

/// A file of a host whose content is an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactFile {
    /// Which.
    pub artifact: ArtifactRef,
    /// Permission bits.
    pub mode: FileMode,
    /// Owner; none: the login user.
    pub owner: Option<Text>,
    /// Group; none: the login user's.
    pub group: Option<Text>,
}

/// An archive that is unpacked on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpackSpec {
    /// The archive.
    pub artifact: ArtifactRef,
    /// The directory below which its files go.
    pub to: Text,
    /// How many leading parts of each path in it are left out.
    pub strip: u32,
}
