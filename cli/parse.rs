//! From the words of the command line to [`Cli`].

use std::ffi::OsString;

use clap::{Command, CommandFactory, FromArgMatches};

use crate::{args::Cli, argv};

/// The command line's description. Variables of flags are not repeated at each flag: one sentence tells the rule.
pub fn command() -> Command {
    quieten(Cli::command())
}

fn quieten(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env(true)).mut_subcommands(quieten)
}

/// Reads the command line.
pub fn parse(argv: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let argv = argv::normalise(argv, &command);
    let matches = command.try_get_matches_from_mut(argv)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        fn walk(command: &Command) {
            for arg in command.get_arguments() {
                let Some(long) = arg.get_long().filter(|long| *long != "help") else { continue };
                let wanted = format!("POOL_{}", long.replace('-', "_").to_uppercase());
                let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
                assert_eq!(env, Some(wanted), "--{long} of {}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&command());
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        for sub in command().get_subcommands() {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
            let example = sub.get_after_help().is_some_and(|text| text.to_string().contains("Example"));
            assert!(example || sub.get_name() == "version", "{} shows no example", sub.get_name());
        }
    }
}
