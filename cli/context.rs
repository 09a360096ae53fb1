//! What every command gets.

use std::{collections::BTreeMap, future::Future, time::Duration};

use pool_engine::ops::{Environment, OpenRequest};

use crate::{
    args::Global,
    error::{CliError, ExitCode},
    ui::Ui,
};

/// What a command ends with.
pub type Outcome = Result<ExitCode, CliError>;

/// Flags of every command, and the one place that writes.
pub struct Context {
    /// Flags of every command.
    pub flags: Global,
    /// The one place that writes.
    pub ui: Ui,
}

impl Context {
    /// From the flags of every command.
    pub fn new(flags: Global) -> Result<Self, CliError> {
        let ui = Ui::new(&flags)?;
        Ok(Self { flags, ui })
    }

    /// Runs `work` to its end. The runtime exists only for commands that need one.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            CliError::new(ExitCode::Failed, "cannot start the threads that do the work").cause(error)
        })?;
        let result = runtime.block_on(work);
        // A read from the terminal that nobody answers must not hold up the exit.
        runtime.shutdown_timeout(Duration::from_millis(200));
        result
    }

    /// Opens the environment that the flags name.
    pub async fn open(&self) -> Result<Environment, CliError> {
        Ok(Environment::open(self.open_request()?).await?)
    }

    /// Opens the environment and runs `work` on it.
    pub fn with_environment<T, F>(&self, work: impl FnOnce(Environment) -> F) -> Result<T, CliError>
    where
        F: Future<Output = Result<T, CliError>>,
    {
        self.block_on(async {
            let environment = self.open().await?;
            let closing = environment.closing();
            let result = work(environment).await;
            closing.close().await;
            result
        })
    }

    /// The flags, as the engine takes them.
    pub fn open_request(&self) -> Result<OpenRequest, CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::new(ExitCode::Failed, "cannot find the path of this program").cause(error))?;
        let limits: BTreeMap<_, _> =
            self.flags.limit.iter().map(|limit| (limit.provider.clone(), limit.calls)).collect();
        Ok(OpenRequest {
            dir: self.flags.dir.clone(),
            environment: self.flags.env.as_deref().map(Into::into),
            program,
            lock_timeout: self.flags.lock_timeout.map(|time| time.duration()).unwrap_or_default(),
            parallelism: self.flags.parallelism.map(|n| n as usize),
            limits,
            timeout: self.flags.timeout.map(|time| time.duration()),
        })
    }

    /// The global flags that another `pool` would need to mean the same inventory: ` -C DIR --env NAME`.
    pub fn here(&self) -> String {
        let mut flags = String::new();
        if let Some(dir) = &self.flags.dir {
            flags += &format!(" -C {}", crate::commands::quote(&dir.to_string_lossy()));
        }
        if let Some(env) = &self.flags.env {
            flags += &format!(" --env {}", crate::commands::quote(env));
        }
        flags
    }

    /// The command line that goes on, for messages: `pool -C DIR apply 7f3a2c`.
    pub fn command(&self, rest: &str) -> String {
        format!("pool{} {rest}", self.here())
    }
}
