//! `shardloom route`: the plan of a statement, from the rules alone.

use std::path::Path;
use std::process::ExitCode;

use crate::catalog::NoCatalog;
use crate::config::Rules;
use crate::plan::types::NoSession;
use crate::plan::{PlanContext, plan};
use crate::sql::{LexMode, scan};

/// Prints the plan of a statement. No backend is asked: the types of columns are taken from the literals.
pub fn route(rules: &Path, schema: Option<&str>, sql: &str) -> ExitCode {
    let rules = match Rules::load(rules) {
        Ok(rules) => rules,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    match described(&rules, schema, sql) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn described(rules: &Rules, schema: Option<&str>, sql: &str) -> Result<String, String> {
    let schema = match schema {
        None => None,
        Some(name) => Some(rules.schema(name).ok_or_else(|| {
            let known: Vec<&str> = rules.schemas.keys().map(String::as_str).collect();
            format!("the rules have no schema '{name}'; they have: {}", known.join(", "))
        })?),
    };
    let mode = LexMode::default();
    let mut literals = Vec::new();
    let scanned = scan(sql.as_bytes(), mode, &mut literals);
    let context = PlanContext {
        rules,
        schema,
        catalog: &NoCatalog,
        mode,
        assume_types: true,
        text_is_utf8: true,
        in_information_schema: false,
        prepared: scanned.placeholders > 0,
    };
    let text = &sql.as_bytes()[..scanned.statement_end];
    let planned = plan(&context, text, &scanned, &literals).map_err(|error| error.to_string())?;
    planned.describe(text, &literals, &[], &NoSession).map_err(|error| error.to_string())
}
