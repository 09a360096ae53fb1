//! Taking rights away from a machine, for good.

use std::{fs::File, io::Write};

use rustix::{
    fs::{Mode, OFlags, openat},
    thread::{CapabilitySet, CapabilitySets, UnshareFlags, remove_capability_from_bounding_set, set_capabilities},
};

use super::{Doing, Fault};

/// What root in a machine keeps: what package managers and services need, nothing that reaches the computer.
///
/// Not kept, with what it would allow: mounts, sysctls, loop devices (`SYS_ADMIN`), devices (`MKNOD`, `SYS_RAWIO`),
/// reboot and kexec (`SYS_BOOT`), modules, the clock, interfaces and packets of the shared network (`NET_ADMIN`,
/// `NET_RAW`), files of the computer by handle (`DAC_READ_SEARCH`).
fn kept() -> CapabilitySet {
    CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::FOWNER
        | CapabilitySet::FSETID
        | CapabilitySet::KILL
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::SETPCAP
        | CapabilitySet::SETFCAP
        | CapabilitySet::NET_BIND_SERVICE
        | CapabilitySet::SYS_CHROOT
        | CapabilitySet::AUDIT_WRITE
}

/// Highest capability number that a kernel may know.
const LAST: u32 = 63;

/// Drops every capability but the kept ones from this process and all that it will ever start.
pub(super) fn drop_rights() -> Result<(), Fault> {
    let keep = kept();
    for number in 0..=LAST {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if keep.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            // The first number that the kernel does not know: there are no further ones.
            Err(rustix::io::Errno::INVAL) => break,
            done => done.doing(|| format!("dropping capability {number}"))?,
        }
    }
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).doing(|| "dropping capabilities".into())
}

/// Enters a user namespace of its own, whose map of ids the keeper then writes. To be called with one thread.
///
/// With it the kernel grants nothing to the machine's root that is checked against the computer as a whole, whatever
/// capability it has.
pub(super) fn enter_user_namespace() -> Result<(), Fault> {
    #[expect(deprecated, reason = "what makes it unsound is a shared table of files; this process has one thread")]
    rustix::thread::unshare(UnshareFlags::NEWUSER).doing(|| "entering a user namespace".into())
}

/// The folder of kernel settings as it was before it was made read-only.
pub(super) struct Settings(rustix::fd::OwnedFd);

impl Settings {
    /// Opens `/proc/sys` below `proc`.
    pub(super) fn open(proc: &std::path::Path) -> Result<Self, Fault> {
        let sys = proc.join("sys");
        let fd = rustix::fs::open(&sys, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self(fd.doing(|| format!("opening {}", sys.display()))?))
    }

    /// No further user namespaces in this one: they would be a way around the dropped capabilities.
    pub(super) fn forbid_user_namespaces(&self) -> Result<(), Fault> {
        let name = "user/max_user_namespaces";
        let fd = openat(&self.0, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        let mut file = File::from(fd.doing(|| format!("opening {name}"))?);
        file.write_all(b"0").doing(|| format!("writing {name}"))
    }
}
