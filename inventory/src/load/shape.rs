//! What may stand where: the words in which [`super::keys`] describes the file format.
//!
//! One table of keys drives the check of a file, the did-you-mean of an unknown key, and the JSON Schema, so that they
//! cannot drift apart.

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Int(u64, u64),
    /// Any text; numbers and truth values count by their spelling.
    Text,
    /// A name, `[a-z][a-z0-9-]{0,30}`.
    Name,
    /// `8GiB`
    Bytes,
    /// `50MiB/s`
    Rate,
    /// `30s`
    Time,
    /// `20%`
    Percent,
    /// `"0644"`
    Mode,
    /// `0.05/hour`
    Hourly,
    /// `9000/month`
    Monthly,
    /// `10.20.0.0/24`
    Cidr,
    /// `10.20.0.10`
    Ip,
    /// Absolute path on a host.
    Path,
    /// 64 lower-case hex digits.
    Sha256,
    /// The value of a variable: text, number or truth value.
    Scalar,
    /// One of a few words.
    Word {
        /// What may stand there.
        words: &'static [&'static str],
        /// What will be possible later.
        later: &'static [&'static str],
    },
    /// `KIND/NAME`
    Address,
    /// A map with known keys.
    Section(&'static Section),
    /// A map with keys of the user's.
    Map(KeyShape, &'static Shape),
    /// A list.
    List(&'static Shape),
    /// A scalar of the first shape, or a map of the second, or, where all its keys are of this section, the section.
    Either(&'static Shape, &'static Shape, &'static Section),
    /// A scalar of a shape, or a section.
    Or(&'static Shape, &'static Section),
    /// A map whose `type:` says which section it is.
    Tagged {
        /// Section by the word after `type:`.
        sections: &'static [(&'static str, &'static Section)],
        /// Words that will be possible later.
        later: &'static [&'static str],
    },
}

/// What a key of the user's must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShape {
    /// `[a-z][a-z0-9-]{0,30}`
    Name,
    /// `[a-z][a-z0-9_]{0,30}`
    Variable,
    /// Absolute path.
    Path,
    /// Any text that is not empty.
    Text,
    /// `KIND/NAME`
    Address,
}

/// A map with known keys.
#[derive(Debug)]
pub struct Section {
    /// What it is, for the schema and the reference.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Keys that are planned and cannot be carried out yet.
    pub later: &'static [&'static str],
    /// Exactly one of these must be given; empty: no such rule.
    pub one_of: &'static [&'static str],
}

/// A known key.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub shape: Shape,
    /// Whether it must be given.
    pub required: bool,
    /// What it is for, with its default.
    pub doc: &'static str,
}

impl Section {
    /// The key of a name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key that may be left out.
pub const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, required: false, doc }
}

/// A key that must be given.
pub const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, required: true, doc }
}

/// A section without planned keys.
pub const fn section(doc: &'static str, keys: &'static [Key]) -> Section {
    Section { doc, keys, later: &[], one_of: &[] }
}
