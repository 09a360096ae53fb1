//! Which objects an errand is about.

use pool_engine::ops::Environment;
use pool_inventory::{Address, Kind};

use crate::{
    context::Context,
    error::{CliError, ExitCode},
    selector,
};

/// The object that is named, recorded or not; or the recorded ones that a selector fits.
pub async fn named(cx: &Context, env: &Environment, kind: Kind, text: &str) -> Result<Vec<Address>, CliError> {
    if let Some(address) = address(kind, text) {
        return Ok(vec![address]);
    }
    let found = selected(env, kind, text).await?;
    if found.is_empty() {
        return Err(CliError::new(ExitCode::Failed, format!("no recorded {kind} fits {text}"))
            .hint(format!("what is recorded is listed by: {}", cx.command(&format!("state list '{kind}/*'")))));
    }
    Ok(found)
}

/// The recorded objects that a selector fits.
pub async fn selected(env: &Environment, kind: Kind, text: &str) -> Result<Vec<Address>, CliError> {
    let selector = selector::parse_for(kind, text)?;
    Ok(env.select(&selector, kind).await?)
}

/// `host/web-0` for `host/web-0` and `web-0`; nothing for a selector.
fn address(kind: Kind, text: &str) -> Option<Address> {
    let full = if text.contains('/') { text.to_owned() } else { format!("{kind}/{text}") };
    full.parse().ok().filter(|address: &Address| address.kind == kind && text != "all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_their_kind_are_addresses() {
        let shown = |kind, text| address(kind, text).map(|address| address.to_string());
        assert_eq!(shown(Kind::Host, "web-0"), Some("host/web-0".to_owned()));
        assert_eq!(shown(Kind::Volume, "volume/web-0.data"), Some("volume/web-0.data".to_owned()));
        assert_eq!(shown(Kind::Volume, "web-0.data"), Some("volume/web-0.data".to_owned()));
        for (kind, other) in [(Kind::Host, "host/web-*"), (Kind::Host, "pool=web"), (Kind::Host, "all")] {
            assert_eq!(shown(kind, other), None, "{other}");
        }
    }
}
