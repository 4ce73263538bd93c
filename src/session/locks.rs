//! LOCK TABLES and LOAD DATA.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::query::Text;
use super::{Failure, Flow, Session, Snapshot};
use crate::backend::KillHandle;
use crate::config::{DataNode, GroupId, Rules};
use crate::error::SqlError;
use crate::execute::Watch;
use crate::plan::types::{LogicalTable, NameEntry, NameMap};
use crate::plan::{Plan, PlanError, quoted};
use crate::sql::names;
use crate::sql::session_statement::{LockTable, TableName};

/// ER_TABLE_NOT_LOCKED.
const TABLE_NOT_LOCKED: u16 = 1100;

impl Session {
    /// LOCK TABLES: each group locks its parts of the tables, and its connection stays with the session. The groups are
    /// asked one after the other in the order of the rules, so that two clients cannot wait for each other.
    pub(super) async fn lock_tables(&mut self, locks: &[LockTable]) -> Result<Flow, Failure> {
        // it commits, and releases what was locked (*LOCK TABLES and UNLOCK TABLES Statements*)
        self.commit().await?;
        self.release_table_locks().await?;
        let snapshot = self.snapshot();
        let plan = LockPlan::new(&snapshot.rules, self.state.schema.as_deref(), locks)?;
        self.check_may_use(plan.tables.iter().map(|table| &*table.schema))?;
        self.pins.locked_tables = true;
        for (group, statement) in &plan.statements {
            if let Err(failure) = self.run_on_group(*group, statement, &snapshot).await {
                self.release_table_locks().await?;
                return Err(failure.renamed(&plan.names));
            }
        }
        self.locked_tables = plan.tables;
        self.state.diagnostics.clear();
        self.answer_ok();
        Ok(Flow::Continue)
    }

    /// UNLOCK TABLES.
    pub(super) async fn unlock_tables(&mut self) -> Result<Flow, Failure> {
        if self.pins.locked_tables {
            self.commit().await?;
        }
        self.release_table_locks().await?;
        self.answer_ok();
        Ok(Flow::Continue)
    }

    /// Releases the locks of LOCK TABLES, if there are any; BEGIN does so too.
    pub(super) async fn release_table_locks(&mut self) -> Result<(), Failure> {
        if !self.pins.locked_tables {
            return Ok(());
        }
        let snapshot = self.snapshot();
        let groups: Vec<GroupId> = self.txn.held_groups().collect();
        for group in groups {
            self.run_on_group(group, "UNLOCK TABLES", &snapshot).await?;
        }
        self.locked_tables.clear();
        self.pins.locked_tables = false;
        self.txn.release_unpinned(self.pins.any());
        Ok(())
    }

    /// While tables are locked, no others can be reached (1100). A server sees to that itself only if it holds a lock.
    pub(super) fn check_locked(&self, plan: &Plan) -> Result<(), Failure> {
        if !self.pins.locked_tables {
            return Ok(());
        }
        let snapshot = self.shared.snapshot.load();
        let is_placed = |table: &LogicalTable| {
            snapshot.rules.schema(&table.schema).is_some_and(|schema| schema.table(&table.table).is_some())
        };
        match plan.tables.iter().find(|table| is_placed(table) && !self.locked_tables.contains(table)) {
            None => Ok(()),
            Some(table) => {
                let message = format!("Table '{}' was not locked with LOCK TABLES", table.table);
                Err(SqlError::client(TABLE_NOT_LOCKED, "HY000", message).into())
            }
        }
    }

    /// Runs a statement without rows on a group's primary, on the connection that the session holds or then has.
    async fn run_on_group(&mut self, group: GroupId, sql: &str, snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
        let mut lane = self.lane_aside(group, snapshot).await?;
        let statements: Vec<KillHandle> = lane.kill_handle().into_iter().collect();
        let watch = Watch { entry: &self.entry };
        match watch.guard_killing(&self.client, &statements, lane.run(sql.as_bytes())).await {
            Ok(()) => {
                self.settle(lane, snapshot);
                Ok(())
            }
            Err(error) => Err(self.lane_failed(lane, error, snapshot)),
        }
    }

    /// LOAD DATA: into tables that live on one group.
    pub(super) async fn load_data(&mut self, local: bool, table: &TableName, text: &Text) -> Result<Flow, Failure> {
        if !local {
            return Err(SqlError::not_supported("LOAD DATA without LOCAL", "the file must come from the client").into());
        }
        let _ = table;
        if let Some(flow) = Box::pin(self.load_split(text)).await? {
            return Ok(flow);
        }
        self.check_named("LOAD DATA", &text.sql)?;
        let snapshot = self.snapshot();
        self.check_views_in_load(&text.sql, &snapshot).await?;
        let group = self.home_group(&snapshot);
        if !self.state.autocommit && !self.txn.is_active() {
            self.begin_as_announced(false);
        }
        self.check_write(&snapshot, &[group])?;
        self.note_write();
        self.pass_load(&text.sql).await
    }

    /// A query in SET of LOAD DATA may not read a view whose tables are on several servers.
    async fn check_views_in_load(&self, sql: &[u8], snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
        let names = names::tables(sql, self.state.lex_mode);
        if !names.iter().any(|name| name.text.eq_ignore_ascii_case("SELECT")) {
            return Ok(());
        }
        let schemas = names.iter().filter(|name| snapshot.rules.schema(&name.text).is_some());
        let schemas: Vec<&str> = schemas.map(|name| name.text.as_str()).chain(self.state.schema.as_deref()).collect();
        let of_schema = |schema: &&str| {
            names.iter().map(|name| (Some((*schema).to_owned()), name.text.clone())).collect::<Vec<_>>()
        };
        self.load_named(schemas.iter().flat_map(of_schema).collect(), snapshot).await?;
        match crate::plan::placed_name(&self.plan_context(snapshot, false), &names, true) {
            Some(name) => Err(SqlError::not_supported(
                format!("LOAD DATA with a query of '{name}', which is on several servers"),
                "use SELECT … INTO, or read the value first",
            )
            .into()),
            None => Ok(()),
        }
    }
}

/// LOCK TABLES, made ready for the groups.
struct LockPlan {
    /// The logical tables, for what may be reached while they are locked.
    tables: Vec<LogicalTable>,
    /// What each group runs.
    statements: BTreeMap<GroupId, String>,
    names: NameMap,
}

impl LockPlan {
    fn new(rules: &Rules, chosen: Option<&str>, locks: &[LockTable]) -> Result<Self, PlanError> {
        let mut plan = Self { tables: Vec::new(), statements: BTreeMap::new(), names: NameMap::default() };
        for lock in locks {
            let written = &lock.table.table.text;
            let name = lock.table.schema.as_ref().map(|schema| schema.text.as_str()).or(chosen);
            let name = name.ok_or(PlanError::NoSchema)?;
            let schema = rules.schema(name).ok_or_else(|| PlanError::UnknownSchema(name.to_owned()))?;
            let missing = || PlanError::NoSuchTable { schema: name.to_owned(), table: written.clone() };
            let (table, nodes) = match schema.table(written) {
                Some(rule) => (Arc::<str>::from(&*rule.name), rule.nodes.clone()),
                None => {
                    let group = schema.default_group.filter(|_| !schema.is_part(written)).ok_or_else(missing)?;
                    let node = DataNode { group, schema: Arc::clone(&schema.name), table: written.as_str().into() };
                    (written.as_str().into(), vec![node])
                }
            };
            refuse_several_in_one_group(&table, &nodes)?;
            for node in &nodes {
                plan.lock(node, &table, lock);
                plan.names.entries.push(NameEntry {
                    physical_schema: Arc::clone(&node.schema),
                    physical_table: node.table.as_ref().into(),
                    schema: Arc::clone(&schema.name),
                    table: Arc::clone(&table),
                });
            }
            plan.tables.push(LogicalTable { schema: Arc::clone(&schema.name), table });
        }
        Ok(plan)
    }

    /// One part of a table: under the names by which statements for that part know it.
    fn lock(&mut self, node: &DataNode, table: &str, lock: &LockTable) {
        let statement = self.statements.entry(node.group).or_default();
        let mode = if lock.write { "WRITE" } else { "READ" };
        let part = format!("{}.{}", quoted(&node.schema), quoted(&node.table));
        let mut add = |alias: Option<&str>| {
            statement.push_str(if statement.is_empty() { "LOCK TABLES " } else { ", " });
            statement.push_str(&part);
            if let Some(alias) = alias {
                statement.push_str(" AS ");
                statement.push_str(&quoted(alias));
            }
            statement.push(' ');
            statement.push_str(mode);
        };
        match &lock.alias {
            Some(alias) => add(Some(&alias.text)),
            None if *node.table == *table => add(None),
            None => {
                add(None);
                add(Some(table));
            }
        }
    }
}

/// A server locks tables by the names that statements give them, and each name only once: two parts of a table, which
/// statements know by the same name, cannot both be locked.
fn refuse_several_in_one_group(table: &str, nodes: &[DataNode]) -> Result<(), PlanError> {
    let has_another = |(index, node): (usize, &DataNode)| nodes[..index].iter().any(|other| other.group == node.group);
    if nodes.iter().enumerate().any(has_another) {
        return Err(PlanError::not_supported(
            format_args!("LOCK TABLES of '{table}', which has several parts in one group"),
            "use a transaction (mysqldump --single-transaction)",
        ));
    }
    Ok(())
}
