//! Statements that are not understood: they go through as they are if they name no table that the rules place, else
//! they are refused.

use std::sync::Arc;

use super::action::{Action, Routed};
use super::error::PlanError;
use super::place::is_system_schema;
use super::query::Subject;
use super::template::Template;
use super::types::{Access, LogicalTable, Needs, Pins, StatementKind};
use super::views::SplitView;
use super::{Plan, PlanContext};
use crate::sql::names::{self, Name};
use crate::sql::{ParseError, Verb};

/// A statement that has no plan of its own.
pub(crate) fn plan(subject: &Subject<'_>, what: &str) -> Result<Plan, PlanError> {
    let names = names::tables(subject.sql, subject.context.mode);
    check_dynamic(subject.context, &names)?;
    match placed_name(subject.context, &names, only_reads(subject.scan.verb)) {
        Some(name) => Err(PlanError::not_supported(
            format!("{what} with the table '{name}', which the rules place"),
            "leave that table out, or write it in another way",
        )),
        None => Ok(home(subject, &names)),
    }
}

/// A statement that does not parse.
pub(crate) fn unparsed(subject: &Subject<'_>, error: ParseError) -> Result<Plan, PlanError> {
    let names = names::tables(subject.sql, subject.context.mode);
    check_dynamic(subject.context, &names)?;
    match placed_name(subject.context, &names, only_reads(subject.scan.verb)) {
        Some(_) => Err(error.into()),
        None => Ok(home(subject, &names)),
    }
}

/// A program that makes statements out of texts (`EXECUTE IMMEDIATE …`, `PREPARE name FROM …`) may name any table: its server
/// would take the one that it has for the whole.
fn check_dynamic(context: &PlanContext<'_>, names: &[Name]) -> Result<(), PlanError> {
    let is = |name: Option<&Name>, word: &str| name.is_some_and(|name| name.text.eq_ignore_ascii_case(word));
    let is_dynamic = (0..names.len()).any(|at| {
        (is(names.get(at), "execute") && is(names.get(at + 1), "immediate"))
            || (is(names.get(at), "prepare") && is(names.get(at + 2), "from"))
    });
    let places_any = || context.rules.schemas.values().any(|schema| !schema.tables.is_empty());
    if is_dynamic && places_any() {
        return Err(PlanError::not_supported(
            "a program with EXECUTE IMMEDIATE or PREPARE",
            "write its statements out",
        ));
    }
    Ok(())
}

/// `/* shardloom: group=… */`: goes to that group as it is.
pub(crate) fn forced(subject: &Subject<'_>) -> Result<Plan, PlanError> {
    Ok(home(subject, &names::tables(subject.sql, subject.context.mode)))
}

/// Whether a statement that is not understood changes no table that it names. WITH may stand in front of a DELETE.
fn only_reads(verb: Verb) -> bool {
    matches!(verb, Verb::Select | Verb::Values | Verb::Table | Verb::Show | Verb::Explain)
}

/// A name that may be a table which is not on the home group under that very name, or, unless the statement only reads, not
/// there alone.
pub(crate) fn placed_name(context: &PlanContext<'_>, names: &[Name], only_reads: bool) -> Option<String> {
    let chosen = context.schema.into_iter();
    let named = names.iter().filter_map(|name| context.rules.schema(&name.text));
    for schema in chosen.chain(named) {
        for name in names {
            if schema.is_part(&name.text) {
                return Some(name.text.clone());
            }
            if SplitView::find(context, Some(&schema.name), &name.text).is_some() {
                return Some(name.text.clone());
            }
            let Some(table) = schema.table(&name.text) else { continue };
            let is_plain = |node: &crate::config::DataNode| {
                Some(node.group) == schema.default_group && node.schema == schema.name && *node.table == *name.text
            };
            let is_at_home = table.nodes.iter().any(is_plain) && (only_reads || table.nodes.len() == 1);
            if table.is_sharded() || !is_at_home {
                return Some(name.text.clone());
            }
        }
    }
    None
}

/// A plan that sends the client's bytes to the home group.
pub(crate) fn home(subject: &Subject<'_>, names: &[Name]) -> Plan {
    let (kind, access) = match subject.scan.verb {
        Verb::Select | Verb::With | Verb::Values | Verb::Table => (StatementKind::Select, Access::LockingRead),
        Verb::Show | Verb::Explain => (StatementKind::Select, Access::Read),
        Verb::Insert | Verb::Replace => (StatementKind::Insert, Access::Write),
        Verb::Update => (StatementKind::Update, Access::Write),
        Verb::Delete => (StatementKind::Delete, Access::Write),
        Verb::Create | Verb::Alter | Verb::Drop | Verb::Truncate | Verb::Rename => (StatementKind::Ddl, Access::Ddl),
        _ => (StatementKind::Other, Access::Write),
    };
    let is_select = kind == StatementKind::Select;
    let unknown = matches!(subject.scan.verb, Verb::Call | Verb::Other) || (is_select && access == Access::LockingRead);
    let flags = subject.scan.flags;
    let insert_id =
        subject.scan.verb == Verb::Call || names.iter().any(|name| name.text.eq_ignore_ascii_case("last_insert_id"));
    // a program may read and set variables without being told their names
    let pins = Pins { user_variables: flags.user_variable || unknown, insert_id, unknown, ..Pins::default() };
    Plan {
        kind,
        access,
        pins,
        needs: Needs::default(),
        server_hint: subject.hints.server,
        pinned: Vec::new(),
        tables: schemas(subject.context, names),
        assigned_variables: if unknown { subject.named_variables() } else { subject.assigned_variables() },
        mode: subject.context.mode,
        text_is_utf8: subject.context.text_is_utf8,
        action: as_it_is(subject),
        compose: None,
        given_ids: None,
        skip: None,
        warnings: Vec::new(),
        digest: Default::default(),
    }
}

/// The client's bytes, to the home group.
pub(crate) fn as_it_is(subject: &Subject<'_>) -> Action {
    Action::Routed(Routed {
        units: Vec::new(),
        colocated: None,
        relay: Template::default(),
        scatter: Err(PlanError::Internal("a statement without tables is on several shards")),
        apart: PlanError::Internal("a statement without tables is on several groups"),
        home: subject.home(),
        names: None,
        unchanged_keys: Vec::new(),
    })
}

/// The schemas that a text may name, as tables without a name: for who must not see them.
fn schemas(context: &PlanContext<'_>, names: &[Name]) -> Vec<LogicalTable> {
    let mut schemas: Vec<Arc<str>> = context.schema.map(|schema| Arc::clone(&schema.name)).into_iter().collect();
    for name in names {
        if let Some(schema) = context.rules.schema(&name.text) {
            schemas.push(Arc::clone(&schema.name));
        } else if is_system_schema(&name.text) && !name.text.eq_ignore_ascii_case("information_schema") {
            schemas.push(name.text.to_ascii_lowercase().into());
        }
    }
    schemas.sort();
    schemas.dedup();
    schemas.into_iter().map(|schema| LogicalTable { schema, table: "".into() }).collect()
}
