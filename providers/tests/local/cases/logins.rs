//! Logging in, and what a session can do.

use std::{io::Write, os::unix::fs::OpenOptionsExt, process::Command};

use russh::{ChannelMsg, Sig};

use crate::{
    bench::Bench,
    ssh::{self, Key},
};

/// The wrong key, the wrong user, the wrong host key.
pub fn refused(bench: &Bench) {
    let provider = bench.open();
    let (host, other) = (bench.create(&provider, "web-0"), bench.create(&provider, "web-1"));
    let login = |host, user: &str, key| bench.runtime.block_on(ssh::connect(host, user, key)).map(drop);
    assert_eq!(login(&host, "root", &bench.key), Ok(()));
    let stranger = Key::new();
    assert_eq!(login(&host, "root", &stranger), Err("refused".to_owned()));
    assert_eq!(login(&host, "nobody", &bench.key), Err("refused".to_owned()));
    let mut swapped = host.clone();
    let keys = other.endpoint.as_ref().expect("one").host_keys.clone();
    swapped.endpoint.as_mut().expect("one").host_keys = keys;
    assert!(login(&swapped, "root", &bench.key).is_err(), "each machine has a key of its own");
    bench.delete(&provider, &host);
    bench.delete(&provider, &other);
}

/// Status, output, errors, input, signals, environment.
pub fn commands(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    assert_eq!(bench.exec(&host, "echo out; echo err >&2; exit 7"), (7, "out\n".into(), "err\n".into()));
    assert_eq!(bench.exec(&host, "kill -9 $$").0, 137);
    assert_eq!(bench.exec(&host, "no-such-command").0, 127);
    bench.runtime.block_on(async {
        let session = ssh::connect(&host, "root", &bench.key).await.expect("logged in");
        // More than any window or pipe holds, in both directions at once.
        let big: Vec<u8> = (0..12_000_000_u32).map(|n| b'a' + u8::try_from(n % 26).expect("small")).collect();
        let (status, out, _) = ssh::exec(&session, "cat", &big).await;
        assert!(status == 0 && out.as_bytes() == big, "{status} {}", out.len());
        // Input that nobody reads does not hold up others of the same connection.
        let (lazy, quick) = tokio::join!(ssh::exec(&session, "sleep 0.3; echo lazy", &big), async {
            ssh::exec(&session, "echo quick", b"").await
        });
        assert_eq!((lazy.1.as_str(), quick.1.as_str()), ("lazy\n", "quick\n"));

        let channel = session.channel_open_session().await.expect("a channel");
        channel.set_env(true, "LC_TEST", "set").await.expect("asked");
        channel.set_env(true, "LD_PRELOAD", "evil").await.expect("asked");
        channel.exec(true, "echo $LC_TEST$LD_PRELOAD").await.expect("asked");
        assert_eq!(heard(channel).await, ("set\n".to_owned(), Some(0)));

        let channel = session.channel_open_session().await.expect("a channel");
        channel
            .exec(true, "trap 'echo caught; exit 3' TERM; echo go; while :; do sleep 0.05; done")
            .await
            .expect("asked");
        let (mut read, write) = channel.split();
        let (mut out, mut status) = (String::new(), None);
        while let Some(word) = read.wait().await {
            match word {
                ChannelMsg::Data { data } => out.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
            if out == "go\n" {
                write.signal(Sig::TERM).await.expect("sent");
            }
        }
        assert_eq!((out.as_str(), status), ("go\ncaught\n", Some(3)));
    });
    bench.delete(&provider, &host);
}

async fn heard(mut channel: russh::Channel<russh::client::Msg>) -> (String, Option<u32>) {
    let (mut out, mut status) = (String::new(), None);
    while let Some(word) = channel.wait().await {
        match word {
            ChannelMsg::Data { data } => out.push_str(&String::from_utf8_lossy(&data)),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
    }
    (out, status)
}

/// Shows the terminal, then waits to be interrupted.
const TYPED: &str = "stty size; echo $TERM $0; \
    sh -c \"trap 'exit 9' INT; echo slee''ping; while :; do sleep 0.05; done\"; exit $?\n";

/// The client that everybody has.
pub fn openssh(bench: &Bench) {
    if Command::new("ssh").arg("-V").output().is_err() {
        return;
    }
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    let at = host.endpoint.as_ref().expect("an endpoint");
    let file = |name: &str, text: &str| {
        let path = bench.dir.join(name);
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).expect("made");
        file.write_all(text.as_bytes()).expect("written");
        path
    };
    let key = file("key", &bench.key.0.to_openssh(russh::keys::ssh_key::LineEnding::LF).expect("a key"));
    let known = file("known", &format!("[{}]:{} {}\n", at.host, at.port, at.host_keys[0]));
    let ssh = |options: &[&str], command: &str| {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-p", &at.port.to_string(), "-i"]);
        ssh.arg(&key).arg("-o").arg(format!("UserKnownHostsFile={}", known.display())).args(options);
        let output = ssh.arg(format!("root@{}", at.host)).arg(command).output().expect("ran");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(ssh(&[], "echo a; exit 5"), (Some(5), "a\n".to_owned()));
    assert_eq!(ssh(&["-tt"], "test -t 0 && tty; stty size >/dev/null; exit 4"), (Some(4), "/dev/pts/0\r\n".to_owned()));

    // A shell on a terminal: typed at, resized, interrupted.
    bench.runtime.block_on(async {
        let session = ssh::connect(&host, "root", &bench.key).await.expect("logged in");
        let mut channel = session.channel_open_session().await.expect("a channel");
        channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("asked");
        channel.request_shell(true).await.expect("asked");
        channel.data(&b"PS1=; stty -echo; echo rea''dy\n"[..]).await.expect("typed");
        let mut out = String::new();
        let mut step = 0;
        let mut status = None;
        loop {
            let word = tokio::time::timeout(std::time::Duration::from_secs(30), channel.wait()).await;
            let word = word.unwrap_or_else(|_| panic!("the terminal is silent after step {step}: {out}"));
            let Some(word) = word else { break };
            match word {
                ChannelMsg::Data { data } => out.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
            if step == 0 && out.contains("ready") {
                step = 1;
                channel.window_change(100, 40, 0, 0).await.expect("asked");
                channel.data(TYPED.as_bytes()).await.expect("typed");
            }
            if step == 1 && out.contains("sleeping") {
                step = 2;
                channel.data(&b"\x03"[..]).await.expect("typed");
            }
        }
        assert!(out.contains("40 100") && out.contains("xterm -bash"), "{out}");
        assert_eq!(status, Some(9), "{out}");
    });
    bench.delete(&provider, &host);
}

/// A client that goes away.
pub fn closed(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    bench.runtime.block_on(async {
        let session = ssh::connect(&host, "root", &bench.key).await.expect("logged in");
        let mut channel = session.channel_open_session().await.expect("a channel");
        channel
            .exec(
                true,
                "nohup sh -c 'touch /root/up; exec sleep 7001' >/dev/null 2>&1 & \
            until [ -e /root/up ]; do sleep 0.01; done; echo up; sleep 7002; sleep 7003",
            )
            .await
            .expect("asked");
        while let Some(word) = channel.wait().await {
            if matches!(word, ChannelMsg::Data { .. }) {
                break;
            }
        }
    });
    // The patterns do not match their own command lines.
    let left = "until ! grep -aqs '700[2]' /proc/[0-9]*/cmdline; do sleep 0.02; done; \
        cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -ao 'sleep 700[0-9]'";
    assert_eq!(bench.output(&host, left), "sleep 7001", "what said nohup stays");
    bench.delete(&provider, &host);
}
