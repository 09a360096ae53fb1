//! Networks with what belongs to them.

use pool_inventory::{
    Text, Token,
    object::{NetworkSpec, Observed},
};

use super::{
    Cloud, invalid,
    poll::{Handle, unknown},
};
use crate::{Page, Progress, ProviderError, Request};

impl Cloud {
    pub(super) async fn create_network(
        &self,
        _request: &Request,
        _network: &NetworkSpec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "networks are not made yet"))
    }

    pub(super) async fn update_network(
        &self,
        _request: &Request,
        _id: &Text,
        _to: &NetworkSpec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "networks are not made yet"))
    }

    pub(super) async fn delete_network(&self, _request: &Request, id: &Text) -> Result<Progress, ProviderError> {
        Err(ProviderError::NotFound(id.clone()))
    }

    pub(super) async fn list_networks(&self, _from: Option<Text>) -> Result<Page, ProviderError> {
        Ok(Page::default())
    }

    pub(super) async fn poll_networks(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        unknown(handles)
    }

    pub(super) async fn find_network(&self, _token: &Token) -> Result<Option<Observed>, ProviderError> {
        Ok(None)
    }
}
