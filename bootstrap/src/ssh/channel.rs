//! Sessions for people: a shell with a terminal, or a command whose output is streamed.

use std::{sync::atomic::Ordering, time::Duration};

use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::time::timeout;

use super::{SshError, SshLink};
use crate::link::{Exit, LinkError};

/// A terminal for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pty {
    /// What `TERM` is there.
    pub term: String,
    /// Width in characters.
    pub columns: u32,
    /// Height in lines.
    pub rows: u32,
}

/// A running session.
pub struct Session {
    /// What comes from the host.
    pub reader: SessionReader,
    /// What goes there.
    pub writer: SessionWriter,
}

/// What comes from the host in a session.
pub struct SessionReader {
    read: ChannelReadHalf,
    exit: Exit,
}

/// What goes to the host in a session.
pub struct SessionWriter {
    write: ChannelWriteHalf<Msg>,
    at: pool_inventory::Text,
}

/// Which output of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Something that comes from the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Standard output.
    Out(Vec<u8>),
    /// Standard error.
    Err(Vec<u8>),
    /// The command ended, and nothing more comes.
    End(Exit),
}

impl SshLink {
    /// Opens a channel; bounded by the link's deadlines.
    pub(super) async fn channel(&self) -> Result<Channel<Msg>, SshError> {
        let at = self.at.clone();
        let after = self.deadlines.session;
        let opened = timeout(after, self.handle.channel_open_session()).await.map_err(|_| SshError::TimedOut {
            at: at.clone(),
            doing: "opening a session",
            after,
        })?;
        self.sessions.fetch_add(1, Ordering::Relaxed);
        opened.map_err(|source| match source {
            russh::Error::ChannelOpenFailure(_) => SshError::Refused { at, source },
            source => SshError::Closed { at, source: Some(source) },
        })
    }

    /// Starts `command`, or a login shell, with or without a terminal.
    ///
    /// Bytes pass through unchanged in both directions; who shows them cleans them. Many sessions may run at once.
    pub async fn open(&self, command: Option<&str>, pty: Option<&Pty>) -> Result<Session, SshError> {
        let channel = self.channel().await?;
        let started = async {
            if let Some(pty) = pty {
                channel.request_pty(false, &pty.term, pty.columns, pty.rows, 0, 0, &[]).await?;
            }
            match command {
                Some(command) => channel.exec(false, command).await,
                None => channel.request_shell(false).await,
            }
        };
        let after = self.deadlines.session;
        let doing = "starting a session";
        timeout(after, started)
            .await
            .map_err(|_| SshError::TimedOut { at: self.at.clone(), doing, after })?
            .map_err(|source| SshError::Closed { at: self.at.clone(), source: Some(source) })?;
        let (read, write) = channel.split();
        Ok(Session {
            reader: SessionReader { read, exit: Exit::default() },
            writer: SessionWriter { write, at: self.at.clone() },
        })
    }

    /// Runs `command` without input; `on` gets its output as it comes.
    ///
    /// After `limit` the session is closed and [`LinkError::Silent`] returned. The limit is for all of it, not for a silence.
    pub async fn exec(
        &self,
        command: &str,
        limit: Duration,
        on: &mut (dyn FnMut(Stream, &[u8]) + Send),
    ) -> Result<Exit, LinkError> {
        let mut session = self.open(Some(command), None).await?;
        session.writer.end().await?;
        let until = tokio::time::Instant::now() + limit;
        loop {
            // What a command started may hold its output open after it ended.
            let until = if session.reader.exit == Exit::default() { until } else { until.min(soon()) };
            match tokio::time::timeout_at(until, session.reader.step()).await {
                Ok(Some(Event::Out(bytes))) => on(Stream::Out, &bytes),
                Ok(Some(Event::Err(bytes))) => on(Stream::Err, &bytes),
                Ok(Some(Event::End(exit))) if exit == Exit::default() => {
                    return Err(SshError::Closed { at: self.at.clone(), source: None }.into());
                }
                Ok(Some(Event::End(exit))) => return Ok(exit),
                Ok(None) => {}
                Err(_) => {
                    let _ = timeout(Duration::from_secs(1), session.writer.close()).await;
                    return match session.reader.exit {
                        exit if exit != Exit::default() => Ok(exit),
                        _ => Err(LinkError::Silent { at: self.at.clone(), after: limit }),
                    };
                }
            }
        }
    }
}

fn soon() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(2)
}

impl SessionReader {
    /// What comes next. Safe to cancel: nothing is lost when this is dropped while it waits.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.step().await {
                return event;
            }
        }
    }

    /// One message, which is an event or not.
    async fn step(&mut self) -> Option<Event> {
        match self.read.wait().await {
            Some(ChannelMsg::Data { data }) => return Some(Event::Out(data.to_vec())),
            Some(ChannelMsg::ExtendedData { data, .. }) => return Some(Event::Err(data.to_vec())),
            Some(ChannelMsg::ExitStatus { exit_status }) => self.exit.status = Some(exit_status),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => self.exit.signal = Some(signal(&signal_name)),
            Some(ChannelMsg::Close) | None => return Some(Event::End(self.exit.clone())),
            Some(_) => {}
        }
        None
    }
}

/// The name of a signal without `SIG`.
pub(super) fn signal(signal: &russh::Sig) -> String {
    let name = match signal {
        russh::Sig::Custom(name) => name.clone(),
        other => format!("{other:?}"),
    };
    crate::clean::line(name.as_bytes())
}

impl SessionWriter {
    fn closed(&self, source: russh::Error) -> SshError {
        SshError::Closed { at: self.at.clone(), source: Some(source) }
    }

    /// Sends input; waits while the host does not read.
    pub async fn write(&self, bytes: Vec<u8>) -> Result<(), SshError> {
        self.write.data_bytes(bytes).await.map_err(|error| self.closed(error))
    }

    /// Says that the terminal has another size now.
    pub async fn resize(&self, columns: u32, rows: u32) -> Result<(), SshError> {
        self.write.window_change(columns, rows, 0, 0).await.map_err(|error| self.closed(error))
    }

    /// Ends the input.
    pub async fn end(&self) -> Result<(), SshError> {
        self.write.eof().await.map_err(|error| self.closed(error))
    }

    /// Ends the session.
    pub async fn close(&self) -> Result<(), SshError> {
        self.write.close().await.map_err(|error| self.closed(error))
    }
}
