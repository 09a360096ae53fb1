//! Ctrl-C and SIGTERM, as a run takes them.

use pool_engine::ops::Interrupts;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{CliError, ExitCode};

/// Both signals that mean "stop".
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on these signals no longer end the program by themselves.
    pub fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|error| CliError::new(ExitCode::Failed, "cannot listen for signals").cause(error))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// The first signal: start nothing new. The second: cancel what runs. The third ends this future.
    pub async fn drive(&mut self, interrupts: &Interrupts) {
        self.next().await;
        interrupts.soft.cancel();
        self.next().await;
        interrupts.hard.cancel();
        self.next().await;
    }
}
