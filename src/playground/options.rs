//! The command line of the playground.

use std::path::PathBuf;

use clap::Args;

/// Options of `shardloom playground`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The port to connect a MySQL client to.
    #[arg(long, default_value_t = 3307, env = "SHARDLOOM_PLAYGROUND_PORT")]
    pub port: u16,
    /// The port of health, readiness and metrics.
    #[arg(long, default_value_t = 8307, env = "SHARDLOOM_PLAYGROUND_ADMIN_PORT")]
    pub admin_port: u16,
    /// The rules to serve, naming the servers as rules/playground does (default: that folder, else a copy built in).
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// The `mariadbd` or `mysqld` to start (default: the one that is installed).
    #[arg(long, env = "SHARDLOOM_MYSQLD", value_name = "PATH")]
    pub server: Option<PathBuf>,
    /// Leave the shop schema empty.
    #[arg(long)]
    pub no_shop: bool,
}
