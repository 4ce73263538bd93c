//! FROM: table references, and what joins make certain.

use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableWithJoins,
};

use super::facts::conjuncts;
use super::{BlockId, Builder, Fact, Filter, JoinId, Position, RefId, RefKind, TableRef};
use crate::plan::error::PlanError;
use crate::sql::spans;

/// Which side of a join an outer join may fill with NULLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Neither,
    Left,
    Right,
}

impl Builder<'_> {
    /// Reads one item of FROM, with its joins; gives the references in it.
    pub(in crate::plan) fn table_with_joins(
        &mut self,
        item: &TableWithJoins,
        block: BlockId,
    ) -> Result<Vec<RefId>, PlanError> {
        let first_filter = self.shape.blocks[block].filters.len();
        let mut refs = self.table_factor(&item.relation, block)?;
        for join in &item.joins {
            self.join(join, &mut refs, first_filter, block)?;
        }
        Ok(refs)
    }

    /// Adds a join to what stands on its left.
    fn join(
        &mut self,
        join: &Join,
        refs: &mut Vec<RefId>,
        first_filter: usize,
        block: BlockId,
    ) -> Result<(), PlanError> {
        let (nullable, constraint) = kind_of(&join.join_operator)?;
        let right_filter = self.shape.blocks[block].filters.len();
        let right = self.table_factor(&join.relation, block)?;
        let mut guards = Vec::new();
        if nullable != Side::Neither {
            let outer: JoinId = self.shape.joins;
            self.shape.joins += 1;
            let end = self.shape.blocks[block].filters.len();
            let (side, filters) = if nullable == Side::Right {
                (&right, right_filter..end)
            } else {
                (&*refs, first_filter..right_filter)
            };
            for table in side {
                self.shape.refs[*table].nullable_by.push(outer);
            }
            for filter in &mut self.shape.blocks[block].filters[filters] {
                filter.guards.push(outer);
            }
            guards.push(outer);
        }
        let fact = match constraint {
            JoinConstraint::On(on) => {
                let fact = self.fact(on, false, block);
                self.note_lists(on, block);
                self.walk(on, block, Position::On)?;
                fact
            }
            JoinConstraint::Using(columns) => {
                let names: Vec<String> = columns.iter().filter_map(last_name).map(|name| name.value.clone()).collect();
                self.joined_columns(&names, refs, &right, nullable, block)
            }
            JoinConstraint::Natural => {
                self.use_all_columns(refs.iter().chain(&right));
                let names = self.common_columns(refs, &right);
                self.joined_columns(&names, refs, &right, nullable, block)
            }
            JoinConstraint::None => Fact::Unknown,
        };
        self.filter(fact, guards, None, block);
        refs.extend(right);
        Ok(())
    }

    /// Notes that references are read with all of their columns.
    pub(super) fn use_all_columns<'r>(&mut self, refs: impl Iterator<Item = &'r RefId>) {
        refs.for_each(|id| self.shape.refs[*id].all_columns = true);
    }

    /// Adds what a condition makes certain.
    pub(super) fn filter(&mut self, fact: Fact, guards: Vec<JoinId>, from_derived: Option<RefId>, block: BlockId) {
        let mut facts = Vec::new();
        conjuncts(fact, &mut facts);
        let filters = facts.into_iter().map(|fact| Filter { fact, guards: guards.clone(), from_derived });
        self.shape.blocks[block].filters.extend(filters);
    }

    /// USING and NATURAL: the columns of both sides are equal, and one of them stands for both.
    fn joined_columns(
        &mut self,
        names: &[String],
        left: &[RefId],
        right: &[RefId],
        nullable: Side,
        block: BlockId,
    ) -> Fact {
        let mut facts = Vec::new();
        for name in names {
            let (Some(left), Some(right)) = (self.side_of(name, left, block), self.side_of(name, right, block)) else {
                self.shape.blocks[block].natural_unseen = true;
                continue;
            };
            let (left_column, right_column) = (self.shape.column(left, name), self.shape.column(right, name));
            facts.push(Fact::Same(left_column, right_column));
            let stands = if nullable == Side::Left { right } else { left };
            let joined = &mut self.shape.blocks[block].joined_columns;
            joined.retain(|(joined, _)| !joined.eq_ignore_ascii_case(name));
            joined.push((name.clone(), stands));
        }
        Fact::All(facts)
    }

    /// The one reference of a side that has the column.
    fn side_of(&self, name: &str, side: &[RefId], block: BlockId) -> Option<RefId> {
        let joined = &self.shape.blocks[block].joined_columns;
        if let Some((_, stands)) = joined.iter().find(|(joined, _)| joined.eq_ignore_ascii_case(name))
            && side.contains(stands)
        {
            return Some(*stands);
        }
        match side {
            [only] => Some(*only),
            several => {
                let mut owners =
                    several.iter().filter(|table| self.column_names(**table).is_none_or(|c| has(&c, name)));
                let first = owners.next().copied();
                first.filter(|_| owners.next().is_none())
            }
        }
    }

    /// The columns that both sides have; nothing where a side is not known.
    fn common_columns(&mut self, left: &[RefId], right: &[RefId]) -> Vec<String> {
        let names = |side: &[RefId]| -> Option<Vec<String>> {
            let lists: Vec<Vec<String>> = side.iter().map(|table| self.column_names(*table)).collect::<Option<_>>()?;
            Some(lists.concat())
        };
        let (Some(left_names), Some(right_names)) = (names(left), names(right)) else {
            if let Some(table) = left.first() {
                let block = self.shape.refs[*table].block;
                self.shape.blocks[block].natural_unseen = true;
            }
            return Vec::new();
        };
        let mut common: Vec<String> = left_names.into_iter().filter(|name| has(&right_names, name)).collect();
        common.sort_unstable();
        common.dedup();
        common
    }

    /// The names of the columns of a reference in lower case, in their order, if they are known.
    pub(in crate::plan) fn column_names(&self, table: RefId) -> Option<Vec<String>> {
        match &self.shape.refs[table].kind {
            RefKind::Table { info: Some(info), .. } => {
                Some(info.visible_columns().map(|column| column.name.to_lowercase()).collect())
            }
            RefKind::Derived(block) => {
                let outputs = self.shape.blocks[*block].outputs.as_ref()?;
                Some(outputs.iter().map(|output| output.name.clone()).collect())
            }
            _ => None,
        }
    }

    fn table_factor(&mut self, factor: &TableFactor, block: BlockId) -> Result<Vec<RefId>, PlanError> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let id = self.table(name, alias.as_ref(), block)?;
                self.walk_factor(factor, block)?;
                Ok(vec![id])
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let id = self.reference(None, String::new(), alias.as_ref(), 0..0, RefKind::Function, block);
                let position = if *lateral { Position::Lateral } else { Position::Derived(id) };
                let inner = self.query(subquery, Some((block, position)))?;
                self.rename_outputs(inner, alias.as_ref());
                self.shape.refs[id].kind = RefKind::Derived(inner);
                self.out_of_derived(id, inner, block);
                Ok(vec![id])
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.table_with_joins(table_with_joins, block),
            TableFactor::JsonTable { alias, .. } | TableFactor::Function { alias, .. } => {
                let id = self.reference(None, String::new(), alias.as_ref(), 0..0, RefKind::Function, block);
                self.walk_factor(factor, block)?;
                Ok(vec![id])
            }
            _ => Err(PlanError::not_supported(
                "this kind of table reference",
                "write it as a table, a join or a subquery",
            )),
        }
    }

    /// A name in FROM.
    pub(in crate::plan) fn table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        block: BlockId,
    ) -> Result<RefId, PlanError> {
        let (schema, table) = split_name(name)?;
        let range = spans::range(name).ok_or_else(PlanError::lost_place)?;
        self.relations += 1;
        let cte = if schema.is_none() { self.cte(&table.value) } else { None };
        let kind = match cte {
            Some(Some(inner)) => RefKind::Derived(inner),
            Some(None) => RefKind::Cte,
            None if schema.is_none() && is_dual(table) => RefKind::Function,
            None => self.locate(schema, table)?,
        };
        let schema = schema.map(|schema| schema.value.clone());
        let id = self.reference(schema, table.value.clone(), alias, range, kind, block);
        if let Some(Some(inner)) = cte {
            // its names were read where WITH stands; its rows are read here
            self.shape.blocks[inner].parent = Some((block, Position::Derived(id)));
            self.out_of_derived(id, inner, block);
        }
        Ok(id)
    }

    fn reference(
        &mut self,
        schema: Option<String>,
        name: String,
        alias: Option<&TableAlias>,
        range: std::ops::Range<usize>,
        kind: RefKind,
        block: BlockId,
    ) -> RefId {
        let alias = alias.map(|alias| alias.name.value.clone());
        let id = self.shape.refs.len();
        let item = self.item.clone();
        let nullable_by = Vec::new();
        let all_columns = false;
        self.shape.refs.push(TableRef { schema, name, alias, range, block, item, nullable_by, kind, all_columns });
        self.shape.blocks[block].refs.push(id);
        id
    }

    /// What is certain of a derived table's rows is certain outside too, under the names it gives its columns.
    fn out_of_derived(&mut self, table: RefId, inner: BlockId, block: BlockId) {
        let derived = &self.shape.blocks[inner];
        // one row of NULLs, or rows that ROLLUP added, satisfy nothing of it
        if derived.set_operation || derived.implicit_group || derived.rollup {
            return;
        }
        let outputs = derived.outputs.clone().unwrap_or_default();
        let mut facts = self.shape.own(inner);
        for output in outputs {
            if let Some(column) = output.column {
                facts.push(Fact::Same(self.shape.column(table, &output.name), column));
            }
        }
        self.filter(Fact::All(facts), Vec::new(), Some(table), block);
    }

    /// `AS t (a, b)`.
    pub(super) fn rename_outputs(&mut self, inner: BlockId, alias: Option<&TableAlias>) {
        let names = alias.map(|alias| alias.columns.as_slice()).unwrap_or_default();
        if names.is_empty() {
            return;
        }
        if let Some(outputs) = &mut self.shape.blocks[inner].outputs {
            for (output, name) in outputs.iter_mut().zip(names) {
                output.name = name.name.value.to_lowercase();
            }
        }
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// `t` or `schema.t`.
pub(in crate::plan) fn split_name(name: &ObjectName) -> Result<(Option<&Ident>, &Ident), PlanError> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(table)] => Ok((None, table)),
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] => Ok((Some(schema), table)),
        _ => Err(PlanError::not_supported(format!("the table name {name}"), "name a table as schema.table")),
    }
}

fn last_name(name: &ObjectName) -> Option<&Ident> {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(name)) => Some(name),
        _ => None,
    }
}

fn kind_of(operator: &JoinOperator) -> Result<(Side, &JoinConstraint), PlanError> {
    Ok(match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::CrossJoin(on)
        | JoinOperator::StraightJoin(on) => (Side::Neither, on),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Side::Right, on),
        JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (Side::Left, on),
        _ => return Err(PlanError::not_supported("this kind of join", "use INNER, LEFT, RIGHT or CROSS JOIN")),
    })
}

/// The bytes of a name; used where a tree gives only its parts.
pub(in crate::plan) fn name_range(parts: &[Ident]) -> Option<std::ops::Range<usize>> {
    let first = spans::range_of(parts.first()?.span)?;
    let last = spans::range_of(parts.last()?.span)?;
    Some(first.start..last.end)
}

/// `DUAL`: one row without columns, wherever it is asked for (*SELECT Statement*). In quotes it is a name as any other.
fn is_dual(table: &Ident) -> bool {
    table.quote_style.is_none() && table.value.eq_ignore_ascii_case("dual")
}
