//! What is left when a process dies. The test binary runs itself again with `POOL_STATE_CHILD` set.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use pool_state::{Change, LeaseRequest, StateError, Store};

use crate::support::*;

const CHILD: &str = "POOL_STATE_CHILD";

/// Starts this binary again to run the test `name` as a child in `dir`.
fn child(name: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The lines of the child that begin with `mark`, without it.
fn marked(child: &mut Child, mark: &'static str) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(move |line| line.split_once(mark).map(|(_, rest)| rest.to_owned()))
}

fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

async fn child_store(dir: &str) -> Store {
    Store::open(options_at(Path::new(dir)), now()).await.unwrap()
}

/// In the child: writes for ever, and says what was acknowledged.
async fn write_for_ever(dir: &str) {
    let store = child_store(dir).await;
    let lease = std::sync::Arc::new(lease(&store).await);
    store.begin_run(&lease, run("r1")).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, lease) = (store.clone(), lease.clone());
            tokio::spawn(async move {
                for n in 0..100_000_u32 {
                    let object = host(&store, &format!("w{writer}-{n}"), 1);
                    let seq = store.journal(&lease, vec![entry("r1", "succeeded", put(&object))]).await.unwrap();
                    say(&format!("ACK {} {}", seq[0], object.address));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_sigkill() {
    if let Ok(dir) = std::env::var(CHILD) {
        return write_for_ever(&dir).await;
    }
    for acknowledged in [1, 40, 300] {
        let place = place();
        let mut writer = child("process::what_was_acknowledged_outlives_sigkill", place.dir.path());
        let mut lines = marked(&mut writer, "ACK ");
        let mut acks: Vec<String> = lines.by_ref().take(acknowledged).collect();
        writer.kill().unwrap();
        acks.extend(lines);
        writer.wait().unwrap();
        assert!(acks.len() >= acknowledged, "{}", acks.len());
        let store = place.open().await;
        let entries = store.entries(&pool_state::RunId("r1".into())).await.unwrap();
        let objects: std::collections::BTreeSet<String> = shown(&store).await.into_iter().map(|o| o.0).collect();
        // The last line may be cut off in the middle.
        for ack in acks.iter().filter(|ack| ack.contains(" host/") && ack.ends_with(|c: char| c.is_ascii_digit())) {
            let (seq, address) = ack.split_once(' ').unwrap();
            let row = entries.iter().find(|row| row.seq.to_string() == seq).expect("an acknowledged entry is there");
            let recorded = row.address.as_ref().unwrap().to_string();
            assert!(recorded.starts_with(address) && objects.contains(&recorded), "{ack}");
        }
        // Entry and object go together, acknowledged or not.
        assert_eq!(entries.len(), objects.len());
        assert_eq!(store.serial().await.unwrap(), entries.len() as u64);
        assert_eq!(store.unfinished_runs().await.unwrap().len(), 1);
    }
}

/// In the child: takes the lease, says so, and holds it until it is killed.
async fn hold_for_ever(dir: &str) {
    let store = child_store(dir).await;
    let _lease = store.acquire(LeaseRequest { ttl: Duration::from_secs(3600), ..request("child") }).await.unwrap();
    say("HELD now");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_lease_of_a_killed_process_is_taken_at_once() {
    if let Ok(dir) = std::env::var(CHILD) {
        return hold_for_ever(&dir).await;
    }
    let place = place();
    let store = place.open().await;
    let mut holder = child("process::the_lease_of_a_killed_process_is_taken_at_once", place.dir.path());
    marked(&mut holder, "HELD ").next().expect("the child holds it");
    let refused = store.acquire(request("parent")).await;
    assert!(matches!(refused, Err(StateError::LeaseHeld { holder, .. }) if &*holder == "child"));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let taken = store.acquire(request("parent")).await.expect("no waiting for an hour");
    assert_eq!(taken.epoch(), 2);
}

/// In the child: one try, and what came of it.
async fn contend(dir: &str) {
    let store = child_store(dir).await;
    match store.acquire(request("child")).await {
        Ok(lease) => {
            store.begin_run(&lease, run(&format!("r{}", std::process::id()))).await.unwrap();
            say("GOT it");
            // Held until the parent has seen both.
            std::future::pending::<()>().await;
        }
        Err(StateError::LeaseHeld { .. }) => say("GOT nothing"),
        Err(error) => say(&format!("GOT {error}")),
    }
}

#[tokio::test]
async fn of_processes_at_the_same_time_one_wins() {
    if let Ok(dir) = std::env::var(CHILD) {
        return contend(&dir).await;
    }
    let place = place();
    // None of them finds a state: they make it together, too.
    let mut children: Vec<Child> =
        (0..4).map(|_| child("process::of_processes_at_the_same_time_one_wins", place.dir.path())).collect();
    let mut said: Vec<String> =
        children.iter_mut().map(|child| marked(child, "GOT ").next().expect("each says something")).collect();
    said.sort();
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(said, ["it", "nothing", "nothing", "nothing"]);
    let store = place.open().await;
    assert_eq!(store.unfinished_runs().await.unwrap().len(), 1);
    let held = lease(&store).await;
    store.begin_run(&held, run("after")).await.unwrap();
    store.journal(&held, vec![entry("after", "started", Change::None)]).await.unwrap();
}
