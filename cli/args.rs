//! The command line, as clap reads it. Nothing here acts.

mod bundle;
mod errands;

use std::{path::PathBuf, str::FromStr};

use clap::{
    ArgAction, Args, Parser, Subcommand, ValueEnum,
    builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser},
};
use pool_inventory::{Address, Name, TimeSpan};
use pool_planner::input::Brake;

pub use bundle::{Bundle, BundleCommand};
pub use errands::{Cluster, ClusterCommand, Host, HostCommand, HostErrand, Volume, VolumeCommand};

use crate::help;

/// Turns hosts from private clouds, public clouds and bare metal into one declared, planned, observed pool.
#[derive(Debug, Parser)]
#[command(
    name = "pool",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND",
    after_help = help::POOL
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags of every command")]
pub struct Global {
    /// Folder of the inventory, or one below it; without: the working folder
    #[arg(short = 'C', long, alias = "chdir", global = true, env = "POOL_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Environment; without: the only one, or `default`
    #[arg(long, global = true, env = "POOL_ENV", value_name = "NAME")]
    pub env: Option<String>,
    /// Print JSON: one document, or one event per line for plan, apply and destroy
    #[arg(long, global = true, env = "POOL_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Write that JSON into a file, and print text as well
    #[arg(long, global = true, env = "POOL_JSON_INTO", value_name = "FILE")]
    pub json_into: Option<PathBuf>,
    /// No colours
    #[arg(long, global = true, env = "POOL_NO_COLOR", value_parser = FalseyValueParser::new())]
    pub no_color: bool,
    /// Only results, warnings and errors
    #[arg(short, long, global = true, env = "POOL_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// More detail
    #[arg(short, long, global = true, env = "POOL_VERBOSE", value_parser = FalseyValueParser::new(), conflicts_with = "quiet")]
    pub verbose: bool,
    /// Answer `yes` to every question
    #[arg(short = 'y', long, alias = "auto-approve", global = true, env = "POOL_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// `false`: never ask, as without a terminal
    #[arg(long, global = true, hide = true, env = "POOL_INPUT", value_parser = clap::value_parser!(bool), num_args = 0..=1, default_missing_value = "true")]
    pub input: Option<bool>,
    /// Most steps, or hosts, at a time
    #[arg(long, global = true, env = "POOL_PARALLELISM", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub parallelism: Option<u32>,
    /// Most calls at a time to one provider
    #[arg(long, global = true, env = "POOL_LIMIT", value_name = "PROVIDER=N", value_delimiter = ',')]
    pub limit: Vec<Limit>,
    /// Longest time for the whole command, as in `30m`; without: no limit
    #[arg(long, global = true, env = "POOL_TIMEOUT", value_name = "TIME")]
    pub timeout: Option<TimeSpan>,
    /// Longest wait for another run to end, as in `5m`; without: none
    #[arg(long, global = true, env = "POOL_LOCK_TIMEOUT", value_name = "TIME")]
    pub lock_timeout: Option<TimeSpan>,
    /// Print help
    // One form of help, the dense one, for -h and --help.
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

/// What `pool` can be asked to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Write a small inventory that works as it stands
    #[command(after_help = help::INIT)]
    Init(Init),
    /// Check the inventory and show all problems at once
    #[command(after_help = help::VALIDATE)]
    Validate,
    /// Bring inventory files into their canonical form, comments kept
    #[command(after_help = help::FMT)]
    Fmt(Fmt),
    /// Show what would happen and why, and save it as a plan
    #[command(visible_alias = "preview", after_help = help::PLAN)]
    Plan(Plan),
    /// Carry out a plan: make what is declared so
    #[command(visible_alias = "up", after_help = help::APPLY)]
    Apply(Apply),
    /// Destroy everything that is not protected
    #[command(after_help = help::DESTROY)]
    Destroy(Destroy),
    /// The pool at a glance
    #[command(after_help = help::STATUS)]
    Status(Status),
    /// Show one object, one pool or one saved plan
    #[command(after_help = help::SHOW)]
    Show(Show),
    /// Say why something is where it is, and why it changes
    #[command(after_help = help::EXPLAIN)]
    Explain(Explain),
    /// Look at what is recorded, or correct it
    #[command(after_help = help::STATE)]
    State(State),
    /// Show past runs, or one of them step by step
    #[command(after_help = help::HISTORY)]
    History(History),
    /// Take the lease away from a run that is dead
    #[command(after_help = help::UNLOCK)]
    Unlock(Unlock),
    /// Print the graph of a plan's steps
    #[command(after_help = help::GRAPH)]
    Graph(Graph),
    /// What the recorded hosts and volumes cost, by pool, tenant and provider
    #[command(after_help = help::COST)]
    Cost,
    /// Look at volumes, copy them, and get them back
    #[command(after_help = help::VOLUME)]
    Volume(Volume),
    /// Turn hosts on and off, restart them, and empty members of clusters
    #[command(after_help = help::HOST)]
    Host(Host),
    /// Look after clusters: their kubeconfig, snapshots and certificates
    #[command(after_help = help::CLUSTER)]
    Cluster(Cluster),
    /// Open a session on a host, its key verified
    #[command(after_help = help::SSH)]
    Ssh(Ssh),
    /// Run a command on hosts, in parallel
    #[command(after_help = help::EXEC)]
    Exec(Exec),
    /// Check credentials, quotas, images, backends and hosts before a run
    #[command(after_help = help::CHECK)]
    Check,
    /// List what runs unmanaged at a provider, and write the inventory that takes it over
    #[command(after_help = help::ADOPT)]
    Adopt(Adopt),
    /// Carry an inventory with all its artifacts to a site without a network
    #[command(after_help = help::BUNDLE)]
    Bundle(Bundle),
    /// Print the JSON Schema of inventory files, for editors
    #[command(after_help = help::SCHEMA)]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions(Completions),
    /// Print the manual page
    #[command(after_help = help::MAN)]
    Man,
    /// Print the version
    Version,
    /// Print help for a command, or for a topic: exit-codes
    #[command(after_help = help::HELP)]
    Help(Help),
}

/// `pool init`
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// Folder to write to; made where it is missing
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Which inventory to start from
    #[arg(long, env = "POOL_EXAMPLE", value_name = "NAME", default_value = "quickstart", value_parser = PossibleValuesParser::new(crate::commands::init::names()))]
    pub example: String,
}

/// `pool fmt`
#[derive(Debug, Clone, Args)]
pub struct Fmt {
    /// Change nothing; exit with 1 and name the files that are not in their canonical form
    #[arg(long, env = "POOL_CHECK", value_parser = FalseyValueParser::new())]
    pub check: bool,
}

/// What to plan; shared by `plan` and `apply`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What to plan")]
pub struct ScopeFlags {
    /// Only this object, and what it needs; may be given several times
    #[arg(long, env = "POOL_TARGET", value_name = "ADDR", value_delimiter = ',')]
    pub target: Vec<Address>,
    /// Everything but this object, and what needs it; may be given several times
    #[arg(long, env = "POOL_EXCLUDE", value_name = "ADDR", value_delimiter = ',')]
    pub exclude: Vec<Address>,
    /// Replace this object although nothing differs; may be given several times
    #[arg(long, env = "POOL_REPLACE", value_name = "ADDR", value_delimiter = ',')]
    pub replace: Vec<Address>,
    /// Only bring the records up to date with what is observed
    #[arg(long, env = "POOL_REFRESH_ONLY", value_parser = FalseyValueParser::new(), conflicts_with = "replace")]
    pub refresh_only: bool,
    /// What to look at: providers and hosts, or providers alone
    #[arg(long, env = "POOL_OBSERVE", value_name = "WHAT")]
    pub observe: Option<Observe>,
    /// Lift a brake of the policy for this plan; needs --reason
    #[arg(long = "override", env = "POOL_OVERRIDE", value_name = "BRAKE", value_delimiter = ',', requires = "reason", value_parser = brakes())]
    pub overrides: Vec<Brake>,
    /// Why a brake is lifted; kept in the history
    #[arg(long, env = "POOL_REASON", value_name = "TEXT", requires = "overrides")]
    pub reason: Option<String>,
}

/// `pool plan`
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Write the plan into a file as well
    #[arg(short, long, env = "POOL_OUT", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Plan to destroy everything that is not protected
    #[arg(long, env = "POOL_DESTROY", value_parser = FalseyValueParser::new(), conflicts_with_all = ["refresh_only", "replace"])]
    pub destroy: bool,
    /// Propose what saves money, too: hosts that cost less elsewhere, machines that hosts can leave empty
    #[arg(long, env = "POOL_OPTIMIZE", value_parser = FalseyValueParser::new(), conflicts_with_all = ["destroy", "refresh_only"])]
    pub optimize: bool,
    /// Exit with 2 when there is something to do
    #[arg(long, env = "POOL_DETAILED_EXITCODE", value_parser = FalseyValueParser::new())]
    pub detailed_exitcode: bool,
    /// What a failed step will mean when this plan is applied; with `undo` the plan says what would be taken back
    #[arg(long, env = "POOL_ON_FAILURE", value_name = "WHAT")]
    pub on_failure: Option<OnFailure>,
    /// Say of each pool why its hosts are not at this place as well; may be given several times
    #[arg(long, env = "POOL_WHY_NOT", value_name = "PROVIDER[/ZONE]", value_delimiter = ',')]
    pub why_not: Vec<String>,
    /// What to plan.
    #[command(flatten)]
    pub scope: ScopeFlags,
}

/// How to carry out a plan.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How to apply")]
pub struct ApplyFlags {
    /// Apply although some of what was asked for cannot be planned
    #[arg(long, env = "POOL_PARTIAL", value_parser = FalseyValueParser::new())]
    pub partial: bool,
    /// What a failed step means for the others; without: what the plan was made with, or continue
    #[arg(long, env = "POOL_ON_FAILURE", value_name = "WHAT")]
    pub on_failure: Option<OnFailure>,
}

/// `pool apply`
#[derive(Debug, Clone, Args)]
pub struct Apply {
    /// Id of a saved plan, the beginning of it, or a plan file; without: plan, show, ask
    #[arg(value_name = "PLAN", conflicts_with_all = ["destroy", "target", "exclude", "replace", "refresh_only", "observe", "overrides"])]
    pub plan: Option<String>,
    /// Destroy everything that is not protected
    #[arg(long, env = "POOL_DESTROY", value_parser = FalseyValueParser::new(), conflicts_with_all = ["refresh_only", "replace"])]
    pub destroy: bool,
    /// How to carry it out.
    #[command(flatten)]
    pub how: ApplyFlags,
    /// What to plan.
    #[command(flatten)]
    pub scope: ScopeFlags,
}

/// `pool destroy`
#[derive(Debug, Clone, Args)]
pub struct Destroy {
    /// Only this object, and what needs it; may be given several times
    #[arg(long, env = "POOL_TARGET", value_name = "ADDR", value_delimiter = ',')]
    pub target: Vec<Address>,
    /// Everything but this object; may be given several times
    #[arg(long, env = "POOL_EXCLUDE", value_name = "ADDR", value_delimiter = ',')]
    pub exclude: Vec<Address>,
    /// How to carry it out.
    #[command(flatten)]
    pub how: ApplyFlags,
}

/// `pool status`
#[derive(Debug, Clone, Args)]
pub struct Status {
    /// Ask providers, or providers and hosts, how things are; without: show the records alone
    #[arg(long, env = "POOL_OBSERVE", value_name = "WHAT")]
    pub observe: Option<Observe>,
}

/// `pool show`
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// An address such as `host/web-3`, `volume/web-3.data` or `pool/web`; or a plan's id or file
    #[arg(value_name = "ADDR|PLAN")]
    pub what: String,
}

/// `pool explain`
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// An address such as `host/web-3`, `volume/web-3.data` or `pool/web`
    #[arg(value_name = "ADDR")]
    pub address: Address,
    /// What to look at: providers and hosts, or providers alone
    #[arg(long, env = "POOL_OBSERVE", value_name = "WHAT", default_value = "hosts")]
    pub observe: Observe,
}

/// `pool state`
#[derive(Debug, Clone, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct State {
    /// What to do with the records.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What to do with the records.
#[derive(Debug, Clone, Subcommand)]
pub enum StateCommand {
    /// List recorded objects
    List {
        /// Only these; `*` stands for a part of a name, as in `host/web-*`
        #[arg(value_name = "ADDR")]
        pattern: Vec<String>,
    },
    /// Show all that is recorded of one object
    Show {
        /// Its address
        #[arg(value_name = "ADDR")]
        address: Address,
    },
    /// Rename a recorded object; a host takes its volumes with it
    Mv {
        /// The address now
        from: Address,
        /// The address that it shall have
        to: Address,
    },
    /// Drop records; the objects themselves are left alone
    Rm {
        /// Their addresses
        #[arg(value_name = "ADDR", required = true)]
        addresses: Vec<Address>,
    },
    /// Print the whole state as JSON
    Pull,
    /// Replace the state by an export of the same lineage
    Push {
        /// The export; `-` reads standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Take it although it is older than what is recorded, or of another state
        #[arg(long, env = "POOL_FORCE", value_parser = FalseyValueParser::new())]
        force: bool,
    },
}

/// `pool history`
#[derive(Debug, Clone, Args)]
pub struct History {
    /// A run's id, or the beginning of it; without: list the newest runs
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Most runs to list
    #[arg(short = 'n', long, env = "POOL_MAX", value_name = "N", default_value_t = 20)]
    pub max: usize,
}

/// `pool unlock`
#[derive(Debug, Clone, Args)]
pub struct Unlock {
    /// The lease's id, as the refusal names it
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `pool graph`
#[derive(Debug, Clone, Args)]
pub struct Graph {
    /// A plan's id or file; without: a new plan is made
    #[arg(value_name = "PLAN")]
    pub plan: Option<String>,
    /// For Graphviz, for programs, or for Markdown
    #[arg(long, env = "POOL_FORMAT", value_name = "FORMAT", default_value = "dot")]
    pub format: GraphFormat,
}

/// `pool ssh`
#[derive(Debug, Clone, Args)]
pub struct Ssh {
    /// The host: `web-0` or `host/web-0`
    #[arg(value_name = "HOST")]
    pub host: String,
}

/// `pool exec`
#[derive(Debug, Clone, Args)]
pub struct Exec {
    /// Which hosts: `pool=web,team=checkout`, `tenant=retail`, `host/web-*`, `all`
    #[arg(value_name = "SELECTOR")]
    pub selector: String,
    /// The command; one word is given to the host's shell as it stands
    #[arg(value_name = "CMD", last = true, required = true, action = ArgAction::Append)]
    pub command: Vec<String>,
}

/// `pool adopt`
#[derive(Debug, Clone, Args)]
pub struct Adopt {
    /// The provider, as the inventory calls it
    #[arg(value_name = "PROVIDER")]
    pub provider: Option<String>,
    /// The same
    #[arg(long, env = "POOL_FROM", value_name = "PROVIDER", conflicts_with = "provider")]
    pub from: Option<String>,
    /// Only machines and networks of this name or id; `*` stands for a part of a name
    #[arg(long, env = "POOL_ONLY", value_name = "NAME|ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Write the inventory text into this file, which must not exist
    #[arg(long, env = "POOL_WRITE", value_name = "FILE.pool.yaml")]
    pub write: Option<PathBuf>,
}

/// `pool completions`
#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `pool help`
#[derive(Debug, Clone, Args)]
pub struct Help {
    /// A command, or `exit-codes`
    #[arg(value_name = "TOPIC")]
    pub topic: Vec<String>,
}

/// How much of the world is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Observe {
    /// Providers, and hosts over SSH
    Hosts,
    /// Providers alone
    Providers,
}

/// What a failed step means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// Start nothing new
    Stop,
    /// Go on with what does not need it
    Continue,
    /// Start nothing new, and take back what this run made and was not there before
    Undo,
}

/// Forms of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// For Graphviz
    Dot,
    /// For programs
    Json,
    /// For Markdown
    Mermaid,
}

/// `--limit PROVIDER=N`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Which provider.
    pub provider: Name,
    /// Most calls at a time.
    pub calls: usize,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "write PROVIDER=N, as in `aws=20`";
        let (provider, calls) = text.split_once('=').ok_or(wanted)?;
        let provider = Name::new(provider).map_err(|error| error.to_string())?;
        let calls = calls.parse().ok().filter(|n| *n > 0).ok_or(wanted)?;
        Ok(Self { provider, calls })
    }
}

fn brakes() -> impl TypedValueParser<Value = Brake> {
    let all = [Brake::MaxReplaced, Brake::MaxDestroyed];
    PossibleValuesParser::new(all.map(Brake::as_str))
        .map(move |word| all.into_iter().find(|brake| brake.as_str() == word).unwrap_or(Brake::MaxReplaced))
}
