use pool_bootstrap::{BootstrapError, Refusal, observe};
use pool_inventory::{
    FileMode,
    desired::{BootstrapSpec, DirectorySpec},
};

use crate::{
    apply::{file, render, run, spec},
    bed::Bed,
};

#[tokio::test]
async fn what_was_changed_on_the_host_is_seen_and_shown() {
    let bed = Bed::start();
    let want = render(&spec(&bed));
    let mut link = bed.link().await;
    run(&mut link, &want).await.unwrap();
    assert!(observe(&mut link, &want).await.unwrap().drifts.is_empty());

    std::fs::write(bed.path("srv/etc/motd"), "hello\nintruder \x1b[31m\n").unwrap();
    std::fs::write(bed.path("srv/etc/secret"), "password=hunter2").unwrap();
    std::fs::remove_file(bed.path("srv/etc/empty")).unwrap();
    let mut mode = std::fs::metadata(bed.path("srv/etc")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o777);
    std::fs::set_permissions(bed.path("srv/etc"), mode).unwrap();

    let report = observe(&mut link, &want).await.unwrap();
    let folder = bed.folder.path().display().to_string();
    let text: Vec<String> =
        report.drifts.iter().map(|d| format!("{}: {}", d.item.replace(&folder, ""), d.detail)).collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    directory /srv/etc: mode 777, not 750
    file /srv/etc/empty: missing
    file /srv/etc/motd: --- on the host
    +++ declared
    @@ -1,2 +1,2 @@
     hello
    -intruder 
    +world
    file /srv/etc/secret: content differs, and is not shown
    ");
}

#[tokio::test]
async fn a_file_behind_a_link_is_replaced_and_its_target_stays() {
    let bed = Bed::start();
    std::fs::write(bed.path("target"), "mine").unwrap();
    std::os::unix::fs::symlink(bed.path("target"), bed.path("link")).unwrap();
    let mut spec = BootstrapSpec::default();
    spec.files.insert(bed.text("link"), file("declared", 0o644));
    let mut link = bed.link().await;
    let report = observe(&mut link, &render(&spec)).await.unwrap();
    assert_eq!(&*report.drifts[0].detail, "is a symbolic link");
    run(&mut link, &render(&spec)).await.unwrap();
    assert_eq!(std::fs::read_to_string(bed.path("link")).unwrap(), "declared");
    assert_eq!(std::fs::read_to_string(bed.path("target")).unwrap(), "mine");
}

#[tokio::test]
async fn what_can_never_be_done_is_refused_before_anything_changes() {
    let bed = Bed::start();
    std::fs::create_dir(bed.path("taken")).unwrap();
    std::fs::write(bed.path("plain"), "").unwrap();
    let mut spec = BootstrapSpec::default();
    spec.files.insert(bed.text("a-first"), file("x", 0o644));
    spec.files.insert(bed.text("taken"), file("x", 0o644));
    std::os::unix::fs::symlink("/etc", bed.path("link")).unwrap();
    for place in ["plain", "link"] {
        spec.directories.insert(bed.text(place), DirectorySpec { mode: FileMode(0o755), owner: None, group: None });
    }
    let error = run(&mut bed.link().await, &render(&spec)).await.unwrap_err();
    let BootstrapError::Refused { refusals, .. } = &error else { panic!("{error:?}") };
    assert_eq!(refusals.len(), 3, "{refusals:?}");
    assert!(refusals.iter().all(|r| matches!(r, Refusal::Denied { .. })));
    assert!(!bed.path("a-first").exists());
}

#[tokio::test]
async fn services_without_systemd_are_refused() {
    let bed = Bed::start();
    let mut link = bed.link().await;
    let facts = pool_bootstrap::runner::read_facts(&mut link).await.unwrap();
    let mut spec = BootstrapSpec::default();
    let service = pool_inventory::desired::ServiceSpec { enabled: true, running: true };
    spec.services.insert("pool-no-such-unit".into(), service);
    let result = observe(&mut link, &render(&spec)).await;
    if &*facts.init == "systemd" {
        assert_eq!(result.unwrap().drifts.len(), 1);
    } else {
        let error = result.unwrap_err();
        assert!(error.to_string().contains("services need systemd"), "{error}");
    }
}
