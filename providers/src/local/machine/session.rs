//! The process that becomes the user, and then what the user asked for.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use rustix::{
    process::{Gid, Signal as Sig, Uid},
    thread::{set_thread_gid, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use tokio::signal::unix::{Signal, SignalKind};

use super::{Doing, Fault, log, users, users::User};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What OpenSSH answers when a command cannot be started.
const NOT_STARTED: u8 = 255;

/// Process `session`: a shell of the user, or one command through it; returns only when that fails.
pub(super) fn run(user: &OsString, terminal: bool, command: Option<&OsString>) -> ExitCode {
    let fault = match become_user(&user.to_string_lossy(), terminal) {
        Ok(user) => {
            if command.is_none() && terminal {
                greet();
            }
            match hear_signals() {
                Ok(_heard) => {
                    let error = shell(&user, command).exec();
                    Fault::new(format!("starting {}", user.shell), error)
                }
                Err(fault) => fault,
            }
        }
        Err(fault) => fault,
    };
    log(&fault.chain());
    ExitCode::from(NOT_STARTED)
}

fn become_user(name: &str, terminal: bool) -> Result<User, Fault> {
    // A session of its own, so that a signal reaches all that the command starts, and only that.
    rustix::process::setsid().doing(|| "starting a session".into())?;
    if terminal {
        rustix::process::ioctl_tiocsctty(io::stdin()).doing(|| "taking the terminal".into())?;
    }
    let user = users::find(name)?;
    let what = || format!("becoming user {name}");
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match set_thread_groups(&groups) {
        // Without root there is one user and one group, and the kernel lets nobody change that.
        Err(rustix::io::Errno::PERM) if user.uid == 0 => {}
        done => done.doing(what)?,
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_gid(gid).doing(what)?;
    set_thread_res_gid(gid, gid, gid).doing(what)?;
    set_thread_res_uid(uid, uid, uid).doing(what)?;
    if env::set_current_dir(&user.home).is_err() {
        env::set_current_dir("/").doing(|| "entering /".into())?;
    }
    Ok(user)
}

/// Undoes what whoever started the machine has ignored: a shell cannot trap a signal that was ignored before it, and
/// what runs in the background of a script, or under `nohup`, ignores the signals of a terminal.
///
/// A signal that is heard becomes one that has its default effect when the process becomes another program.
fn hear_signals() -> Result<Vec<Signal>, Fault> {
    let what = || "hearing signals".to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().doing(what)?;
    let _inside = runtime.enter();
    let terminal = [Sig::HUP, Sig::INT, Sig::QUIT, Sig::TERM, Sig::TSTP, Sig::TTIN, Sig::TTOU];
    let all = terminal.into_iter().chain([Sig::ALARM, Sig::CHILD, Sig::USR1, Sig::USR2]);
    all.map(|signal| tokio::signal::unix::signal(SignalKind::from_raw(signal.as_raw())).doing(what)).collect()
}

fn shell(user: &User, command: Option<&OsString>) -> Command {
    let mut shell = Command::new(&user.shell);
    shell.env("HOME", &user.home).env("USER", &user.name).env("LOGNAME", &user.name);
    shell.env("SHELL", &user.shell).env("PATH", PATH);
    match command {
        Some(command) => shell.arg("-c").arg(command),
        None => shell.arg0(format!("-{}", user.shell.rsplit('/').next().unwrap_or("sh"))),
    };
    shell
}

fn greet() {
    if let Ok(mut motd) = fs::File::open("/etc/motd") {
        let _ = io::copy(&mut motd, &mut io::stdout());
    }
}
