//! Making one server follow another, by GTIDs, on both vendors.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::binary::Vendor;
use super::error::PlaygroundError;
use super::local_server::LocalServer;
use super::process::POLL_INTERVAL;
use super::template::{PASSWORD, USER};

/// How long replication may take to begin.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a replica may take to follow what its primary has committed.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// Makes `replica` follow `primary` and waits until both of its threads run.
pub async fn attach(primary: &LocalServer, replica: &LocalServer) -> Result<(), PlaygroundError> {
    let port = primary.port();
    let (source, start) = match replica.vendor() {
        Vendor::MariaDb => (
            format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='{USER}', \
                 MASTER_PASSWORD='{PASSWORD}', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1"
            ),
            "START SLAVE",
        ),
        Vendor::MySql => (
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='{USER}', \
                 SOURCE_PASSWORD='{PASSWORD}', SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=1, GET_SOURCE_PUBLIC_KEY=1"
            ),
            "START REPLICA",
        ),
    };
    replica.run(&[&source, start]).await?;
    wait_until_running(replica).await
}

/// Waits until `replica` has all that `primary` has committed up to now.
pub async fn catch_up(primary: &LocalServer, replica: &LocalServer) -> Result<(), PlaygroundError> {
    let position = match primary.vendor() {
        Vendor::MariaDb => "SELECT @@GLOBAL.gtid_binlog_pos",
        Vendor::MySql => "SELECT @@GLOBAL.gtid_executed",
    };
    let mut conn = primary.connect().await.map_err(PlaygroundError::sql("connect to a primary"))?;
    let position: Option<String> = conn.query_first(position).await.map_err(PlaygroundError::sql(position))?;
    let position = position.unwrap_or_default();
    let seconds = CATCH_UP_TIMEOUT.as_secs();
    let wait = match replica.vendor() {
        Vendor::MariaDb => format!("SELECT MASTER_GTID_WAIT('{position}', {seconds})"),
        Vendor::MySql => format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', {seconds})"),
    };
    let mut conn = replica.connect().await.map_err(PlaygroundError::sql("connect to a replica"))?;
    let waited: Option<i64> = conn.query_first(&wait).await.map_err(PlaygroundError::sql(wait))?;
    if waited == Some(0) {
        return Ok(());
    }
    Err(PlaygroundError::ServerStart {
        name: replica.name().to_owned(),
        port: replica.port(),
        what: format!("it has not followed its primary within {seconds} s"),
        log: replica.log_tail(),
    })
}

async fn wait_until_running(replica: &LocalServer) -> Result<(), PlaygroundError> {
    let mut conn = replica.connect().await.map_err(PlaygroundError::sql("connect to a replica"))?;
    let deadline = Instant::now() + ATTACH_TIMEOUT;
    loop {
        let (running, error) = threads(&mut conn, replica.vendor()).await?;
        if running {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(PlaygroundError::ServerStart {
                name: replica.name().to_owned(),
                port: replica.port(),
                what: format!("replication does not run: {error}"),
                log: replica.log_tail(),
            });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Whether the receiving and the applying thread run, and the last error of either.
async fn threads(conn: &mut Conn, vendor: Vendor) -> Result<(bool, String), PlaygroundError> {
    let (statement, word) = match vendor {
        Vendor::MariaDb => ("SHOW SLAVE STATUS", "Slave"),
        Vendor::MySql => ("SHOW REPLICA STATUS", "Replica"),
    };
    let row: Option<Row> = conn.query_first(statement).await.map_err(PlaygroundError::sql(statement))?;
    let Some(row) = row else { return Ok((false, "not configured".to_owned())) };
    let text = |name: &str| row.get_opt::<String, _>(name).and_then(Result::ok).unwrap_or_default();
    let running = ["IO_Running", "SQL_Running"].iter().all(|thread| text(&format!("{word}_{thread}")) == "Yes");
    Ok((running, format!("{} {}", text("Last_IO_Error"), text("Last_SQL_Error"))))
}
