//! Artifacts that pools take: whether they can be had, without fetching them.

use std::collections::BTreeSet;

use pool_inventory::{
    Name, Text,
    desired::{ArtifactBuild, ArtifactSource, Desired},
};

use super::Lines;
use crate::{
    artifacts::{digest, size_of},
    connect::Places,
};

/// One line per artifact that a pool takes, or one for each kind of machine.
pub(super) async fn artifacts(desired: &Desired, places: &Places, lines: &mut Lines) {
    let used: BTreeSet<&Name> =
        desired.pools.values().flat_map(|pool| pool.bootstrap.artifacts()).map(|used| &used.name).collect();
    let used = used.into_iter().filter_map(|name| Some((name, desired.artifacts.get(name)?)));
    let builds: Vec<(&Name, &ArtifactBuild)> =
        used.flat_map(|(name, spec)| spec.builds.iter().map(move |build| (name, build))).collect();
    let asked = futures_util::future::join_all(builds.iter().map(|(_, build)| ask(build, places))).await;
    for ((name, build), found) in builds.into_iter().zip(asked) {
        let arch = build.arch.map_or_else(String::new, |arch| format!(" for {}", arch.as_str()));
        let subject = format!("artifact {name}{arch}");
        match found {
            Found::Here(detail) => lines.pass(subject, detail),
            Found::Bad(detail, todo) => lines.fail(subject, detail, todo),
            Found::Unseen(detail, todo) => lines.unknown(subject, detail, todo),
        }
    }
}

enum Found {
    Here(String),
    Bad(String, &'static str),
    Unseen(String, &'static str),
}

async fn ask(build: &ArtifactBuild, places: &Places) -> Found {
    if let Some(url) = &build.pull {
        return Found::Unseen(format!("hosts download it from {url}"), "see that they can reach it");
    }
    match &build.source {
        ArtifactSource::Path(path) => match digest(&places.root.join(&**path)).await {
            Ok(found) if found == *build.sha256 => Found::Here(format!("{path} is the one")),
            Ok(found) => Found::Bad(
                format!("{path} has the SHA-256 digest {found}, not {}", build.sha256),
                "put the right file there, or its digest into the inventory",
            ),
            Err(error) => Found::Bad(format!("{path} cannot be read: {error}"), "see that it is there"),
        },
        ArtifactSource::Url(url) => match digest(&places.artifacts().join(&*build.sha256)).await {
            Ok(found) if found == *build.sha256 => Found::Here("it is in the cache".to_owned()),
            _ => server(url).await,
        },
    }
}

async fn server(url: &Text) -> Found {
    match size_of(url).await {
        Ok(Some(size)) => Found::Here(format!("{url} has it, {size}")),
        Ok(None) => Found::Here(format!("{url} answers")),
        Err(error) => Found::Bad(error.to_string(), "see that it can be reached from here, or bring a bundle"),
    }
}
