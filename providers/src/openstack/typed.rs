//! The crate `openstack`, for the lists that it types: it asks through our HTTP client, with our token.
//!
//! Its own logins are not used: they know users and domains by name only, and cannot be made to renew a token that a
//! service has refused (see `docs/decisions/0005-openstack-crate.md`). `osauth` takes any login that is an [`AuthType`].

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use osauth::{AuthType, EndpointFilters, Error, ErrorKind, Session, client::AuthenticatedClient};
use pool_inventory::Text;
use reqwest::{Client as Http, RequestBuilder, Url};

use super::{calls::Calls, catalogue, error::Asked, identity::Identity};
use crate::ProviderError;

/// Our login as `osauth` wants one.
pub(super) struct Login {
    pub identity: Arc<Identity>,
    pub region: Text,
    pub calls: Arc<Calls>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

/// A cloud with typed lists.
pub(super) async fn cloud(http: Http, login: Login) -> Result<openstack::Cloud, ProviderError> {
    let client = AuthenticatedClient::new(http, login).await.map_err(|e| understood(&e))?;
    Ok(Session::new_with_authenticated_client(client).into())
}

impl Login {
    /// Counts a request. Only Nova is asked this way; what is no list is its version document.
    fn count(&self, request: &RequestBuilder) {
        let Some(request) = request.try_clone().and_then(|request| request.build().ok()) else { return };
        let path = request.url().path().trim_matches('/');
        let path = if path.starts_with("flavors") { path } else { "versions" };
        self.calls.count(Asked {
            service: "compute",
            method: request.method(),
            path: &path.split('/').collect::<Vec<_>>(),
        });
    }
}

#[async_trait]
impl AuthType for Login {
    async fn authenticate(&self, client: &Http, request: RequestBuilder) -> Result<RequestBuilder, Error> {
        let issued = self.identity.token(client, None, || ()).await.map_err(foreign)?;
        self.count(&request);
        Ok(request.header("x-auth-token", issued.token.clone()))
    }

    async fn get_endpoint(&self, client: &Http, service: &str, _filters: &EndpointFilters) -> Result<Url, Error> {
        let issued = self.identity.token(client, None, || ()).await.map_err(foreign)?;
        let missing = || Error::new(ErrorKind::EndpointNotFound, format!("`{service}` is not asked by this program"));
        let service = catalogue::service(service).ok_or_else(missing)?;
        let url = catalogue::endpoint(&issued.catalogue, service, &self.region, self.identity.credentials())
            .map_err(foreign)?;
        // It is asked for its versions, and may answer with a redirect where the slash is missing.
        Ok(catalogue::document(&url))
    }

    async fn refresh(&self, client: &Http) -> Result<(), Error> {
        self.identity.token(client, None, || ()).await.map(drop).map_err(foreign)
    }
}

fn foreign(error: ProviderError) -> Error {
    let kind = match &error {
        ProviderError::Unauthorized(_) => ErrorKind::AuthenticationFailed,
        ProviderError::Transient(_) | ProviderError::Indeterminate(_) => ErrorKind::ProtocolError,
        _ => ErrorKind::OperationFailed,
    };
    Error::new(kind, error.to_string())
}

/// An error of the crate as one of ours. Only reads go through it.
pub(super) fn understood(error: &Error) -> ProviderError {
    let text = error.to_string().into();
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::AccessDenied => ProviderError::Unauthorized(text),
        ErrorKind::ProtocolError | ErrorKind::OperationTimedOut | ErrorKind::InternalServerError => {
            ProviderError::Transient(text)
        }
        _ => ProviderError::Other(text),
    }
}
