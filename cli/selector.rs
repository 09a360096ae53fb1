//! Which hosts: `pool=web,team=checkout`, `tenant=retail`, `host/web-*`, `web-0`, `all`.

use pool_engine::ops::Selector;

use crate::error::CliError;

/// Reads a selector. Labels must all hold; of several patterns one is enough.
pub fn parse(text: &str) -> Result<Selector, CliError> {
    let mut selector = Selector::default();
    if text == "all" {
        return Ok(selector);
    }
    for part in text.split(',') {
        let bad = || {
            CliError::usage(format!("`{part}` in `{text}` selects nothing"))
                .hint("write KEY=VALUE, host/NAME, host/NAME-* or all, with commas between parts that must all hold")
        };
        match part.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                selector.labels.insert(key.into(), value.into());
            }
            Some(_) => return Err(bad()),
            None => {
                selector.patterns.insert(pattern(part).ok_or_else(bad)?.into());
            }
        }
    }
    Ok(selector)
}

/// `host/web-*` for `web-*`; nothing for what can be no host.
fn pattern(part: &str) -> Option<String> {
    let name = part.strip_prefix("host/").unwrap_or(part);
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '*';
    (!name.is_empty() && name.chars().all(sound)).then(|| format!("host/{name}"))
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
