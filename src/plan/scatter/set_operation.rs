//! UNION, INTERSECT and EXCEPT over several shards: each does the whole operation on its own rows.
//!
//! With UNION ALL that is right wherever the rows of the legs lie, if the rows of each leg on the shards make the rows of
//! the leg. The other operations compare rows, so equal rows of all legs must meet: each leg must show the whole sharding
//! key in the same columns, and the legs' tables must be bound.

use std::sync::Arc;

use sqlparser::ast::{Expr, OrderByKind, Query, SetExpr, SetOperator, SetQuantifier, Value};

use super::key::{is_descending, of_merge, type_of};
use super::{check_met, limit, refused};
use crate::merge::{KeyExpression, MergeSpec, SortKey};
use crate::plan::action::Scatter;
use crate::plan::error::PlanError;
use crate::plan::keys::{Colocated, Keys, bound, classes, passes_whole, same_key_types};
use crate::plan::names::base;
use crate::plan::query::Subject;
use crate::plan::shape::{BlockId, Builder, Reader, bare};
use crate::plan::types::PinnedLiteral;
use crate::sql::spans;

/// Types whose values compare as numbers, whichever of them is on the other side.
const NUMBERS: &[&str] =
    &["tinyint", "smallint", "mediumint", "int", "integer", "bigint", "decimal", "numeric", "double", "real"];

/// A set operation that is made ready for several shards.
struct Legs<'l, 'a> {
    subject: &'l Subject<'a>,
    builder: &'l Builder<'a>,
    keys: &'l Keys,
    /// The block of each leg, and the unit whose rows it consists of.
    legs: Vec<(BlockId, usize)>,
}

/// Plans a set operation for several shards.
pub(super) fn plan(
    subject: &Subject<'_>,
    builder: &Builder<'_>,
    query: &Query,
    main: BlockId,
    keys: &Keys,
    colocated: &Colocated,
    pinned: &mut Vec<PinnedLiteral>,
) -> Result<Scatter, PlanError> {
    check_met(builder)?;
    if builder.shape.met.calc_found_rows {
        return Err(refused("SQL_CALC_FOUND_ROWS in a UNION"));
    }
    let drivers = std::iter::once(colocated.driver).chain(colocated.legs.iter().filter_map(|leg| leg.first().copied()));
    let legs = Legs { subject, builder, keys, legs: builder.shape.legs(main).into_iter().zip(drivers).collect() };
    legs.check_rows()?;
    let only_adds = only_adds(&query.body)?;
    if !only_adds {
        legs.check_meeting()?;
    }
    let clauses = subject.outline.tail(subject.sql);
    let order = match query.order_by.as_ref().map(|order| &order.kind) {
        None => &[],
        Some(OrderByKind::Expressions(keys)) if clauses.order.len() == keys.len() => keys.as_slice(),
        Some(_) => return Err(refused("this ORDER BY of a UNION")),
    };
    let mut spec = MergeSpec::default();
    for key in order {
        let column = legs.position(&key.expr, pinned)?;
        legs.check_key(column)?;
        spec.order.push(SortKey { column, weight: None, descending: is_descending(key) });
    }
    let mut template = base(builder, keys, None)?;
    let limit = limit::read(builder, query, &clauses, true, &mut template)?;
    if !subject.outline.params().is_empty() && limit.is_some() {
        template.account_params(subject.outline.params(), &clauses.limit_numbers);
    }
    let counted = (!only_adds || !spec.order.is_empty()) && !subject.context.assume_types;
    let expected_columns = legs.width().filter(|_| counted);
    let template = template.build(subject.sql.len(), subject.literals)?;
    Ok(Scatter { template, merge: Some(Arc::new(spec)), limit, expected_columns })
}

impl Legs<'_, '_> {
    /// The rows of a leg must be those that the shards have of it, one by one or in whole groups.
    fn check_rows(&self) -> Result<(), PlanError> {
        let context = self.subject.context;
        let whole =
            |(leg, driver): &(BlockId, usize)| passes_whole(&self.builder.shape, context, self.keys, *driver, *leg);
        if !self.legs.is_empty() && self.legs.iter().all(whole) {
            return Ok(());
        }
        Err(refused("UNION, INTERSECT or EXCEPT of rows that are cut, numbered or put together"))
    }

    /// Equal rows of all legs must lie on one node.
    fn check_meeting(&self) -> Result<(), PlanError> {
        let apart = || refused("UNION, INTERSECT or EXCEPT of rows that do not show the sharding key");
        let [(_, first), ..] = self.legs.as_slice() else { return Err(apart()) };
        let first = &self.keys.units[*first];
        let mut common: Option<Vec<Vec<usize>>> = None;
        for (leg, driver) in &self.legs {
            let unit = &self.keys.units[*driver];
            if !bound(&first.place, &unit.place) || !same_key_types(first, unit) {
                return Err(apart());
            }
            let shown = self.shown(*leg, *driver).ok_or_else(apart)?;
            common = Some(match common {
                None => shown,
                Some(common) => {
                    let both = |(a, b): (Vec<usize>, Vec<usize>)| a.into_iter().filter(|at| b.contains(at)).collect();
                    common.into_iter().zip(shown).map(both).collect()
                }
            });
        }
        match common {
            Some(columns) if !columns.is_empty() && !columns.iter().any(Vec::is_empty) => Ok(()),
            _ => Err(apart()),
        }
    }

    /// In which columns a leg shows each column of its key.
    fn shown(&self, leg: BlockId, driver: usize) -> Option<Vec<Vec<usize>>> {
        let shape = &self.builder.shape;
        let classes = classes(shape, self.subject.context, &shape.usable(leg, Reader::Subquery));
        let outputs = shape.blocks[leg].outputs.as_ref()?;
        let keyed = self.keys.units[driver].keyed.as_ref().filter(|keyed| keyed.equal_keys_meet())?;
        let columns = keyed.columns.iter().map(|name| {
            let key = shape.find_column(self.keys.refs[driver], name)?;
            let shows = |at: &usize| outputs[*at].column.is_some_and(|column| classes.same(key, column));
            Some((0..outputs.len()).filter(shows).collect())
        });
        columns.collect()
    }

    /// How many columns the result has.
    fn width(&self) -> Option<usize> {
        let (leg, _) = self.legs.first()?;
        self.builder.shape.blocks[*leg].outputs.as_ref().map(Vec::len)
    }

    /// The column of the result that a key of ORDER BY names.
    fn position(&self, key: &Expr, pinned: &mut Vec<PinnedLiteral>) -> Result<usize, PlanError> {
        let unclear = || refused("an ORDER BY of a UNION that is not a column of its result");
        let first = self.legs.first().and_then(|(leg, _)| self.builder.shape.blocks[*leg].outputs.as_ref());
        let outputs = first.ok_or_else(unclear)?;
        match bare(key) {
            Expr::Value(value) => {
                let Value::Number(digits, _) = &value.value else { return Err(unclear()) };
                let range = spans::range_of(value.span).ok_or_else(PlanError::lost_place)?;
                let index = crate::sql::literal::at_range(self.subject.literals, range.start, range.end);
                let text = self.subject.sql.get(range).unwrap_or_default().into();
                pinned.push(PinnedLiteral { index: index.ok_or_else(unclear)?, text });
                let position = digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                position.filter(|position| *position < outputs.len()).ok_or_else(unclear)
            }
            Expr::Identifier(name) => {
                let mut named = (0..outputs.len()).filter(|at| outputs[*at].name.eq_ignore_ascii_case(&name.value));
                let found = named.next().filter(|_| named.next().is_none());
                found.ok_or_else(unclear)
            }
            _ => Err(unclear()),
        }
    }

    /// A key must compare in the result as it does in each leg, without a column beside it.
    fn check_key(&self, position: usize) -> Result<(), PlanError> {
        if self.subject.context.assume_types {
            return Ok(());
        }
        let unclear = || refused("ORDER BY of a UNION by texts, or by columns of several types");
        let shape = &self.builder.shape;
        let mut first: Option<String> = None;
        for (leg, _) in &self.legs {
            let output = shape.blocks[*leg].outputs.as_ref().and_then(|outputs| outputs.get(position));
            let column = output.and_then(|output| output.column).ok_or_else(unclear)?;
            let (data_type, collation) = type_of(shape, column).ok_or_else(unclear)?;
            let form = KeyExpression::for_column(&data_type, collation.as_deref()).map_err(of_merge)?;
            let is_number = |data_type: &str| NUMBERS.contains(&data_type);
            let first = first.get_or_insert_with(|| data_type.clone());
            let alike = *first == data_type || (is_number(first) && is_number(&data_type));
            if form != KeyExpression::Itself || !alike {
                return Err(unclear());
            }
        }
        Ok(())
    }
}

/// Whether the operations are UNION ALL alone.
fn only_adds(body: &SetExpr) -> Result<bool, PlanError> {
    match body {
        SetExpr::Select(_) => Ok(true),
        SetExpr::Query(inner) => only_adds(&inner.body),
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let adds = match (op, set_quantifier) {
                (SetOperator::Union, SetQuantifier::All) => true,
                (
                    SetOperator::Union | SetOperator::Intersect | SetOperator::Except,
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None,
                ) => false,
                _ => return Err(refused("this set operation")),
            };
            let (left, right) = (only_adds(left)?, only_adds(right)?);
            Ok(adds && left && right)
        }
        _ => Err(refused("a set operation over something else than SELECT")),
    }
}
