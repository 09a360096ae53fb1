//! A machine's folder: everything that is there before its first start.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink},
    path::Path,
};

use pool_storage_tiers::files::{absent_is_none, make_private, write_whole};

use super::{
    accounts::{self, Accounts},
    machine::{AUTHORIZED_KEYS, HOST_KEY, Parts, SETTINGS, Settings},
    notes::{GUEST, NOTES, Notes},
};

/// Folders of the system that a machine gets a copy-on-write layer over. Where one is a link, the link is copied.
const SYSTEM: [&str; 10] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "var", "opt"];
/// Folders that it starts with, empty, and their modes: what users keep there is not part of the system.
const EMPTY: [(&str, u32); 11] = [
    ("root", 0o700),
    ("home", 0o755),
    ("srv", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("boot", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
];
/// How many levels of folders below these are made writable without root, where those of root are not. Each is one
/// folder more to make and to remove, so it is only where people put things.
const OWN: [(&str, usize); 4] = [("etc", 8), ("var", 1), ("usr/local", 2), ("opt", 1)];
/// Keys of the computer's own SSH server.
const KEYS: &str = "etc/ssh";

/// Writes the notes.
pub(super) fn write_notes(dir: &Path, notes: &Notes) -> io::Result<()> {
    write_whole(&dir.join(NOTES), 0o600, &serde_json::to_vec_pretty(notes)?)
}

/// Reads the notes; none: there are none.
pub(super) fn read_notes(dir: &Path) -> io::Result<Option<Notes>> {
    let Some(bytes) = absent_is_none(fs::read(dir.join(NOTES)))? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Writes what the machine's SSH server reads; the private host key only where one is given.
pub(super) fn write_guest(dir: &Path, notes: &Notes, host_key: Option<&str>) -> io::Result<()> {
    let guest = dir.join(GUEST);
    make_private(&guest)?;
    if let Some(key) = host_key {
        write_whole(&guest.join(HOST_KEY), 0o600, key.as_bytes())?;
    }
    let keys = accounts::authorized_keys(&notes.spec.authorized_keys);
    write_whole(&guest.join(AUTHORIZED_KEYS), 0o600, keys.as_bytes())?;
    let settings = Settings { ip: notes.ip, port: notes.port, user: notes.spec.user.clone() };
    write_whole(&guest.join(SETTINGS), 0o600, &serde_json::to_vec(&settings)?)
}

/// Makes an empty root with its layers.
pub(super) fn make_root(dir: &Path, notes: &Notes) -> io::Result<()> {
    let parts = Parts::of(dir);
    make_private(&dir.join("root"))?;
    for part in [&parts.base, &parts.upper, &parts.work] {
        fs::create_dir_all(part)?;
    }
    fs::set_permissions(&parts.base, Permissions::from_mode(0o755))?;
    for (name, mode) in EMPTY {
        make_dir(&parts.base.join(name), mode)?;
    }
    for name in SYSTEM {
        let Some(found) = absent_is_none(fs::symlink_metadata(Path::new("/").join(name)))? else { continue };
        if found.is_symlink() {
            symlink(fs::read_link(Path::new("/").join(name))?, parts.base.join(name))?;
        } else {
            make_dir(&parts.base.join(name), 0o755)?;
            make_dir(&parts.upper.join(name), found.permissions().mode() & 0o7777)?;
            make_dir(&parts.work.join(name), 0o700)?;
        }
    }
    if notes.rootless {
        for (name, depth) in OWN.into_iter().filter(|(name, _)| Path::new("/").join(name).is_dir()) {
            make_dir(&parts.upper.join(name), 0o755)?;
            own(&Path::new("/").join(name), &parts.upper.join(name), depth)?;
        }
    }
    write_etc(&parts, notes)
}

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// A folder of the upper layer lies over that of the lower one and decides about owner and mode.
fn own(lower: &Path, upper: &Path, depth: usize) -> io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    // What cannot be read stays as it is.
    let Ok(entries) = fs::read_dir(lower) else { return Ok(()) };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if fs::read_dir(entry.path()).is_err() {
            continue;
        }
        let mode = entry.metadata()?.permissions().mode() & 0o7777;
        make_dir(&upper.join(entry.file_name()), mode | 0o700)?;
        own(&entry.path(), &upper.join(entry.file_name()), depth)?;
    }
    Ok(())
}

/// Without waiting for the disk: a machine is made anew when the computer stops before it is done.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)
}

fn write_etc(parts: &Parts, notes: &Notes) -> io::Result<()> {
    let etc = parts.upper.join("etc");
    let computer = |name: &str| fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
    let accounts = Accounts { passwd: computer("passwd"), group: computer("group"), shadow: computer("shadow") };
    let (accounts, login) = accounts.without_passwords().with_login(&notes.spec.user, notes.rootless);
    write(&etc.join("passwd"), 0o644, accounts.passwd.as_bytes())?;
    write(&etc.join("group"), 0o644, accounts.group.as_bytes())?;
    write(&etc.join("shadow"), 0o600, accounts.shadow.as_bytes())?;
    write(&etc.join("hostname"), 0o644, format!("{}\n", notes.hostname()).as_bytes())?;
    let hosts = accounts::hosts(&computer("hosts"), notes.ip, notes.hostname());
    write(&etc.join("hosts"), 0o644, hosts.as_bytes())?;
    // Programs take it for the identity of a computer.
    write_whole(
        &etc.join("machine-id"),
        0o444,
        format!("{}\n", &blake3::hash(notes.id.as_bytes()).to_hex()[..32]).as_bytes(),
    )?;
    // Often a link into /run, which the machine has of its own.
    write(&etc.join("resolv.conf"), 0o644, computer("resolv.conf").as_bytes())?;
    hide_keys(parts)?;
    if !notes.rootless && login.uid != 0 {
        let home = parts.base.join(login.home.trim_start_matches('/'));
        make_dir(&home, 0o755)?;
        chown(&home, Some(login.uid), Some(login.gid))?;
        if Path::new("/etc/sudoers.d").is_dir() {
            make_dir(&etc.join("sudoers.d"), 0o750)?;
            let line = format!("{} ALL=(ALL) NOPASSWD:ALL\n", notes.spec.user);
            write(&etc.join("sudoers.d/90-pool"), 0o440, line.as_bytes())?;
        }
    }
    Ok(())
}

/// Lays empty files over the private host keys of the computer.
fn hide_keys(parts: &Parts) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(Path::new("/").join(KEYS)) else { return Ok(()) };
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let text = name.to_string_lossy();
        if text.starts_with("ssh_host_") && text.ends_with("_key") {
            fs::create_dir_all(parts.upper.join(KEYS))?;
            write(&parts.upper.join(KEYS).join(&name), 0o600, b"")?;
        }
    }
    Ok(())
}
