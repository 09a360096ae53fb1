//! A server on loopback that replays recorded answers.

#![allow(dead_code, reason = "what tests of one kind do not need, others do")]
//!
//! ```ignore
//! let cloud = Cloud::start().await;                              // knows the log-in and the version documents
//! cloud.on("GET /compute/v2.1/servers/*", "compute/no-server");  // a fixture: its status, headers and body
//! cloud.answer("POST /network/v2.0/ports", 201, json!({ … }));   // an answer that the test makes up from others
//! let provider = cloud.provider();
//! assert_eq!(cloud.seen("POST /network/v2.0/ports").len(), 1);
//! ```
//!
//! A pattern is `METHOD /SERVICE/PATH?QUERY`: a `*` stands for one segment, and the pairs of its query must be among
//! those of the request, `a=*` with any value. The rule that was added last wins; `once` is used up by one request.
//! What no rule matches is answered by the fixture whose recorded request is the same, or with 501.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use pool_inventory::{Name, desired::OpenStackSpec};
use pool_providers::openstack::{OpenStackProvider, Places};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

struct Rule {
    pattern: String,
    /// Text that the body must have.
    body: String,
    answer: Answer,
    once: bool,
}

#[derive(Default)]
struct Inner {
    rules: Vec<Rule>,
    recorded: BTreeMap<String, Answer>,
    seen: Vec<Seen>,
    tokens: usize,
}

/// The server; it ends with the test.
pub struct Cloud {
    pub url: String,
    pub folder: tempfile::TempDir,
    inner: Arc<Mutex<Inner>>,
}

impl Cloud {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner { recorded: recorded(), ..Inner::default() }));
        let (state, base) = (inner.clone(), url.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, state.clone(), base.clone()));
            }
        });
        let cloud = Self { url, folder: tempfile::tempdir().unwrap(), inner };
        cloud.on("POST /identity/v3/auth/tokens", "identity/token");
        cloud
    }

    fn add(&self, pattern: &str, body: &str, answer: Answer, once: bool) {
        self.inner.lock().unwrap().rules.push(Rule { pattern: pattern.into(), body: body.into(), answer, once });
    }

    /// Answers with a fixture from now on.
    pub fn on(&self, pattern: &str, fixture: &str) {
        self.add(pattern, "", load(fixture), false);
    }

    /// Answers the next such request with a fixture; of several, the one that was added last comes first.
    pub fn once(&self, pattern: &str, fixture: &str) {
        self.add(pattern, "", load(fixture), true);
    }

    /// Answers with a fixture when the body has a text in it.
    pub fn on_body(&self, pattern: &str, body: &str, fixture: &str) {
        self.add(pattern, body, load(fixture), false);
    }

    /// Answers with what the test says.
    pub fn answer(&self, pattern: &str, status: u16, body: Value) {
        self.add(pattern, "", Answer { status, headers: BTreeMap::new(), body }, false);
    }

    /// As [`Cloud::answer`], for the next such request only.
    pub fn answer_once(&self, pattern: &str, status: u16, headers: &[(&str, &str)], body: Value) {
        let headers = headers.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        self.add(pattern, "", Answer { status, headers, body }, true);
    }

    /// Requests that match, in the order in which they came.
    pub fn seen(&self, pattern: &str) -> Vec<Seen> {
        let inner = self.inner.lock().unwrap();
        inner.seen.iter().filter(|seen| matches(pattern, seen)).cloned().collect()
    }

    /// Every request so far, as `METHOD PATH`.
    pub fn log(&self) -> Vec<String> {
        self.inner.lock().unwrap().seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    /// Where its account keeps things.
    pub fn places(&self) -> Places {
        Places { cache: self.folder.path().join("cache.json"), seed: self.folder.path().join("seed"), host_keys: None }
    }

    /// A provider with the log-in of the recorded project.
    pub fn provider(&self) -> OpenStackProvider {
        self.provider_of(OpenStackSpec::default())
    }

    pub fn provider_of(&self, spec: OpenStackSpec) -> OpenStackProvider {
        let url = format!("{}/identity/v3", self.url);
        let variables = move |name: &str| match name {
            "OS_AUTH_URL" => Some(url.clone()),
            "OS_USERNAME" | "OS_PROJECT_NAME" => Some("demo".into()),
            "OS_PASSWORD" => Some("hunter2".into()),
            _ => None,
        };
        OpenStackProvider::open_with(Name::new("private").unwrap(), spec, self.places(), &variables).unwrap()
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openstack/fixtures")
}

/// A fixture's answer.
pub fn load(name: &str) -> Answer {
    let path = fixtures().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text).1
}

/// The body of a fixture.
pub fn body(name: &str) -> Value {
    load(name).body
}

fn parse(text: &str) -> (String, Answer) {
    let fixture: Value = serde_json::from_str(text).unwrap();
    let headers = fixture["headers"].as_object().into_iter().flatten();
    let headers = headers.filter(|(key, _)| *key != "content-type");
    let headers = headers.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    let status = fixture["status"].as_u64().unwrap() as u16;
    (fixture["request"].as_str().unwrap().to_owned(), Answer { status, headers, body: fixture["body"].clone() })
}

/// Answers to GET, by the request as it was recorded.
fn recorded() -> BTreeMap<String, Answer> {
    let mut out = BTreeMap::new();
    for folder in fs::read_dir(fixtures()).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let (request, answer) = parse(&fs::read_to_string(file.unwrap().path()).unwrap());
            if request.starts_with("GET") && answer.status == 200 {
                out.insert(canonical(&request), answer);
            }
        }
    }
    out
}

/// A request line with its query decoded and in order.
fn canonical(line: &str) -> String {
    let (path, query) = line.split_once('?').unwrap_or((line, ""));
    let mut pairs = pairs(query);
    pairs.sort();
    format!("{path} {pairs:?}")
}

fn pairs(query: &str) -> Vec<(String, String)> {
    reqwest::Url::parse(&format!("http://x/?{query}")).unwrap().query_pairs().into_owned().collect()
}

fn matches(pattern: &str, seen: &Seen) -> bool {
    let (line, query) = pattern.split_once('?').unwrap_or((pattern, ""));
    let (method, path) = line.split_once(' ').unwrap();
    let (wanted, had): (Vec<_>, Vec<_>) = (path.split('/').collect(), seen.path.split('/').collect());
    let same = |(wanted, had): (&&str, &&str)| *wanted == "*" || wanted == had;
    method == seen.method
        && wanted.len() == had.len()
        && wanted.iter().zip(&had).all(same)
        && pairs(query)
            .iter()
            .all(|(key, value)| seen.query.iter().any(|(k, v)| k == key && (value == "*" || v == value)))
}

impl Inner {
    fn answer(&mut self, seen: &Seen) -> Answer {
        let fits = |rule: &Rule| matches(&rule.pattern, seen) && seen.body.to_string().contains(&rule.body);
        if let Some(at) = self.rules.iter().rposition(fits) {
            let answer = self.rules[at].answer.clone();
            if self.rules[at].once {
                self.rules.remove(at);
            }
            return answer;
        }
        let query: Vec<_> = seen.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let line = format!("{} {}?{}", seen.method, seen.path, query.join("&"));
        let missing = json!({ "error": { "message": format!("no answer was recorded for {line}") } });
        let missing = Answer { status: 501, headers: BTreeMap::new(), body: missing };
        self.recorded.get(&canonical(&line)).cloned().unwrap_or(missing)
    }
}

async fn serve(stream: TcpStream, inner: Arc<Mutex<Inner>>, base: String) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read(&mut stream).await {
        let mut answer = {
            let mut inner = inner.lock().unwrap();
            let mut answer = inner.answer(&seen);
            if seen.path.ends_with("/auth/tokens") && answer.status == 201 {
                inner.tokens += 1;
                answer.headers.insert("x-subject-token".into(), format!("token-{}", inner.tokens));
            }
            inner.seen.push(seen);
            answer
        };
        let mut text = match answer.body.take() {
            Value::Null => String::new(),
            Value::String(text) => text,
            body => body.to_string(),
        };
        for service in ["compute", "network", "block-storage", "image", "identity", "baremetal", "placement"] {
            text = text.replace(&format!("{{{service}}}"), &format!("{base}/{service}"));
        }
        let mut head = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", answer.status, text.len());
        for (key, value) in &answer.headers {
            head.push_str(&format!("{key}: {value}\r\n"));
        }
        let whole = format!("{head}\r\n{text}");
        if answer.status == 0 || stream.write_all(whole.as_bytes()).await.is_err() {
            return; // 0 cuts the connection: the request came, its answer is lost.
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((key, value)) = header.trim().split_once(':') else { break };
        headers.insert(key.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Seen { method, path: path.to_owned(), query: pairs(query), headers, body })
}
