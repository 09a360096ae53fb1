//! Colours. Meaning never hangs on a colour alone.

use anstyle::{AnsiColor, Style};

/// `error:`
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// `warning:`
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// `hint:`
pub const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Headings and sums.
pub const BOLD: Style = Style::new().bold();
/// What is there for completeness.
pub const DIM: Style = Style::new().dimmed();
/// Something new, something that went well.
pub const ADD: Style = AnsiColor::Green.on_default();
/// Something that changes.
pub const CHANGE: Style = AnsiColor::Yellow.on_default();
/// Something that goes, something that failed.
pub const REMOVE: Style = AnsiColor::Red.on_default();
/// Something that is replaced.
pub const REPLACE: Style = AnsiColor::Magenta.on_default();
/// Something that is done on a host.
pub const BOOTSTRAP: Style = AnsiColor::Cyan.on_default();

/// `text` in `style`; nothing for no text.
pub fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}
