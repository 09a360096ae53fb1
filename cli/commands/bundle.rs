//! `pool bundle`

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use pool_engine::ops::{self, Bundle, OpenRequest};
use pool_inventory::{Bytes, Name};
use tokio::sync::mpsc;

use super::quote;
use crate::{
    args::BundleCommand,
    context::{Context, Outcome},
    error::{CliError, ExitCode},
    render::table::count,
};

/// How often is told how far an artifact is.
const TELL: Duration = Duration::from_secs(2);

/// Makes a bundle, or unpacks one.
pub fn run(cx: &Context, command: &BundleCommand) -> Outcome {
    match command {
        BundleCommand::Create { out } => {
            let bundle = create(cx, &cx.open_request()?, out.clone())?;
            cx.ui.answer("bundle create", ExitCode::Done, &bundle, || created(&bundle));
        }
        BundleCommand::Unpack { file, folder, overwrite } => {
            let bundle = ops::unpack_bundle(file, folder.clone(), *overwrite)?;
            cx.ui.answer("bundle unpack", ExitCode::Done, &bundle, || unpacked(&bundle));
        }
    }
    Ok(ExitCode::Done)
}

fn create(cx: &Context, request: &OpenRequest, out: Option<PathBuf>) -> Result<Bundle, CliError> {
    cx.block_on(async {
        let (sender, mut lines) = mpsc::unbounded_channel();
        let work = async move {
            let last = Mutex::new(Instant::now());
            let tell = move |name: &Name, here, size| {
                // Each change below is one assignment: a panic leaves nothing half done.
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if here == 0 || last.elapsed() >= TELL {
                    *last = Instant::now();
                    let _ = sender.send(progress(name, here, size));
                }
            };
            ops::create_bundle(request, out, &tell).await
        };
        let talk = async {
            while let Some(line) = lines.recv().await {
                cx.ui.talk(&line);
            }
        };
        Ok(tokio::join!(work, talk).0?)
    })
}

fn progress(name: &Name, here: u64, size: Option<u64>) -> String {
    match (here, size) {
        (0, Some(size)) => format!("fetching {name}, {}\n", Bytes(size)),
        (0, None) => format!("fetching {name}\n"),
        (here, Some(size)) => format!("fetching {name}: {} of {}\n", Bytes(here), Bytes(size)),
        (here, None) => format!("fetching {name}: {}\n", Bytes(here)),
    }
}

fn size(bundle: &Bundle) -> String {
    let manifest = &bundle.manifest;
    let (files, artifacts) = (count(manifest.files.len(), "file"), count(manifest.artifacts.len(), "fetched artifact"));
    format!("{files}, {artifacts}, {}", Bytes(manifest.size()))
}

fn created(bundle: &Bundle) -> String {
    let path = bundle.path.display();
    let digest = bundle.sha256.as_deref().unwrap_or_default();
    let unpack = format!("pool bundle unpack {}", quote(&bundle.path.to_string_lossy()));
    format!("Wrote {path}: {}\nSHA-256 {digest}\nUnpack it there with: {unpack}\n", size(bundle))
}

fn unpacked(bundle: &Bundle) -> String {
    let path = bundle.path.display();
    let plan = format!("pool -C {} plan", quote(&bundle.path.to_string_lossy()));
    format!("Unpacked into {path}: {}\nGo on with: {plan}\n", size(bundle))
}
