//! Definitions: CREATE, ALTER, DROP, TRUNCATE, RENAME, and maintenance of tables.
//!
//! What defines a table runs on every node of it, one statement each. A name that must be unique in a physical schema,
//! an object whose body names tables, and a change of the sharding key are refused.

use std::ops::Range;
use std::sync::Arc;

use super::action::{Action, Everywhere};
use super::compose::Compose;
use super::error::PlanError;
use super::functions;
use super::given::{Given, GivenStatement};
use super::keys::Keys;
use super::opaque;
use super::place::{self, Place};
use super::query::{Subject, name_map};
use super::shape::Met;
use super::template::{Slot, TemplateBuilder};
use super::types::{Access, LogicalTable, StatementKind};
use super::unit::{Unit, quoted};
use super::{Plan, PlanContext, views};
use crate::config::Table;
use crate::route::condition::Condition;
use crate::route::key::KeyType;
use crate::sql::ddl::{self, ColumnChange, Ddl, DdlKind, DdlTable, Role};
use crate::sql::names;

/// Plans a definition.
pub(crate) fn plan(subject: &Subject<'_>) -> Result<Plan, PlanError> {
    let Some(ddl) = ddl::parse(subject.sql, subject.context.mode) else {
        return opaque::plan(subject, "this definition");
    };
    match &ddl.kind {
        DdlKind::CreateDatabase(name) | DdlKind::DropDatabase(name) => {
            return database(subject, &name.text, &name.range);
        }
        DdlKind::AlterDatabase => {
            return Err(PlanError::not_supported("changing a schema", "change it on the backends"));
        }
        DdlKind::Other if is_account(subject) => {
            return Err(PlanError::not_supported("accounts and privileges", "users are defined by the rules"));
        }
        DdlKind::DefineView(query) => {
            let Some(view) = ddl.tables.first() else { return opaque::plan(subject, "this view") };
            return views::define(subject, &view.name, query);
        }
        DdlKind::CreateTrigger | DdlKind::Program | DdlKind::Other => {
            return opaque::plan(subject, "an object whose definition names tables,");
        }
        _ => {}
    }
    let mut tables = Vec::with_capacity(ddl.tables.len());
    for table in &ddl.tables {
        tables.push(Named::find(subject, table)?);
    }
    // no temporary table has the name of one that the rules place: its server says that there is none
    let drops_temporary = matches!(ddl.kind, DdlKind::DropTable { temporary: true, .. });
    if drops_temporary || tables.iter().all(|table| !matches!(table.place, Place::Ruled { .. })) {
        return unplaced(subject, &ddl, &tables);
    }
    placed(subject, &ddl, tables)
}

/// A table of a definition and where it is.
struct Named<'d> {
    written: &'d DdlTable,
    place: Place,
}

impl<'d> Named<'d> {
    fn find(subject: &Subject<'_>, written: &'d DdlTable) -> Result<Self, PlanError> {
        let schema = written.name.schema.as_ref().map(|schema| schema.text.as_str());
        let name = &written.name.table.text;
        if place::schema_of(subject.context, schema)?.is_some_and(|schema| schema.is_part(name)) {
            return Err(PlanError::not_supported(
                format_args!("{name}, which is the name of a part of another table,"),
                "choose another name",
            ));
        }
        Ok(Self { written, place: place::locate(subject.context, schema, name)? })
    }

    fn range(&self) -> Range<usize> {
        let name = &self.written.name;
        name.schema.as_ref().map_or(name.table.range.start, |schema| schema.range.start)..name.table.range.end
    }

    fn unit(&self, context: &PlanContext<'_>) -> Unit {
        let schema = self.written.name.schema.as_ref().map(|schema| schema.text.as_str());
        let name = &self.written.name.table.text;
        Unit::new(
            context.rules,
            self.place.clone(),
            schema,
            name,
            self.place
                .sharded()
                .map(|table| crate::route::condition::KeyedTable::new(std::sync::Arc::clone(table), Vec::new(), None)),
            Condition::Any,
        )
    }
}

/// Tables that no rule places: on the home group, as it is.
fn unplaced(subject: &Subject<'_>, ddl: &Ddl, tables: &[Named<'_>]) -> Result<Plan, PlanError> {
    let names = names::tables(subject.sql, subject.context.mode);
    // CREATE TABLE … SELECT may read tables that are elsewhere, or in schemas that the account may not see
    let reads = matches!(ddl.kind, DdlKind::CreateTable { query: Some(_), .. });
    let mut plan = match ddl.kind {
        DdlKind::CreateTable { query: Some(_), temporary, .. } => match opaque::plan(subject, "CREATE TABLE … SELECT")
        {
            Err(refused) => {
                let mut plan = with_rows(subject, tables, refused)?;
                if temporary {
                    plan.access = Access::LockingRead;
                    plan.pins.temporary_table = true;
                }
                return Ok(plan);
            }
            plan => plan?,
        },
        _ => opaque::home(subject, &names),
    };
    plan.tables.retain(|table| reads && table.table.is_empty());
    plan.tables.extend(logical(tables));
    let nodes = tables.iter().filter(|table| !matches!(table.place, Place::Ruled { .. }));
    let nodes: Vec<_> = nodes.filter_map(|table| table.place.nodes().first()).collect();
    let groups: Vec<_> = nodes.iter().map(|node| node.group).collect();
    if groups.iter().any(|group| *group != groups[0]) {
        return Err(PlanError::not_supported("tables of several groups in one definition", "name them one by one"));
    }
    if let DdlKind::CreateTable { temporary: true, .. } | DdlKind::DropTable { temporary: true, .. } = ddl.kind {
        // it commits nothing (*Statements That Cause an Implicit Commit*), and stays with its session
        plan.access = Access::LockingRead;
        plan.pins.temporary_table = true;
    }
    plan.pins.drops_tables = matches!(ddl.kind, DdlKind::DropTable { .. });
    if let DdlKind::Maintenance(_) = ddl.kind {
        plan.kind = StatementKind::Other;
        plan.access = Access::Write;
    }
    // a schema may have its home elsewhere than the chosen one
    if let (Action::Routed(routed), Some(node)) = (&mut plan.action, nodes.first()) {
        if routed.home.group != node.group {
            routed.home.schema = None;
        }
        routed.home.group = node.group;
        routed.home.label = format!("{}.{}", subject.context.rules.group(node.group).name, node.schema).into();
    }
    Ok(plan)
}

/// CREATE TABLE … SELECT whose table or rows are not on the home group: in steps.
fn with_rows(subject: &Subject<'_>, tables: &[Named<'_>], refused: PlanError) -> Result<Plan, PlanError> {
    let action = subject.only_composed(refused, Some(&Compose::Create))?;
    let keys = Keys { units: Vec::new(), refs: Vec::new() };
    let mut plan = subject.plan(StatementKind::Ddl, &Met::default(), &keys, action);
    plan.tables = logical(tables);
    plan.compose = Some(Arc::new(Compose::Create));
    Ok(subject.only_for_these_literals(plan))
}

fn logical(tables: &[Named<'_>]) -> Vec<LogicalTable> {
    let of =
        |table: &Named<'_>| LogicalTable { schema: table.place.schema().into(), table: table.place.table().into() };
    let mut all: Vec<LogicalTable> = tables.iter().map(of).collect();
    all.sort();
    all.dedup();
    all
}

/// At least one table is placed by a rule.
fn placed(subject: &Subject<'_>, ddl: &Ddl, tables: Vec<Named<'_>>) -> Result<Plan, PlanError> {
    let first = tables.iter().find(|table| matches!(table.place, Place::Ruled { .. }));
    let name = first.map_or("", |table| table.place.table());
    let refused = |what: &str, instead: &str| {
        Err(PlanError::not_supported(format!("{what} '{name}', which the rules place"), instead))
    };
    match &ddl.kind {
        DdlKind::CreateTable { temporary: true, .. } => {
            return refused("a temporary table with the name of", "choose another name");
        }
        DdlKind::CreateTable { query: Some(_), .. } => {
            let what = format!("CREATE TABLE … SELECT of or from '{name}', which the rules place");
            let instead = "create the table, then insert the rows";
            return with_rows(subject, &tables, PlanError::not_supported(what, instead));
        }
        DdlKind::DropView => match tables.as_slice() {
            [table] => return not_view(subject, table),
            _ => return refused("DROP VIEW of a list with", "it is a table"),
        },
        DdlKind::RenameTable => return refused("RENAME TABLE of", "its name is given by the rules"),
        // a sum of sums is not the sum, and a whole table beside others is summed up where it is
        DdlKind::Maintenance(crate::sql::Verb::Checksum)
            if tables.iter().any(|table| table.place.nodes().len() > 1) =>
        {
            return refused("CHECKSUM TABLE of", "run it on the backends");
        }
        _ => {}
    }
    if lists_targets(&ddl.kind) {
        check_named_once(&tables)?;
    }
    for table in &tables {
        match table.written.role {
            Role::NewName => return refused("renaming", "its name is given by the rules"),
            Role::Other => return refused("UNION or EXCHANGE PARTITION with", "run it on the backends"),
            _ => {}
        }
        check_columns(subject, ddl, table)?;
        check_beside(table, &tables)?;
    }
    check_constraints(subject, ddl, &tables)?;
    let action = Action::Everywhere(statements(subject, ddl, &tables)?);
    let units = tables.iter().map(|table| table.unit(subject.context)).collect();
    let keys = Keys { units, refs: Vec::new() };
    let kind =
        if matches!(ddl.kind, DdlKind::Maintenance(_)) { StatementKind::Maintenance } else { StatementKind::Ddl };
    Ok(subject.plan(kind, &Met::default(), &keys, action))
}

/// DROP VIEW of a table: a server that has a part of it says what it is.
fn not_view(subject: &Subject<'_>, table: &Named<'_>) -> Result<Plan, PlanError> {
    let node = table.place.nodes().first().ok_or(PlanError::Internal("a table without nodes"))?;
    let range = table.range();
    let mut sql = subject.sql.get(..range.start).unwrap_or_default().to_vec();
    sql.extend_from_slice(format!("{}.{}", quoted(&node.schema), quoted(&node.table)).as_bytes());
    sql.extend_from_slice(subject.sql.get(range.end..).unwrap_or_default());
    let schema = Some(Arc::clone(&node.schema));
    let statement = GivenStatement { label: node.table.as_ref().into(), group: node.group, schema, sql: sql.into() };
    let keys = Keys { units: vec![table.unit(subject.context)], refs: Vec::new() };
    let given = Given { statements: vec![statement], merge: None, names: name_map(&keys), names_in_rows: false };
    let plan = subject.plan(StatementKind::Ddl, &Met::default(), &keys, Action::Given(given));
    Ok(subject.only_for_these_literals(plan))
}

/// Whether its tables are a list, of which each is sent by itself.
fn lists_targets(kind: &DdlKind) -> bool {
    matches!(kind, DdlKind::DropTable { .. } | DdlKind::Maintenance(_))
}

/// A server refuses a list that names a table twice, and does nothing. Sent one by one, the first would be carried out.
fn check_named_once(tables: &[Named<'_>]) -> Result<(), PlanError> {
    for (index, table) in tables.iter().enumerate() {
        let name = table.place.table();
        let same_schema = tables[..index].iter().filter(|other| other.place.schema() == table.place.schema());
        let others: Vec<&str> = same_schema.map(|other| other.place.table()).collect();
        if others.contains(&name) {
            return Err(PlanError::NamedTwice(table.written.name.table.text.clone()));
        }
        // whether these are two tables is up to the server's lower_case_table_names
        if others.iter().any(|other| other.to_lowercase() == name.to_lowercase()) {
            return Err(PlanError::not_supported(
                format!("a list with '{name}' and a name that differs in case only"),
                "name them one by one",
            ));
        }
    }
    Ok(())
}

/// One statement per node; a list of tables to drop becomes one statement for each of them.
fn statements(subject: &Subject<'_>, ddl: &Ddl, tables: &[Named<'_>]) -> Result<Vec<Everywhere>, PlanError> {
    let targets: Vec<&Named<'_>> = tables.iter().filter(|table| table.written.role == Role::Target).collect();
    let (Some(first), Some(last)) = (targets.first(), targets.last()) else {
        return Err(PlanError::Internal("a definition of no table"));
    };
    if !lists_targets(&ddl.kind) {
        // the target decides; the model and the tables of foreign keys must be beside it
        let mut order: Vec<&Named<'_>> = tables.iter().collect();
        order.sort_by_key(|table| table.written.role != Role::Target);
        let ranges = order.iter().map(|table| (table.range(), *table)).collect::<Vec<_>>();
        return Ok(vec![everywhere(subject, &ranges)?]);
    }
    let list = first.range().start..last.range().end;
    targets.iter().map(|target| everywhere(subject, &[(list.clone(), *target)])).collect()
}

/// A statement for each node of the first table; each range becomes the physical name of its table.
fn everywhere(subject: &Subject<'_>, tables: &[(Range<usize>, &Named<'_>)]) -> Result<Everywhere, PlanError> {
    let mut template = TemplateBuilder::default();
    let mut units = Vec::with_capacity(tables.len());
    for (unit, (range, table)) in tables.iter().enumerate() {
        let written: Box<[u8]> = subject.sql.get(range.clone()).unwrap_or_default().into();
        let whole = *range == table.range();
        let slot = if whole {
            Slot::Table { unit, written, alias: None }
        } else {
            // the range is a list of which this table is one
            Slot::Name { unit }
        };
        template.slot(range.clone(), slot);
        units.push(table.unit(subject.context));
    }
    let template = template.build(subject.sql.len(), subject.literals)?;
    let keys = Keys { units: units.clone(), refs: Vec::new() };
    Ok(Everywhere { units, template, names: name_map(&keys), same_rows: false })
}

/// A table that another one refers to must be on the same nodes.
fn check_beside(table: &Named<'_>, tables: &[Named<'_>]) -> Result<(), PlanError> {
    if table.written.role == Role::Target || table.place.sharded().is_none() {
        return Ok(());
    }
    let targets = tables.iter().filter(|table| table.written.role == Role::Target);
    for target in targets {
        if target.place.sharded().is_none() || !super::keys::bound(&target.place, &table.place) {
            return Err(PlanError::not_supported(
                format!(
                    "a reference from '{}' to '{}': they are not on the same shards",
                    target.place.table(),
                    table.place.table()
                ),
                "refer to a binding table or to a broadcast table",
            ));
        }
    }
    Ok(())
}

/// The columns of the sharding key stay what they are.
fn check_columns(subject: &Subject<'_>, ddl: &Ddl, table: &Named<'_>) -> Result<(), PlanError> {
    if table.written.role != Role::Target || ddl.kind != DdlKind::AlterTable {
        return Ok(());
    }
    let Place::Ruled { table: rule, .. } = &table.place else { return Ok(()) };
    let keys = rule.key_columns();
    for (change, name) in &ddl.columns {
        let is_key = keys.iter().any(|key| key.eq_ignore_ascii_case(&name.text));
        if is_key && *change != ColumnChange::Added {
            return Err(PlanError::not_supported(
                format!("changing the sharding key '{}' of '{}'", name.text, rule.name),
                "create another table and copy the rows",
            ));
        }
    }
    if let Some(what) = numbered_apart(subject, ddl, table) {
        return Err(PlanError::not_supported(
            format!("adding {what} to '{}': each server would fill it in its own way", rule.name),
            "add the column without that, give the rows their values, then change it",
        ));
    }
    if converts_charset(subject) && has_text_key(subject, table, rule) {
        return Err(PlanError::not_supported(
            format!("changing the character set of '{}', whose sharding key is a text", rule.name),
            "create another table and copy the rows",
        ));
    }
    Ok(())
}

/// A new column that rows get values of which each server makes by itself: the parts of a table would have the same numbers,
/// the copies of one other values.
fn numbered_apart(subject: &Subject<'_>, ddl: &Ddl, table: &Named<'_>) -> Option<&'static str> {
    let adds = ddl.columns.iter().any(|(change, _)| *change == ColumnChange::Added);
    if !adds || table.place.nodes().len() < 2 {
        return None;
    }
    let outline = &subject.outline;
    let word = |index: usize, words: &[&str]| outline.is_keyword(subject.sql, index, words);
    // SERIAL is BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE, or the column's name
    let serial = |index: usize| word(index, &["SERIAL"]) && !word(index - 1, &["ADD", "COLUMN", "EXISTS", "AFTER"]);
    if ddl.numbers_column || (1..outline.tokens().len()).any(serial) {
        return Some("an AUTO_INCREMENT column");
    }
    let whole = table.place.sharded().is_none();
    let text = String::from_utf8_lossy(subject.sql);
    (whole && functions::calls_random(&text)).then_some("a column whose default is made by chance")
}

/// `CONVERT TO CHARACTER SET`.
fn converts_charset(subject: &Subject<'_>) -> bool {
    let outline = &subject.outline;
    (0..outline.tokens().len()).any(|index| {
        outline.is_keyword(subject.sql, index, &["CONVERT"]) && outline.is_keyword(subject.sql, index + 1, &["TO"])
    })
}

fn has_text_key(subject: &Subject<'_>, table: &Named<'_>, rule: &Table) -> bool {
    let info = subject.context.catalog.table(table.place.schema(), table.place.table());
    rule.key_columns().iter().any(|column| {
        let key_type = super::keys::key_type(info.as_deref(), subject.context, column);
        !matches!(
            key_type,
            KeyType::Int { .. }
                | KeyType::Decimal { .. }
                | KeyType::Date
                | KeyType::DateTime { .. }
                | KeyType::Time { .. }
                | KeyType::Year
        )
    })
}

/// Names of foreign keys and checks are unique in a physical schema: they cannot be on two nodes of one.
fn check_constraints(subject: &Subject<'_>, ddl: &Ddl, tables: &[Named<'_>]) -> Result<(), PlanError> {
    let several_in_one_schema = tables.iter().any(|table| {
        let mut places: Vec<_> = table.place.nodes().iter().map(|node| (node.group, &node.schema)).collect();
        let count = places.len();
        places.sort();
        places.dedup();
        places.len() < count
    });
    if !several_in_one_schema {
        return Ok(());
    }
    let outline = &subject.outline;
    for name in &ddl.constraints {
        let next = outline.index_at(name.range.end);
        if !outline.is_keyword(subject.sql, next, &["UNIQUE", "PRIMARY"]) {
            return Err(PlanError::not_supported(
                format!("the name '{}' of a constraint on a table that has several nodes in one schema", name.text),
                "leave out the name",
            ));
        }
    }
    Ok(())
}

/// CREATE and DROP DATABASE of a schema of the rules: each physical schema that stands for it.
fn database(subject: &Subject<'_>, name: &str, range: &Range<usize>) -> Result<Plan, PlanError> {
    let rules = subject.context.rules;
    let Some(schema) = rules.schema(name) else {
        return Err(PlanError::not_supported(
            format!("the schema '{name}', which the rules do not have"),
            "add it to the rules",
        ));
    };
    let statement = |(group, physical): (crate::config::GroupId, std::sync::Arc<str>)| {
        let mut sql = subject.sql.get(..range.start).unwrap_or_default().to_vec();
        sql.extend_from_slice(quoted(&physical).as_bytes());
        sql.extend_from_slice(subject.sql.get(range.end..).unwrap_or_default());
        let label = format!("{}.{physical}", rules.group(group).name).into();
        GivenStatement { label, group, schema: None, sql: sql.into() }
    };
    let statements = schema.databases().into_iter().map(statement).collect();
    let given = Given { statements, merge: None, names: None, names_in_rows: false };
    let keys = Keys { units: Vec::new(), refs: Vec::new() };
    let mut plan = subject.plan(StatementKind::Ddl, &Met::default(), &keys, Action::Given(given));
    plan.tables = vec![LogicalTable { schema: schema.name.clone(), table: "".into() }];
    Ok(subject.only_for_these_literals(plan))
}

/// `CREATE USER`, `DROP ROLE`, ….
fn is_account(subject: &Subject<'_>) -> bool {
    let accounts = names::tables(subject.sql, subject.context.mode);
    accounts.iter().take(4).any(|word| ["user", "role"].iter().any(|account| word.text.eq_ignore_ascii_case(account)))
}
