//! What the words do in real shells.

use std::process;

use pool_inventory::{
    FileMode,
    desired::{BootstrapSpec, DirectorySpec, FileSource, FileSpec, ServiceSpec},
};

use super::*;

/// What `me` makes of the words of `id`.
fn me(id: &str) -> String {
    let show = r#"printf '%s|%s|%s|%s' "$uid" "$own_user" "$gid" "$own_group""#;
    let script = format!("{START}\nid() {{ echo {}; }}\nme\n{show}", quote(id));
    let answers = ["sh", "bash"].map(|shell| {
        let out = process::Command::new(shell).args(["-c", &script]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().lines().last().unwrap().to_owned()
    });
    assert_eq!(answers[0], answers[1]);
    answers[0].clone()
}

/// A folder, and in `bin` programs that note their names in `ran` before they do what they do.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("bin")).unwrap();
        std::fs::create_dir(place.path("etc")).unwrap();
        for name in ["mktemp", "mkdir", "chown", "chmod", "mv", "rmdir", "rm", "sync", "id", "stat", "sha256sum"] {
            let note =
                format!("#!/bin/sh\necho {name} >>{}\nPATH=/usr/bin:/bin\nexec {name} \"$@\"\n", place.path("ran"));
            place.program(name, &note);
        }
        place
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(&format!("bin/{name}"));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0.path().display())
    }

    fn file(&self, name: &str, content: &str) -> Command {
        let facts = us();
        let (owner, group) = (facts.user.to_string(), facts.gid.to_string());
        let path = self.path(&format!("etc/{name}")).into();
        let act = Act::File { path, content: content.into(), mode: FileMode(0o640), owner, group };
        Command::new(name.into(), String::new(), act, Duration::from_secs(60))
    }

    /// What a shell answers to these files, and which programs it ran.
    fn write(&self, shell: &str, files: &[Command]) -> (String, String) {
        let facts = us();
        let mut script = Vec::new();
        Say::ActHead { who: Some(&facts), mark: 7 }.script(&mut script);
        Say::Files { number: 3, commands: &files.iter().collect::<Vec<_>>() }.script(&mut script);
        Say::ActEnd { leave: false }.script(&mut script);
        self.run(shell, &script)
    }

    /// What a shell answers to these probes, and which programs it ran.
    fn probe(&self, shell: &str, items: &[Command]) -> (String, String) {
        let facts = us();
        let mut script = Vec::new();
        Say::ProbeHead { who: Some(&facts), lazy: false }.script(&mut script);
        Say::Glance(items).script(&mut script);
        for (n, item) in items.iter().enumerate() {
            Say::Probe(n, item).script(&mut script);
        }
        Say::ProbeEnd.script(&mut script);
        self.run(shell, &script)
    }

    fn run(&self, shell: &str, script: &[u8]) -> (String, String) {
        let head = format!("PATH={}:$PATH\n", self.path("bin"));
        std::fs::write(self.path("script"), [head.as_bytes(), script].concat()).unwrap();
        let out = process::Command::new(shell).arg(self.path("script")).output().unwrap();
        let answers = String::from_utf8(out.stdout).unwrap().replace('\n', ";");
        let ran = std::fs::read_to_string(self.path("ran")).unwrap_or_default().replace('\n', " ");
        let _ = std::fs::remove_file(self.path("ran"));
        (answers, ran)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("etc")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn us() -> Facts {
    let id = |what| {
        let out = process::Command::new("id").arg(what).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let (uid, gid) = (id("-u").parse().unwrap(), id("-g").parse().unwrap());
    Facts { uid, gid, user: id("-un").into(), group: id("-gn").into(), ..Facts::default() }
}

#[test]
fn files_of_a_folder_take_their_places_together() {
    for shell in ["sh", "bash"] {
        let place = Place::new();
        let odd = "it's $(odd) \n";
        let files = [place.file("-a", "1"), place.file(odd, "2\n"), place.file("c", "")];
        let (answers, ran) = place.write(shell, &files);
        assert_eq!(answers, "pool start;B 3;E 3 changed;B 4;E 4 changed;B 5;E 5 changed;Z;");
        assert_eq!(ran, "mktemp mktemp chmod mv rmdir sync rm ", "{shell}");
        assert_eq!(place.names(), ["-a", "c", odd]);
        for (name, content) in [("-a", "1"), (odd, "2\n"), ("c", "")] {
            let path = place.path(&format!("etc/{name}"));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o7777, 0o640);
        }
    }
}

#[test]
fn the_file_that_cannot_be_written_is_named_and_those_before_it_are_there() {
    for shell in ["sh", "bash"] {
        let place = Place::new();
        std::fs::create_dir(place.path("etc/b")).unwrap();
        let files = [place.file("a", "1"), place.file("b", "2"), place.file("c", "3")];
        assert_eq!(place.write(shell, &files).0, "pool start;B 3;E 3 changed;B 4;F 4 1;");
        assert_eq!(place.names(), ["a", "b"], "{shell}: nothing else is left");

        let place = Place::new();
        let files = [place.file("a", "1"), place.file(&"b".repeat(300), "2"), place.file("c", "3")];
        assert_eq!(place.write(shell, &files).0, "pool start;B 3;E 3 changed;B 4;F 4 1;");
        assert_eq!(place.names(), ["a"], "{shell}");

        let place = Place::new();
        std::fs::remove_dir(place.path("etc")).unwrap();
        std::fs::write(place.path("etc"), "a file").unwrap();
        assert_eq!(place.write(shell, &[place.file("a", "1")]).0, "pool start;B 3;F 3 1;");
    }
}

#[test]
fn files_of_others_are_given_to_them() {
    let place = Place::new();
    let mut file = place.file("a", "1");
    let Act::File { owner, .. } = &mut file.act else { unreachable!() };
    *owner = "4".into();
    let (answers, ran) = place.write("sh", &[file]);
    let may = us().uid == 0;
    assert_eq!(answers, if may { "pool start;B 3;E 3 changed;Z;" } else { "pool start;B 3;F 3 1;" });
    assert!(ran.contains("chown"), "{ran}");
    if may {
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(place.path("etc/a")).unwrap());
        assert_eq!(owner, 4);
    }
}

#[test]
fn who_we_are_is_read_from_one_process() {
    assert_eq!(me("uid=0(root) gid=0(root) groups=0(root),4(adm)"), "0|root|0|root");
    assert_eq!(me("uid=1000(joe) gid=99(domain users) groups=99(domain users)"), "1000|joe|99|domain users");
    assert_eq!(me("uid=1000 gid=0 euid=5(x) egid=6(root) groups=0(root)"), "1000|1000|0|0");
    assert_eq!(me("uid=7(a b) gid=8(c) context=system_u:object_r(s0)"), "7|a b|8|c");
}

#[test]
fn files_and_directories_are_looked_at_together() {
    for shell in ["sh", "bash"] {
        let place = Place::new();
        let mut spec = BootstrapSpec::default();
        let names = ["a", "back\\slash", "line\nbreak", "changed", "rights", "gone", "link"];
        for name in names {
            let path = place.path(&format!("etc/{name}"));
            std::fs::write(&path, "x").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
            std::fs::set_permissions(&path, mode).unwrap();
            let source = FileSource::Content("x".into());
            let file = FileSpec { source, mode: FileMode(0o640), owner: None, group: None };
            spec.files.insert(path.into(), file);
        }
        let directory = DirectorySpec { mode: FileMode(0o755), owner: None, group: None };
        spec.directories.insert(place.path("etc").into(), directory);
        let want = crate::render(&spec, &|_| Ok::<_, std::fmt::Error>(String::new())).unwrap();
        let items = crate::phases::commands(&us(), &want).unwrap();
        let answers = (0..8).map(|n| format!("P {n} ok;")).collect::<String>();
        assert_eq!(place.probe(shell, &items), (format!("pool start;{answers}P end;"), "stat sha256sum ".into()));

        std::fs::write(place.path("etc/changed"), "y").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(place.path("etc/rights"), mode).unwrap();
        std::fs::remove_file(place.path("etc/gone")).unwrap();
        std::fs::remove_file(place.path("etc/link")).unwrap();
        std::os::unix::fs::symlink(place.path("etc/a"), place.path("etc/link")).unwrap();
        let (answers, ran) = place.probe(shell, &items);
        let expected = "pool start;P 0 ok;P 1 ok;P 2 ok;P 3 differs content;P 4 missing;".to_owned()
            + "P 5 ok;P 6 differs is a symbolic link;P 7 differs mode 600, not 640;P end;";
        assert_eq!((answers.as_str(), ran.as_str()), (expected.as_str(), "stat sha256sum "), "{shell}");
    }
}

#[test]
fn services_are_looked_at_together() {
    for shell in ["sh", "bash"] {
        let place = Place::new();
        // As systemctl does it: `is-enabled` ends at the first unit that is not there.
        let systemctl = format!(
            "#!/bin/sh\necho $1 >>{}\nverb=$1; shift\nfor u in \"$@\"; do case $verb$u in\n\
             is-enabledgone*) exit 1;; is-enabled*) echo enabled;;\n\
             is-activegone*) echo inactive;; is-activeoff*) echo inactive;; *) echo active;; esac; done\n",
            place.path("ran")
        );
        place.program("systemctl", &systemctl);
        let answer = |names: &[&str]| {
            let mut spec = BootstrapSpec::default();
            for name in names {
                spec.services.insert((*name).into(), ServiceSpec { enabled: true, running: true });
            }
            let want = crate::render(&spec, &|_| Ok::<_, std::fmt::Error>(String::new())).unwrap();
            let facts = Facts { init: "systemd".into(), ..us() };
            place.probe(shell, &crate::phases::commands(&facts, &want).unwrap())
        };
        let (answers, ran) = answer(&["a", "b", "off"]);
        assert!(answers.starts_with("pool start;P 0 ok;P 1 ok;P 2 differs not running (inactive);"), "{answers}");
        assert_eq!(ran, "is-enabled is-active ", "{shell}");
        let (answers, ran) = answer(&["a", "gone"]);
        assert!(
            answers.contains("P 0 ok;P 1 differs not enabled (no such unit); not running (inactive);"),
            "{answers}"
        );
        assert_eq!(
            ran, "is-enabled is-active is-enabled is-enabled ",
            "{shell}: each for itself where one is not there"
        );
    }
}

/// A command names functions as text: what no library has would only be missed on a host.
#[test]
fn functions_that_commands_call_exist() {
    let all = [MOUNTS, ARTIFACTS, CONTAINERS, KUBERNETES, SWARM, PROBE_HEAD, ACT_HEAD, COMMON].concat();
    let mut called = std::collections::BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for start in ["\"probe_", "\"act_", "\"ask_"] {
                    called.extend(text.match_indices(start).filter_map(|(at, _)| {
                        let word = text[at + 1..].split(|c: char| !c.is_ascii_lowercase() && c != '_').next()?;
                        (!word.ends_with('_')).then(|| word.to_owned())
                    }));
                }
            }
        }
    }
    let missing: Vec<&String> = called.iter().filter(|name| !all.contains(&format!("\n{name}()"))).collect();
    assert!(called.len() > 40 && missing.is_empty(), "of {} functions no script has {missing:?}", called.len());
}
