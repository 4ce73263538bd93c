//! `shardloom check`: whether the rules are right, and whether the servers are as the rules take them.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::backend::{BackendError, Backends, text};
use crate::catalog::Catalog;
use crate::config::{DataNode, Rules, Schema, Table};
use crate::definitions::fingerprint;

/// ER_NO_SUCH_TABLE and ER_BAD_DB_ERROR.
const NO_TABLE: [u16; 2] = [1146, 1049];

/// Prints all problems of the rules; exit code 1 if there is one. With `connect` the primaries are asked about the tables
/// that the rules split or copy; what is found there are warnings, and a server that cannot be asked is a problem.
pub fn check(rules: &Path, connect: bool) -> ExitCode {
    let rules = match Rules::load(rules) {
        Ok(rules) => rules,
        Err(problems) => {
            println!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    let counts = format!(
        "{} groups, {} schemas, {} users: no problems",
        rules.groups.len(),
        rules.schemas.len(),
        rules.users.len()
    );
    if !connect {
        println!("{counts}");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("shardloom: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let found = runtime.block_on(ask(rules));
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
    for problem in &found.problems {
        println!("{problem}");
    }
    if !found.problems.is_empty() {
        return ExitCode::FAILURE;
    }
    println!("{counts}, {} warnings", found.warnings.len());
    ExitCode::SUCCESS
}

#[derive(Debug, Default)]
struct Found {
    warnings: Vec<String>,
    problems: Vec<String>,
}

async fn ask(rules: Rules) -> Found {
    let rules = Arc::new(rules);
    let backends = Arc::new(Backends::new(&rules));
    let catalog = Catalog::new(Arc::clone(&rules), Arc::clone(&backends));
    let mut found = Found::default();
    for schema in rules.schemas.values() {
        for table in schema.tables.values() {
            if let Err(error) = ask_table(&rules, &backends, &catalog, schema, table, &mut found.warnings).await {
                found.problems.push(format!("{}.{}: {error}", schema.name, table.name));
            }
        }
    }
    found
}

async fn ask_table(
    rules: &Rules,
    backends: &Backends,
    catalog: &Catalog,
    schema: &Schema,
    table: &Table,
    warnings: &mut Vec<String>,
) -> Result<(), BackendError> {
    let name = format!("{}.{}", schema.name, table.name);
    let mut first: Option<(String, u64)> = None;
    let mut missing = Vec::new();
    for node in &table.nodes {
        let label = format!("{}.{}.{}", rules.group(node.group).name, node.schema, node.table);
        match defined(backends, node).await? {
            None => missing.push(label),
            Some(print) => match &first {
                None => first = Some((label, print)),
                Some((other, known)) if *known != print => {
                    warnings.push(format!("{name}: the definitions of {other} and {label} differ"));
                }
                Some(_) => {}
            },
        }
    }
    if first.is_none() {
        warnings.push(format!("{name}: there is no such table yet"));
        return Ok(());
    }
    if !missing.is_empty() {
        warnings.push(format!("{name}: missing on {}", missing.join(", ")));
    }
    if !table.is_sharded() {
        return Ok(());
    }
    let Some(info) = catalog.table(&schema.name, &table.name).await? else { return Ok(()) };
    let primary = (!info.primary_key.is_empty()).then_some(("PRIMARY", &info.primary_key));
    let keys = primary.into_iter().chain(info.unique_keys.iter().map(|key| (key.name.as_str(), &key.columns)));
    for (key, columns) in keys {
        let holds = |column: &str| columns.iter().any(|of_key| of_key.eq_ignore_ascii_case(column));
        if let Some(column) = table.key_columns().into_iter().find(|column| !holds(column)) {
            warnings.push(format!(
                "{name}: the key {key} ({}) is unique on each shard only: it does not hold the sharding key '{column}'",
                columns.join(", ")
            ));
        }
    }
    Ok(())
}

/// What tells the definition of a node's table; nothing if there is none.
async fn defined(backends: &Backends, node: &DataNode) -> Result<Option<u64>, BackendError> {
    let name = |name: &str| name.replace('`', "``");
    let show = format!("SHOW CREATE TABLE `{}`.`{}`", name(&node.schema), name(&node.table));
    match backends.query(node.group, &show).await {
        Ok(answer) => Ok(answer.rows.first().map(|row| fingerprint(&text(row, 1), &node.table))),
        Err(BackendError::Server(error)) if NO_TABLE.contains(&error.errno) => Ok(None),
        Err(error) => Err(error),
    }
}
