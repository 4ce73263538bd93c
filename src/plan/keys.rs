//! From facts to conditions on sharding keys, and whether tables are joined on them.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::PlanContext;
use super::hint::Hints;
use super::place::Place;
use super::shape::{BlockId, Classes, ColumnId, Comparison, Fact, Position, Reader, RefId, RefKind, Shape};
use super::system;
use super::unit::Unit;
use crate::catalog::TableInfo;
use crate::config::{Schema, Table};
use crate::route::condition::{Condition, KeyedTable};
use crate::route::key::KeyType;

/// The tables of a statement as units, and how their keys are related.
pub(crate) struct Keys {
    /// One for each table reference that is a table; in the order of [`Keys::refs`].
    pub units: Vec<Unit>,
    /// The references that the units stand for.
    pub refs: Vec<RefId>,
}

impl Keys {
    /// Reads the units of a shape.
    pub fn of(shape: &Shape, context: &PlanContext<'_>, hints: &Hints) -> Self {
        let mut keys = Self { units: Vec::new(), refs: Vec::new() };
        for (id, reference) in shape.refs.iter().enumerate() {
            let RefKind::Table { place, .. } = &reference.kind else { continue };
            let keyed = place.sharded().map(|table| keyed(shape, context, id, table, hints));
            let condition = keyed.as_ref().map_or(Condition::Any, |keyed| condition(shape, context, id, keyed));
            keys.refs.push(id);
            keys.units.push(Unit::new(
                context.rules,
                place.clone(),
                reference.schema.as_deref(),
                &reference.name,
                keyed,
                condition,
            ));
        }
        keys
    }

    /// The unit of a reference.
    pub fn unit_of(&self, table: RefId) -> Option<usize> {
        self.refs.iter().position(|id| *id == table)
    }
}

/// The key of a sharded table and the types of its columns.
fn keyed(shape: &Shape, context: &PlanContext<'_>, id: RefId, table: &Arc<Table>, hints: &Hints) -> KeyedTable {
    let types = table.key_columns().iter().map(|column| column_type_of(shape, context, id, column)).collect();
    let by_hint = table.levels().any(|level| level.algorithm.is_hint());
    let hint = if by_hint { hints.shard_value.clone() } else { None };
    KeyedTable::new(Arc::clone(table), types, hint)
}

/// The type of a table's column.
pub(crate) fn key_type(info: Option<&TableInfo>, context: &PlanContext<'_>, name: &str) -> KeyType {
    match info.and_then(|info| info.column(name)) {
        Some((_, column)) => column.key_type.clone(),
        None if info.is_none() && context.assume_types => KeyType::FromLiteral,
        None => KeyType::Unknown,
    }
}

fn column_type_of(shape: &Shape, context: &PlanContext<'_>, table: RefId, name: &str) -> KeyType {
    match &shape.refs[table].kind {
        RefKind::Table { info, .. } => key_type(info.as_deref(), context, name),
        RefKind::Derived(block) => {
            let output = shape.blocks[*block].outputs.as_ref();
            let column = output.and_then(|outputs| outputs.iter().find(|output| output.name == name));
            let column = column.and_then(|output| output.column);
            column.map_or(KeyType::Unknown, |column| column_type(shape, context, column))
        }
        _ => KeyType::Unknown,
    }
}

/// The type of a column, as its comparisons go.
fn column_type(shape: &Shape, context: &PlanContext<'_>, column: ColumnId) -> KeyType {
    let column = &shape.columns[column];
    column_type_of(shape, context, column.table, &column.name)
}

/// Whether two columns are equal exactly where their keys are.
fn compatible(shape: &Shape, context: &PlanContext<'_>, left: ColumnId, right: ColumnId) -> bool {
    compare_alike(&column_type(shape, context, left), &column_type(shape, context, right))
}

/// Whether the keys of two tables are of types that compare with each other as each with itself.
pub(crate) fn same_key_types(one: &Unit, other: &Unit) -> bool {
    let types = |unit: &Unit| unit.keyed.as_ref().map(|keyed| keyed.types.clone()).unwrap_or_default();
    let (one, other) = (types(one), types(other));
    one.len() == other.len() && one.iter().zip(&other).all(|(a, b)| compare_alike(a, b))
}

fn compare_alike(left: &KeyType, right: &KeyType) -> bool {
    use KeyType::{Binary, Date, DateTime, Decimal, FromLiteral, Int, Text, Time, Year};
    match (left, right) {
        (Int { .. } | Decimal { .. }, Int { .. } | Decimal { .. })
        | (Date, Date)
        | (DateTime { .. }, DateTime { .. })
        | (Time { .. }, Time { .. })
        | (Year, Year)
        | (Binary { .. }, Binary { .. })
        | (FromLiteral, FromLiteral) => true,
        (Text(left), Text(right)) => left.fold == right.fold && left.pads == right.pads,
        _ => false,
    }
}

/// The classes of columns that are equal for a reader.
pub(crate) fn classes(shape: &Shape, context: &PlanContext<'_>, facts: &[Fact]) -> Classes {
    shape.classes(facts, |left, right| compatible(shape, context, left, right))
}

/// What a statement says about the key of a table reference.
fn condition(shape: &Shape, context: &PlanContext<'_>, id: RefId, keyed: &KeyedTable) -> Condition {
    let facts = shape.usable(shape.refs[id].block, Reader::Table(id));
    let classes = classes(shape, context, &facts);
    let own: Vec<Option<ColumnId>> = keyed.columns.iter().map(|name| shape.find_column(id, name)).collect();
    let key_columns = |column: ColumnId| -> Vec<usize> {
        let is_same = |key: &Option<ColumnId>| key.is_some_and(|key| classes.same(key, column));
        own.iter().enumerate().filter(|(_, key)| is_same(key)).map(|(index, _)| index).collect()
    };
    all(facts.iter().map(|fact| of_fact(fact, &key_columns)).collect())
}

fn of_fact(fact: &Fact, key_columns: &dyn Fn(ColumnId) -> Vec<usize>) -> Condition {
    let each =
        |column: ColumnId, make: &dyn Fn(usize) -> Condition| all(key_columns(column).into_iter().map(make).collect());
    match fact {
        Fact::Unknown | Fact::Same(..) => Condition::Any,
        Fact::Compare { column, comparison, value, of_rows } => each(*column, &|column| {
            let range = |low, high| Condition::Range { column, low, high };
            match comparison {
                Comparison::Equal => Condition::In { column, values: vec![value.clone()], of_rows: *of_rows },
                Comparison::NullSafeEqual => Condition::NullSafeEqual { column, value: value.clone() },
                Comparison::Less => range(Bound::Unbounded, Bound::Excluded(value.clone())),
                Comparison::LessOrEqual => range(Bound::Unbounded, Bound::Included(value.clone())),
                Comparison::Greater => range(Bound::Excluded(value.clone()), Bound::Unbounded),
                Comparison::GreaterOrEqual => range(Bound::Included(value.clone()), Bound::Unbounded),
            }
        }),
        Fact::In { column, values } => {
            each(*column, &|column| Condition::In { column, values: values.clone(), of_rows: false })
        }
        Fact::Truth(source) => Condition::Truth(source.clone()),
        Fact::Constants { left, comparison, right } => {
            let orders = match comparison {
                // NULL <=> NULL is true
                Comparison::NullSafeEqual => return Condition::Any,
                Comparison::Equal => vec![Ordering::Equal],
                Comparison::Less => vec![Ordering::Less],
                Comparison::LessOrEqual => vec![Ordering::Less, Ordering::Equal],
                Comparison::Greater => vec![Ordering::Greater],
                Comparison::GreaterOrEqual => vec![Ordering::Greater, Ordering::Equal],
            };
            Condition::Constants { left: left.clone(), orders, right: right.clone() }
        }
        Fact::All(facts) => all(facts.iter().map(|fact| of_fact(fact, key_columns)).collect()),
        Fact::Any(facts) => {
            let legs: Vec<Condition> = facts.iter().map(|fact| of_fact(fact, key_columns)).collect();
            if legs.contains(&Condition::Any) { Condition::Any } else { Condition::Or(legs) }
        }
    }
}

/// AND, flat, without what says nothing.
fn all(conditions: Vec<Condition>) -> Condition {
    let mut flat = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Any => {}
            Condition::And(inner) => flat.extend(inner),
            other if flat.contains(&other) => {}
            other => flat.push(other),
        }
    }
    match flat.len() {
        0 => Condition::Any,
        1 => flat.remove(0),
        _ => Condition::And(flat),
    }
}

/// Tables whose rows meet on one node wherever a row of the driver is.
#[derive(Debug, Clone)]
pub(crate) struct Colocated {
    /// The unit whose node decides.
    pub driver: usize,
    /// The units that are on the driver's node, the driver among them.
    pub members: Vec<usize>,
    /// Those of them without whose rows there is no row of the answer: each limits the nodes. The driver is the first.
    pub narrowing: Vec<usize>,
    /// Of a set operation: the units that limit the nodes of each further leg, its own driver first.
    pub legs: Vec<Vec<usize>>,
}

/// The table that all other sharded tables follow, if there is one; else the two that stay apart.
pub(crate) fn colocate(
    shape: &Shape,
    context: &PlanContext<'_>,
    keys: &Keys,
    main: usize,
) -> Result<Colocated, Option<(usize, usize)>> {
    if let Some(views) = views(shape, context, keys, main) {
        return Ok(views);
    }
    let sharded: Vec<usize> = (0..keys.units.len()).filter(|unit| keys.units[*unit].keyed.is_some()).collect();
    if shape.blocks[main].set_operation {
        return colocate_legs(shape, context, keys, main, sharded);
    }
    colocate_units(shape, context, keys, main, sharded)
}

/// As [`colocate`], for some of the sharded units alone.
fn colocate_units(
    shape: &Shape,
    context: &PlanContext<'_>,
    keys: &Keys,
    main: usize,
    sharded: Vec<usize>,
) -> Result<Colocated, Option<(usize, usize)>> {
    let stands = |unit: &usize| brings_its_rows(shape, context, keys, *unit, main);
    let drivers: Vec<usize> = sharded.iter().copied().filter(stands).collect();
    let mut apart = None;
    let joined: Vec<OnceCell<Classes>> = keys.units.iter().map(|_| OnceCell::new()).collect();
    let follows = |driver: usize, unit: usize| {
        let classes = || joined[unit].get_or_init(|| equal_columns(shape, context, keys.refs[unit]));
        follows(shape, keys, driver, unit, classes)
    };
    for driver in &drivers {
        match sharded.iter().find(|unit| *unit != driver && !follows(*driver, **unit)) {
            None => {
                let others = drivers.iter().filter(|other| *other != driver);
                let narrowing = std::iter::once(driver).chain(others).copied().collect();
                return Ok(Colocated { driver: *driver, members: sharded, narrowing, legs: Vec::new() });
            }
            Some(stranger) => apart = apart.or(Some((*driver, *stranger))),
        }
    }
    Err(apart.or_else(|| sharded.first().map(|first| (*first, sharded.get(1).copied().unwrap_or(*first)))))
}

/// The legs of a set operation, each with the tables of its own; the drivers must lie side by side.
fn colocate_legs(
    shape: &Shape,
    context: &PlanContext<'_>,
    keys: &Keys,
    main: usize,
    sharded: Vec<usize>,
) -> Result<Colocated, Option<(usize, usize)>> {
    let mut whole: Option<Colocated> = None;
    let mut placed = 0;
    for leg in shape.legs(main) {
        let of_leg: Vec<usize> =
            sharded.iter().copied().filter(|unit| shape.is_within(shape.refs[keys.refs[*unit]].block, leg)).collect();
        placed += of_leg.len();
        let leg = colocate_units(shape, context, keys, leg, of_leg)?;
        match &mut whole {
            None => whole = Some(leg),
            Some(whole) if side_by_side(&keys.units[whole.driver].place, &keys.units[leg.driver].place) => {
                whole.legs.push(leg.narrowing);
                whole.members.extend(leg.members);
            }
            Some(whole) => return Err(Some((whole.driver, leg.driver))),
        }
    }
    whole.filter(|_| placed == sharded.len()).ok_or(None)
}

/// Whether each row of the answer has a row of this unit in it, and rows of one node make rows of that node alone: it
/// stands in the main block, or in derived tables that pass their rows on, or whole groups of them.
fn brings_its_rows(shape: &Shape, context: &PlanContext<'_>, keys: &Keys, unit: usize, main: usize) -> bool {
    let mut id = keys.refs[unit];
    loop {
        let reference = &shape.refs[id];
        if !reference.nullable_by.is_empty() {
            return false;
        }
        if reference.block == main {
            return true;
        }
        let Some((_, Position::Derived(outer))) = shape.blocks[reference.block].parent else { return false };
        if !passes_whole(shape, context, keys, unit, reference.block) {
            return false;
        }
        id = outer;
    }
}

/// Whether the result of a block is made of the rows of this unit in it one by one, or of whole groups of them that
/// lie on one node.
pub(crate) fn passes_whole(shape: &Shape, context: &PlanContext<'_>, keys: &Keys, unit: usize, id: BlockId) -> bool {
    let block = &shape.blocks[id];
    if !block.grouped {
        return block.passes_rows();
    }
    let classes = classes(shape, context, &shape.own(id));
    let tells = |columns: &[ColumnId]| tells_key(shape, keys, unit, columns, &classes);
    let outputs: Vec<ColumnId> = block.outputs.iter().flatten().filter_map(|output| output.column).collect();
    block.is_cut_by_rows() && tells(&block.group_columns) && (!block.distinct || tells(&outputs))
}

/// Whether rows of a unit that are equal on these columns have one sharding key, and so lie on one node.
pub(crate) fn tells_key(shape: &Shape, keys: &Keys, unit: usize, columns: &[ColumnId], classes: &Classes) -> bool {
    let Some(keyed) = keys.units.get(unit).and_then(|unit| unit.keyed.as_ref()) else { return false };
    keyed.equal_keys_meet()
        && !keyed.columns.is_empty()
        && keyed.columns.iter().all(|name| {
            let key = shape.find_column(keys.refs[unit], name);
            key.is_some_and(|key| columns.iter().any(|column| classes.same(key, *column)))
        })
}

/// Whether the nodes of two tables are in the same groups, one by one.
fn side_by_side(one: &Place, other: &Place) -> bool {
    let (one, other) = (one.nodes(), other.nodes());
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.group == b.group)
}

/// Views of `information_schema` that are read from several groups: joined by the tables that their rows are about.
fn views(shape: &Shape, context: &PlanContext<'_>, keys: &Keys, main: usize) -> Option<Colocated> {
    let is_split = |unit: &Unit| system::is_view(&unit.place) && unit.place.nodes().len() > 1;
    if keys.units.is_empty() || !keys.units.iter().all(is_split) {
        return None;
    }
    let line = shape.main_line(main);
    let all: Vec<usize> = (0..keys.units.len()).collect();
    let driver = *all.iter().find(|unit| {
        let reference = &shape.refs[keys.refs[**unit]];
        line.contains(&reference.block) && reference.nullable_by.is_empty()
    })?;
    let follow = |unit: &usize| *unit == driver || system::meet(shape, context, keys.refs[driver], keys.refs[*unit]);
    all.iter().all(follow).then(|| Colocated {
        driver,
        members: all.clone(),
        narrowing: vec![driver],
        legs: Vec::new(),
    })
}

/// The columns that are equal in all rows of a table that matter.
fn equal_columns(shape: &Shape, context: &PlanContext<'_>, table: RefId) -> Classes {
    let facts = shape.usable(shape.refs[table].block, Reader::Table(table));
    classes(shape, context, &facts)
}

/// Whether the rows of `unit` that matter for a row of `driver` have its sharding key; `classes`: what is equal in them.
fn follows<'a>(shape: &Shape, keys: &Keys, driver: usize, unit: usize, classes: impl Fn() -> &'a Classes) -> bool {
    let (Some(ours), Some(theirs)) = (&keys.units[driver].keyed, &keys.units[unit].keyed) else { return false };
    let meets = ours.equal_keys_meet() && theirs.equal_keys_meet();
    if !meets || !bound(&keys.units[driver].place, &keys.units[unit].place) {
        return false;
    }
    let id = keys.refs[unit];
    let classes = classes();
    let pairs = ours.table.levels().zip(theirs.table.levels());
    let mut columns = pairs.flat_map(|(our, their)| our.columns.iter().zip(&their.columns)).peekable();
    columns.peek().is_some()
        && columns.all(|(our, their)| {
            let our = shape.find_column(keys.refs[driver], our);
            let their = shape.find_column(id, their);
            matches!((our, their), (Some(our), Some(their)) if classes.same(our, their))
        })
}

/// Whether equal keys of two tables share a node index, and that index a group.
pub(crate) fn bound(place: &Place, other_place: &Place) -> bool {
    let (Place::Ruled { schema, table: one }, Place::Ruled { schema: other_schema, table: other }) =
        (place, other_place)
    else {
        return false;
    };
    let same_schema = schema.name == other_schema.name;
    same_schema
        && schema_binds(schema, one, other)
        && one.levels().count() == other.levels().count()
        && {
            let mut levels = one.levels().zip(other.levels());
            levels.all(|(a, b)| a.columns.len() == b.columns.len())
        }
        && side_by_side(place, other_place)
}

fn schema_binds(schema: &Schema, one: &Table, other: &Table) -> bool {
    schema.are_bound(one, other)
}
