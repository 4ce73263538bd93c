//! A query over temporary tables for a server that opens each of them but once in a statement (MySQL, *TEMPORARY Table
//! Problems*).
//!
//! Such a server reads the query of a WITH name anew in each place where the name is read, and refuses to open its tables
//! again (1137). So where a name is read in several places, each place gets its own:
//!
//! - A query that the server would merge into the one around it is written once more, under another name, over copies
//!   of its tables. Merged, it is evaluated in each place on one server too.
//! - Any other (aggregates, DISTINCT, LIMIT, set operations, recursion) is evaluated once on one server. It is evaluated
//!   into a temporary table, and each place reads a copy of that: what it leaves open (which rows LIMIT takes) is the same in
//!   all of them.
//!
//! This works on the text that goes to the scratch server.

mod names;
mod render;
#[cfg(test)]
mod tests;

use sqlparser::ast::Statement;

use crate::plan::error::PlanError;
use crate::plan::outline::Outline;
use crate::sql::{LexMode, parse};
use names::Names;
use render::{Opened, Renderer};

/// How many places the queries of a statement may be written to, all in all. Names that read each other several times
/// multiply.
const MAX_PLACES: usize = 256;

/// A statement that opens each temporary table once, and what must be there before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reread {
    /// Copies of the tables that are filled from the shards.
    pub copies: Vec<TableCopy>,
    /// Queries of WITH that are evaluated first, in order.
    pub first: Vec<Evaluated>,
    /// The statement.
    pub statement: Written,
}

/// A copy of a temporary table: the same columns, the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCopy {
    /// The table.
    pub of: Box<str>,
    /// The copy.
    pub name: Box<str>,
}

/// A query of WITH that is evaluated into a temporary table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// That table.
    pub table: Box<str>,
    /// The query.
    pub query: Written,
    /// Copies of the table.
    pub copies: Vec<TableCopy>,
}

/// A text, and the numbers of the parameters in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// The text.
    pub sql: Vec<u8>,
    /// For each `?` in it, the number of that which stood in the statement.
    pub params: Vec<u32>,
}

/// Whether some name of WITH is read in several places. A statement that has none needs no copies.
pub(crate) fn is_needed(statement: &Statement) -> bool {
    Names::of(statement, &[]).is_some_and(|names| names.any_read_again())
}

/// The statement for a server that opens temporary tables but once. `tables` are those that it reads.
///
/// `only_shape`: it is prepared only, to learn its columns and parameters; nothing is evaluated first.
pub fn reread(sql: &[u8], mode: LexMode, tables: &[&str], only_shape: bool) -> Result<Option<Reread>, PlanError> {
    let parsed = parse(sql, mode)?;
    let Some(mut names) = Names::of(&parsed.statement, tables) else { return Ok(None) };
    names.forget_without_tables();
    if !names.any_read_again() {
        return Ok(None);
    }
    if parsed.notes.table_statement {
        // TABLE takes no alias
        return Err(refused("TABLE beside a name of WITH that is read more than once"));
    }
    names.choose(only_shape)?;
    if names.places() > MAX_PLACES {
        return Err(refused("names of WITH that read each other so often"));
    }
    let outline = Outline::new(sql, mode);
    names.note_items(&parsed.statement, sql, &outline);
    let mut opened = Opened::default();
    let (statement, of_statement) = Renderer::new(&names, sql, outline.params()).statement();
    opened.add(of_statement);
    let mut first = Vec::new();
    for def in names.evaluated() {
        let (query, of_query) = Renderer::new(&names, sql, outline.params()).evaluated(def);
        opened.add(of_query);
        first.push((render::evaluated_name(def), query));
    }
    let first = first
        .into_iter()
        .map(|(table, query)| Evaluated { copies: opened.copies(&table), table: table.into(), query })
        .collect();
    let copies = tables.iter().flat_map(|table| opened.copies(table)).collect();
    Ok(Some(Reread { copies, first, statement }))
}

fn refused(what: &str) -> PlanError {
    PlanError::not_supported(
        format!("{what} over several shards on MySQL"),
        "write the query of that name in each place where it is read",
    )
}
