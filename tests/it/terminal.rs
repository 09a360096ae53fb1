//! What happens on a terminal: questions, colours, progress.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::{Child, Command},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::context::TestContext;

/// Longest wait for words to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// `pool` on a terminal of its own.
pub struct Terminal {
    screen: File,
    child: Child,
    seen: Vec<u8>,
}

impl Terminal {
    /// Starts `pool` with these words on a terminal of 40 lines and 120 columns.
    pub fn start(context: &TestContext, line: &str) -> Self {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal can be made");
        grantpt(&screen).and_then(|()| unlockpt(&screen)).expect("it can be opened");
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).expect("it has a size");
        let path = ptsname(&screen, Vec::new()).expect("it has a name").into_string().expect("the name is text");
        let other = OpenOptions::new().read(true).write(true).open(path).expect("its other side can be opened");
        let stream = || other.try_clone().expect("it can be shared");
        // With a session of its own, Ctrl-C on this terminal reaches `pool` and nobody else.
        let pool = context.command(line);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(pool.get_program()).args(pool.get_args()).env_clear();
        command.envs(pool.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        command.current_dir(context.root()).stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().expect("setsid of util-linux is there");
        Self { screen: File::from(screen), child, seen: Vec::new() }
    }

    /// Waits until these words were shown; what was shown so far.
    pub fn wait_for(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while !self.text().contains(words) {
            assert!(self.read(until), "`{words}` never came:\n{}", self.text());
        }
        self.text()
    }

    /// Types.
    pub fn send(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    /// Waits for the end; all that was shown, and the exit code.
    pub fn end(mut self) -> (String, i32) {
        let until = Instant::now() + PATIENCE;
        while self.read(until) {}
        if Instant::now() >= until {
            // Nothing is left behind by a test that fails.
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("it was started");
        (self.text(), status.code().unwrap_or(-1))
    }

    fn text(&self) -> String {
        let bytes = anstream::adapter::strip_bytes(&self.seen).into_vec();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Whether anything could be read in time; a terminal whose other side is closed gives an error.
    fn read(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("it is a short time");
        let mut wanted = [PollFd::new(&self.screen, PollFlags::IN)];
        if !matches!(poll(&mut wanted, Some(&left)), Ok(1..)) {
            return false;
        }
        let mut buffer = [0; 4096];
        match self.screen.read(&mut buffer) {
            Ok(length @ 1..) => {
                self.seen.extend_from_slice(&buffer[..length]);
                true
            }
            _ => false,
        }
    }

    /// Whether colours were used.
    pub fn is_coloured(&self) -> bool {
        self.seen.windows(2).any(|pair| pair == b"\x1b[")
    }
}

#[test]
fn a_question_is_asked_only_where_someone_can_answer() {
    let t = TestContext::new();
    let output = t.run("unlock 5d0c2e");
    assert!(output.starts_with("exit 9") && output.contains("run: pool unlock 5d0c2e --yes"), "{output}");
    let output = t.run("-C x --env prod unlock 5d0c2e");
    assert!(output.contains("run: pool -C x --env prod unlock 5d0c2e --yes"), "{output}");

    let mut terminal = Terminal::start(&t, "unlock 5d0c2e");
    terminal.wait_for("Take lease 5d0c2e away");
    terminal.send("y\n");
    let (text, code) = terminal.end();
    assert!(code == 9 && text.contains("not approved"), "{code} {text}");

    let (text, code) = Terminal::start(&t, "unlock 5d0c2e -input=false").end();
    assert!(code == 9 && text.contains("there is no terminal to ask at"), "{code} {text}");
}

#[test]
fn a_terminal_gets_colours_unless_they_are_unwanted() {
    let t = TestContext::new();
    for (line, wanted) in [("help nonsense", true), ("help nonsense --no-color", false)] {
        let mut terminal = Terminal::start(&t, line);
        terminal.wait_for("there is no help");
        assert_eq!(terminal.is_coloured(), wanted, "{line}");
        assert_eq!(terminal.end().1, 64);
    }
}
