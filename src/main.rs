//! The command line: `serve`, `check`, `route`, `playground`.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

// A relay allocates little, but what it does allocate is on the path of every query.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A sharding proxy that speaks the MySQL protocol: many servers answer as one.
#[derive(Debug, Parser)]
#[command(name = "shardloom", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  shardloom playground
      a throw-away cluster with a sample shop, to try things on
  shardloom check --rules rules/shop
      every problem of a rules folder, with file and line
  shardloom serve --rules rules/shop
      the proxy; SIGHUP or a change on disk reloads the rules, SIGTERM drains and stops
  shardloom route --rules rules/shop --schema shop \"SELECT * FROM orders WHERE user_id = 7\"
      which shards a statement reaches, and with which SQL";

#[derive(Debug, Args)]
struct LogArgs {
    /// What is logged: error, warn, info, debug, trace, or per module as in `shardloom::session=debug,info`.
    /// Without it, SHARDLOOM_LOG says so, or else it is info.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Logs as JSON lines instead of text for a person.
    #[arg(long, global = true)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the proxy in the foreground.
    Serve {
        /// The folder that holds the rules (YAML files).
        #[arg(long, value_name = "DIR")]
        rules: PathBuf,
        /// Threads that run sessions: half of the processors, at least 1, unless this says otherwise. The kernel's part of
        /// the work, and servers and clients on the same machine, take the others; give a machine of its own more.
        #[arg(long, value_name = "N", env = "SHARDLOOM_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: Option<u16>,
    },
    /// Checks a rules folder and prints all problems with file and line; exit code 1 if there is one.
    Check {
        /// The folder that holds the rules.
        #[arg(long, value_name = "DIR")]
        rules: PathBuf,
        /// Asks the groups' primaries too, and warns of tables whose unique keys the shards cannot keep together, of
        /// definitions that have drifted apart, and of what is missing.
        #[arg(long)]
        connect: bool,
    },
    /// Prints the plan of a statement: its shards, the SQL for each, and how the answers are merged.
    ///
    /// Needs no backend as long as the rules suffice; column types are then taken from the literals.
    Route {
        /// The folder that holds the rules.
        #[arg(long, value_name = "DIR")]
        rules: PathBuf,
        /// The logical schema in use.
        #[arg(long)]
        schema: Option<String>,
        /// The statement.
        sql: String,
    },
    /// Starts a small real cluster under a throw-away folder, with a sample shop schema, and serves it.
    Playground(shardloom::playground::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve { rules, threads } => {
            shardloom::serve::main(&rules, threads, cli.log.log.as_deref(), cli.log.log_json)
        }
        Command::Check { rules, connect } => shardloom::serve::check(&rules, connect),
        Command::Route { rules, schema, sql } => shardloom::serve::route(&rules, schema.as_deref(), &sql),
        Command::Playground(options) => {
            shardloom::playground::main(options, cli.log.log.as_deref().unwrap_or("info"), cli.log.log_json)
        }
    }
}
