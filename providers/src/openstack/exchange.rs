//! One request and its whole answer.

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};

use super::error::{self, Asked};
use crate::ProviderError;

/// Longest answer that is read.
const MAX: usize = 64 << 20;

/// Sends a request and reads the answer to its end, whatever its status.
pub(super) async fn send(
    asked: Asked<'_>,
    request: RequestBuilder,
) -> Result<(StatusCode, HeaderMap, Vec<u8>), ProviderError> {
    let lost = |error: reqwest::Error| error::unanswered(asked, &error);
    let mut answer = request.send().await.map_err(lost)?;
    let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(lost)? {
        if body.len() + part.len() > MAX {
            return Err(error::garbled(asked, "the answer is longer than 64 MiB"));
        }
        body.extend_from_slice(&part);
    }
    Ok((status, headers, body))
}
