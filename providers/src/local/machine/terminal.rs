//! Pseudo-terminals.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{OFlags, fchown, fcntl_setfl},
    process::Uid,
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::io::unix::AsyncFd;

/// Our end of a pseudo-terminal.
pub(super) struct Terminal(AsyncFd<OwnedFd>);

/// Columns and rows as SSH has them, in the kernel's form.
pub(super) fn window(columns: u32, rows: u32) -> Winsize {
    let small = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    Winsize { ws_col: small(columns), ws_row: small(rows), ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// Opens a pair; the other end is for the session of the user.
    pub(super) fn open(size: Winsize, owner: u32) -> io::Result<(Self, File)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        fchown(&theirs, Some(Uid::from_raw(owner)), None)?;
        tcsetwinsize(&ours, size)?;
        fcntl_setfl(&ours, OFlags::NONBLOCK | OFlags::RDWR)?;
        #[expect(
            deprecated,
            reason = "an owned descriptor stays the same one, which is all that its successor asks for"
        )]
        let ours = AsyncFd::new(ours)?;
        Ok((Self(ours), File::from(theirs)))
    }

    /// Tells the session that the window has another size.
    pub(super) fn resize(&self, size: Winsize) -> io::Result<()> {
        Ok(tcsetwinsize(self.0.as_fd(), size)?)
    }

    /// Reads what was shown; 0: everybody has closed the other end.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *buffer)?)) {
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => return Ok(0),
                Ok(done) => return done,
                Err(_would_block) => {}
            }
        }
    }

    /// Writes what was typed, or the first part of it.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.writable().await?;
            if let Ok(done) = ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                return done;
            }
        }
    }
}
