//! Expressions: the subqueries in them, the functions, the names that a rewrite must follow.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArguments, Ident, ObjectNamePart, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, Visit, Visitor,
};

use super::from::{name_range, split_name};
use super::{BlockId, Builder, Position, Qualifier, RefId, SessionCall, SessionValue};
use crate::plan::error::PlanError;
use crate::plan::functions::{FunctionKind, classify};
use crate::sql::spans;

/// Where an expression stands, as far as it matters for what may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// An item of a select list without alias: its text names its column.
    Item,
    /// An item with an alias.
    NamedItem,
    /// Anywhere else.
    Elsewhere,
}

struct Walker<'b, 'a> {
    builder: &'b mut Builder<'a>,
    block: BlockId,
    position: Position,
    context: Context,
    /// How many queries deep; what is inside of one is read with that query.
    depth: usize,
}

impl Visitor for Walker<'_, '_> {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<PlanError> {
        if self.depth == 0
            && let Err(error) = self.builder.query(query, Some((self.block, self.position)))
        {
            return ControlFlow::Break(error);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<PlanError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<PlanError> {
        if self.depth == 0 {
            self.builder.node(expr, self.block, self.context);
        }
        ControlFlow::Continue(())
    }
}

impl Builder<'_> {
    /// Reads an expression that is no item of a select list.
    pub fn walk(&mut self, expr: &Expr, block: BlockId, position: Position) -> Result<(), PlanError> {
        self.walk_in(expr, block, position, Context::Elsewhere)
    }

    /// Reads an expression.
    pub fn walk_in(
        &mut self,
        expr: &Expr,
        block: BlockId,
        position: Position,
        context: Context,
    ) -> Result<(), PlanError> {
        self.visit(expr, block, position, context)
    }

    /// Reads the expressions of a table reference that is no query.
    pub(super) fn walk_factor(&mut self, factor: &TableFactor, block: BlockId) -> Result<(), PlanError> {
        self.visit(factor, block, Position::On, Context::Elsewhere)
    }

    pub(super) fn walk_windows(&mut self, select: &Select, block: BlockId) -> Result<(), PlanError> {
        self.visit(&select.named_window, block, Position::Inline, Context::Elsewhere)
    }

    fn visit(
        &mut self,
        node: &impl Visit,
        block: BlockId,
        position: Position,
        context: Context,
    ) -> Result<(), PlanError> {
        let mut walker = Walker { builder: self, block, position, context, depth: 0 };
        match node.visit(&mut walker) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn node(&mut self, expr: &Expr, block: BlockId, context: Context) {
        match expr {
            Expr::Identifier(name) => self.variable(std::slice::from_ref(name), context),
            Expr::CompoundIdentifier(parts) => {
                if let Some((_, qualifier)) = parts.split_last()
                    && !parts.iter().any(|part| part.value.starts_with('@'))
                {
                    self.qualifier(qualifier, block);
                }
                self.variable(parts, context);
            }
            Expr::BinaryOp { op: BinaryOperator::Assignment, .. } => self.shape.met.assigns_variable = true,
            Expr::Function(function) => self.function(function, block, context),
            Expr::MatchAgainst { columns, .. } => {
                for column in columns {
                    let parts: Vec<Ident> = column.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
                    if let Some((_, qualifier)) = parts.split_last() {
                        self.qualifier(qualifier, block);
                    }
                }
            }
            _ => {}
        }
    }

    /// `@x`, `@@x`, `@@session.x`.
    fn variable(&mut self, parts: &[Ident], context: Context) {
        let [first, rest @ ..] = parts else { return };
        if first.quote_style.is_some() || !first.value.starts_with('@') {
            return;
        }
        let Some(name) = first.value.strip_prefix("@@") else {
            self.shape.met.user_variable = true;
            return;
        };
        let scope = name.to_ascii_lowercase();
        let (global, name) = match (scope.as_str(), rest) {
            ("global", [name]) => (true, name.value.to_ascii_lowercase()),
            ("session" | "local", [name]) => (false, name.value.to_ascii_lowercase()),
            (_, []) => (false, scope),
            // `@@cache.key_buffer_size`: a part of a structured variable
            (_, rest) => {
                let parts = rest.iter().map(|part| part.value.to_ascii_lowercase());
                (false, std::iter::once(scope).chain(parts).collect::<Vec<_>>().join("."))
            }
        };
        if let Some(range) = name_range(parts) {
            self.session_call(range, SessionValue::Variable { global, name }, context);
        }
    }

    fn session_call(&mut self, range: Range<usize>, what: SessionValue, context: Context) {
        let item = (context == Context::Item).then(|| self.outline.item_around(self.sql, range.start)).flatten();
        self.shape.session_values.push(SessionCall { range, what, item });
    }

    fn function(&mut self, function: &Function, block: BlockId, context: Context) {
        let arguments = match &function.args {
            FunctionArguments::None => 0,
            FunctionArguments::Subquery(_) => 1,
            FunctionArguments::List(list) => list.args.len(),
        };
        let (name, kind) = match function.name.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => (name.value.clone(), classify(&name.value, arguments)),
            _ => (function.name.to_string(), FunctionKind::Unknown),
        };
        if function.over.is_some() {
            self.shape.blocks[block].windowed = true;
        }
        let met = &mut self.shape.met;
        match kind {
            FunctionKind::Pure => {}
            FunctionKind::ColumnDefault => met.column_default = true,
            FunctionKind::Aggregate if function.over.is_none() => self.note_aggregate(function, block),
            FunctionKind::Aggregate => {}
            FunctionKind::Window => self.shape.blocks[block].windowed = true,
            FunctionKind::StatementTime => met.statement_time = true,
            FunctionKind::Random => {
                let in_list = context != Context::Elsewhere && arguments == 0;
                if !in_list && met.random_in_condition.is_none() {
                    met.random_in_condition = Some(name.clone());
                }
                met.random.get_or_insert(name);
            }
            FunctionKind::Lock => met.lock_function = true,
            FunctionKind::Effect => {
                let waits =
                    ["sleep", "benchmark", "load_file"].iter().any(|harmless| name.eq_ignore_ascii_case(harmless));
                met.leaves_state |= !waits;
                met.sets_insert_id |= name.eq_ignore_ascii_case("last_insert_id");
                met.effect.get_or_insert(name);
            }
            FunctionKind::Unknown => {
                let known = met.unknown_function.get_or_insert_with(|| name.clone());
                if is_default_of(known) {
                    *known = name;
                }
            }
            FunctionKind::Session(what) => {
                let name = spans::range(&function.name);
                if let Some(range) = name.and_then(|name| self.outline.call_range(self.sql, name)) {
                    self.session_call(range, SessionValue::Function(what), context);
                }
            }
        }
    }

    /// Notes a qualifier, if it names a table of the statement.
    pub(in crate::plan) fn qualifier(&mut self, parts: &[Ident], block: BlockId) {
        if let (Some(table), Some(range)) = (self.qualified(parts, block), name_range(parts)) {
            let schema = parts.first().filter(|_| parts.len() > 1).map(|schema| schema.value.clone());
            self.shape.qualifiers.push(Qualifier { range, table, schema });
        }
    }

    /// `t.*`.
    pub(super) fn qualified_wildcard(
        &mut self,
        kind: &SelectItemQualifiedWildcardKind,
        block: BlockId,
    ) -> Result<(), PlanError> {
        let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
            return Err(PlanError::not_supported("this kind of *", "write * or table.*"));
        };
        let (schema, table) = split_name(name)?;
        let parts: Vec<Ident> = schema.into_iter().chain([table]).cloned().collect();
        self.qualifier(&parts, block);
        Ok(())
    }

    /// The reference that `t.*` names.
    pub(super) fn wildcard_table(&self, kind: &SelectItemQualifiedWildcardKind, block: BlockId) -> Option<RefId> {
        let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else { return None };
        let (schema, table) = split_name(name).ok()?;
        let parts: Vec<Ident> = schema.into_iter().chain([table]).cloned().collect();
        self.qualified(&parts, block)
    }

    /// Whether a block has aggregates of its own.
    pub(super) fn has_aggregates(&self, select: &Select, query: Option<&Query>) -> bool {
        let mut items = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let order = query.and_then(|query| query.order_by.as_ref());
        items.any(is_aggregated)
            || select.having.as_ref().is_some_and(is_aggregated)
            || order.is_some_and(is_aggregated)
    }
}

/// Whether an expression holds an aggregate that belongs to its own block.
pub(crate) fn is_aggregated(node: &(impl Visit + ?Sized)) -> bool {
    struct Finder(usize);
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if self.0 == 0 && function.over.is_none() => {
                    let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
                    let aggregate = name.is_some_and(|name| classify(&name.value, 1) == FunctionKind::Aggregate);
                    if aggregate { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    node.visit(&mut Finder(0)).is_break()
}

/// The unqualified names in an expression.
pub(crate) fn names_in(expr: &Expr) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Identifier(name) = expr {
                self.0.push(name.value.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = expr.visit(&mut names);
    names.0
}

/// Whether a subquery stands in an expression.
pub(crate) fn has_query(expr: &Expr) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    expr.visit(&mut Finder).is_break()
}

/// Whether an expression depends on no row: no column, no subquery.
pub(crate) fn is_constant(expr: &Expr) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(name) if !name.value.starts_with('@') => ControlFlow::Break(()),
                Expr::CompoundIdentifier(parts) if !parts[0].value.starts_with('@') => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    !expr.visit(&mut Finder).is_break()
}

/// `DEFAULT(column)`: of a name that only this has been met nothing more needs to be known where a table is changed.
pub(crate) fn is_default_of(function: &str) -> bool {
    function.eq_ignore_ascii_case("default")
}
