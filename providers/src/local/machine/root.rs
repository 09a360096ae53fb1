//! The machine's file system: a folder of its own with copy-on-write layers over the computer's system folders.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_remount, unmount};

use super::{Doing, Fault, graft, layers::Layers, rights::Settings};
use crate::local::notes::{GUEST, INSIDE, Notes};

/// Device nodes that a machine sees.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Parts of `/proc` through which the computer could be changed.
const FROZEN: [&str; 5] = ["sys", "sysrq-trigger", "irq", "bus", "fs"];
/// Parts of `/proc` that tell too much about the computer.
const HIDDEN: [&str; 6] = ["kcore", "keys", "timer_list", "sched_debug", "acpi", "scsi"];

/// Where a machine's parts are in its folder.
pub(crate) struct Parts {
    /// Root folder.
    pub base: PathBuf,
    /// Changed files, one folder per layer.
    pub upper: PathBuf,
    /// Work folders of the layers.
    pub work: PathBuf,
}

impl Parts {
    pub(crate) fn of(dir: &Path) -> Self {
        let root = dir.join("root");
        Self { base: root.join("base"), upper: root.join("upper"), work: root.join("work") }
    }
}

/// Builds the root and makes it this process's root.
pub(super) fn enter(dir: &Path, notes: &Notes) -> Result<Settings, Fault> {
    let parts = Parts::of(dir);
    let layers = Layers::new(&parts, notes.rootless)?;
    let base = &parts.base;
    mount_bind(base, base).doing(|| format!("binding {}", base.display()))?;
    let at = |name: &str| base.join(name);
    remount(base, MountFlags::NODEV)?;
    layers.lay()?;
    tmpfs(&at("run"), c"mode=755,size=25%", MountFlags::empty())?;
    tmpfs(&at("tmp"), c"mode=1777,size=50%", MountFlags::empty())?;
    proc(&at("proc"))?;
    let settings = Settings::open(&at("proc"))?;
    freeze(&at("proc"))?;
    sys(&at("sys"), notes.rootless)?;
    dev(&at("dev"), notes.rootless)?;
    program(base, dir)?;
    let volumes = graft::sources(dir, notes)?;
    pivot(base)?;
    for folder in notes.hidden.iter().filter(|folder| folder.is_dir()) {
        tmpfs(folder, c"size=4k,mode=555", MountFlags::RDONLY)?;
    }
    for (source, target) in volumes {
        // Only now, so that links that the machine made lead nowhere but into the machine.
        graft::mount_here(&source, target)?;
    }
    Ok(settings)
}

fn tmpfs(at: &Path, data: &std::ffi::CStr, flags: MountFlags) -> Result<(), Fault> {
    let flags = flags | MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", at, "tmpfs", flags, data).doing(|| format!("mounting {}", at.display()))
}

fn remount(at: &Path, flags: MountFlags) -> Result<(), Fault> {
    // Flags that the mount came with may be locked in a user namespace: they have to be said again.
    let old = rustix::fs::statvfs(at).doing(|| format!("looking at {}", at.display()))?.f_flag;
    let mut all = flags | MountFlags::BIND;
    for (bit, flag) in [
        (rustix::fs::StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (rustix::fs::StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (rustix::fs::StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (rustix::fs::StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
        (rustix::fs::StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (rustix::fs::StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (rustix::fs::StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if old.contains(bit) {
            all |= flag;
        }
    }
    mount_remount(at, all, "").doing(|| format!("changing the mount {}", at.display()))
}

fn proc(at: &Path) -> Result<(), Fault> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", at, "proc", flags, None).doing(|| "mounting /proc".into())
}

fn freeze(proc: &Path) -> Result<(), Fault> {
    for name in FROZEN.map(|name| proc.join(name)).iter().filter(|path| path.exists()) {
        mount_bind(name, name).doing(|| format!("binding {}", name.display()))?;
        remount(name, MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC)?;
    }
    for name in HIDDEN.map(|name| proc.join(name)).iter().filter(|path| path.exists()) {
        if name.is_dir() {
            tmpfs(name, c"size=4k", MountFlags::RDONLY)?;
        } else {
            mount_bind("/dev/null", name).doing(|| format!("hiding {}", name.display()))?;
        }
    }
    Ok(())
}

fn sys(at: &Path, rootless: bool) -> Result<(), Fault> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if rootless {
        // A new one is only for who owns the network; of the computer's, single mounts cannot be taken apart.
        mount_bind_recursive("/sys", at).doing(|| "binding /sys".into())?;
    } else {
        mount("sysfs", at, "sysfs", flags, None).doing(|| "mounting /sys".into())?;
    }
    remount(at, flags | MountFlags::RDONLY)?;
    for name in ["fs/cgroup", "firmware", "kernel/debug", "kernel/tracing", "kernel/security", "fs/bpf"] {
        let path = at.join(name);
        if path.is_dir() {
            tmpfs(&path, c"size=4k,mode=555", MountFlags::RDONLY)?;
        }
    }
    Ok(())
}

fn dev(at: &Path, rootless: bool) -> Result<(), Fault> {
    let what = || "making /dev".to_owned();
    mount("tmpfs", at, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=755,size=64k").doing(what)?;
    for name in DEVICES {
        let node = at.join(name);
        fs::write(&node, "").doing(what)?;
        mount_bind(Path::new("/dev").join(name), &node).doing(|| format!("binding /dev/{name}"))?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(at.join(name)).doing(what)?;
    }
    let data =
        if rootless { c"newinstance,ptmxmode=0666,mode=620" } else { c"newinstance,ptmxmode=0666,mode=620,gid=5" };
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("devpts", at.join("pts"), "devpts", flags, data).doing(|| "mounting /dev/pts".into())?;
    tmpfs(&at.join("shm"), c"mode=1777,size=25%", MountFlags::empty())?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, at.join(name)).doing(what)?;
    }
    remount(at, MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::RDONLY)
}

/// The program and what it needs to know, at [`INSIDE`]: the folder that holds them is not seen in the machine.
fn program(base: &Path, dir: &Path) -> Result<(), Fault> {
    let what = || "showing the program to the machine".to_owned();
    let inside = base.join(INSIDE.trim_start_matches('/'));
    fs::create_dir_all(inside.join(GUEST)).doing(what)?;
    fs::set_permissions(&inside, Permissions::from_mode(0o700)).doing(what)?;
    let program = std::env::current_exe().doing(what)?;
    fs::write(inside.join("program"), "").doing(what)?;
    for (from, to) in [(program, "program"), (dir.join(GUEST), GUEST)] {
        let to = inside.join(to);
        mount_bind(&from, &to).doing(|| format!("binding {}", from.display()))?;
        remount(&to, MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV)?;
    }
    Ok(())
}

fn pivot(base: &Path) -> Result<(), Fault> {
    let what = || format!("entering {}", base.display());
    std::env::set_current_dir(base).doing(what)?;
    rustix::process::pivot_root(".", ".").doing(what)?;
    unmount(".", UnmountFlags::DETACH).doing(what)?;
    std::env::set_current_dir("/").doing(what)
}
