//! Whose an object is, as descriptions and metadata carry it.

use std::collections::BTreeMap;

use pool_inventory::{Address, Lineage, Text, Token, object::Owner};

use super::invalid;
use crate::ProviderError;

/// What begins the keys of metadata that are not labels.
pub(super) const PREFIX: &str = "pool_";
const LINEAGE: &str = "pool_lineage";
const ADDRESS: &str = "pool_address";
const GENERATION: &str = "pool_generation";
pub(super) const TOKEN: &str = "pool_token";
/// Longest key, and longest value, of metadata.
const LABEL: usize = 255;

/// The description of what has no metadata. Neutron takes 255 characters; the longest that there can be has fewer.
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

/// Refuses labels that could be taken for marks, or that no service keeps whole.
pub(super) fn check(labels: &BTreeMap<Text, Text>) -> Result<(), ProviderError> {
    for (key, value) in labels {
        let bad = |why: &str| Err(invalid(&format!("tags.{key}"), why));
        if key.starts_with(PREFIX) {
            return bad("names that begin with `pool_` are kept for marks");
        }
        if key.is_empty() || key.chars().count() > LABEL || value.chars().count() > LABEL {
            return bad("a label has at most 255 characters in its name and 255 in its value");
        }
    }
    Ok(())
}

fn owner(lineage: &str, address: &str, generation: &str, token: &str) -> Option<Owner> {
    Some(Owner {
        lineage: Lineage(lineage.into()),
        address: address.parse::<Address>().ok()?,
        generation: generation.parse().ok()?,
        token: Token(token.into()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9-]{0,30}"
    }

    fn addresses() -> impl Strategy<Value = Address> {
        let host = || (part(), any::<u32>()).prop_map(|(pool, ordinal)| format!("{pool}-{ordinal}"));
        prop_oneof![
            host().prop_map(|host| format!("host/{host}")),
            part().prop_map(|network| format!("network/{network}")),
            (host(), part()).prop_map(|(host, volume)| format!("volume/{host}.{volume}")),
            (host(), part(), part()).prop_map(|(host, volume, copy)| format!("snapshot/{host}.{volume}.{copy}")),
        ]
        .prop_map(|text| text.parse().expect("a legal address"))
    }

    fn owners() -> impl Strategy<Value = Owner> {
        (any::<[u8; 16]>(), addresses(), any::<u32>(), any::<u32>()).prop_map(|(bits, address, generation, attempt)| {
            let lineage = Lineage::from_bits(bits);
            let token = Token::derive(&lineage, &address, generation, attempt);
            Owner { lineage, address, generation, token }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(owner in owners(), labels in prop::collection::btree_map("[a-z.]{1,9}", ".{0,9}", 0..4)) {
            let description = description(&owner);
            prop_assert!(description.len() <= 255);
            prop_assert_eq!(read_description(&description), Some(owner.clone()));

            let tags: BTreeMap<Text, Text> = labels.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect();
            prop_assert!(check(&tags).is_ok());
            let mut all = metadata(&owner);
            all.extend(tags.clone());
            prop_assert!(all.values().all(|value| value.len() <= 255));
            prop_assert_eq!(read_metadata(&all), Some(owner.clone()));
            prop_assert_eq!(super::labels(&all), tags);
            prop_assert!(tag(&owner.token).len() <= 60);
        }

        #[test]
        fn foreign_text_is_nobodys(text in ".*") {
            prop_assert_eq!(read_description(&text), None);
        }
    }

    #[test]
    fn text_that_looks_like_a_mark_is_not_one() {
        for text in
            ["pool", "pool ", "pool a host/x 1", "pool a host/X 1 t", "pool a host/x -1 t", "pool a host/x 1 t more"]
        {
            assert_eq!(read_description(text), None, "{text}");
        }
        let some: BTreeMap<Text, Text> = [("pool_lineage".into(), "a".into())].into();
        assert_eq!(read_metadata(&some), None);
    }

    #[test]
    fn labels_do_not_pass_for_marks() {
        let labels = |key: &str, value: &str| BTreeMap::from([(Text::from(key), Text::from(value))]);
        assert!(check(&labels("pool_token", "x")).is_err());
        assert!(check(&labels("team", &"x".repeat(256))).is_err());
        assert!(check(&labels("team", &"x".repeat(255))).is_ok());
    }
}
