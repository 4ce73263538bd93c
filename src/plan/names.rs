//! Edits that a statement needs wherever it runs: names of tables, and values of the session.

use std::ops::Range;
use std::sync::Arc;

use super::anchor::Span;
use super::error::PlanError;
use super::keys::Keys;
use super::place::Place;
use super::shape::{Builder, RefKind, SessionCall, TableRef};
use super::system::{Asked, View, is_mariadb, is_view};
use super::template::{Slot, TemplateBuilder};
use super::unit::quoted;
use crate::sql::lexer::{TokenKind, unquote_name};
use crate::sql::splice::Piece;

/// A template with the edits for names, session values and lists. The target table of a DELETE or INSERT is unit `target`.
pub(crate) fn base(builder: &Builder<'_>, keys: &Keys, target: Option<usize>) -> Result<TemplateBuilder, PlanError> {
    let mut template = tables(builder, keys, target)?;
    session_values(builder, &mut template);
    item_names(builder, keys, &mut template);
    super::lists::split(&mut template, &builder.shape, keys, builder.literals);
    template.expect_params(builder.outline.params());
    Ok(template)
}

/// A template with the edits for names of tables.
pub(crate) fn tables(builder: &Builder<'_>, keys: &Keys, target: Option<usize>) -> Result<TemplateBuilder, PlanError> {
    let mut template = TemplateBuilder::default();
    for (unit, id) in keys.refs.iter().enumerate() {
        let reference = &builder.shape.refs[*id];
        if let Some(word) = table_word(builder, reference) {
            template.pieces(word, [Piece::from("SELECT * FROM")]);
        }
        if let Some(views) = views(builder, reference)? {
            let alias = reference.alias.is_none().then(|| name_in(builder, reference).into());
            template.slot(reference.range.clone(), Slot::View { unit, views, alias });
            continue;
        }
        let everywhere = target == Some(unit);
        let written = builder.sql.get(reference.range.clone()).unwrap_or_default();
        let alias = (reference.alias.is_none() && !everywhere).then(|| name_in(builder, reference).into());
        match (behind_partitions(builder, reference), alias) {
            // `t PARTITION (p0) AS alias`
            (Some(end), Some(alias)) => {
                template.slot(reference.range.clone(), Slot::Table { unit, written: written.into(), alias: None });
                template.slot(end..end, Slot::Alias { unit, alias });
            }
            (_, alias) => template.slot(reference.range.clone(), Slot::Table { unit, written: written.into(), alias }),
        }
    }
    for qualifier in &builder.shape.qualifiers {
        let Some(unit) = keys.unit_of(qualifier.table) else { continue };
        let reference = &builder.shape.refs[qualifier.table];
        if qualifier.schema.is_some() && views(builder, reference)?.is_some() {
            template.pieces(qualifier.range.clone(), [Piece::from(&*quoted(reference.visible_name()))]);
            continue;
        }
        let written: Box<[u8]> = builder.sql.get(qualifier.range.clone()).unwrap_or_default().into();
        if target == Some(unit) && reference.alias.is_none() {
            let schema = qualifier.schema.as_deref().map(Into::into);
            template.slot(qualifier.range.clone(), Slot::Qualifier { unit, schema, written });
        } else if let Some(schema) = &qualifier.schema {
            let visible = reference.visible_name().into();
            let schema = schema.as_str().into();
            template.slot(qualifier.range.clone(), Slot::SchemaQualifier { unit, schema, written, visible });
        }
    }
    Ok(template)
}

/// The word TABLE in front of a name, which takes no alias: it becomes the SELECT that it stands for.
pub(crate) fn table_word(builder: &Builder<'_>, reference: &TableRef) -> Option<Range<usize>> {
    let index = builder.outline.index_at(reference.range.start).checked_sub(1)?;
    let token = builder.outline.tokens().get(index)?;
    token.is_word(builder.sql, "table").then_some(token.start..token.end)
}

/// Where `PARTITION (…)` ends behind the name of a table.
pub(crate) fn behind_partitions(builder: &Builder<'_>, reference: &TableRef) -> Option<usize> {
    let outline = builder.outline;
    let next = outline.index_at(reference.range.end);
    if !outline.is_keyword(builder.sql, next, &["PARTITION"]) {
        return None;
    }
    let close = outline.closing(builder.sql, next + 1)?;
    outline.tokens().get(close).map(|token| token.end)
}

/// A view of `information_schema` on each of the groups that it is read from; `None` where it is shown as it is.
pub(crate) fn views(builder: &Builder<'_>, reference: &TableRef) -> Result<Option<Arc<[View]>>, PlanError> {
    let RefKind::Table { place, info } = &reference.kind else { return Ok(None) };
    if !is_view(place) {
        return Ok(None);
    }
    let groups: Vec<_> = place.nodes().iter().map(|node| node.group).collect();
    let rules = builder.context.rules;
    let schemas = match place {
        Place::System { only, .. } => only.as_deref(),
        _ => None,
    };
    let spelled = spelled(builder);
    let asked = Asked { groups: &groups, schemas, spelled: &spelled };
    let view = |group| View::new(rules, place.table(), info.as_deref(), group, &asked);
    groups.iter().map(|group| view(*group)).collect()
}

/// Names in the select list, in the case in which they are written: so MariaDB titles the columns of its views. With a
/// `*` they are the views' own.
fn spelled(builder: &Builder<'_>) -> Vec<String> {
    if !is_mariadb(builder.context) {
        return Vec::new();
    }
    let sql = builder.sql;
    let tokens = builder.outline.tokens();
    let list = tokens.iter().take_while(|token| !token.is_word(sql, "from"));
    let mut names = Vec::new();
    let mut opened = false;
    for token in list {
        if token.is_symbol(sql, b'*') && !opened {
            return Vec::new();
        }
        opened = token.is_symbol(sql, b'(');
        if matches!(token.kind, TokenKind::Word | TokenKind::QuotedName) {
            names.push(unquote_name(token.bytes(sql)).into_owned());
        }
    }
    names
}

/// The name of a table without its schema, as it is written.
pub(crate) fn name_in<'a>(builder: &Builder<'a>, reference: &TableRef) -> &'a [u8] {
    let outline = builder.outline;
    let last = outline.index_at(reference.range.end).checked_sub(1).and_then(|index| outline.tokens().get(index));
    last.map(|token| token.bytes(builder.sql)).unwrap_or_default()
}

/// Session values become literals.
pub(crate) fn session_values(builder: &Builder<'_>, template: &mut TemplateBuilder) {
    for call in &builder.shape.session_values {
        let written = builder.sql.get(call.range.clone()).unwrap_or_default().into();
        template.slot(call.range.clone(), Slot::Session { value: call.what.clone(), written });
    }
}

/// An item without alias whose text changes keeps its name.
pub(crate) fn item_names(builder: &Builder<'_>, keys: &Keys, template: &mut TemplateBuilder) {
    let calls = &builder.shape.session_values;
    let refs = &builder.shape.refs;
    let of_calls = calls.iter().filter_map(|call| call.item.as_ref());
    let of_tables = keys.refs.iter().filter_map(|id| refs[*id].item.as_ref());
    let mut items: Vec<&Range<usize>> = of_calls.chain(of_tables).collect();
    items.sort_by_key(|item| (item.start, item.end));
    items.dedup();
    for item in items {
        let within: Vec<&SessionCall> = calls.iter().filter(|call| call.item.as_ref() == Some(item)).collect();
        let values = within.iter().map(|call| call.what.clone()).collect();
        let units = (0..keys.refs.len()).filter(|unit| refs[keys.refs[*unit]].item.as_ref() == Some(item)).collect();
        let name = Span::of(item, builder.literals);
        template.slot(item.end..item.end, Slot::ItemAlias { values, units, item: name });
    }
}
