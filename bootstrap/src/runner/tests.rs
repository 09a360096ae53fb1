//! What the runner makes of answers that no honest host gives.

use std::collections::VecDeque;

use async_trait::async_trait;
use pool_inventory::{
    FileMode, Name, Text, TimeSpan,
    desired::{BootstrapSpec, FileSource, FileSpec, ScriptSpec},
};

use super::*;
use crate::link::{Dialogue, Exit, Flow, LinkError, Next, upload::Upload};

const FACTS: &str = "pool start\nuid=0\ngid=0\nend=facts\n";

/// A host that says what it was told to say, one piece per session, whatever is said to it.
struct Parrot {
    answers: VecDeque<&'static [u8]>,
    /// Whether a session ends with an error instead of an exit status.
    lost: bool,
    said: Vec<u8>,
}

fn parrot(answers: &[&'static str]) -> Parrot {
    let answers = answers.iter().map(|text| text.as_bytes());
    Parrot { answers: [FACTS.as_bytes()].into_iter().chain(answers).collect(), lost: false, said: Vec::new() }
}

#[async_trait]
impl Link for Parrot {
    fn at(&self) -> Text {
        "parrot:22".into()
    }

    fn sessions(&self) -> u32 {
        0
    }

    async fn upload(&mut self, _: Upload<'_>) -> Result<(Exit, Vec<String>), LinkError> {
        unreachable!("nothing is sent")
    }

    async fn converse(&mut self, talk: &mut dyn Dialogue) -> Result<Exit, LinkError> {
        while let Next::Say(say) = talk.next() {
            say.script(&mut self.said);
        }
        let answer = self.answers.pop_front().unwrap_or_default();
        for piece in answer.chunks(7) {
            if talk.stdout(piece) != Flow::Go {
                return Ok(Exit::default());
            }
            while let Next::Say(say) = talk.next() {
                say.script(&mut self.said);
            }
        }
        if self.lost && self.answers.is_empty() {
            return Err(LinkError::Silent { at: self.at(), after: talk.patience() });
        }
        Ok(Exit { status: Some(1), signal: None })
    }
}

fn want() -> Rendered {
    let mut spec = BootstrapSpec::default();
    let source = FileSource::Content("x\n".into());
    let file = FileSpec { source, mode: FileMode(0o644), owner: None, group: None };
    spec.files.insert("/a".into(), file.clone());
    spec.files.insert("/b".into(), file);
    let script = ScriptSpec { check: "false".into(), run: "true".into(), timeout: TimeSpan::secs(5) };
    spec.scripts.insert(Name::new("c").unwrap(), script);
    crate::render(&spec, &|_| Ok::<_, std::fmt::Error>(String::new())).unwrap()
}

async fn run(parrot: &mut Parrot) -> Result<Outcome, BootstrapError> {
    apply(parrot, &want(), &CancellationToken::new(), &mut |_| ()).await
}

#[tokio::test]
async fn probes_must_answer_for_every_item_and_in_sense() {
    for answer in [
        "",
        "pool start\n",
        "pool start\nP end\n",
        "pool start\nP 0 ok\nP 1 ok\nP end\n",
        "pool start\nP 0 ok\nP 1 ok\nP 2 perhaps\nP end\n",
        "pool start\nP 0 ok\nP 1 ok\nP 2 ok\nP 3 ok\nP end\n",
        "pool start\nP 0 ok\nP 1 ok\nP 18446744073709551616 ok\nP end\n",
        "pool start\nP 0 ok\nP 1 ok\nP 2 ok\n",
        "pool start\nhello\nP 0 ok\nP 1 ok\nP 2 ok\nP end\n",
    ] {
        let error = run(&mut parrot(&[answer])).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Garbled { doing: "probes", .. }), "{answer}: {error:?}");
    }
    let outcome = run(&mut parrot(&["noise\npool start\nP 0 ok\nP 1 ok\nP 2 ok\nP end\n"])).await.unwrap();
    assert_eq!((outcome.changed.len(), outcome.unchanged), (0, 3));
}

#[tokio::test]
async fn changes_must_be_told_in_order_and_to_the_end() {
    let probes = "pool start\nP 0 missing\nP 1 ok\nP 2 missing\nP end\n";
    for answer in [
        "",
        "pool start\nE 0 changed\n",
        "pool start\nB 1\n",
        "pool start\nB 0\nB 0\n",
        "pool start\nB 0\nE 1 changed\n",
        "pool start\nB 0\nE 0 perhaps\n",
        "pool start\nB 7\n",
        "pool start\nB 0\nE 0 changed\nE 0 changed\n",
    ] {
        let error = run(&mut parrot(&[probes, answer])).await.unwrap_err();
        let sensible = matches!(error, BootstrapError::Garbled { .. } | BootstrapError::Failed { .. });
        assert!(sensible, "{answer}: {error:?}");
    }
    let early = run(&mut parrot(&[probes, "pool start\nZ\n"])).await.unwrap_err();
    assert!(matches!(early, BootstrapError::Garbled { .. }), "{early:?}");
    let mut parrot = parrot(&[probes, "pool start\nB 0\nE 0 changed\nB 1\nE 1 same\nZ\n"]);
    let outcome = run(&mut parrot).await.unwrap();
    assert_eq!((outcome.changed, outcome.unchanged), (vec![Text::from("file /a")], 2));
}

#[tokio::test]
async fn a_slow_item_is_not_said_before_all_others_have_ended() {
    let probes = "pool start\nP 0 missing\nP 1 missing\nP 2 missing\nP end\n";
    let mut parrot = parrot(&[probes, "pool start\nB 0\n"]);
    run(&mut parrot).await.unwrap_err();
    let said = String::from_utf8(parrot.said).unwrap();
    assert!(said.contains("begin 0") && said.contains("'a' 'b'"), "files of a folder are written together: {said}");
    assert!(said.contains("ask_script 2") && !said.contains("begin 2"), "it is asked, not begun: {said}");
}

#[tokio::test]
async fn a_script_that_must_run_is_told_to_and_what_was_said_after_it_is_said_again() {
    let probes = "pool start\nP 0 missing\nP 1 ok\nP 2 missing\nP end\n";
    let mut parrot = parrot(&[probes, "pool start\nB 0\nE 0 changed\nN 1\nY\nB 1\nE 1 changed\nZ\n"]);
    assert_eq!(run(&mut parrot).await.unwrap().changed.len(), 2);
    let said = String::from_utf8(parrot.said).unwrap();
    let acts = &said[said.find("mark=pool-").unwrap()..];
    let at = |what: &str| acts.match_indices(what).map(|(at, _)| at).collect::<Vec<_>>();
    let (asked, begun, ends) = (at("{ ask_script 1"), at("begin 1;"), at("{ end_acts"));
    assert_eq!((asked.len(), begun.len(), ends.len()), (1, 1, 2), "{acts}");
    assert!(asked[0] < ends[0] && ends[0] < begun[0] && begun[0] < ends[1]);
}

#[tokio::test]
async fn only_scripts_that_were_asked_for_may_have_to_run() {
    let probes = "pool start\nP 0 missing\nP 1 ok\nP 2 missing\nP end\n";
    for answer in [
        "pool start\nN 0\n",
        "pool start\nN 1\n",
        "pool start\nY\n",
        "pool start\nB 0\nN 0\n",
        "pool start\nB 0\nE 0 changed\nN 1\nN 1\n",
        "pool start\nB 0\nE 0 changed\nN 1\nY\nY\n",
        "pool start\nB 0\nE 0 changed\nB 1\nN 1\n",
        "pool start\nB 0\nE 0 changed\nN 2\n",
    ] {
        let error = run(&mut parrot(&[probes, answer])).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Garbled { doing: "changes", .. }), "{answer}: {error:?}");
    }
}

#[tokio::test]
async fn silence_is_blamed_on_the_item_that_runs() {
    let probes = "pool start\nP 0 missing\nP 1 ok\nP 2 missing\nP end\n";
    let mut during = Parrot { lost: true, ..parrot(&[probes, "pool start\nB 0\n"]) };
    let error = run(&mut during).await.unwrap_err();
    assert!(matches!(&error, BootstrapError::ItemTimedOut { item, .. } if &**item == "file /a"), "{error:?}");
    let mut between = Parrot { lost: true, ..parrot(&[probes, "pool start\nB 0\nE 0 changed\n"]) };
    let error = run(&mut between).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
}

#[tokio::test]
async fn what_a_host_says_of_a_file_is_bounded() {
    let long = "pool start\nP 0 differs content\n".to_owned() + &"|yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n".repeat(5000);
    let long: &'static str = Box::leak((long + "P 1 ok\nP 2 ok\nP end\n").into_boxed_str());
    let report = observe(&mut parrot(&[long]), &want()).await.unwrap();
    assert_eq!(&*report.drifts[0].detail, "content differs (too large to be shown)");
    let endless: &'static str = Box::leak(("pool start\n|".to_owned() + &"y".repeat(200_000)).into_boxed_str());
    let error = observe(&mut parrot(&[endless]), &want()).await.unwrap_err();
    assert!(matches!(error, BootstrapError::Flooded { .. }), "{error:?}");
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic(text in "(pool start\n)?([PDBEFNYZ|][ 0-9]{0,4}(ok|missing|differs content|end|changed)?\n){0,12}") {
        let text: &'static str = Box::leak(text.into_boxed_str());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(run(&mut parrot(&[text, text])));
    }
}
