//! The command line.
//!
//! ```text
//! tanist up                        a cluster on this machine: starts and watches the three below
//!  |- tanist vault                 keeps log, images and the lease
//!  |- tanist node --name a         supervisor of node a
//!  |   `- tanist database ...      the database process: what a kill -9 of the primary is meant to hit
//!  `- tanist node --name b
//! ```
//!
//! A child holds the read end of a pipe from its parent as stdin: when the parent stops, or dies, the child reads the end of the
//! pipe and stops cleanly. So no process is left behind, whichever of them is killed.

mod args;
mod ask;
mod certs;
mod database;
mod drill;
mod export;
mod import;
mod node;
mod status;
mod switchover;
mod transfer;
mod up;
mod vault;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cluster_file::make_files_private;
use crate::config::environment;
use crate::exit::{EXIT_CONFIG, EXIT_OK, Failure};
use crate::telemetry::last_words;

#[derive(Debug, Parser)]
#[command(
    name = "tanist",
    version,
    about = "An in-memory database that speaks the Redis protocol, with a hot standby that loses no acknowledged write",
    after_help = "Start with `tanist up`. Settings come from flags, TANIST_* variables and a TOML file (--config), in this \
                  order; `tanist up --help` lists them."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start a cluster on this machine: a vault, a primary and a standby
    Up(up::UpArgs),
    /// Show every process of a cluster: role, process id, address, epoch, positions, lag, images, last takeover
    Status(status::StatusArgs),
    /// Make the standby the primary (planned failover); nothing is lost, clients wait for a moment
    Switchover(switchover::SwitchoverArgs),
    /// Exercise a failover: kill, pause or switch over the primary while clients write, and report what they saw and what was
    /// lost
    Drill(drill::DrillArgs),
    /// Import a dump file of Redis or Valkey (dump.rdb) into a running cluster
    Import(import::ImportArgs),
    /// Export all keys of a running cluster, as they are at one moment, to a dump file that Redis and Valkey load
    Export(export::ExportArgs),
    /// Run the vault of a cluster
    Vault(vault::VaultArgs),
    /// Run a node of a cluster: starts its database process and watches it
    Node(node::NodeArgs),
    /// Make or renew the cluster's certificates
    #[command(subcommand)]
    Certs(certs::CertsCommand),
    /// The database process of a node; started by `tanist node`
    #[command(hide = true)]
    Database(database::DatabaseArgs),
}

/// Parses the process's arguments, runs the command, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os(), std::env::vars_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    // The drawing of a drill is for others to see.
    if !matches!(cli.command, Command::Drill(_)) {
        make_files_private();
    }
    let done = match cli.command {
        Command::Up(args) => up::run(args),
        Command::Status(args) => status::run(args),
        Command::Switchover(args) => switchover::run(args),
        Command::Drill(args) => drill::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Vault(args) => vault::run(args),
        Command::Node(args) => node::run(args),
        Command::Certs(args) => certs::run(args),
        Command::Database(args) => database::run(args),
    };
    match done {
        Ok(()) => {
            last_words(None);
            ExitCode::from(EXIT_OK)
        }
        Err(failure) => {
            let said_by_child = failure == Failure::SaidByChild;
            last_words((!said_by_child).then(|| failure.to_string()).as_deref());
            failure.exit_code()
        }
    }
}

/// Returns the command, or the exit code of a process that has printed an error or help.
fn parse(
    args: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Cli, ExitCode> {
    let refuse = |sentence: &str| {
        last_words(Some(sentence));
        ExitCode::from(EXIT_CONFIG)
    };
    let parsed = Cli::try_parse_from(args);
    if let Err(error) = &parsed
        && matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        )
    {
        let _closed = error.print();
        return Err(ExitCode::from(if error.use_stderr() { EXIT_CONFIG } else { EXIT_OK }));
    }
    // First: an orchestrator's variable in the place of a setting is not a mistake in a flag.
    environment::check(variables, &variables_of_settings()).map_err(|error| refuse(&error.0))?;
    parsed.map_err(|error| refuse(&sentence(&error)))
}

/// Names of the environment's variables that a flag of any command reads.
fn variables_of_settings() -> Vec<String> {
    let cli = Cli::command();
    let args = cli.get_subcommands().flat_map(clap::Command::get_arguments);
    args.filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned())).collect()
}

/// Joins clap's message of several lines into one.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.split("\nUsage:").next().unwrap_or(&text);
    let words: Vec<&str> = said
        .lines()
        .map(|line| line.trim().trim_start_matches("error: ").trim_start_matches("tip: "))
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    format!("{} (`tanist help` lists what there is)", words.join("; "))
}

/// Writes a command's output to stdout.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Runs a command's future to its end. Everything with a life of its own is an actor: commands run in an actix system.
fn block_on<F: Future<Output = Result<(), Failure>>>(future: F) -> Result<(), Failure> {
    actix_rt::System::new().block_on(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_checked_whatever_the_command() {
        let refused = |name: &str, value: &str, args: &[&str]| {
            parse(args.iter().map(Into::into), [(name.into(), value.into())].into_iter()).is_err()
        };
        assert!(refused("TANIST_LEASE", "500", &["tanist", "status"]));
        assert!(refused("TANIST_PORT", "tcp://10.0.0.1:6379", &["tanist", "up"]));
        for known in variables_of_settings() {
            assert!(!refused(&known, "7000", &["tanist", "status"]), "{known}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_has_one_name_everywhere() {
        let cli = Cli::command();
        let up = cli.find_subcommand("up").expect("there is `up`");
        for arg in up.get_arguments().filter(|arg| arg.get_env().is_some()) {
            let id = arg.get_id().as_str();
            assert_eq!(arg.get_long(), Some(id.replace('_', "-").as_str()));
            let env = arg.get_env().and_then(|env| env.to_str());
            assert_eq!(env, Some(format!("TANIST_{}", id.to_uppercase()).as_str()), "{id}");
        }
    }

    #[test]
    fn a_wrong_flag_is_answered_in_one_line() {
        let error = Cli::try_parse_from(["tanist", "up", "--prot", "7000"]).expect_err("no such flag");
        let sentence = sentence(&error);
        assert!(sentence.starts_with("unexpected argument '--prot' found"), "{sentence}");
        assert!(sentence.contains("--port") && !sentence.contains('\n'), "{sentence}");
    }
}
