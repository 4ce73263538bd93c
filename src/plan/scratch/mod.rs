//! Queries that the shards cannot answer together: each table reference is brought into a temporary table on one server,
//! which then answers the client's own statement.
//!
//! A reference is read with only the columns that the statement uses ([`columns`]) and the conditions that concern it
//! alone ([`push`]). Session values become literals as in every plan, so that they are the client's.

mod alternatives;
mod columns;
mod condition;
mod links;
mod push;
mod reread;
mod statement;
mod table;

pub(crate) use reread::{Evaluated, Reread, TableCopy, Written, reread};
use std::sync::Arc;

use bytes::Bytes;
use sqlparser::ast::{Expr, Visit, Visitor};
use std::ops::ControlFlow;

use super::error::PlanError;
use super::keys::Keys;
use super::names::views;
use super::query::{Subject, names_of};
use super::shape::{Builder, Met, RefKind};
use super::system::View;
use super::template::{Filling, Template, TemplateBuilder};
use super::types::{
    NameMap, Params, ScratchBound, ScratchLink, ScratchPlace, ScratchRead, ScratchTable, SessionValues, ShardStatement,
    Text,
};
use super::unit::Unit;
use crate::config::{GroupId, ScratchPlace as Rule};
use crate::route::values::Values;
use crate::sql::parse::IntoKind;
use crate::sql::{Notes, Parsed};
use condition::Condition;
pub(crate) use condition::write_param;
use push::Pushed;
pub(in crate::plan) use push::lock_text;

/// The schema that connections to a scratch server of its own are in: temporary tables must be in some.
const OWN_SCHEMA: &str = "shardloom";

/// A query that runs over temporary tables.
#[derive(Debug, Clone)]
pub(crate) struct ScratchPlan {
    units: Vec<Unit>,
    /// How each unit is read.
    reads: Vec<Read>,
    statement: Template,
    /// The logical schema that the client has chosen.
    chosen: Option<Arc<str>>,
    gives_rows: bool,
    places: Vec<ScratchPlace>,
    names: Option<Arc<NameMap>>,
    /// A name of WITH is read in several places.
    reads_again: bool,
    /// Views are among what is read, whole ones.
    reads_views: bool,
}

/// How a table reference is read.
#[derive(Debug, Clone)]
struct Read {
    table: Arc<ScratchTable>,
    /// The name by which the statement knows it.
    visible: Box<str>,
    partition: statement::Partition,
    /// It is a view of `information_schema`, as each of its nodes shows it.
    views: Option<Arc<[View]>>,
    conditions: Vec<Condition>,
    lock: Option<&'static str>,
    links: Vec<ScratchLink>,
}

/// Plans a query over temporary tables.
pub(crate) fn plan(
    subject: &Subject<'_>,
    builder: &mut Builder<'_>,
    parsed: &Parsed,
    keys: &Keys,
) -> Result<ScratchPlan, PlanError> {
    check(&builder.shape.met, parsed)?;
    let pushed = push::pushed(builder, &parsed.statement);
    let tables = tables(subject, builder, keys)?;
    let names: Vec<&str> = tables.iter().map(|table| &*table.name).collect();
    let (statement, partitions) = statement::statement(builder, keys, &names)?;
    let mut reads = Vec::new();
    for (index, (table, partition)) in tables.iter().zip(partitions).enumerate() {
        let id = keys.refs[index];
        let Pushed { mut conditions, lock } = pushed.get(id).cloned().unwrap_or_default();
        if table.has_timestamp {
            // it is read in another time zone than the client's
            let RefKind::Table { info, .. } = &builder.shape.refs[id].kind else { continue };
            let timestamps =
                info.iter().flat_map(|info| &info.columns).filter(|column| column.data_type == "timestamp");
            let names: Vec<&str> = timestamps.map(|column| column.name.as_str()).collect();
            conditions.retain(|condition| !names.iter().any(|name| condition.names(name)));
        }
        let reference = &builder.shape.refs[id];
        let (visible, views) = (reference.visible_name().into(), views(builder, reference)?);
        reads.push(Read { table: Arc::clone(table), visible, partition, views, conditions, lock, links: Vec::new() });
    }
    for (read, id) in reads.iter_mut().zip(&keys.refs) {
        read.links = links::links(&builder.shape, subject.context, keys, *id);
    }
    let places = places(subject, keys)?;
    Ok(ScratchPlan {
        units: keys.units.clone(),
        reads,
        statement,
        chosen: subject.context.schema.map(|schema| Arc::clone(&schema.name)),
        gives_rows: !(builder.shape.met.into || parsed.notes.do_statement),
        places,
        names: names_of(&keys.units),
        reads_again: reread::is_needed(&parsed.statement),
        reads_views: builder.shape.refs.iter().any(is_view_of_server),
    })
}

/// Whether a reference is to a view that a server evaluates.
fn is_view_of_server(reference: &super::shape::TableRef) -> bool {
    matches!(&reference.kind, RefKind::Table { info: Some(info), .. } if info.definition.is_some())
}

fn refused(what: &str) -> PlanError {
    PlanError::not_supported(
        format!("{what} over several shards"),
        "restrict the query to one sharding key by a condition with =",
    )
}

/// What cannot run on another server than the one that has the tables.
fn check(met: &Met, parsed: &Parsed) -> Result<(), PlanError> {
    let Notes { into, rows_examined, system_time, lock_wait, unsure_comment, .. } = &parsed.notes;
    let writes_file = into.as_ref().is_some_and(|into| into.kind == IntoKind::Outfile);
    for (is_there, what) in [
        (writes_file, "SELECT … INTO OUTFILE"),
        (*rows_examined, "LIMIT ROWS EXAMINED"),
        (*system_time, "FOR SYSTEM_TIME"),
        (*lock_wait, "FOR UPDATE WAIT"),
        (*unsure_comment, "a comment that only some servers execute"),
        (met.lock_function, "locking functions"),
        (met.column_default, "DEFAULT of a column in a query that the shards do not answer each for itself"),
        (met.leaves_state, "a function that leaves something behind"),
        (matches_text(&parsed.statement), "MATCH … AGAINST"),
    ] {
        if is_there {
            return Err(refused(what));
        }
    }
    if let Some(name) = &met.unknown_function {
        let name = name.to_uppercase();
        return Err(refused(&format!("the function {name}, which is not a function of the server,")));
    }
    Ok(())
}

/// Whether a statement searches by a full-text index.
fn matches_text(statement: &impl Visit) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::MatchAgainst { .. }) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    statement.visit(&mut Finder).is_break()
}

/// The temporary table of each unit.
fn tables(subject: &Subject<'_>, builder: &Builder<'_>, keys: &Keys) -> Result<Vec<Arc<ScratchTable>>, PlanError> {
    let names = columns::Names::of(subject);
    let mut tables = Vec::new();
    for (number, id) in keys.refs.iter().enumerate() {
        let reference = &builder.shape.refs[*id];
        let RefKind::Table { place, info } = &reference.kind else {
            return Err(PlanError::Internal("a unit that is no table"));
        };
        let table = match info {
            Some(info) => {
                let columns = names.columns(info, reference.all_columns);
                table::table(number, info, &columns, &columns::joined(&builder.shape, *id))
            }
            // only shown, not run
            None if subject.context.assume_types => table::unknown(number),
            None => {
                let (schema, table) = (place.schema().to_owned(), place.table().to_owned());
                return Err(PlanError::NoSuchTable { schema, table });
            }
        };
        tables.push(Arc::new(table));
    }
    Ok(tables)
}

/// The groups that may do the work, each with the schema that the connection is in.
fn places(subject: &Subject<'_>, keys: &Keys) -> Result<Vec<ScratchPlace>, PlanError> {
    let rules = subject.context.rules;
    let groups: Vec<GroupId> = match &rules.proxy.scratch.place {
        Rule::Groups { groups, .. } => groups.clone(),
        // DATABASE() and the like are literals there
        Rule::Server(_) => {
            let (schema, label) = (Arc::from(OWN_SCHEMA), Arc::from("scratch server"));
            return Ok(vec![ScratchPlace { group: None, schema, label }]);
        }
    };
    let of_unit = |group: GroupId| {
        let nodes = keys.units.iter().filter(|unit| !unit.place.is_system()).flat_map(|unit| unit.place.nodes());
        nodes.into_iter().find(|node| node.group == group).map(|node| Arc::clone(&node.schema))
    };
    let place = |group: GroupId| {
        let chosen = subject.context.schema.and_then(|schema| schema.physical_name_on(group));
        let schema = chosen.or_else(|| of_unit(group))?;
        Some(ScratchPlace { group: Some(group), schema, label: Arc::clone(&rules.group(group).name) })
    };
    let places: Vec<ScratchPlace> = groups.into_iter().filter_map(place).collect();
    if places.is_empty() {
        return Err(PlanError::not_supported(
            "this query: none of the groups of scratch.groups holds a part of the schema",
            "name a group that does",
        ));
    }
    Ok(places)
}

impl ScratchPlan {
    /// Makes the reads and the statement of one execution; `reason` is what the shards cannot do.
    pub fn bind(&self, reason: String, values: &Values<'_>, session: &dyn SessionValues) -> ScratchBound {
        let reads =
            self.units.iter().zip(&self.reads).map(|(unit, read)| self.read(unit, read, values, session)).collect();
        let (sql, params) = self.statement.fill(values, &self.filling(session, false));
        let places = self.places.clone();
        let (gives_rows, reads_again) = (self.gives_rows, self.reads_again);
        ScratchBound {
            reason,
            reads,
            sql,
            params,
            gives_rows,
            reads_again,
            reads_views: self.reads_views,
            views: Vec::new(),
            places,
            combine: None,
        }
    }

    /// What fills the slots of statements over the temporary tables.
    pub fn filling<'f>(&'f self, session: &'f dyn SessionValues, inline: bool) -> Filling<'f> {
        let chosen = self.chosen.as_deref().unwrap_or_default();
        let same_name = self.places.iter().all(|place| *place.schema == *chosen);
        Filling {
            units: &self.units,
            // nothing in the text depends on nodes
            nodes: &[],
            // DATABASE() is the client's where all places have its name
            schema: if same_name { chosen } else { "" },
            session,
            limit_count: 0,
            insert: None,
            chosen: self.chosen.as_deref(),
            several: false,
            renamed: true,
            inline,
        }
    }

    /// The edits that put the temporary tables in the places of the statement's.
    pub fn tables_template(&self, builder: &Builder<'_>, keys: &Keys) -> TemplateBuilder {
        let names: Vec<&str> = self.reads.iter().map(|read| &*read.table.name).collect();
        statement::tables(builder, keys, &names).0
    }

    fn read(&self, unit: &Unit, read: &Read, values: &Values<'_>, session: &dyn SessionValues) -> ScratchRead {
        let mut behind = Vec::new();
        let mut share = 1.0;
        for condition in &read.conditions {
            let start = behind.len();
            behind.extend_from_slice(if start == 0 { b" WHERE " } else { b" AND " });
            if condition.write(values, &mut behind) {
                share *= condition.share;
            } else {
                behind.truncate(start);
            }
        }
        let nodes: Vec<usize> = match unit.place.sharded() {
            // a contradiction: any node gives no row
            Some(_) => {
                let reached = unit.nodes(values);
                if reached.is_empty() { vec![0] } else { reached.iter().collect() }
            }
            // each shows what the others do not
            None if read.views.is_some() => (0..unit.place.nodes().len()).collect(),
            None => vec![0],
        };
        let shards = nodes.into_iter().filter_map(|node| self.shard(unit, node, read, &behind, session)).collect();
        ScratchRead {
            table: Arc::clone(&read.table),
            schema: unit.place.schema().into(),
            name: unit.place.table().into(),
            visible: Arc::from(&*read.visible),
            shards,
            filtered: !behind.is_empty(),
            share,
            lock: read.lock.unwrap_or_default(),
            links: read.links.clone(),
        }
    }

    fn shard(
        &self,
        unit: &Unit,
        index: usize,
        read: &Read,
        behind: &[u8],
        session: &dyn SessionValues,
    ) -> Option<ShardStatement> {
        let node = unit.node(index)?;
        // every server has the system's schemas; a connection stays in its own
        let schema = (!unit.place.is_system()).then(|| Arc::clone(&node.schema));
        let mut sql = format!("SELECT {} FROM ", read.table.select).into_bytes();
        match read.views.as_ref().map(|views| views.get(index)) {
            Some(view) => view?.write(session, Some(b"shardloom_view"), &mut sql),
            None => unit.write_name(index, schema.as_deref().unwrap_or_default(), &mut sql),
        }
        if let Some(partition) = &read.partition {
            sql.push(b' ');
            sql.extend_from_slice(partition.as_bytes());
        }
        sql.extend_from_slice(behind);
        Some(ShardStatement {
            node: Arc::clone(&unit.labels[index]),
            group: node.group,
            schema,
            sql: Text::Rewritten(Bytes::from(sql)),
            params: Params::Same,
            names: self.names.clone(),
            rows: None,
        })
    }
}
