use std::{process::Command, time::Duration};

use pool_bootstrap::{
    keys,
    link::LinkError,
    runner::read_facts,
    ssh::{self, Agent, Deadlines, Event, Login, Pty, SshError, Stream, connect},
};
use pool_inventory::{desired::Trust, object::Endpoint};

use crate::bed::{Bed, QUICK, free_port, user};

#[tokio::test]
async fn a_pinned_host_is_reached_and_tells_its_facts() {
    let bed = Bed::start();
    let mut link = bed.link().await;
    let facts = read_facts(&mut link).await.unwrap();
    assert_eq!(facts.user, user());
    assert!(facts.cpus > 0 && facts.skew.abs() < 30);
    assert_eq!(link.sessions(), 1);
    assert_eq!(*link.host_key(), bed.endpoint.host_keys[0]);
    link.close().await;
}

#[tokio::test]
async fn another_host_key_is_refused_with_both_fingerprints() {
    let bed = Bed::start();
    let other = keys::generate(&bed.path("other")).unwrap();
    let endpoint = Endpoint { host_keys: vec![other.public()], ..bed.endpoint.clone() };
    for trust in [Trust::Pinned, Trust::Injected, Trust::FirstContact] {
        let login = Login { trust, ..bed.login() };
        let error = connect(&endpoint, &login, QUICK).await.unwrap_err();
        let SshError::HostKeyMismatch { expected, found, .. } = &error else { panic!("{error:?}") };
        assert!(expected[0].contains("SHA256:") && found.contains("SHA256:") && *expected[0] != **found);
        assert!(!error.is_unreachable());
    }
}

#[tokio::test]
async fn an_unknown_host_key_is_learnt_only_where_that_is_allowed() {
    let bed = Bed::start();
    let endpoint = Endpoint { host_keys: vec![], ..bed.endpoint.clone() };
    for trust in [Trust::Pinned, Trust::Injected] {
        let error = connect(&endpoint, &Login { trust, ..bed.login() }, QUICK).await.unwrap_err();
        assert!(matches!(error, SshError::HostKeyUnknown { .. }), "{error:?}");
    }
    let link = connect(&endpoint, &Login { trust: Trust::FirstContact, ..bed.login() }, QUICK).await.unwrap();
    assert_eq!(*link.host_key(), bed.endpoint.host_keys[0]);
}

#[tokio::test]
async fn a_login_with_the_wrong_key_is_refused() {
    let bed = Bed::start();
    let stranger = keys::generate(&bed.path("stranger")).unwrap();
    let error = connect(&bed.endpoint, &Login { key: Some(stranger), ..bed.login() }, QUICK).await.unwrap_err();
    assert!(error.is_auth() && !error.is_unreachable(), "{error:?}");
    assert!(error.to_string().contains(&*user()), "{error}");
    let error = connect(&bed.endpoint, &Login { key: None, ..bed.login() }, QUICK).await.unwrap_err();
    assert!(error.to_string().contains("neither a key nor an agent"), "{error}");
}

#[tokio::test]
async fn an_agent_can_log_in() {
    let bed = Bed::start();
    let socket = bed.path("agent");
    let mut agent =
        Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(std::process::Stdio::null()).spawn().unwrap();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(agent.try_wait().unwrap().is_none(), "the agent ended");
        std::thread::yield_now();
    }
    let added = Command::new("ssh-add").arg(bed.path("id")).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    let login = Login { key: None, agent: Agent::Socket(socket), ..bed.login() };
    let link = connect(&bed.endpoint, &login, QUICK).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    link.unwrap();
    let error = connect(&bed.endpoint, &login, QUICK).await.unwrap_err();
    assert!(matches!(error, SshError::Agent { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_and_somebody_silent_are_both_seen_in_time() {
    let bed = Bed::start();
    let endpoint = Endpoint { port: free_port(), ..bed.endpoint.clone() };
    let error = connect(&endpoint, &bed.login(), QUICK).await.unwrap_err();
    assert!(matches!(error, SshError::Unreachable { .. }) && error.is_unreachable(), "{error:?}");

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { port: silent.local_addr().unwrap().port(), ..bed.endpoint.clone() };
    let deadlines = Deadlines { login: Duration::from_millis(300), ..QUICK };
    let error = connect(&endpoint, &bed.login(), deadlines).await.unwrap_err();
    assert!(matches!(error, SshError::TimedOut { .. }) && error.is_unreachable(), "{error:?}");
}

#[tokio::test]
async fn who_speaks_no_ssh_is_refused() {
    use tokio::io::AsyncWriteExt;
    let bed = Bed::start();
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { port: server.local_addr().unwrap().port(), ..bed.endpoint.clone() };
    tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let _ = stream.write_all(&[b'x'; 100_000]).await;
    });
    let error = connect(&endpoint, &bed.login(), QUICK).await.unwrap_err();
    assert!(matches!(error, SshError::Protocol { .. } | SshError::Closed { .. }), "{error:?}");
}

#[tokio::test]
async fn a_host_behind_a_jump_host_is_verified_end_to_end() {
    let (jump, bed) = (Bed::start(), Bed::start());
    let through = Some(Box::new((jump.endpoint.clone(), jump.login())));
    let login = Login { jump: through, ..bed.login() };
    let mut link = connect(&bed.endpoint, &login, QUICK).await.unwrap();
    read_facts(&mut link).await.unwrap();
    link.close().await;

    let wrong = Endpoint { host_keys: vec![jump.key.public()], ..bed.endpoint.clone() };
    let error = connect(&wrong, &login, QUICK).await.unwrap_err();
    assert!(matches!(error, SshError::HostKeyMismatch { .. }), "{error:?}");

    let wrong = Endpoint { host_keys: vec![bed.key.public()], ..jump.endpoint.clone() };
    let login = Login { jump: Some(Box::new((wrong, jump.login()))), ..bed.login() };
    let error = connect(&bed.endpoint, &login, QUICK).await.unwrap_err();
    let SshError::HostKeyMismatch { at, .. } = error else { panic!("{error:?}") };
    assert_eq!(*at, *format!("127.0.0.1:{}", jump.endpoint.port));
}

#[tokio::test]
async fn jumps_are_not_followed_for_ever() {
    let bed = Bed::start();
    let mut login = bed.login();
    for _ in 0..=ssh::MAX_JUMPS {
        login = Login { jump: Some(Box::new((bed.endpoint.clone(), login))), ..bed.login() };
    }
    let error = connect(&bed.endpoint, &login, QUICK).await.unwrap_err();
    assert!(matches!(error, SshError::TooManyJumps { .. }), "{error:?}");
}

#[tokio::test]
async fn a_terminal_session_carries_input_size_and_exit_status() {
    let bed = Bed::start();
    let link = bed.link().await;
    let pty = Pty { term: "xterm".into(), columns: 91, rows: 33 };
    let mut session = link.open(Some("stty size; read a; stty size; echo got $a; exit 7"), Some(&pty)).await.unwrap();
    let mut out = Vec::new();
    let mut exit = None;
    while exit.is_none() {
        match session.reader.next().await {
            Event::Out(bytes) => {
                let first = out.is_empty();
                out.extend(bytes);
                if first {
                    session.writer.resize(100, 40).await.unwrap();
                    session.writer.write(b"hello\n".to_vec()).await.unwrap();
                }
            }
            Event::Err(_) => {}
            Event::End(end) => exit = Some(end),
        }
    }
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("33 91") && out.contains("40 100") && out.contains("got hello"), "{out}");
    assert_eq!(exit.unwrap().status, Some(7));
}

#[tokio::test]
async fn many_commands_run_at_once_on_one_connection() {
    let bed = Bed::start();
    let link = bed.link().await;
    let run = |n: usize| {
        let link = &link;
        async move {
            let mut session =
                link.open(Some(&format!("echo out {n}; echo err {n} >&2; exit {n}")), None).await.unwrap();
            let mut text = Vec::new();
            loop {
                match session.reader.next().await {
                    Event::Out(bytes) | Event::Err(bytes) => text.extend(bytes),
                    Event::End(exit) => return (exit.status, String::from_utf8(text).unwrap()),
                }
            }
        }
    };
    let (a, b, c) = tokio::join!(run(1), run(2), run(3));
    for (n, (status, text)) in [(1, a), (2, b), (3, c)] {
        assert_eq!(status, Some(n));
        assert!(text.contains(&format!("out {n}")) && text.contains(&format!("err {n}")), "{text}");
    }
    assert_eq!(link.sessions(), 3);
}

#[tokio::test]
async fn a_command_is_run_with_its_output_as_it_comes_and_within_its_limit() {
    let bed = Bed::start();
    let link = bed.link().await;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut on = |stream, bytes: &[u8]| match stream {
        Stream::Out => out.extend_from_slice(bytes),
        Stream::Err => err.extend_from_slice(bytes),
    };
    let exit = link.exec("echo a; echo b >&2; cat; sleep 8 & exit 4", QUICK.login, &mut on).await.unwrap();
    assert_eq!((exit.status, out.as_slice(), err.as_slice()), (Some(4), &b"a\n"[..], &b"b\n"[..]));
    let error = link.exec("while :; do echo x; done", Duration::from_millis(300), &mut |_, _| ()).await.unwrap_err();
    assert!(matches!(error, LinkError::Silent { .. }), "{error:?}");
    let killed = link.exec("kill -9 $$", QUICK.login, &mut |_, _| ()).await.unwrap();
    assert_eq!(killed.to_string(), "killed by SIGKILL");
}
