//! Keys of artifacts and of what takes them.

use super::ARCH;
use crate::load::shape::{Key, Section, Shape::*, optional, required, section};

const URL: Key = optional("url", Text, "Where it is fetched from, http or https; this or `path`.");
const PATH: Key = optional("path", Text, "A file below the inventory's folder; this or `url`.");
const PULL: Key = optional("pull", Bool, "Whether hosts download it from `url` themselves. Default: it is uploaded.");
const MIRROR: Key =
    optional("mirror", Text, "URL of a folder that hosts download it from, by its file name. Default: it is uploaded.");

pub static ARTIFACT: Section = section(
    "A file or an archive. One for all machines, or one under each of `amd64` and `arm64`.",
    &[
        URL,
        PATH,
        optional("sha256", Sha256, "Digest of its content; required with `url` and `path`."),
        optional("arch", ARCH, "Machines that it is for. Default: all."),
        PULL,
        MIRROR,
        optional("amd64", Section(&BUILD), "The one for x86 machines with 64 bits."),
        optional("arm64", Section(&BUILD), "The one for ARM machines with 64 bits."),
    ],
);

static BUILD: Section = Section {
    doc: "An artifact for machines with one instruction set.",
    keys: &[URL, PATH, required("sha256", Sha256, "Digest of its content."), PULL, MIRROR],
    later: &[],
    one_of: &["url", "path"],
};

pub static UNPACK: Section = section(
    "An archive that is unpacked.",
    &[
        required("to", Path, "The directory below which its files go."),
        optional("strip", Int(0, 100), "Leading parts of each path in it that are left out. Default: 0."),
    ],
);
