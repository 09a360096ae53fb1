//! A folder of its own for each test, a clean set of variables, and output that is the same every time.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// A folder to work in.
pub struct TestContext {
    // Kept for its drop.
    _dir: TempDir,
    root: PathBuf,
    _filters: insta::internals::SettingsBindDropGuard,
}

/// What differs from run to run, and what stands for it.
const FILTERS: [(&str, &str); 15] = [
    (r"10\.190\.\d+\.\d+:\d+", "[ADDRESS]"),
    (r"AAAA[0-9A-Za-z+/]{40,}=*", "[KEY]"),
    (r"(?m)^[0-9a-f]{12}\b", "[ID]"),
    (r"plan [0-9a-f]{6,}\b", "plan [ID]"),
    (r"apply [0-9a-f]{6,}\b", "apply [ID]"),
    (r"show [0-9a-f]{8}\b", "show [ID]"),
    (r"(run|history) [0-9a-f]{4,}\b", "$1 [ID]"),
    (r"until (\d{4}-\d\d-\d\d )?\d\d:\d\d", "until [TIME]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?", "[TIME]"),
    (r"(just now|\d+ s ago)", "[AGO]"),
    (r"\b\d+(\.\d)? (ms|s)\b", "[SPAN]"),
    (r"(\[TIME\]  )(< )?\[SPAN\] +", "$1[SPAN]  "),
    (r"took +exit", "took  exit"),
    (r"[0-9a-f]{32}", "[HEX]"),
    (r"127\.\d+\.\d+\.\d+:\d+", "[LOOPBACK]"),
];

impl TestContext {
    /// An empty folder.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let root = dir.path().canonicalize().expect("it exists");
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(&root.display().to_string().replace('.', r"\."), "[DIR]");
        for (pattern, replacement) in FILTERS {
            settings.add_filter(pattern, replacement);
        }
        Self { _dir: dir, root, _filters: settings.bind_to_scope() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file, and the folders above it.
    pub fn file(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `pool` with these words, ready to be started: nothing of this computer's variables is left.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pool"));
        command.current_dir(&self.root).args(words(line)).stdin(Stdio::null()).env_clear();
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", path).env("HOME", &self.root).env("TZ", "UTC").env("LANG", "C.UTF-8");
        command
    }

    /// Runs `pool` with these words.
    pub fn output(&self, line: &str) -> Output {
        self.command(line).output().expect("the program can be started")
    }

    /// Exit code, standard output and standard error of `pool` with these words.
    pub fn run(&self, line: &str) -> String {
        shown(&self.output(line))
    }

    /// Standard output as JSON, one value per line or one in all, and the exit code.
    pub fn json(&self, line: &str) -> (Vec<serde_json::Value>, i32) {
        let output = self.output(line);
        let text = String::from_utf8(output.stdout).expect("JSON is text");
        let values = serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<Vec<_>, _>>();
        let values = values.unwrap_or_else(|error| panic!("not JSON: {error}\n{text}"));
        (values, output.status.code().unwrap_or(-1))
    }
}

/// One text for exit code and both streams; an empty stream is left out.
pub fn shown(output: &Output) -> String {
    let mut text = format!("exit {}\n", output.status.code().map_or_else(|| "by signal".to_owned(), |c| c.to_string()));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let stream = String::from_utf8_lossy(bytes);
        if !stream.is_empty() {
            let _ = write!(text, "--- {name}\n{stream}");
        }
    }
    text
}

/// Words of a line; `'…'` keeps blanks together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
