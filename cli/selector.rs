//! Which hosts: `pool=web,team=checkout`, `tenant=retail`, `host/web-*`, `web-0`, `all`.

use pool_engine::ops::Selector;
use pool_inventory::Kind;

use crate::error::CliError;

/// Reads a selector of hosts. Labels must all hold; of several patterns one is enough.
pub fn parse(text: &str) -> Result<Selector, CliError> {
    parse_for(Kind::Host, text)
}

/// Reads a selector of a kind of objects.
pub fn parse_for(kind: Kind, text: &str) -> Result<Selector, CliError> {
    let mut selector = Selector::default();
    if text == "all" {
        return Ok(selector);
    }
    for part in text.split(',') {
        let bad = || {
            CliError::usage(format!("`{part}` in `{text}` selects nothing")).hint(format!(
                "write KEY=VALUE, {kind}/NAME, {kind}/NAME-* or all, with commas between parts that must all hold"
            ))
        };
        match part.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                selector.labels.insert(key.into(), value.into());
            }
            Some(_) => return Err(bad()),
            None => {
                selector.patterns.insert(pattern(kind, part).ok_or_else(bad)?.into());
            }
        }
    }
    Ok(selector)
}

/// `host/web-*` for `web-*`; nothing for what can be no object of that kind.
fn pattern(kind: Kind, part: &str) -> Option<String> {
    let name = part.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(part);
    let dotted = kind != Kind::Host;
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*".contains(c) || dotted && c == '.';
    (!name.is_empty() && name.chars().all(sound)).then(|| format!("{kind}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_patterns() {
        let selector = parse("pool=web,team=checkout,host/web-*,db-0").expect("it is sound");
        assert_eq!(format!("{:?}", selector.labels), r#"{"pool": "web", "team": "checkout"}"#);
        assert_eq!(format!("{:?}", selector.patterns), r#"{"host/db-0", "host/web-*"}"#);
        assert_eq!(parse("all").expect("it is sound"), Selector::default());
    }

    #[test]
    fn what_can_select_nothing_is_refused() {
        for bad in ["", "pool=", "=web", "volume/web-0.data", "Web", "a,,b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
