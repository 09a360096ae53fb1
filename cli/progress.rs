//! Reads the events of a run and shows them: in place on a terminal, line by line elsewhere, as JSON where asked for.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pool_engine::Event;
use tokio::sync::mpsc::Receiver;

use crate::{render::run::Tally, ui::Ui};

/// Events taken at a time, so that a fast run is not slowed down by drawing.
const AT_ONCE: usize = 256;
/// Running steps shown at most; the bar counts all.
const MOST_ROWS: usize = 12;
/// Between two drawings when nothing happens: ages go on.
const TICK: Duration = Duration::from_millis(250);

/// Follows a run to its end.
pub async fn follow(ui: &Ui, mut events: Receiver<Event>, mut tally: Tally) -> Tally {
    let mut screen = ui.animated().then(Screen::new);
    let mut batch = Vec::with_capacity(AT_ONCE);
    loop {
        let received = tokio::time::timeout(TICK, events.recv_many(&mut batch, AT_ONCE)).await;
        if received == Ok(0) {
            break;
        }
        let lines = take(ui, &mut tally, &mut batch, screen.is_some());
        match &mut screen {
            Some(screen) => screen.draw(&tally, &lines, ui),
            None if !lines.is_empty() => ui.talk(&format!("{}\n", lines.join("\n"))),
            None => {}
        }
    }
    if let Some(screen) = screen {
        screen.clear();
    }
    tally
}

/// Folds a batch; its lines. In place, a started step is a row of the screen and no line.
fn take(ui: &Ui, tally: &mut Tally, batch: &mut Vec<Event>, animated: bool) -> Vec<String> {
    let now = Instant::now();
    let mut lines = Vec::new();
    for event in batch.drain(..) {
        ui.event(&event);
        if !ui.talks() {
            tally.fold(&event, now);
            continue;
        }
        let line = tally.take(&event, now, ui.verbose());
        let row = animated && matches!(event, Event::StepStarted { .. } | Event::StepProgress { .. });
        lines.extend(line.filter(|_| !row));
    }
    lines
}

/// The bottom of a terminal: a row per running step, a bar below.
struct Screen {
    all: MultiProgress,
    rows: Vec<ProgressBar>,
    bar: ProgressBar,
    began: Instant,
}

impl Screen {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(15));
        let bar = all.add(ProgressBar::new(0));
        // The template is fixed text: a failure to read it would show in every test.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self { all, rows: Vec::new(), bar, began: Instant::now() }
    }

    fn draw(&mut self, tally: &Tally, lines: &[String], ui: &Ui) {
        if !lines.is_empty() {
            let text = lines.join("\n");
            let text = if ui.coloured_talk() { text } else { anstream::adapter::strip_str(&text).to_string() };
            // Nothing can be told about a terminal that is gone.
            let _ = self.all.println(text);
        }
        let now = Instant::now();
        let wanted = tally.running.len().min(MOST_ROWS);
        while self.rows.len() > wanted {
            if let Some(row) = self.rows.pop() {
                self.all.remove(&row);
            }
        }
        while self.rows.len() < wanted {
            let row = self.all.insert_before(&self.bar, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                row.set_style(style);
            }
            self.rows.push(row);
        }
        // The oldest first: what hangs is what one wants to see.
        let mut running: Vec<_> = tally.running.values().collect();
        running.sort_by_key(|running| running.since);
        for (row, running) in self.rows.iter().zip(running) {
            row.set_message(anstream::adapter::strip_str(&tally.running_line(running, now)).to_string());
        }
        self.bar.set_length(tally.steps as u64);
        self.bar.set_position(tally.ended as u64);
        let age = crate::render::when::span(self.began.elapsed().as_millis() as u64);
        self.bar.set_message(format!("{} · {age}", tally.counts()));
    }

    fn clear(self) {
        // Nothing can be told about a terminal that is gone.
        let _ = self.all.clear();
    }
}
