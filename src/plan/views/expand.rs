//! A statement with the queries of views in the places of their names.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, Visit, Visitor,
};

use super::definition::{Logical, all_there, has_distinct_tables, logical, parsed as parse_definition};
use super::order::{Order, outputs, passes_order};
use super::{MAX_DEPTH, MAX_TEXT_BYTES, SplitView, labels};
use crate::config::GroupId;
use crate::plan::action::Action;
use crate::plan::anchor::Span;
use crate::plan::error::PlanError;
use crate::plan::outline::Outline;
use crate::plan::place::is_system_schema;
use crate::plan::query::Subject;
use crate::plan::scratch::lock_text;
use crate::plan::shape::{has_query, is_cut, name_range, split_name};
use crate::plan::types::{
    Bound, LogicalTable, PinnedLiteral, ScratchBound, SessionValues, ShardStatement, Text, ViewName,
};
use crate::plan::unit::quoted;
use crate::plan::{KeySource, Plan, PlanContext};
use crate::route::key::RawValue;
use crate::sql::{LexMode, Literal, Parsed, Piece, Splice, SpliceBuilder, scan, spans};

/// The longest alias of a column (*Identifier Length Limits*).
const MAX_ALIAS_CHARS: usize = 256;

/// A statement that is planned with the queries of views in it.
#[derive(Debug, Clone)]
pub(crate) struct Expanded {
    plan: Box<Plan>,
    splice: Splice,
    /// Items of select lists whose texts name their columns, and hold a view: the slots of the splice.
    names: Vec<Span>,
    /// What the views' columns are labelled with.
    labels: Vec<ViewName>,
}

/// Plans a statement that reads views whose rows are on several servers; nothing if it reads none.
pub(crate) fn plan(subject: &Subject<'_>, parsed: &Parsed) -> Result<Option<Plan>, PlanError> {
    super::refuse_written(subject, &parsed.statement)?;
    let mut finder = Finder::new(subject.context, subject.sql, subject.context.mode, None, 0);
    finder.read(&parsed.statement)?;
    let labels = finder.labels(&parsed.statement);
    let Finder { mut edits, views, items, .. } = finder;
    if edits.is_empty() {
        return Ok(None);
    }
    if parsed.notes.table_statement {
        return Err(PlanError::not_supported("TABLE of a view whose tables are sharded", "write SELECT * FROM"));
    }
    let mut splice = SpliceBuilder::default();
    for (range, text) in &edits {
        splice.replace(range.clone(), [Piece::from(&**text)]);
    }
    let mut names = Vec::new();
    for item in items {
        let name = String::from_utf8_lossy(subject.sql.get(item.clone()).unwrap_or_default()).into_owned();
        let holds_view = edits.iter().any(|(edit, _)| item.start <= edit.start && edit.end <= item.end);
        if holds_view && name.chars().count() <= MAX_ALIAS_CHARS {
            let slot = Piece::Slot(u16::try_from(names.len()).unwrap_or(u16::MAX));
            splice.replace(item.end..item.end, [Piece::from(" AS "), slot]);
            names.push(Span::of(&item, subject.literals));
            edits.push((item.end..item.end, format!(" AS {}", quoted(&name))));
        }
    }
    let splice = splice.build(subject.sql.len(), subject.literals).map_err(|error| {
        tracing::debug!(%error, "views do not fit");
        PlanError::Internal("the queries of views do not fit into the text")
    })?;
    let text = with_names(&splice, &names, subject.sql, subject.literals);
    if text.len() > MAX_TEXT_BYTES {
        return Err(PlanError::not_supported("views with queries of this size", "read the tables under them"));
    }
    let mut literals = Vec::new();
    let scanned = scan(&text, subject.context.mode, &mut literals);
    let inner = crate::plan::plan(subject.context, &text, &scanned, &literals)?;
    let mut tables = inner.tables.clone();
    tables.extend(views);
    tables.sort();
    tables.dedup();
    Ok(Some(Plan {
        kind: inner.kind,
        access: inner.access,
        pins: inner.pins,
        needs: inner.needs,
        server_hint: inner.server_hint,
        pinned: pinned(&inner.pinned, &literals, subject.literals, &edits),
        tables,
        assigned_variables: inner.assigned_variables.clone(),
        mode: inner.mode,
        text_is_utf8: inner.text_is_utf8,
        compose: inner.compose.clone(),
        given_ids: None,
        // the inner plan tells it
        skip: None,
        warnings: inner.warnings.clone(),
        digest: Default::default(),
        action: Action::Expanded(Expanded { plan: Box::new(inner), splice, names, labels }),
    }))
}

/// The client's literals that the inner plan depends on.
fn pinned(
    inner: &[PinnedLiteral],
    literals: &[Literal],
    of_client: &[Literal],
    edits: &[(Range<usize>, String)],
) -> Vec<PinnedLiteral> {
    let moved = |literal: &Literal| {
        let before = edits.iter().filter(|(range, _)| range.end <= literal.start as usize);
        before.fold(literal.start as usize, |at, (range, text)| at + text.len() - range.len())
    };
    let index = |pinned: &PinnedLiteral| {
        let start = literals.get(pinned.index)?.start as usize;
        let index = of_client.iter().position(|literal| moved(literal) == start)?;
        Some(PinnedLiteral { index, text: pinned.text.clone() })
    };
    inner.iter().filter_map(index).collect()
}

/// The text with the queries of views in it; items whose names their texts gave have these as aliases.
fn with_names(splice: &Splice, names: &[Span], sql: &[u8], literals: &[Literal]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sql.len() * 2);
    splice.apply(sql, literals, &mut out, |slot, out| {
        let name = names.get(usize::from(slot)).and_then(|name| sql.get(name.range(literals)));
        out.extend_from_slice(quoted(&String::from_utf8_lossy(name.unwrap_or_default())).as_bytes());
    });
    out
}

impl Expanded {
    /// The statement with the views' queries in it, and its literals.
    pub fn text(&self, sql: &[u8], literals: &[Literal]) -> (Bytes, Vec<Literal>) {
        let text = Bytes::from(with_names(&self.splice, &self.names, sql, literals));
        let mut own = Vec::new();
        scan(&text, self.plan.mode, &mut own);
        (text, own)
    }

    /// Its plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its statements.
    pub fn bind(
        &self,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
        ids: KeySource<'_>,
    ) -> Result<Bound, PlanError> {
        let (text, own) = self.text(sql, literals);
        let mut bound = self.plan.bind_with(&text, &own, params, session, ids)?;
        for shard in &mut bound.shards {
            written_out(&mut shard.sql, &text);
            self.label(shard);
        }
        if let Some(scratch) = &mut bound.scratch {
            written_out_scratch(scratch, &text);
            scratch.views.clone_from(&self.labels);
        }
        Ok(bound)
    }

    /// As [`Plan::sample`].
    pub fn sample(&self, sql: &[u8], literals: &[Literal]) -> Result<ShardStatement, PlanError> {
        let (text, own) = self.text(sql, literals);
        let mut sample = self.plan.sample(&text, &own)?;
        written_out(&mut sample.sql, &text);
        self.label(&mut sample);
        Ok(sample)
    }

    fn label(&self, shard: &mut ShardStatement) {
        if !self.labels.is_empty() {
            let mut names = shard.names.as_deref().cloned().unwrap_or_default();
            names.views.clone_from(&self.labels);
            shard.names = Some(Arc::new(names));
        }
    }

    /// As [`Plan::bind_scratch`].
    pub fn bind_scratch(
        &self,
        reason: String,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
    ) -> Option<ScratchBound> {
        let (text, own) = self.text(sql, literals);
        let mut scratch = self.plan.bind_scratch(reason, &text, &own, params, session)?;
        written_out_scratch(&mut scratch, &text);
        scratch.views.clone_from(&self.labels);
        Some(scratch)
    }
}

/// What is the same as this text is another one than the client's.
fn written_out(sql: &mut Text, text: &Bytes) {
    if *sql == Text::Same {
        *sql = Text::Rewritten(text.clone());
    }
}

fn written_out_scratch(scratch: &mut ScratchBound, text: &Bytes) {
    written_out(&mut scratch.sql, text);
    let partial = scratch.combine.iter_mut().flat_map(|combine| &mut combine.shards);
    for shard in scratch.reads.iter_mut().flat_map(|read| &mut read.shards).chain(partial) {
        written_out(&mut shard.sql, text);
    }
}

/// The query of a view, as it stands in a statement.
struct ViewText {
    /// Over logical tables, without the ORDER BY that the statement takes over.
    query: String,
    /// The names of its columns, where the query has others.
    columns: Option<String>,
    order: Order,
}

impl ViewText {
    fn of(context: &PlanContext<'_>, view: &SplitView, lock: &str, depth: usize) -> Result<Self, PlanError> {
        let refused = |why: &str| {
            let what = format!("the view '{}', {why}", view.place.table());
            PlanError::not_supported(what, "read the tables under it")
        };
        let definition = view.info.definition.as_deref().unwrap_or_default();
        if depth > MAX_DEPTH {
            return Err(refused("which is nested too deep"));
        }
        if context.mode.no_backslash_escapes && definition.contains('\\') {
            return Err(refused("whose query holds a backslash, under NO_BACKSLASH_ESCAPES"));
        }
        if !context.text_is_utf8 && !definition.is_ascii() {
            return Err(refused("whose query is not ASCII, in a session whose texts are not UTF-8"));
        }
        let group = view.place.nodes().first().map(|node| node.group);
        let unread = || refused("whose query Shardloom cannot parse");
        // behind the legs of a set operation a lock stands in another place, or in none
        let locks = |parsed: &Parsed| matches!(&parsed.statement, Statement::Query(query) if matches!(&*query.body, SetExpr::Select(_)));
        let parsed = parse_definition(definition).ok_or_else(unread)?;
        if !lock.is_empty() && view.info.on_mysql && has_json_table(&parsed.statement) {
            // MySQL locks those in a view, and refuses to lock them in the view's query
            return Err(refused("whose query reads JSON_TABLE, in a query that locks"));
        }
        let (definition, parsed) = if lock.is_empty() || !locks(&parsed) {
            (definition.to_owned(), parsed)
        } else {
            let locking = format!("{definition}{lock}");
            let parsed = parse_definition(&locking).ok_or_else(unread)?;
            (locking, parsed)
        };
        if let Some(group) = group
            && !all_there(context, group, &parsed)
        {
            let (schema, view) = (view.place.schema().to_owned(), view.place.table().to_owned());
            return Err(PlanError::InvalidView { schema, view });
        }
        let mut finder = Finder::new(context, definition.as_bytes(), LexMode::default(), group, depth);
        finder.strips_schemas = has_distinct_tables(&parsed);
        finder.read(&parsed.statement)?;
        let text = edited(&definition, finder.edits);
        if text.len() > MAX_TEXT_BYTES {
            return Err(refused("whose query is too long with those of other views in it"));
        }
        let parsed = parse_definition(&text).ok_or_else(unread)?;
        let Statement::Query(query) = &parsed.statement else { return Err(unread()) };
        let (order, query_text) = Order::taken_from(query, &text);
        let names: Vec<&str> = view.info.columns.iter().map(|column| column.name.as_str()).collect();
        let columns = (outputs(&query.body) != names)
            .then(|| format!(" ({})", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")));
        Ok(Self { query: query_text, columns, order })
    }
}

fn has_json_table(statement: &Statement) -> bool {
    struct Tables;
    impl Visitor for Tables {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if matches!(factor, TableFactor::JsonTable { .. }) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    statement.visit(&mut Tables).is_break()
}

/// A text with some of its ranges replaced.
fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() * 2);
    let mut at = 0;
    for (range, new) in &edits {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(new);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// What a name becomes.
enum Becomes {
    Itself,
    /// A table under another name.
    Table(Logical),
    View(SplitView),
}

/// Looks for names of views in a text: a client's, or, on a group, a definition with the physical names there.
struct Finder<'f, 'a> {
    context: &'f PlanContext<'a>,
    text: &'f [u8],
    outline: Outline,
    group: Option<GroupId>,
    depth: usize,
    /// Columns lose their schemas: no two tables differ in it alone.
    strips_schemas: bool,
    /// For each query around: the names of WITH that are seen in it, and how it locks.
    queries: Vec<(Vec<String>, &'static str)>,
    /// What is seen in queries of WITH that are still to come, by their addresses.
    in_with: HashMap<*const Query, Vec<String>>,
    edits: Vec<(Range<usize>, String)>,
    views: Vec<LogicalTable>,
    /// Items of select lists that have no alias and hold a query.
    items: Vec<Range<usize>>,
}

impl<'f, 'a> Finder<'f, 'a> {
    fn new(context: &'f PlanContext<'a>, text: &'f [u8], mode: LexMode, group: Option<GroupId>, depth: usize) -> Self {
        let outline = Outline::new(text, mode);
        Self {
            context,
            text,
            outline,
            group,
            depth,
            strips_schemas: false,
            queries: Vec::new(),
            in_with: HashMap::new(),
            edits: Vec::new(),
            views: Vec::new(),
            items: Vec::new(),
        }
    }

    fn read(&mut self, statement: &Statement) -> Result<(), PlanError> {
        match statement.visit(self) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn becomes(&self, schema: Option<&Ident>, table: &Ident) -> Result<Becomes, PlanError> {
        let schema = schema.map(|schema| schema.value.as_str());
        let view = |schema: Option<&str>, table: &str| SplitView::find(self.context, schema, table).map(Becomes::View);
        let Some(group) = self.group else { return Ok(view(schema, &table.value).unwrap_or(Becomes::Itself)) };
        // in a definition only names of WITH are without a schema
        let Some(schema) = schema.filter(|schema| !is_system_schema(schema)) else { return Ok(Becomes::Itself) };
        let named = logical(self.context.rules, group, schema, &table.value)
            .ok_or(PlanError::Internal("a view of one part was taken for one of all"))?;
        if let Some(view) = view(Some(&named.schema), &named.table) {
            return Ok(view);
        }
        let is_same = *named.schema == *schema && *named.table == *table.value;
        Ok(if is_same { Becomes::Itself } else { Becomes::Table(named) })
    }

    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> Result<(), PlanError> {
        let (schema, table) = split_name(name)?;
        let (of_with, lock) = self.queries.last().map_or((&[][..], ""), |(names, lock)| (&**names, *lock));
        if schema.is_none() && of_with.iter().any(|known| known.eq_ignore_ascii_case(&table.value)) {
            return Ok(());
        }
        let (mut text, columns) = match self.becomes(schema, table)? {
            Becomes::Itself => return Ok(()),
            Becomes::Table(named) => (format!("{}.{}", quoted(&named.schema), quoted(&named.table)), None),
            Becomes::View(view) => {
                let inner = ViewText::of(self.context, &view, lock, self.depth + 1)?;
                self.views.push(LogicalTable { schema: view.place.schema().into(), table: view.place.table().into() });
                (format!("({})", inner.query), inner.columns)
            }
        };
        let columns = columns.unwrap_or_default();
        match alias.map(|alias| spans::range_of(alias.name.span)) {
            None => text.push_str(&format!(" AS {}{columns}", quoted(&table.value))),
            Some(_) if columns.is_empty() => {}
            Some(Some(alias)) => self.edits.push((alias.end..alias.end, columns)),
            Some(None) => return Err(PlanError::lost_place()),
        }
        let range = spans::range(name).ok_or_else(PlanError::lost_place)?;
        self.edits.push((range, text));
        Ok(())
    }

    /// The labels of the views that a client's statement selects from, where a name is that of one table.
    fn labels(&self, statement: &Statement) -> Vec<ViewName> {
        let mut all: Vec<(String, Option<ViewName>)> = Vec::new();
        for factor in labels::sources(statement) {
            // what stands in brackets may name anything
            let TableFactor::Table { name, alias, .. } = factor else { return Vec::new() };
            let Ok((schema, table)) = split_name(name) else { return Vec::new() };
            let visible = alias.as_ref().map_or(&table.value, |alias| &alias.name.value);
            let label = match self.becomes(schema, table) {
                Ok(Becomes::View(view)) => labels::of(&view, visible),
                _ => None,
            };
            all.push((visible.to_lowercase(), label));
        }
        let is_one = |visible: &str| all.iter().filter(|(other, _)| other == visible).count() == 1;
        all.iter().filter(|(visible, _)| is_one(visible)).filter_map(|(_, label)| label.clone()).collect()
    }

    /// `schema.table` in front of a column: a derived table has no schema.
    fn qualifier(&mut self, parts: &[Ident]) -> Result<(), PlanError> {
        let [schema, table] = parts else { return Ok(()) };
        if self.strips_schemas || !matches!(self.becomes(Some(schema), table)?, Becomes::Itself) {
            let range = name_range(parts).ok_or_else(PlanError::lost_place)?;
            self.edits.push((range, quoted(&table.value)));
        }
        Ok(())
    }

    fn wildcards(&mut self, select: &Select) -> Result<(), PlanError> {
        for item in &select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                let parts: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
                self.qualifier(&parts)?;
            }
        }
        Ok(())
    }

    /// Notes the items of a select list whose columns are named by texts that may change.
    fn note_items(&mut self, select: &Select) {
        let is_unnamed = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if has_query(expr));
        if self.group.is_some() || !select.projection.iter().any(is_unnamed) {
            return;
        }
        let clauses = spans::range_of(select.select_token.0.span)
            .and_then(|select| self.outline.clauses(self.text, select.start))
            .filter(|clauses| clauses.items.len() == select.projection.len());
        let items = clauses.map(|clauses| clauses.items).unwrap_or_default();
        let unnamed = select.projection.iter().zip(items).filter(|(item, _)| is_unnamed(item));
        self.items.extend(unnamed.map(|(_, range)| range));
    }

    /// The order of a view for a query that says none.
    fn order(&mut self, query: &Query) -> Result<(), PlanError> {
        let is_read = self.queries.len() == 1 || is_cut(query);
        let Some(select) = passes_order(query).filter(|_| is_read) else { return Ok(()) };
        let TableFactor::Table { name, alias, .. } = &select.from[0].relation else { return Ok(()) };
        let (schema, table) = split_name(name)?;
        let Becomes::View(view) = self.becomes(schema, table)? else { return Ok(()) };
        let keys = match ViewText::of(self.context, &view, "", self.depth + 1)?.order {
            Order::No => return Ok(()),
            Order::By(keys) => keys,
            Order::Hidden => {
                return Err(PlanError::not_supported(
                    format!("the view '{}', which is ordered by what it does not show", table.value),
                    "give the query an ORDER BY",
                ));
            }
        };
        let visible = quoted(alias.as_ref().map_or(&table.value, |alias| &alias.name.value));
        let key =
            |(name, down): &(String, bool)| format!("{visible}.{}{}", quoted(name), if *down { " DESC" } else { "" });
        let by = keys.iter().map(key).collect::<Vec<_>>().join(", ");
        let at = spans::range_of(select.select_token.0.span)
            .and_then(|select| self.outline.clauses(self.text, select.start))
            .map(|clauses| clauses.before_order)
            .ok_or_else(PlanError::lost_place)?;
        self.edits.push((at..at, format!(" ORDER BY {by}")));
        Ok(())
    }
}

fn flow(result: Result<(), PlanError>) -> ControlFlow<PlanError> {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

impl Visitor for Finder<'_, '_> {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<PlanError> {
        let around = self.queries.last().map(|(names, _)| names.clone()).unwrap_or_default();
        let mut names = self.in_with.remove(&std::ptr::from_ref(query)).unwrap_or(around);
        if let Some(with) = &query.with {
            let all: Vec<String> = with.cte_tables.iter().map(|cte| cte.alias.name.value.clone()).collect();
            for cte in &with.cte_tables {
                let mut seen = names.clone();
                if with.recursive {
                    seen.extend(all.clone());
                }
                self.in_with.insert(std::ptr::from_ref(&*cte.query), seen);
                names.push(cte.alias.name.value.clone());
            }
        }
        let lock = query.locks.first().map_or("", lock_text);
        self.queries.push((names, lock));
        flow(self.order(query))
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<PlanError> {
        self.queries.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<PlanError> {
        self.note_items(select);
        flow(self.wildcards(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<PlanError> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => flow(self.table(name, alias.as_ref())),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<PlanError> {
        match expr {
            Expr::CompoundIdentifier(parts) if parts.len() == 3 => flow(self.qualifier(&parts[..2])),
            _ => ControlFlow::Continue(()),
        }
    }
}
