//! Long flags with a single dash, as Terraform's users type them: `-out=FILE`, `-auto-approve`.

use std::{collections::BTreeSet, ffi::OsString};

use clap::Command;

/// `argv` with `-name` and `-name=value` turned into `--name` wherever `name` is a long flag of `pool`.
///
/// What follows `--` is left alone, and so is a cluster of short flags such as `-qy`.
pub fn normalise(argv: Vec<OsString>, command: &Command) -> Vec<OsString> {
    if !argv.iter().any(|arg| candidate(arg).is_some()) {
        return argv;
    }
    let longs = long_flags(command);
    let mut open = true;
    let rewrite = |arg: OsString| {
        open &= arg != "--";
        match candidate(&arg) {
            Some(name) if open && longs.contains(name) => {
                let mut long = OsString::from("-");
                long.push(&arg);
                long
            }
            _ => arg,
        }
    };
    argv.into_iter().map(rewrite).collect()
}

/// The name in `-name` or `-name=value`, if it is longer than one letter.
fn candidate(arg: &OsString) -> Option<&str> {
    let body = arg.to_str()?.strip_prefix('-')?;
    let name = body.split('=').next().unwrap_or(body);
    (name.len() > 1 && !name.starts_with('-')).then_some(name)
}

fn long_flags(command: &Command) -> BTreeSet<String> {
    let mut longs: BTreeSet<String> = ["help", "version"].map(str::to_owned).into();
    for arg in command.get_arguments() {
        longs.extend(arg.get_long().map(str::to_owned));
        longs.extend(arg.get_all_aliases().into_iter().flatten().map(str::to_owned));
    }
    longs.extend(command.get_subcommands().flat_map(long_flags));
    longs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(line: &str) -> String {
        let argv = line.split(' ').map(OsString::from).collect();
        let argv = normalise(argv, &crate::parse::command());
        argv.join(&OsString::from(" ")).into_string().expect("the test's words are text")
    }

    #[test]
    fn flags_of_terraform_become_ours() {
        assert_eq!(
            rewritten("pool -chdir=x plan -out=p -destroy -target=host/a -detailed-exitcode -lock-timeout=5m"),
            "pool --chdir=x plan --out=p --destroy --target=host/a --detailed-exitcode --lock-timeout=5m"
        );
        assert_eq!(
            rewritten("pool apply -auto-approve -json -input=false -parallelism 3"),
            "pool apply --auto-approve --json --input=false --parallelism 3"
        );
        assert_eq!(rewritten("pool fmt -check -help"), "pool fmt --check --help");
    }

    #[test]
    fn short_flags_and_words_after_two_dashes_stay() {
        for line in [
            "pool plan -qy -ofile -C dir",
            "pool exec web -- ls -json -out=x",
            "pool plan --out=x",
            "pool state push -",
        ] {
            assert_eq!(rewritten(line), line);
        }
    }
}
