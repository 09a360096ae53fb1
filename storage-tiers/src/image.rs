//! Images: files whose space is set aside, with a file system in them that is as large as they are.

use std::{
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use pool_inventory::Bytes;
use rustix::fs::FallocateFlags;

/// Smallest image; below, there is no room for a journal.
pub(crate) const SMALLEST: Bytes = Bytes::mib(8);

/// Whether this computer has the programs that images need.
pub(crate) fn possible() -> bool {
    ["mkfs.ext4", "resize2fs", "e2fsck"]
        .iter()
        .all(|tool| ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(tool).is_file()))
}

/// Makes an image with an empty file system.
pub(crate) fn make(path: &Path, size: Bytes) -> io::Result<()> {
    allocate(path, size)?;
    // No discard: it would give back the space that was just set aside.
    run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "nodiscard,root_owner=0:0"], path, &[0])?;
    // Where it cannot write zeros cheaply, as in memory, it gives space back all the same.
    allocate(path, size)
}

/// Sets space aside; an image never gets smaller.
pub(crate) fn allocate(path: &Path, size: Bytes) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size.0)?;
    file.sync_all()
}

/// Lets the file system of an image that is not mounted grow to the image's size.
pub fn fill(path: &Path) -> io::Result<()> {
    // 1: errors were corrected, such as a count of free blocks after a crash.
    run("e2fsck", &["-f", "-p"], path, &[0, 1])?;
    run("resize2fs", &[], path, &[0])
}

fn run(tool: &str, args: &[&str], path: &Path, good: &[i32]) -> io::Result<()> {
    let mut command = Command::new(tool);
    command.args(args).arg(path).stdin(Stdio::null()).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    let output = command.output()?;
    if output.status.code().is_some_and(|code| good.contains(&code)) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(io::Error::other(format!("{tool}: {last}")))
}
