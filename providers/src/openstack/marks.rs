//! Whose an object is, as descriptions and metadata carry it.

use std::collections::BTreeMap;

use pool_inventory::{Address, Lineage, Text, Token, object::Owner};

/// What begins the keys of metadata that are not labels.
pub(super) const PREFIX: &str = "pool_";
const LINEAGE: &str = "pool_lineage";
const ADDRESS: &str = "pool_address";
const GENERATION: &str = "pool_generation";
const TOKEN: &str = "pool_token";

/// The description of what has no metadata.
pub(super) fn description(owner: &Owner) -> String {
    format!("pool {} {} {} {}", owner.lineage, owner.address, owner.generation, owner.token)
}

/// The owner that a description names.
pub(super) fn read_description(text: &str) -> Option<Owner> {
    let mut words = text.strip_prefix("pool ")?.split(' ');
    let mut word = || words.next();
    let (lineage, address, generation, token) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return None;
    }
    owner(lineage, address, generation, token)
}

/// The metadata of an object of ours, beside its labels.
pub(super) fn metadata(owner: &Owner) -> BTreeMap<Text, Text> {
    [
        (LINEAGE.into(), owner.lineage.0.clone()),
        (ADDRESS.into(), owner.address.to_string().into()),
        (GENERATION.into(), owner.generation.to_string().into()),
        (TOKEN.into(), owner.token.0.clone()),
    ]
    .into()
}

/// The owner that metadata names.
pub(super) fn read_metadata(all: &BTreeMap<Text, Text>) -> Option<Owner> {
    owner(all.get(LINEAGE)?, all.get(ADDRESS)?, all.get(GENERATION)?, all.get(TOKEN)?)
}

/// The labels among metadata.
pub(super) fn labels(all: &BTreeMap<Text, Text>) -> BTreeMap<Text, Text> {
    all.iter().filter(|(key, _)| !key.starts_with(PREFIX)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The tag that a server is found by.
pub(super) fn tag(token: &Token) -> String {
    format!("pool-token-{token}")
}

fn owner(lineage: &str, address: &str, generation: &str, token: &str) -> Option<Owner> {
    Some(Owner {
        lineage: Lineage(lineage.into()),
        address: address.parse::<Address>().ok()?,
        generation: generation.parse().ok()?,
        token: Token(token.into()),
    })
}
