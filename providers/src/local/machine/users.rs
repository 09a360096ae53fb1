//! Users of a machine, as its own `/etc/passwd` and `/etc/group` name them.

use std::{fs, io};

use super::{Doing, Fault};

/// A user who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
    pub shell: String,
}

/// Looks a user up.
pub(super) fn find(name: &str) -> Result<User, Fault> {
    let passwd = fs::read_to_string("/etc/passwd").doing(|| "reading /etc/passwd".into())?;
    let group = fs::read_to_string("/etc/group").doing(|| "reading /etc/group".into())?;
    parse(&passwd, &group, name)
        .ok_or_else(|| Fault::new(format!("looking up user {name}"), io::ErrorKind::NotFound.into()))
}

fn parse(passwd: &str, group: &str, name: &str) -> Option<User> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)?;
    let [_, _, uid, gid, _, home, shell] = fields[..] else { return None };
    let gid = gid.parse().ok()?;
    let groups = group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let member = fields.get(3)?.split(',').any(|member| member == name);
        if member { fields[2].parse().ok() } else { None }
    });
    Some(User {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid,
        groups: std::iter::once(gid).chain(groups.filter(|group| *group != gid)).collect(),
        home: home.to_owned(),
        shell: if shell.is_empty() { "/bin/sh".to_owned() } else { shell.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_groups_and_a_shell() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nops:x:1000:1000::/home/ops:\nbroken\n";
        let group = "root:x:0:\nsudo:x:27:ops,x\nops:x:1000:ops\nadm:x:4:opsy";
        let ops = parse(passwd, group, "ops").expect("there");
        assert_eq!((ops.uid, ops.groups.as_slice(), ops.shell.as_str()), (1000, &[1000, 27][..], "/bin/sh"));
        assert_eq!(parse(passwd, group, "root").expect("there").home, "/root");
        assert_eq!(parse(passwd, group, "broken"), None);
        assert_eq!(parse(passwd, group, "nobody"), None);
    }
}
