//! Volumes that a host mounts itself, on real block devices: loop devices of this machine, on a host of their own. Where
//! this machine has none, the same words run against a folder without devices, and must refuse.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pool_bootstrap::{Mount, Rendered, observe, release};
use pool_inventory::{Bytes, Text, desired::BootstrapSpec};

use crate::{
    apply::{file, render, run},
    bed::Bed,
    root::{inside, machine, read},
};

const ID: &str = "7f3d8c1e-52a4-4b6f-9d10-aa42c0ffee01";
const MIB: u64 = 1 << 20;

/// A volume: a file that a loop device shows as a disk; attached and detached like one in a cloud.
struct Disk {
    folder: tempfile::TempDir,
    device: Option<PathBuf>,
}

fn tool(words: &[&str]) -> String {
    let out = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

impl Disk {
    /// None where this machine has no loop devices.
    fn new(mib: u64) -> Option<Self> {
        let mut disk = Self { folder: tempfile::tempdir().unwrap(), device: None };
        disk.resize(mib);
        let probe = Command::new("losetup").args(["-f", "--show"]).arg(disk.image()).output().ok()?;
        let device = PathBuf::from(String::from_utf8(probe.stdout).unwrap().trim());
        if !probe.status.success() {
            return None;
        }
        disk.device = Some(device);
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn resize(&self, mib: u64) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.image()).unwrap();
        file.set_len(mib * MIB).unwrap();
    }

    fn device(&self) -> &str {
        self.device.as_ref().unwrap().to_str().unwrap()
    }

    fn grow(&self, mib: u64) {
        self.resize(mib);
        tool(&["losetup", "-c", self.device()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            let _ = Command::new("losetup").arg("-d").arg(device).status();
        }
    }
}

/// A host on which disks are found below a folder of the test's own.
struct Host {
    bed: Bed,
}

impl Host {
    fn new() -> Option<Self> {
        let bed = machine()?;
        std::fs::create_dir(bed.path("by-id")).unwrap();
        Some(Self { bed })
    }

    /// As udev does it for a virtio disk.
    fn attach(&self, disk: &Disk) {
        self.name(&format!("virtio-{}", &ID[..20]), disk);
    }

    fn name(&self, name: &str, disk: &Disk) {
        std::os::unix::fs::symlink(disk.device(), self.bed.path("by-id").join(name)).unwrap();
    }

    fn detach(&self) {
        for entry in std::fs::read_dir(self.bed.path("by-id")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    fn mount(&self, mib: u64) -> Mount {
        Mount { id: ID.into(), name: "db-0.data".into(), size: Bytes(mib * MIB), devices: self.bed.text("by-id") }
    }

    fn want(&self, path: &str, mib: u64, spec: &BootstrapSpec) -> Rendered {
        let mounts = BTreeMap::from([(Text::from(path), self.mount(mib))]);
        render(spec).with_mounts(mounts).unwrap()
    }

    async fn run(&self, want: &Rendered) -> Result<Vec<Text>, String> {
        let outcome = run(&mut self.bed.link().await, want).await;
        outcome.map(|outcome| outcome.changed).map_err(|error| error.to_string())
    }

    async fn drift(&self, want: &Rendered) -> String {
        let drifts = observe(&mut self.bed.link().await, want).await.unwrap().drifts;
        drifts.iter().map(|drift| format!("{}: {}", drift.item, drift.detail)).collect::<Vec<_>>().join("\n")
    }

    async fn release(&self, path: &str, going: bool) -> Result<(), String> {
        let done = release(&mut self.bed.link().await, &path.into(), &self.mount(1), going).await;
        done.map_err(|error| error.to_string())
    }

    /// Runs a command in the namespaces of the host.
    fn sh(&self, words: &str) -> String {
        let pid = self.bed.pid().to_string();
        tool(&["nsenter", "-t", &pid, "-m", "sh", "-c", words])
    }

    fn fstab(&self) -> String {
        read(&self.bed, "/etc/fstab")
    }

    fn set_fstab(&self, text: &str) {
        std::fs::write(inside(&self.bed, "/etc/fstab"), text).unwrap();
    }
}

/// A host and a disk, or none where this machine has no loop devices or no namespaces.
fn bed(mib: u64) -> Option<(Host, Disk)> {
    let both = Host::new().zip(Disk::new(mib));
    if both.is_none() {
        eprintln!("skipped: this test needs root, mount namespaces and loop devices");
    }
    both
}

#[tokio::test]
async fn a_blank_volume_is_formatted_once_and_what_is_written_there_lasts() {
    let Some((host, disk)) = bed(64) else { return };
    host.set_fstab("# mine\nproc /proc proc defaults 0 0\n");
    host.attach(&disk);
    let mut spec = BootstrapSpec::default();
    spec.files.insert("/var/srv/app.conf".into(), file("x\n", 0o644));
    let want = host.want("/var/srv", 64, &spec);
    assert_eq!(host.drift(&want).await, "mount /var/srv: is not mounted\nfile /var/srv/app.conf: missing");
    assert_eq!(host.run(&want).await.unwrap().len(), 2);
    assert_eq!(host.sh("findmnt -nro SOURCE -M /var/srv"), disk.device());
    assert_eq!(host.sh("cat /var/srv/app.conf"), "x");
    assert_eq!(tool(&["blkid", "-p", "-s", "LABEL", "-o", "value", disk.device()]), "db-0.data");
    let uuid = tool(&["blkid", "-p", "-s", "UUID", "-o", "value", disk.device()]);
    let line =
        format!("UUID={uuid} /var/srv ext4 defaults,nofail,x-systemd.device-timeout=30,x-pool.volume={ID} 0 2\n");
    let table = format!("# mine\nproc /proc proc defaults 0 0\n{line}");
    assert_eq!(host.fstab(), table);

    // Nothing is missing: one session, and nothing changes.
    let mut link = host.bed.link().await;
    assert!(run(&mut link, &want).await.unwrap().changed.is_empty());
    assert_eq!(link.sessions(), 1);
    // Unmounted by hand, with the line in the table changed: mounted again, not formatted again.
    host.sh("umount /var/srv");
    host.set_fstab(&format!("{}sysfs /sys sysfs defaults 0 0\n", table.replace("nofail", "ro")));
    assert!(host.drift(&want).await.starts_with("mount /var/srv: is not mounted"));
    assert_eq!(host.run(&want).await.unwrap(), [Text::from("mount /var/srv")]);
    assert_eq!(host.fstab(), format!("{table}sysfs /sys sysfs defaults 0 0\n"), "replaced where it stood");
    host.set_fstab("# mine\n");
    assert_eq!(host.drift(&want).await, "mount /var/srv: has no entry in /etc/fstab");
    host.run(&want).await.unwrap();
    assert_eq!(host.fstab(), format!("# mine\n{line}"));

    // To another host, with all that is on it.
    host.release("/var/srv", false).await.unwrap();
    host.release("/var/srv", false).await.unwrap();
    assert_eq!((host.fstab(), host.sh("ls /var/srv")), ("# mine\n".into(), String::new()));
    host.detach();
    host.release("/var/srv", false).await.unwrap();
    let other = Host::new().unwrap();
    other.name(&format!("scsi-0QEMU_QEMU_HARDDISK_{ID}"), &disk);
    let want = other.want("/var/lib/it is here", 64, &BootstrapSpec::default());
    other.run(&want).await.unwrap();
    assert_eq!(other.sh("cat '/var/lib/it is here/app.conf'"), "x");
    assert!(other.fstab().contains(" /var/lib/it\\040is\\040here ext4 "));
    assert_eq!(other.drift(&want).await, "");
    assert_eq!(tool(&["blkid", "-p", "-s", "UUID", "-o", "value", disk.device()]), uuid);
    other.release("/var/lib/it is here", false).await.unwrap();
}

#[tokio::test]
async fn what_is_not_blank_is_never_formatted() {
    let Some((host, disk)) = bed(64) else { return };
    host.attach(&disk);
    let want = host.want("/var/data", 64, &BootstrapSpec::default());
    let write = |at: u64, text: &str| {
        use std::os::unix::fs::FileExt;
        std::fs::OpenOptions::new().write(true).open(disk.device()).unwrap().write_at(text.as_bytes(), at).unwrap();
    };
    let sum = || tool(&["sha256sum", disk.device()]);
    for at in [0, 4096, 64 * MIB - 512] {
        write(at, "precious");
        let before = sum();
        let error = host.run(&want).await.unwrap_err();
        assert!(error.contains("holds data without a known filesystem"), "{error}");
        assert_eq!((sum(), host.sh("ls -d /var/data || :")), (before, String::new()), "at {at}");
        write(at, "\0\0\0\0\0\0\0\0");
    }
    // One partition of type Linux, at 1 MiB.
    let table = r"printf '\000\000\000\000\203\000\000\000\000\010\000\000\000\020\000\000' | dd bs=1 seek=446 conv=notrunc status=none of=$0 && \
        printf '\125\252' | dd bs=1 seek=510 conv=notrunc status=none of=$0";
    for (make, why) in [
        (&["mkswap", disk.device()][..], "holds swap, which cannot be mounted"),
        (&["sh", "-c", table, disk.device()], "has a partition table (dos)"),
    ] {
        tool(make);
        let before = sum();
        let error = host.run(&want).await.unwrap_err();
        assert!(error.contains(why), "{error}");
        assert_eq!(sum(), before);
        tool(&["wipefs", "-q", "-a", disk.device()]);
        tool(&["dd", "if=/dev/zero", &format!("of={}", disk.device()), "bs=1M", "count=64", "status=none"]);
    }
    // A filesystem of others is mounted as it is.
    tool(&["mkfs.ext2", "-q", "-L", "theirs", disk.device()]);
    host.run(&want).await.unwrap();
    assert_eq!(host.sh("findmnt -nro FSTYPE -M /var/data"), "ext2");
    assert_eq!(tool(&["blkid", "-p", "-s", "LABEL", "-o", "value", disk.device()]), "theirs");
    host.release("/var/data", false).await.unwrap();
}

/// Whether processes here may have the capability that growing a mounted filesystem takes: CAP_SYS_RESOURCE.
fn may_grow() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(held.trim(), 16).unwrap() & (1 << 24) != 0
}

#[tokio::test]
async fn a_volume_that_grew_is_grown_while_it_is_in_use() {
    let Some((host, disk)) = bed(64) else { return };
    host.attach(&disk);
    host.run(&host.want("/var/data", 64, &BootstrapSpec::default())).await.unwrap();
    host.sh("echo kept >/var/data/file");
    let blocks = || host.sh("stat -f -c %b /var/data").parse::<u64>().unwrap();
    let before = blocks();
    disk.grow(128);
    let want = host.want("/var/data", 128, &BootstrapSpec::default());
    assert_eq!(host.drift(&want).await, "mount /var/data: its filesystem is smaller than its device");
    if may_grow() {
        assert_eq!(host.run(&want).await.unwrap().len(), 1);
    } else {
        // The kernel lets nobody here do it while it is mounted: it is asked for, and how that ends is told.
        let error = host.run(&want).await.unwrap_err();
        assert!(error.contains("on-line resizing required"), "{error}");
        host.release("/var/data", false).await.unwrap();
        tool(&["sh", "-c", "e2fsck -f -p \"$0\" >/dev/null && resize2fs \"$0\" 2>/dev/null", disk.device()]);
        host.run(&want).await.unwrap();
    }
    assert!(blocks() > before * 3 / 2, "{before} {}", blocks());
    assert_eq!((host.sh("cat /var/data/file"), host.drift(&want).await), ("kept".into(), String::new()));
    let smaller = host.want("/var/data", 256, &BootstrapSpec::default());
    assert_eq!(host.drift(&smaller).await, "mount /var/data: its device is smaller than 268435456 bytes");
    host.release("/var/data", false).await.unwrap();
}

#[tokio::test]
async fn a_volume_in_use_is_not_taken_away_but_from_a_host_that_goes() {
    let Some((host, disk)) = bed(64) else { return };
    host.attach(&disk);
    host.run(&host.want("/var/data", 64, &BootstrapSpec::default())).await.unwrap();
    let pid = host.bed.pid().to_string();
    let holder = ["-t", &pid, "-m", "sh", "-c", "cd /var/data && exec sleep 60"];
    let mut holder = Command::new("nsenter").args(holder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let cwd = format!("/proc/{}/cwd", holder.id());
    while std::fs::read_link(&cwd).unwrap() != Path::new("/var/data") {
        std::thread::yield_now();
    }
    let refused = host.release("/var/data", false).await;
    let fstab = host.fstab();
    let going = host.release("/var/data", true).await;
    holder.kill().unwrap();
    holder.wait().unwrap();
    let error = refused.unwrap_err();
    let who = format!("/var/data is in use by process {} (sleep)", holder.id());
    assert!(error.contains(&who), "{error}");
    assert!(fstab.contains(ID), "it is still there after the next boot");
    going.unwrap();
    assert!(!host.fstab().contains(ID));
    host.release("/var/data", false).await.unwrap();
    assert_eq!(host.sh("findmnt -nro SOURCE -M /var/data || :"), "");
}

#[tokio::test]
async fn a_place_that_others_use_and_a_device_that_is_not_sure_are_refused_before_anything_changes() {
    let Some((host, disk)) = bed(64) else { return };
    host.attach(&disk);
    let want = host.want("/var/data", 64, &BootstrapSpec::default());
    host.set_fstab("LABEL=theirs /var/data ext4 defaults 0 0\n");
    let error = host.run(&want).await.unwrap_err();
    assert!(error.contains("/etc/fstab has another entry for it: LABEL=theirs /var/data ext4"), "{error}");
    host.set_fstab("");
    host.sh("mkdir /var/data && mount -t tmpfs theirs /var/data");
    assert!(host.drift(&want).await.contains(&format!("theirs is mounted there, not {}", disk.device())));
    assert!(host.run(&want).await.unwrap_err().contains("theirs is mounted there"));
    host.sh("umount /var/data");
    let second = Disk::new(64).unwrap();
    host.name(&format!("scsi-SVENDOR_{}", &ID[..20]), &second);
    let error = host.run(&want).await.unwrap_err();
    assert!(error.contains("both go by the id of volume"), "{error}");
    assert_eq!(tool(&["wipefs", disk.device()]), "");
}

#[tokio::test]
async fn without_its_device_nothing_is_mounted_and_nothing_else_is_done() {
    let Some(host) = Host::new() else { return };
    let mut spec = BootstrapSpec::default();
    spec.files.insert("/var/data/file".into(), file("x", 0o644));
    let want = host.want("/var/data", 64, &spec);
    let late = host.drift(&want).await;
    assert!(late.contains(&format!("mount /var/data: no device of volume {ID} is there")), "{late}");
    let error = host.run(&want).await.unwrap_err();
    assert!(error.contains("not within 30 s"), "{error}");
    assert!(!Path::new(&inside(&host.bed, "/var/data/file")).exists());
}
