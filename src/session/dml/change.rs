//! UPDATE and DELETE in steps: the rows are chosen and locked by a query, and changed by their primary keys.

use std::collections::HashSet;
use std::sync::Arc;

use super::Done;
use super::carry::Carrier;
use super::nodes::NodeStatement;
use crate::error::SqlError;
use crate::plan::Plan;
use crate::plan::compose::{Assigned, ChangeRows, Target};
use crate::protocol::Value;
use crate::route::key::RawValue;
use crate::session::query::Text;
use crate::session::select_inner::InnerRows;
use crate::session::values::raw_value;
use crate::session::{Failure, Session, Snapshot};

/// How many rows one statement by primary key changes.
const ROWS_PER_STATEMENT: usize = 500;

/// A row that is to be changed.
pub(super) struct ChosenRow {
    /// The nodes that it may be on: one, unless its sharding key is not exactly known.
    pub nodes: Vec<usize>,
    /// The literals of its identity.
    pub identity: Vec<Vec<u8>>,
    /// The literals of what is assigned to it.
    pub values: Vec<Vec<u8>>,
}

impl Session {
    pub(super) async fn change_steps(
        &mut self,
        snapshot: &Arc<Snapshot>,
        plan: &Arc<Plan>,
        rows: &ChangeRows,
        text: &Text,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let literals = self.literals.clone();
        let query = rows.read(&text.sql, &literals);
        let carrier = self.carrier(&text.sql);
        let read = self.read_for(query, rows.ignore).await?;
        done.add_read(&read);
        if rows.is_update {
            done.info.begin_matched();
        }
        let mut from = 0;
        for target in &rows.targets {
            let width = target.identity.len() + target.read_values();
            let chosen = self.chosen(&read, target, from, carrier)?;
            from += width;
            if target.moves {
                self.check_unreferenced(snapshot, plan, target).await?;
                self.move_rows(snapshot, plan, target, chosen, done).await?;
                continue;
            }
            let statements = self.statements(rows, target, &chosen, &text.sql, &literals);
            if statements.is_empty() {
                continue;
            }
            let (outcome, diagnostics) = self.run_on_nodes(snapshot, plan, target, statements).await?;
            done.add(&outcome, restored(diagnostics, target));
        }
        Ok(())
    }

    /// The rows of one table among those that were read, each once. An outer join gives NULLs where there is no row.
    fn chosen(
        &self,
        read: &InnerRows,
        target: &Target,
        from: usize,
        carrier: Carrier,
    ) -> Result<Vec<ChosenRow>, Failure> {
        let writer = carrier.writer;
        let width = target.identity.len();
        let mut seen: HashSet<Vec<Vec<u8>>> = HashSet::new();
        let mut chosen = Vec::new();
        for row in &read.rows {
            let values = read.values(row)?;
            let literal = |index: usize| {
                let mut out = Vec::new();
                writer.cell(&values[index], &read.columns[index], &mut out);
                out
            };
            let identity: Vec<Vec<u8>> = (from..from + width).map(literal).collect();
            if identity.iter().all(|literal| literal == b"NULL") || !seen.insert(identity.clone()) {
                continue;
            }
            let taken = target.values.iter().filter(|assigned| assigned.value.is_some());
            let assign = |(index, assigned): (usize, &Assigned)| {
                let mut out = Vec::new();
                carrier.cell(&values[index], &read.columns[index], assigned.taker.as_ref(), &mut out)?;
                Ok(out)
            };
            let assigned = (from + width..).zip(taken).map(assign).collect::<Result<_, SqlError>>()?;
            let key: Vec<RawValue<'_>> = target.key.iter().map(|at| raw_value(&values[from + at])).collect();
            chosen.push(ChosenRow { nodes: nodes_of(target, &key), identity, values: assigned });
        }
        Ok(chosen)
    }

    fn statements(
        &self,
        rows: &ChangeRows,
        target: &Target,
        chosen: &[ChosenRow],
        sql: &[u8],
        literals: &[crate::sql::Literal],
    ) -> Vec<NodeStatement> {
        let mut statements = Vec::new();
        for node in 0..target.unit.place.nodes().len() {
            let here: Vec<&ChosenRow> = chosen.iter().filter(|row| row.nodes.contains(&node)).collect();
            for chunk in here.chunks(ROWS_PER_STATEMENT) {
                let identities: Vec<&[Vec<u8>]> = chunk.iter().map(|row| row.identity.as_slice()).collect();
                if !rows.is_update {
                    statements.push(NodeStatement { node, sql: target.delete(node, &identities, rows.ignore) });
                    continue;
                }
                match rows.update_kept(target, node, &identities, sql, literals) {
                    Some(sql) => statements.push(NodeStatement { node, sql }),
                    None => statements.extend(chunk.iter().map(|row| NodeStatement {
                        node,
                        sql: target.update_row(node, &row.identity, &row.values, rows.ignore),
                    })),
                }
            }
        }
        statements
    }
}

/// The nodes that a row with this key may be on; of a broadcast table all.
pub(super) fn nodes_of(target: &Target, key: &[RawValue<'_>]) -> Vec<usize> {
    let all = || (0..target.unit.place.nodes().len()).collect();
    match &target.unit.keyed {
        Some(keyed) => keyed.stored(key).map_or_else(|_| all(), |node| vec![node]),
        None => all(),
    }
}

/// The value of a cell, as a key.
pub(super) fn key_of<'a>(values: &[Value<'a>], at: &[usize]) -> Vec<RawValue<'a>> {
    at.iter().filter_map(|at| values.get(*at)).map(raw_value).collect()
}

fn restored(mut diagnostics: Vec<crate::session::Diagnostic>, target: &Target) -> Vec<crate::session::Diagnostic> {
    if let Some(names) = &target.names {
        for diagnostic in &mut diagnostics {
            diagnostic.message = crate::execute::relay::Names::restore_text(&**names, &diagnostic.message);
        }
    }
    diagnostics
}
