//! What holds on one simulated host: a file of JSON lines, of which the last one about an item counts.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// One line of a ledger.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    /// An item was done.
    Done { item: String, digest: String },
    /// A fault struck.
    Struck { fault: String },
}

/// The ledger of one host.
#[derive(Debug)]
pub(super) struct Ledger {
    file: Option<File>,
    path: PathBuf,
    /// Whether the last line was not finished, because its writer was killed.
    torn: bool,
    done: BTreeMap<String, String>,
    struck: BTreeMap<String, u32>,
}

impl Ledger {
    pub(super) fn open(folder: &Path, id: &str) -> io::Result<Self> {
        let path = path(folder, id);
        let mut ledger = Self { file: None, path, torn: false, done: BTreeMap::new(), struck: BTreeMap::new() };
        let mut text = Vec::new();
        match File::open(&ledger.path) {
            Ok(mut file) => file.read_to_end(&mut text).map(drop)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        ledger.torn = text.last().is_some_and(|last| *last != b'\n');
        // A line that cannot be read was torn when its writer was killed: its item was not done.
        for entry in text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()) {
            ledger.take(entry);
        }
        Ok(ledger)
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Done { item, digest } => drop(self.done.insert(item, digest)),
            Entry::Struck { fault } => *self.struck.entry(fault).or_default() += 1,
        }
    }

    /// The digest with which an item was done.
    pub(super) fn holds(&self, item: &str) -> Option<&str> {
        self.done.get(item).map(String::as_str)
    }

    pub(super) fn record(&mut self, item: &str, digest: &str) -> io::Result<()> {
        self.append(Entry::Done { item: item.into(), digest: digest.into() })
    }

    /// How often a fault struck.
    pub(super) fn struck(&self, fault: String) -> u32 {
        self.struck.get(&fault).copied().unwrap_or(0)
    }

    pub(super) fn strike(&mut self, fault: String) -> io::Result<()> {
        self.append(Entry::Struck { fault })
    }

    /// One write per line, to the end of the file: lines of two writers never mix.
    fn append(&mut self, entry: Entry) -> io::Result<()> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            self.file = Some(OpenOptions::new().append(true).create(true).open(&self.path)?);
        }
        let start = if std::mem::take(&mut self.torn) { "\n" } else { "" };
        let line = format!("{start}{}\n", serde_json::to_string(&entry)?);
        if let Some(file) = &mut self.file {
            file.write_all(line.as_bytes())?;
        }
        self.take(entry);
        Ok(())
    }
}

/// Forgets everything that was done on a host: it was deleted, or got a new system.
pub fn forget(folder: &Path, id: &str) -> io::Result<()> {
    match std::fs::remove_file(path(folder, id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Ids come from a ledger that people may edit; only a plain name becomes a file.
fn path(folder: &Path, id: &str) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let name: String = id.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    folder.join(format!("{name}.jsonl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_there_for_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), "h1").unwrap();
        ledger.record("file /a", "1").unwrap();
        ledger.record("file /a", "2").unwrap();
        ledger.strike("f".into()).unwrap();
        let again = Ledger::open(folder.path(), "h1").unwrap();
        assert_eq!(again.holds("file /a"), Some("2"));
        assert_eq!(again.struck("f".into()), 1);
        assert_eq!(Ledger::open(folder.path(), "h2").unwrap().holds("file /a"), None);
        forget(folder.path(), "h1").unwrap();
        forget(folder.path(), "h1").unwrap();
        assert_eq!(Ledger::open(folder.path(), "h1").unwrap().holds("file /a"), None);
    }

    #[test]
    fn a_torn_last_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        Ledger::open(folder.path(), "h").unwrap().record("a", "1").unwrap();
        let mut file = OpenOptions::new().append(true).open(path(folder.path(), "h")).unwrap();
        file.write_all(b"{\"done\":{\"item\":\"b\",\"dig").unwrap();
        let mut ledger = Ledger::open(folder.path(), "h").unwrap();
        assert_eq!((ledger.holds("a"), ledger.holds("b")), (Some("1"), None));
        ledger.record("b", "2").unwrap();
        let again = Ledger::open(folder.path(), "h").unwrap();
        assert_eq!((again.holds("a"), again.holds("b")), (Some("1"), Some("2")));
    }

    #[test]
    fn an_id_never_leads_out_of_the_folder() {
        assert_eq!(path(Path::new("/x"), "../../etc/passwd"), Path::new("/x/______etc_passwd.jsonl"));
    }
}
