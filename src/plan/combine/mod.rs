//! Grouped queries whose groups lie on several shards, and that need more than adding up: HAVING, expressions over
//! aggregates, ORDER BY on them, DISTINCT ones of several columns.
//!
//! The shards group their rows; their partial groups, which are few, go into one temporary table on a scratch server.
//! There they are put together into a table of whole groups, and the client's statement runs over that one: its
//! aggregates and GROUP BY keys have become columns, HAVING a WHERE.
//!
//! Two things make the answer that of one server. Both tables get their columns from the server itself, by `CREATE TABLE
//! … SELECT` of the aggregates over empty tables of the shards' columns, so that a value is compared and computed with
//! by the same rules. And only aggregates are taken apart whose parts add up to exactly the whole ([`exact`](super::exact)).

mod aggregate;
mod layout;
mod rewrite;

use std::ops::Range;

use bytes::Bytes;
use sqlparser::ast::{Expr, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr};

use super::action::Routed;
use super::keys::Keys;
use super::names::{session_values, tables};
use super::query::{Subject, inner};
use super::scratch::ScratchPlan;
use super::shape::{BlockId, Builder, ColumnId, bare, has_query, is_aggregated, is_constant, names_in};
use super::template::{Template, TemplateBuilder};
use super::types::{CombineBound, PinnedLiteral, SessionValues, Text};
use crate::route::values::Values;
use crate::sql::spans;
use crate::sql::splice::Piece;
use layout::Layout;

/// The temporary table of the shards' partial groups.
pub(crate) const PARTS: &str = "shardloom_parts";
/// The temporary table of whole groups.
pub(crate) const GROUPS: &str = "shardloom_groups";

/// A grouped query whose groups are put together on a scratch server.
#[derive(Debug, Clone)]
pub(crate) struct CombinePlan {
    /// What each shard is asked.
    shards: Template,
    /// The same over empty tables: it makes [`PARTS`].
    parts: Template,
    /// The keys and aggregates over empty tables: it makes [`GROUPS`].
    groups: Template,
    /// Puts the parts together.
    whole: Template,
    /// The client's statement over [`GROUPS`].
    last: Template,
}

/// An item of the select list.
struct Item<'q> {
    /// Its expression.
    expr: &'q Expr,
    /// The bytes of that, without the alias.
    range: Range<usize>,
    alias: Option<&'q str>,
    /// The column that it is.
    column: Option<ColumnId>,
}

/// A GROUP BY key.
struct Key<'q> {
    expr: &'q Expr,
    /// Where its expression is written.
    range: Range<usize>,
    /// The column that it is.
    column: Option<ColumnId>,
}

/// A column of [`PARTS`] or [`GROUPS`], and how it is computed.
struct Column {
    name: String,
    pieces: Vec<Piece>,
}

/// An aggregate of the statement.
struct Call {
    range: Range<usize>,
    /// What it is over the whole groups.
    text: String,
}

/// A query that is being taken apart.
struct Combiner<'c, 'a, 'q> {
    subject: &'c Subject<'a>,
    builder: &'c mut Builder<'a>,
    main: BlockId,
    items: Vec<Item<'q>>,
    keys: Vec<Key<'q>>,
    /// What the shards group by beside the keys, for aggregates with DISTINCT.
    distinct: Vec<Range<usize>>,
    /// Partial aggregates.
    parts: Vec<Column>,
    /// Aggregates of the whole groups over the rows themselves, for their types.
    groups: Vec<Column>,
    /// The same over the parts.
    whole: Vec<Vec<Piece>>,
    calls: Vec<Call>,
    /// Something is divided: how many digits the literals in the calls have counts.
    divides: bool,
    /// What changes in the client's statement.
    edits: Vec<(Range<usize>, Vec<Piece>)>,
}

/// Plans a query whose groups are put together on a scratch server; `None` where that is not known to be right.
pub(crate) fn plan<'a>(
    subject: &Subject<'a>,
    builder: &mut Builder<'a>,
    query: &Query,
    main: BlockId,
    keys: &Keys,
    scratch: &ScratchPlan,
    pinned: &mut Vec<PinnedLiteral>,
) -> Option<CombinePlan> {
    let query = inner(query);
    let SetExpr::Select(select) = &*query.body else { return None };
    if !is_allowed(builder, query, select, main) {
        return None;
    }
    let select_at = spans::range_of(select.select_token.0.span)?.start;
    let clauses = subject.outline.clauses(subject.sql, select_at)?;
    let with = match &query.with {
        Some(with) => Some(spans::range_of(with.with_token.0.span)?.start),
        None => None,
    };
    let layout = Layout::read(&subject.outline, subject.sql, select_at, with)?;
    let mut combiner = Combiner {
        subject,
        builder,
        main,
        items: Vec::new(),
        keys: Vec::new(),
        distinct: Vec::new(),
        parts: Vec::new(),
        groups: Vec::new(),
        whole: Vec::new(),
        calls: Vec::new(),
        divides: false,
        edits: Vec::new(),
    };
    combiner.read_items(select, &clauses.items)?;
    let mut ordinals = Vec::new();
    combiner.read_keys(select, &clauses.group, &mut ordinals)?;
    combiner.rewrite(query, select, &clauses, &layout)?;
    if combiner.divides {
        combiner.calls.iter().for_each(|call| subject.look_at(&call.range));
    }
    let plan = combiner.finish(&layout, &clauses.items, keys, scratch)?;
    pinned.extend(ordinals);
    Some(plan)
}

/// Whether nothing in the query forbids it.
fn is_allowed(builder: &Builder<'_>, query: &Query, select: &Select, main: BlockId) -> bool {
    let met = &builder.shape.met;
    let has_effect = met.random.is_some()
        || met.effect.is_some()
        || met.unknown_function.is_some()
        || met.only_one_shard.is_some()
        || met.outer_aggregate
        || met.column_default
        || met.lock_function
        || met.leaves_state
        || met.user_variable
        || met.assigns_variable
        || met.locking
        || met.calc_found_rows
        || met.into;
    let block = &builder.shape.blocks[main];
    let groups = matches!(&select.group_by, GroupByExpr::Expressions(keys, modifiers)
        if !keys.is_empty() && modifiers.is_empty());
    let is_grouped = groups || block.implicit_group;
    let limit_is_plain = query.limit_clause.as_ref().is_none_or(|limit| {
        matches!(limit, LimitClause::OffsetCommaLimit { .. })
            || matches!(limit, LimitClause::LimitOffset { limit: Some(_), limit_by, .. } if limit_by.is_empty())
    });
    let order_is_plain = query.order_by.as_ref().is_none_or(|order| matches!(order.kind, OrderByKind::Expressions(_)));
    is_grouped
        && limit_is_plain
        && order_is_plain
        && !has_effect
        && !block.rollup
        && !block.windowed
        && select.named_window.is_empty()
        && query.locks.is_empty()
        && !builder.shape.blocks.iter().any(|inner| inner.in_tail)
}

impl<'q> Combiner<'_, '_, 'q> {
    fn read_items(&mut self, select: &'q Select, ranges: &[Range<usize>]) -> Option<()> {
        if ranges.len() != select.projection.len() {
            return None;
        }
        for (item, range) in select.projection.iter().zip(ranges) {
            let (expr, range, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, range.clone(), None),
                SelectItem::ExprWithAlias { expr, alias } => {
                    let at = self.subject.outline.alias_start(range, alias)?;
                    let end = self.subject.outline.before_alias(self.subject.sql, at)?;
                    (expr, range.start..end, Some(alias.value.as_str()))
                }
                _ => return None,
            };
            let column = self.builder.resolve_expr(expr, self.main);
            self.items.push(Item { expr, range, alias, column });
        }
        Some(())
    }

    fn read_keys(
        &mut self,
        select: &'q Select,
        ranges: &[Range<usize>],
        ordinals: &mut Vec<PinnedLiteral>,
    ) -> Option<()> {
        let GroupByExpr::Expressions(keys, _) = &select.group_by else { return None };
        if keys.len() != ranges.len() {
            return None;
        }
        for (expr, range) in keys.iter().zip(ranges) {
            let key = match (self.item_of(expr, range, ordinals)?, bare(expr)) {
                (Some(item), _) => {
                    let item = &self.items[item];
                    Key { expr: item.expr, range: item.range.clone(), column: item.column }
                }
                (None, expr) => {
                    let column = self.builder.resolve_expr(expr, self.main);
                    if column.is_none() && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                        return None;
                    }
                    Key { expr, range: range.clone(), column }
                }
            };
            let is_plain = !is_constant(key.expr) && !has_query(key.expr) && !is_aggregated(key.expr);
            if !is_plain || !self.is_storable(key.expr) {
                return None;
            }
            self.keys.push(key);
        }
        Some(())
    }

    /// The item that a key of GROUP BY stands for: by its place, or by its alias where that is no column. Nothing at all
    /// where names are not clear.
    fn item_of(
        &mut self,
        expr: &Expr,
        range: &Range<usize>,
        ordinals: &mut Vec<PinnedLiteral>,
    ) -> Option<Option<usize>> {
        let column = self.builder.resolve_expr(expr, self.main);
        let is_alias = |alias: Option<&str>, name: &str| alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name));
        let named = |name: &str| self.items.iter().position(|item| is_alias(item.alias, name));
        match bare(expr) {
            Expr::Value(value) => {
                let sqlparser::ast::Value::Number(digits, _) = &value.value else { return None };
                let item = digits.parse::<usize>().ok()?.checked_sub(1).filter(|item| *item < self.items.len())?;
                let index = crate::sql::literal::at_range(self.subject.literals, range.start, range.end)?;
                let text = self.subject.sql.get(range.clone())?.into();
                ordinals.push(PinnedLiteral { index, text });
                Some(Some(item))
            }
            Expr::Identifier(name) => {
                let Some(item) = named(&name.value) else { return Some(None) };
                // a column goes before an alias
                match column {
                    None => Some(Some(item)),
                    Some(column) => (self.items[item].column == Some(column)).then_some(None),
                }
            }
            expr => names_in(expr).iter().all(|name| named(name).is_none()).then_some(None),
        }
    }

    fn finish(
        self,
        layout: &Layout,
        items: &[Range<usize>],
        keys: &Keys,
        scratch: &ScratchPlan,
    ) -> Option<CombinePlan> {
        let list = items.first()?.start..items.last()?.end;
        let tail = layout.tail..layout.end;
        let group_names: Vec<String> = (0..self.keys.len()).map(key_name).collect();
        let distinct_names: Vec<String> = (0..self.distinct.len()).map(distinct_name).collect();
        let key_columns = || {
            let named = |(range, name): (&Range<usize>, &String)| (vec![Piece::Copy(range.clone())], name.clone());
            self.keys.iter().map(|key| &key.range).zip(&group_names).map(named).collect::<Vec<_>>()
        };
        let computed = |columns: &[Column]| {
            columns.iter().map(|column| (column.pieces.clone(), column.name.clone())).collect::<Vec<_>>()
        };
        let mut part_columns = key_columns();
        let named = |(range, name): (&Range<usize>, &String)| (vec![Piece::Copy(range.clone())], name.clone());
        part_columns.extend(self.distinct.iter().zip(&distinct_names).map(named));
        part_columns.extend(computed(&self.parts));
        let mut group_columns = key_columns();
        group_columns.extend(computed(&self.groups));
        let all_names: Vec<String> = group_names.iter().chain(&distinct_names).cloned().collect();
        if part_columns.is_empty() || group_columns.is_empty() {
            return None;
        }

        let sql = self.subject.sql;
        let params = self.subject.outline.params();
        let build = |mut template: TemplateBuilder| {
            if !params.is_empty() {
                template.account_params(params, &[]);
            }
            template.build(sql.len(), self.subject.literals).ok()
        };
        let query = |mut template: TemplateBuilder, columns: &[(Vec<Piece>, String)], names: &[String], limit: &str| {
            session_values(self.builder, &mut template);
            template.pieces(list.clone(), listed(columns));
            let group = if names.is_empty() { String::new() } else { format!(" GROUP BY {}", names.join(", ")) };
            let text = format!("{group}{limit}");
            // a space stands before what is replaced
            let text = if tail.is_empty() { &*text } else { text.trim_start() };
            template.pieces(tail.clone(), [Piece::from(text)]);
            build(template)
        };
        let mut on_shards = tables(self.builder, keys, None).ok()?;
        if params.is_empty() {
            super::lists::split(&mut on_shards, &self.builder.shape, keys, self.builder.literals);
        }
        let shards = query(on_shards, &part_columns, &all_names, "")?;
        let parts = query(scratch.tables_template(self.builder, keys), &part_columns, &all_names, " LIMIT 0")?;
        let groups = query(scratch.tables_template(self.builder, keys), &group_columns, &group_names, " LIMIT 0")?;
        let whole = build(self.whole_template(&group_names))?;
        let last = build(self.last_template(layout))?;
        Some(CombinePlan { shards, parts, groups, whole, last })
    }

    /// `INSERT INTO groups SELECT … FROM parts GROUP BY …`.
    fn whole_template(&self, keys: &[String]) -> TemplateBuilder {
        let mut pieces = vec![Piece::from(&*format!("INSERT INTO {GROUPS} SELECT "))];
        let columns = keys.iter().map(|key| vec![Piece::from(&**key)]).chain(self.whole.iter().cloned());
        for (index, column) in columns.enumerate() {
            if index > 0 {
                pieces.push(Piece::from(", "));
            }
            pieces.extend(column);
        }
        pieces.push(Piece::from(&*format!(" FROM {PARTS}")));
        if !keys.is_empty() {
            pieces.push(Piece::from(&*format!(" GROUP BY {}", keys.join(", "))));
        }
        let mut template = TemplateBuilder::default();
        template.pieces(0..self.subject.sql.len(), pieces);
        template
    }

    /// The client's statement over the groups.
    fn last_template(&self, layout: &Layout) -> TemplateBuilder {
        let mut template = TemplateBuilder::default();
        session_values(self.builder, &mut template);
        if let Some(with) = &layout.with {
            template.pieces(with.clone(), []);
        }
        let space = if layout.after_group < layout.end { " " } else { "" };
        template.pieces(layout.from..layout.after_group, [Piece::from(&*format!("FROM {GROUPS}{space}"))]);
        if let Some(having) = &layout.having {
            template.pieces(having.clone(), [Piece::from("WHERE")]);
        }
        for (range, pieces) in &self.edits {
            template.pieces(range.clone(), pieces.iter().cloned());
        }
        template
    }
}

fn listed(columns: &[(Vec<Piece>, String)]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (index, (column, name)) in columns.iter().enumerate() {
        if index > 0 {
            pieces.push(Piece::from(", "));
        }
        pieces.extend(column.iter().cloned());
        pieces.push(Piece::from(&*format!(" AS {name}")));
    }
    pieces
}

fn key_name(index: usize) -> String {
    format!("shardloom_k{index}")
}

fn distinct_name(index: usize) -> String {
    format!("shardloom_d{index}")
}

impl CombinePlan {
    /// The statements of one execution; `None` where a parameter cannot be written as a literal, or the tables do not meet.
    pub fn bind(
        &self,
        routed: &Routed,
        scratch: &ScratchPlan,
        values: &Values<'_>,
        session: &dyn SessionValues,
    ) -> Option<CombineBound> {
        let writable = |param: usize| {
            super::scratch::write_param(values, u32::try_from(param).ok()?, &mut Vec::new()).then_some(())
        };
        (0..values.params.len()).try_for_each(writable)?;
        let shards = routed.all_targets(&self.shards, values, session)?;
        let filled = |template: &Template| -> Bytes {
            let (text, _) = template.fill(values, &scratch.filling(session, true));
            match text {
                Text::Same => Bytes::copy_from_slice(values.sql),
                Text::Rewritten(bytes) => bytes,
            }
        };
        let create = |table: &str, query: &Template| {
            Bytes::from([format!("CREATE TEMPORARY TABLE {table} AS ").as_bytes(), &filled(query)].concat())
        };
        Some(CombineBound {
            shards,
            parts: PARTS,
            create_parts: create(PARTS, &self.parts),
            create_groups: create(GROUPS, &self.groups),
            whole: filled(&self.whole),
            sql: filled(&self.last),
        })
    }
}
