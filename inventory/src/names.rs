//! Names, addresses and identities.

use std::{borrow::Borrow, cmp::Ordering, fmt, marker::PhantomData, ops::Deref, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Shared immutable text; cheap to clone.
pub type Text = Arc<str>;

/// The longest accepted [`Name`], in bytes.
pub const NAME_MAX: usize = 31;

/// A name in an inventory: `[a-z][a-z0-9-]{0,30}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Text);

/// Why a text is not a [`Name`] or an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The text has more than [`NAME_MAX`] characters.
    #[error("`{0}` is longer than {NAME_MAX} characters")]
    TooLong(String),
    /// A character outside `[a-z0-9-]`, or a first character outside `[a-z]`.
    #[error("`{0}` must start with a-z and hold only a-z, 0-9 and `-`")]
    BadCharacter(String),
    /// An address without `kind/`, or with a kind that does not exist.
    #[error("`{0}` is not an address; write KIND/NAME, as in host/web-3 (kinds: {kinds})", kinds = Kind::LIST)]
    NotAnAddress(String),
}

impl Name {
    /// Checks `text` against the grammar of names.
    pub fn new(text: &str) -> Result<Self, NameError> {
        check_name(text)?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong(text.to_owned()));
    }
    let starts = text.as_bytes()[0].is_ascii_lowercase();
    let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if starts && rest { Ok(()) } else { Err(NameError::BadCharacter(text.to_owned())) }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Parsed(PhantomData))
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// The kinds of things that have an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A network, `network/front`.
    Network,
    /// A host, `host/web-3`.
    Host,
    /// A volume of a host, `volume/web-3.data`.
    Volume,
    /// A snapshot of a volume, `snapshot/web-3.data.before-upgrade`.
    Snapshot,
    /// A backup of a volume, `backup/web-3.data.monday`.
    Backup,
    /// A cluster, `cluster/k8s`; never an object of a cloud.
    Cluster,
    /// A host as a member of a cluster, `member/k8s/web-3`; recorded with the host.
    Member,
    /// A pool, `pool/web`; never an object of a cloud.
    Pool,
    /// A tenant, `tenant/retail`; never an object of a cloud.
    Tenant,
}

impl Kind {
    /// All kinds as users write them.
    pub const LIST: &str = "network, host, volume, snapshot, backup, cluster, member, pool, tenant";

    /// The kind as users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Network => "network",
            Kind::Host => "host",
            Kind::Volume => "volume",
            Kind::Snapshot => "snapshot",
            Kind::Backup => "backup",
            Kind::Cluster => "cluster",
            Kind::Member => "member",
            Kind::Pool => "pool",
            Kind::Tenant => "tenant",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a thing is called in output and on the command line: `host/web-3`, `volume/web-3.data`.
///
/// Ordered by kind, then by name, where digits compare by value: `host/web-2` stands before `host/web-10`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// The kind of the thing.
    pub kind: Kind,
    /// Its name among its kind.
    pub name: Text,
}

impl Address {
    /// `host/NAME`
    pub fn host(name: &str) -> Self {
        Self { kind: Kind::Host, name: name.into() }
    }

    /// `volume/HOST.VOLUME`
    pub fn volume(host: &str, volume: &str) -> Self {
        Self { kind: Kind::Volume, name: format!("{host}.{volume}").into() }
    }

    /// `network/NAME`
    pub fn network(name: &str) -> Self {
        Self { kind: Kind::Network, name: name.into() }
    }

    /// `cluster/NAME`
    pub fn cluster(name: &str) -> Self {
        Self { kind: Kind::Cluster, name: name.into() }
    }

    /// `member/CLUSTER/HOST`
    pub fn member(cluster: &str, host: &str) -> Self {
        Self { kind: Kind::Member, name: format!("{cluster}/{host}").into() }
    }

    /// The host that is a member: `host/web-3` for `member/k8s/web-3`, none for other kinds.
    pub fn host_of_member(&self) -> Option<Address> {
        if self.kind != Kind::Member {
            return None;
        }
        self.name.split_once('/').map(|(_, host)| Address::host(host))
    }

    /// `pool/NAME`
    pub fn pool(name: &str) -> Self {
        Self { kind: Kind::Pool, name: name.into() }
    }

    /// `tenant/NAME`
    pub fn tenant(name: &str) -> Self {
        Self { kind: Kind::Tenant, name: name.into() }
    }

    /// The volume that a snapshot or backup is of: `volume/web-3.data` for `snapshot/web-3.data.monday`.
    pub fn volume_of_copy(&self) -> Option<Address> {
        match self.kind {
            Kind::Snapshot | Kind::Backup => {
                let (volume, _) = self.name.rsplit_once('.')?;
                Some(Address { kind: Kind::Volume, name: volume.into() })
            }
            _ => None,
        }
    }

    /// `snapshot/HOST.VOLUME.NAME` or `backup/HOST.VOLUME.NAME` of a volume.
    pub fn copy_of(kind: Kind, volume: &Address, name: &str) -> Self {
        Self { kind, name: format!("{}.{name}", volume.name).into() }
    }

    /// The host that a volume, or a copy of one, belongs to: `host/web-3` for `backup/web-3.data.monday`.
    pub fn host_below(&self) -> Option<Address> {
        match self.kind {
            Kind::Snapshot | Kind::Backup => self.volume_of_copy()?.host_of_volume(),
            _ => self.host_of_volume(),
        }
    }

    /// The host that a volume belongs to: `host/web-3` for `volume/web-3.data`, none for other kinds.
    pub fn host_of_volume(&self) -> Option<Address> {
        if self.kind != Kind::Volume {
            return None;
        }
        self.name.split_once('.').map(|(host, _)| Address::host(host))
    }
}

impl FromStr for Address {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bad = || NameError::NotAnAddress(text.to_owned());
        let (kind, name) = text.split_once('/').ok_or_else(bad)?;
        let kind = match kind {
            "network" => Kind::Network,
            "host" => Kind::Host,
            "volume" => Kind::Volume,
            "snapshot" => Kind::Snapshot,
            "backup" => Kind::Backup,
            "cluster" => Kind::Cluster,
            "member" => Kind::Member,
            "pool" => Kind::Pool,
            "tenant" => Kind::Tenant,
            _ => return Err(bad()),
        };
        let part =
            |p: &str| p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') && !p.is_empty();
        let well_formed = match kind {
            Kind::Member => name.split('/').count() == 2 && name.split('/').all(part),
            Kind::Volume => name.split('.').count() == 2 && name.split('.').all(part),
            Kind::Snapshot | Kind::Backup => name.split('.').count() == 3 && name.split('.').all(part),
            _ => part(name),
        };
        if well_formed { Ok(Self { kind, name: name.into() }) } else { Err(bad()) }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Parsed(PhantomData))
    }
}

/// Reads what is parsed from text without a copy of the text: a state holds a million of them.
struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err = NameError>> de::Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.width() {
            Some(_) => f.pad(&format!("{}/{}", self.kind, self.name)),
            None => write!(f, "{}/{}", self.kind.as_str(), self.name),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.kind.cmp(&other.kind).then_with(|| natural(&self.name, &other.name))
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares two names so that runs of digits compare by value; equal only for equal names.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (x, y) = (a.as_bytes(), b.as_bytes());
    // Names of one pool share most of their text: begin where they differ, or where the number there begins.
    let same = common(x, y);
    let start = same - x[..same].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    if x.get(start) == Some(&b'0') || y.get(start) == Some(&b'0') {
        return by_value(&x[start..], &y[start..]).then_with(|| a.cmp(b));
    }
    // Without leading zeros the longer number is the larger one.
    let (m, n) = (digits(&x[same..]), digits(&y[same..]));
    let numbers = start < same || (m > 0 && n > 0);
    let longer = if numbers { m.cmp(&n) } else { Ordering::Equal };
    longer.then_with(|| x.get(same).cmp(&y.get(same)))
}

/// The same for texts that may have leading zeros; equal where they differ in those alone.
fn by_value(mut x: &[u8], mut y: &[u8]) -> Ordering {
    loop {
        match (x.first(), y.first()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (m, n) = (digits(x), digits(y));
                let order = significant(&x[..m]).len().cmp(&significant(&y[..n]).len());
                let order = order.then_with(|| significant(&x[..m]).cmp(significant(&y[..n])));
                if order.is_ne() {
                    return order;
                }
                (x, y) = (&x[m..], &y[n..]);
            }
            (Some(p), Some(q)) if p != q => return p.cmp(q),
            _ => (x, y) = (&x[1..], &y[1..]),
        }
    }
}

/// How many bytes two texts begin with in common; eight at a time, since sorting asks this a million times.
fn common(x: &[u8], y: &[u8]) -> usize {
    let mut same = 0;
    for (p, q) in x.as_chunks::<8>().0.iter().zip(y.as_chunks::<8>().0) {
        let difference = u64::from_le_bytes(*p) ^ u64::from_le_bytes(*q);
        if difference != 0 {
            return same + difference.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + x[same..].iter().zip(&y[same..]).take_while(|(p, q)| p == q).count()
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn significant(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}

/// The identity of one state: 128 random bits in hex, made together with the state.
///
/// An inventory's name is for people; objects in a cloud belong to a lineage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lineage(pub Text);

impl Lineage {
    /// A lineage from 128 random bits.
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(hex(&bits).into())
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The idempotency token of one attempt at one act on one object: 128 bits in hex.
///
/// The same (lineage, address, generation, attempt) always gives the same token, so that a retry after a
/// crash or a lost reply can be recognised by the cloud, and found again by us.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub Text);

impl Token {
    /// Derives the token.
    pub fn derive(lineage: &Lineage, address: &Address, generation: u32, attempt: u32) -> Self {
        let text = format!("{lineage}\n{address}\n{generation}\n{attempt}");
        Self(hex(&blake3::hash(text.as_bytes()).as_bytes()[..16]).into())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any run of characters. O(pattern × text) at worst.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut i, mut j, mut star) = (0, 0, None);
    while j < t.len() {
        if p.get(i) == Some(&b'*') {
            star = Some((i, j));
            i += 1;
        } else if p.get(i) == Some(&t[j]) {
            (i, j) = (i + 1, j + 1);
        } else if let Some((at, from)) = star {
            // The last star takes one character more.
            star = Some((at, from + 1));
            (i, j) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    p[i..].iter().all(|b| *b == b'*')
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "web", "db-1", "a23456789-123456789-123456789-1"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "Web", "a_b", "a.b", "ä", "a23456789-123456789-123456789-12"] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_round_trip_and_sort_by_number() {
        for text in
            ["host/web-3", "volume/web-3.data", "snapshot/web-3.data.a", "network/front", "pool/web", "tenant/retail"]
        {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        for bad in [
            "web-3",
            "host/",
            "thing/x",
            "volume/web",
            "volume/a.b.c",
            "backup/web-3.data",
            "host/a b",
            "host/web-3.data",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
        let mut hosts: Vec<Address> = ["web-10", "web-9", "web-1", "db-2"].map(Address::host).into();
        hosts.sort();
        assert_eq!(format!("{hosts:?}"), "[host/db-2, host/web-1, host/web-9, host/web-10]");
    }

    #[test]
    fn the_order_of_names_is_that_of_their_parts_by_value() {
        let parts = ["", "a", "a-", "web-", "web-prod-abc-"];
        let numbers = ["", "0", "00", "1", "01", "9", "10", "010", "11", "12345", "12346", "012345"];
        let ends = ["", ".", ".data", "a", "-2", "-02"];
        let names = parts.iter().flat_map(|p| numbers.iter().map(move |n| format!("{p}{n}")));
        let names: Vec<String> = names.flat_map(|start| ends.iter().map(move |end| format!("{start}{end}"))).collect();
        for a in &names {
            for b in &names {
                let plain = by_value(a.as_bytes(), b.as_bytes()).then_with(|| a.cmp(b));
                assert_eq!(natural(a, b), plain, "{a} {b}");
            }
        }
    }

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, text) in
            [("*", ""), ("here/*", "here/dir"), ("*/fast", "cloud/fast"), ("a*b*c", "axxbyyc"), ("web-3", "web-3")]
        {
            assert!(wildcard(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*b", "ac"), ("here/*", "there/dir"), ("a", "ab")] {
            assert!(!wildcard(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_token_depends_on_each_part_and_on_nothing_else() {
        let l = Lineage::from_bits([7; 16]);
        let t = |name: &str, g, a| Token::derive(&l, &Address::host(name), g, a);
        assert_eq!(t("web-1", 1, 0), t("web-1", 1, 0));
        assert_ne!(t("web-1", 1, 0), t("web-1", 1, 1));
        assert_ne!(t("web-1", 1, 0), t("web-1", 2, 0));
        assert_ne!(t("web-1", 1, 0), t("web-2", 1, 0));
    }
}
