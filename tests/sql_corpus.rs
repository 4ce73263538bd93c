//! How much of SQL is understood: by the parser, as a statement about the session, or as a definition of tables.
//!
//! `sql_corpus/accepted.sql` must be, all of it. With `SHARDLOOM_CORPORA` naming a folder that holds `sql_cover/*.sql` (one statement a line, `#` comments) and
//! `sqllogictest/*.test`, the share that parses is measured and printed (`cargo test --test sql_corpus -- --nocapture`);
//! without it there is nothing to measure. `SHARDLOOM_CORPORA_FAILURES` names a file for the statements that fail.

#[path = "support/sql_cover.rs"]
mod sql_cover;

use shardloom::sql::session_statement::{self, SessionStatement};
use shardloom::sql::{LexMode, ParseError, ddl, parse, scan};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Whether a statement is understood, as the session would try it; if not, the parser's error.
fn understood(sql: &str) -> Result<(), ParseError> {
    let mode = LexMode::default();
    match session_statement::parse(sql.as_bytes(), mode) {
        None | Some(SessionStatement::Opaque(_)) => {}
        Some(_) => return Ok(()),
    }
    if ddl::parse(sql.as_bytes(), mode).is_some() {
        return Ok(());
    }
    parse(sql.as_bytes(), mode).map(drop)
}

#[test]
fn what_servers_accept_is_understood() {
    let statements = include_str!("sql_corpus/accepted.sql").lines().filter(|line| !line.starts_with("-- "));
    let failures: Vec<String> =
        statements.filter_map(|sql| understood(sql).err().map(|error| format!("{sql}\n    {error}"))).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The statements of a sqllogictest file, without those that MySQL is to skip.
fn sqllogictest(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    for record in text.split("\n\n") {
        let mut lines = record.lines().filter(|line| !line.starts_with('#')).peekable();
        let mut wanted = true;
        while let Some(condition) = lines.next_if(|line| line.starts_with("skipif") || line.starts_with("onlyif")) {
            wanted &= condition.starts_with("skipif") != condition.contains(" mysql");
        }
        let is_statement =
            lines.next().is_some_and(|line| line.starts_with("statement ok") || line.starts_with("query"));
        if wanted && is_statement {
            let body: Vec<&str> = lines.take_while(|line| *line != "----").collect();
            statements.push(body.join("\n"));
        }
    }
    statements
}

/// How the statements of a file are read.
type Reader = fn(&str) -> Vec<String>;

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.into_iter().flatten().collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

#[test]
fn the_corpora_parse() {
    let Some(folder) = std::env::var_os("SHARDLOOM_CORPORA").map(PathBuf::from) else { return };
    let sources = [("sql_cover", "sql", sql_cover::statements as Reader), ("sqllogictest", "test", sqllogictest)];
    let mut failures: Vec<String> = Vec::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (name, extension, read) in sources {
        for path in files(&folder.join(name), extension) {
            let statements = read(&std::fs::read_to_string(&path).unwrap());
            let mut parsed = 0;
            for sql in &statements {
                let mut literals = Vec::new();
                assert!(!scan(sql.as_bytes(), LexMode::default(), &mut literals).flags.unterminated, "{sql}");
                match understood(sql) {
                    Ok(()) => parsed += 1,
                    Err(error) => {
                        *reasons.entry(format!("{error:.90}")).or_default() += 1;
                        failures.push(format!("{sql}\n    {error}"));
                    }
                }
            }
            let share = 100.0 * f64::from(parsed) / statements.len().max(1) as f64;
            println!("{name}/{}: {parsed} of {} ({share:.2} %)", path.file_name().unwrap().display(), statements.len());
        }
    }
    for (reason, count) in reasons {
        println!("{count:6}  {reason}");
    }
    if let Some(file) = std::env::var_os("SHARDLOOM_CORPORA_FAILURES") {
        std::fs::write(file, failures.join("\n")).unwrap();
    }
}
