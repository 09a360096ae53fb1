//! What needs root, on a machine of its own: a mount and an IPC namespace in which everything below /etc, /home, /var
//! and /usr is a layer over this machine's, so that nothing here changes. Without root there is no such machine, and the
//! tests say so.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use pool_bootstrap::{observe, runner::read_facts};
use pool_inventory::{
    FileMode, Name,
    desired::{BootstrapSpec, DirectorySpec, UserSpec},
};

use crate::{
    apply::{file, name, render, run},
    bed::{Bed, user},
};

/// A bed in namespaces of its own, or none where that is impossible.
pub fn machine() -> Option<Bed> {
    let namespaces = ["--mount", "--ipc", "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    let can = Command::new("unshare").args(namespaces).status().is_ok_and(|status| status.success());
    if &*user() != "root" || !can {
        eprintln!("skipped: this test needs root and mount namespaces");
        return None;
    }
    Some(Bed::isolated())
}

/// A file as the machine sees it.
pub fn inside(bed: &Bed, path: &str) -> PathBuf {
    Path::new("/proc").join(bed.pid().to_string()).join("root").join(&path[1..])
}

pub fn read(bed: &Bed, path: &str) -> String {
    std::fs::read_to_string(inside(bed, path)).unwrap()
}

fn ops(keys: &[&str], sudo: bool) -> UserSpec {
    let groups = ["pooltest", "adm"].iter().map(|g| Name::new(g).unwrap()).collect();
    UserSpec {
        groups,
        shell: Some("/bin/sh".into()),
        authorized_keys: keys.iter().map(|k| (*k).into()).collect(),
        sudo,
    }
}

#[tokio::test]
async fn users_their_keys_and_their_sudo_come_and_go() {
    let Some(bed) = machine() else { return };
    std::fs::create_dir_all(inside(&bed, "/etc/sudoers.d")).unwrap();
    let mut link = bed.link().await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIc3q8v0jUF9vCMiYbYIQsX2sQ0aMfkBnVUkjqX4dYJt ops@example.net";
    let mut spec = BootstrapSpec::default();
    spec.users.insert(name("poolops"), ops(&[key], true));
    spec.files.insert("/home/poolops/note".into(), {
        let mut note = file("yours\n", 0o600);
        note.owner = Some("poolops".into());
        note.group = Some("pooltest".into());
        note
    });
    let changed = run(&mut link, &render(&spec)).await.unwrap().changed;
    assert_eq!(changed.len(), 4, "{changed:?}");
    assert!(read(&bed, "/etc/passwd").contains("/home/poolops:/bin/sh"));
    assert!(read(&bed, "/etc/group").lines().any(|l| l.starts_with("pooltest:") && l.ends_with(":poolops")));
    assert_eq!(read(&bed, "/home/poolops/.ssh/authorized_keys"), format!("# managed by pool\n{key}\n"));
    assert!(read(&bed, "/etc/sudoers.d/90-pool-poolops").starts_with("poolops ALL="));
    assert!(!Path::new("/home/poolops").exists(), "this machine is untouched");
    let again = run(&mut link, &render(&spec)).await.unwrap();
    assert_eq!((again.changed.len(), again.unchanged), (0, 4));

    // The user puts a link where root would write: nothing of root's is overwritten.
    let keys = inside(&bed, "/home/poolops/.ssh/authorized_keys");
    std::fs::remove_file(&keys).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &keys).unwrap();
    let changed = run(&mut link, &render(&spec)).await.unwrap().changed;
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(read(&bed, "/etc/passwd").contains("root:"));
    assert!(!std::fs::symlink_metadata(&keys).unwrap().is_symlink());

    // What is no longer declared loses its rights, and what others wrote stays.
    spec.users.insert(name("poolops"), ops(&[], false));
    let changed = run(&mut link, &render(&spec)).await.unwrap().changed;
    assert_eq!(changed, ["authorized-keys poolops".into(), pool_inventory::Text::from("sudo poolops")]);
    assert!(!keys.exists() && !inside(&bed, "/etc/sudoers.d/90-pool-poolops").exists());
    std::fs::write(&keys, "# mine\n").unwrap();
    assert!(observe(&mut link, &render(&spec)).await.unwrap().drifts.is_empty());
}

#[tokio::test]
async fn a_login_without_root_uses_sudo_or_is_refused_before_anything_changes() {
    let Some(bed) = machine() else { return };
    let mut link = bed.link().await;
    let mut spec = BootstrapSpec::default();
    spec.users.insert(name("poolops"), ops(&[&bed.key.public()], false));
    run(&mut link, &render(&spec)).await.unwrap();
    let keys = inside(&bed, "/home/poolops/.ssh/authorized_keys");
    std::fs::copy(keys, bed.path("authorized")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bed.folder.path(), open).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(bed.path("authorized"), open).unwrap();

    let login = pool_bootstrap::ssh::Login { user: "poolops".into(), ..bed.login() };
    let mut link = pool_bootstrap::ssh::connect(&bed.endpoint, &login, crate::bed::QUICK).await.unwrap();
    assert!(!read_facts(&mut link).await.unwrap().can_root());
    let mut spec = BootstrapSpec::default();
    spec.files.insert("/home/poolops/mine".into(), file("x", 0o644));
    run(&mut link, &render(&spec)).await.unwrap();
    let directory = DirectorySpec { mode: FileMode(0o755), owner: None, group: None };
    spec.directories.insert("/home/poolops/a-first".into(), directory);
    spec.files.insert("/etc/pool-test".into(), file("x", 0o644));
    spec.packages.insert("pool-no-such-package".into());
    let error = run(&mut link, &render(&spec)).await.unwrap_err().to_string();
    assert!(error.contains("no right to write in /etc") && error.contains("only root can install"), "{error}");
    assert!(error.contains("`sudo -n` does not work"), "{error}");
    assert!(!inside(&bed, "/home/poolops/a-first").exists());

    // A stand-in for sudo: this machine may have none.
    std::fs::write(
        inside(&bed, "/etc/pam.d/su"),
        "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\nsession sufficient pam_permit.so\n",
    )
    .unwrap();
    let sudo = inside(&bed, "/usr/local/bin/sudo");
    std::fs::write(&sudo, "#!/bin/sh\n[ \"$1\" = -n ] && shift\nexec su root -s /bin/sh -c \"$*\"\n").unwrap();
    std::fs::set_permissions(&sudo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    spec.packages.clear();
    let outcome = run(&mut link, &render(&spec)).await.unwrap();
    assert_eq!((outcome.changed.len(), outcome.facts.sudo), (2, true));
    let mut link = pool_bootstrap::ssh::connect(&bed.endpoint, &login, crate::bed::QUICK).await.unwrap();
    assert!(run(&mut link, &render(&spec)).await.unwrap().changed.is_empty());
    assert_eq!(link.sessions(), 2, "facts as the user, the rest as root");
    let file = std::fs::metadata(inside(&bed, "/etc/pool-test")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&file), outcome.facts.uid, "it belongs to who logs in");
}

#[tokio::test]
async fn kernel_settings_hold_now_and_after_a_boot() {
    let Some(bed) = machine() else { return };
    let mut link = bed.link().await;
    let mut spec = BootstrapSpec::default();
    // Of the IPC namespace, so that it is not this machine's.
    spec.sysctl.insert("kernel.msgmax".into(), "12345".into());
    let changed = run(&mut link, &render(&spec)).await.unwrap().changed;
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert!(read(&bed, "/etc/sysctl.d/90-pool.conf").ends_with("kernel.msgmax = 12345\n"));
    assert_ne!(std::fs::read_to_string("/proc/sys/kernel/msgmax").unwrap().trim(), "12345");
    assert!(observe(&mut link, &render(&spec)).await.unwrap().drifts.is_empty());
    spec.sysctl.insert("kernel.pool_no_such".into(), "1".into());
    let error = run(&mut link, &render(&spec)).await.unwrap_err().to_string();
    assert!(error.contains("no such setting"), "{error}");
}

/// A little package in a repository of its own, so that no network is needed.
fn repository(bed: &Bed) {
    let root = bed.path("package");
    std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
    std::fs::set_permissions(root.join("DEBIAN"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(root.join("usr/share/pool-hello")).unwrap();
    std::fs::write(root.join("usr/share/pool-hello/hello"), "hello\n").unwrap();
    let control = "Package: pool-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: none <none@example.net>\nDescription: test\n";
    std::fs::write(root.join("DEBIAN/control"), control).unwrap();
    let repository = bed.path("repository");
    std::fs::create_dir(&repository).unwrap();
    let deb = repository.join("pool-hello.deb");
    let out = Command::new("dpkg-deb").args(["--root-owner-group", "-b"]).arg(&root).arg(&deb).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let sum = Command::new("sha256sum").arg(&deb).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let size = std::fs::metadata(&deb).unwrap().len();
    let entry = format!("{control}Filename: ./pool-hello.deb\nSize: {size}\nSHA256: {}\n", &sum[..64]);
    std::fs::write(repository.join("Packages"), entry).unwrap();
    std::fs::remove_dir_all(inside(bed, "/etc/apt/sources.list.d")).unwrap();
    std::fs::create_dir(inside(bed, "/etc/apt/sources.list.d")).unwrap();
    let source = format!("deb [trusted=yes] file:{} ./\n", repository.display());
    std::fs::write(inside(bed, "/etc/apt/sources.list"), source).unwrap();
    std::fs::write(inside(bed, "/etc/apt/apt.conf.d/99root"), "APT::Sandbox::User \"root\";\n").unwrap();
}

#[tokio::test]
async fn packages_are_installed_together_and_only_when_missing() {
    let Some(bed) = machine() else { return };
    repository(&bed);
    let mut link = bed.link().await;
    let mut spec = BootstrapSpec::default();
    spec.packages.extend(["pool-hello".into(), pool_inventory::Text::from("coreutils")]);
    let outcome = run(&mut link, &render(&spec)).await.unwrap();
    assert_eq!((outcome.changed, outcome.unchanged), (vec!["package pool-hello".into()], 1));
    assert_eq!(read(&bed, "/usr/share/pool-hello/hello"), "hello\n");
    assert!(observe(&mut link, &render(&spec)).await.unwrap().drifts.is_empty());

    spec.packages.insert("pool-no-such-package".into());
    let error = run(&mut link, &render(&spec)).await.unwrap_err().to_string();
    assert!(error.contains("Unable to locate package pool-no-such-package"), "{error}");
}

#[tokio::test]
async fn services_are_enabled_started_and_stopped() {
    let Some(bed) = machine() else { return };
    // No systemd runs in the namespaces: a stand-in keeps notes of what it is told.
    let notes = bed.text("notes");
    let stand_in = format!(
        "#!/bin/sh\ncase $1 in is-enabled) [ -e {notes}-enabled ] && echo enabled || {{ echo disabled; exit 1; }};;\n\
         is-active) [ -e {notes}-active ] && echo active || {{ echo inactive; exit 3; }};;\n\
         enable) touch {notes}-enabled;; disable) rm -f {notes}-enabled;; start) touch {notes}-active;;\n\
         stop) rm -f {notes}-active;; esac\necho \"$@\" >>{notes}\n"
    );
    let program = inside(&bed, "/usr/local/sbin/systemctl");
    std::fs::write(&program, stand_in).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(inside(&bed, "/run/systemd/system")).unwrap();
    let mut link = bed.link().await;
    let mut spec = BootstrapSpec::default();
    let mut want = |enabled, running| {
        let service = pool_inventory::desired::ServiceSpec { enabled, running };
        spec.services.insert("chrony".into(), service);
        render(&spec)
    };
    assert_eq!(run(&mut link, &want(true, true)).await.unwrap().changed.len(), 1);
    assert!(observe(&mut link, &want(true, true)).await.unwrap().drifts.is_empty());
    let drift = &observe(&mut link, &want(false, false)).await.unwrap().drifts[0];
    assert_eq!((&*drift.item, &*drift.detail), ("service chrony", "enabled; running"));
    run(&mut link, &want(true, false)).await.unwrap();
    let notes = std::fs::read_to_string(&*notes).unwrap();
    assert!(
        notes.contains("enable chrony.service\n")
            && notes.ends_with(
                "is-enabled chrony.service\nis-active chrony.service\nenable chrony.service\nstop chrony.service\n"
            ),
        "{notes}"
    );
}
