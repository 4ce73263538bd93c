//! From the syntax tree to the shape: queries, set operations, SELECT.

use std::ops::Range;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, Value,
    ValueWithSpan,
};

use super::walk::Context;
use super::with;
use super::{Block, BlockId, ColumnId, Fact, Output, RefId, RefKind, Shape, bare, has_query, is_cut};
use crate::plan::PlanContext;
use crate::plan::error::PlanError;
use crate::plan::outline::Outline;
use crate::plan::place;
use crate::route::source::Source;
use crate::sql::spans;
use crate::sql::{Literal, LiteralKind, Notes, ParseError, literal};

/// Where in a block an inner block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// In WHERE, or in the select list and the like of a block whose rows all pass WHERE.
    Inline,
    /// Where the conditions of the block do not hold yet, or no more: in ON, or beside an aggregate over no row.
    On,
    /// A leg of a set operation.
    Leg,
    /// In FROM.
    Derived(RefId),
    /// In FROM, seeing its neighbours.
    Lateral,
    /// In WITH.
    Cte,
}

/// A name that WITH defines.
struct Cte {
    name: String,
    /// Its query, if just one reference reads it: then it is as good as a derived table in that place.
    only_use: Option<BlockId>,
}

/// Builds a [`Shape`].
pub(crate) struct Builder<'a> {
    /// The rules and the columns.
    pub context: &'a PlanContext<'a>,
    /// The text.
    pub sql: &'a [u8],
    /// Its literals.
    pub literals: &'a [Literal],
    /// Its tokens.
    pub outline: &'a Outline,
    /// What has been built.
    pub shape: Shape,
    /// What WITH defines here, innermost last.
    ctes: Vec<Cte>,
    /// How many names of tables were met: must be as many as the tree holds.
    pub relations: usize,
    /// What is read stands in the select list, or after WHERE.
    in_tail: bool,
    /// What is read stands in a subquery of this item of a select list, which has no alias.
    pub(super) item: Option<Range<usize>>,
}

impl<'a> Builder<'a> {
    /// With nothing built yet.
    pub fn new(context: &'a PlanContext<'a>, sql: &'a [u8], literals: &'a [Literal], outline: &'a Outline) -> Self {
        Self {
            context,
            sql,
            literals,
            outline,
            shape: Shape::default(),
            ctes: Vec::new(),
            relations: 0,
            in_tail: false,
            item: None,
        }
    }

    /// Takes over what the parser took out of the tree.
    pub fn note(&mut self, notes: &Notes) {
        let met = &mut self.shape.met;
        met.into |= notes.into.is_some();
        met.locking |= notes.lock;
        met.calc_found_rows |= notes.calc_found_rows;
        met.user_variable |= notes.user_variables;
        met.assigns_variable |= notes.assignments;
        met.only_one_shard = [
            (notes.group_by_order, "GROUP BY … ASC or DESC"),
            (notes.rows_examined, "LIMIT ROWS EXAMINED"),
            (notes.system_time, "FOR SYSTEM_TIME"),
            (notes.rollup, "GROUP BY … WITH ROLLUP"),
            (notes.table_statement, "TABLE"),
        ]
        .into_iter()
        .find_map(|(is_there, name)| is_there.then_some(name));
    }

    /// A new block.
    pub fn block(&mut self, parent: Option<(BlockId, Position)>) -> BlockId {
        self.shape.blocks.push(Block { parent, in_tail: self.in_tail, ..Block::default() });
        self.shape.blocks.len() - 1
    }

    /// What a name stands for that WITH defines here; the block of its query if that can be followed.
    pub(super) fn cte(&self, name: &str) -> Option<Option<BlockId>> {
        self.ctes.iter().rev().find(|cte| cte.name.eq_ignore_ascii_case(name)).map(|cte| cte.only_use)
    }

    /// Where a table is, and its columns.
    pub fn locate(
        &self,
        schema: Option<&sqlparser::ast::Ident>,
        table: &sqlparser::ast::Ident,
    ) -> Result<RefKind, PlanError> {
        let place = place::locate(self.context, schema.map(|schema| schema.value.as_str()), &table.value)?;
        let info = match &place {
            // the servers know the views by their names in large letters
            place if crate::plan::system::is_view(place) => {
                self.context.catalog.table(place.schema(), &place.table().to_ascii_uppercase())
            }
            place => self.context.catalog.table(place.schema(), place.table()),
        };
        Ok(RefKind::Table { place, info })
    }

    /// Reads a query.
    pub fn query(&mut self, query: &Query, parent: Option<(BlockId, Position)>) -> Result<BlockId, PlanError> {
        if !query.pipe_operators.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
        {
            return Err(PlanError::not_supported("this clause", "write the query as MySQL does"));
        }
        let outer_ctes = self.ctes.len();
        if let Some(with) = &query.with {
            for name in with::named_ahead(self.context, with)? {
                self.ctes.push(Cte { name, only_use: None });
            }
            for cte in &with.cte_tables {
                let name = cte.alias.name.value.clone();
                if with.recursive {
                    self.ctes.push(Cte { name: name.clone(), only_use: None });
                }
                let block = self.query(&cte.query, parent.map(|(block, _)| (block, Position::Cte)))?;
                if !with.recursive {
                    self.rename_outputs(block, Some(&cte.alias));
                    let only_use = (with::uses(query, &name) == 1).then_some(block);
                    self.ctes.push(Cte { name, only_use });
                }
            }
        }
        self.shape.met.locking |= !query.locks.is_empty();
        let block = self.set_expr(&query.body, Some(query), parent)?;
        self.ctes.truncate(outer_ctes);
        Ok(block)
    }

    /// Reads the body of a query, with the ORDER BY and LIMIT that belong to it.
    fn set_expr(
        &mut self,
        body: &SetExpr,
        query: Option<&Query>,
        parent: Option<(BlockId, Position)>,
    ) -> Result<BlockId, PlanError> {
        match body {
            SetExpr::Select(select) => {
                let block = self.block(parent);
                self.select(select, query, block)?;
                Ok(block)
            }
            SetExpr::Query(inner) if query.is_none_or(is_plain) => self.query(inner, parent),
            SetExpr::Query(inner) => {
                let block = self.set_operation(parent);
                self.query(inner, Some((block, Position::Leg)))?;
                self.tail(query, block)?;
                Ok(block)
            }
            SetExpr::SetOperation { left, right, .. } => {
                let block = self.set_operation(parent);
                self.set_expr(left, None, Some((block, Position::Leg)))?;
                self.set_expr(right, None, Some((block, Position::Leg)))?;
                self.tail(query, block)?;
                Ok(block)
            }
            SetExpr::Values(values) => {
                let block = self.set_operation(parent);
                for expr in values.rows.iter().flat_map(|row| &row.content) {
                    self.walk(expr, block, Position::On)?;
                }
                self.tail(query, block)?;
                Ok(block)
            }
            // MariaDB knows no such form
            SetExpr::Update(_) | SetExpr::Delete(_) => Err(PlanError::Parse(ParseError::Syntax {
                message: "UPDATE and DELETE stand behind no WITH here, write its query in FROM or WHERE".to_owned(),
                near: "WITH".to_owned(),
                line: 1,
            })),
            _ => Err(PlanError::not_supported("this form of query", "write it as SELECT")),
        }
    }

    fn set_operation(&mut self, parent: Option<(BlockId, Position)>) -> BlockId {
        let block = self.block(parent);
        self.shape.blocks[block].set_operation = true;
        block
    }

    /// ORDER BY and LIMIT.
    fn tail(&mut self, query: Option<&Query>, block: BlockId) -> Result<(), PlanError> {
        let Some(query) = query else { return Ok(()) };
        let position = self.after_grouping(block);
        if let Some(order) = &query.order_by
            && let OrderByKind::Expressions(keys) = &order.kind
        {
            for key in keys {
                self.walk(&key.expr, block, position)?;
            }
        }
        if query.fetch.is_some() {
            self.shape.blocks[block].limited = true;
            self.shape.met.only_one_shard.get_or_insert("FETCH");
        }
        if let Some(limit) = &query.limit_clause {
            self.shape.blocks[block].limited = true;
            match limit {
                LimitClause::LimitOffset { limit, offset, .. } => {
                    for expr in limit.iter().chain(offset.as_ref().map(|offset| &offset.value)) {
                        self.walk(expr, block, position)?;
                    }
                }
                LimitClause::OffsetCommaLimit { offset, limit } => {
                    self.walk(offset, block, position)?;
                    self.walk(limit, block, position)?;
                }
            }
        }
        Ok(())
    }

    /// Where a subquery stands that is evaluated for the rows of the result.
    fn after_grouping(&self, block: BlockId) -> Position {
        // an aggregate without GROUP BY gives a row even if no row passed WHERE
        if self.shape.blocks[block].implicit_group { Position::On } else { Position::Inline }
    }

    fn select(&mut self, select: &Select, query: Option<&Query>, block: BlockId) -> Result<(), PlanError> {
        if !select.lateral_views.is_empty()
            || select.top.is_some()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.exclude.is_some()
            || select.value_table_mode.is_some()
        {
            return Err(PlanError::not_supported("this clause", "write the query as MySQL does"));
        }
        self.shape.blocks[block].select_at = spans::range_of(select.select_token.0.span).map(|range| range.start);
        for item in &select.from {
            self.table_with_joins(item, block)?;
        }
        self.note_grouping(select, query, block);
        if let Some(condition) = &select.selection {
            self.where_clause(condition, block)?;
        }
        let around = std::mem::replace(&mut self.in_tail, true);
        let position = self.after_grouping(block);
        self.items(select, block, position)?;
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            for key in keys {
                self.walk(key, block, Position::Inline)?;
            }
        }
        if let Some(having) = &select.having {
            self.walk(having, block, position)?;
        }
        self.tail(query, block)?;
        self.in_tail = around;
        self.note_columns(select, block);
        if !select.named_window.is_empty() {
            self.shape.blocks[block].windowed = true;
            self.walk_windows(select, block)?;
        }
        self.shape.met.into |= select.into.is_some();
        self.shape.met.calc_found_rows |=
            select.select_modifiers.as_ref().is_some_and(|modifiers| modifiers.sql_calc_found_rows);
        Ok(())
    }

    /// Reads a WHERE.
    pub fn where_clause(&mut self, condition: &Expr, block: BlockId) -> Result<(), PlanError> {
        let fact = self.fact(condition, false, block);
        self.filter(fact, Vec::new(), None, block);
        self.note_lists(condition, block);
        self.conjunct(condition, block)
    }

    /// Reads the parts of a WHERE that are joined by AND. Subqueries that must be true for a row to matter make their own
    /// conditions certain for it.
    fn conjunct(&mut self, condition: &Expr, block: BlockId) -> Result<(), PlanError> {
        match bare(condition) {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.conjunct(left, block)?;
                self.conjunct(right, block)
            }
            Expr::InSubquery { expr, subquery, negated: false } => {
                self.walk(expr, block, Position::Inline)?;
                let inner = self.query(subquery, Some((block, Position::Inline)))?;
                self.in_subquery(expr, inner, block);
                Ok(())
            }
            Expr::Exists { subquery, negated: false } => {
                let inner = self.query(subquery, Some((block, Position::Inline)))?;
                let derived = &self.shape.blocks[inner];
                // an aggregate without GROUP BY has a row whatever its conditions say
                if !derived.set_operation && !derived.implicit_group && !derived.rollup {
                    self.certain_of(inner, block);
                }
                Ok(())
            }
            _ => self.walk(condition, block, Position::Inline),
        }
    }

    /// `x IN (SELECT y …)`: where it is true, some row of the subquery has `y = x`, and only such rows matter.
    fn in_subquery(&mut self, expr: &Expr, inner: BlockId, block: BlockId) {
        let compared: Vec<&Expr> = match bare(expr) {
            Expr::Tuple(parts) => parts.iter().collect(),
            one => vec![one],
        };
        let subquery = &self.shape.blocks[inner];
        let outputs = subquery.outputs.clone().filter(|_| subquery.is_cut_by_rows()).unwrap_or_default();
        if outputs.len() != compared.len() {
            return;
        }
        let (grouped, group_columns) = (subquery.grouped, subquery.group_columns.clone());
        self.certain_of(inner, block);
        let mut facts = Vec::new();
        for (expr, output) in compared.into_iter().zip(outputs) {
            let told_apart = |column: &ColumnId| !grouped || group_columns.contains(column);
            let column = output.column.filter(told_apart);
            if let (Some(outer), Some(column)) = (self.resolve_expr(expr, block), column) {
                facts.push(Fact::Same(outer, column));
            }
        }
        self.filter(Fact::All(facts), Vec::new(), None, block);
    }

    /// What a subquery makes certain holds for the block around it too.
    fn certain_of(&mut self, inner: BlockId, block: BlockId) {
        for (fact, from_derived) in self.shape.certain(inner) {
            self.filter(fact, Vec::new(), from_derived, block);
        }
    }

    fn note_grouping(&mut self, select: &Select, query: Option<&Query>, block: BlockId) {
        let (keys, modified) = match &select.group_by {
            GroupByExpr::All(_) => (true, true),
            GroupByExpr::Expressions(keys, modifiers) => {
                let is_set = |key: &Expr| matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
                (!keys.is_empty(), !modifiers.is_empty() || keys.iter().any(is_set))
            }
        };
        let aggregates = self.has_aggregates(select, query);
        let block = &mut self.shape.blocks[block];
        block.has_group_keys = keys;
        block.implicit_group = !keys && aggregates;
        block.distinct = matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_)));
        block.grouped = keys || block.distinct;
        block.rollup = modified;
    }

    /// The select list.
    fn items(&mut self, select: &Select, block: BlockId, position: Position) -> Result<(), PlanError> {
        let is_asked = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if has_query(expr));
        let start = spans::range_of(select.select_token.0.span).map(|range| range.start);
        let ranges = start.filter(|_| self.item.is_none() && select.projection.iter().any(is_asked));
        let ranges = ranges.and_then(|start| self.outline.clauses(self.sql, start)).unwrap_or_default().items;
        for (index, item) in select.projection.iter().enumerate() {
            let range = ranges.get(index).filter(|_| is_asked(item)).cloned();
            let is_outermost = range.is_some();
            if is_outermost {
                self.item = range;
            }
            self.item(item, block, position)?;
            if is_outermost {
                self.item = None;
            }
        }
        Ok(())
    }

    /// The list of RETURNING. A query in it is left alone, so that its tables count as not understood.
    pub(crate) fn returning(&mut self, items: Option<&[SelectItem]>, block: BlockId) -> Result<(), PlanError> {
        for item in items.unwrap_or_default() {
            let reads = matches!(item, SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if has_query(expr));
            if !reads {
                self.item(item, block, Position::Inline)?;
            }
        }
        Ok(())
    }

    /// An item of the select list.
    fn item(&mut self, item: &SelectItem, block: BlockId, position: Position) -> Result<(), PlanError> {
        match item {
            SelectItem::UnnamedExpr(expr) => self.walk_in(expr, block, position, Context::Item),
            SelectItem::ExprWithAlias { expr, .. } => self.walk_in(expr, block, position, Context::NamedItem),
            SelectItem::QualifiedWildcard(kind, _) => {
                let table = self.wildcard_table(kind, block);
                let refs = table.map_or_else(|| self.shape.blocks[block].refs.clone(), |table| vec![table]);
                self.use_all_columns(refs.iter());
                self.qualified_wildcard(kind, block)
            }
            SelectItem::Wildcard(_) => {
                let refs = self.shape.blocks[block].refs.clone();
                self.use_all_columns(refs.iter());
                Ok(())
            }
            SelectItem::ExprWithAliases { .. } => {
                Err(PlanError::not_supported("several aliases of one item", "give each item one alias"))
            }
        }
    }

    /// What GROUP BY and DISTINCT tell apart, and what the block shows to the one around it.
    fn note_columns(&mut self, select: &Select, block: BlockId) {
        let outputs = self.outputs(select, block);
        let mut group_columns: Vec<ColumnId> = Vec::new();
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            group_columns.extend(keys.iter().filter_map(|key| self.resolve_expr(key, block)));
            if keys.is_empty() {
                group_columns.extend(outputs.iter().flatten().filter_map(|output| output.column));
            }
        }
        let block = &mut self.shape.blocks[block];
        block.group_columns = group_columns;
        block.outputs = outputs;
    }

    fn outputs(&mut self, select: &Select, block: BlockId) -> Option<Vec<Output>> {
        let mut outputs = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let column = self.resolve_expr(expr, block);
                    let name = match super::facts::bare(expr) {
                        Expr::Identifier(name) => name.value.to_lowercase(),
                        Expr::CompoundIdentifier(parts) => parts.last()?.value.to_lowercase(),
                        // its name is its text: no one is known to use it
                        _ => String::new(),
                    };
                    let number = self.number(expr, block);
                    outputs.push(Output { name, column, is_number: is_number(expr), number });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let column = self.resolve_expr(expr, block);
                    let (name, number) = (alias.value.to_lowercase(), self.number(expr, block));
                    outputs.push(Output { name, column, is_number: is_number(expr), number });
                }
                SelectItem::Wildcard(_) => {
                    let shape = &self.shape.blocks[block];
                    if shape.natural_unseen || !shape.joined_columns.is_empty() {
                        return None;
                    }
                    for table in shape.refs.clone() {
                        self.all_columns(table, &mut outputs)?;
                    }
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    let table = self.wildcard_table(kind, block)?;
                    self.all_columns(table, &mut outputs)?;
                }
                SelectItem::ExprWithAliases { .. } => return None,
            }
        }
        Some(outputs)
    }

    fn all_columns(&mut self, table: RefId, outputs: &mut Vec<Output>) -> Option<()> {
        for name in self.column_names(table)? {
            let column = self.shape.column(table, &name);
            let number = self.column_number(column);
            outputs.push(Output { name, column: Some(column), is_number: false, number });
        }
        Some(())
    }

    /// How many columns a `*` stands for.
    pub fn width(&mut self, item: &SelectItem, block: BlockId) -> Option<usize> {
        let mut outputs = Vec::new();
        match item {
            SelectItem::Wildcard(_) => {
                let shape = &self.shape.blocks[block];
                if shape.natural_unseen || !shape.joined_columns.is_empty() {
                    return None;
                }
                for table in shape.refs.clone() {
                    self.all_columns(table, &mut outputs)?;
                }
            }
            SelectItem::QualifiedWildcard(kind, _) => {
                let table = self.wildcard_table(kind, block)?;
                self.all_columns(table, &mut outputs)?;
            }
            _ => return Some(1),
        }
        Some(outputs.len())
    }

    /// A constant expression as a source.
    pub fn constant(&self, expr: &Expr) -> Source {
        self.source(expr)
    }

    /// A literal or parameter as a source.
    pub(super) fn value(&self, value: &ValueWithSpan) -> Source {
        match &value.value {
            Value::Null => Source::Null,
            Value::Boolean(truth) => Source::Int(i64::from(*truth)),
            Value::Placeholder(_) => {
                let start = spans::range_of(value.span).map(|range| range.start);
                start.and_then(|start| self.outline.param_at(start)).map_or(Source::Unknown, Source::Param)
            }
            _ => spans::range_of(value.span)
                .and_then(|range| literal::at_range(self.literals, range.start, range.end))
                .and_then(|index| u32::try_from(index).ok())
                .map_or(Source::Unknown, |index| Source::Literal { index, negative: false }),
        }
    }

    /// Whether a literal is a number.
    pub(super) fn is_number(&self, index: u32) -> bool {
        let literal = self.literals.get(index as usize);
        literal.is_some_and(|literal| {
            matches!(literal.kind, LiteralKind::Integer | LiteralKind::Decimal | LiteralKind::Float)
        })
    }
}

/// Whether an expression is surely a number, whatever its columns are.
pub(super) fn is_number(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::BinaryOp { op, .. } => {
            use BinaryOperator::{Divide, Minus, Multiply, Plus};
            matches!(op, Divide | Minus | Multiply | Plus) && !is_interval(expr)
        }
        Expr::Function(function) => {
            let name = function.name.to_string().to_ascii_lowercase();
            ["avg", "bit_and", "bit_or", "bit_xor", "count", "sum"].contains(&name.as_str())
        }
        _ => false,
    }
}

/// `a + INTERVAL 1 DAY` gives a date or a text.
pub(super) fn is_interval(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Interval(_) => true,
        Expr::BinaryOp { left, right, .. } => is_interval(left) || is_interval(right),
        _ => false,
    }
}

/// Whether a query adds nothing to its body.
fn is_plain(query: &Query) -> bool {
    query.with.is_none() && query.order_by.is_none() && !is_cut(query) && query.locks.is_empty()
}
