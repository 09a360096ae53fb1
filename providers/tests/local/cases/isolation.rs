//! What a machine must not be able to do to the computer, or to see of it.

use std::{fs, path::Path};

use crate::bench::Bench;

/// Attempts, each as root in the machine; none may succeed.
const ATTEMPTS: &[&str] = &[
    // Kernel settings.
    "echo 99 > /proc/sys/vm/swappiness",
    "sysctl -w vm.swappiness=99",
    "echo h > /proc/sysrq-trigger",
    "echo 1 > /proc/sys/kernel/panic",
    "echo 0 > /proc/irq/default_smp_affinity",
    "mount -o remount,rw /proc/sys",
    "umount /proc/sys",
    "mkdir -p /root/p && mount -t proc proc /root/p",
    "mkdir -p /root/p && mount -t sysfs sysfs /root/p",
    "mkdir -p /root/p && mount -t tmpfs tmpfs /root/p",
    "mkdir -p /root/p && mount --bind /etc /root/p",
    "mount -o remount,rw /sys",
    "sh -c 'echo 1 > /sys/kernel/mm/ksm/run'",
    "mkdir -p /root/c && mount -t cgroup -o memory cgroup /root/c",
    "mkdir -p /root/c && mount -t cgroup2 cgroup2 /root/c",
    // Namespaces as a way around.
    "unshare --user --map-root-user true",
    "unshare --mount true",
    "unshare --user --map-root-user --mount --pid --fork mount -t proc proc /proc",
    // Devices.
    "mknod /root/disk b 8 0",
    "mknod /dev/kmsg c 1 11",
    "mknod /root/null c 1 3",
    "truncate -s 8M /root/img && losetup -f --show /root/img",
    "cat /dev/kmsg",
    "cat /dev/mem",
    "ls /dev/loop-control",
    "dmesg",
    // The computer's power and kernel.
    "reboot -f",
    "systemctl reboot",
    "systemctl --force --force reboot",
    "kexec -l /boot/vmlinuz",
    "insmod /root/x.ko",
    "modprobe dummy",
    "swapoff -a && swapon /root/img",
    // Its services, clock, name and network.
    "systemctl start cron",
    "systemctl list-units",
    "date -s 2001-01-01",
    "hwclock --systohc",
    "hostname other",
    "ip link add dummy9 type dummy",
    "ip link set lo down",
    "ip addr add 192.0.2.1/32 dev lo",
    "nft add table inet evil",
    "iptables -N EVIL",
    // What the machine itself is held by.
    "echo x > /run/pool/guest/authorized_keys",
    "echo x >> /run/pool/program",
    "umount /run/pool/program",
    "rm -f /run/pool/guest/host_key",
];

/// What of the computer the attempts would change, and nothing that others change meanwhile.
fn computer_now() -> Vec<String> {
    let read = |path: &str| format!("{path} {}", fs::read_to_string(path).unwrap_or_default().trim());
    let mut now: Vec<String> = [
        "/proc/sys/vm/swappiness",
        "/proc/sys/kernel/panic",
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/random/boot_id",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/ksm/run",
        "/proc/swaps",
        "/sys/class/net/lo/flags",
        "/etc/passwd",
        "/etc/group",
    ]
    .map(read)
    .into();
    let there = |path: &str| format!("{path} {}", Path::new(path).exists());
    now.extend(["/dev/null", "/dev/zero", "/sys/class/net/dummy9", "/usr/local/bin/ls"].map(there));
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    now.push(format!("module dummy {}", modules.lines().any(|line| line.starts_with("dummy "))));
    // No process of ours, but a new address of the loopback interface would answer.
    now.push(format!("192.0.2.1 {}", std::net::UdpSocket::bind("192.0.2.1:0").is_ok()));
    now.extend(["/etc", "/usr/local", "/usr/local/bin", "/opt"].iter().flat_map(|dir| entries(dir)));
    now
}

fn entries(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| format!("{}/{}", dir, entry.file_name().to_string_lossy())).collect()
}

/// Tries everything and looks at the computer afterwards.
pub fn computer(bench: &Bench) {
    let before = computer_now();
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    // Before anything is tried that would end this computer if it worked.
    let rights = bench.output(&host, "awk '/^CapBnd/ {print $2}' /proc/self/status");
    let rights = u64::from_str_radix(&rights, 16).expect("a set");
    for (name, number) in [("SYS_ADMIN", 21), ("SYS_BOOT", 22), ("SYS_MODULE", 16), ("NET_ADMIN", 12), ("MKNOD", 27)] {
        assert_eq!(rights & (1 << number), 0, "the machine has {name}");
    }
    let succeeded: Vec<&&str> = ATTEMPTS
        .iter()
        .filter(|attempt| bench.exec(&host, &format!("( {attempt} ) </dev/null >/dev/null 2>&1")).0 == 0)
        .collect();
    assert!(succeeded.is_empty(), "the machine could: {succeeded:#?}");
    // It may do as it likes with what looks like the system.
    let wild = "rm -rf /etc/* /var/log/* /usr/local/* /opt/*; echo evil > /usr/local/bin/ls; echo evil > /etc/passwd; kill -9 -1";
    bench.exec(&host, wild);
    let after = computer_now();
    // What came to a folder may be of others; what they take away from these is seldom, and not meanwhile.
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert!(gone.is_empty(), "the computer changed: {gone:#?} → {after:#?}");
    bench.delete(&provider, &host);
}

/// Looks around.
pub fn privacy(bench: &Bench) {
    let provider = bench.open();
    let (host, other) = (bench.create(&provider, "web-0"), bench.create(&provider, "web-1"));
    bench.output(
        &other,
        "nohup sleep 1234 >/dev/null 2>&1 & echo secret > /tmp/s; echo secret > /root/s; echo secret > /var/tmp/s",
    );
    assert_eq!(bench.output(&host, "ls /root /home /srv /mnt /tmp"), "/home:\n\n/mnt:\n\n/root:\n\n/srv:\n\n/tmp:");
    let here = bench.dir.display();
    assert_ne!(bench.exec(&host, &format!("ls {here}/machines")).0, 0, "the provider's folder");
    let processes = bench.output(&host, "cat /proc/[0-9]*/comm | sort -u | tr '\\n' ' '");
    assert!(!processes.contains("sleep") && !processes.contains("unshare"), "{processes}");
    assert_eq!(bench.output(&host, "ls /var/tmp/s 2>/dev/null || echo none"), "none");
    assert_eq!(
        bench.output(&host, "cut -d: -f2 /etc/shadow | grep -vc '^[*]$' || true"),
        "0",
        "no password of the computer"
    );
    let keys = "cat /etc/ssh/ssh_host_*_key 2>/dev/null | wc -c";
    assert_eq!(bench.output(&host, keys), "0", "no host key of the computer");
    // SAFE to read here: the environment of this process is not the machine's.
    assert!(!bench.output(&host, "tr '\\0' '\\n' < /proc/1/environ").contains("CARGO"), "no environment of ours");
    assert_eq!(bench.output(&host, "ls -l /proc/self/fd | grep -c machines || true"), "0", "no open file of ours");
    let ids = "cat /etc/machine-id";
    assert_ne!(bench.output(&host, ids), bench.output(&other, ids));
    assert_ne!(
        Some(bench.output(&host, ids)),
        fs::read_to_string("/etc/machine-id").ok().map(|id| id.trim().to_owned())
    );
    assert!(!Path::new("/run/pool").exists());
    bench.delete(&provider, &host);
    bench.delete(&provider, &other);
}
