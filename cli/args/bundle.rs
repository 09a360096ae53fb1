//! `pool bundle`

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::FalseyValueParser};

use crate::help;

/// `pool bundle`
#[derive(Debug, Clone, Args)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Bundle {
    /// What to do with bundles.
    #[command(subcommand)]
    pub command: BundleCommand,
}

/// What to do with bundles.
#[derive(Debug, Clone, Subcommand)]
pub enum BundleCommand {
    /// Put the inventory and all its artifacts into one archive
    #[command(after_help = help::BUNDLE_CREATE)]
    Create {
        /// The archive; without: NAME-bundle.tar in the working folder
        #[arg(short, long, env = "POOL_OUT", value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Lay an inventory down from an archive, every file verified
    #[command(after_help = help::BUNDLE_UNPACK)]
    Unpack {
        /// The archive
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Folder to lay it down in; without: one with the name of the inventory
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Replace files that were changed there since the last bundle
        #[arg(long, env = "POOL_OVERWRITE", value_parser = FalseyValueParser::new())]
        overwrite: bool,
    },
}
