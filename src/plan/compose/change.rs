//! UPDATE and DELETE in steps.

use sqlparser::ast::{Assignment, AssignmentTarget, Expr, ObjectNamePart, visit_expressions};
use std::ops::{ControlFlow, Range};

use super::clauses::Clauses;
use super::taker::Taker;
use super::target::{Assigned, Target};
use crate::catalog::{TableInfo, TableKind};
use crate::plan::anchor::Span;
use crate::plan::keys::Keys;
use crate::plan::query::{Subject, names_of};
use crate::plan::shape::{Builder, RefId, RefKind};
use crate::plan::unit::{Unit, quoted};
use crate::sql::{Literal, spans};

/// UPDATE or DELETE: what is read, and what is changed then.
#[derive(Debug, Clone)]
pub(crate) struct ChangeRows {
    /// UPDATE, not DELETE.
    pub is_update: bool,
    /// `IGNORE`.
    pub ignore: bool,
    /// The tables that are changed.
    pub targets: Vec<Target>,
    /// The client's own list of assignments, where it is sent along: of one table, with no query in it.
    set: Option<Span>,
    /// The table references.
    from: Span,
    /// WHERE and all behind it.
    tail: Span,
    /// ORDER BY without LIMIT.
    order: Option<Span>,
    /// LIMIT.
    limit: Option<Span>,
}

/// What an UPDATE or DELETE says of itself.
pub(crate) struct Said<'a> {
    /// The tables that are changed; for UPDATE one for each assignment.
    pub targets: &'a [Option<RefId>],
    /// The assigned columns, in small letters.
    pub columns: &'a [String],
    /// The assignments.
    pub assignments: &'a [Assignment],
    /// `IGNORE`.
    pub ignore: bool,
    /// DELETE … USING.
    pub using: bool,
}

impl ChangeRows {
    /// The recipe; `None` where there is none: a table without a key that tells its rows apart, or something that each row may
    /// do only once.
    pub fn of(
        subject: &Subject<'_>,
        builder: &Builder<'_>,
        keys: &Keys,
        refs: &[RefId],
        is_update: bool,
        said: &Said<'_>,
    ) -> Option<Self> {
        let met = &builder.shape.met;
        let once = met.assigns_variable || met.effect.is_some() || met.lock_function || met.unknown_function.is_some();
        let hinted = subject.hints.shard_value.is_some() || subject.hints.group.is_some();
        let qualified = builder.shape.qualifiers.iter().any(|qualifier| qualifier.schema.is_some());
        if once || hinted || met.only_one_shard.is_some() || qualified {
            return None;
        }
        let places = Places::of(subject, is_update, said.using)?;
        let target_refs = distinct(said.targets)?;
        let mut targets = Vec::with_capacity(target_refs.len());
        for id in &target_refs {
            let mut target = target(builder, keys, *id)?;
            target.moves = moves(&target.unit, *id, said);
            targets.push(target);
        }
        let moves = targets.iter().any(|target| target.moves);
        // rows are moved one table at a time; a duplicate elsewhere must leave a row where it was, unchanged
        if moves && (targets.len() > 1 || said.ignore) {
            return None;
        }
        let differs = met.random.is_some() && targets.iter().any(|target| target.unit.place.broadcast().is_some());
        let keeps_set = is_update && !moves && !differs && Self::may_keep(subject, builder, refs, &places, said);
        if is_update && !keeps_set {
            for (target, id) in targets.iter_mut().zip(&target_refs) {
                let info = match &builder.shape.refs[*id].kind {
                    RefKind::Table { info, .. } => info.as_deref(),
                    _ => None,
                };
                assign(subject, info, target, *id, said)?;
            }
        }
        let span = |range: &Range<usize>| Span::of(range, subject.literals);
        Some(Self {
            is_update,
            ignore: said.ignore,
            targets,
            set: places.set.as_ref().filter(|_| keeps_set).map(span),
            from: span(&places.from),
            tail: span(&places.tail),
            order: places.order.as_ref().map(span),
            limit: places.limit.as_ref().map(span),
        })
    }

    /// Whether the list of assignments can be sent to each node as it stands: it depends on the row alone.
    fn may_keep(
        subject: &Subject<'_>,
        builder: &Builder<'_>,
        refs: &[RefId],
        places: &Places,
        said: &Said<'_>,
    ) -> bool {
        let Some(set) = &places.set else { return false };
        let within = |range: &Range<usize>| set.start <= range.start && range.end <= set.end;
        let variables =
            subject.outline.tokens().iter().any(|token| {
                token.kind == crate::sql::lexer::TokenKind::UserVariable && within(&(token.start..token.end))
            });
        refs.len() == 1
            && !variables
            && !builder.shape.session_values.iter().any(|call| within(&call.range))
            && !said.assignments.iter().any(|assignment| has_query(&assignment.value))
    }

    /// The query that chooses the rows and locks them: of each table its identity, then what is assigned to it.
    pub fn read(&self, sql: &[u8], literals: &[Literal]) -> Vec<u8> {
        let mut out = b"SELECT ".to_vec();
        let mut separate = false;
        for target in &self.targets {
            let identity =
                target.identity.iter().map(|column| format!("{}.{}", target.visible, quoted(column)).into_bytes());
            let values =
                target.values.iter().filter_map(|assigned| Some(sql.get(assigned.value?.range(literals))?.to_vec()));
            for item in identity.chain(values) {
                if std::mem::replace(&mut separate, true) {
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(&item);
            }
        }
        let part = |span: Span| sql.get(span.range(literals)).unwrap_or_default();
        for piece in [b" FROM ", part(self.from), b" ", part(self.tail)] {
            out.extend_from_slice(piece);
        }
        // on one server an UPDATE without ORDER BY mostly goes by the primary key, and what fails first depends on it
        if let ([target], None) = (self.targets.as_slice(), &self.order)
            && target.moves
        {
            let keys: Vec<String> =
                target.identity.iter().map(|column| format!("{}.{}", target.visible, quoted(column))).collect();
            out.extend_from_slice(format!(" ORDER BY {}", keys.join(", ")).as_bytes());
        }
        if let Some(limit) = self.limit {
            out.push(b' ');
            out.extend_from_slice(part(limit));
        }
        out.extend_from_slice(b" FOR UPDATE");
        out
    }

    /// `UPDATE` of these rows of one node with the client's own assignments; `None` where the values are read before.
    pub fn update_kept(
        &self,
        target: &Target,
        node: usize,
        rows: &[&[Vec<u8>]],
        sql: &[u8],
        literals: &[Literal],
    ) -> Option<Vec<u8>> {
        let set = sql.get(self.set?.range(literals))?;
        let ignore = if self.ignore { "IGNORE " } else { "" };
        let mut out = format!("UPDATE {ignore}{} AS {} SET ", target.table(node), target.visible).into_bytes();
        out.extend_from_slice(set);
        out.extend_from_slice(b" WHERE ");
        out.extend_from_slice(&target.condition(rows));
        if let Some(order) = self.order {
            out.push(b' ');
            out.extend_from_slice(sql.get(order.range(literals)).unwrap_or_default());
        }
        Some(out)
    }
}

/// Where the parts of an UPDATE or DELETE stand.
struct Places {
    from: Range<usize>,
    set: Option<Range<usize>>,
    tail: Range<usize>,
    order: Option<Range<usize>>,
    limit: Option<Range<usize>>,
}

impl Places {
    fn of(subject: &Subject<'_>, is_update: bool, using: bool) -> Option<Self> {
        let clauses = Clauses { outline: &subject.outline, sql: subject.sql };
        const ENDS: &[&str] = &["WHERE", "ORDER", "LIMIT", "RETURNING"];
        let (from, set_at) = if is_update {
            let first = clauses.skip(0, &["UPDATE", "LOW_PRIORITY", "IGNORE"]);
            let set = clauses.find(first, &["SET"])?;
            (first..set, Some(set))
        } else {
            let mut first = clauses.find(0, &["FROM"])? + 1;
            if using {
                first = clauses.find(first, &["USING"])? + 1;
            }
            (first..clauses.find(first, ENDS).unwrap_or(clauses.end()), None)
        };
        // the statement must begin with its verb: WITH in front of it is not understood here
        let begins = clauses.outline.is_keyword(subject.sql, 0, &["UPDATE", "DELETE"]);
        let behind = set_at.map_or(from.end, |set| set + 1);
        let tail = clauses.find(behind, ENDS).unwrap_or(clauses.end());
        if !begins || clauses.find(tail, &["RETURNING"]).is_some() {
            return None;
        }
        let limit = clauses.find(tail, &["LIMIT"]);
        let before_limit = limit.unwrap_or(clauses.end());
        let order = clauses.find(tail, &["ORDER"]).map(|order| clauses.range(order, before_limit));
        Some(Self {
            from: clauses.range(from.start, from.end),
            set: set_at.map(|set| clauses.range(set + 1, tail)),
            tail: clauses.range(tail, before_limit),
            order,
            limit: limit.map(|limit| clauses.range(limit, clauses.end())),
        })
    }
}

/// The tables, each once; `None` if one of them is not certain.
fn distinct(targets: &[Option<RefId>]) -> Option<Vec<RefId>> {
    let mut found: Vec<RefId> = Vec::new();
    for target in targets {
        let target = (*target)?;
        if !found.contains(&target) {
            found.push(target);
        }
    }
    (!found.is_empty()).then_some(found)
}

fn target(builder: &Builder<'_>, keys: &Keys, id: RefId) -> Option<Target> {
    let reference = &builder.shape.refs[id];
    let RefKind::Table { info: Some(info), .. } = &reference.kind else { return None };
    let unit = keys.units.get(keys.unit_of(id)?)?.clone();
    if info.kind != TableKind::Base || info.row_key().is_empty() || unit.place.is_system() {
        return None;
    }
    let (identity, key) = identity(&unit, info);
    let columns = info.columns.iter().filter(|column| !column.generated).map(|column| column.name.as_str().into());
    Some(Target {
        names: names_of(std::slice::from_ref(&unit)),
        visible: quoted(reference.visible_name()).into(),
        identity,
        key,
        values: Vec::new(),
        moves: false,
        columns: columns.collect(),
        unit,
    })
}

/// The key that tells rows apart and what of the sharding key is not in it; where the columns of the sharding key stand in
/// that.
fn identity(unit: &Unit, info: &TableInfo) -> (Vec<Box<str>>, Vec<usize>) {
    let mut identity: Vec<Box<str>> = info.row_key().iter().map(|name| name.as_str().into()).collect();
    let mut key = Vec::new();
    for column in unit.keyed.iter().flat_map(|keyed| &keyed.columns) {
        let known = identity.iter().position(|name| name.eq_ignore_ascii_case(column));
        key.push(known.unwrap_or_else(|| {
            identity.push((**column).into());
            identity.len() - 1
        }));
    }
    (identity, key)
}

/// Whether a column of the sharding key is assigned.
fn moves(unit: &Unit, id: RefId, said: &Said<'_>) -> bool {
    let is_key =
        |column: &String| unit.keyed.as_ref().is_some_and(|keyed| keyed.columns.iter().any(|key| **key == **column));
    said.targets.iter().zip(said.columns).any(|(table, column)| *table == Some(id) && is_key(column))
}

/// Takes over the assignments to one of the tables.
fn assign(
    subject: &Subject<'_>,
    info: Option<&TableInfo>,
    target: &mut Target,
    id: RefId,
    said: &Said<'_>,
) -> Option<()> {
    let mut before: Vec<&str> = Vec::new();
    for ((table, column), assignment) in said.targets.iter().zip(said.columns).zip(said.assignments) {
        if *table != Some(id) {
            before.push(column);
            continue;
        }
        if matches!(assignment.target, AssignmentTarget::Tuple(_)) {
            return None;
        }
        // a value that is read before sees none of the assignments that stand in front of it
        if names(&assignment.value).iter().any(|name| before.contains(&name.as_str())) {
            return None;
        }
        let value = match crate::plan::insert::is_default(&assignment.value) {
            true => None,
            false => Some(Span::of(&value_range(subject, assignment)?, subject.literals)),
        };
        let taker = info.and_then(|info| Taker::of(info, column));
        target.values.push(Assigned { column: column.as_str().into(), value, taker });
        before.push(column);
    }
    Some(())
}

/// The bytes of an assigned value: behind `=`, up to the comma or clause that ends it.
fn value_range(subject: &Subject<'_>, assignment: &Assignment) -> Option<Range<usize>> {
    let outline = &subject.outline;
    let tokens = outline.tokens();
    let mut index = outline.index_at(spans::range(&assignment.target)?.end);
    while !tokens.get(index)?.is_symbol(subject.sql, b'=') {
        index += 1;
    }
    let first = index + 1;
    index = first;
    while let Some(token) = tokens.get(index) {
        if token.is_symbol(subject.sql, b'(') {
            index = outline.closing(subject.sql, index)? + 1;
            continue;
        }
        if token.is_symbol(subject.sql, b',') || outline.is_keyword(subject.sql, index, &["WHERE", "ORDER", "LIMIT"]) {
            break;
        }
        index += 1;
    }
    (index > first).then(|| tokens[first].start..tokens[index - 1].end)
}

pub(crate) fn has_query(expr: &Expr) -> bool {
    visit_expressions(expr, |inner| match inner {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// The last parts of all names in an expression, in small letters.
fn names(expr: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    let _ = visit_expressions(expr, |inner| {
        match inner {
            Expr::Identifier(name) => found.push(name.value.to_lowercase()),
            Expr::CompoundIdentifier(parts) => found.extend(parts.last().map(|name| name.value.to_lowercase())),
            Expr::Function(function) => {
                found.extend(
                    function.name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase()),
                );
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    found
}
