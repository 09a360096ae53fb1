//! Volumes, snapshots and backups.

use pool_inventory::{
    Kind, Text, Token,
    object::{CopySpec, Observed, Spec, VolumeSpec},
};

use super::{
    Cloud, invalid,
    poll::{Handle, unknown},
};
use crate::{Page, Progress, ProviderError, Request};

impl Cloud {
    pub(super) async fn create_volume(
        &self,
        _request: &Request,
        _volume: &VolumeSpec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "volumes are not made yet"))
    }

    pub(super) async fn update_volume(
        &self,
        _request: &Request,
        _id: &Text,
        _to: &VolumeSpec,
        _host: Option<&str>,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "volumes are not made yet"))
    }

    pub(super) async fn delete_volume(&self, id: &Text) -> Result<Progress, ProviderError> {
        Err(ProviderError::NotFound(id.clone()))
    }

    pub(super) async fn create_snapshot(
        &self,
        _request: &Request,
        _copy: &CopySpec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "snapshots are not made yet"))
    }

    pub(super) async fn create_backup(&self, _request: &Request, _copy: &CopySpec) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "backups are not made yet"))
    }

    pub(super) async fn update_copy(
        &self,
        _request: &Request,
        _id: &Text,
        _to: &Spec,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "snapshots and backups are not made yet"))
    }

    pub(super) async fn restore_volume(
        &self,
        _id: &Text,
        _from: &Text,
        _kind: Kind,
    ) -> Result<Progress, ProviderError> {
        Err(invalid("kind", "snapshots and backups are not made yet"))
    }

    pub(super) async fn delete_copy(&self, id: &Text, _kind: Kind) -> Result<Progress, ProviderError> {
        Err(ProviderError::NotFound(id.clone()))
    }

    pub(super) async fn list_volumes(&self, _from: Option<Text>) -> Result<Page, ProviderError> {
        Ok(Page::default())
    }

    pub(super) async fn list_copies(&self, _kind: Kind, _from: Option<Text>) -> Result<Page, ProviderError> {
        Ok(Page::default())
    }

    pub(super) async fn poll_volumes(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        unknown(handles)
    }

    pub(super) async fn poll_copies(&self, handles: &[Handle]) -> Vec<Result<Progress, ProviderError>> {
        unknown(handles)
    }

    pub(super) async fn find_volume(&self, _token: &Token) -> Result<Option<Observed>, ProviderError> {
        Ok(None)
    }
}
