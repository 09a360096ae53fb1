use pool_bootstrap::{
    BootstrapError, ItemEvent, Link, Outcome, Rendered, apply, observe,
    sim::{Fault, FaultKind, SimHost, SimLink, forget},
};
use pool_inventory::{Bytes, Text, desired::BootstrapSpec};
use tokio_util::sync::CancellationToken;

use crate::apply::{file, name, render, script};

fn host(n: u32) -> SimHost {
    SimHost {
        id: format!("i-{n}").into(),
        name: format!("web-{n}").into(),
        address: "10.0.0.7:22".into(),
        user: "root".into(),
        cpus: 4,
        memory: Bytes::gib(8),
        disk: Bytes::gib(40),
    }
}

fn want(motd: &str) -> Rendered {
    let mut spec = BootstrapSpec::default();
    spec.packages.extend([Text::from("chrony"), "curl".into()]);
    spec.users.insert(name("ops"), Default::default());
    spec.files.insert("/etc/motd".into(), file(motd, 0o644));
    spec.scripts.insert(name("join"), script("test -e /joined", "touch /joined", 30));
    render(&spec)
}

async fn run(link: &mut dyn Link, want: &Rendered) -> Result<Outcome, BootstrapError> {
    apply(link, want, &CancellationToken::new(), &mut |_| ()).await
}

fn fault(kind: FaultKind, item: Option<&str>) -> Vec<Fault> {
    vec![Fault { host: Some("web-1".into()), item: item.map(Text::from), times: 1, kind }]
}

#[tokio::test]
async fn a_simulated_host_is_bootstrapped_as_a_real_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut link = SimLink::open(folder.path(), host(1)).unwrap();
    let drifts = observe(&mut link, &want("a")).await.unwrap().drifts;
    assert_eq!(drifts.len(), 5);
    let mut events = 0;
    let on = &mut |event| events += usize::from(matches!(event, ItemEvent::Changed { .. }));
    let outcome = apply(&mut link, &want("a"), &CancellationToken::new(), on).await.unwrap();
    assert_eq!((outcome.changed.len(), events, outcome.facts.cpus), (5, 5, 4));

    // Another process sees the same host; another host is bare.
    let mut link = SimLink::open(folder.path(), host(1)).unwrap();
    let outcome = run(&mut link, &want("a")).await.unwrap();
    assert_eq!((outcome.changed.len(), outcome.unchanged, link.sessions()), (0, 7, 1));
    let changed = run(&mut link, &want("b")).await.unwrap().changed;
    assert_eq!(changed, [Text::from("file /etc/motd")]);
    let mut other = SimLink::open(folder.path(), host(2)).unwrap();
    assert_eq!(observe(&mut other, &want("b")).await.unwrap().drifts.len(), 5);

    forget(folder.path(), "i-1").unwrap();
    let mut link = SimLink::open(folder.path(), host(1)).unwrap();
    assert_eq!(observe(&mut link, &want("b")).await.unwrap().drifts.len(), 5);
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_was_asked_and_only_there() {
    let folder = tempfile::tempdir().unwrap();
    let open = |n, faults: Vec<Fault>| SimLink::with_faults(folder.path(), host(n), faults);

    let gone = fault(FaultKind::Unreachable, None);
    let error = open(1, gone.clone()).unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    open(2, gone.clone()).unwrap();
    open(1, gone).unwrap();

    let fails = fault(FaultKind::Fail, Some("package curl"));
    let error = run(&mut open(1, fails.clone()).unwrap(), &want("a")).await.unwrap_err();
    let BootstrapError::Failed { item, lines, .. } = &error else { panic!("{error:?}") };
    assert_eq!((&**item, lines.as_slice()), ("package curl", &["a fault was asked for".to_owned()][..]));
    let outcome = run(&mut open(1, fails).unwrap(), &want("a")).await.unwrap();
    assert_eq!(outcome.changed.len(), 4, "chrony was done before");

    let drifts = fault(FaultKind::Drift, Some("file /etc/motd"));
    let report = observe(&mut open(1, drifts).unwrap(), &want("a")).await.unwrap();
    assert_eq!((report.drifts.len(), &*report.drifts[0].detail), (1, "was changed on the host"));

    let hangs = fault(FaultKind::Hang, Some("file /etc/motd"));
    let error = run(&mut open(1, hangs).unwrap(), &want("a")).await.unwrap_err();
    assert!(matches!(error, BootstrapError::ItemTimedOut { .. }), "{error:?}");
    let error = run(&mut open(1, fault(FaultKind::Hang, None)).unwrap(), &want("a")).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(run(&mut open(1, vec![]).unwrap(), &want("a")).await.unwrap().changed.len(), 1);
}

#[tokio::test]
async fn faults_come_from_a_file_that_is_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("faults.json"), r#"[{"host":"web-1","kind":"unreachable","times":2}]"#).unwrap();
    SimLink::open(folder.path(), host(1)).unwrap_err();
    SimLink::open(folder.path(), host(1)).unwrap_err();
    SimLink::open(folder.path(), host(1)).unwrap();
    std::fs::write(folder.path().join("faults.json"), r#"[{"hots":"web-1","kind":"unreachable"}]"#).unwrap();
    let error = SimLink::open(folder.path(), host(1)).unwrap_err();
    assert!(!error.is_unreachable(), "{error}");
}
