//! CREATE TABLE … SELECT in steps: a server makes the definition, the table is made of it, and the query's rows are inserted.
//!
//! The types, names and defaults of the columns are those that a server gives them: on one connection empty temporary tables
//! stand in for those that the query reads, the client's statement makes a temporary table from them, and its definition is
//! the table's. If the query or the insertion fails, the table is dropped again.

use std::sync::Arc;

use bytes::Bytes;

use super::Done;
use super::insert::Into;
use super::reopened::reopened;
use crate::backend::{BackendError, Flavour, Lease, Role, Variables, set_statement, text};
use crate::config::DataNode;
use crate::error::SqlError;
use crate::execute::Watch;
use crate::execute::relay::Names as _;
use crate::plan::compose::Taker;
use crate::plan::{Access, Plan};
use crate::protocol::OkPacket;
use crate::session::query::Text;
use crate::session::run::Input;
use crate::session::select_inner::InnerRows;
use crate::session::{Failure, Session, Snapshot};
use crate::sql::ddl::{self, DdlKind, Role as NameRole};
use crate::sql::lexer::{LexMode, Lexer, TokenKind};
use crate::sql::names::{self, TableName};
use crate::sql::scan;

/// The name of the temporary table that the definition is taken from.
const MODEL: &str = "shardloom_model";
/// ER_TABLE_EXISTS_ERROR.
const TABLE_EXISTS: u16 = 1050;

/// The parts of a CREATE TABLE … SELECT.
struct Parts<'a> {
    /// `CREATE TABLE IF NOT EXISTS`.
    verb: &'static str,
    /// The table, as it is written.
    target: &'a [u8],
    /// Columns, keys and options.
    definitions: &'a [u8],
    /// `INSERT`, `INSERT IGNORE` or `REPLACE`.
    insert: &'static str,
    query: &'a [u8],
    if_not_exists: bool,
    /// It is a table of the session's own, whose making commits nothing.
    temporary: bool,
    or_replace: bool,
    /// The engine is named.
    has_engine: bool,
}

impl<'a> Parts<'a> {
    fn of(sql: &'a [u8], mode: LexMode) -> Result<Self, SqlError> {
        let refused = |what: &str| {
            SqlError::not_supported(
                format!("CREATE TABLE … SELECT {what} over several shards"),
                "create the table, then insert the rows",
            )
        };
        let ddl = ddl::parse(sql, mode).ok_or_else(|| refused("in this form"))?;
        let target = ddl.tables.iter().find(|table| table.role == NameRole::Target);
        let (Some(target), DdlKind::CreateTable { if_not_exists, or_replace, temporary, query: Some(query) }) =
            (target, &ddl.kind)
        else {
            return Err(refused("in this form"));
        };
        if !ddl.foreign_keys.is_empty() {
            return Err(refused("with foreign keys"));
        }
        let range = range_of(&target.name);
        let head = sql.get(range.end..query.start).unwrap_or_default();
        let is_comment = |kind| matches!(kind, TokenKind::Comment | TokenKind::ProxyHint | TokenKind::OptimizerHint);
        let tokens: Vec<_> = Lexer::new(head, mode).filter(|token| !is_comment(token.kind)).collect();
        let word = |at: usize, word: &str| {
            tokens.get(at).is_some_and(|token| head[token.start..token.end].eq_ignore_ascii_case(word.as_bytes()))
        };
        let mut count = tokens.len();
        if count > 0 && word(count - 1, "AS") {
            count -= 1;
        }
        let insert = match () {
            () if count > 0 && word(count - 1, "IGNORE") => "INSERT IGNORE",
            () if count > 0 && word(count - 1, "REPLACE") => "REPLACE",
            () => "INSERT",
        };
        count -= usize::from(insert != "INSERT");
        // what stands in front of the words that are left out
        let end = tokens.get(count).map_or(head.len(), |token| token.start);
        if (0..count).any(|at| word(at, "PARTITION")) {
            return Err(refused("with partitions"));
        }
        Ok(Self {
            verb: match (temporary, or_replace, if_not_exists) {
                (true, true, _) => "CREATE OR REPLACE TEMPORARY TABLE",
                (true, _, true) => "CREATE TEMPORARY TABLE IF NOT EXISTS",
                (true, ..) => "CREATE TEMPORARY TABLE",
                (_, true, _) => "CREATE OR REPLACE TABLE",
                (_, _, true) => "CREATE TABLE IF NOT EXISTS",
                _ => "CREATE TABLE",
            },
            target: sql.get(range).unwrap_or_default(),
            definitions: head.get(..end).unwrap_or_default(),
            insert,
            query: sql.get(query.clone()).unwrap_or_default(),
            if_not_exists: *if_not_exists,
            temporary: *temporary,
            or_replace: *or_replace,
            has_engine: (0..count).any(|at| word(at, "ENGINE")),
        })
    }
}

fn no_schema() -> SqlError {
    SqlError::client(1046, "3D000", "No database selected")
}

fn range_of(name: &TableName) -> std::ops::Range<usize> {
    name.schema.as_ref().map_or(name.table.range.start, |schema| schema.range.start)..name.table.range.end
}

impl Session {
    pub(super) async fn create_steps(&mut self, snapshot: &Arc<Snapshot>, text: &Text) -> Result<(), Failure> {
        let parts = Parts::of(&text.sql, self.state.lex_mode)?;
        if !parts.temporary {
            self.commit().await?;
        } else if self.shared.is_mariadb() && (self.txn.is_active() || !self.state.autocommit) {
            // its rows outlive a ROLLBACK there, which those of an INSERT do not
            let what = "CREATE TEMPORARY TABLE … SELECT over several shards inside of a transaction";
            return Err(
                SqlError::not_supported(what, "run it before the transaction, or make the table, then insert").into()
            );
        }
        let body = self.model(snapshot, &parts).await?;
        let target = String::from_utf8_lossy(parts.target).into_owned();
        let definition = format!("{} {target} {body}", parts.verb);
        self.run_definition(snapshot, &parts, definition).await?;
        let warnings = std::mem::take(&mut self.state.diagnostics);
        let mut done = Done::new();
        done.warnings = u16::try_from(warnings.len()).unwrap_or(u16::MAX);
        if parts.if_not_exists && warnings.iter().any(|warning| warning.code == TABLE_EXISTS) {
            let ok = OkPacket { status: self.status(), warnings: done.warnings, ..OkPacket::default() };
            self.client.put_ok(&ok);
            (self.state.diagnostics, self.state.row_count) = (warnings, 0);
            return Ok(());
        }
        done.diagnostics = warnings;
        let query = Bytes::copy_from_slice(parts.query);
        match self.fill_created(snapshot, &parts, query, &mut done).await {
            Ok(()) => {
                self.answer_steps(done);
                Ok(())
            }
            Err(failure) => {
                let diagnostics = std::mem::take(&mut self.state.diagnostics);
                let kind = if parts.temporary { "TEMPORARY TABLE" } else { "TABLE" };
                let drop = format!("DROP {kind} IF EXISTS {target}");
                if let Err(error) = self.run_definition(snapshot, &parts, drop).await {
                    tracing::warn!(?error, "a table whose rows could not be inserted is left");
                }
                self.state.diagnostics = diagnostics;
                Err(failure)
            }
        }
    }

    /// Runs the query, and inserts its rows.
    async fn fill_created(
        &mut self,
        snapshot: &Arc<Snapshot>,
        parts: &Parts<'_>,
        query: Bytes,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let within = self.begin_steps(snapshot, &[]).await?;
        let filled = async {
            let is_strict = self.is_strict() && parts.insert != "INSERT IGNORE";
            let read = self.select_inner(query, is_strict).await?;
            let name = |name: &[u8]| format!("`{}`", String::from_utf8_lossy(name).replace('`', "``"));
            let columns: Vec<String> = read.columns.iter().map(|column| name(&column.name)).collect();
            let mut head = format!("{} INTO ", parts.insert).into_bytes();
            head.extend_from_slice(parts.target);
            head.extend_from_slice(format!(" ({})", columns.join(", ")).as_bytes());
            done.add_read(&read);
            let takers = self.takers_of(snapshot, parts, &read).await?;
            let into = Into { head: &head, tail: b"", takers: &takers, carrier: self.carrier(parts.query) };
            self.insert_read(&read, into, done).await
        };
        let filled = filled.await;
        self.end_steps(within, filled).await?;
        if parts.temporary {
            return Ok(());
        }
        // without autocommit too: a definition commits
        self.commit().await
    }

    /// The columns of the new table that take the values of the query.
    async fn takers_of(&self, snapshot: &Snapshot, parts: &Parts<'_>, read: &InnerRows) -> Result<Vec<Taker>, Failure> {
        let (schema, table) = self.name_of_target(parts).ok_or_else(no_schema)?;
        if parts.temporary {
            // the catalog knows nothing of it
            return Ok(Vec::new());
        }
        let info = snapshot.catalog.table(&schema, &table).await?;
        let names = read.columns.iter().map(|column| std::str::from_utf8(&column.name).unwrap_or_default());
        Ok(info.map(|info| Taker::list(&info, names)).unwrap_or_default())
    }

    /// Runs a definition of the session's own.
    async fn run_definition(
        &mut self,
        snapshot: &Arc<Snapshot>,
        parts: &Parts<'_>,
        sql: String,
    ) -> Result<(), Failure> {
        if parts.temporary {
            return self.define_temporary(snapshot, sql).await;
        }
        let outer = std::mem::take(&mut self.literals);
        let result = self.define_text(snapshot, sql.into()).await;
        self.literals = outer;
        result
    }

    async fn define_text(&mut self, snapshot: &Arc<Snapshot>, sql: Bytes) -> Result<(), Failure> {
        let scanned = scan(&sql, self.state.lex_mode, &mut self.literals);
        let text = Text { sql };
        let plan = self.plan(&text, &scanned, snapshot, false).await?;
        let bound = self.bind(&plan, &text.sql, &[])?;
        let names = bound.shards.first().and_then(|shard| shard.names.clone());
        let defined = self.define(snapshot, &plan, bound, Input::Text(&text)).await;
        let Some(names) = names else { return defined.map(drop) };
        for diagnostic in &mut self.state.diagnostics {
            diagnostic.message = names.restore_text(&diagnostic.message);
        }
        defined.map(drop).map_err(|failure| failure.renamed(&*names))
    }

    /// Columns, keys and options of the table, as a server makes them.
    async fn model(&mut self, snapshot: &Arc<Snapshot>, parts: &Parts<'_>) -> Result<String, Failure> {
        let query = self.plan_query(snapshot, parts.query).await?;
        self.check_temporary_tables(&query)?;
        let (schema, table) = self.name_of_target(parts).ok_or_else(no_schema)?;
        let reads_itself = query
            .tables
            .iter()
            .any(|read| read.schema.eq_ignore_ascii_case(&schema) && read.table.eq_ignore_ascii_case(&table));
        // it would be gone before it is read
        if parts.or_replace && reads_itself {
            let message = format!(
                "Table '{table}' is specified twice, both as a target for 'CREATE' and as a separate source for data"
            );
            return Err(SqlError::client(1093, "HY000", message).into());
        }
        let node = crate::plan::a_node(&snapshot.rules, &schema, &table).ok_or_else(no_schema)?;
        let watch = Watch { entry: &self.entry };
        let making = async { Ok(self.make_model(snapshot, parts, &query, &node).await) };
        watch.guard(&self.client, making).await?
    }

    async fn plan_query(&mut self, snapshot: &Arc<Snapshot>, query: &[u8]) -> Result<Arc<Plan>, Failure> {
        let outer = std::mem::take(&mut self.literals);
        let text = Text { sql: Bytes::copy_from_slice(query) };
        let scanned = scan(&text.sql, self.state.lex_mode, &mut self.literals);
        let plan = self.plan(&text, &scanned, snapshot, false).await;
        self.literals = outer;
        let plan = plan?;
        if plan.access != Access::Read || !plan.assigned_variables.is_empty() {
            return Err(SqlError::not_supported(
                "CREATE TABLE … SELECT over several shards of a query that does more than read",
                "create the table, then insert the rows",
            )
            .into());
        }
        Ok(plan)
    }

    /// The schema and the name of the table that is made.
    fn name_of_target(&self, parts: &Parts<'_>) -> Option<(String, String)> {
        let sql = [b"DROP TABLE ".as_slice(), parts.target].concat();
        let parsed = ddl::parse(&sql, self.state.lex_mode)?;
        let name = &parsed.tables.first()?.name;
        let schema = name.schema.as_ref().map(|schema| schema.text.as_str()).or(self.state.schema.as_deref())?;
        Some((schema.to_owned(), name.table.text.clone()))
    }

    async fn make_model(
        &self,
        snapshot: &Snapshot,
        parts: &Parts<'_>,
        query: &Plan,
        node: &DataNode,
    ) -> Result<String, Failure> {
        let backends = &snapshot.backends;
        let mut lease = backends.checkout(node.group, Role::Primary, Flavour::OWN).await?;
        // the temporary tables and the variables go with the reset
        lease.mark_dirty();
        let vars = self.state.vars.with("autocommit", Some("1"));
        let set = set_statement(&Variables::none(), &vars, lease.version());
        lease.query(&set).await?;
        lease.query(&format!("USE {}", quoted(&node.schema))).await?;
        for table in &query.tables {
            self.stand_in(snapshot, &mut lease, parts, node, (&table.schema, &table.table)).await?;
        }
        let again = if self.shared.is_mariadb() { None } else { reopened(parts.query, self.state.lex_mode) };
        for create in again.iter().flat_map(|again| &again.creates) {
            lease.query(create).await?;
        }
        let read = again.as_ref().map_or(parts.query, |again| &again.query[..]);
        let mut sql = format!("CREATE TEMPORARY TABLE {MODEL} ").into_bytes();
        for part in [parts.definitions, b" AS ", read] {
            sql.extend_from_slice(part);
        }
        let sql = String::from_utf8(sql)
            .map_err(|_| SqlError::not_supported("this text in CREATE TABLE … SELECT", "write it in UTF-8"))?;
        lease.query(&sql).await.map_err(|error| self.of_model(error, parts))?;
        let shown = lease.query(&format!("SHOW CREATE TABLE {MODEL}")).await?;
        let create = shown.rows.first().map(|row| text(row, 1).into_owned()).unwrap_or_default();
        let body = create.find('(').map(|at| create[at..].to_owned());
        let body = body.ok_or_else(|| SqlError::client(1105, "HY000", "The definition of a table is missing"))?;
        let body = without_made_names(&body);
        Ok(if parts.has_engine { body } else { without_engine(body) })
    }

    /// An empty temporary table in the place of one that the query reads.
    async fn stand_in(
        &self,
        snapshot: &Snapshot,
        lease: &mut Lease,
        parts: &Parts<'_>,
        model: &DataNode,
        (schema, table): (&str, &str),
    ) -> Result<(), Failure> {
        let refused = |what: String| SqlError::not_supported(what, "create the table, then insert the rows");
        let node = crate::plan::a_node(&snapshot.rules, schema, table)
            .ok_or_else(|| refused(format!("CREATE TABLE … SELECT over several shards from '{schema}.{table}'")))?;
        let place = snapshot.rules.schema(schema).and_then(|schema| schema.physical_name_on(model.group));
        let place = place.ok_or_else(|| {
            refused(format!("CREATE TABLE … SELECT from the schema '{schema}', which is on other groups"))
        })?;
        let is_qualified = names::tables(parts.query, self.state.lex_mode)
            .iter()
            .any(|name| name.text.eq_ignore_ascii_case(schema) && parts.query.get(name.range.end) == Some(&b'.'));
        let is_chosen = self.state.schema.as_deref() == Some(schema);
        if (is_qualified && *place != *schema) || (!is_qualified && is_chosen && *place != *model.schema) {
            return Err(refused(format!(
                "CREATE TABLE … SELECT from the schema '{schema}', which has another name there"
            ))
            .into());
        }
        let show = format!("SHOW CREATE TABLE {}.{}", quoted(&node.schema), quoted(&node.table));
        let shown = snapshot.backends.query(node.group, &show).await.map_err(|error| match error {
            BackendError::Server(error) if error.errno == 1146 => {
                Failure::from(SqlError::client(1146, "42S02", format!("Table '{schema}.{table}' doesn't exist")))
            }
            error => error.into(),
        })?;
        let create = shown.rows.first().map(|row| text(row, 1).into_owned()).unwrap_or_default();
        if create.contains("ENGINE=SEQUENCE") {
            // `seq_1_to_10` is there on each server, and no table of that name can be made
            return Ok(());
        }
        let columns = columns_of(&create).ok_or_else(|| {
            refused(format!("CREATE TABLE … SELECT over several shards from '{table}', which is a view"))
        })?;
        // read under the server's own sql_mode, so written under it too
        lease.query("SET @shardloom_mode = @@sql_mode, sql_mode = ''").await?;
        lease.query(&format!("CREATE TEMPORARY TABLE {}.{} {columns}", quoted(&place), quoted(table))).await?;
        lease.query("SET sql_mode = @shardloom_mode").await?;
        Ok(())
    }

    /// An error about the model is one about the table.
    fn of_model(&self, error: BackendError, parts: &Parts<'_>) -> Failure {
        match error {
            BackendError::Server(mut server) => {
                let target = String::from_utf8_lossy(parts.target).replace('`', "");
                server.message = server.message.replace(MODEL, &target);
                BackendError::Server(server).into()
            }
            error => error.into(),
        }
    }
}

/// A definition without the names that the server has given to CHECKs: the table's own get theirs anew.
fn without_made_names(body: &str) -> String {
    let is_made = |name: &str| {
        let number = name.strip_prefix("CONSTRAINT_").or_else(|| name.strip_prefix(MODEL)?.strip_prefix("_chk_"));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let lines = body.split('\n').map(|line| {
        let named = line.trim_start().strip_prefix("CONSTRAINT `").and_then(|rest| rest.split_once("` "));
        match named {
            Some((name, check)) if is_made(name) && check.starts_with("CHECK ") => check,
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The columns, keys and table options of a definition, as far as a temporary table can have them.
fn columns_of(create: &str) -> Option<String> {
    if !create.starts_with("CREATE TABLE") {
        return None;
    }
    let mut lines = create.lines();
    lines.next()?;
    let mut kept: Vec<&str> = Vec::new();
    let mut options = ")";
    for line in lines {
        if line.starts_with(')') {
            options = line;
            break;
        }
        let line = line.trim().trim_end_matches(',');
        if !(line.starts_with("CONSTRAINT ") && line.contains(" FOREIGN KEY ")) {
            kept.push(line);
        }
    }
    Some(format!("(\n{}\n{options}", kept.join(",\n")))
}

/// Table options without the engine, which a server chooses by itself.
fn without_engine(body: String) -> String {
    let Some(options) = body.rfind("\n)") else { return body };
    let Some(at) = body[options..].find(" ENGINE=").map(|at| options + at) else { return body };
    let length = body[at + 1..].find(' ').map_or(body.len() - at, |length| length + 1);
    format!("{}{}", &body[..at], &body[at + length..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let parts = |sql: &'static str| Parts::of(sql.as_bytes(), LexMode::default()).map_err(|error| error.message);
        let found =
            parts("CREATE TABLE IF NOT EXISTS `a`.b (id INT KEY, x INT) ENGINE=InnoDB IGNORE AS SELECT 1 AS id")
                .unwrap();
        assert_eq!(found.target, b"`a`.b");
        assert_eq!(found.definitions.trim_ascii(), b"(id INT KEY, x INT) ENGINE=InnoDB");
        assert_eq!((found.insert, found.if_not_exists, found.has_engine), ("INSERT IGNORE", true, true));
        assert_eq!(found.query.trim_ascii(), b"SELECT 1 AS id");
        let found = parts("create table t replace select * from u").unwrap();
        assert_eq!((found.insert, found.definitions.trim_ascii()), ("REPLACE", b"".as_slice()));
        let found = parts("CREATE TABLE t (SELECT 1)").unwrap();
        assert_eq!((found.insert, found.query), ("INSERT", b"(SELECT 1)".as_slice()));
        assert!(parts("CREATE TABLE t (a INT) PARTITION BY HASH(a) AS SELECT 1 AS a").is_err());
    }

    #[test]
    fn names_that_a_server_makes_are_left_out() {
        let body = "(\n  `a` int,\n  CONSTRAINT `CONSTRAINT_1` CHECK (`a` > 1),\n  CONSTRAINT `mine` CHECK (`a` > 2),\n  \
                    CONSTRAINT `shardloom_model_chk_2` CHECK ((`a` > 3))\n)";
        let want = "(\n  `a` int,\nCHECK (`a` > 1),\n  CONSTRAINT `mine` CHECK (`a` > 2),\nCHECK ((`a` > 3))\n)";
        assert_eq!(without_made_names(body), want);
    }

    #[test]
    fn a_stand_in_has_no_foreign_keys_and_no_partitions() {
        let create = "CREATE TABLE `t` (\n  `a` int(11) DEFAULT NULL,\n  KEY `k` (`a`),\n  CONSTRAINT `f` FOREIGN KEY (`a`) \
                      REFERENCES `u` (`a`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4\n PARTITION BY HASH (`a`)";
        let columns = columns_of(create).unwrap();
        assert_eq!(columns, "(\n`a` int(11) DEFAULT NULL,\nKEY `k` (`a`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4");
        assert_eq!(without_engine(columns), "(\n`a` int(11) DEFAULT NULL,\nKEY `k` (`a`)\n) DEFAULT CHARSET=utf8mb4");
        assert_eq!(columns_of("CREATE ALGORITHM=UNDEFINED VIEW `v` AS select 1"), None);
    }
}
