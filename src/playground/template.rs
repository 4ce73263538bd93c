//! A data folder made once and copied for each server: making one takes seconds, copying it a fraction of one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use xxhash_rust::xxh3::xxh3_64;

use super::binary::{ServerBinary, Vendor};
use super::error::PlaygroundError;
use super::folder::copy_tree;
use super::process;

/// The account that the proxy, the tests and replication use on throw-away servers.
pub const USER: &str = "shardloom";
/// Its password. Not a secret: the servers hold no data worth one and listen on the loopback address only.
pub const PASSWORD: &str = "playground";

/// Part of the folder's name; raised when what goes into a template changes in a way its inputs do not show.
const LAYOUT: &str = "2";
/// How much of a failed program's output goes into the error.
const OUTPUT_TAIL_LINES: usize = 15;

/// A data folder to copy from.
#[derive(Debug, Clone)]
pub struct Template {
    path: PathBuf,
}

impl Template {
    /// The template for a server, made now unless an earlier run left it under `base`.
    pub fn ensure(binary: &ServerBinary, base: &Path) -> Result<Self, PlaygroundError> {
        let key =
            xxh3_64(format!("{LAYOUT}\n{}\n{}\n{}", binary.path.display(), binary.version, accounts()).as_bytes());
        let path = base.join(format!("template-{key:016x}"));
        let lock_path = path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(PlaygroundError::io(format!("cannot write {lock_path:?}")))?;
        lock.lock().map_err(PlaygroundError::io(format!("cannot lock {lock_path:?}")))?;
        if !path.is_dir() {
            // Built beside and renamed when whole, so that an interrupted run leaves no half template.
            let draft = path.with_extension("draft");
            let _ = fs::remove_dir_all(&draft);
            fs::create_dir(&draft).map_err(PlaygroundError::io(format!("cannot make {draft:?}")))?;
            match binary.vendor {
                Vendor::MariaDb => make_mariadb(binary, &draft)?,
                Vendor::MySql => make_mysql(binary, &draft)?,
            }
            fs::rename(&draft, &path).map_err(PlaygroundError::io(format!("cannot rename {draft:?}")))?;
        }
        Ok(Self { path })
    }

    /// Copies the template to a server's own data folder.
    pub fn copy_to(&self, target: &Path) -> Result<(), PlaygroundError> {
        copy_tree(&self.path.join("data"), target)
            .map_err(PlaygroundError::io(format!("cannot copy the template to {}", target.display())))
    }
}

/// The accounts every server has: `root` without a password from this machine, and [`USER`].
fn accounts() -> String {
    format!(
        "CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
    )
}

fn make_mariadb(binary: &ServerBinary, draft: &Path) -> Result<(), PlaygroundError> {
    let installer = binary.helper(&["mariadb-install-db", "mysql_install_db"])?;
    let data = draft.join("data");
    let data_option = format!("--datadir={}", data.display());
    let mut install = private(&installer, draft);
    install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    install.args(["--skip-name-resolve", "--innodb-log-file-size=8M"]).args(user_option()).arg(&data_option);
    run(&installer, &mut install, None)?;

    let mut bootstrap = private(&binary.path, draft);
    bootstrap.args(["--no-defaults", "--bootstrap", "--innodb-log-file-size=8M"]).args(user_option()).arg(&data_option);
    // Bootstrap reads one statement per line; anonymous accounts would win over '%' for clients of this machine.
    let script = format!("DELETE FROM mysql.global_priv WHERE User='';\nFLUSH PRIVILEGES;\n{}", accounts());
    run(&binary.path, &mut bootstrap, Some(&script))
}

fn make_mysql(binary: &ServerBinary, draft: &Path) -> Result<(), PlaygroundError> {
    let data = draft.join("data");
    let script = draft.join("accounts.sql");
    fs::write(&script, accounts()).map_err(PlaygroundError::io(format!("cannot write {script:?}")))?;
    let mut install = private(&binary.path, draft);
    install.args([
        "--no-defaults",
        "--initialize-insecure",
        "--innodb-redo-log-capacity=16M",
        "--innodb-doublewrite=OFF",
    ]);
    install.args(user_option()).arg(format!("--datadir={}", data.display()));
    install.arg(format!("--init-file={}", script.display()));
    run(&binary.path, &mut install, None)?;
    // The server's identity in replication; each copy must make its own.
    let _ = fs::remove_file(data.join("auto.cnf"));
    Ok(())
}

/// A program with a folder for temporary files of its own: a server that starts removes those that it finds in the common one,
/// whosever they are.
fn private(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("TMPDIR", folder);
    command
}

/// Servers refuse to run as root unless told; for throw-away data that is enough.
pub fn user_option() -> Option<&'static str> {
    (process::user_id() == 0).then_some("--user=root")
}

fn run(program: &Path, command: &mut Command, input: Option<&str>) -> Result<(), PlaygroundError> {
    let failed = |what: String| PlaygroundError::Template { program: program.to_owned(), what };
    let io_failed = |error: std::io::Error| failed(error.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(io_failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.unwrap_or_default().as_bytes()).map_err(io_failed)?;
    }
    let output = child.wait_with_output().map_err(io_failed)?;
    if output.status.success() { Ok(()) } else { Err(failed(tail_of(&output))) }
}

fn tail_of(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    last_lines(&String::from_utf8_lossy(&text), OUTPUT_TAIL_LINES)
}

/// The last lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
