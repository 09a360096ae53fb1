//! Backends of our own: is the folder there, and is there as much space as may be handed out?

use std::{fs, path::Path};

use pool_inventory::{Bytes, Name, desired::BackendSpec};

use super::{Lines, look::Look};

pub(super) fn backends(look: &Look, root: &Path, lines: &mut Lines) {
    for (name, spec) in &look.input.desired.backends {
        backend(look, root, name, spec, lines);
    }
}

fn backend(look: &Look, root: &Path, name: &Name, spec: &BackendSpec, lines: &mut Lines) {
    let subject = format!("backend {name}");
    let path = root.join(&*spec.path);
    let Some(there) = path.ancestors().find(|dir| dir.exists()) else { return };
    if !fs::metadata(there).is_ok_and(|found| found.is_dir()) {
        let detail = format!("{} is no folder", there.display());
        return lines.fail(subject, detail, format!("correct backends.{name}.path"));
    }
    if let Err(error) = rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        let detail = format!("{} cannot be written to: {error}", there.display());
        return lines.fail(subject, detail, "give this user the right to, or name another folder");
    }
    let free = match rustix::fs::statvfs(there) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            return lines.unknown(subject, format!("the space of {}: {error}", there.display()), "look at its disk");
        }
    };
    let offers = look.input.markets.values().flat_map(|market| &market.backends);
    let allocated = offers.filter(|offer| *offer.name == **name).map(|offer| offer.allocated.0).max().unwrap_or(0);
    let left = spec.capacity.0.saturating_sub(allocated);
    let need = look.need(&format!("backend/{name}")).unwrap_or(0);
    let folder = if there == path { "is there" } else { "will be made" };
    let of = format!("{} of {} left, {} free on its disk", Bytes(left), spec.capacity, Bytes(free));
    if need > free {
        let detail = format!("the plan needs {}, {of}: {} short", Bytes(need), Bytes(need - free));
        lines.fail(subject, detail, "make room on its disk");
    } else {
        lines.pass(subject, format!("the folder {folder}; {of}"));
    }
}
