//! The one place that writes. Standard output is data, standard error is talk.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{self, IsTerminal, Write},
};

use anstream::{AutoStream, ColorChoice};
use pool_inventory::Diagnostics;
use serde::Serialize;
use serde_json::json;

use crate::{args::Global, error::CliError, error::ExitCode};

/// Version of the JSON that commands print.
pub const JSON_VERSION: u32 = 1;

/// Where JSON goes.
enum Json {
    Off,
    Stdout,
    File(RefCell<File>),
}

/// The terminal, or what stands in its place.
pub struct Ui {
    quiet: bool,
    verbose: bool,
    ask: bool,
    colour: ColorChoice,
    json: Json,
    broken: Cell<bool>,
    failure: RefCell<Option<io::Error>>,
}

impl Ui {
    /// For messages about a command line that could not be read.
    pub fn plain(no_color: bool, json: bool) -> Self {
        Self {
            quiet: false,
            verbose: false,
            ask: false,
            colour: if no_color { ColorChoice::Never } else { ColorChoice::Auto },
            json: if json { Json::Stdout } else { Json::Off },
            broken: Cell::new(false),
            failure: RefCell::new(None),
        }
    }

    /// As the flags say.
    pub fn new(flags: &Global) -> Result<Self, CliError> {
        let json = match &flags.json_into {
            Some(path) => Json::File(RefCell::new(File::create(path).map_err(|error| {
                CliError::new(ExitCode::Failed, format!("cannot write {}", path.display())).cause(error)
            })?)),
            None if flags.json => Json::Stdout,
            None => Json::Off,
        };
        let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        let ask = terminal && flags.input != Some(false) && !flags.json;
        Ok(Self { quiet: flags.quiet, verbose: flags.verbose, ask, json, ..Self::plain(flags.no_color, false) })
    }

    /// Whether more detail was asked for.
    pub fn verbose(&self) -> bool {
        self.verbose
    }

    /// Whether progress may be drawn in place.
    pub fn animated(&self) -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        io::stderr().is_terminal() && !dumb && !self.quiet && !matches!(self.json, Json::Stdout)
    }

    /// Whether anyone reads JSON.
    pub fn wants_json(&self) -> bool {
        !matches!(self.json, Json::Off)
    }

    /// Whether anyone reads text on standard output.
    pub fn wants_text(&self) -> bool {
        !matches!(self.json, Json::Stdout)
    }

    /// Whether standard error shows colours.
    pub fn coloured_talk(&self) -> bool {
        match self.colour {
            ColorChoice::Auto => AutoStream::choice(&io::stderr()) != ColorChoice::Never,
            choice => choice != ColorChoice::Never,
        }
    }

    /// Data for people, on standard output; nothing when JSON goes there.
    pub fn data(&self, text: &str) {
        if self.wants_text() {
            self.raw(text);
        }
    }

    /// Data as it is, on standard output, whatever the flags say: scripts, schemas, the state.
    pub fn raw(&self, text: &str) {
        self.put(&mut AutoStream::new(io::stdout().lock(), self.choice(&io::stdout())), text);
    }

    /// Whether anyone reads talk.
    pub fn talks(&self) -> bool {
        !self.quiet
    }

    /// Talk: progress and hints. `-q` hides it.
    pub fn talk(&self, text: &str) {
        if self.talks() {
            self.say(text);
        }
    }

    /// Talk that nothing hides: errors, questions.
    pub fn say(&self, text: &str) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.choice(&io::stderr()));
        // Nothing can be told about a standard error that is gone.
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }

    /// What an inventory says that is allowed and probably not meant.
    pub fn warnings(&self, warnings: &Diagnostics) {
        if !warnings.is_empty() {
            self.talk(&warnings.render_warnings(self.coloured_talk()));
        }
    }

    /// One line of JSON in a stream of events.
    pub fn event<T: Serialize>(&self, event: &T) {
        if self.wants_json() {
            self.json_text(&format!("{}\n", to_json(event)));
        }
    }

    /// The first line of a stream of events.
    pub fn events_begin(&self, command: &str) {
        self.event(&json!({ "event": "schema", "version": JSON_VERSION, "command": command, "pool": env!("CARGO_PKG_VERSION") }));
    }

    /// A command's answer: as a JSON document, as text, or both.
    pub fn answer<T: Serialize>(&self, command: &str, code: ExitCode, result: &T, text: impl FnOnce() -> String) {
        if self.wants_json() {
            let document =
                json!({ "version": JSON_VERSION, "command": command, "exit_code": code.code(), "result": result });
            self.json_text(&format!("{document:#}\n"));
        }
        if self.wants_text() {
            self.raw(&text());
        }
    }

    /// JSON as it is.
    pub fn json_text(&self, text: &str) {
        match &self.json {
            Json::Off => {}
            Json::Stdout => self.put(&mut io::stdout().lock(), text),
            Json::File(file) => self.put(&mut *file.borrow_mut(), text),
        }
    }

    /// Asks for a word; `None` where nobody can be asked.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !self.ask {
            return None;
        }
        self.say(question);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).ok()?;
        Some(answer.trim().to_owned())
    }

    /// What went wrong when writing results, if anything did. A reader that went away is no failure.
    pub fn finish(&self) -> Option<io::Error> {
        self.failure.take()
    }

    fn choice<S: anstream::stream::RawStream>(&self, stream: &S) -> ColorChoice {
        if self.colour == ColorChoice::Auto { AutoStream::choice(stream) } else { self.colour }
    }

    fn put(&self, stream: &mut dyn Write, text: &str) {
        if self.broken.get() {
            return;
        }
        if let Err(error) = stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
            self.broken.set(true);
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.failure.replace(Some(error));
            }
        }
    }
}

/// Compact JSON of something that has only text keys.
pub fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("everything that is printed has text keys and finite numbers")
}
