//! What a user of local machines would miss.

mod conformance;
mod crashes;
mod isolation;
mod logins;
mod volumes;

pub use crashes::{CREATE, CROWDED, create_one, live_crowded};
use pool_inventory::{
    Kind, Token,
    market::Feature,
    object::{Owner, Spec, Status},
};
use pool_providers::{Act, Progress, Provider, ProviderError};

use crate::bench::{Bench, Case, For, owner, request};

/// All cases.
pub const ALL: &[Case] = &[
    ("a_machine_boots_answers_and_leaves_no_trace", For::All, boots),
    ("a_machine_keeps_what_it_has_when_it_is_off", For::All, power),
    ("a_rebuilt_machine_is_new_at_the_same_address", For::All, rebuild),
    ("keys_and_tags_change_while_it_runs", For::All, update),
    ("many_machines_at_once", For::All, many),
    ("the_conformance_suite_holds", For::All, conformance::suite),
    ("what_makes_no_sense_is_refused", For::All, refusals),
    ("the_market_shows_this_computer", For::All, market),
    ("root_has_packages_users_and_owners", For::Root, with_root),
    ("without_root_files_of_the_system_can_be_written", For::Rootless, without_root),
    ("a_mount_below_the_system_is_no_hindrance", For::Rootless, crashes::crowded),
    ("the_computer_stays_as_it_is", For::All, isolation::computer),
    ("a_machine_sees_only_its_own", For::All, isolation::privacy),
    ("only_the_right_key_and_user_may_log_in", For::All, logins::refused),
    ("commands_behave_as_over_openssh", For::All, logins::commands),
    ("openssh_itself_gets_commands_and_a_terminal", For::All, logins::openssh),
    ("a_closed_session_ends_its_command", For::All, logins::closed),
    ("a_killed_keeper_takes_the_machine_with_it", For::All, crashes::keeper),
    ("a_creation_killed_anywhere_leaves_one_machine_or_none", For::All, crashes::creation),
    ("a_deletion_that_was_cut_off_is_ended", For::All, crashes::deletion),
    ("a_thin_volume_moves_between_machines_with_its_data", For::All, volumes::thin),
    ("a_volume_in_use_is_not_taken_away", For::All, volumes::busy),
    ("an_attachment_that_was_cut_off_is_ended", For::All, volumes::cut_off),
    ("a_volume_half_deleted_goes_wholly", For::All, volumes::half_deleted),
    ("a_thick_volume_enforces_its_size_and_grows_online", For::Root, volumes::thick),
];

fn boots(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    assert_eq!(host.status, Status::Ready);
    let said = bench.output(&host, "hostname; id -u; echo $HOME $USER $SHELL; pwd");
    assert_eq!(said, "web-0\n0\n/root root /bin/bash\n/root");
    let again = bench.create(&provider, "web-0");
    assert_eq!(again, host, "one token, one machine");
    let found = bench.runtime.block_on(provider.find(&owner("web-0").token)).expect("asked");
    assert_eq!(found.as_ref(), Some(&host));
    let listed = bench.runtime.block_on(provider.list(Kind::Host, None)).expect("listed");
    assert_eq!(listed.objects, std::slice::from_ref(&host));
    drop(provider);

    // Another run of `pool` finds it as it was left.
    let provider = bench.open();
    let found = bench.runtime.block_on(provider.find(&owner("web-0").token)).expect("asked");
    assert_eq!(found, Some(host.clone()));
    assert_eq!(bench.output(&host, "echo still here"), "still here");
    bench.delete(&provider, &host);
    assert_eq!(bench.runtime.block_on(provider.find(&owner("web-0").token)), Ok(None));
    let act = Act::Delete { id: host.id.clone(), kind: Kind::Host };
    assert!(matches!(bench.submit(&provider, request("web-0", act)), Err(ProviderError::NotFound(_))));
}

fn power(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    bench.output(&host, "echo kept > /root/a && echo kept > /etc/b && echo gone > /tmp/c && ln -s /x /usr/local/d");
    // A service that ends well when it is asked to.
    bench.output(&host, "nohup sh -c 'trap \"echo ended > /root/e; exit\" TERM; echo > /root/up; while :; do sleep 0.05; done' >/dev/null 2>&1 &");
    bench.output(&host, "until [ -e /root/up ]; do sleep 0.05; done");
    let power = |on| bench.done(&provider, "web-0", Act::Power { id: host.id.clone(), on });
    let off = power(false);
    assert_eq!((off.status, off.endpoint), (Status::Stopped, None), "an endpoint is where something answers");
    let at = host.endpoint.as_ref().expect("one");
    assert!(std::net::TcpStream::connect((&*at.host, at.port)).is_err());
    assert_eq!(power(false).status, Status::Stopped, "off already");
    assert_eq!(power(true), host, "the same key and address");
    assert_eq!(
        bench.output(&host, "cat /root/a /etc/b /root/e; readlink /usr/local/d; ls /tmp"),
        "kept\nkept\nended\n/x"
    );
    assert_eq!(power(true), host, "on already");
    bench.delete(&provider, &host);
}

fn rebuild(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    bench.output(&host, "touch /root/old /etc/old");
    let act = Act::Rebuild { id: host.id.clone(), to: Box::new(bench.spec()) };
    assert_eq!(bench.done(&provider, "web-0", act), host);
    assert_eq!(bench.output(&host, "ls /root /etc/old 2>/dev/null || true"), "/root:");
    bench.delete(&provider, &host);
}

fn update(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    let mut to = bench.spec();
    let other = crate::ssh::Key::new();
    to.authorized_keys = vec![other.public()];
    to.tags.insert("team".into(), "checkout".into());
    to.size.vcpus = 2;
    let update = |to| Act::Update { id: host.id.clone(), to: Spec::Host(to), host: None };
    let seen = bench.done(&provider, "web-0", update(to.clone()));
    assert_eq!((&seen.spec, &seen.status), (&Spec::Host(to.clone()), &Status::Ready));
    let login = |key| bench.runtime.block_on(crate::ssh::connect(&host, "root", key)).map(drop);
    assert_eq!(login(&bench.key), Err("refused".to_owned()));
    assert_eq!(login(&other), Ok(()));
    to.user = "ops".into();
    let refused = bench.submit(&provider, request("web-0", update(to)));
    assert!(matches!(refused, Err(ProviderError::Invalid { ref field, .. }) if &**field == "user"), "{refused:?}");
    bench.delete(&provider, &host);
}

fn many(bench: &Bench) {
    let provider = bench.open();
    let names: Vec<String> = (0..8).map(|n| format!("web-{n}")).collect();
    let create = |name: &String| request(name, Act::Create(Spec::Host(bench.spec())));
    // Twice in one batch: still one machine for each token.
    let batch = names.iter().chain(&names).map(create).collect();
    let answers = bench.runtime.block_on(provider.submit(batch));
    let hosts: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(Progress::Done(host)) => *host,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(hosts[..8], hosts[8..]);
    for (name, host) in names.iter().zip(&hosts) {
        assert_eq!(&bench.output(host, "hostname"), name);
    }
    let listed = bench.runtime.block_on(provider.list(Kind::Host, None)).expect("listed");
    assert_eq!((listed.objects.len(), listed.next), (8, None));
    let first = bench.runtime.block_on(provider.list(Kind::Host, Some(listed.objects[5].id.clone()))).expect("listed");
    assert_eq!(first.objects, listed.objects[6..]);
    let delete =
        |host: &pool_inventory::object::Observed| request("any", Act::Delete { id: host.id.clone(), kind: Kind::Host });
    let gone = bench.runtime.block_on(provider.submit(hosts[..8].iter().map(delete).collect()));
    assert!(gone.iter().all(|answer| *answer == Ok(Progress::Gone)), "{gone:?}");
}

fn refusals(bench: &Bench) {
    let provider = bench.open();
    let refused = |change: fn(&mut pool_inventory::object::HostSpec), field: &str| {
        let mut spec = bench.spec();
        change(&mut spec);
        match bench.submit(&provider, request("web-0", Act::Create(Spec::Host(spec)))) {
            Err(ProviderError::Invalid { field: named, .. }) => assert_eq!(&*named, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    refused(|spec| spec.image = "debian-12".into(), "image");
    refused(|spec| spec.network = pool_inventory::Name::new("front").ok(), "network");
    refused(|spec| spec.user = "a:b".into(), "user");
    for id in ["m-none", "../..", "", "m-/../x", "v-1"] {
        for kind in [Kind::Host, Kind::Volume, Kind::Network] {
            let answer = bench.submit(&provider, request("web-0", Act::Delete { id: id.into(), kind }));
            assert!(matches!(answer, Err(ProviderError::NotFound(_))), "{id}: {answer:?}");
        }
    }
    let none = "/nonexistent/pool".into();
    let broken = pool_providers::local::LocalProvider::open(
        &crate::bench::name("here"),
        &bench.dir,
        none,
        &std::collections::BTreeMap::new(),
    );
    let answer = bench.submit(&broken.expect("opened"), request("web-0", Act::Create(Spec::Host(bench.spec()))));
    let Err(ProviderError::Other(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("/nonexistent/pool"), "what the log said: {why}");
    assert_eq!(bench.runtime.block_on(provider.find(&owner("web-0").token)), Ok(None), "an error leaves nothing");

    let odd = Owner { token: Token("../../odd token".into()), ..owner("web-0") };
    let made = bench.submit(
        &provider,
        pool_providers::Request { owner: odd, name: "odd".into(), act: Act::Create(Spec::Host(bench.spec())) },
    );
    let Ok(Progress::Done(host)) = made else { panic!("{made:?}") };
    bench.delete(&provider, &host);
}

fn market(bench: &Bench) {
    let provider = bench.open();
    let market = bench.runtime.block_on(provider.market()).expect("asked");
    let offering = &market.offerings[0];
    assert!(offering.elastic && offering.size.vcpus > 0 && offering.size.memory.0 > 0, "{offering:?}");
    assert!(market.images.contains("host"));
    assert_eq!(&*market.backends[0].name, "here/dir");
    let features = provider.capabilities().features;
    let root = crate::bench::has_root();
    for feature in [Feature::Users, Feature::Owners, Feature::EnforcedSize] {
        assert_eq!(features.contains(&feature), root, "{feature:?}");
    }
    assert!(features.contains(&Feature::Mounts));
    for feature in [Feature::Services, Feature::Sysctl, Feature::Networks] {
        assert!(!features.contains(&feature), "{feature:?}");
    }
}

fn with_root(bench: &Bench) {
    let provider = bench.open();
    let mut spec = bench.spec();
    spec.user = "ops".into();
    let host = bench.done(&provider, "web-0", Act::Create(Spec::Host(spec)));
    let (status, out, err) =
        bench.exec_as(&host, "ops", "id -un; echo $HOME; touch ~/mine && stat -c %U ~/mine; cat /etc/shadow");
    assert_eq!((status, out.as_str()), (1, "ops\n/home/ops\nops\n"), "{err}");
    bench.delete(&provider, &host);

    let host = bench.create(&provider, "web-1");
    bench.output(&host, "useradd -m ann && touch /srv/x && chown ann:ann /srv/x && stat -c %U /srv/x");
    assert_eq!(bench.output(&host, "su ann -c 'id -un; cat /etc/shadow' 2>/dev/null || true"), "ann");
    let package = "mkdir -p /root/p/DEBIAN /root/p/usr/share/little && echo hi > /root/p/usr/share/little/f && \
        printf 'Package: little\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@example.net>\\nDescription: x\\n' > /root/p/DEBIAN/control && \
        dpkg-deb --build /root/p /root/p.deb >/dev/null && dpkg -i /root/p.deb >/dev/null && dpkg -s little | grep Status";
    assert_eq!(bench.output(&host, package), "Status: install ok installed");
    assert!(!std::path::Path::new("/usr/share/little").exists(), "the computer has it not");
    bench.delete(&provider, &host);
}

fn without_root(bench: &Bench) {
    let provider = bench.open();
    let host = bench.create(&provider, "web-0");
    let write = "echo hello > /etc/motd.new && mv /etc/motd.new /etc/motd && cat /etc/motd && mkdir -p /etc/ssh/more /var/lib/app /opt/app /srv/app \
        && echo x > /etc/cron.d/app && echo y > /usr/local/bin/app && rm /etc/motd && test ! -e /etc/motd && echo done";
    assert_eq!(bench.output(&host, write), "hello\ndone");
    bench.delete(&provider, &host);
    // Whatever the login is called, it is the one user that there is.
    let mut spec = bench.spec();
    spec.user = "ops".into();
    let host = bench.done(&provider, "web-1", Act::Create(Spec::Host(spec)));
    let (status, out, err) =
        bench.exec_as(&host, "ops", "id -u; id -un; id -gn; echo $HOME; touch ~/x && stat -c %U ~/x; chown ops ~/x");
    assert_eq!((status, out.as_str()), (0, "0\nroot\nroot\n/root\nroot\n"), "{err}");
    bench.delete(&provider, &host);
}
