//! Help, versions, generated texts, flags.

use insta::assert_snapshot;

use crate::context::TestContext;

#[test]
fn exit_codes_are_explained() {
    let t = TestContext::new();
    assert_snapshot!(t.run("help exit-codes"), @r"
    exit 0
    --- stdout
    Exit codes of pool; JSON carries the same code.

        0  done, or nothing to do
        1  failed, nothing was changed
        2  changes pending (only with `plan --detailed-exitcode`)
        3  credentials refused
        4  the only failures are unreachable hosts
        5  refused by policy, quota, placement or pre-flight; a plan with items that cannot be
           placed is saved all the same and applies with --partial
        6  the lease is held by someone else
        7  the plan is stale, expired, tampered with or used
        8  partly applied; the rest is recorded and can go on with `pool apply`
        9  approval or a terminal needed; the message has the command to run
       64  usage, or an invalid inventory
      130  interrupted; everything is journalled

    `pool ssh` ends with what the session ended with.
    ");
}

#[test]
fn help_of_a_command_is_dense_and_shows_examples() {
    let t = TestContext::new();
    assert_snapshot!(t.run("plan --help"), @r#"
    exit 0
    --- stdout
    Show what would happen and why, and save it as a plan

    Usage: pool plan [OPTIONS]

    Options:
      -o, --out <FILE>                 Write the plan into a file as well
          --destroy                    Plan to destroy everything that is not protected
          --optimize                   Propose what saves money, too: hosts that cost less elsewhere,
                                       machines that hosts can leave empty
          --detailed-exitcode          Exit with 2 when there is something to do
          --on-failure <WHAT>          What a failed step will mean when this plan is applied; with
                                       `undo` the plan says what would be taken back [possible values:
                                       stop, continue, undo]
          --why-not <PROVIDER[/ZONE]>  Say of each pool why its hosts are not at this place as well; may
                                       be given several times

    What to plan:
          --target <ADDR>     Only this object, and what it needs; may be given several times
          --exclude <ADDR>    Everything but this object, and what needs it; may be given several times
          --replace <ADDR>    Replace this object although nothing differs; may be given several times
          --refresh-only      Only bring the records up to date with what is observed
          --observe <WHAT>    What to look at: providers and hosts, or providers alone [possible values:
                              hosts, providers]
          --override <BRAKE>  Lift a brake of the policy for this plan; needs --reason [possible values:
                              max_replaced, max_destroyed]
          --reason <TEXT>     Why a brake is lifted; kept in the history

    Flags of every command:
      -C, --dir <DIR>            Folder of the inventory, or one below it; without: the working folder
          --env <NAME>           Environment; without: the only one, or `default`
          --json                 Print JSON: one document, or one event per line for plan, apply and
                                 destroy
          --json-into <FILE>     Write that JSON into a file, and print text as well
          --no-color             No colours
      -q, --quiet                Only results, warnings and errors
      -v, --verbose              More detail
      -y, --yes                  Answer `yes` to every question
          --parallelism <N>      Most steps, or hosts, at a time
          --limit <PROVIDER=N>   Most calls at a time to one provider
          --timeout <TIME>       Longest time for the whole command, as in `30m`; without: no limit
          --lock-timeout <TIME>  Longest wait for another run to end, as in `5m`; without: none
      -h, --help                 Print help

    Symbols: + add, ~ change in place, -/+ replace or rebuild, - destroy, > bootstrap, ! not done.
    The plan is saved under an id; `pool apply ID` does exactly that, once, and only as long as nothing
    that the plan read has moved.

    Examples:
      pool plan
      pool plan -o tonight.plan                       to be applied from a file
      pool plan --target host/web-3 -v                one host, with all fields and file diffs
      pool plan --observe providers --detailed-exitcode
      pool plan --why-not private/az2                 and why no more hosts are there
      pool plan --override max_destroyed --reason "scale-in, ticket 1234"
    "#);
    assert_eq!(t.run("plan -h"), t.run("help plan"));
    assert_eq!(t.run("state mv -help"), t.run("help state mv"));
}

#[test]
fn the_version_is_told_three_ways() {
    let t = TestContext::new();
    assert_eq!(t.run("version"), t.run("--version"));
    assert_eq!(t.run("version"), t.run("-version"));
    let (json, code) = t.json("version --json");
    assert_eq!((json[0]["result"]["version"].as_str(), code), (Some(env!("CARGO_PKG_VERSION")), 0));
}

#[test]
fn a_mistyped_command_line_exits_with_64_and_a_suggestion() {
    let t = TestContext::new();
    assert_snapshot!(t.run("aply"), @r"
    exit 64
    --- stderr
    error: unrecognized subcommand 'aply'

      tip: a similar subcommand exists: 'apply'

    Usage: pool [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("plan --detailed-exit-code"), @r"
    exit 64
    --- stderr
    error: unexpected argument '--detailed-exit-code' found

      tip: a similar argument exists: '--detailed-exitcode'

    Usage: pool plan --detailed-exitcode

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("plan --target web-3"), @r"
    exit 64
    --- stderr
    error: invalid value 'web-3' for '--target <ADDR>': `web-3` is not an address; write KIND/NAME, as in host/web-3 (kinds: network, host, volume, snapshot, backup, cluster, member, pool, tenant)

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("plan --override max_destroyed"), @r"
    exit 64
    --- stderr
    error: the following required arguments were not provided:
      --reason <TEXT>

    Usage: pool plan --override <BRAKE> --reason <TEXT>

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("plan --limit cloud"), @r"
    exit 64
    --- stderr
    error: invalid value 'cloud' for '--limit <PROVIDER=N>': write PROVIDER=N, as in `aws=20`

    For more information, try '--help'.
    ");
    assert_snapshot!(t.run("help nonsense"), @r"
    exit 64
    --- stderr
    error: there is no help for `nonsense`
    hint: commands are listed by: pool help; further topics: exit-codes
    ");
}

#[test]
fn errors_of_usage_are_json_too() {
    let t = TestContext::new();
    let (json, code) = t.json("aply --json");
    assert_eq!((json[0]["event"].as_str(), json[0]["exit_code"].as_i64(), code), (Some("error"), Some(64), 64));
    assert!(json[0]["error"]["message"].as_str().is_some_and(|text| text.contains("unrecognized subcommand")));
}

#[test]
fn completions_and_the_manual_page_know_every_command() {
    let t = TestContext::new();
    for line in ["completions bash", "completions zsh", "completions fish", "man"] {
        let output = t.output(line);
        let text = String::from_utf8(output.stdout).expect("it is text");
        for command in ["validate", "explain", "history", "unlock"] {
            assert!(output.status.success() && text.contains(command), "{line} lacks {command}");
        }
    }
}

#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    let (printed, code) = TestContext::new().json("schema");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/inventory.schema.json");
    let text = std::fs::read_to_string(path).expect("the schema is checked in");
    let found: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!((&printed[0], code), (&found, 0));
}

#[test]
fn colours_follow_the_usual_variables() {
    let t = TestContext::new();
    let coloured = |flags: &str, vars: &[(&str, &str)]| {
        let output = t.command(flags).envs(vars.iter().copied()).output().expect("the program can be started");
        output.stderr.contains(&0x1b)
    };
    assert!(!coloured("help nonsense", &[]), "no terminal, no colours");
    assert!(coloured("help nonsense", &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured("help nonsense --no-color", &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured("help nonsense", &[("CLICOLOR_FORCE", "1"), ("POOL_NO_COLOR", "yes")]));
    assert!(!coloured("help nonsense", &[("NO_COLOR", "1")]));
}
