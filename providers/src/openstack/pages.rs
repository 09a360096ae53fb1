//! How every service wraps its answers: a list comes in pages, `KEY` holds one and `KEY_links` says whether there is
//! another; an object comes in an envelope.

use pool_inventory::Text;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Client, Service};
use crate::ProviderError;

/// Pages of one list before it is taken for endless.
const MAX_PAGES: usize = 1000;
/// How often a list is begun anew because what a page ended with is gone.
const RESTARTS: usize = 5;

impl Client {
    /// One page of a list, and the marker that the next one starts after. `NotFound`: what it should start after was
    /// deleted meanwhile, so that the list has to be begun anew.
    pub async fn page<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<(Vec<T>, Option<Text>), ProviderError> {
        let mut answer: Value = self.get(service, path, query).await.map_err(|error| unmarked(error, query))?;
        let next = next(&answer, key);
        let unreadable =
            |why: String| ProviderError::Transient(format!("the list of {key} is not readable: {why}").into());
        let items = answer.get_mut(key).map(Value::take).ok_or_else(|| unreadable("it is not there".into()))?;
        let items = serde_json::from_value(items).map_err(|error| unreadable(error.to_string()))?;
        Ok((items, next))
    }

    /// A whole list.
    pub async fn all<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &[&str],
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, ProviderError> {
        let mut restarts = 0;
        'anew: loop {
            let (mut all, mut next) = self.page(service, path, key, query).await?;
            for _ in 1..MAX_PAGES {
                let Some(marker) = next else { return Ok(all) };
                let mut query = query.to_vec();
                query.push(("marker", &marker));
                let page = self.page(service, path, key, &query).await;
                if matches!(page, Err(ProviderError::NotFound(_))) && restarts < RESTARTS {
                    restarts += 1;
                    continue 'anew;
                }
                let (more, after) = page?;
                // Of two equal pages, the second says nothing new: some services name a next page for ever.
                if after.as_ref() == Some(&marker) {
                    return Ok(all);
                }
                all.extend(more);
                next = after;
            }
            return Err(ProviderError::Other(format!("the list of {key} has more than {MAX_PAGES} pages").into()));
        }
    }
}

/// What a service says of a page that starts after something that is gone: Nova and Glance 400, Neutron and Cinder 404.
fn unmarked(error: ProviderError, query: &[(&str, &str)]) -> ProviderError {
    let marker = query.iter().find(|(name, _)| *name == "marker");
    match (error, marker) {
        (ProviderError::Invalid { .. } | ProviderError::NotFound(_), Some((_, marker))) => {
            ProviderError::NotFound((*marker).into())
        }
        (error, _) => error,
    }
}

/// `{"network": {…}}`: an object in an envelope with one key, whatever it is called.
pub(super) struct Made<T>(pub T);

impl<'de, T: DeserializeOwned> serde::Deserialize<'de> for Made<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let envelope: serde_json::Map<String, Value> = serde_json::Map::deserialize(from)?;
        let (_, value) = envelope.into_iter().next().ok_or_else(|| D::Error::custom("an empty answer"))?;
        serde_json::from_value(value).map(Made).map_err(D::Error::custom)
    }
}

/// The marker of the next page: Nova, Cinder and Neutron link to it in `KEY_links`, Glance in `next`.
fn next(answer: &Value, key: &str) -> Option<Text> {
    let links = answer.get(format!("{key}_links")).and_then(Value::as_array);
    let link = links.and_then(|links| links.iter().find(|link| link["rel"] == "next"));
    let href = link.map_or(&answer["next"], |link| &link["href"]).as_str()?;
    // Glance leaves the host out.
    let url = Url::parse("http://glance").and_then(|base| base.join(href)).ok()?;
    url.query_pairs().find(|(name, _)| name == "marker").map(|(_, marker)| marker.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::next;

    #[test]
    fn the_next_page_starts_after_the_marker_of_its_link() {
        let href = "http://127.0.77.1:29696/v2.0/networks?limit=1&marker=394ea996-5e78-448c-a785-d5eb2f298a11";
        let answer = json!({"networks": [], "networks_links": [{"href": "x?marker=a", "rel": "previous"}, {"href": href, "rel": "next"}]});
        assert_eq!(next(&answer, "networks").as_deref(), Some("394ea996-5e78-448c-a785-d5eb2f298a11"));
        assert_eq!(next(&json!({"networks": []}), "networks"), None);
        let of_glance = json!({"images": [], "next": "/v2/images?limit=1&marker=a%2Fb"});
        assert_eq!(next(&of_glance, "images").as_deref(), Some("a/b"));
    }
}
