//! `information_schema`: logical tables and schemas, never physical ones.
//!
//! Each reference to a view of it becomes a derived table over that view: physical names are mapped to logical ones,
//! rows of what the rules do not name are left out. One group answers where one holds a part of every table that the
//! statement can ask for; else the views are read from several groups, each showing what the others do not.

mod schemas;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlparser::ast::Query;

use super::PlanContext;
use super::error::PlanError;
use super::keys::classes;
use super::place::Place;
use super::shape::{Builder, Reader, RefId, RefKind, Shape, TableRef};
use super::types::{NameMap, PinnedLiteral, ViewLabels, ViewName};
use crate::config::{DataNode, GroupId, Rules, Table};
use schemas::Wanted;
pub(crate) use view::{Asked, View, literal};

/// Its name.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// Whether a place is one of its views.
pub(crate) fn is_view(place: &Place) -> bool {
    matches!(place, Place::System { schema, .. } if schema == INFORMATION_SCHEMA)
}

/// The views that derived tables stand for, so that columns are labelled as the views' own.
pub(crate) fn names(builder: &Builder<'_>) -> Option<Arc<NameMap>> {
    let view = |reference: &TableRef| match &reference.kind {
        RefKind::Table { place, info } if is_view(place) && view::is_scoped(info.as_deref(), &reference.name) => {
            let (visible, view) = (reference.visible_name().into(), reference.name.to_ascii_uppercase().into());
            Some(ViewName { visible, view, labels: ViewLabels::System { prefixed_names: false } })
        }
        _ => None,
    };
    let views: Vec<ViewName> = builder.shape.refs.iter().filter_map(view).collect();
    (!views.is_empty()).then(|| Arc::new(NameMap { entries: Vec::new(), views }))
}

/// Whether the servers are MariaDB's, as far as the catalog knows.
pub(crate) fn is_mariadb(context: &PlanContext<'_>) -> bool {
    let tables = context.catalog.table(INFORMATION_SCHEMA, "TABLES");
    tables.is_some_and(|tables| tables.column("TEMPORARY").is_some())
}

/// Its views beside tables of the user: the rows of both are on different servers, or named differently.
pub(crate) fn is_mixed(builder: &Builder<'_>) -> bool {
    let places = || {
        builder.shape.refs.iter().filter_map(|reference| match &reference.kind {
            RefKind::Table { place, .. } => Some(place),
            _ => None,
        })
    };
    places().any(is_view) && !places().all(is_view)
}

/// Why they cannot be read together.
pub(crate) fn mixed() -> PlanError {
    PlanError::not_supported(
        "information_schema beside other tables in one statement",
        "read information_schema by itself",
    )
}

/// Refuses them in a statement that is no query.
pub(crate) fn refuse_mixed(builder: &Builder<'_>) -> Result<(), PlanError> {
    if is_mixed(builder) { Err(mixed()) } else { Ok(()) }
}

/// Views that name physical tables in a way that cannot be mapped, or show what is the servers' own.
fn refuse_hidden(name: &str, is_mariadb: bool) -> Result<(), PlanError> {
    let name = name.to_ascii_uppercase();
    // mariadb-dump asks for tablespaces of NDB; there the view is always empty
    if is_mariadb && name == "FILES" {
        return Ok(());
    }
    let is_hidden = (name.starts_with("INNODB_") && name != "INNODB_METRICS" && !name.starts_with("INNODB_FT_DEFAULT"))
        || ["FILES", "PROCESSLIST", "TABLESPACES", "XTRADB_INTERNAL_HASH_TABLES"].contains(&&*name);
    if !is_hidden {
        return Ok(());
    }
    let instead = if name == "PROCESSLIST" { "use SHOW PROCESSLIST" } else { "ask a server of the group itself" };
    Err(PlanError::not_supported(format!("information_schema.{name} (it shows a server's own objects)"), instead))
}

/// Decides where the views of a query are read.
pub(crate) fn settle(
    builder: &mut Builder<'_>,
    query: &Query,
    pinned: &mut Vec<PinnedLiteral>,
) -> Result<(), PlanError> {
    let ids: Vec<usize> = (0..builder.shape.refs.len())
        .filter(|id| matches!(&builder.shape.refs[*id].kind, RefKind::Table { place, .. } if is_view(place)))
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for id in &ids {
        refuse_hidden(&builder.shape.refs[*id].name, is_mariadb(builder.context))?;
        wanted.push(schemas::of(builder, query, *id, pinned));
    }
    let home = builder.context.schema.and_then(|schema| schema.home_group());
    let groups = groups_for(builder.context.rules, &wanted, home);
    for (id, wanted) in ids.into_iter().zip(wanted) {
        let name = builder.shape.refs[id].name.clone();
        if let RefKind::Table { place: Place::System { schema, nodes, only }, info } = &mut builder.shape.refs[id].kind
        {
            // what no schema has any two groups would show twice
            let is_scoped = view::is_scoped(info.as_deref(), &name);
            let groups = if is_scoped { groups.as_slice() } else { &groups[..1] };
            let node = |group: &GroupId| DataNode {
                group: *group,
                schema: schema.as_str().into(),
                table: name.as_str().into(),
            };
            *nodes = groups.iter().map(node).collect();
            let is_all = wanted.schemas.len() == builder.context.rules.schemas.len();
            *only = (!is_all).then(|| wanted.schemas.iter().map(|schema| Arc::clone(&schema.name)).collect());
        }
    }
    Ok(())
}

/// Whether two references join rows about the same table only: such rows are read from the same group.
pub(crate) fn meet(shape: &Shape, context: &PlanContext<'_>, one: RefId, other: RefId) -> bool {
    let facts = shape.usable(shape.refs[other].block, Reader::Table(other));
    let classes = classes(shape, context, &facts);
    let Some(((schema, table), (other_schema, other_table))) = about(shape, one).zip(about(shape, other)) else {
        return false;
    };
    let same = |left: &str, right: &str| {
        let pair = shape.find_column(one, left).zip(shape.find_column(other, right));
        pair.is_some_and(|(left, right)| classes.same(left, right))
    };
    let only = |id: RefId| match &shape.refs[id].kind {
        RefKind::Table { place: Place::System { only: Some(only), .. }, .. } if only.len() == 1 => only.first(),
        _ => None,
    };
    let one_schema = only(one).is_some() && only(one) == only(other);
    same(&table, &other_table) && (one_schema || same(&schema, &other_schema))
}

/// The columns, in small letters, that name the table which a row of a view is about.
fn about(shape: &Shape, id: RefId) -> Option<(String, String)> {
    let RefKind::Table { info, .. } = &shape.refs[id].kind else { return None };
    let (schema, table) = view::about(info.as_deref()?)?;
    Some((schema.to_ascii_lowercase(), table.to_ascii_lowercase()))
}

/// The fewest groups that hold a part of every table that is asked for; the first is the one that shows
/// `information_schema` itself.
fn groups_for(rules: &Rules, wanted: &[Wanted], home: Option<GroupId>) -> Vec<GroupId> {
    let mut groups: BTreeSet<GroupId> = BTreeSet::new();
    let mut all_tables: Vec<&Arc<Table>> = Vec::new();
    for wanted in wanted {
        for schema in &wanted.schemas {
            match wanted.table.as_deref().map(|name| schema.table(name)) {
                Some(Some(table)) => all_tables.push(table),
                Some(None) => groups.extend(schema.default_group),
                None => {
                    groups.extend(schema.default_group);
                    all_tables.extend(schema.tables.values());
                }
            }
        }
    }
    let holds = |groups: &BTreeSet<GroupId>, table: &Table| table.nodes.iter().any(|node| groups.contains(&node.group));
    loop {
        let missing: Vec<_> = all_tables.iter().filter(|table| !holds(&groups, table)).collect();
        let Some(first) = missing.first() else { break };
        let covered = |group: &GroupId| {
            missing.iter().filter(|table| table.nodes.iter().any(|node| node.group == *group)).count()
        };
        let candidates = first.nodes.iter().map(|node| node.group);
        match candidates.max_by_key(|group| (covered(group), Some(*group) == home)) {
            Some(group) => groups.insert(group),
            None => break,
        };
    }
    if groups.is_empty() {
        groups.extend(home.or_else(|| rules.group_ids().next()));
    }
    let mut groups: Vec<GroupId> = groups.into_iter().collect();
    groups.sort_by_key(|group| Some(*group) != home);
    groups
}
