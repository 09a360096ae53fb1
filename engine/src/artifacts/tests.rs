//! Fetching from a little server on loopback.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

use pool_inventory::desired::ArtifactBuild;

use super::*;

const CONTENT: &[u8] = b"what was meant";

/// A server that gives the nth request, from 0, what `answer` says: all bytes of the response.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                lines.find(String::is_empty);
                let path = first.split(' ').nth(1).unwrap_or_default();
                // A client that has heard enough hangs up.
                let _ = (&stream).write_all(&answer(count.fetch_add(1, Ordering::Relaxed), path));
            }
        });
        Self { port, asked }
    }

    fn url(&self, path: &str) -> Text {
        format!("http://127.0.0.1:{}{path}", self.port).into()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn ok(length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

fn sha256(content: &[u8]) -> Text {
    hex(aws_lc_rs::digest::digest(&SHA256, content).as_ref()).into()
}

fn tool() -> Name {
    Name::new("tool").expect("a name")
}

fn artifacts(folder: &Path, source: ArtifactSource) -> Artifacts {
    let build = ArtifactBuild { arch: None, sha256: sha256(CONTENT), source, pull: None };
    let declared = [(tool(), ArtifactSpec { builds: vec![build] })].into();
    Artifacts::new(folder.to_owned(), folder.join("cache"), declared, Pace::default())
}

async fn get(artifacts: &Artifacts) -> Result<PathBuf, String> {
    artifacts.file(&tool(), &sha256(CONTENT), &|_, _| ()).await.map_err(|error| error.to_string())
}

/// What lies in the cache.
fn kept(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("cache")).map(|all| all.flatten().collect::<Vec<_>>());
    entries.unwrap_or_default().iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn it_is_fetched_once_whoever_asks_and_not_again_by_the_next_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|n, _| if n == 0 { status("503 Busy") } else { ok(CONTENT.len(), CONTENT) });
    let run = artifacts(folder.path(), ArtifactSource::Url(server.url("/tool")));
    let all = futures_util::future::join_all((0..20).map(|_| get(&run))).await;
    let paths: std::collections::BTreeSet<_> = all.into_iter().map(|path| path.expect("it is there")).collect();
    assert_eq!((paths.len(), server.asked()), (1, 2), "a failure that may pass is tried again");
    assert_eq!(kept(folder.path()), [sha256(CONTENT).to_string()]);

    let run = artifacts(folder.path(), ArtifactSource::Url(server.url("/tool")));
    let path = get(&run).await.expect("from the cache");
    assert_eq!((std::fs::read(&path).expect("read").as_slice(), server.asked()), (CONTENT, 2));

    // What was changed behind our back is fetched again.
    std::fs::write(&path, "what was NOT meant").expect("written");
    let run = artifacts(folder.path(), ArtifactSource::Url(server.url("/tool")));
    assert_eq!(std::fs::read(get(&run).await.expect("fetched")).expect("read"), CONTENT);
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn what_is_wrong_or_short_or_not_there_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let fetch = async |server: &Server| {
        let run = artifacts(folder.path(), ArtifactSource::Url(server.url("/tool")));
        let all = futures_util::future::join_all((0..3).map(|_| get(&run))).await;
        assert!(all.iter().all(|one| *one == all[0]), "one answer for all: {all:?}");
        assert_eq!(kept(folder.path()), [""; 0]);
        all[0].clone().expect_err("it must fail")
    };
    let tampered = Server::start(|_, _| ok(18, b"what was NOT meant"));
    let error = fetch(&tampered).await;
    let found = sha256(b"what was NOT meant");
    let says = format!("it has the SHA-256 digest {found}, the inventory says {}", sha256(CONTENT));
    assert!(error.ends_with(&says) && error.contains(&*tampered.url("/tool")), "{error}");
    assert_eq!(tampered.asked(), 1, "it would say the same again");

    let short = Server::start(|_, _| ok(CONTENT.len(), &CONTENT[..5]));
    let error = fetch(&short).await;
    assert!(error.contains("end of file before message length reached"), "{error}");
    assert_eq!(short.asked(), 3);

    let missing = Server::start(|_, _| status("404 Not Found"));
    assert!(fetch(&missing).await.ends_with("the server answers 404 Not Found"));
    assert_eq!(missing.asked(), 1);

    let endless = Server::start(|_, _| ok(1 << 40, b""));
    assert!(fetch(&endless).await.ends_with("it is larger than 64 GiB"));

    let circle = Server::start(|_, path| {
        format!("HTTP/1.1 302 Found\r\nLocation: {path}x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into()
    });
    let error = fetch(&circle).await;
    assert!(error.contains("the server redirects too often"), "{error}");
    assert_eq!(circle.asked(), 6);
}

#[tokio::test]
async fn a_redirect_is_followed_and_nobody_listens_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, path| match path {
        "/tool" => b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        _ => ok(CONTENT.len(), CONTENT),
    });
    get(&artifacts(folder.path(), ArtifactSource::Url(server.url("/tool")))).await.expect("fetched");
    std::fs::remove_dir_all(folder.path().join("cache")).expect("removed");
    let error = get(&artifacts(folder.path(), ArtifactSource::Url("http://127.0.0.1:1/x".into()))).await;
    let error = error.expect_err("nothing listens there");
    assert!(error.starts_with("failed to fetch http://127.0.0.1:1/x: ") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_file_of_the_inventory_is_taken_as_it_lies_if_it_is_the_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tool");
    std::fs::write(&path, CONTENT).expect("written");
    let source = || ArtifactSource::Path("tool".into());
    assert_eq!(get(&artifacts(folder.path(), source())).await.expect("there"), path);
    std::fs::write(&path, "another").expect("written");
    let error = get(&artifacts(folder.path(), source())).await.expect_err("it is another");
    assert!(error.starts_with("tool has the SHA-256 digest "), "{error}");
    std::fs::remove_file(&path).expect("removed");
    assert!(get(&artifacts(folder.path(), source())).await.expect_err("gone").contains("No such file"));
}

#[tokio::test]
async fn what_a_killed_process_left_behind_is_removed_a_day_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    std::fs::create_dir(&cache).expect("made");
    for (name, age) in [(".old", 25), (".new", 1)] {
        let file = std::fs::File::create(cache.join(name)).expect("made");
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(age * 3600);
        file.set_modified(at).expect("set");
    }
    let server = Server::start(|_, _| ok(CONTENT.len(), CONTENT));
    get(&artifacts(folder.path(), ArtifactSource::Url(server.url("/tool")))).await.expect("fetched");
    let mut names = kept(folder.path());
    names.sort();
    assert_eq!(names, [".new".to_owned(), sha256(CONTENT).to_string()]);
}
