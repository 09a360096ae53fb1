//! A test bed: `sshd` on a loopback port of its own, ended with the test.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pool_bootstrap::{
    keys::{self, Key},
    ssh::{self, Agent, Deadlines, Login, SshLink},
};
use pool_inventory::{Text, desired::Trust, object::Endpoint};

pub struct Bed {
    pub folder: tempfile::TempDir,
    pub endpoint: Endpoint,
    pub key: Key,
    sshd: Child,
}

/// Short limits, so that a failing test ends soon.
pub const QUICK: Deadlines = Deadlines {
    connect: Duration::from_secs(5),
    login: Duration::from_secs(10),
    session: Duration::from_secs(5),
    keepalive: Duration::from_secs(5),
};

impl Bed {
    pub fn start() -> Self {
        Self::with("")
    }

    /// In a mount and an IPC namespace with layers over everything that a bootstrap changes; needs root.
    pub fn isolated() -> Self {
        let layers = "for d in etc home var usr run; do mkdir -p $B/l/$d/u $B/l/$d/w && \
             mount -t overlay -o lowerdir=/$d,upperdir=$B/l/$d/u,workdir=$B/l/$d/w overlay /$d || exit 1; done; mkdir -p /run/sshd";
        let start = format!("umask 022 && mount -t tmpfs tmpfs $B/l && {layers} && exec \"$@\"");
        Self::run("", &["unshare", "--mount", "--ipc", "sh", "-c", &start, "sh"])
    }

    /// With further lines in the server's configuration; they win over ours.
    pub fn with(further: &str) -> Self {
        Self::run(further, &[])
    }

    fn run(further: &str, wrapper: &[&str]) -> Self {
        std::fs::create_dir_all("/run/sshd").ok();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let host_key = keys::generate(&at("host_key")).unwrap();
        let key = keys::generate(&at("id")).unwrap();
        std::fs::write(at("authorized"), format!("{}\n", key.public())).unwrap();
        let port = free_port();
        let path = folder.path().display();
        let config = format!(
            "{further}\nListenAddress 127.0.0.1:{port}\nHostKey {path}/host_key\nPidFile none\nAuthorizedKeysFile {path}/authorized\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nUsePAM no\nMaxStartups 100\n\
             MaxSessions 20\nSetEnv SHLVL=3\n"
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        std::fs::create_dir(at("l")).unwrap();
        let words = [wrapper, &["/usr/sbin/sshd", "-D", "-e", "-f"]].concat();
        let sshd = Command::new(words[0])
            .args(&words[1..])
            .arg(at("sshd_config"))
            .env("B", folder.path())
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("openssh-server is installed");
        let endpoint = Endpoint { host: "127.0.0.1".into(), port, host_keys: vec![host_key.public()] };
        let bed = Self { folder, endpoint, key, sshd };
        bed.wait();
        bed
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.endpoint.port)).is_err() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(Instant::now() < until, "sshd does not answer: {log}");
            std::thread::yield_now();
        }
    }

    /// The process of the server.
    pub fn pid(&self) -> u32 {
        self.sshd.id()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A path below the folder, as an inventory has it.
    pub fn text(&self, name: &str) -> Text {
        self.path(name).to_str().unwrap().into()
    }

    pub fn login(&self) -> Login {
        Login { user: user(), key: Some(self.key.clone()), agent: Agent::No, jump: None, trust: Trust::Pinned }
    }

    pub async fn link(&self) -> SshLink {
        ssh::connect(&self.endpoint, &self.login(), QUICK).await.unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

pub fn user() -> Text {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().into()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
