//! `pool ssh` and `pool exec` on machines of this computer, over real SSH.

use std::{io::Write, process::Stdio};

use crate::{
    context::{TestContext, shown},
    terminal::Terminal,
};

/// Three machines, taken away again whatever happens.
struct Machines(TestContext);

impl Machines {
    fn start() -> Self {
        let machines = Self(TestContext::new());
        machines.0.run("init");
        let output = machines.0.run("apply --yes");
        assert!(output.starts_with("exit 0"), "{output}");
        machines
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.0.run("destroy --yes");
    }
}

#[test]
fn sessions_and_commands_on_real_machines() {
    let machines = Machines::start();
    let t = &machines.0;
    a_command_runs_on_each_host_and_its_lines_carry_the_host(t);
    one_failure_makes_the_whole_a_failure(t);
    a_script_on_standard_input_ends_with_its_own_status(t);
    a_terminal_is_passed_on(t);
}

fn a_command_runs_on_each_host_and_its_lines_carry_the_host(t: &TestContext) {
    let output = t.run("exec pool=web -- 'cat /srv/web/welcome.txt | head -1; hostname >&2'");
    assert!(output.starts_with("exit 0"), "{output}");
    for line in ["web-0 | web-0: made by pool", "web-1 | web-1: made by pool", "web-0 | web-0\n", "2 hosts: ok"] {
        assert!(output.contains(line), "`{line}` is missing\n{output}");
    }
    let (json, code) = t.json("exec host/db-0 --json -- cat /etc/db.conf");
    let one = &json[0]["result"][0];
    assert_eq!((one["stdout"].as_str(), one["exit_status"].as_u64(), code), (Some("listen = 5432\n"), Some(0), 0));
}

fn one_failure_makes_the_whole_a_failure(t: &TestContext) {
    let output = t.run("exec role=frontend -- 'test $(hostname) = web-0'");
    assert!(output.starts_with("exit 1") && output.contains("failed host/web-1: exit status 1"), "{output}");
    let output = t.run("exec web-0 --timeout 300ms -- 'sleep 60'");
    assert!(output.starts_with("exit 1") && output.contains("failed host/web-0: not done within"), "{output}");
}

fn a_script_on_standard_input_ends_with_its_own_status(t: &TestContext) {
    let mut command = t.command("ssh db-0");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("it is a pipe").write_all(b"hostname; exit 7\n").expect("it is open");
    let output = shown(&child.wait_with_output().expect("it ends"));
    assert_eq!(output, "exit 7\n--- stdout\ndb-0\n");
}

fn a_terminal_is_passed_on(t: &TestContext) {
    let mut terminal = Terminal::start(t, "ssh web-0");
    terminal.send("stty size; echo ready-$((40 + 2))\r");
    let text = terminal.wait_for("ready-42");
    assert!(text.contains("40 120"), "{text}");
    // What prints is what Ctrl-C is meant for: the shell in between would ignore it.
    terminal.send("sh -c 'echo started; exec sleep 300'\r");
    terminal.wait_for("started\n");
    terminal.send("\x03");
    terminal.wait_for("^C");
    terminal.send("exit 5\r");
    let (text, code) = terminal.end();
    assert_eq!(code, 5, "{text}");

    let mut terminal = Terminal::start(t, "ssh web-0");
    terminal.send("echo ready-$((40 + 2))\r");
    terminal.wait_for("ready-42");
    terminal.send("~.");
    assert_eq!(terminal.end().1, 255);
}
