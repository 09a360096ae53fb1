//! Errors and exit codes as users see them.

use std::fmt::Write as _;

use pool_engine::ops::OpsError;
use serde_json::{Value, json};

use crate::{
    render::{style, when::Clock},
    ui::Ui,
};

/// What `pool` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Done, or nothing to do.
    Done,
    /// Failed, nothing was changed.
    Failed,
    /// Changes pending.
    Pending,
    /// Credentials refused.
    Unauthorized,
    /// The only failures are unreachable hosts.
    Unreachable,
    /// Refused by policy, quota, placement or pre-flight.
    Refused,
    /// Lease held by someone else.
    LeaseHeld,
    /// Plan unusable.
    PlanUnusable,
    /// Partly applied.
    Partly,
    /// Approval or a terminal needed.
    Approval,
    /// Usage or invalid inventory.
    Usage,
    /// Interrupted.
    Interrupted,
    /// What the other side of `pool ssh` ended with.
    Session(u8),
}

impl ExitCode {
    /// All, in order, with what they mean.
    pub const ALL: [(ExitCode, &'static str); 12] = [
        (ExitCode::Done, "done, or nothing to do"),
        (ExitCode::Failed, "failed, nothing was changed"),
        (ExitCode::Pending, "changes pending (only with `plan --detailed-exitcode`)"),
        (ExitCode::Unauthorized, "credentials refused"),
        (ExitCode::Unreachable, "the only failures are unreachable hosts"),
        (
            ExitCode::Refused,
            "refused by policy, quota, placement or pre-flight; a plan with items that cannot be\nplaced is saved all the same and applies with --partial",
        ),
        (ExitCode::LeaseHeld, "the lease is held by someone else"),
        (ExitCode::PlanUnusable, "the plan is stale, expired, tampered with or used"),
        (ExitCode::Partly, "partly applied; the rest is recorded and can go on with `pool apply`"),
        (ExitCode::Approval, "approval or a terminal needed; the message has the command to run"),
        (ExitCode::Usage, "usage, or an invalid inventory"),
        (ExitCode::Interrupted, "interrupted; everything is journalled"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::Failed => 1,
            ExitCode::Pending => 2,
            ExitCode::Unauthorized => 3,
            ExitCode::Unreachable => 4,
            ExitCode::Refused => 5,
            ExitCode::LeaseHeld => 6,
            ExitCode::PlanUnusable => 7,
            ExitCode::Partly => 8,
            ExitCode::Approval => 9,
            ExitCode::Usage => 64,
            ExitCode::Interrupted => 130,
            ExitCode::Session(status) => status,
        }
    }

    /// The code of a number that an operation ended with; unknown numbers are plain failures.
    pub fn from_number(number: u8) -> Self {
        Self::ALL.iter().map(|(code, _)| *code).find(|code| code.code() == number).unwrap_or(ExitCode::Failed)
    }
}

/// An error as users see it: what, why, what to do, and what to exit with.
#[derive(Debug)]
pub struct CliError {
    /// What to exit with.
    pub code: ExitCode,
    body: Box<Body>,
}

/// The words of an error; boxed, because results with errors are passed around a lot.
#[derive(Debug, Default)]
struct Body {
    /// What, and where; one line.
    message: String,
    /// Why, outermost first.
    causes: Vec<String>,
    /// What to do.
    hint: Option<String>,
    /// Rendered by the inventory's reader: plain and coloured; stands in place of message and causes.
    rendered: Option<[String; 2]>,
    /// More, as data.
    details: Option<Value>,
}

impl CliError {
    /// An error without causes.
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, body: Box::new(Body { message: message.into(), ..Body::default() }) }
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// Adds why, with its own causes.
    pub fn cause(mut self, error: impl std::error::Error) -> Self {
        self.body.causes.push(error.to_string());
        self.sources(&error);
        self
    }

    /// Adds the causes of an error whose own words are the message.
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        self.sources(error);
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    fn sources(&mut self, error: &dyn std::error::Error) {
        let mut source = error.source();
        while let Some(error) = source {
            self.body.causes.push(error.to_string());
            source = error.source();
        }
    }

    /// On one line.
    pub fn line(&self) -> String {
        let parts = std::iter::once(&self.body.message).chain(&self.body.causes);
        parts.map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join(": ")
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let mut value = json!({ "message": self.body.message, "causes": self.body.causes, "hint": self.body.hint });
        if let (Some(details), Some(map)) = (&self.body.details, value.as_object_mut()) {
            map.insert("details".to_owned(), details.clone());
        }
        value
    }

    /// As text, with colours.
    pub fn render(&self, coloured: bool) -> String {
        let mut text = match &self.body.rendered {
            Some([plain, colours]) => {
                let chosen = if coloured { colours } else { plain };
                format!("{}\n", chosen.trim_end())
            }
            None => format!("{}error:{} {}\n", style::ERROR, style::ERROR.render_reset(), indented(&self.body.message)),
        };
        for cause in &self.body.causes {
            let _ = writeln!(text, "  because: {}", indented(cause));
        }
        if let Some(hint) = &self.body.hint {
            let _ = writeln!(text, "{}hint:{} {}", style::HINT, style::HINT.render_reset(), indented(hint));
        }
        text
    }

    /// Shows it on standard error, and as JSON where JSON was asked for.
    pub fn show(&self, ui: &Ui, command: &str) {
        ui.say(&self.render(ui.coloured_talk()));
        self.tell(ui, command);
    }

    /// As JSON alone, where JSON was asked for.
    pub fn tell(&self, ui: &Ui, command: &str) {
        ui.event(&json!({
            "version": crate::ui::JSON_VERSION, "event": "error", "command": command, "exit_code": self.code.code(), "error": self.json(),
        }));
    }
}

fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

impl From<OpsError> for CliError {
    fn from(error: OpsError) -> Self {
        let mut shown = Self::new(ExitCode::from_number(error.exit_code()), error.to_string());
        shown.sources(&error);
        // A message that names the command already needs no hint.
        let said = |hint: &String| hint.rsplit(": ").next().is_some_and(|command| shown.body.message.contains(command));
        shown.body.hint = error.hint().filter(|hint| !said(hint));
        match error {
            OpsError::Inventory { rendered, coloured, json } => {
                shown.body.message = "the inventory has problems".to_owned();
                shown.body.rendered = Some([rendered, coloured]);
                shown.body.details = Some(json);
            }
            OpsError::LeaseHeld { holder, reason, since, expires, .. } => {
                let clock = Clock::system();
                shown.body.message = format!(
                    "the lease is held by {holder} ({reason}) since {}, until {} unless renewed",
                    clock.time(since),
                    clock.time(expires)
                );
            }
            _ => {}
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_an_operation_can_end_with_is_explained() {
        for number in [0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 130] {
            assert_eq!(ExitCode::from_number(number).code(), number);
        }
        assert_eq!(ExitCode::from_number(77), ExitCode::Failed);
        assert!(ExitCode::ALL.windows(2).all(|pair| pair[0].0.code() < pair[1].0.code()));
    }

    #[test]
    fn an_error_names_what_why_and_what_to_do() {
        let io = std::io::Error::other("disk full");
        let error = CliError::new(ExitCode::Failed, "cannot write plan.json").cause(io).hint("free some space");
        let shown = anstream::adapter::strip_str(&error.render(false)).to_string();
        assert_eq!(shown, "error: cannot write plan.json\n  because: disk full\nhint: free some space\n");
        assert_eq!(error.json()["hint"], "free some space");
    }

    #[test]
    fn problems_of_an_inventory_are_shown_as_their_reader_drew_them() {
        let error = OpsError::Inventory {
            rendered: "error: plain\n".to_owned(),
            coloured: "error: coloured\n".to_owned(),
            json: json!([{ "line": 3 }]),
        };
        let error = CliError::from(error);
        assert_eq!(error.code, ExitCode::Usage);
        assert_eq!(error.render(false), "error: plain\n");
        assert_eq!(error.render(true), "error: coloured\n");
        assert_eq!(error.json()["details"][0]["line"], 3);
    }
}
