//! From a statement's text to its plan, and from the plan to what is sent.

use std::sync::Arc;

use super::query::Text;
use super::{Failure, Session, Snapshot};
use crate::config::Schema;
use crate::error::SqlError;
use crate::plan::types::{NoSession, StatementKind};
use crate::plan::{Bound, Plan, PlanContext, PlanKey};
use crate::route::key::RawValue;
use crate::sql::{Scan, names};

impl Session {
    /// The plan of a statement: from the cache, or made.
    pub(super) async fn plan(
        &mut self,
        text: &Text,
        scanned: &Scan,
        snapshot: &Arc<Snapshot>,
        prepared: bool,
    ) -> Result<Arc<Plan>, Failure> {
        let key = self.plan_key(scanned, snapshot, prepared);
        if let Some(plan) = self.shared.plans.get(&key, &text.sql, &self.literals) {
            return Ok(plan);
        }
        Box::pin(self.make_plan(text, scanned, key, snapshot, prepared)).await
    }

    fn plan_key(&self, scanned: &Scan, snapshot: &Snapshot, prepared: bool) -> PlanKey {
        PlanKey {
            fingerprint: scanned.fingerprint,
            schema: self.state.schema.clone(),
            rules_version: snapshot.rules.version,
            catalog_epoch: self.shared.catalog.epoch(),
            mode: self.state.lex_mode,
            prepared,
        }
    }

    async fn make_plan(
        &mut self,
        text: &Text,
        scanned: &Scan,
        key: PlanKey,
        snapshot: &Arc<Snapshot>,
        prepared: bool,
    ) -> Result<Arc<Plan>, Failure> {
        self.load_tables(text, snapshot).await?;
        let schema = self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name));
        let view = self.shared.catalog.view(snapshot.rules.version);
        let context = PlanContext {
            rules: &snapshot.rules,
            schema,
            catalog: &view,
            mode: self.state.lex_mode,
            assume_types: false,
            prepared,
        };
        let plan = Arc::new(crate::plan::plan(&context, &text.sql, scanned, &self.literals)?);
        self.check_schemas(&plan)?;
        self.shared.plans.insert(key, &text.sql, &self.literals, Arc::clone(&plan));
        Ok(plan)
    }

    /// Loads the columns of the tables that a statement may name.
    async fn load_tables(&self, text: &Text, snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
        for name in names::tables(&text.sql, self.state.lex_mode) {
            let schema = name.schema.as_deref().or(self.state.schema.as_deref());
            let Some(schema) = schema.and_then(|schema| snapshot.rules.schema(schema)) else { continue };
            self.load_table(schema, &name.table, snapshot).await?;
        }
        Ok(())
    }

    async fn load_table(&self, schema: &Arc<Schema>, table: &str, snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
        let loaded = self.shared.catalog.load(&snapshot.rules, &snapshot.backends, schema, table).await;
        loaded.map(drop).map_err(Failure::from)
    }

    /// A user sees the schemas that the rules name for it, and no others.
    fn check_schemas(&self, plan: &Plan) -> Result<(), Failure> {
        for table in &plan.tables {
            if !self.shared.may_use(&self.entry.user, &table.schema) {
                let message = format!(
                    "Access denied for user '{}'@'%' to database '{}'",
                    self.entry.user, table.schema
                );
                return Err(SqlError::client(1044, "42000", message).into());
            }
        }
        Ok(())
    }

    /// Makes a plan ready for one execution; generated keys are made here.
    pub(super) fn bind(&self, plan: &Plan, sql: &[u8], params: &[RawValue<'_>]) -> Result<Bound, Failure> {
        let shared = &self.shared;
        let ids = |generator, count: u32| shared.snowflake(generator).reserve(count);
        Ok(plan.bind(sql, &self.literals, params, &self.asked(), &ids)?)
    }

    /// EXPLAIN ROUTE.
    pub(super) fn describe_plan(&self, plan: &Plan, sql: &[u8]) -> Result<String, Failure> {
        Ok(plan.describe(sql, &self.literals, &[], &NoSession)?)
    }

    /// After DDL: what was known of the tables is asked anew.
    pub(super) fn invalidate(&self, plan: &Plan) {
        if plan.kind == StatementKind::Ddl {
            for table in &plan.tables {
                self.shared.catalog.invalidate(&table.schema, &table.table);
            }
        }
    }
}
