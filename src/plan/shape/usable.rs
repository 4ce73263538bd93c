//! Which facts may be used for which table.
//!
//! A fact is used to say "only rows with this key matter". Leaving out the other rows must not change the answer:
//!
//! - What WHERE says holds for every row of the answer, so it may be used for every table of its block. For a table on
//!   the nullable side of an outer join too: leaving out its rows can turn a match into a row filled with NULLs, but
//!   every fact is strict, so WHERE then drops that row as it would have dropped the match.
//! - What ON of an outer join says holds for the tables on its nullable side only. The preserved side keeps the rows
//!   for which it is false.
//! - It holds for all tables if another usable fact names a column of the nullable side: that fact is not true for
//!   rows filled with NULLs, so what is left has passed the ON.
//! - A subquery may use what its block may use of WHERE, since it does not matter for the rows that fail the rest of
//!   the condition. In the ON of a join it uses only what holds outside of its block.
//! - A derived table may use what holds for its columns outside only where leaving out rows inside does no more than
//!   leave out rows of its result: not past LIMIT, windows or set operations, and past GROUP BY or DISTINCT only on
//!   the columns they tell apart.

use std::collections::HashMap;

use super::{BlockId, ColumnId, Fact, Filter, JoinId, Position, RefId, RefKind, Shape};

/// Who uses facts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reader {
    /// A table of the block.
    Table(RefId),
    /// A subquery in the block.
    Subquery,
}

/// A column that is equal to none.
const ALONE: usize = usize::MAX;

/// Classes of columns that are equal wherever it matters.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    members: Vec<Vec<ColumnId>>,
    /// The class of each column, [`ALONE`] if it is in none.
    class_of: Vec<usize>,
}

impl Classes {
    /// The columns equal to this one, itself among them.
    pub fn of(&self, column: ColumnId) -> &[ColumnId] {
        self.class_of.get(column).and_then(|class| self.members.get(*class)).map_or(&[], Vec::as_slice)
    }

    /// Whether two columns are equal.
    pub fn same(&self, left: ColumnId, right: ColumnId) -> bool {
        let class = |column: ColumnId| self.class_of.get(column).filter(|class| **class != ALONE);
        left == right || class(left).is_some_and(|ours| class(right) == Some(ours))
    }

    fn join(&mut self, left: ColumnId, right: ColumnId) {
        let (one, other) = (self.class(left), self.class(right));
        if one == other {
            return;
        }
        // the smaller class moves: none moves often
        let is_less = self.members[one].len() < self.members[other].len();
        let (from, to) = if is_less { (one, other) } else { (other, one) };
        for column in std::mem::take(&mut self.members[from]) {
            self.class_of[column] = to;
            self.members[to].push(column);
        }
    }

    /// The class of a column, which is alone at first.
    fn class(&mut self, column: ColumnId) -> usize {
        if self.class_of.len() <= column {
            self.class_of.resize(column + 1, ALONE);
        }
        if self.class_of[column] == ALONE {
            self.class_of[column] = self.members.len();
            self.members.push(vec![column]);
        }
        self.class_of[column]
    }
}

/// Filters whose guards are not all settled.
struct Waiting<'a> {
    filters: Vec<&'a Filter>,
    /// How many guards of each are not settled.
    open: Vec<usize>,
    /// The filters that wait for a join.
    by_guard: HashMap<JoinId, Vec<usize>>,
    left: usize,
}

impl<'a> Waiting<'a> {
    fn new(filters: Vec<&'a Filter>, settled: &[JoinId]) -> Self {
        let mut open = Vec::with_capacity(filters.len());
        let mut by_guard: HashMap<JoinId, Vec<usize>> = HashMap::new();
        for (index, filter) in filters.iter().enumerate() {
            let mut guards: Vec<JoinId> =
                filter.guards.iter().filter(|join| !settled.contains(join)).copied().collect();
            guards.sort_unstable();
            guards.dedup();
            open.push(guards.len());
            guards.into_iter().for_each(|guard| by_guard.entry(guard).or_default().push(index));
        }
        Self { left: filters.len(), filters, open, by_guard }
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The filters that wait for nothing else than these joins, in their order.
    fn without(&mut self, settled: &[JoinId]) -> Vec<&'a Filter> {
        let mut ready = Vec::new();
        for index in settled.iter().filter_map(|join| self.by_guard.remove(join)).flatten() {
            self.open[index] -= 1;
            if self.open[index] == 0 {
                ready.push(index);
            }
        }
        ready.sort_unstable();
        self.left -= ready.len();
        ready.into_iter().map(|index| self.filters[index]).collect()
    }
}

impl Shape {
    /// The facts that a reader in a block may use: its block's own and those that come from around it.
    pub fn usable(&self, block: BlockId, reader: Reader) -> Vec<Fact> {
        self.usable_inside(block, reader, &self.derived_around(block))
    }

    /// The derived tables that a block is a part of. What came out of one of them, by whatever way, must not go back in:
    /// it holds for all rows that it gives, not for all that it reads.
    fn derived_around(&self, mut block: BlockId) -> Vec<RefId> {
        let mut around = Vec::new();
        while let Some((parent, position)) = self.blocks[block].parent {
            if let Position::Derived(table) = position {
                around.push(table);
            }
            block = parent;
        }
        around
    }

    fn usable_inside(&self, block: BlockId, reader: Reader, derived: &[RefId]) -> Vec<Fact> {
        let within: &[JoinId] = match reader {
            Reader::Table(table) => &self.refs[table].nullable_by,
            Reader::Subquery => &[],
        };
        let mut facts = self.around(block, derived);
        self.take(&self.not_from(block, derived), within, &mut facts);
        facts
    }

    /// The filters of a block that did not come out of these derived tables.
    fn not_from(&self, block: BlockId, derived: &[RefId]) -> Vec<&Filter> {
        let is_other = |filter: &&Filter| filter.from_derived.is_none_or(|table| !derived.contains(&table));
        self.blocks[block].filters.iter().filter(is_other).collect()
    }

    /// What a block itself makes certain of all its rows.
    pub fn own(&self, block: BlockId) -> Vec<Fact> {
        let mut facts = Vec::new();
        let filters: Vec<&Filter> = self.blocks[block].filters.iter().collect();
        self.take(&filters, &[], &mut facts);
        facts
    }

    /// What a block makes certain, each with the derived table of the block that it came out of.
    pub fn certain(&self, block: BlockId) -> Vec<(Fact, Option<RefId>)> {
        let own = self.own(block);
        let filters = self.blocks[block].filters.iter().filter(|filter| own.contains(&filter.fact));
        filters.map(|filter| (filter.fact.clone(), filter.from_derived)).collect()
    }

    /// Adds the filters whose guards are settled, until none is left that can be.
    fn take(&self, filters: &[&Filter], within: &[JoinId], facts: &mut Vec<Fact>) {
        let is_open = |filter: &&Filter| filter.guards.iter().any(|guard| !within.contains(guard));
        let (mut ready, guarded): (Vec<&Filter>, Vec<&Filter>) = filters.iter().partition(|filter| !is_open(filter));
        let mut waiting = Waiting::new(guarded, within);
        while !ready.is_empty() {
            let mut settled = Vec::new();
            for filter in ready.iter().filter(|_| !waiting.is_done()) {
                let mut strict = Vec::new();
                filter.fact.strict_columns(&mut strict);
                settled.extend(strict.iter().flat_map(|column| &self.refs[self.columns[*column].table].nullable_by));
            }
            facts.extend(ready.iter().map(|filter| filter.fact.clone()));
            ready = waiting.without(&settled);
        }
    }

    /// The facts that a block may use from the blocks around it.
    fn around(&self, block: BlockId, derived: &[RefId]) -> Vec<Fact> {
        let Some((parent, position)) = self.blocks[block].parent else { return Vec::new() };
        match position {
            Position::Inline => self.usable_inside(parent, Reader::Subquery, derived),
            Position::On | Position::Lateral | Position::Leg => self.around(parent, derived),
            // WITH may be read several times, for rows that differ
            Position::Cte => Vec::new(),
            Position::Derived(table) => {
                let mut facts = self.around(parent, derived);
                facts.extend(self.inside_derived(block, parent, table, derived));
                facts
            }
        }
    }

    /// What holds outside for the columns of a derived table, as far as it may be used inside.
    fn inside_derived(&self, block: BlockId, parent: BlockId, table: RefId, derived: &[RefId]) -> Vec<Fact> {
        let inner = &self.blocks[block];
        let Some(outputs) = inner.outputs.as_ref().filter(|_| inner.is_cut_by_rows()) else { return Vec::new() };
        let mut facts: Vec<Fact> = Vec::new();
        for output in outputs {
            let Some(column) = output.column.filter(|column| !inner.grouped || inner.group_columns.contains(column))
            else {
                continue;
            };
            if let Some(outside) = self.find_column(table, &output.name) {
                facts.push(Fact::Same(outside, column));
            }
        }
        if facts.is_empty() {
            return facts;
        }
        self.take(&self.not_from(parent, derived), &self.refs[table].nullable_by, &mut facts);
        facts
    }

    /// The classes of equal columns that facts make; `compatible` tells whether two columns compare alike.
    pub fn classes(&self, facts: &[Fact], compatible: impl Fn(ColumnId, ColumnId) -> bool) -> Classes {
        let mut classes = Classes::default();
        let mut pairs = Vec::new();
        facts.iter().for_each(|fact| equalities(fact, &mut pairs));
        for (left, right) in pairs {
            if compatible(left, right) {
                classes.join(left, right);
            }
        }
        classes
    }

    /// The derived tables' blocks that pass their rows on one by one, from `block` inwards, that no outer join may
    /// replace by NULLs: their tables are as good as tables of `block` itself.
    pub fn main_line(&self, block: BlockId) -> Vec<BlockId> {
        let mut line = vec![block];
        let mut at = 0;
        while let Some(current) = line.get(at).copied() {
            at += 1;
            for table in &self.blocks[current].refs {
                let reference = &self.refs[*table];
                if let RefKind::Derived(inner) = reference.kind
                    && reference.nullable_by.is_empty()
                    && self.blocks[inner].passes_rows()
                {
                    line.push(inner);
                }
            }
        }
        line
    }
}

impl Shape {
    /// The blocks whose rows a set operation puts together: its legs, and those of legs that are set operations.
    pub fn legs(&self, block: BlockId) -> Vec<BlockId> {
        let is_leg = |leg: &BlockId| self.blocks[*leg].parent == Some((block, Position::Leg));
        let mut legs = Vec::new();
        for leg in (0..self.blocks.len()).filter(is_leg) {
            let inner = &self.blocks[leg];
            if inner.set_operation && !inner.limited {
                legs.extend(self.legs(leg));
            } else {
                legs.push(leg);
            }
        }
        legs
    }

    /// Whether a block is another one, or somewhere inside it.
    pub fn is_within(&self, mut block: BlockId, outer: BlockId) -> bool {
        while block != outer {
            match self.blocks[block].parent {
                Some((parent, _)) => block = parent,
                None => return false,
            }
        }
        true
    }
}

fn equalities(fact: &Fact, pairs: &mut Vec<(ColumnId, ColumnId)>) {
    match fact {
        Fact::Same(left, right) => pairs.push((*left, *right)),
        Fact::All(facts) => facts.iter().for_each(|fact| equalities(fact, pairs)),
        _ => {}
    }
}

impl super::Block {
    /// Whether a condition on (group) columns of its result may be applied to the rows inside.
    pub fn is_cut_by_rows(&self) -> bool {
        !(self.set_operation || self.limited || self.windowed || self.implicit_group || self.rollup)
    }

    /// Whether its result is its rows, one by one.
    pub fn passes_rows(&self) -> bool {
        self.is_cut_by_rows() && !self.grouped
    }
}
