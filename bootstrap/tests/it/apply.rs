use std::collections::BTreeMap;

use pool_bootstrap::{BootstrapError, ItemEvent, Outcome, Rendered, apply, observe, ssh::SshLink};
use pool_inventory::{
    FileMode, Name, Text, TimeSpan,
    desired::{BootstrapSpec, DirectorySpec, FileSource, FileSpec, ScriptSpec},
};
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, mode};

pub fn file(content: &str, mode: u32) -> FileSpec {
    FileSpec { source: FileSource::Content(content.into()), mode: FileMode(mode), owner: None, group: None }
}

pub fn script(check: &str, run: &str, seconds: u64) -> ScriptSpec {
    ScriptSpec { check: check.into(), run: run.into(), timeout: TimeSpan::secs(seconds) }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn render(spec: &BootstrapSpec) -> Rendered {
    pool_bootstrap::render(spec, &|t| Ok::<_, std::fmt::Error>(t.text.to_string())).unwrap()
}

pub async fn run(link: &mut SshLink, want: &Rendered) -> Result<Outcome, BootstrapError> {
    apply(link, want, &CancellationToken::new(), &mut |_| ()).await
}

/// The items of a small bootstrap below the folder of the bed.
pub fn spec(bed: &Bed) -> BootstrapSpec {
    let directory = |mode| DirectorySpec { mode: FileMode(mode), owner: None, group: None };
    let mark = bed.text("srv/etc/mark");
    BootstrapSpec {
        directories: BTreeMap::from([(bed.text("srv/etc"), directory(0o750)), (bed.text("srv"), directory(0o755))]),
        files: BTreeMap::from([
            (bed.text("srv/etc/motd"), file("hello\nworld\n", 0o644)),
            (bed.text("srv/etc/secret"), file("no newline at the end", 0o600)),
            (bed.text("srv/etc/it's $(odd) \"名\"\n;"), file("'; exit 1 #\0\r\n\\n%s\t$HOME `id`", 0o640)),
            (bed.text("srv/etc/empty"), file("", 0o444)),
            (bed.text("srv/deep/er/large"), file(&"0123456789abcde\n".repeat(40_000), 0o644)),
        ]),
        scripts: BTreeMap::from([(name("mark"), script(&format!("test -e {mark}"), &format!("echo x >{mark}"), 10))]),
        ..BootstrapSpec::default()
    }
}

#[tokio::test]
async fn a_bare_host_becomes_what_is_asked_for_and_then_nothing_is_to_do() {
    let bed = Bed::start();
    let spec = spec(&bed);
    let want = render(&spec);
    let mut link = bed.link().await;
    let mut events = Vec::new();
    let outcome = apply(&mut link, &want, &CancellationToken::new(), &mut |e| events.push(e)).await.unwrap();
    assert_eq!(outcome.changed.len(), 8, "{:?}", outcome.changed);
    assert_eq!(link.sessions(), 1, "facts, probes and changes share a shell");
    let count = |f: fn(&ItemEvent) -> bool| events.iter().filter(|e| f(e)).count();
    assert_eq!(count(|e| matches!(e, ItemEvent::Started { .. })), 8);
    assert_eq!(count(|e| matches!(e, ItemEvent::Changed { .. })), 8);
    assert_eq!(*outcome.changed[0], *format!("directory {}", bed.text("srv")));
    for (path, file) in &spec.files {
        let FileSource::Content(content) = &file.source else { unreachable!() };
        assert_eq!(std::fs::read_to_string(&**path).unwrap(), **content, "{path}");
        assert_eq!(mode((**path).as_ref()), file.mode.0, "{path}");
    }
    assert_eq!(mode(&bed.path("srv/etc")), 0o750);
    assert_eq!(std::fs::read_dir(bed.path("srv/etc")).unwrap().count(), 5, "no temporary file is left");

    let mut link = bed.link().await;
    let again = run(&mut link, &want).await.unwrap();
    assert_eq!((again.changed, again.unchanged), (Vec::<Text>::new(), 8));
    assert_eq!(link.sessions(), 1);
}

#[tokio::test]
async fn only_what_is_missing_is_done() {
    let bed = Bed::start();
    let want = render(&spec(&bed));
    let mut link = bed.link().await;
    run(&mut link, &want).await.unwrap();
    let untouched = std::fs::metadata(bed.path("srv/etc/motd")).unwrap().modified().unwrap();
    std::fs::remove_file(bed.path("srv/etc/empty")).unwrap();
    std::fs::remove_file(bed.path("srv/etc/mark")).unwrap();
    let outcome = run(&mut link, &want).await.unwrap();
    assert_eq!(outcome.changed, [format!("file {}", bed.text("srv/etc/empty")).into(), Text::from("script mark")]);
    assert_eq!(outcome.unchanged, 6);
    assert_eq!(std::fs::metadata(bed.path("srv/etc/motd")).unwrap().modified().unwrap(), untouched);
}

#[tokio::test]
async fn a_script_that_an_earlier_change_breaks_runs_in_the_same_go() {
    let bed = Bed::start();
    let (config, copy) = (bed.text("config"), bed.text("copy"));
    let mut spec = BootstrapSpec::default();
    spec.files.insert(config.clone(), file("one", 0o644));
    let check = format!("cmp -s {config} {copy}");
    spec.scripts.insert(name("copy"), script(&check, &format!("cp {config} {copy}"), 10));
    let mut link = bed.link().await;
    run(&mut link, &render(&spec)).await.unwrap();
    spec.files.insert(config.clone(), file("two", 0o644));
    let outcome = run(&mut link, &render(&spec)).await.unwrap();
    assert_eq!(outcome.changed.len(), 2, "{outcome:?}");
    assert_eq!(std::fs::read_to_string(&*copy).unwrap(), "two");
}

#[tokio::test]
async fn a_check_that_is_asked_again_anyway_is_not_asked_before() {
    let bed = Bed::start();
    let (first, mark, log) = (bed.text("first"), bed.text("mark"), bed.path("asked"));
    let mut spec = BootstrapSpec::default();
    spec.files.insert(first.clone(), file("x", 0o644));
    let check = format!("echo x >>{}; test -e {mark}", log.display());
    spec.scripts.insert(name("mark"), script(&check, &format!("touch {mark}"), 10));
    let want = render(&spec);
    let asked = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    let mut link = bed.link().await;
    assert_eq!(run(&mut link, &want).await.unwrap().changed.len(), 2);
    assert_eq!(asked(), 2, "before it runs, and after");
    assert_eq!(run(&mut link, &want).await.unwrap().unchanged, 2);
    assert_eq!(asked(), 3);
    std::fs::remove_file(&*first).unwrap();
    let drifts = observe(&mut link, &want).await.unwrap().drifts;
    assert_eq!((drifts.len(), asked()), (1, 4), "who only looks wants to know of everything");
}

#[tokio::test]
async fn a_failing_script_stops_the_host_and_shows_its_last_lines() {
    let bed = Bed::start();
    let mut spec = BootstrapSpec::default();
    spec.scripts.insert(name("a-fine"), script("false", "true", 5));
    let mut link = bed.link().await;
    let error = run(&mut link, &render(&spec)).await.unwrap_err();
    let BootstrapError::Failed { item, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!(
        (&**item, lines.as_slice()),
        ("script a-fine", &["its check does not hold after it has run".into()][..])
    );

    let mark = bed.text("mark");
    spec.scripts.insert(name("a-fine"), script(&format!("test -e {mark}"), &format!("echo noise; touch {mark}"), 5));
    let run_it = "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; false; echo not reached";
    spec.scripts.insert(name("b-breaks"), script("false", run_it, 5));
    spec.scripts.insert(name("c-never"), script("false", &format!("touch {mark}-c"), 5));
    let error = run(&mut link, &render(&spec)).await.unwrap_err();
    let BootstrapError::Failed { item, exit, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**item, exit.status), ("script b-breaks", Some(1)));
    assert_eq!((lines.len(), &*lines[0], &*lines[39]), (40, "line 60", "line 99"));
    assert!(bed.path("mark").exists() && !bed.path("mark-c").exists());
}

#[tokio::test]
async fn a_script_can_name_what_runs_it_and_may_be_long() {
    let bed = Bed::start();
    let out = bed.text("out");
    let mut spec = BootstrapSpec::default();
    let padding = "# a long comment\n".repeat(20_000);
    let body = format!("#!/bin/bash\n{padding}a=(1 2 3); echo ${{#a[@]}} >{out}; read -r x; echo \"[$x]\" >>{out}");
    spec.scripts.insert(name("bash"), script(&format!("test -e {out}"), &body, 10));
    run(&mut bed.link().await, &render(&spec)).await.unwrap();
    assert_eq!(std::fs::read_to_string(&*out).unwrap(), "3\n[]\n", "a script sees no input of ours");
}

#[tokio::test]
async fn cancelling_ends_after_the_item_that_runs() {
    let bed = Bed::start();
    let mut spec = BootstrapSpec::default();
    for n in ["a", "b", "c"] {
        let mark = bed.text(n);
        spec.scripts.insert(name(n), script(&format!("test -e {mark}"), &format!("touch {mark}"), 10));
    }
    let want = render(&spec);
    let cancel = CancellationToken::new();
    let mut link = bed.link().await;
    let error = apply(&mut link, &want, &cancel, &mut |event| {
        if matches!(&event, ItemEvent::Started { item } if &**item == "script b") {
            cancel.cancel();
        }
    })
    .await
    .unwrap_err();
    let BootstrapError::Cancelled { changed, .. } = &error else { panic!("{error:?}") };
    assert_eq!(changed, &[Text::from("script a"), Text::from("script b")]);
    assert!(bed.path("b").exists() && !bed.path("c").exists());
    let outcome = run(&mut link, &want).await.unwrap();
    assert_eq!(outcome.changed, [Text::from("script c")]);
}

#[tokio::test]
async fn what_was_killed_in_the_middle_goes_on_where_it_was() {
    let bed = Bed::start();
    let want = render(&spec(&bed));
    let mut started = 0;
    let cancel = CancellationToken::new();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut link = bed.link().await;
    {
        let mut on = |event: ItemEvent| {
            started += usize::from(matches!(event, ItemEvent::Started { .. }));
            if started == 4 {
                let _ = tell.send(());
            }
        };
        // The process dies: the future is dropped, and with it the connection.
        tokio::select! {
            _ = apply(&mut link, &want, &cancel, &mut on) => panic!("it ended before it could be killed"),
            _ = told.recv() => {}
        }
    }
    drop(link);
    let mut link = bed.link().await;
    let outcome = run(&mut link, &want).await.unwrap();
    assert!(outcome.unchanged >= 3, "{outcome:?}");
    assert!(observe(&mut link, &want).await.unwrap().drifts.is_empty());
    // The shell of the killed run notices that nobody listens, and tidies up.
    let left = || {
        let names = [bed.path("srv/etc"), bed.path("srv/deep/er")].map(|folder| std::fs::read_dir(folder).unwrap());
        names.into_iter().flatten().any(|e| e.unwrap().file_name().to_string_lossy().starts_with(".pool-"))
    };
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while left() {
        assert!(std::time::Instant::now() < until, "temporary files are left");
        tokio::task::yield_now().await;
    }
}
