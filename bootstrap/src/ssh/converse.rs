//! A conversation with a shell on the host, over one session.

use std::{borrow::Cow, future::Future, pin::Pin, time::Duration};

use async_trait::async_trait;
use pool_inventory::Text;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, client::Msg};
use tokio::time::{Instant, sleep_until, timeout};

use super::{SshError, SshLink, channel::signal};
use crate::link::{Dialogue, Exit, Flow, Link, LinkError, Next, upload::Upload};

/// Sent at once at most; a packet of SSH.
const CHUNK: usize = 32 << 10;

/// After a command ended, what it started may hold its output open; it is not waited for.
const GRACE: Duration = Duration::from_secs(2);

/// `exec` spares a process; the words mean the same in every login shell.
const SHELL: &str = "exec sh -s";
const SUDO: &str = "exec sudo -n sh -s";

#[async_trait]
impl Link for SshLink {
    fn at(&self) -> Text {
        self.at.clone()
    }

    fn sessions(&self) -> u32 {
        SshLink::sessions(self)
    }

    async fn converse(&mut self, talk: &mut dyn Dialogue) -> Result<Exit, LinkError> {
        let mut first = Vec::new();
        let mut shell = match self.shell.take() {
            Some(shell) if shell.sudo == talk.sudo() => shell,
            other => {
                drop(other);
                let command = opening(talk, &mut first);
                self.shell(talk.sudo(), &command).await?
            }
        };
        let mut state =
            Conversation { talk, first, exit: Exit::default(), ended: false, over: false, eof: false, done: false };
        let result = state.run(&mut shell.read, &shell.write, &self.at).await;
        if state.done && !state.ended {
            self.shell = Some(shell);
        } else if !state.over {
            let _ = timeout(Duration::from_secs(1), shell.write.close()).await;
        }
        result.map(|()| state.exit)
    }

    async fn upload(&mut self, upload: Upload<'_>) -> Result<(Exit, Vec<String>), LinkError> {
        super::upload::upload(self, upload).await
    }
}

/// A shell on the host that reads what it shall do from its input.
pub(super) struct Shell {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    sudo: bool,
}

/// The command that starts a shell. What it is told first travels with it where it can, else it is put into `first`: a
/// server takes input only after the shell has been started, which is a round trip later.
fn opening(talk: &mut dyn Dialogue, first: &mut Vec<u8>) -> Cow<'static, str> {
    if talk.sudo() {
        return SUDO.into();
    }
    if let Next::Say(say) = talk.next() {
        if let Some(line) = say.one_line() {
            return format!("exec sh -c '{line} {SHELL}'").into();
        }
        say.script(first);
    }
    SHELL.into()
}

impl SshLink {
    async fn shell(&self, sudo: bool, command: &str) -> Result<Shell, SshError> {
        let channel = self.channel().await?;
        let started = timeout(self.deadlines.session, channel.exec(false, command)).await;
        let closed = |source| SshError::Closed { at: self.at.clone(), source };
        started.map_err(|_| closed(None))?.map_err(|error| closed(Some(error)))?;
        let (read, write) = channel.split();
        Ok(Shell { read, write, sudo })
    }
}

struct Conversation<'a> {
    talk: &'a mut dyn Dialogue,
    /// What was said already, and is to be sent.
    first: Vec<u8>,
    exit: Exit,
    /// Our input has ended.
    ended: bool,
    /// The channel is closed.
    over: bool,
    /// The host's output has ended.
    eof: bool,
    /// All is said and heard, and the shell waits for more.
    done: bool,
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), russh::Error>> + Send + 'a>>;

impl Conversation<'_> {
    async fn run(
        &mut self,
        read: &mut ChannelReadHalf,
        write: &ChannelWriteHalf<Msg>,
        at: &Text,
    ) -> Result<(), LinkError> {
        let mut sending: Option<Sending<'_>> = None;
        let mut heard = Instant::now();
        loop {
            if sending.is_none() && !self.ended {
                sending = self.more(write);
            }
            let patience = if self.exited() { GRACE } else { self.talk.patience() };
            tokio::select! {
                message = read.wait() => {
                    heard = Instant::now();
                    match self.hear(message, at)? {
                        Flow::Go => {}
                        Flow::Stop => return Ok(()),
                        Flow::Done => {
                            // What was answered was sent; only our own side may not have noticed yet.
                            let rest = timeout(Duration::from_secs(1), finish_all(&mut sending)).await;
                            self.done = matches!(rest, Ok(Ok(())));
                            return Ok(());
                        }
                    }
                }
                sent = finish(&mut sending) => {
                    sending = None;
                    // A host that closed its input tells why in its exit status.
                    self.ended |= sent.is_err();
                }
                () = sleep_until(heard + patience) => {
                    if self.exited() {
                        return Ok(());
                    }
                    return Err(LinkError::Silent { at: at.clone(), after: patience });
                }
            }
        }
    }

    fn exited(&self) -> bool {
        self.exit != Exit::default()
    }

    /// Collects what is to be said now into one message.
    fn more<'w>(&mut self, write: &'w ChannelWriteHalf<Msg>) -> Option<Sending<'w>> {
        let mut bytes = std::mem::take(&mut self.first);
        while bytes.len() < CHUNK {
            match self.talk.next() {
                Next::Say(say) => say.script(&mut bytes),
                Next::Wait => break,
                Next::End => {
                    self.ended = true;
                    break;
                }
            }
        }
        let end = self.ended;
        if bytes.is_empty() && !end {
            return None;
        }
        Some(Box::pin(async move {
            if !bytes.is_empty() {
                write.data_bytes(bytes).await?;
            }
            if end { write.eof().await } else { Ok(()) }
        }))
    }

    fn hear(&mut self, message: Option<ChannelMsg>, at: &Text) -> Result<Flow, LinkError> {
        let flow = match message {
            Some(ChannelMsg::Data { data }) => self.talk.stdout(&data),
            Some(ChannelMsg::ExtendedData { data, .. }) => self.talk.stderr(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                self.exit.status = Some(exit_status);
                self.settled()
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.exit.signal = Some(signal(&signal_name));
                self.settled()
            }
            Some(ChannelMsg::Eof) => {
                self.eof = true;
                self.settled()
            }
            Some(ChannelMsg::Close) => {
                self.over = true;
                Flow::Stop
            }
            Some(_) => Flow::Go,
            None if self.exited() => {
                self.over = true;
                Flow::Stop
            }
            None => return Err(SshError::Closed { at: at.clone(), source: None }.into()),
        };
        Ok(flow)
    }

    /// Everything was heard once the output and the command have both ended.
    fn settled(&self) -> Flow {
        if self.eof && self.exited() { Flow::Stop } else { Flow::Go }
    }
}

/// Goes on sending; pending for ever when there is nothing to send.
async fn finish(sending: &mut Option<Sending<'_>>) -> Result<(), russh::Error> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

/// Goes on sending until nothing is left.
async fn finish_all(sending: &mut Option<Sending<'_>>) -> Result<(), russh::Error> {
    match sending {
        Some(sending) => sending.await,
        None => Ok(()),
    }
}
