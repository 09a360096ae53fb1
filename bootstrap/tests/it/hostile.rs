use std::time::{Duration, Instant};

use pool_bootstrap::{
    BootstrapError,
    link::LinkError,
    observe,
    ssh::{Deadlines, SshError, connect},
};
use pool_inventory::desired::BootstrapSpec;

use crate::{
    apply::{file, name, render, run, script},
    bed::{Bed, QUICK},
};

fn one(check: &str, body: &str, seconds: u64) -> pool_bootstrap::Rendered {
    let mut spec = BootstrapSpec::default();
    spec.scripts.insert(name("x"), script(check, body, seconds));
    render(&spec)
}

#[tokio::test]
async fn megabytes_of_escape_codes_end_as_forty_clean_lines() {
    let bed = Bed::start();
    let body =
        "printf '\\033]0;owned\\007\\033[2J'; yes \"$(printf 'E 0 changed \\033[31mred')\" | head -c 5000000; exit 3";
    let error = run(&mut bed.link().await, &one("false", body, 20)).await.unwrap_err();
    let BootstrapError::Failed { exit, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!((exit.status, lines.len(), &*lines[1]), (Some(3), 40, "E 0 changed red"));
    assert!(!error.to_string().contains('\x1b'));
}

#[tokio::test]
async fn output_without_end_is_cut_off() {
    let bed = Bed::start();
    let error = run(&mut bed.link().await, &one("false", "exec cat /dev/zero", 60)).await.unwrap_err();
    assert!(matches!(error, BootstrapError::Flooded { .. }), "{error:?}");
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_at_its_limit_with_all_it_started() {
    let bed = Bed::start();
    let begun = Instant::now();
    let body = format!("echo waiting; sleep 600 & echo $! >{}; wait", bed.text("pid"));
    let error = run(&mut bed.link().await, &one("false", &body, 1)).await.unwrap_err();
    let BootstrapError::ItemTimedOut { lines, after, .. } = &error else { panic!("{error:?}") };
    assert_eq!((lines.as_slice(), *after), (&["waiting".to_owned()][..], Duration::from_secs(1)));
    assert!(begun.elapsed() < Duration::from_secs(20));
    let pid = std::fs::read_to_string(bed.path("pid")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "what it started is gone: {stat}");
}

#[tokio::test]
async fn a_daemon_that_keeps_its_output_open_is_not_waited_for() {
    let bed = Bed::start();
    let begun = Instant::now();
    let mark = bed.text("mark");
    let body = format!("sleep 30 & echo $! >{mark}");
    run(&mut bed.link().await, &one(&format!("test -e {mark}"), &body, 20)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    let pid = std::fs::read_to_string(&*mark).unwrap();
    std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_a_lost_connection() {
    let bed = Bed::start();
    let mut link = bed.link().await;
    // $PPID of the script's shell is the shell that sshd started; its parent serves this connection.
    let body = "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID)) ; sleep 5";
    let error = run(&mut link, &one("false", body, 20)).await.unwrap_err();
    let BootstrapError::Lost { item, source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, LinkError::Ssh(SshError::Closed { .. })), "{error:?}");
    assert_eq!(&**item, "script x");
    assert!(error.is_unreachable());
    let error = run(&mut link, &one("false", "true", 1)).await.unwrap_err();
    assert!(error.is_unreachable(), "a lost connection stays lost: {error:?}");
}

#[tokio::test]
async fn a_login_shell_that_is_none_gives_a_clear_error() {
    let bed = Bed::with("ForceCommand echo This account is not available; exit 1");
    let error = observe(&mut bed.link().await, &one("false", "true", 1)).await.unwrap_err();
    let BootstrapError::Garbled { lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!(lines, &["This account is not available"]);
}

#[tokio::test]
async fn a_talkative_login_shell_does_not_stop_it() {
    let greeting = "echo Welcome; echo 'P 0 ok'; echo Z; echo oops >&2; sh -c \"$SSH_ORIGINAL_COMMAND\"";
    let bed = Bed::with(&format!("ForceCommand {greeting}"));
    let mut spec = BootstrapSpec::default();
    spec.files.insert(bed.text("f"), file("x", 0o644));
    run(&mut bed.link().await, &render(&spec)).await.unwrap();
    assert!(bed.path("f").exists());
}

#[tokio::test]
async fn a_host_that_freezes_is_given_up() {
    let bed = Bed::start();
    let deadlines = Deadlines { keepalive: Duration::from_millis(200), ..QUICK };
    let mut link = connect(&bed.endpoint, &bed.login(), deadlines).await.unwrap();
    let body =
        format!("p=$(ps -o ppid= -p $(ps -o ppid= -p $PPID)); echo $p >{}; kill -STOP $p; sleep 5", bed.text("pid"));
    let error = run(&mut link, &one("false", &body, 60)).await.unwrap_err();
    let pid = std::fs::read_to_string(bed.path("pid")).unwrap();
    std::process::Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
    assert!(matches!(error, BootstrapError::Lost { .. }) && error.is_unreachable(), "{error:?}");
}

#[tokio::test]
async fn a_host_that_opens_no_more_sessions_says_so() {
    let bed = Bed::with("MaxSessions 1");
    let mut link = bed.link().await;
    let held = link.open(Some("cat"), None).await.unwrap();
    let error = observe(&mut link, &one("false", "true", 1)).await.unwrap_err();
    let refused = matches!(error, BootstrapError::Link(LinkError::Ssh(SshError::Refused { .. })));
    assert!(refused && error.is_unreachable(), "{error:?}");
    held.writer.close().await.unwrap();
}
