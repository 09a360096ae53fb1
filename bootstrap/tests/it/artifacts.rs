//! Artifacts: sent over a session of their own, verified by the host, put in place, noted.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use pool_bootstrap::{
    BootstrapError, Facts, ItemEvent, Outcome, Pace, Refusal, Rendered, Supply, SupplyError, apply_with, observe,
    phases, ssh::SshLink,
};
use pool_inventory::{
    FileMode, Name, Text,
    desired::{Arch, ArtifactFile, ArtifactRef, BootstrapSpec, UnpackSpec},
};
use tokio_util::sync::CancellationToken;

use crate::{
    apply::{file, name, render},
    bed::{Bed, mode},
    root::{inside, machine},
};

/// Files of a folder, by their digests.
pub struct Folder {
    pub path: PathBuf,
    pub asked: AtomicUsize,
    pub pace: Pace,
}

#[async_trait]
impl Supply for Folder {
    async fn file(&self, _: &Name, sha256: &Text) -> Result<PathBuf, SupplyError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.path.join(&**sha256))
    }

    fn pace(&self) -> &Pace {
        &self.pace
    }
}

impl Folder {
    pub fn new(bed: &Bed) -> Self {
        let path = bed.path("supply");
        std::fs::create_dir_all(&path).unwrap();
        Self { path, asked: 0.into(), pace: Pace::default() }
    }

    pub fn add(&self, content: &[u8]) -> Text {
        let file = self.path.join("new");
        std::fs::write(&file, content).unwrap();
        self.take(&file)
    }

    /// A file becomes one of the folder.
    pub fn take(&self, file: &Path) -> Text {
        let out = Command::new("sha256sum").arg(file).output().unwrap();
        let digest: Text = String::from_utf8(out.stdout).unwrap()[..64].into();
        std::fs::rename(file, self.path.join(&*digest)).unwrap();
        digest
    }
}

/// Where hosts keep artifacts for root, and notes of them.
const STORE: &str = "/var/lib/pool/artifacts";

fn artifact(digest: &Text) -> ArtifactRef {
    ArtifactRef { name: name("tool"), digests: vec![(None, digest.clone())] }
}

fn taken(digest: &Text, mode: u32) -> ArtifactFile {
    ArtifactFile { artifact: artifact(digest), mode: FileMode(mode), owner: None, group: None }
}

fn unpacked(digest: &Text, to: &str, strip: u32) -> UnpackSpec {
    UnpackSpec { artifact: artifact(digest), to: to.into(), strip }
}

async fn give(link: &mut SshLink, want: &Rendered, supply: &Folder) -> Result<Outcome, BootstrapError> {
    apply_with(link, &|facts| phases::commands(facts, want), supply, &CancellationToken::new(), &mut |_| ()).await
}

/// What lies in a folder of the machine.
fn list(bed: &Bed, path: &str) -> Vec<String> {
    let Ok(found) = std::fs::read_dir(inside(bed, path)) else { return Vec::new() };
    let mut names: Vec<String> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Content that no compression and no line of text makes small.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

#[tokio::test]
async fn an_artifact_is_sent_once_and_known_again_without_being_read() {
    let Some(bed) = machine() else { return };
    let supply = Folder::new(&bed);
    let content = noise(3_000_000);
    let digest = supply.add(&content);
    let mut spec = BootstrapSpec::default();
    spec.artifact_files.insert("/usr/local/bin/tool".into(), taken(&digest, 0o755));
    spec.artifact_files.insert("/usr/local/opt/deep/er/copy".into(), taken(&digest, 0o600));
    let want = render(&spec);
    let mut link = bed.link().await;
    let mut sent = 0;
    let mut on = |event| sent += usize::from(matches!(event, ItemEvent::Sent { size: 3_000_000, .. }));
    let outcome =
        apply_with(&mut link, &|facts| phases::commands(facts, &want), &supply, &CancellationToken::new(), &mut on)
            .await
            .unwrap();
    assert_eq!((outcome.changed.len(), sent, link.sessions()), (2, 1, 2), "{outcome:?}");
    assert!(std::fs::read(inside(&bed, "/usr/local/bin/tool")).unwrap() == content);
    assert_eq!(mode(&inside(&bed, "/usr/local/bin/tool")), 0o755);
    assert_eq!(mode(&inside(&bed, "/usr/local/opt/deep/er/copy")), 0o600);
    assert_eq!((list(&bed, &format!("{STORE}/in")).len(), list(&bed, STORE).len()), (0, 3), "notes alone stay");

    let mut link = bed.link().await;
    assert!(give(&mut link, &want, &supply).await.unwrap().changed.is_empty());
    assert_eq!(link.sessions(), 1);

    // Another mode needs no bytes; other bytes of the same length and time are found.
    spec.artifact_files.insert("/usr/local/opt/deep/er/copy".into(), taken(&digest, 0o640));
    assert_eq!(give(&mut link, &render(&spec), &supply).await.unwrap().changed.len(), 1);
    assert_eq!(supply.asked.load(Ordering::Relaxed), 1);
    let tool = inside(&bed, "/usr/local/bin/tool");
    let time = std::fs::metadata(&tool).unwrap().modified().unwrap();
    std::fs::write(&tool, noise(2_999_999).iter().chain(b"x").copied().collect::<Vec<u8>>()).unwrap();
    std::fs::File::options().write(true).open(&tool).unwrap().set_modified(time).unwrap();
    let drifts = observe(&mut link, &render(&spec)).await.unwrap().drifts;
    assert_eq!((drifts.len(), &*drifts[0].item), (1, "file /usr/local/bin/tool"), "{drifts:?}");
    assert_eq!(give(&mut link, &render(&spec), &supply).await.unwrap().changed.len(), 1);
    assert!(std::fs::read(&tool).unwrap() == content);
}

#[tokio::test]
async fn what_does_not_have_its_digest_is_refused_by_the_host() {
    let Some(bed) = machine() else { return };
    let supply = Folder::new(&bed);
    let digest = supply.add(b"what was meant");
    for tampered in ["what was NOT meant", "what was"] {
        std::fs::write(supply.path.join(&*digest), tampered).unwrap();
        let mut spec = BootstrapSpec::default();
        spec.artifact_files.insert("/usr/local/opt/tool".into(), taken(&digest, 0o755));
        spec.files.insert("/usr/local/opt/other".into(), file("x", 0o644));
        let error = give(&mut bed.link().await, &render(&spec), &supply).await.unwrap_err();
        let BootstrapError::NotSent { exit, lines, .. } = &error else { panic!("{error:?}") };
        assert_eq!(exit.status, Some(65));
        assert!(lines[0].contains(&format!("not {digest}")), "{lines:?}");
        assert!(
            !inside(&bed, "/usr/local/opt/tool").exists() && !inside(&bed, "/usr/local/opt/other").exists(),
            "nothing was begun"
        );
        assert!(list(&bed, &format!("{STORE}/in")).is_empty());
    }
}

/// An archive of some files, packed as `flags` say.
fn archive(bed: &Bed, supply: &Folder, flags: &str, files: &[&str]) -> Text {
    let root = bed.path("archive");
    for path in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, path.display().to_string()).unwrap();
    }
    let out = Command::new("tar").arg(flags).arg(bed.path("new")).arg("-C").arg(&root).arg(".").status().unwrap();
    assert!(out.success());
    std::fs::remove_dir_all(&root).unwrap();
    supply.take(&bed.path("new"))
}

#[tokio::test]
async fn an_archive_is_unpacked_and_mended_and_replaced() {
    let Some(bed) = machine() else { return };
    let supply = Folder::new(&bed);
    let digest = archive(&bed, &supply, "-czf", &["tool-1/bin/tool", "tool-1/it's a \\ file", "tool-1/etc/conf"]);
    let mut spec = BootstrapSpec::default();
    spec.unpack.insert(name("tool"), unpacked(&digest, "/usr/local/tool", 2));
    spec.files.insert("/usr/local/tool/etc/conf".into(), file("ours", 0o644));
    let mut link = bed.link().await;
    let outcome = give(&mut link, &render(&spec), &supply).await.unwrap();
    assert_eq!(outcome.changed, [Text::from("unpack tool"), "file /usr/local/tool/etc/conf".into()]);
    assert_eq!(list(&bed, "/usr/local/tool"), ["bin", "etc", "it's a \\ file"]);
    assert_eq!(std::fs::read_to_string(inside(&bed, "/usr/local/tool/etc/conf")).unwrap(), "ours");
    assert!(list(&bed, &format!("{STORE}/in")).is_empty());
    assert!(give(&mut link, &render(&spec), &supply).await.unwrap().changed.is_empty());

    std::fs::remove_file(inside(&bed, "/usr/local/tool/bin/tool")).unwrap();
    let drifts = observe(&mut link, &render(&spec)).await.unwrap().drifts;
    assert_eq!(&*drifts[0].detail, "/usr/local/tool/bin/tool is missing");
    give(&mut link, &render(&spec), &supply).await.unwrap();
    assert!(inside(&bed, "/usr/local/tool/bin/tool").exists());

    for (flags, version) in [("-cJf", "2"), ("-cf", "3")] {
        let path = format!("tool-{version}/etc/conf");
        let digest = archive(&bed, &supply, flags, &[&path, "x/new"]);
        spec.unpack.insert(name("tool"), unpacked(&digest, "/usr/local/tool", 2));
        let drifts = observe(&mut link, &render(&spec)).await.unwrap().drifts;
        assert_eq!(&*drifts[0].detail, "another archive was unpacked");
        give(&mut link, &render(&spec), &supply).await.unwrap();
        assert_eq!(std::fs::read_to_string(inside(&bed, "/usr/local/tool/etc/conf")).unwrap(), "ours");
        assert!(observe(&mut link, &render(&spec)).await.unwrap().drifts.is_empty());
    }
    let digest = supply.add(b"this is no archive");
    spec.unpack.insert(name("tool"), unpacked(&digest, "/usr/local/tool", 0));
    let error = give(&mut link, &render(&spec), &supply).await.unwrap_err().to_string();
    assert!(error.contains("unpack tool failed") && error.contains("tar: "), "{error}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_that_counts() {
    let Some(bed) = machine() else { return };
    let mut supply = Folder::new(&bed);
    supply.pace = Pace::new(1, Some(1 << 20));
    let digest = supply.add(&noise(4 << 20));
    let mut spec = BootstrapSpec::default();
    spec.artifact_files.insert("/usr/local/opt/tool".into(), taken(&digest, 0o755));
    let want = render(&spec);
    let mut link = bed.link().await;
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    {
        let mut on = |event| {
            if let (ItemEvent::Sending { sent: 1.., .. }, Some(tell)) = (event, tell.take_if(|_| true)) {
                let _ = tell.send(());
            }
        };
        let phases = |facts: &Facts| phases::commands(facts, &want);
        let cancel = CancellationToken::new();
        tokio::select! {
            _ = apply_with(&mut link, &phases, &supply, &cancel, &mut on) => panic!("it ended before it could be killed"),
            _ = told => {}
        }
    }
    drop(link);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !list(&bed, &format!("{STORE}/in")).is_empty() {
        assert!(std::time::Instant::now() < until, "a temporary file is left");
        tokio::task::yield_now().await;
    }
    supply.pace = Pace::default();
    assert_eq!(give(&mut bed.link().await, &want, &supply).await.unwrap().changed.len(), 1);
}

#[tokio::test]
async fn what_a_machine_is_not_made_for_or_has_no_room_for_is_said_before_anything_changes() {
    let Some(bed) = machine() else { return };
    let supply = Folder::new(&bed);
    let digest = supply.add(b"x");
    let other = if cfg!(target_arch = "x86_64") { Arch::Arm64 } else { Arch::Amd64 };
    let mut spec = BootstrapSpec::default();
    let tool = ArtifactRef { name: name("tool"), digests: vec![(Some(other), digest.clone())] };
    spec.artifact_files.insert("/usr/local/opt/tool".into(), ArtifactFile { artifact: tool, ..taken(&digest, 0o755) });
    let error = give(&mut bed.link().await, &render(&spec), &supply).await.unwrap_err();
    let BootstrapError::Refused { refusals, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(&refusals[..], [Refusal::NotMade { .. }]), "{error}");

    // As large as no disk is: a hole takes no room here.
    let large = std::fs::File::create(supply.path.join("large")).unwrap();
    large.set_len(1 << 42).unwrap();
    let digest: Text = "0".repeat(64).as_str().into();
    std::fs::rename(supply.path.join("large"), supply.path.join(&*digest)).unwrap();
    spec.artifact_files.insert("/usr/local/opt/tool".into(), taken(&digest, 0o755));
    let error = give(&mut bed.link().await, &render(&spec), &supply).await.unwrap_err();
    let BootstrapError::NotSent { exit, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!(exit.status, Some(28), "{lines:?}");
    assert!(lines[0].starts_with("no room for 4398046511104 bytes in /var/lib/pool/artifacts/in"), "{lines:?}");
    assert!(!inside(&bed, "/usr/local/opt/tool").exists());
}

#[tokio::test]
async fn hosts_download_themselves_where_they_are_told_to() {
    let Some(bed) = machine() else { return };
    let supply = Folder::new(&bed);
    let digest = supply.add(&noise(100_000));
    let (right, wrong) = (Mirror::start(noise(100_000)), Mirror::start(b"something else".to_vec()));
    let mut spec = BootstrapSpec::default();
    spec.artifact_files.insert("/usr/local/opt/tool".into(), taken(&digest, 0o755));
    spec.artifact_files.insert("/usr/local/opt/copy".into(), taken(&digest, 0o755));
    let want = |url: &str| render(&spec).with_pulls([(digest.clone(), url.into())].into());
    let mut link = bed.link().await;
    let error = give(&mut link, &want(&wrong.url()), &supply).await.unwrap_err().to_string();
    assert!(error.contains("has the SHA-256 digest") && error.contains("file /usr/local/opt/copy failed"), "{error}");
    assert!(!inside(&bed, "/usr/local/opt/tool").exists() && list(&bed, &format!("{STORE}/in")).is_empty());
    assert_eq!(give(&mut link, &want(&right.url()), &supply).await.unwrap().changed.len(), 2);
    assert_eq!((right.asked(), supply.asked.load(Ordering::Relaxed)), (1, 0), "downloaded once, nothing was sent");
    assert!(observe(&mut link, &want("http://127.0.0.1:1/")).await.unwrap().drifts.is_empty());

    // A tool that downloads is one of the packages, or is there; else that is said at once.
    for path in ["/usr/bin/curl", "/usr/bin/wget"] {
        std::fs::remove_file(inside(&bed, path)).ok();
    }
    std::fs::remove_file(inside(&bed, "/usr/local/opt/tool")).unwrap();
    let error = give(&mut link, &want(&right.url()), &supply).await.unwrap_err().to_string();
    assert!(error.contains("add curl to packages"), "{error}");
}

#[tokio::test]
async fn whoever_becomes_root_through_sudo_sends_as_root() {
    let Some(bed) = machine() else { return };
    if !Path::new("/usr/bin/sudo").exists() {
        eprintln!("skipped: this test needs sudo");
        return;
    }
    let mut spec = BootstrapSpec::default();
    let user =
        pool_inventory::desired::UserSpec { authorized_keys: vec![bed.key.public()], sudo: true, ..Default::default() };
    spec.users.insert(name("poolops"), user);
    crate::apply::run(&mut bed.link().await, &render(&spec)).await.unwrap();
    open(&bed, "poolops");
    let supply = Folder::new(&bed);
    let digest = supply.add(&noise(100_000));
    let mut spec = BootstrapSpec::default();
    spec.artifact_files.insert("/usr/local/opt/tool".into(), taken(&digest, 0o755));
    let login = pool_bootstrap::ssh::Login { user: "poolops".into(), ..bed.login() };
    let mut link = pool_bootstrap::ssh::connect(&bed.endpoint, &login, crate::bed::QUICK).await.unwrap();
    assert_eq!(give(&mut link, &render(&spec), &supply).await.unwrap().changed.len(), 1);
    assert_eq!(link.sessions(), 3, "facts as the user, the file, the rest as root");
    assert!(inside(&bed, STORE).exists() && inside(&bed, "/usr/local/opt/tool").exists());

    // Without it, what the user may write.
    std::fs::remove_file(inside(&bed, "/etc/sudoers.d/90-pool-poolops")).unwrap();
    let mut spec = BootstrapSpec::default();
    spec.artifact_files.insert("/home/poolops/tool".into(), taken(&digest, 0o755));
    let mut link = pool_bootstrap::ssh::connect(&bed.endpoint, &login, crate::bed::QUICK).await.unwrap();
    assert_eq!(give(&mut link, &render(&spec), &supply).await.unwrap().changed.len(), 1);
    assert_eq!(list(&bed, "/home/poolops/.local/state/pool/artifacts").len(), 2);
    assert!(give(&mut link, &render(&spec), &supply).await.unwrap().changed.is_empty());
}

/// Lets a user whose keys were written by a bootstrap log in to the bed.
fn open(bed: &Bed, user: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::copy(inside(bed, &format!("/home/{user}/.ssh/authorized_keys")), bed.path("authorized")).unwrap();
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(bed.folder.path(), 0o755);
    open(&bed.path("authorized"), 0o644);
}

/// A server of one file.
struct Mirror {
    port: u16,
    asked: std::sync::Arc<AtomicUsize>,
}

impl Mirror {
    fn start(content: Vec<u8>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::sync::Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                count.fetch_add(1, Ordering::Relaxed);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/tool?x=1&y='", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn twenty_hosts_share_one_line() {
    const HOSTS: usize = 20;
    const SIZE: usize = 512 << 10;
    const RATE: u64 = 16 << 20;
    if machine().is_none() {
        return;
    }
    let beds: Vec<Bed> = std::iter::repeat_with(Bed::isolated).take(HOSTS).collect();
    let mut supply = Folder::new(&beds[0]);
    supply.pace = Pace::new(4, Some(RATE));
    let digest = supply.add(&noise(SIZE));
    let mut spec = BootstrapSpec::default();
    spec.artifact_files.insert("/usr/local/opt/tool".into(), taken(&digest, 0o755));
    let want = render(&spec);
    let (sending, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = async |bed: &Bed| {
        let mut link = bed.link().await;
        let mut on = |event| match event {
            ItemEvent::Sending { sent: 0, .. } => {
                most.fetch_max(sending.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            ItemEvent::Sent { .. } => drop(sending.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        };
        let phases = |facts: &Facts| phases::commands(facts, &want);
        apply_with(&mut link, &phases, &supply, &CancellationToken::new(), &mut on).await.unwrap().changed.len()
    };
    let begun = std::time::Instant::now();
    let changed: usize = together(beds.iter().map(one)).await.into_iter().sum();
    let least = (HOSTS * SIZE) as f64 / RATE as f64 - 0.2;
    assert!(begun.elapsed().as_secs_f64() >= least, "{:?} is faster than the line", begun.elapsed());
    assert_eq!((changed, most.into_inner()), (HOSTS, 4));
    for bed in &beds {
        assert_eq!(std::fs::metadata(inside(bed, "/usr/local/opt/tool")).unwrap().len(), SIZE as u64);
    }
}

/// Waits for all of them at once, in one task.
async fn together<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        for (one, done) in all.iter_mut().filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = one.as_mut().poll(cx) {
                *done = Some(value);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}
