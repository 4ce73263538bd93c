//! The query of a view as its server prints it: which logical tables it reads.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{ObjectName, Statement, visit_relations};

use super::{MAX_DEPTH, SplitView};
use crate::config::{GroupId, Rules};
use crate::plan::PlanContext;
use crate::plan::place::{is_system_schema, locate};
use crate::plan::shape::split_name;
use crate::plan::system::INFORMATION_SCHEMA;
use crate::sql::{LexMode, Parsed, names, parse};

/// A logical name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logical {
    pub schema: Arc<str>,
    pub table: Arc<str>,
}

/// What a physical name in a definition on a group stands for: the table of which it is the first part there, or itself.
/// `None` for another part: who wrote that meant this part alone.
pub(super) fn logical(rules: &Rules, group: GroupId, schema: &str, table: &str) -> Option<Logical> {
    for of in rules.schemas.values() {
        for ruled in of.tables.values() {
            let mut here = ruled.nodes.iter().filter(|node| node.group == group);
            let is_it = |node: &crate::config::DataNode| *node.schema == *schema && *node.table == *table;
            match here.next() {
                Some(first) if is_it(first) => {
                    return Some(Logical { schema: Arc::clone(&of.name), table: Arc::clone(&ruled.name) });
                }
                Some(_) if here.any(is_it) => return None,
                _ => {}
            }
        }
    }
    Some(Logical { schema: schema.into(), table: table.into() })
}

/// The tree of a definition.
pub(super) fn parsed(text: &str) -> Option<Parsed> {
    // servers print strings with backslashes and names in backticks, whatever the session's sql_mode
    parse(text.as_bytes(), LexMode::default()).ok().filter(|parsed| matches!(parsed.statement, Statement::Query(_)))
}

/// The physical names in a definition, all of which have their schema; those without are of WITH.
fn named(parsed: &Parsed) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let _ = visit_relations(&parsed.statement, |name: &ObjectName| {
        if let Ok((Some(schema), table)) = split_name(name) {
            names.push((schema.value.clone(), table.value.clone()));
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// Whether the tables of a definition are told apart by their names without schemas.
pub(super) fn has_distinct_tables(parsed: &Parsed) -> bool {
    let names = named(parsed);
    names.iter().all(|(schema, table)| names.iter().all(|(other, same)| table != same || schema == other))
}

/// Whether the tables of a definition on a group exist, as far as the catalog knows.
pub(super) fn all_there(context: &PlanContext<'_>, group: GroupId, parsed: &Parsed) -> bool {
    named(parsed).iter().filter(|(schema, _)| !is_system_schema(schema)).all(|(schema, table)| {
        logical(context.rules, group, schema, table)
            .is_none_or(|logical| context.catalog.table(&logical.schema, &logical.table).is_some())
    })
}

/// The logical tables that a view on a group reads: schema and table.
pub fn tables_of(rules: &Rules, group: GroupId, definition: &str) -> Vec<(Arc<str>, Arc<str>)> {
    let Some(parsed) = parsed(definition) else { return Vec::new() };
    let tables = named(&parsed).into_iter().filter_map(|(schema, table)| logical(rules, group, &schema, &table));
    tables.map(|table| (table.schema, table.table)).collect()
}

/// Whether a view on a group reads tables that are not whole there, or `information_schema`, which names physical tables.
pub(super) fn is_split(context: &PlanContext<'_>, group: GroupId, definition: &str, depth: usize) -> bool {
    let rules = context.rules;
    let Some(parsed) = parsed(definition) else {
        // not to be read as it is, and not to be read at all
        let words = names::tables(definition.as_bytes(), LexMode::default());
        let is_part = |word: &names::Name| rules.schemas.values().any(|schema| schema.is_part(&word.text));
        return words.iter().any(is_part);
    };
    let mut reads_several = false;
    for (schema, table) in named(&parsed) {
        if is_system_schema(&schema) {
            reads_several |= schema.eq_ignore_ascii_case(INFORMATION_SCHEMA);
            continue;
        }
        let Some(logical) = logical(rules, group, &schema, &table) else { return false };
        let Ok(place) = locate(context, Some(&logical.schema), &logical.table) else { continue };
        let is_here = place.nodes().iter().any(|node| node.group == group);
        reads_several |= place.sharded().is_some() || !is_here;
        reads_several |= depth < MAX_DEPTH
            && SplitView::find_in(context, Some(&logical.schema), &logical.table, depth + 1).is_some();
    }
    reads_several
}
