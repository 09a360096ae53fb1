//! What a host is.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use pool_inventory::{Bytes, Text};
use serde::{Deserialize, Serialize};

/// What `facts.sh` says last.
pub(crate) const END: &str = "end=facts";

/// Facts of one host; what it does not tell is empty or zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `Linux`
    pub system: Text,
    /// Version of the kernel.
    pub kernel: Text,
    /// `x86_64`, `aarch64`, …
    pub arch: Text,
    /// What the host calls itself.
    pub hostname: Text,
    /// `ID` of os-release: `debian`.
    pub os: Text,
    /// `VERSION_ID` of os-release: `12`.
    pub os_version: Text,
    /// Cores.
    pub cpus: u32,
    /// Memory.
    pub memory: Bytes,
    /// Free space in `/`.
    pub disk_free: Bytes,
    /// `systemd`, or the name of process 1.
    pub init: Text,
    /// Whether packages can be installed with apt.
    pub apt: bool,
    /// Number of the login user.
    pub uid: u32,
    /// Number of its group.
    pub gid: u32,
    /// Login user.
    pub user: Text,
    /// Its group.
    pub group: Text,
    /// Its home.
    pub home: Text,
    /// Whether it may become root without a password.
    pub sudo: bool,
    /// Seconds by which its clock is ahead of ours, up to the time of a round trip.
    pub skew: i64,
    /// Whether processes are limited by the first version of cgroups.
    #[serde(default)]
    pub cgroup_v1: bool,
    /// Whether it can run virtual machines.
    #[serde(default)]
    pub kvm: bool,
    /// Whether its kernel confines programs with AppArmor.
    #[serde(default)]
    pub apparmor: bool,
    /// Its addresses.
    pub addresses: Vec<Text>,
}

impl Facts {
    /// Whether things that need root can be done.
    pub fn can_root(&self) -> bool {
        self.uid == 0 || self.sudo
    }

    /// Whether changes are made through sudo.
    pub(crate) fn by_sudo(&self) -> bool {
        self.uid != 0 && self.sudo
    }

    /// Who makes changes, where that is who logs in.
    pub(crate) fn acting(&self) -> Option<&Facts> {
        Some(self).filter(|facts| !facts.by_sudo())
    }

    /// Reads what `facts.sh` prints; none if it is not that.
    pub(crate) fn parse(lines: &[String]) -> Option<Facts> {
        let mut facts = Facts::default();
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for line in lines {
            match line.split_once('=')? {
                ("address", value) => facts.addresses.push(value.into()),
                (key, value) => {
                    values.insert(key, value);
                }
            }
        }
        if values.get("end") != Some(&"facts") {
            return None;
        }
        let text = |key: &str| Text::from(values.get(key).copied().unwrap_or_default());
        let number = |key: &str| values.get(key).and_then(|v| v.parse::<u64>().ok());
        let yes = |key: &str| values.get(key) == Some(&"yes");
        let kib = |key: &str| Bytes(number(key).unwrap_or(0).saturating_mul(1024));
        facts.uid = u32::try_from(number("uid")?).ok()?;
        facts.gid = u32::try_from(number("gid")?).ok()?;
        facts.system = text("system");
        facts.kernel = text("kernel");
        facts.arch = text("arch");
        facts.hostname = text("hostname");
        facts.os = text("os.ID");
        facts.os_version = text("os.VERSION_ID");
        facts.cpus = number("cpus").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        facts.memory = kib("memory_kib");
        facts.disk_free = kib("disk_free_kib");
        facts.init = text("init");
        facts.apt = yes("apt");
        facts.user = text("user");
        facts.group = text("group");
        facts.home = text("home");
        facts.sudo = yes("sudo");
        facts.cgroup_v1 = values.get("cgroup") == Some(&"v1");
        facts.kvm = yes("kvm");
        facts.apparmor = yes("apparmor");
        facts.skew = number("clock").and_then(|n| i64::try_from(n).ok()).map_or(0, |clock| clock - now());
        Some(facts)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Facts> {
        Facts::parse(&text.lines().filter(|l| *l != crate::runner::START).map(str::to_owned).collect::<Vec<_>>())
    }

    fn told_by(shell: &str, script: &str) -> Facts {
        let out = std::process::Command::new(shell).args(["-c", script]).output().unwrap();
        parse(std::str::from_utf8(&out.stdout).unwrap()).unwrap()
    }

    #[test]
    fn this_machine_tells_its_facts() {
        let mut script = Vec::new();
        crate::script::Say::Facts.script(&mut script);
        let facts = told_by("sh", std::str::from_utf8(&script).unwrap());
        assert_eq!(&*facts.system, "Linux");
        assert!(facts.cpus > 0 && facts.memory > Bytes(1 << 20) && facts.disk_free > Bytes(0), "{facts:?}");
        assert!(!facts.os.is_empty() && !facts.init.is_empty() && !facts.user.is_empty(), "{facts:?}");
        assert!(facts.skew.abs() < 5);
    }

    #[test]
    fn facts_can_be_asked_for_in_one_line_of_any_login_shell() {
        let line = crate::script::Say::Facts.one_line().unwrap();
        assert!(!line.contains(['\'', '!', '\n']) && line.len() < 2500, "{line}");
        for shell in ["sh", "bash"] {
            let facts = told_by(shell, &format!("exec {shell} -c '{line} exec {shell} -s' </dev/null"));
            assert!(facts.cpus > 0 && facts.disk_free > Bytes(0) && !facts.user.is_empty(), "{shell}: {facts:?}");
        }
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        assert!(parse("uid=0\ngid=0").is_none());
        assert!(parse("uid=0\ngid=0\nhello\nend=facts").is_none());
        assert!(parse("uid=99999999999\ngid=0\nend=facts").is_none());
        assert!(parse("uid=0\ngid=0\nend=facts").is_some());
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let facts = parse("uid=1\ngid=1\nmemory_kib=18446744073709551615\ncpus=-1\nend=facts").unwrap();
        assert_eq!(facts.memory, Bytes(u64::MAX));
        assert_eq!(facts.cpus, 0);
    }
}
