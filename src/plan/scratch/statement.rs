//! The client's statement over temporary tables: its own text with the names of tables replaced.

use std::ops::Range;

use super::table::quoted;
use crate::plan::error::PlanError;
use crate::plan::keys::Keys;
use crate::plan::names::{item_names, name_in, session_values, table_word};
use crate::plan::shape::{Builder, TableRef};
use crate::plan::template::{Template, TemplateBuilder};
use crate::sql::lexer::TokenKind;
use crate::sql::splice::Piece;

/// `PARTITION (…)` behind the name of a table, as it is written.
pub(super) type Partition = Option<Box<str>>;

/// The statement, and for each unit the `PARTITION (…)` that it is read with.
pub(super) fn statement(
    builder: &Builder<'_>,
    keys: &Keys,
    names: &[&str],
) -> Result<(Template, Vec<Partition>), PlanError> {
    let (mut template, partitions) = tables(builder, keys, names);
    session_values(builder, &mut template);
    item_names(builder, keys, &mut template);
    Ok((template.build(builder.sql.len(), builder.literals)?, partitions))
}

/// The edits for names of tables.
pub(super) fn tables(builder: &Builder<'_>, keys: &Keys, names: &[&str]) -> (TemplateBuilder, Vec<Partition>) {
    let mut template = TemplateBuilder::default();
    let mut partitions = Vec::new();
    for (id, name) in keys.refs.iter().zip(names) {
        let reference = &builder.shape.refs[*id];
        let extras = Extras::behind(builder, reference);
        if let Some(word) = table_word(builder, reference) {
            template.pieces(word, [Piece::from("SELECT * FROM")]);
        }
        let mut text = quoted(name);
        if reference.alias.is_none() {
            text.push_str(" AS ");
            text.push_str(&String::from_utf8_lossy(name_in(builder, reference)));
        }
        template.pieces(reference.range.clone(), [Piece::from(&*text)]);
        let removed = extras.partition.iter().chain(&extras.index_hints);
        removed.for_each(|range| template.pieces(range.clone(), []));
        partitions.push(extras.partition.and_then(|range| {
            let text = builder.sql.get(range)?;
            std::str::from_utf8(text).ok().map(Into::into)
        }));
    }
    for qualifier in builder.shape.qualifiers.iter().filter(|qualifier| qualifier.schema.is_some()) {
        if keys.unit_of(qualifier.table).is_some() {
            let visible = quoted(builder.shape.refs[qualifier.table].visible_name());
            template.pieces(qualifier.range.clone(), [Piece::from(&*visible)]);
        }
    }
    (template, partitions)
}

/// What stands behind the name of a table and speaks of how it is stored.
#[derive(Default)]
struct Extras {
    partition: Option<Range<usize>>,
    index_hints: Vec<Range<usize>>,
}

impl Extras {
    /// `PARTITION (…)`, then an alias, then index hints.
    fn behind(builder: &Builder<'_>, reference: &TableRef) -> Self {
        let (outline, sql) = (builder.outline, builder.sql);
        let mut extras = Self::default();
        let mut at = outline.index_at(reference.range.end);
        let start_of = |index: usize| outline.tokens().get(index).map(|token| token.start);
        if outline.is_keyword(sql, at, &["PARTITION"])
            && let Some(close) = outline.closing(sql, at + 1)
            && let Some(start) = start_of(at)
        {
            extras.partition = Some(start..outline.tokens()[close].end);
            at = close + 1;
        }
        if reference.alias.is_some() {
            at += usize::from(outline.is_keyword(sql, at, &["AS"])) + 1;
        }
        while outline.is_keyword(sql, at, &["USE", "FORCE", "IGNORE"])
            && outline.is_keyword(sql, at + 1, &["INDEX", "KEY"])
        {
            let is_open = |index: &usize| outline.tokens().get(*index).is_some_and(|token| token.is_symbol(sql, b'('));
            // FOR JOIN, FOR ORDER BY, FOR GROUP BY
            let Some(open) = (at + 2..at + 6).find(is_open) else { break };
            let (Some(start), Some(close)) = (start_of(at), outline.closing(sql, open)) else { break };
            extras.index_hints.push(start..outline.tokens()[close].end);
            at = close + 1;
            if outline
                .tokens()
                .get(at)
                .is_some_and(|token| token.kind == TokenKind::Symbol && token.is_symbol(sql, b','))
                && outline.is_keyword(sql, at + 1, &["USE", "FORCE", "IGNORE"])
            {
                at += 1;
            }
        }
        extras
    }
}
