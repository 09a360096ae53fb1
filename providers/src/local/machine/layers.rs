//! Copy-on-write layers over the computer's system folders.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen, mount_bind, move_mount,
    },
};

use super::{Doing, Fault, keeper, root::Parts};

/// The layers of one machine.
pub(super) struct Layers<'a> {
    parts: &'a Parts,
    rootless: bool,
    /// Where something is mounted on the computer.
    mounts: Vec<PathBuf>,
}

impl<'a> Layers<'a> {
    /// To be made before anything is mounted for the machine.
    pub(super) fn new(parts: &'a Parts, rootless: bool) -> Result<Self, Fault> {
        let mounts = keeper::mounts("/proc/self/mountinfo")?.into_iter().map(|(at, _)| at.into()).collect();
        Ok(Self { parts, rootless, mounts })
    }

    /// Lays one over each folder that has an upper part.
    pub(super) fn lay(&self) -> Result<(), Fault> {
        let upper = &self.parts.upper;
        for entry in fs::read_dir(upper).doing(|| format!("reading {}", upper.display()))? {
            let name = entry.doing(|| "reading the layers".into())?.file_name();
            self.over(Path::new(&name))?;
        }
        Ok(())
    }

    /// A layer over `/NAME`, or over what is in it.
    fn over(&self, name: &Path) -> Result<(), Fault> {
        let lower = Path::new("/").join(name);
        match self.overlay(name, &lower) {
            // Without root, the kernel does not let a layer show what a mount in the folder hides.
            Err(fault) if is_invalid(&fault) && self.below(&lower) => self.over_each_in(name, &lower),
            // What is mounted there is nothing that a layer can lie over: it is not seen.
            Err(fault) if is_invalid(&fault) && self.mounts.contains(&lower) => Ok(()),
            done => done,
        }
    }

    /// Whether something is mounted below a folder.
    fn below(&self, folder: &Path) -> bool {
        self.mounts.iter().any(|at| at != folder && at.starts_with(folder))
    }

    /// Folders in it get layers of their own; the files beside them are copied. All changes are kept where those of one
    /// layer would be, so that the machine loses nothing when the mounts of the computer are others at its next start.
    fn over_each_in(&self, name: &Path, lower: &Path) -> Result<(), Fault> {
        let (upper, at) = (self.parts.upper.join(name), self.parts.base.join(name));
        mount_bind(&upper, &at).doing(|| format!("binding {}", at.display()))?;
        // What cannot be read has nothing to show.
        let Ok(entries) = fs::read_dir(lower) else { return Ok(()) };
        for entry in entries.flatten() {
            let (from, to) = (entry.path(), upper.join(entry.file_name()));
            let what = || format!("showing {} to the machine", from.display());
            let Ok(found) = entry.metadata() else { continue };
            let changed = fs::symlink_metadata(&to);
            if found.is_dir() {
                if changed.is_err() {
                    fs::create_dir(&to).doing(what)?;
                    let mode = found.permissions().mode() & 0o7777 | 0o700;
                    fs::set_permissions(&to, Permissions::from_mode(mode)).doing(what)?;
                }
                if fs::symlink_metadata(&to).is_ok_and(|now| now.is_dir()) {
                    self.over(&name.join(entry.file_name()))?;
                }
            } else if changed.is_err() {
                copy(&from, &to, &found).doing(what)?;
            }
        }
        Ok(())
    }

    fn overlay(&self, name: &Path, lower: &Path) -> Result<(), Fault> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let what = || format!("layering over {}", lower.display());
        // One folder for each layer, whatever the depth.
        let work = self.parts.work.join(text(name).replace('/', "%"));
        fs::create_dir_all(&work).doing(what)?;
        let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).doing(what)?;
        let escaped = text(lower).replace('\\', "\\\\").replace(':', "\\:");
        fsconfig_set_string(&fs, "lowerdir", escaped).doing(what)?;
        fsconfig_set_string(&fs, "upperdir", text(&self.parts.upper.join(name))).doing(what)?;
        fsconfig_set_string(&fs, "workdir", text(&work)).doing(what)?;
        if self.rootless {
            fsconfig_set_flag(&fs, "userxattr").doing(what)?;
        }
        fsconfig_create(&fs).doing(what)?;
        let mounted = fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV).doing(what)?;
        let target = self.parts.base.join(name);
        move_mount(&mounted, "", CWD, &target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).doing(what)
    }
}

fn is_invalid(fault: &Fault) -> bool {
    fault.source.raw_os_error() == Some(Errno::INVAL.raw_os_error())
}

/// A file as it is now, or a link; what cannot be read, and what is no file, is left out.
fn copy(from: &Path, to: &Path, found: &fs::Metadata) -> io::Result<()> {
    let copied = match found {
        found if found.is_symlink() => fs::read_link(from).and_then(|target| symlink(target, to)),
        found if found.is_file() => fs::copy(from, to).map(drop),
        _ => Ok(()),
    };
    match copied {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        copied => copied,
    }
}
