//! Definitions of tables: the client's statement, on every data node of the table.
//!
//! What is done to which tables comes from a parser of its own ([`crate::sql::ddl`]); the text reaches each node with
//! the node's names. Definitions that would part a table from its rule (a change of the sharding key, another name) are
//! refused, and so are those that mean something else on several nodes.

use std::sync::Arc;

use bytes::Bytes;

use super::action::{Action, Everywhere};
use super::error::PlanError;
use super::given::{Given, GivenStatement};
use super::place::{Place, locate};
use super::query::{Subject, names_of};
use super::template::{Slot, TemplateBuilder};
use super::types::{Access, LogicalTable, Needs, Pins, StatementKind};
use super::unit::{Unit, quoted};
use super::{Plan, opaque};
use crate::route::condition::Condition;
use crate::sql::ddl::{self, ColumnChange, Ddl, DdlKind, DdlTable, Role};
use crate::sql::names::Name;

/// Plans a definition.
pub(crate) fn plan(subject: &Subject<'_>) -> Result<Plan, PlanError> {
    let Some(ddl) = ddl::parse(subject.sql, subject.context.mode) else {
        return opaque::plan(subject, "this definition");
    };
    match &ddl.kind {
        DdlKind::CreateTable { temporary: true, .. } | DdlKind::DropTable { temporary: true, .. } => {
            temporary(subject, &ddl)
        }
        DdlKind::CreateTable { query: Some(_), .. } => opaque::plan(subject, "CREATE TABLE … SELECT"),
        DdlKind::CreateTable { .. } => {
            check_constraints(subject, &ddl)?;
            on_all_nodes(subject, &ddl)
        }
        DdlKind::AlterTable => {
            check_key_columns(subject, &ddl)?;
            check_constraints(subject, &ddl)?;
            on_all_nodes(subject, &ddl)
        }
        DdlKind::DropTable { .. } => drop_tables(subject, &ddl),
        DdlKind::Truncate | DdlKind::CreateIndex | DdlKind::DropIndex => on_all_nodes(subject, &ddl),
        DdlKind::RenameTable => opaque::plan(subject, "RENAME TABLE"),
        DdlKind::CreateDatabase(name) | DdlKind::DropDatabase(name) => database(subject, name),
        DdlKind::DefineView(_) | DdlKind::DropView => opaque::plan(subject, "a view"),
        DdlKind::CreateTrigger => opaque::plan(subject, "a trigger"),
        DdlKind::Maintenance(_) => opaque::plan(subject, "table maintenance"),
        DdlKind::AlterDatabase | DdlKind::Program | DdlKind::Other => opaque::plan(subject, "this definition"),
    }
}

/// A table as a unit of a plan: all of its nodes.
fn unit(subject: &Subject<'_>, table: &DdlTable) -> Result<Unit, PlanError> {
    let (schema, name) = (table.name.schema.as_ref().map(|name| name.text.as_str()), table.name.table.text.as_str());
    let place = locate(subject.context, schema, name)?;
    Ok(Unit::new(subject.context.rules, place, schema, name, None, Condition::Any))
}

/// Where the name stands, schema included.
fn range(table: &DdlTable) -> std::ops::Range<usize> {
    let start = table.name.schema.as_ref().map_or(table.name.table.range.start, |schema| schema.range.start);
    start..table.name.table.range.end
}

fn is_placed(unit: &Unit) -> bool {
    matches!(unit.place, Place::Ruled { .. })
}

/// The statement on every node of its first table, with the names of that node.
fn on_all_nodes(subject: &Subject<'_>, ddl: &Ddl) -> Result<Plan, PlanError> {
    let mut units = Vec::with_capacity(ddl.tables.len());
    let mut template = TemplateBuilder::default();
    for table in &ddl.tables {
        let unit = unit(subject, table)?;
        if table.role == Role::NewName && (is_placed(&unit) || units.iter().any(is_placed)) {
            return Err(PlanError::not_supported(
                "another name for a table that the rules place",
                "its nodes are named in the rules: rename them on the backends and in the rules",
            ));
        }
        template.slot(range(table), Slot::Table { unit: units.len(), alias: None });
        units.push(unit);
    }
    check_beside(&units)?;
    let names = names_of(&units);
    let tables = units.iter().map(logical).collect();
    let template = template.build(subject.sql.len(), subject.literals)?;
    let everywhere = Everywhere { units, template, names, same_rows: false };
    Ok(definition(subject, tables, Action::Everywhere(vec![everywhere])))
}

/// A node's other tables must be on that node too: a model or a referenced table that is split in the same way, or that
/// every group has.
fn check_beside(units: &[Unit]) -> Result<(), PlanError> {
    let Some((lead, others)) = units.split_first() else {
        return Err(PlanError::Internal("a definition without a table"));
    };
    let lead_nodes = lead.place.nodes();
    for other in others {
        let nodes = other.place.nodes();
        let split_alike = nodes.len() == lead_nodes.len()
            && nodes.iter().zip(lead_nodes).all(|(a, b)| a.group == b.group && a.schema == b.schema);
        let on_every_group = other.place.sharded().is_none()
            && lead_nodes.iter().all(|lead| nodes.iter().any(|node| node.group == lead.group));
        if !split_alike && !on_every_group {
            return Err(PlanError::not_supported(
                format!("'{}' in a definition of '{}': they are not on the same shards", other.place.table(), lead.place.table()),
                "name tables that are bound, or broadcast",
            ));
        }
    }
    Ok(())
}

/// DROP TABLE of several tables becomes one statement for each, since each has nodes of its own.
fn drop_tables(subject: &Subject<'_>, ddl: &Ddl) -> Result<Plan, PlanError> {
    let units = ddl.tables.iter().map(|table| unit(subject, table)).collect::<Result<Vec<_>, _>>()?;
    if let [_] | [] = units.as_slice() {
        return on_all_nodes(subject, ddl);
    }
    let (Some(first), Some(last)) = (ddl.tables.first(), ddl.tables.last()) else {
        return Err(PlanError::Internal("a definition without a table"));
    };
    let list = range(first).start..range(last).end;
    let mut all = Vec::with_capacity(units.len());
    let mut tables = Vec::with_capacity(units.len());
    for unit in units {
        let mut template = TemplateBuilder::default();
        let name = template.piece(Slot::Table { unit: 0, alias: None });
        template.pieces(list.clone(), [name]);
        let template = template.build(subject.sql.len(), subject.literals)?;
        tables.push(logical(&unit));
        let names = names_of(std::slice::from_ref(&unit));
        all.push(Everywhere { units: vec![unit], template, names, same_rows: false });
    }
    Ok(definition(subject, tables, Action::Everywhere(all)))
}

/// A temporary table lives on one connection, so it cannot take the place of a table on several nodes.
fn temporary(subject: &Subject<'_>, ddl: &Ddl) -> Result<Plan, PlanError> {
    for table in &ddl.tables {
        if is_placed(&unit(subject, table)?) {
            return Err(PlanError::not_supported(
                format!("a temporary table with '{}', which the rules place", table.name.table.text),
                "give the temporary table a name of its own, and no model that is sharded",
            ));
        }
    }
    let mut plan = opaque::plan(subject, "a temporary table")?;
    // It commits nothing (*Statements That Cause an Implicit Commit*), and stays with its session.
    plan.access = Access::LockingRead;
    plan.pins.temporary_table = true;
    Ok(plan)
}

/// The names of constraints are unique in a schema, so two nodes in one schema cannot have the same.
fn check_constraints(subject: &Subject<'_>, ddl: &Ddl) -> Result<(), PlanError> {
    let (Some(constraint), Some(table)) = (ddl.constraints.first(), ddl.tables.first()) else { return Ok(()) };
    let unit = unit(subject, table)?;
    let nodes = unit.place.nodes();
    let share = |a: &crate::config::DataNode, b: &crate::config::DataNode| a.group == b.group && a.schema == b.schema;
    let clash = nodes.iter().enumerate().any(|(index, node)| nodes[..index].iter().any(|other| share(node, other)));
    if clash {
        return Err(PlanError::not_supported(
            format!(
                "the constraint name '{}' on '{}', which has several tables in one schema",
                constraint.text,
                unit.place.table()
            ),
            "leave the name out: each server then makes one of its own",
        ));
    }
    Ok(())
}

/// The sharding key stays what it is: with another type or collation its values could belong to other shards.
fn check_key_columns(subject: &Subject<'_>, ddl: &Ddl) -> Result<(), PlanError> {
    let Some(table) = ddl.tables.first() else { return Ok(()) };
    let unit = unit(subject, table)?;
    let Some(rule) = unit.place.sharded() else { return Ok(()) };
    let keys = rule.key_columns();
    for (change, column) in &ddl.columns {
        let is_key = keys.iter().any(|key| key.eq_ignore_ascii_case(&column.text));
        if is_key && *change != ColumnChange::Added {
            return Err(PlanError::not_supported(
                format!("a change of the sharding key '{}' of '{}'", column.text, rule.name),
                "its rows would belong to other shards: make a new table, and copy the rows",
            ));
        }
    }
    if converts_charset(subject) {
        return Err(PlanError::not_supported(
            format!("CONVERT TO CHARACTER SET of the sharded table '{}'", rule.name),
            "change the columns one by one, and leave the sharding key as it is",
        ));
    }
    Ok(())
}

fn converts_charset(subject: &Subject<'_>) -> bool {
    let words = subject.outline.tokens().windows(2);
    words.into_iter().any(|pair| pair[0].is_word(subject.sql, "convert") && pair[1].is_word(subject.sql, "to"))
}

/// CREATE and DROP DATABASE of a schema of the rules: each physical schema that stands for it.
fn database(subject: &Subject<'_>, name: &Name) -> Result<Plan, PlanError> {
    let rules = subject.context.rules;
    let Some(schema) = rules.schema(&name.text) else {
        return Err(PlanError::not_supported(
            format!("the schema '{}', which the rules do not name", name.text),
            "add it to the rules",
        ));
    };
    let statement = |(group, physical): (crate::config::GroupId, Arc<str>)| {
        let mut sql = subject.sql[..name.range.start].to_vec();
        sql.extend_from_slice(quoted(&physical).as_bytes());
        sql.extend_from_slice(&subject.sql[name.range.end..]);
        let label = format!("{}.{physical}", rules.group(group).name).into();
        GivenStatement { label, group, schema: None, sql: Bytes::from(sql) }
    };
    let statements = schema.databases().into_iter().map(statement).collect();
    let tables = vec![LogicalTable { schema: Arc::clone(&schema.name), table: "".into() }];
    let given = Given { statements, merge: None, names: None, names_in_rows: false };
    let mut plan = definition(subject, tables, Action::Given(given));
    plan.pinned = all_literals(subject);
    Ok(plan)
}

/// The statements were made from this text, so they hold for no other.
fn all_literals(subject: &Subject<'_>) -> Vec<super::types::PinnedLiteral> {
    let literals = subject.literals.iter().enumerate();
    literals.map(|(index, literal)| super::types::PinnedLiteral { index, text: literal.bytes(subject.sql).into() }).collect()
}

fn logical(unit: &Unit) -> LogicalTable {
    LogicalTable { schema: unit.place.schema().into(), table: unit.place.table().into() }
}

fn definition(subject: &Subject<'_>, tables: Vec<LogicalTable>, action: Action) -> Plan {
    Plan {
        kind: StatementKind::Ddl,
        access: Access::Ddl,
        pins: Pins::default(),
        needs: Needs::default(),
        server_hint: subject.hints.server,
        pinned: Vec::new(),
        tables,
        assigned_variables: Vec::new(),
        mode: subject.context.mode,
        action,
    }
}
