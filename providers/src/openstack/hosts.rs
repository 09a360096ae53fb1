//! Servers with what belongs to them.

use pool_inventory::{
    Text, Token,
    object::{HostSpec, Observed},
};

use super::{
    Cloud, invalid,
    poll::{Handle, unknown},
};
use crate::{Page, Progress, ProviderError, Request};

impl Cloud {
    pub(super) async fn create_host(&self, _request: &Request, _host: &HostSpec) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "hosts are not made yet"))
    }

    pub(super) async fn update_host(
        &self,
        _request: &Request,
        _id: &Text,
        _to: &HostSpec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "hosts are not made yet"))
    }

    pub(super) async fn rebuild_host(
        &self,
        _request: &Request,
        _id: &Text,
        _to: &HostSpec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "hosts are not made yet"))
    }

    pub(super) async fn power_host(&self, _id: &Text, _on: bool) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "hosts are not made yet"))
    }

    pub(super) async fn restart_host(&self, _id: &Text) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "hosts are not made yet"))
    }

    pub(super) async fn delete_host(&self, _request: &Request, id: &Text) -> Result<Progress, ProviderError> {
        Err(ProviderError::NotFound(id.clone()))
    }

    pub(super) async fn list_hosts(&self, _from: Option<Text>) -> Result<Page, ProviderError> {
        Ok(Page::default())
    }

    pub(super) async fn poll_hosts(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        unknown(handles)
    }

    pub(super) async fn find_host(&self, _token: &Token) -> Result<Option<Observed>, ProviderError> {
        Ok(None)
    }
}
