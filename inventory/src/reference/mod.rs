//! The reference of the file format, `docs/inventory.md`; generated from the table of keys that also checks the files.

use std::fmt::Write;

use crate::{
    files, load,
    load::{
        keys::{MAX_ENTRIES, MAX_HOSTS, MAX_LIST, ROOT},
        shape::{KeyShape, Section, Shape},
        takes_environments,
    },
    yaml,
};

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = Reference { text: include_str!("intro.md").to_owned(), done: Vec::new() };
    out.limits();
    out.section("pool.yaml", &ROOT, false);
    out.text
}

struct Reference {
    text: String,
    /// Sections that stand there already, by address: some are used in several places.
    done: Vec<(*const Section, String)>,
}

impl Reference {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn limits(&mut self) {
        let most = |name: &str| MAX_ENTRIES.iter().find(|(known, _)| *known == name).map_or(0, |(_, most)| *most);
        let rows = [
            ("bytes of one file", format!("{} MiB", yaml::MAX_FILE >> 20)),
            ("maps, lists, keys and values of all files", yaml::MAX_NODES.to_string()),
            ("levels", yaml::MAX_DEPTH.to_string()),
            ("files", files::MAX_FILES.to_string()),
            ("hosts of a pool", MAX_HOSTS.to_string()),
            ("items of a list", MAX_LIST.to_string()),
            ("providers, backends, tiers (each)", most("providers").to_string()),
            ("variables, images (each)", most("variables").to_string()),
            ("bytes of one template or source", format!("{} MiB", load::MAX_TEXT >> 20)),
        ];
        self.line("| of | at most |\n|---|---|");
        for (what, most) in rows {
            self.line(&format!("| {what} | {most} |"));
        }
        self.line("\n## Keys\n\nKeys in **bold** must be given.");
    }

    fn section(&mut self, path: &str, section: &'static Section, environments: bool) {
        if self.done.iter().any(|(known, _)| std::ptr::eq(*known, section)) {
            return;
        }
        self.done.push((section, path.to_owned()));
        self.line(&format!("\n### `{path}`\n\n{}\n", section.doc));
        self.line("| key | value | what |\n|---|---|---|");
        for key in section.keys {
            let name = if key.required { format!("**`{}`**", key.name) } else { format!("`{}`", key.name) };
            let shape = self.describe(&key.shape);
            self.line(&format!("| {name} | {shape} | {} |", escape(key.doc)));
        }
        if environments {
            self.line(&format!("| `in` | list of names | {} |", load::keys::IN_DOC));
        }
        if !section.one_of.is_empty() {
            self.line(&format!("\nExactly one of {} must be given.", code(section.one_of)));
        }
        if !section.later.is_empty() {
            self.line(&format!("\nNot carried out yet, and refused: {}.", code(section.later)));
        }
        let root = path == "pool.yaml";
        for key in section.keys {
            let below = if root { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            self.below(&below, &key.shape, root && takes_environments(key.name));
        }
    }

    fn below(&mut self, path: &str, shape: &Shape, environments: bool) {
        match shape {
            Shape::Section(section) => self.section(path, section, environments),
            Shape::Map(_, value) => self.below(&format!("{path}.NAME"), value, environments),
            Shape::List(item) => self.below(&format!("{path}[]"), item, false),
            Shape::Either(_, map, section) => {
                self.section(&format!("{path} (a range)"), section, false);
                self.below(path, map, environments);
            }
            Shape::Or(_, section) => self.section(path, section, false),
            Shape::Tagged { sections, .. } => {
                for (word, section) in *sections {
                    self.section(&format!("{path} (type: {word})"), section, environments);
                }
            }
            _ => {}
        }
    }

    fn describe(&self, shape: &Shape) -> String {
        match shape {
            Shape::Bool => "`true`, `false`".into(),
            Shape::Int(low, high) if low == high => format!("{low}"),
            Shape::Int(low, high) if *high >= u64::from(u32::MAX) => format!("number from {low}"),
            Shape::Int(low, high) => format!("number, {low} to {high}"),
            Shape::Text => "text".into(),
            Shape::Name => "name".into(),
            Shape::Bytes => "size".into(),
            Shape::Rate => "size per second".into(),
            Shape::Time => "time span".into(),
            Shape::Percent => "share".into(),
            Shape::Mode => "file mode".into(),
            Shape::Hourly => "money per hour".into(),
            Shape::Monthly => "money per month".into(),
            Shape::Cidr => "address range".into(),
            Shape::Ip => "IP address".into(),
            Shape::Path => "absolute path".into(),
            Shape::Sha256 => "SHA-256 in hex".into(),
            Shape::Scalar => "text, number or truth value".into(),
            Shape::Address => "address".into(),
            Shape::Word { words, .. } => code(words),
            Shape::Section(section) => match self.done.iter().find(|(known, _)| std::ptr::eq(*known, *section)) {
                Some((_, path)) => format!("map, as `{path}`"),
                None => "map, see below".into(),
            },
            Shape::Map(keys, value) => format!("map: {} → {}", key(*keys), self.describe(value)),
            Shape::List(item) => format!("list: {}", self.describe(item)),
            Shape::Either(scalar, map, section) => {
                let keys: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
                format!("{}; or map with {}; or {}", self.describe(scalar), code(&keys), self.describe(map))
            }
            Shape::Or(scalar, _) => format!("{}; or map, see below", self.describe(scalar)),
            Shape::Tagged { sections, .. } => {
                let words: Vec<&str> = sections.iter().map(|(word, _)| *word).collect();
                format!("map with `type` {}, see below", code(&words))
            }
        }
    }
}

fn key(of: KeyShape) -> &'static str {
    match of {
        KeyShape::Name | KeyShape::Variable => "name",
        KeyShape::Path => "absolute path",
        KeyShape::Text => "text",
        KeyShape::Address => "address",
    }
}

fn code(words: &[&str]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let _ = write!(text, "{}`{word}`", if index > 0 { ", " } else { "" });
    }
    text
}

/// A `|` would end the cell.
fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace("[REGION", "\\[REGION").replace("[USER", "\\[USER")
}
