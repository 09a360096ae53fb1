//! Text for people. Functions here are pure: data in, text with colours out; the `Ui` takes colours away where they do not belong.

pub mod adopt;
pub mod changes;
pub mod explain;
pub mod history;
pub mod members;
pub mod object;
pub mod plan;
pub mod run;
pub mod status;
pub mod style;
pub mod table;
pub mod undo;
pub mod when;
pub mod whynot;
pub mod words;

#[cfg(test)]
pub mod samples;
