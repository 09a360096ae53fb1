//! Files of `/etc` in which a machine differs from the computer.

use pool_inventory::Text;

/// First id of users that people use.
const FIRST: u32 = 1000;
/// One above the last.
const LAST: u32 = 60000;

/// `/etc/passwd`, `/etc/group` and `/etc/shadow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accounts {
    pub passwd: String,
    pub group: String,
    pub shadow: String,
}

/// The account that a machine is logged in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub uid: u32,
    pub gid: u32,
    pub home: String,
}

fn field(line: &str, index: usize) -> Option<&str> {
    line.split(':').nth(index)
}

fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find(|line| field(line, 0) == Some(name))
}

impl Accounts {
    /// Takes passwords out: nobody logs in to a machine with one, and nobody there is to see the computer's.
    pub(super) fn without_passwords(mut self) -> Self {
        let line = |line: &str| match line.split(':').collect::<Vec<_>>()[..] {
            [name, _, ref rest @ ..] => format!("{name}:*:{}\n", rest.join(":")),
            _ => String::new(),
        };
        self.shadow = self.shadow.lines().map(line).collect();
        self
    }

    /// Adds the login user where there is none of that name. Without root there is one id only, and each name stands for it.
    pub(super) fn with_login(mut self, name: &str, rootless: bool) -> (Self, Login) {
        if let Some(line) = named(&self.passwd, name)
            && let (Some(Ok(uid)), Some(Ok(gid)), Some(home)) =
                (field(line, 2).map(str::parse), field(line, 3).map(str::parse), field(line, 5))
            && (!rootless || uid == 0)
        {
            let home = home.to_owned();
            return (self, Login { uid, gid, home });
        }
        let taken = |text: &str, id: u32| text.lines().any(|line| field(line, 2) == Some(&id.to_string()));
        let free = (FIRST..LAST).find(|id| !taken(&self.passwd, *id) && !taken(&self.group, *id)).unwrap_or(LAST);
        let (id, home) = if rootless { (0, "/root".to_owned()) } else { (free, format!("/home/{name}")) };
        // Without root a user of the computer's with this name may be there: the first line of a name is the one that counts.
        self.passwd = format!("{name}:x:{id}:{id}::{home}:/bin/bash\n{}", ended(self.passwd));
        if named(&self.group, name).is_none() || rootless {
            self.group = format!("{name}:x:{id}:\n{}", ended(self.group));
        }
        if rootless {
            // The name of an id is that of its first line: root stays root.
            self.passwd = format!("root:x:0:0:root:/root:/bin/bash\n{}", self.passwd);
            self.group = format!("root:x:0:\n{}", self.group);
        }
        self.shadow = format!("{}{name}:*:20000:0:99999:7:::\n", ended(self.shadow));
        (self, Login { uid: id, gid: id, home })
    }
}

fn ended(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// `/etc/hosts` with the machine's own name.
pub(super) fn hosts(hosts: &str, ip: std::net::Ipv4Addr, hostname: &str) -> String {
    format!("{}{ip}\t{hostname}\n", ended(hosts.to_owned()))
}

/// `authorized_keys`, one key a line.
pub(super) fn authorized_keys(keys: &[Text]) -> String {
    keys.iter().map(|key| format!("{}\n", key.replace(['\n', '\r'], " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computer() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh".into(),
            group: "root:x:0:\nann:x:1000:".into(),
            shadow: "root:$6$secret:1:0:99999:7:::\nann:!:1:0:99999:7:::".into(),
        }
    }

    #[test]
    fn nobody_in_a_machine_sees_a_password_of_the_computer() {
        let accounts = computer().without_passwords();
        assert_eq!(accounts.shadow, "root:*:1:0:99999:7:::\nann:*:1:0:99999:7:::\n");
    }

    #[test]
    fn a_new_login_gets_a_free_id_and_an_old_one_stays() {
        let (same, login) = computer().with_login("root", false);
        assert_eq!((same, login.uid, login.home.as_str()), (computer(), 0, "/root"));
        let (accounts, login) = computer().with_login("ops", false);
        assert_eq!((login.uid, login.home.as_str()), (1001, "/home/ops"));
        assert!(accounts.passwd.contains("ann:x:1000:1000::/home/ann:/bin/sh\n"), "{accounts:?}");
        assert!(accounts.shadow.ends_with("ops:*:20000:0:99999:7:::\n"));
    }

    #[test]
    fn without_root_every_login_is_the_one_user_and_root_keeps_its_name() {
        let (accounts, login) = computer().with_login("ann", true);
        assert_eq!((login.uid, login.gid), (0, 0));
        let first = |id: &str| accounts.passwd.lines().find(|line| field(line, 2) == Some(id)).map(str::to_owned);
        assert!(first("0").expect("root").starts_with("root:"));
        assert!(named(&accounts.passwd, "ann").expect("ann").starts_with("ann:x:0:0:"));
    }
}
