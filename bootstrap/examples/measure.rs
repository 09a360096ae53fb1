//! Client CPU of a ten-step bootstrap over real SSH servers.
//!
//! `cargo run --release -p pool-bootstrap --example measure -- BED PORT RESULT [ROUNDS]`, where `BED/id` is the private key,
//! `BED/sshd/N/hk.pub` the host key of the server on `127.0.0.N`, and files go below `RESULT/N`.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use pool_bootstrap::{
    Rendered, apply, keys,
    ssh::{Agent, Deadlines, Login, connect},
};
use pool_inventory::{
    FileMode, Name, TimeSpan,
    desired::{BootstrapSpec, DirectorySpec, FileSource, FileSpec, ScriptSpec, Trust},
    object::Endpoint,
};
use tokio_util::sync::CancellationToken;

type Problem = Box<dyn std::error::Error + Send + Sync>;

const STEPS: usize = 10;

fn content(host: &str, size: usize) -> String {
    let mut text = format!("# managed\nhost = {host}\nrole = worker\n");
    let mut line = 0;
    while text.len() < size {
        text += &format!("key_{line:03} = value-{line:03}-of-{host}\n");
        line += 1;
    }
    text
}

/// Facts, a folder, three files with owner and mode, a line in a file, and three checks.
fn spec(root: &str, host: &str, pid: &str) -> Result<BootstrapSpec, Problem> {
    let file = |size| FileSpec {
        source: FileSource::Content(content(host, size).into()),
        mode: FileMode(0o644),
        owner: Some("root".into()),
        group: Some("root".into()),
    };
    let etc = format!("{root}/{host}/etc");
    let mut spec = BootstrapSpec::default();
    let directory = DirectorySpec { mode: FileMode(0o755), owner: None, group: None };
    spec.directories.insert(etc.as_str().into(), directory);
    for (name, size) in [("agent.conf", 1024), ("users.conf", 2048), ("net.conf", 4096)] {
        spec.files.insert(format!("{etc}/{name}").into(), file(size));
    }
    let line = "* soft nofile 65536";
    let append = format!("echo '{line}' >>{etc}/limits; chmod 644 {etc}/limits");
    let scripts = BTreeMap::from([
        ("a-line", (format!("grep -qxF '{line}' {etc}/limits"), append)),
        ("b-kernel", ("uname -r".into(), "false".into())),
        ("c-user", ("id -u".into(), "false".into())),
        ("d-alive", (format!("kill -0 $(cat {pid})"), "false".into())),
    ]);
    for (name, (check, run)) in scripts {
        let script = ScriptSpec { check: check.into(), run: run.into(), timeout: TimeSpan::secs(30) };
        spec.scripts.insert(Name::new(name)?, script);
    }
    Ok(spec)
}

struct Host {
    endpoint: Endpoint,
    want: Rendered,
}

fn hosts(bed: &Path, port: u16, result: &str) -> Result<Vec<Host>, Problem> {
    let mut hosts = Vec::new();
    for n in 2..=50 {
        let folder = bed.join(format!("sshd/{n}"));
        let key = std::fs::read_to_string(folder.join("hk.pub"))?;
        let endpoint = Endpoint { host: format!("127.0.0.{n}").into(), port, host_keys: vec![key.trim().into()] };
        let pid = folder.join("pid");
        let spec = spec(result, &format!("h{n}"), &pid.display().to_string())?;
        let want = pool_bootstrap::render(&spec, &|t| Ok::<_, std::fmt::Error>(t.text.to_string()))?;
        hosts.push(Host { endpoint, want });
    }
    Ok(hosts)
}

async fn one(host: &Host, login: &Login) -> Result<(usize, u32), Problem> {
    let deadlines = Deadlines::default();
    let mut link = connect(&host.endpoint, login, deadlines).await?;
    let outcome = apply(&mut link, &host.want, &CancellationToken::new(), &mut |_| ()).await?;
    let sessions = link.sessions();
    link.close().await;
    Ok((outcome.changed.len(), sessions))
}

/// Nanoseconds on a core of all threads of this process.
fn cpu() -> Result<u64, Problem> {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(total)
}

async fn round(name: &str, hosts: &Arc<Vec<Host>>, login: &Login) -> Result<(), Problem> {
    let (wall, before) = (Instant::now(), cpu()?);
    let mut tasks = Vec::new();
    for n in 0..hosts.len() {
        let (hosts, login) = (hosts.clone(), login.clone());
        tasks.push(tokio::spawn(async move { one(&hosts[n], &login).await }));
    }
    let (mut changed, mut sessions) = (0, 0);
    for task in tasks {
        let (c, s) = task.await??;
        changed += c;
        sessions = sessions.max(s);
    }
    let used = cpu()? - before;
    let per = |ns: u64| ns as f64 / 1e6 / (hosts.len() * STEPS) as f64;
    println!(
        "{name:8} {:3} hosts  wall {:5.2} s  client CPU {:6.1} ms  {:.3} ms per host-step  {changed} changed  {sessions} sessions a host",
        hosts.len(),
        wall.elapsed().as_secs_f64(),
        used as f64 / 1e6,
        per(used),
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bed, port, result, rest @ ..] = arguments.as_slice() else {
        return Err("usage: measure BED PORT RESULT [ROUNDS]".into());
    };
    let hosts = Arc::new(hosts(Path::new(bed), port.parse()?, result)?);
    let key = keys::load(&std::fs::read(Path::new(bed).join("id"))?)?;
    let login = Login { user: "root".into(), key: Some(key), agent: Agent::No, jump: None, trust: Trust::Pinned };
    round("first", &hosts, &login).await?;
    for _ in 0..rest.first().map_or(Ok(3), |n| n.parse::<u32>())? {
        round("no-op", &hosts, &login).await?;
    }
    Ok(())
}
