//! The proxy of the playground: this program once more, with `serve`, as a user would start it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cluster::LocalCluster;
use super::error::PlaygroundError;
use super::local_server::greets;
use super::options::Options;
use super::process::{GuardedChild, POLL_INTERVAL};
use super::template::last_lines;

/// The account that clients use on the playground's proxy; `rules/playground` takes it from the environment.
pub const USER: &str = "app";
/// Its password.
pub const PASSWORD: &str = "playground";

/// How long the proxy may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to let clients end.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// Lines of its log in an error.
const LOG_TAIL_LINES: usize = 20;

/// The running proxy.
#[derive(Debug)]
pub struct ProxyChild {
    child: GuardedChild,
    log: PathBuf,
}

impl ProxyChild {
    /// Starts it in front of a cluster and waits until it greets.
    pub async fn start(
        options: &Options,
        rules: &Path,
        cluster: &LocalCluster,
        log_arguments: &[String],
    ) -> Result<Self, PlaygroundError> {
        let log = cluster.folder().join("proxy.log");
        let output = File::create(&log).map_err(PlaygroundError::io("cannot write the proxy's log"))?;
        let errors = output.try_clone().map_err(PlaygroundError::io("cannot write the proxy's log"))?;
        let program = std::env::current_exe().map_err(PlaygroundError::io("cannot find this program's own file"))?;
        let rules = format!("--rules={}", rules.display());
        let mut command = Command::new(program);
        command.args(log_arguments).arg("serve").arg(&rules);
        command.envs(environment(options, cluster)).stdout(Stdio::from(output)).stderr(Stdio::from(errors));
        let child =
            GuardedChild::spawn(command, &rules, None).map_err(PlaygroundError::io("cannot start the proxy"))?;
        let mut proxy = Self { child, log };
        proxy.wait_until_ready(options.port).await?;
        Ok(proxy)
    }

    async fn wait_until_ready(&mut self, port: u16) -> Result<(), PlaygroundError> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !greets(port).await {
            if let Some(ended) = self.ended() {
                return Err(ended);
            }
            if Instant::now() > deadline {
                let what = format!("it does not listen on port {port}\n{}", self.log_tail());
                return Err(PlaygroundError::ProxyStart { what });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// What to tell the user if the proxy has ended by itself.
    pub fn ended(&mut self) -> Option<PlaygroundError> {
        let status = self.child.exit_status()?;
        Some(PlaygroundError::ProxyStart { what: format!("it ended with {status}\n{}", self.log_tail()) })
    }

    /// Where it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Stops it in good order.
    pub fn stop(&mut self) {
        self.child.terminate(STOP_PATIENCE);
    }

    fn log_tail(&self) -> String {
        last_lines(&String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()), LOG_TAIL_LINES)
    }
}

/// The variables that `rules/playground` refers to.
fn environment(options: &Options, cluster: &LocalCluster) -> Vec<(String, String)> {
    let mut variables = vec![
        ("SHARDLOOM_LISTEN".to_owned(), format!("127.0.0.1:{}", options.port)),
        ("SHARDLOOM_ADMIN".to_owned(), format!("127.0.0.1:{}", options.admin_port)),
        ("SHARDLOOM_APP_PASSWORD".to_owned(), PASSWORD.to_owned()),
    ];
    for (number, group) in cluster.groups.iter().enumerate() {
        variables.push((format!("SHARDLOOM_G{number}_PRIMARY"), group.primary.url()));
        for replica in &group.replicas {
            variables.push((format!("SHARDLOOM_G{number}_REPLICA"), replica.url()));
        }
    }
    variables
}
