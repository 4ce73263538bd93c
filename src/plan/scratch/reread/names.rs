//! Which names WITH defines, and where they and the temporary tables are read.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    BinaryOperator, Expr, ObjectNamePart, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Visit, Visitor,
};

use super::refused;
use crate::plan::error::PlanError;
use crate::plan::functions::{FunctionKind, classify};
use crate::plan::outline::Outline;
use crate::plan::shape::{has_query, is_cut, is_row_by_row};
use crate::sql::spans;

/// A clause WITH.
#[derive(Debug)]
pub(super) struct Clause {
    /// From `WITH` to its last parenthesis.
    pub range: Range<usize>,
    /// Its names, as indexes, in order.
    pub defs: Vec<usize>,
}

/// A name that WITH defines.
#[derive(Debug)]
pub(super) struct Def {
    name: String,
    /// The bytes of the name.
    pub name_range: Range<usize>,
    /// Where the parenthesis behind its query ends.
    pub end: usize,
    /// WITH RECURSIVE: it may read itself.
    recursive: bool,
    /// The WITH is the statement's own: its query reads nothing of a query around it.
    outermost: bool,
    /// A server merges its query into the one that reads it.
    merged: bool,
    /// It may have other rows each time that it is evaluated.
    open: bool,
    /// It is evaluated into a temporary table.
    pub evaluated: bool,
    /// How many places read it once everything is written out.
    places: usize,
}

impl Def {
    fn holds(&self, at: usize) -> bool {
        self.name_range.end <= at && at < self.end
    }
}

/// A name in FROM.
#[derive(Debug)]
pub(super) struct Read {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it reads.
    pub what: What,
    /// An alias stands behind it.
    pub aliased: bool,
}

/// What a name in FROM reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A name of WITH.
    Def(usize),
    /// The name of WITH in whose query it stands.
    Itself(usize),
    /// A temporary table, as an index into the list of them.
    Table(usize),
}

/// The names of a statement.
#[derive(Debug)]
pub(super) struct Names<'t> {
    pub clauses: Vec<Clause>,
    pub defs: Vec<Def>,
    pub reads: Vec<Read>,
    /// The items of select lists that are named by a text with a query in it.
    pub items: Vec<Range<usize>>,
    pub tables: &'t [&'t str],
}

impl<'t> Names<'t> {
    /// Reads them; `None` if the text of one cannot be found.
    pub fn of(statement: &Statement, tables: &'t [&'t str]) -> Option<Self> {
        let names = Names { clauses: Vec::new(), defs: Vec::new(), reads: Vec::new(), items: Vec::new(), tables };
        let mut finder = Finder { names, around: Vec::new() };
        match statement.visit(&mut finder) {
            ControlFlow::Continue(()) => Some(finder.names),
            ControlFlow::Break(()) => None,
        }
    }

    /// Forgets where names are read whose queries open no temporary table: those may be read anew as often as they are.
    pub fn forget_without_tables(&mut self) {
        let mut opens: Vec<bool> = Vec::new();
        for (index, def) in self.defs.iter().enumerate() {
            let is_opening = |read: &Read| match read.what {
                What::Table(_) => true,
                What::Def(other) => other < index && opens[other],
                What::Itself(_) => false,
            };
            opens.push(self.reads.iter().any(|read| def.holds(read.range.start) && is_opening(read)));
        }
        self.reads.retain(|read| match read.what {
            What::Def(def) | What::Itself(def) => opens[def],
            What::Table(_) => true,
        });
    }

    /// Notes the items that are named by their texts.
    pub fn note_items(&mut self, statement: &Statement, sql: &[u8], outline: &Outline) {
        let mut finder = Items { sql, outline, found: Vec::new() };
        let _ = statement.visit(&mut finder);
        self.items = finder.found;
    }

    /// Whether a name is read in several places of the text.
    pub fn any_read_again(&self) -> bool {
        (0..self.defs.len()).any(|def| self.reads.iter().filter(|read| read.what == What::Def(def)).count() > 1)
    }

    /// Chooses which names are evaluated first.
    pub fn choose(&mut self, only_shape: bool) -> Result<(), PlanError> {
        // what reads a name stands behind it, so its own places are known
        for index in (0..self.defs.len()).rev() {
            let places: usize = self
                .reads
                .iter()
                .filter(|read| read.what == What::Def(index))
                .map(|read| self.places_of(read, index))
                .fold(0, usize::saturating_add);
            let def = &mut self.defs[index];
            def.places = places;
            if places > 1 && !def.merged && !only_shape {
                if def.outermost {
                    def.evaluated = true;
                } else if def.open {
                    let what =
                        "a name of WITH in a subquery, with LIMIT or a value by chance, that is read more than once";
                    return Err(refused(what));
                }
            }
        }
        Ok(())
    }

    /// In how many places a read of `def` is written.
    fn places_of(&self, read: &Read, def: usize) -> usize {
        let around = self.defs.iter().filter(|other| {
            // what holds the name itself is written together with it
            other.holds(read.range.start) && !other.holds(self.defs[def].name_range.start) && !other.evaluated
        });
        around.map(|other| other.places.max(1)).fold(1, usize::saturating_mul)
    }

    /// How many places there are, all in all.
    pub fn places(&self) -> usize {
        let all = self.defs.iter().map(|def| {
            let around = self.defs.iter().filter(|other| other.holds(def.name_range.start) && !other.evaluated);
            around.map(|other| other.places.max(1)).fold(def.places, usize::saturating_mul)
        });
        all.fold(0, usize::saturating_add)
    }

    /// The names that are evaluated first, in order.
    pub fn evaluated(&self) -> Vec<usize> {
        (0..self.defs.len()).filter(|def| self.defs[*def].evaluated).collect()
    }
}

struct Items<'a> {
    sql: &'a [u8],
    outline: &'a Outline,
    found: Vec<Range<usize>>,
}

impl Visitor for Items<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_unnamed = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if has_query(expr));
        let clauses = spans::range_of(select.select_token.0.span)
            .and_then(|select| self.outline.clauses(self.sql, select.start))
            .filter(|clauses| clauses.items.len() == select.projection.len());
        let items = clauses.map(|clauses| clauses.items).unwrap_or_default();
        let unnamed = select.projection.iter().zip(items).filter(|(item, _)| is_unnamed(item));
        self.found.extend(unnamed.map(|(_, range)| range));
        ControlFlow::Continue(())
    }
}

struct Finder<'t> {
    names: Names<'t>,
    /// The clauses of the queries around what is visited.
    around: Vec<Option<usize>>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        match self.clause(query) {
            Ok(clause) => {
                self.around.push(clause);
                ControlFlow::Continue(())
            }
            Err(()) => ControlFlow::Break(()),
        }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, .. } = factor else { return ControlFlow::Continue(()) };
        let [ObjectNamePart::Identifier(table)] = name.0.as_slice() else { return ControlFlow::Continue(()) };
        let Some(range) = spans::range_of(table.span) else { return ControlFlow::Break(()) };
        let named = self.names.tables.iter().position(|known| *known == table.value);
        if let Some(what) = self.def(&table.value, range.start).or(named.map(What::Table)) {
            self.names.reads.push(Read { range, what, aliased: alias.is_some() });
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    /// Notes the WITH of a query.
    fn clause(&mut self, query: &Query) -> Result<Option<usize>, ()> {
        let Some(with) = &query.with else { return Ok(None) };
        let start = spans::range_of(with.with_token.0.span).ok_or(())?.start;
        let outermost = self.around.is_empty();
        let mut defs = Vec::new();
        let mut end = start;
        for cte in &with.cte_tables {
            let name_range = spans::range_of(cte.alias.name.span).ok_or(())?;
            end = spans::range_of(cte.closing_paren_token.0.span).ok_or(())?.end;
            defs.push(self.names.defs.len());
            self.names.defs.push(Def {
                name: cte.alias.name.value.clone(),
                name_range,
                end,
                recursive: with.recursive,
                outermost,
                merged: is_merged(&cte.query),
                open: is_open(&cte.query),
                evaluated: false,
                places: 0,
            });
        }
        self.names.clauses.push(Clause { range: start..end, defs });
        Ok(Some(self.names.clauses.len() - 1))
    }

    /// What a name stands for that WITH defines around a place.
    fn def(&self, name: &str, at: usize) -> Option<What> {
        let clauses = self.around.iter().rev().flatten();
        let defs = clauses.flat_map(|clause| self.names.clauses[*clause].defs.iter().rev());
        defs.filter(|def| self.names.defs[**def].name.eq_ignore_ascii_case(name)).find_map(|def| {
            let known = &self.names.defs[*def];
            if at >= known.end {
                Some(What::Def(*def))
            } else {
                (known.recursive && known.holds(at)).then_some(What::Itself(*def))
            }
        })
    }
}

/// Whether a server merges a query into the one that reads it, so that it is evaluated in each place (*Optimizing Derived
/// Tables, View References, and Common Table Expressions*).
fn is_merged(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    !is_open(query) && is_row_by_row(select)
}

/// Whether a LIMIT stands anywhere in a query, or what may have another value each time that it is evaluated.
fn is_open(query: &Query) -> bool {
    struct Finder;
    impl Visitor for Finder {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if is_cut(query) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if is_by_chance(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    query.visit(&mut Finder).is_break()
}

fn is_by_chance(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op: BinaryOperator::Assignment, .. } => true,
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(ObjectNamePart::as_ident);
            name.is_none_or(|name| {
                use FunctionKind::{Effect, Lock, Random, Unknown};
                // with an argument, LAST_INSERT_ID and its kin leave something behind
                [0, 1].iter().any(|count| matches!(classify(&name.value, *count), Effect | Lock | Random | Unknown))
            })
        }
        _ => false,
    }
}
