//! The rows of an INSERT into a sharded table: where the sharding key of each stands, and where its text.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use sqlparser::ast::{Expr, Insert, ObjectNamePart, TableObject, visit_expressions};

use super::action::{Cell, Generated, InsertAction, Piece, Row};
use super::on_duplicate::Setter;
use super::{is_default, listed, values_of};
use crate::catalog::TableInfo;
use crate::config::{KeyGenerator, Schema, TableKey};
use crate::id::KeyMaker;
use crate::plan::anchor::Span;
use crate::plan::compose::{Taker, has_query};
use crate::plan::error::PlanError;
use crate::plan::functions;
use crate::plan::keys::Keys;
use crate::plan::names::base;
use crate::plan::place::Place;
use crate::plan::query::{Subject, name_map};
use crate::plan::shape::Builder;
use crate::plan::template::Slot;
use crate::plan::types::Told;
use crate::plan::unit::quoted;
use crate::route::key::KeyType;
use crate::sql::Parsed;
use crate::sql::spans;
use crate::sql::splice::Piece as TextPiece;

/// Plans an INSERT into a sharded table.
pub(super) fn plan(
    subject: &Subject<'_>,
    builder: &mut Builder<'_>,
    keys: &Keys,
    insert: &Insert,
    columns: Option<&[String]>,
    parsed: &Parsed,
) -> Result<InsertAction, PlanError> {
    let unit = &keys.units[0];
    let table = unit.place.table().to_owned();
    if insert.source.is_some() && values_of(insert).is_none() {
        return Err(PlanError::not_supported(
            format!("INSERT … SELECT into the sharded table '{table}'"),
            "read the rows first, and insert them as VALUES",
        ));
    }
    if keys.units.len() > 1 {
        return Err(PlanError::not_supported(
            format!("subqueries in the values for the sharded table '{table}'"),
            "read the values first",
        ));
    }
    if parsed.notes.insert_partition {
        return Err(PlanError::not_supported("PARTITION (…) in an INSERT into a sharded table", "leave it out"));
    }
    let columns = columns.ok_or_else(|| {
        PlanError::not_supported(
            format!("INSERT without a list of columns into '{table}', whose columns are not known"),
            "list the columns",
        )
    })?;
    let info = subject.context.catalog.table(unit.place.schema(), unit.place.table());
    let keyed = unit.keyed.as_ref().ok_or(PlanError::Internal("a sharded table without a key"))?;
    let generator = keyed.table.key_generator.clone().or_else(|| default_generator(&unit.place, info.as_deref()));
    let is_empty = insert.columns.is_empty()
        && values_of(insert).is_some_and(|values| values.rows.iter().all(|row| row.content.is_empty()));
    let columns = if is_empty { &[] } else { columns };
    let position = |name: &str| columns.iter().position(|column| column == name);
    let reader = Reader {
        subject,
        keys: keyed.columns.iter().map(|name| position(name)).collect(),
        generated: generator.as_ref().and_then(|generator| position(&generator.column)),
        numbered: numbered(info.as_deref(), generator.as_ref().map(|generator| &*generator.column), &position)
            .map_err(|column| unnumbered(&table, &column))?,
        width: columns.len(),
    };
    let key_is_generated = |name: &str| generator.as_ref().is_some_and(|generator| *generator.column == *name);
    // wrong names and numbers of values are told before what is missing
    let lacks = keyed.columns.iter().zip(&reader.keys).find(|(name, place)| place.is_none() && !key_is_generated(name));
    if let Some((name, _)) = lacks {
        if let Some(column) = info.as_deref().and_then(|info| unknown_column(info, insert)) {
            return Err(PlanError::UnknownColumn { column, place: "field list" });
        }
        reader.rows(builder, insert)?;
        return Err(PlanError::MissingKey(name.to_string()));
    }
    let rows = reader.rows(builder, insert)?;
    let column = generator.as_ref().and_then(|generator| info.as_deref()?.column(&generator.column));
    let numbers = column.is_some_and(|(_, column)| column.auto_increment);
    let is_binary = column.is_some_and(|(_, column)| matches!(column.key_type, KeyType::Binary { .. }));
    let generated = generator.map(|generator| Generated {
        key: keyed.columns.iter().position(|column| *column == generator.column),
        in_list: reader.generated.is_some(),
        zero_generates: numbers && !subject.context.mode.no_auto_value_on_zero,
        set: if insert.assignments.is_empty() { None } else { Some(quoted(&generator.column).into()) },
        maker: Arc::new(maker(&unit.place, &generator, info.as_deref())),
        is_binary,
    });
    let more = generated.as_ref().filter(|generated| !generated.in_list).map(|generated| &*generated.maker.column);
    let known = info.as_deref().filter(|_| !is_empty);
    let list = |more: Option<&str>| listed::list(builder, &builder.shape.refs[keys.refs[0]], known, insert, more);
    let mut relay = base(builder, keys, Some(0))?;
    if let Some((at, list)) = list(None) {
        relay.pieces(at, [TextPiece::from(&*list)]);
    }
    let relay = relay.build(subject.sql.len(), subject.literals)?;
    let split = split_template(subject, builder, keys, insert, generated.as_ref(), list(more))?;
    let returns = insert.returning.is_some();
    let met = &builder.shape.met;
    let setter = met.sets_insert_id.then(|| {
        let generated = generated.as_ref().map(|generated| (&*generated.maker.column, generated.key.is_some()));
        Setter::of(insert, &keyed.columns, generated, info.as_deref(), parsed.notes.ignore)
    });
    let one_node_only = match () {
        () if met.assigns_variable => Some("user variables that are assigned"),
        () if setter.is_some() => Some("LAST_INSERT_ID(x)"),
        () => None,
    };
    let told = match insert.on.is_some() && rows.len() == 1 && !returns {
        true if numbers => Told::Number { sets: setter.is_some() },
        true if setter.is_some() => Told::Set,
        _ => Told::Never,
    };
    let row_count = rows.len();
    Ok(InsertAction {
        unit: keys.units.clone(),
        relay,
        split,
        rows,
        generated,
        numbered: reader.numbered.map(|place| unnumbered(&table, &columns[place])),
        one_node_only,
        names: name_map(keys),
        explicit_row: values_of(insert).is_some_and(|values| values.explicit_row),
        has_parentheses: values_of(insert).is_some(),
        is_empty,
        may_be_select: values_of(insert).is_some() && insert.insert_alias.is_none() && !is_empty,
        unchanged_is_duplicate: parsed.notes.ignore && insert.on.is_none(),
        ignores: parsed.notes.ignore,
        defaulted: defaulted(insert, columns),
        updates_duplicates: insert.on.is_some(),
        sets_last_insert_id: builder.shape.met.leaves_state,
        setter,
        told,
        reports_insert_id: told != Told::Set
            && (((numbers || insert.on.is_some()) && row_count == 1) || builder.shape.met.leaves_state || returns),
    })
}

/// The values that must be evaluated before it is known where their rows belong: those of the sharding key that are not
/// plain, and all with queries; for a broadcast table those that each server would make in its own way. `None` where that is not possible: a value depends on its row.
pub(super) fn to_evaluate(
    subject: &Subject<'_>,
    builder: &Builder<'_>,
    keys: &Keys,
    insert: &Insert,
    columns: &[String],
) -> Option<Vec<(Span, Option<Taker>)>> {
    let unit = keys.units.first()?;
    let is_broadcast = unit.place.broadcast().is_some();
    if unit.keyed.is_none() && !is_broadcast {
        return None;
    }
    let position = |name: &str| columns.iter().position(|column| column == name);
    let reader = Reader {
        subject,
        keys: unit.keyed.iter().flat_map(|keyed| &keyed.columns).map(|name| position(name)).collect(),
        generated: None,
        numbered: None,
        width: columns.len(),
    };
    // what a server would number where it is NULL or 0
    let info = subject.context.catalog.table(unit.place.schema(), unit.place.table());
    let generator = unit.keyed.as_ref().and_then(|keyed| keyed.table.key_generator.as_ref());
    let numbered = info.as_deref().and_then(TableInfo::auto_increment).map(|column| column.name.to_lowercase());
    let filled: Vec<usize> = generator
        .map(|generator| &*generator.column)
        .into_iter()
        .chain(numbered.as_deref())
        .filter_map(position)
        .collect();
    let mut found = Vec::new();
    for (exprs, cells) in reader.cells(insert)? {
        if exprs.len() != cells.len() {
            return None;
        }
        for (index, (expr, cell)) in exprs.iter().zip(&cells).enumerate() {
            let leads = reader.keys.contains(&Some(index)) || filled.contains(&index);
            let is_key = leads && !has_default(expr) && !builder.constant(expr).is_known();
            let is_query = has_query(expr);
            // each server would come to another value
            let is_random = is_broadcast && has_random(expr);
            if !is_key && !is_query && !is_random {
                continue;
            }
            let names_column = visit_expressions(*expr, |inner| match inner {
                Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => {
                    ControlFlow::Continue(())
                }
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            if !is_query && names_column.is_break() {
                return None;
            }
            let taker = info.as_deref().and_then(|info| Taker::of(info, columns.get(index)?));
            found.push((Span::of(cell, subject.literals), taker));
        }
    }
    Some(found)
}

/// How many keys a proxy takes at once of a sequence that no rule names.
const DEFAULT_BLOCK: u32 = 1_000;

/// What numbers an AUTO_INCREMENT column that the rules name no generator for: a sequence of the table's own, whose ids are
/// as short and dense as the server's, in the schema's home group.
pub(crate) fn default_generator(place: &Place, info: Option<&TableInfo>) -> Option<TableKey> {
    let Place::Ruled { schema, .. } = place else { return None };
    counted(schema, &info?.auto_increment()?.name)
}

/// A sequence for a column.
pub(super) fn counted(schema: &Schema, column: &str) -> Option<TableKey> {
    Some(TableKey {
        column: column.to_lowercase().into(),
        name: "auto_segment".into(),
        generator: KeyGenerator::AutoSegment { group: schema.home_group()?, block: DEFAULT_BLOCK },
    })
}

/// The maker of a table's keys.
pub(crate) fn maker(place: &Place, generator: &TableKey, info: Option<&TableInfo>) -> KeyMaker {
    let column = info.and_then(|info| info.column(&generator.column));
    KeyMaker {
        generator: generator.generator,
        sequence: format!("{}.{}", place.schema(), place.table().to_lowercase()).into(),
        column: Arc::clone(&generator.column),
        nodes: place.nodes().into(),
        greatest: column.and_then(|(_, column)| column.key_type.greatest()).unwrap_or(u64::MAX),
    }
}

/// The AUTO_INCREMENT column that no generator fills: where its value stands. `Err` if there is none.
fn numbered(
    info: Option<&TableInfo>,
    generated: Option<&str>,
    position: &dyn Fn(&str) -> Option<usize>,
) -> Result<Option<usize>, String> {
    let Some(column) = info.and_then(TableInfo::auto_increment) else { return Ok(None) };
    let name = column.name.to_lowercase();
    if generated == Some(&*name) {
        return Ok(None);
    }
    position(&name).map(Some).ok_or(name)
}

fn unnumbered(table: &str, column: &str) -> PlanError {
    PlanError::not_supported(
        format!("rows of the sharded table '{table}' without a value for their AUTO_INCREMENT column '{column}'"),
        "since the shards would number alike: give the value, or name a key_generator for the column in the rules",
    )
}

/// The text for some of the rows: their place is a slot, and the generated column is listed.
fn split_template(
    subject: &Subject<'_>,
    builder: &Builder<'_>,
    keys: &Keys,
    insert: &Insert,
    generated: Option<&Generated>,
    list: Option<(Range<usize>, String)>,
) -> Result<crate::plan::template::Template, PlanError> {
    let mut template = base(builder, keys, Some(0))?;
    if let Some((at, list)) = list {
        template.pieces(at, [TextPiece::from(&*list)]);
    }
    let region = region(subject, insert)?;
    template.slot(region.clone(), Slot::Rows);
    if let (Some(generated), Some(last)) = (generated, insert.columns.last())
        && !generated.in_list
    {
        let column = &generated.maker.column;
        let end = spans::range(last).ok_or_else(PlanError::lost_place)?.end;
        template.pieces(end..end, [TextPiece::from(&*format!(", {}", quoted(column)))]);
    }
    if !subject.outline.params().is_empty() {
        template.account_params(subject.outline.params(), std::slice::from_ref(&region));
    }
    template.build(subject.sql.len(), subject.literals)
}

/// The bytes of all rows.
fn region(subject: &Subject<'_>, insert: &Insert) -> Result<Range<usize>, PlanError> {
    let lost = PlanError::lost_place;
    if let Some(values) = values_of(insert) {
        let is_empty = insert.columns.is_empty() && values.rows.iter().all(|row| row.content.is_empty());
        let name = match &insert.table {
            TableObject::TableName(name) if is_empty => name.0.last().and_then(ObjectNamePart::as_ident),
            _ => None,
        };
        let behind_name = name.and_then(|name| spans::range_of(name.span)).map(|range| range.end);
        let first = values.rows.first().and_then(|row| spans::range_of(row.opening_token.0.span)).ok_or_else(lost)?;
        let last = values.rows.last().and_then(|row| spans::range_of(row.closing_token.0.span)).ok_or_else(lost)?;
        // VALUES, or VALUE, stands in front
        let steps = if values.explicit_row { 2 } else { 1 };
        let index = subject.outline.index_at(first.start).checked_sub(steps).ok_or_else(lost)?;
        return Ok(behind_name.unwrap_or(subject.outline.tokens()[index].start)..last.end);
    }
    set_region(subject, insert)
}

/// The assignments of `INSERT … SET`.
fn set_region(subject: &Subject<'_>, insert: &Insert) -> Result<Range<usize>, PlanError> {
    let lost = PlanError::lost_place;
    let first = insert.assignments.first().and_then(|assignment| spans::range(&assignment.target)).ok_or_else(lost)?;
    let outline = &subject.outline;
    let start = outline.index_at(first.start);
    let mut index = start;
    let mut end = first.end;
    while let Some(token) = outline.tokens().get(index) {
        let behind = outline.is_keyword(subject.sql, index, &["ON", "RETURNING", "AS"]);
        if behind {
            break;
        }
        index = match token.is_symbol(subject.sql, b'(') {
            true => outline.closing(subject.sql, index).ok_or_else(lost)?,
            false => index,
        };
        end = outline.tokens()[index].end;
        index += 1;
    }
    Ok(first.start..end)
}

/// A column that is listed, and that the table does not have.
fn unknown_column(info: &TableInfo, insert: &Insert) -> Option<String> {
    let names = insert.columns.iter().filter_map(|name| name.0.last().and_then(ObjectNamePart::as_ident));
    names.map(|name| name.value.clone()).find(|name| info.column(&name.to_lowercase()).is_none())
}

/// The columns for which a row says DEFAULT.
fn defaulted(insert: &Insert, columns: &[String]) -> Arc<[Box<str>]> {
    let is_defaulted = |at: usize| match values_of(insert) {
        Some(values) => values.rows.iter().any(|row| row.content.get(at).is_some_and(has_default)),
        None => insert.assignments.get(at).is_some_and(|assignment| has_default(&assignment.value)),
    };
    let named = columns.iter().enumerate().filter(|(at, _)| is_defaulted(*at));
    named.map(|(_, column)| column.as_str().into()).collect()
}

/// `DEFAULT` or `DEFAULT(column)`.
fn has_default(expr: &Expr) -> bool {
    visit_expressions(expr, |inner| {
        let is_call = matches!(inner, Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("default"));
        if is_call || is_default(inner) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .is_break()
}

/// Whether a function in it gives another value each time.
fn has_random(expr: &Expr) -> bool {
    visit_expressions(expr, |inner| match inner {
        Expr::Function(call) => match call.name.0.as_slice() {
            [ObjectNamePart::Identifier(name)] if functions::is_random(&name.value) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Reads rows.
struct Reader<'r, 'a> {
    subject: &'r Subject<'a>,
    /// Where each column of the key stands in a row.
    keys: Vec<Option<usize>>,
    /// Where the generated column stands.
    generated: Option<usize>,
    /// Where the AUTO_INCREMENT column stands that no generator fills.
    numbered: Option<usize>,
    /// How many values a row has.
    width: usize,
}

type Cells<'e> = Vec<(Vec<&'e Expr>, Vec<Range<usize>>)>;

impl Reader<'_, '_> {
    /// The values of each row, and where they stand.
    fn cells<'e>(&self, insert: &'e Insert) -> Option<Cells<'e>> {
        let Some(values) = values_of(insert) else {
            let cells = self.split(set_region(self.subject, insert).ok()?).ok()?;
            let cells = cells.into_iter().map(|cell| self.behind_equals(cell).ok()).collect::<Option<_>>()?;
            return Some(vec![(insert.assignments.iter().map(|assignment| &assignment.value).collect(), cells)]);
        };
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let open = spans::range_of(row.opening_token.0.span)?;
            let close = spans::range_of(row.closing_token.0.span)?;
            rows.push((row.content.iter().collect(), self.split(open.end..close.start).ok()?));
        }
        Some(rows)
    }

    fn rows(&self, builder: &Builder<'_>, insert: &Insert) -> Result<Vec<Row>, PlanError> {
        let Some(values) = values_of(insert) else {
            let exprs: Vec<&Expr> = insert.assignments.iter().map(|assignment| &assignment.value).collect();
            let region = set_region(self.subject, insert)?;
            let cells = self.split(region.clone())?;
            // of `column = value` only the value is the cell
            let cells = cells.into_iter().map(|cell| self.behind_equals(cell)).collect::<Result<Vec<_>, _>>()?;
            return Ok(vec![self.row(builder, &exprs, region, &cells, 0)?]);
        };
        let mut rows = Vec::with_capacity(values.rows.len());
        for (number, row) in values.rows.iter().enumerate() {
            let exprs: Vec<&Expr> = row.content.iter().collect();
            let open = spans::range_of(row.opening_token.0.span).ok_or_else(PlanError::lost_place)?;
            let close = spans::range_of(row.closing_token.0.span).ok_or_else(PlanError::lost_place)?;
            let cells = self.split(open.end..close.start)?;
            rows.push(self.row(builder, &exprs, open.end..close.start, &cells, number)?);
        }
        Ok(rows)
    }

    /// A row, whose values stand in `range`, without the parentheses.
    fn row(
        &self,
        builder: &Builder<'_>,
        exprs: &[&Expr],
        range: Range<usize>,
        cells: &[Range<usize>],
        number: usize,
    ) -> Result<Row, PlanError> {
        if exprs.len() != self.width || cells.len() != exprs.len() {
            return Err(PlanError::ColumnCount(number + 1));
        }
        let cell = |place: Option<usize>| match place {
            None => Cell::Missing,
            Some(place) if is_default(exprs[place]) => Cell::Missing,
            Some(place) => Cell::Value(builder.constant(exprs[place])),
        };
        let literals = self.subject.literals;
        let pieces = match self.generated {
            Some(place) => vec![
                Piece::Text(
                    Span::of(&(range.start..cells[place].start), literals),
                    self.params(range.start..cells[place].start),
                ),
                Piece::Generated(Span::of(&cells[place], literals), self.params(cells[place].clone())),
                Piece::Text(
                    Span::of(&(cells[place].end..range.end), literals),
                    self.params(cells[place].end..range.end),
                ),
            ],
            None => vec![Piece::Text(Span::of(&range, literals), self.params(range))],
        };
        Ok(Row {
            keys: self.keys.iter().map(|place| cell(*place)).collect(),
            generated: self.generated.map_or(Cell::Missing, |place| cell(Some(place))),
            numbered: self.numbered.map(|place| cell(Some(place))),
            has_default: exprs.iter().any(|expr| has_default(expr)),
            pieces,
        })
    }

    /// The numbers of the parameters in a range.
    fn params(&self, range: Range<usize>) -> Range<u32> {
        let params = self.subject.outline.params();
        let number = |offset: usize| params.partition_point(|param| *param < offset) as u32;
        number(range.start)..number(range.end)
    }

    /// The parts of a range between its commas.
    fn split(&self, range: Range<usize>) -> Result<Vec<Range<usize>>, PlanError> {
        let outline = &self.subject.outline;
        let (mut index, end) = (outline.index_at(range.start), outline.index_at(range.end));
        let mut parts: Vec<Range<usize>> = Vec::new();
        let mut part: Option<Range<usize>> = None;
        while index < end {
            let token = outline.tokens()[index];
            if token.is_symbol(self.subject.sql, b',') {
                parts.extend(part.take());
                index += 1;
                continue;
            }
            let last = if token.is_symbol(self.subject.sql, b'(') {
                outline.closing(self.subject.sql, index).ok_or_else(PlanError::lost_place)?
            } else {
                index
            };
            let start = part.map_or(token.start, |part| part.start);
            part = Some(start..outline.tokens()[last].end);
            index = last + 1;
        }
        parts.extend(part);
        Ok(parts)
    }

    /// What stands behind the first `=` (or `:=`) of a range.
    fn behind_equals(&self, range: Range<usize>) -> Result<Range<usize>, PlanError> {
        let outline = &self.subject.outline;
        let first = outline.index_at(range.start);
        let tokens = outline.tokens();
        let equals = (first..tokens.len()).find(|index| tokens[*index].is_symbol(self.subject.sql, b'='));
        let value = equals.and_then(|index| tokens.get(index + 1)).ok_or_else(PlanError::lost_place)?;
        Ok(value.start..range.end)
    }
}
