//! Columns.

use std::fmt::Write as _;

use super::style::{DIM, paint};

/// A table with a heading. Cells may carry colours; widths count what is seen.
pub struct Table {
    heading: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A heading that starts with `>` makes its column flush right.
    pub fn new(heading: &[&'static str]) -> Self {
        Self {
            heading: heading.iter().map(|text| text.trim_start_matches('>')).collect(),
            right: heading.iter().map(|text| text.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub fn row<I: IntoIterator<Item = S>, S: Into<String>>(&mut self, cells: I) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As text, one line per row.
    pub fn render(&self) -> String {
        let columns = self.heading.len();
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
            cells.chain([width(self.heading[column])]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let mut text = String::new();
        let heading: Vec<String> = self.heading.iter().map(|cell| paint(DIM, cell)).collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate().take(columns) {
                let fill = " ".repeat(widths[column] - width(cell));
                let _ =
                    if self.right[column] { write!(line, "{fill}{cell}  ") } else { write!(line, "{cell}{fill}  ") };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

/// How many columns `text` takes on a terminal, colours aside.
pub fn width(text: &str) -> usize {
    if text.contains('\u{1b}') {
        return anstream::adapter::strip_str(text).map(|part| part.chars().count()).sum();
    }
    text.chars().count()
}

/// `text`, filled up with blanks to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `1 host`, `2 hosts`
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// At most `columns` of `text`, on one line.
pub fn clip(text: &str, columns: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= columns {
        return line;
    }
    let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::style;

    #[test]
    fn columns_line_up_whatever_the_colours() {
        let mut table = Table::new(&["name", ">hosts", "note"]);
        table.row(["web", "2", "fine"]);
        table.row([paint(style::ADD, "database"), "14".to_owned()]);
        let text = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(text, "name      hosts  note\nweb           2  fine\ndatabase     14\n");
    }

    #[test]
    fn long_text_is_clipped_and_kept_on_its_line() {
        assert_eq!(clip("one\ntwo", 10), "one two");
        assert_eq!(clip("abcdefghij", 5), "abcd…");
        assert_eq!((count(1, "host"), count(3, "host")), ("1 host".to_owned(), "3 hosts".to_owned()));
    }
}
