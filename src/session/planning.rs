//! From a statement's text to its plan, and from the plan to what is sent.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqlparser::ast::visit_relations;

use super::query::Text;
use super::recent::KnownPlan;
use super::{Failure, Session, Snapshot};
use crate::backend::{BackendError, Backends, StatementText};
use crate::config::Rules;
use crate::error::{Report, SqlError};
use crate::execute::{ExecuteError, Watch};
use crate::id::{IdError, KeyMaker, MAX_FETCHES};
use crate::plan::types::NoSession;
use crate::plan::{Bound, Plan, PlanContext, PlanError, PlanKey};
use crate::route::key::RawValue;
use crate::sql::ddl::{self, DdlKind};
use crate::sql::names;
use crate::sql::session_statement::{self, SessionStatement, Show};
use crate::sql::{LexMode, Scan, Verb, parse};

/// ER_PARSE_ERROR.
const SYNTAX_ERROR: u16 = 1064;
/// ER_NOT_SUPPORTED_YET.
const NOT_SUPPORTED_YET: u16 = 1235;

/// How often a statement is planned while the tables that it names are being defined anew.
const MAX_PLANNINGS: u32 = 3;

impl Session {
    /// The plan of a statement: from a cache, or made.
    pub(super) async fn plan(
        &mut self,
        text: &Text,
        scanned: &Scan,
        snapshot: &Arc<Snapshot>,
        prepared: bool,
    ) -> Result<Arc<Plan>, Failure> {
        let known = self.known_plan(text, scanned, snapshot, prepared).await?;
        Ok(Arc::clone(&known.plan))
    }

    /// As [`plan`](Self::plan), without counting references to what sessions on all processors share.
    pub(super) async fn known_plan(
        &mut self,
        text: &Text,
        scanned: &Scan,
        snapshot: &Arc<Snapshot>,
        prepared: bool,
    ) -> Result<Arc<KnownPlan>, Failure> {
        let key = self.plan_key(scanned, snapshot, prepared);
        let known = match self.recent.find(&key, &text.sql, &self.literals) {
            Some(known) => {
                self.shared.recent_hits.here().fetch_add(1, Ordering::Relaxed);
                known
            }
            None => {
                let plan = self.cached_plan(text, scanned, &key, snapshot, prepared).await?;
                self.recent.keep(key, plan)
            }
        };
        self.check_locked(&known.plan)?;
        Ok(known)
    }

    /// The plan that the cache of all sessions has, or a new one.
    async fn cached_plan(
        &mut self,
        text: &Text,
        scanned: &Scan,
        key: &PlanKey,
        snapshot: &Arc<Snapshot>,
        prepared: bool,
    ) -> Result<Arc<Plan>, Failure> {
        if let Some(plan) = self.shared.plans.get(key, &text.sql, &self.literals) {
            // it may have been made for another user
            self.check_schemas(&plan)?;
            return Ok(plan);
        }
        Box::pin(self.make_plan(text, scanned, key.clone(), snapshot, prepared)).await
    }

    fn plan_key(&self, scanned: &Scan, snapshot: &Snapshot, prepared: bool) -> PlanKey {
        PlanKey {
            fingerprint: scanned.fingerprint,
            schema: self.state.schema.clone(),
            rules_version: snapshot.rules.version,
            catalog_epoch: snapshot.catalog.epoch(),
            mode: self.state.lex_mode,
            text_is_utf8: self.state.text_is_utf8,
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
        if matches!(scanned.verb, Verb::Show | Verb::Explain) {
            // Lists are queries over a view.
            let view = match session_statement::parse(&text.sql, self.state.lex_mode) {
                Some(SessionStatement::Show(Show::Triggers { .. })) => "TRIGGERS",
                Some(SessionStatement::Show(Show::Events { .. })) => "EVENTS",
                _ => "TABLES",
            };
            snapshot.catalog.table("information_schema", view).await?;
        }
        let mut key = key;
        let mut attempt = 1;
        let planned = loop {
            let epoch = snapshot.catalog.epoch();
            self.load_tables(text, snapshot).await?;
            let planned = self.plan_anew(text, scanned, snapshot, prepared);
            // a table that was defined anew meanwhile may have been forgotten before it was looked at
            let now = snapshot.catalog.epoch();
            if now == epoch || attempt == MAX_PLANNINGS {
                break planned;
            }
            key.catalog_epoch = now;
            attempt += 1;
        };
        let plan = match planned {
            Ok(plan) => Arc::new(plan),
            Err(error @ PlanError::Parse(_)) => return Err(self.syntax_error(text, snapshot, error).await),
            Err(error) => return Err(error.into()),
        };
        self.check_schemas(&plan)?;
        self.shared.plans.insert(key, &text.sql, &self.literals, Arc::clone(&plan));
        Ok(plan)
    }

    fn plan_anew(&self, text: &Text, scanned: &Scan, snapshot: &Snapshot, prepared: bool) -> Result<Plan, PlanError> {
        crate::plan::plan(&self.plan_context(snapshot, prepared), &text.sql, scanned, &self.literals)
    }

    /// What statements are planned with.
    pub(super) fn plan_context<'a>(&self, snapshot: &'a Snapshot, prepared: bool) -> PlanContext<'a> {
        PlanContext {
            rules: &snapshot.rules,
            schema: self.state.schema.as_ref().and_then(|name| snapshot.rules.schema(name)),
            catalog: &*snapshot.catalog,
            mode: self.state.lex_mode,
            in_information_schema: self.state.schema.as_deref() == Some("information_schema"),
            assume_types: false,
            text_is_utf8: self.state.text_is_utf8,
            prepared,
        }
    }

    /// A text that the proxy cannot parse is prepared on a server, which runs nothing: if it cannot parse it either, its
    /// own error is what the client reads. If it can, the text is right, and only the proxy's understanding ends here.
    async fn syntax_error(&mut self, text: &Text, snapshot: &Arc<Snapshot>, error: PlanError) -> Failure {
        match self.ask_whether_right(text, snapshot).await {
            Some(Err(failure)) => failure,
            Some(Ok(())) if error.errno() == SYNTAX_ERROR => {
                SqlError::client(NOT_SUPPORTED_YET, "42000", error.to_string()).into()
            }
            _ => error.into(),
        }
    }

    /// Whether a server can parse a text, else its error; nothing if none could be asked.
    async fn ask_whether_right(&mut self, text: &Text, snapshot: &Arc<Snapshot>) -> Option<Result<(), Failure>> {
        let group = self.any_group(snapshot);
        let mut lane = self.lane_aside(group, snapshot).await.ok()?;
        let statement = lane.kill_handle();
        let watch = Watch { entry: &self.entry };
        let asking = async { lane.prepare_anew(&StatementText::new(&text.sql[..])).await };
        let prepared = watch.guard_killing(&self.client, statement.as_slice(), asking).await;
        self.settle(lane, snapshot);
        match prepared {
            Err(ExecuteError::Backend(BackendError::Server(server))) if server.errno == SYNTAX_ERROR => {
                Some(Err(BackendError::Server(server).into()))
            }
            Ok(_) | Err(ExecuteError::Backend(BackendError::Server(_))) => Some(Ok(())),
            Err(_) => None,
        }
    }

    /// Refuses a statement about the session that is not understood, if no server understands it either.
    pub(super) async fn check_syntax(&mut self, text: &Text) -> Result<(), Failure> {
        let snapshot = self.snapshot();
        self.ask_whether_right(text, &snapshot).await.unwrap_or(Ok(()))
    }

    /// Loads the columns of the tables that a statement names.
    async fn load_tables(&self, text: &Text, snapshot: &Arc<Snapshot>) -> Result<(), Failure> {
        let named = tables_named(&text.sql, self.state.lex_mode, &snapshot.rules, self.state.schema.as_deref());
        if named.len() > MAX_GUESSED_NAMES {
            let what = "a statement that is not understood, with so many names";
            return Err(SqlError::not_supported(what, "make several of it").into());
        }
        self.load_named(named, snapshot).await
    }

    /// Loads the columns of tables, and of those under them that are views.
    pub(super) async fn load_named(
        &self,
        mut named: Vec<(Option<String>, String)>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Failure> {
        let mut seen = HashSet::new();
        while let Some((schema, table)) = named.pop() {
            if let Some(schema) = schema.as_deref().or(self.state.schema.as_deref()) {
                // the servers know the views of information_schema by their names in large letters
                let is_view = schema.eq_ignore_ascii_case("information_schema");
                let table = if is_view { table.to_ascii_uppercase() } else { table };
                if is_view {
                    // it tells the kinds of servers apart
                    snapshot.catalog.table(schema, "TABLES").await?;
                }
                if !seen.insert((schema.to_owned(), table.clone())) {
                    continue;
                }
                let info = snapshot.catalog.table(schema, &table).await?;
                // a view is planned with its query, over these
                let group = snapshot.rules.schema(schema).and_then(|schema| schema.default_group);
                if let (Some(definition), Some(group)) = (info.and_then(|info| info.definition.clone()), group) {
                    let below = crate::plan::views::tables_of(&snapshot.rules, group, &definition);
                    named
                        .extend(below.into_iter().map(|(schema, table)| (Some(schema.to_string()), table.to_string())));
                }
            }
        }
        Ok(())
    }

    /// A user sees the schemas that the rules name for it, and no others. That it may use the chosen one was seen when it
    /// was chosen.
    fn check_schemas(&self, plan: &Plan) -> Result<(), Failure> {
        let chosen = self.state.schema.as_deref();
        self.check_may_use(plan.tables.iter().map(|table| &*table.schema).filter(|schema| Some(*schema) != chosen))
    }

    pub(super) fn check_may_use<'a>(&self, mut schemas: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        match schemas.find(|schema| !self.shared.may_use(&self.entry.user, schema)) {
            None => Ok(()),
            Some(schema) => {
                let message = format!("Access denied for user '{}'@'%' to database '{schema}'", self.entry.user);
                Err(SqlError::client(1044, "42000", message).into())
            }
        }
    }

    /// Makes a plan ready for one execution that generates no keys.
    pub(super) fn bind(&self, plan: &Plan, sql: &[u8], params: &[RawValue<'_>]) -> Result<Bound, Failure> {
        let keys = &self.shared.keys;
        Ok(plan.bind(sql, &self.literals, params, &self.asked(), &|maker, count, behind| {
            keys.note_given(maker, behind);
            keys.take(maker, count)
        })?)
    }

    /// Makes a plan ready for one execution; generated keys are made here, and fetched or waited for where there are none.
    /// Nothing for a write that cannot be sent to the shards as it is, but can run in steps.
    pub(super) async fn bind_with_keys(
        &self,
        snapshot: &Snapshot,
        plan: &Plan,
        sql: &[u8],
        params: &[RawValue<'_>],
    ) -> Result<Option<Bound>, Failure> {
        let keys = &self.shared.keys;
        for _ in 0..MAX_FETCHES {
            let (bound, missing) = self.try_bind(plan, sql, params, &snapshot.backends);
            if let Some((maker, count)) = missing {
                keys.prepare(&maker, count, &snapshot.backends).await?;
                continue;
            }
            let bound = match bound {
                Err(PlanError::NotSupported { .. } | PlanError::UnknownKey(_)) if plan.compose.is_some() => {
                    return Ok(None);
                }
                Err(PlanError::NoSuchTable { schema, table }) => {
                    let missing = || PlanError::NoSuchTable { schema, table: table.clone() }.into();
                    return Err(self.may_be_temporary(&table).unwrap_or_else(missing));
                }
                bound => bound?,
            };
            if let Some((maker, key)) = &bound.given_key {
                keys.note_given(maker, *key);
            }
            return Ok(Some(bound));
        }
        Err(IdError::NotReady.into())
    }

    /// Binds a plan, and tells of which keys there were not enough.
    fn try_bind(
        &self,
        plan: &Plan,
        sql: &[u8],
        params: &[RawValue<'_>],
        backends: &Arc<Backends>,
    ) -> (Result<Bound, PlanError>, Option<(KeyMaker, u32)>) {
        let missing = RefCell::new(None);
        let ids = |maker: &KeyMaker, count: u32, behind: u64| {
            self.shared.keys.note_given(maker, behind);
            let taken = self.shared.keys.take(maker, count);
            self.shared.keys.keep_up(maker, backends);
            if let Err(IdError::NotReady | IdError::TooEarly(_)) = taken {
                *missing.borrow_mut() = Some((maker.clone(), count));
            }
            taken
        };
        let bound = plan.bind(sql, &self.literals, params, &self.asked(), &ids);
        (bound, missing.into_inner())
    }

    /// EXPLAIN ROUTE.
    pub(super) fn describe_plan(&self, plan: &Plan, sql: &[u8]) -> Result<String, Failure> {
        Ok(plan.describe(sql, &self.literals, &[], &NoSession)?)
    }

    /// What was known of a statement's tables is asked anew: after DDL, or when it turned out to be stale.
    pub(super) fn invalidate(&self, plan: &Plan, snapshot: &Snapshot) {
        for table in &plan.tables {
            if table.table.is_empty() {
                snapshot.catalog.invalidate_schema(&table.schema);
            } else {
                snapshot.catalog.invalidate(&table.schema, &table.table);
            }
        }
    }
}

/// How many names of a text that is not parsed are looked up; a text with more of them is refused.
const MAX_GUESSED_NAMES: usize = 1_000;

/// The tables of a statement, each with its schema if it is given. Of a statement that does not parse, all names that
/// could be those of views: it goes through as it is, or not at all.
pub(super) fn tables_named(
    sql: &[u8],
    mode: LexMode,
    rules: &Rules,
    chosen: Option<&str>,
) -> Vec<(Option<String>, String)> {
    let defined = ddl::parse(sql, mode);
    let ddl = defined.as_ref().map(|ddl| &ddl.kind);
    let text = match ddl {
        Some(DdlKind::DefineView(query)) => sql.get(query.clone()).unwrap_or_default(),
        _ => sql,
    };
    let session = session_statement::parse(sql, mode);
    if let Some(SessionStatement::Show(Show::Create { name, .. })) = session {
        return vec![(name.schema.map(|schema| schema.text), name.table.text)];
    }
    let Ok(parsed) = parse(text, mode) else {
        return match (session, ddl) {
            // EXTENDED, PARTITIONS and other words that are not parsed stand before what is
            (Some(SessionStatement::Explain(explain)), _) => match sql.get(explain.statement) {
                Some(inner) if !inner.is_empty() && inner.len() < sql.len() => tables_named(inner, mode, rules, chosen),
                _ => Vec::new(),
            },
            (Some(_), _) => Vec::new(),
            (None, Some(DdlKind::CreateTable { query: None, .. })) => Vec::new(),
            // what its sharding key is decides what may be done to it
            (None, Some(DdlKind::AlterTable)) => defined.iter().flat_map(altered).collect(),
            (None, _) => guessed(text, mode, rules, chosen),
        };
    };
    let mut tables = Vec::new();
    // The visitor never breaks off.
    let _ = visit_relations(&parsed.statement, |name| {
        let mut parts = name.0.iter().rev().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone());
        if let Some(table) = parts.next() {
            let named = (parts.next(), table);
            if !tables.contains(&named) {
                tables.push(named);
            }
        }
        ControlFlow::<()>::Continue(())
    });
    tables
}

/// The table of an ALTER TABLE.
fn altered(ddl: &ddl::Ddl) -> Option<(Option<String>, String)> {
    let name = &ddl.tables.iter().find(|table| table.role == ddl::Role::Target)?.name;
    Some((name.schema.as_ref().map(|schema| schema.text.clone()), name.table.text.clone()))
}

/// Names of a text that is not parsed. A name behind a schema's is looked up in the chosen schema as well.
fn guessed(sql: &[u8], mode: LexMode, rules: &Rules, chosen: Option<&str>) -> Vec<(Option<String>, String)> {
    let names = names::tables(sql, mode);
    let schemas: Vec<&str> =
        names.iter().filter(|n| rules.schema(&n.text).is_some()).map(|n| n.text.as_str()).collect();
    let known: BTreeSet<&str> = names.iter().map(|name| name.text.as_str()).collect();
    let places: BTreeSet<&str> = schemas.iter().copied().chain(chosen).collect();
    let named =
        |name: &str| places.iter().map(|place| (Some((*place).to_owned()), name.to_owned())).collect::<Vec<_>>();
    known.into_iter().flat_map(named).collect()
}
