//! Mounting volumes in a machine, also while it runs.
//!
//! The keeper sees the volume and not the machine, the machine sees neither the volume nor the computer: a process of
//! its own clones the mount outside, enters the machine's mount table with it, and puts it there.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, Mode, OFlags},
    mount::{MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_remount, move_mount, open_tree, unmount},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{Doing, Fault, log};
use crate::local::notes::{Fitting, Notes};

/// Exit code of `ungraft` when the volume is in use.
pub(super) const BUSY: i32 = 75;

/// Where a volume's files are outside the machine.
pub(super) fn source(dir: &Path, id: &str, fitting: &Fitting) -> PathBuf {
    if fitting.image { image_mount(dir, id) } else { fitting.source.clone() }
}

/// Where the keeper mounts an image.
pub(super) fn image_mount(dir: &Path, id: &str) -> PathBuf {
    dir.join("images").join(id)
}

/// The mounts of all volumes that are to be seen in the machine, with their places there.
pub(super) fn sources<'a>(dir: &Path, notes: &'a Notes) -> Result<Vec<(OwnedFd, &'a str)>, Fault> {
    let mounted = notes.volumes.iter().filter_map(|(id, fitting)| Some((id, fitting, fitting.mount.as_deref()?)));
    mounted.map(|(id, fitting, mount)| Ok((clone(&source(dir, id, fitting))?, mount))).collect()
}

fn clone(source: &Path) -> Result<OwnedFd, Fault> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, source, flags).doing(|| format!("opening volume {}", source.display()))
}

/// Puts a cloned mount at an absolute path of this process's root.
pub(super) fn mount_here(source: &OwnedFd, target: &str) -> Result<(), Fault> {
    let what = || format!("mounting a volume at {target}");
    fs::create_dir_all(target).doing(what)?;
    move_mount(source, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).doing(what)?;
    let flags = MountFlags::BIND | MountFlags::NODEV | MountFlags::NOSUID;
    mount_remount(target, flags, "").doing(what)
}

fn enter(pid: &str) -> Result<(), Fault> {
    let what = || format!("entering the mounts of process {pid}");
    let path = format!("/proc/{pid}/ns/mnt");
    let space = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).doing(what)?;
    move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Mount)).doing(what)
}

/// Process `graft`: mounts `source` at `target` in the machine whose first process is `pid`.
pub(super) fn attach(pid: &str, source: &str, target: &str) -> Result<(), Fault> {
    let mount = clone(Path::new(source))?;
    enter(pid)?;
    mount_here(&mount, target)
}

/// Process `ungraft`: unmounts `target` there.
pub(super) fn detach(pid: &str, target: &str) -> ExitCode {
    let done = enter(pid).and_then(|()| match unmount(target, UnmountFlags::empty()) {
        // Not a mount point, or not there at all: detached already.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        done => done.doing(|| format!("unmounting {target}")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            log(&fault.chain());
            let busy = fault.source.kind() == io::ErrorKind::ResourceBusy;
            ExitCode::from(if busy { BUSY as u8 } else { 1 })
        }
    }
}
