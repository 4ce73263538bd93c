//! Queries over several shards: what the shards are asked, and how their rows are woven into one result.
//!
//! Only shapes that are proven right come out of here; everything else is an error that names what was met. The rows of
//! the shards are known to be a partition of the rows that one server would have before grouping (see
//! [`super::keys::colocate`]).

mod distinct;
mod group;
mod having;
mod items;
mod key;
mod limit;
mod set_operation;
mod sort;
mod text;

use std::sync::Arc;

use sqlparser::ast::{Distinct, GroupByExpr, Query, Select, SetExpr};

use super::action::Scatter;
use super::error::PlanError;
use super::keys::{Colocated, Keys};
use super::names::base;
use super::outline::Clauses;
use super::query::{Subject, holds_key, inner};
use super::shape::{BlockId, Builder, ColumnId};
use super::template::TemplateBuilder;
use super::types::PinnedLiteral;
use crate::merge::MergeSpec;
use crate::sql::splice::Piece;
use items::Item;
pub(crate) use limit::Skip;

/// A query that is being made ready for several shards.
struct Weave<'w, 'a> {
    subject: &'w Subject<'a>,
    builder: &'w mut Builder<'a>,
    select: &'w Select,
    query: &'w Query,
    main: BlockId,
    clauses: Clauses,
    /// The items of the select list.
    items: Vec<Item>,
    /// How many columns the client sees; `None` if a `*` stands for columns that are not known.
    visible: Option<usize>,
    /// The select list has a `*`.
    wildcard: bool,
    template: TemplateBuilder,
    /// The columns that the shards add.
    hidden: Vec<Vec<Piece>>,
    spec: MergeSpec,
    /// The first rows of each shard are enough for LIMIT.
    limit_shards: bool,
    /// What COUNT(DISTINCT …) of groups that lie on several shards counts.
    distinct_of: Option<ColumnId>,
    pinned: &'w mut Vec<PinnedLiteral>,
}

/// Plans a query for several shards.
pub(crate) fn plan<'a>(
    subject: &Subject<'a>,
    builder: &mut Builder<'a>,
    query: &Query,
    main: BlockId,
    keys: &Keys,
    colocated: &Colocated,
    pinned: &mut Vec<PinnedLiteral>,
) -> Result<Scatter, PlanError> {
    let query = inner(query);
    if matches!(&*query.body, SetExpr::Query(_)) {
        // `(SELECT … ORDER BY …) LIMIT 1`: the order inside counts, and is not looked at
        return Err(refused("ORDER BY, LIMIT or WITH around a query in parentheses"));
    }
    let SetExpr::Select(select) = &*query.body else {
        return set_operation::plan(subject, builder, query, main, keys, colocated, pinned);
    };
    check(builder, select, main)?;
    let lost = PlanError::Internal("the clauses of a query were not found");
    let select_at = crate::sql::spans::range_of(select.select_token.0.span).ok_or_else(|| lost.clone())?.start;
    let clauses = subject.outline.clauses(subject.sql, select_at).ok_or_else(|| lost.clone())?;
    let template = base(builder, keys, None)?;
    // the rows that LIMIT leaves out are counted
    let limit_shards = !builder.shape.met.calc_found_rows;
    let mut weave = Weave {
        subject,
        builder,
        select,
        query,
        main,
        clauses,
        items: Vec::new(),
        visible: None,
        wildcard: false,
        template,
        hidden: Vec::new(),
        spec: MergeSpec::default(),
        limit_shards,
        distinct_of: None,
        pinned,
    };
    weave.read_items()?;
    weave.check_lists()?;
    weave.choose(keys, colocated)?;
    weave.finish()
}

fn refused(what: &str) -> PlanError {
    PlanError::not_supported(
        format!("{what} over several shards"),
        "restrict the query to one sharding key by a condition with =",
    )
}

/// What cannot be right over several shards, whatever the rest of the query says.
fn check(builder: &Builder<'_>, select: &Select, main: BlockId) -> Result<(), PlanError> {
    check_met(builder)?;
    let block = &builder.shape.blocks[main];
    if select.into.is_some() {
        return Err(refused("SELECT … INTO"));
    }
    if block.rollup {
        return Err(refused("GROUP BY … WITH ROLLUP"));
    }
    if block.windowed {
        return Err(refused("window functions"));
    }
    Ok(())
}

/// What a query may not hold anywhere.
fn check_met(builder: &Builder<'_>) -> Result<(), PlanError> {
    let met = &builder.shape.met;
    if met.into {
        return Err(refused("SELECT … INTO"));
    }
    if met.outer_aggregate {
        return Err(refused("an aggregate in a subquery, of the rows of a query around it,"));
    }
    // variables that are only read are the same on all shards: the session sets them there
    if met.assigns_variable {
        return Err(refused("assignments to user variables"));
    }
    for (name, what) in [
        (&met.random_in_condition, "which gives another value on each shard,"),
        (&met.effect, "which has an effect or waits,"),
        (&met.unknown_function, "which is not a function of the server,"),
    ] {
        if let Some(name) = name {
            return Err(refused(&format!("the function {}, {what}", name.to_uppercase())));
        }
    }
    if let Some(what) = met.only_one_shard {
        return Err(refused(what));
    }
    if met.lock_function {
        return Err(refused("locking functions"));
    }
    Ok(())
}

impl Weave<'_, '_> {
    /// The lists of the text must be those of the tree.
    fn check_lists(&self) -> Result<(), PlanError> {
        let groups = match &self.select.group_by {
            GroupByExpr::Expressions(keys, _) => keys.len(),
            GroupByExpr::All(_) => return Err(refused("GROUP BY ALL")),
        };
        let same = self.clauses.items.len() == self.select.projection.len()
            && self.clauses.group.len() == groups
            && self.clauses.order.len() == self.order_keys()?.len();
        if same { Ok(()) } else { Err(PlanError::Internal("the lists of a query do not match its text")) }
    }

    /// Whether there are subqueries in the select list or behind WHERE.
    fn has_tail_subqueries(&self) -> bool {
        self.builder.shape.blocks.iter().any(|inner| inner.in_tail)
    }

    fn choose(&mut self, keys: &Keys, colocated: &Colocated) -> Result<(), PlanError> {
        let block = &self.builder.shape.blocks[self.main];
        let (implicit_group, group_columns) = (block.implicit_group, block.group_columns.clone());
        let groups = matches!(&self.select.group_by, GroupByExpr::Expressions(keys, _) if !keys.is_empty());
        let distinct = match &self.select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => return Err(refused("DISTINCT ON")),
        };
        let key_is_in = |columns: &[ColumnId]| holds_key(self.builder, keys, colocated, self.main, columns);
        let whole_groups = groups && key_is_in(&group_columns);
        // for a group that lies on several shards, or rows that become one, each shard would take rows of its own
        let apart = implicit_group || (groups && !whole_groups);
        if (apart || distinct) && self.has_tail_subqueries() {
            return Err(refused("subqueries in the select list, in HAVING or in ORDER BY of grouped or distinct rows"));
        }
        if implicit_group || (groups && !whole_groups) {
            // DISTINCT of one row is that row; of groups without aggregates it is DISTINCT of the rows
            if distinct && !implicit_group {
                if self.select.having.is_some() || self.has_aggregates() {
                    return Err(refused("DISTINCT with aggregates and GROUP BY"));
                }
                return self.distinct();
            }
            let arguments = self.item_arguments();
            let key_is_in = |columns: &[ColumnId]| holds_key(self.builder, keys, colocated, self.main, columns);
            let whole: Vec<bool> = arguments.iter().map(|columns| key_is_in(columns)).collect();
            return self.group(implicit_group, &whole);
        }
        let outputs: Option<Vec<ColumnId>> = self.outputs().map(|all| all.iter().filter_map(|o| o.column).collect());
        let whole_rows = distinct && outputs.as_deref().is_some_and(key_is_in);
        if distinct && !whole_rows {
            return self.distinct();
        }
        self.sort(distinct)?;
        if distinct && self.tells_equal_texts_apart() {
            // the weights that were added make two rows of 'a' and 'a ' on the shards: the merge makes them one again
            self.hidden.clear();
            self.spec.order.clear();
            return self.distinct();
        }
        if groups && !distinct && self.spec.order.is_empty() {
            self.sort_by_groups();
        }
        Ok(())
    }

    /// Writes what was decided into the text.
    fn finish(mut self) -> Result<Scatter, PlanError> {
        let limit = limit::read(self.builder, self.query, &self.clauses, self.limit_shards, &mut self.template)?;
        self.spec.counts_all = self.builder.shape.met.calc_found_rows;
        let hidden = std::mem::take(&mut self.hidden);
        self.spec.hidden_columns = hidden.len();
        let expected_columns = match self.visible {
            Some(visible) if self.wildcard && (!hidden.is_empty() || !self.spec.order.is_empty()) => {
                Some(visible + hidden.len())
            }
            _ => None,
        };
        let copies = !hidden.is_empty();
        if let Some(last) = self.clauses.items.last()
            && copies
        {
            let mut pieces = Vec::new();
            for column in hidden {
                pieces.push(Piece::from(", "));
                pieces.extend(column);
            }
            self.template.pieces(last.end..last.end, pieces);
        }
        let numbers: &[std::ops::Range<usize>] = if limit.is_some() { &self.clauses.limit_numbers } else { &[] };
        if !self.subject.outline.params().is_empty() && (copies || limit.is_some()) {
            self.template.account_params(self.subject.outline.params(), numbers);
        }
        let expected_columns = expected_columns.filter(|_| !self.subject.context.assume_types);
        let template = self.template.build(self.subject.sql.len(), self.subject.literals)?;
        Ok(Scatter { template, merge: Some(Arc::new(self.spec)), limit, expected_columns })
    }
}
