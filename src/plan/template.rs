//! The text that a shard gets: the client's, with names of tables and a few numbers replaced.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::anchor::Span;
use super::error::PlanError;
use super::functions::SessionFunction;
use super::lists::SplitList;
use super::shape::SessionValue;
use super::system::{View, literal};
use super::types::{ParamSource, Params, SessionValues, Text};
use super::unit::{Unit, quote_name};
use crate::route::values::Values;
use crate::sql::Literal;
use crate::sql::lexer::is_name_byte;
use crate::sql::splice::{Piece, Splice, SpliceBuilder};

/// How many bytes of an item's text servers take as the name of its column: as many characters as fit.
const ITEM_NAME_BYTES: usize = 255;

/// A part of a text that is known only when the plan is bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slot {
    /// The name of a table in FROM.
    Table {
        /// Which.
        unit: usize,
        /// What was written.
        written: Box<[u8]>,
        /// The alias to add where the physical name differs; `None` where there is one, or none may be.
        alias: Option<Box<[u8]>>,
    },
    /// The alias of a table whose physical name differs, where it stands apart from the name.
    Alias {
        /// Which.
        unit: usize,
        /// The alias.
        alias: Box<[u8]>,
    },
    /// The name of a table in place of a list of them.
    Name {
        /// Which.
        unit: usize,
    },
    /// A view of `information_schema`, as a derived table.
    View {
        /// Which reference.
        unit: usize,
        /// The view on each of its nodes.
        views: Arc<[View]>,
        /// The alias to add; `None` where there is one.
        alias: Option<Box<[u8]>>,
    },
    /// The qualifier of a column, where no alias may be given to the table.
    Qualifier {
        /// Of which table.
        unit: usize,
        /// The schema, if one was written.
        schema: Option<Box<str>>,
        /// What was written.
        written: Box<[u8]>,
    },
    /// The qualifier of a column with a schema: becomes the table's visible name where that is an alias now, or where
    /// the schema is another one.
    SchemaQualifier {
        /// Of which table.
        unit: usize,
        /// The schema as written.
        schema: Box<str>,
        /// What was written.
        written: Box<[u8]>,
        /// The visible name.
        visible: Box<str>,
    },
    /// A parameter.
    Param(u32),
    /// The count of LIMIT on the shards; written as a parameter if the client's was one.
    LimitCount {
        /// The client wrote `?`.
        param: bool,
    },
    /// The offset of LIMIT on the shards, which is 0.
    LimitOffset {
        /// The client wrote `?`.
        param: bool,
    },
    /// A value of the session.
    Session {
        /// Which.
        value: SessionValue,
        /// What was written.
        written: Box<[u8]>,
    },
    /// The alias that keeps the name of a column whose text changes.
    ItemAlias {
        /// The values in the item: if none of them is replaced, the name stays.
        values: Vec<SessionValue>,
        /// The tables in it: if none of them has another name, the name stays.
        units: Vec<usize>,
        /// The item: its text is the name.
        item: Span,
    },
    /// Members of a list: over several shards, those that a shard needs.
    List(SplitList),
    /// Rows of an INSERT.
    Rows,
}

/// A text with slots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    splice: Splice,
    slots: Vec<Slot>,
    /// The parameters are not the client's list as it is.
    own_params: bool,
    /// It holds edits that are no slots.
    always_changes: bool,
}

/// Collects the edits of a template.
#[derive(Debug, Clone, Default)]
pub(crate) struct TemplateBuilder {
    splice: SpliceBuilder,
    slots: Vec<Slot>,
    own_params: bool,
    always_changes: bool,
    /// The lists that write their parameters themselves.
    lists: Vec<Range<usize>>,
    /// Where the parameters of the statement stand.
    params: Vec<usize>,
}

impl TemplateBuilder {
    /// Says where the parameters of the statement stand.
    pub fn expect_params(&mut self, params: &[usize]) {
        params.clone_into(&mut self.params);
    }

    /// Replaces a range by a slot.
    pub fn slot(&mut self, range: Range<usize>, slot: Slot) {
        if matches!(&slot, Slot::List(list) if list.has_params()) {
            self.lists.push(range.clone());
        }
        let piece = self.piece(slot);
        self.splice.replace(range, [piece]);
    }

    /// A slot as a piece of an edit.
    pub fn piece(&mut self, slot: Slot) -> Piece {
        let index = self.slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        Piece::Slot(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Replaces a range by pieces.
    pub fn pieces(&mut self, range: Range<usize>, pieces: impl IntoIterator<Item = Piece>) {
        self.always_changes = true;
        self.splice.replace(range, pieces);
    }

    /// Makes the text keep account of its parameters: needed where some are copied, dropped or computed. Those in
    /// `replaced` are written by other slots.
    pub fn account_params(&mut self, params: &[usize], replaced: &[Range<usize>]) {
        self.own_params = true;
        for (number, offset) in params.iter().enumerate() {
            if !replaced.iter().chain(&self.lists).any(|range| range.contains(offset)) {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                self.slot(*offset..*offset + 1, Slot::Param(number));
            }
        }
    }

    /// The finished template.
    pub fn build(mut self, length: usize, literals: &[Literal]) -> Result<Template, PlanError> {
        if !self.lists.is_empty() && !self.own_params {
            let params = std::mem::take(&mut self.params);
            self.account_params(&params, &[]);
        }
        let splice = self.splice.build(length, literals).map_err(|error| {
            tracing::debug!(%error, "edits do not fit");
            PlanError::Internal("edits of the text do not fit together")
        })?;
        if self.slots.len() > usize::from(u16::MAX) {
            return Err(PlanError::not_supported("a statement of this size", "split it"));
        }
        Ok(Template { splice, slots: self.slots, own_params: self.own_params, always_changes: self.always_changes })
    }
}

/// What the slots of one shard's text are filled with.
pub(crate) struct Filling<'a> {
    /// The tables.
    pub units: &'a [Unit],
    /// The node of each.
    pub nodes: &'a [usize],
    /// The physical schema that the connection is in.
    pub schema: &'a str,
    /// The session.
    pub session: &'a dyn SessionValues,
    /// LIMIT on the shards.
    pub limit_count: u64,
    /// The parts of an INSERT.
    pub insert: Option<&'a dyn InsertFilling>,
    /// The logical schema that the client has chosen.
    pub chosen: Option<&'a str>,
    /// The statement goes to several shards.
    pub several: bool,
    /// All tables are read under other names: as temporary tables.
    pub renamed: bool,
    /// Parameters are written as literals; they are known to have such.
    pub inline: bool,
}

/// The parts of an INSERT that differ from shard to shard.
pub(crate) trait InsertFilling {
    /// Writes the rows.
    fn rows(&self, out: &mut Vec<u8>, params: &mut Vec<ParamSource>);
}

/// What is known of a text while it is written.
#[derive(Default)]
pub(super) struct Progress {
    /// The parameters so far.
    params: Vec<ParamSource>,
    /// Where the last slot ends.
    seam: usize,
}

impl Template {
    /// The text and parameters for one shard; for several, see [`super::frame::Frames`].
    pub fn fill(&self, values: &Values<'_>, filling: &Filling<'_>) -> (Text, Params) {
        if self.is_unchanged(filling) {
            return (Text::Same, Params::Same);
        }
        let mut out = Vec::with_capacity(values.sql.len() + 64);
        let mut progress = Progress::default();
        self.splice.apply(values.sql, values.literals, &mut out, |slot, out| {
            self.write_slot(slot, values, filling, out, &mut progress);
        });
        self.finish(out, progress, filling)
    }

    /// Whether a shard gets the client's own text.
    pub(super) fn is_unchanged(&self, filling: &Filling<'_>) -> bool {
        !self.always_changes && self.slots.iter().all(|slot| slot.is_unchanged(filling))
    }

    /// The text without its slots, and where each of them belongs.
    pub(super) fn frame(&self, values: &Values<'_>) -> (Vec<u8>, Vec<(usize, u16)>) {
        let mut text = Vec::with_capacity(values.sql.len() + 64);
        let mut slots = Vec::with_capacity(self.slots.len());
        self.splice.apply(values.sql, values.literals, &mut text, |slot, text| slots.push((text.len(), slot)));
        (text, slots)
    }

    /// Writes a slot.
    pub(super) fn write_slot(
        &self,
        slot: u16,
        values: &Values<'_>,
        filling: &Filling<'_>,
        out: &mut Vec<u8>,
        progress: &mut Progress,
    ) {
        let Some(slot) = self.slots.get(usize::from(slot)) else { return };
        keep_apart(out, progress.seam);
        let start = out.len();
        slot.write(values, filling, out, &mut progress.params);
        keep_apart(out, start);
        progress.seam = out.len();
    }

    /// Ends a text.
    pub(super) fn finish(&self, mut out: Vec<u8>, progress: Progress, filling: &Filling<'_>) -> (Text, Params) {
        keep_apart(&mut out, progress.seam);
        let params = if self.own_params && !filling.inline { Params::List(progress.params) } else { Params::Same };
        (Text::Rewritten(Bytes::from(out)), params)
    }
}

impl Filling<'_> {
    fn as_written(&self, unit: usize) -> bool {
        if self.renamed {
            return false;
        }
        match (self.units.get(unit), self.nodes.get(unit)) {
            (Some(unit), Some(node)) => unit.is_as_written(*node, self.schema),
            _ => true,
        }
    }

    /// Whether a qualifier, with or without this schema, names the table still.
    fn is_named(&self, unit: usize, schema: Option<&str>) -> bool {
        let node = || self.units.get(unit)?.node(*self.nodes.get(unit)?);
        self.as_written(unit) && schema.is_none_or(|schema| node().is_none_or(|node| *node.schema == *schema))
    }

    /// The text of a session value; none if the server's own answer is the right one.
    fn session_value(&self, value: &SessionValue) -> Option<String> {
        let is_database = *value == SessionValue::Function(SessionFunction::Database);
        match self.chosen {
            Some(chosen) if is_database && chosen == self.schema => return None,
            // the connection is in another schema than the client
            Some(chosen) if is_database => return Some(format!("IF(1, {}, DATABASE())", literal(chosen))),
            _ => {}
        }
        self.session.value(value)
    }

    fn changes_any(&self, values: &[SessionValue], units: &[usize]) -> bool {
        units.iter().any(|unit| !self.as_written(*unit))
            || values.iter().any(|value| self.session_value(value).is_some())
    }

    fn write_name(&self, unit: usize, out: &mut Vec<u8>) {
        if let (Some(unit), Some(node)) = (self.units.get(unit), self.nodes.get(unit)) {
            unit.write_name(*node, self.schema, out);
        }
    }
}

/// Keeps words apart that quotes had kept apart: a name in its place may need none, as in ``FROM`t`WHERE``.
fn keep_apart(text: &mut Vec<u8>, seam: usize) {
    let is_word = |at: usize| text.get(at).copied().is_some_and(is_name_byte);
    if seam > 0 && is_word(seam - 1) && is_word(seam) {
        text.insert(seam, b' ');
    }
}

impl Slot {
    /// Whether the slot would write what stands there.
    fn is_unchanged(&self, filling: &Filling<'_>) -> bool {
        match self {
            Self::Table { unit, .. } | Self::Alias { unit, .. } => filling.as_written(*unit),
            Self::Qualifier { unit, schema, .. } => filling.is_named(*unit, schema.as_deref()),
            Self::SchemaQualifier { unit, schema, .. } => filling.is_named(*unit, Some(schema)),
            Self::Param(_) => !filling.inline,
            Self::View { .. } => false,
            Self::List(_) => !filling.several,
            Self::Session { value, .. } => filling.session_value(value).is_none(),
            Self::ItemAlias { values, units, .. } => !filling.changes_any(values, units),
            Self::Name { .. } | Self::LimitCount { .. } | Self::LimitOffset { .. } | Self::Rows => false,
        }
    }

    fn write(&self, values: &Values<'_>, filling: &Filling<'_>, out: &mut Vec<u8>, params: &mut Vec<ParamSource>) {
        match self {
            Self::Table { unit, written, .. } if filling.as_written(*unit) => out.extend_from_slice(written),
            Self::Qualifier { unit, schema, written } if filling.is_named(*unit, schema.as_deref()) => {
                out.extend_from_slice(written);
            }
            Self::Table { unit, alias, .. } => {
                filling.write_name(*unit, out);
                if let Some(alias) = alias {
                    out.extend_from_slice(b" AS ");
                    out.extend_from_slice(alias);
                }
            }
            Self::View { unit, views, alias } => {
                if let Some(view) = filling.nodes.get(*unit).and_then(|node| views.get(*node)) {
                    view.write(filling.session, alias.as_deref(), out);
                }
            }
            Self::Alias { unit, alias } => {
                if !filling.as_written(*unit) {
                    out.extend_from_slice(b" AS ");
                    out.extend_from_slice(alias);
                }
            }
            Self::Qualifier { unit, .. } | Self::Name { unit } => filling.write_name(*unit, out),
            Self::SchemaQualifier { unit, schema, written, visible } => {
                if filling.is_named(*unit, Some(schema)) {
                    out.extend_from_slice(written);
                } else {
                    quote_name(visible, out);
                }
            }
            Self::Param(number) if filling.inline => {
                super::scratch::write_param(values, *number, out);
            }
            Self::Param(number) => {
                out.push(b'?');
                params.push(ParamSource::Param(*number));
            }
            Self::LimitCount { param } => write_number(filling.limit_count, *param, out, params),
            Self::LimitOffset { param } => write_number(0, *param, out, params),
            Self::Session { value, written } => match filling.session_value(value) {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => out.extend_from_slice(written),
            },
            Self::ItemAlias { values: calls, units, item } => {
                if filling.changes_any(calls, units) {
                    let text = values.sql.get(item.range(values.literals)).unwrap_or_default();
                    out.extend_from_slice(b" AS ");
                    quote_name(item_name(&String::from_utf8_lossy(text)), out);
                }
            }
            Self::List(list) => {
                let nodes = if filling.several { filling.nodes } else { &[] };
                list.write(filling.units, nodes, values, out, params);
            }
            Self::Rows => {
                if let Some(insert) = filling.insert {
                    insert.rows(out, params);
                }
            }
        }
    }
}

/// The name that an item without alias gives its column; an alias may not end with blanks.
pub(crate) fn item_name(text: &str) -> &str {
    let end = (0..=text.len().min(ITEM_NAME_BYTES)).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or_default()].trim_end()
}

fn write_number(number: u64, param: bool, out: &mut Vec<u8>, params: &mut Vec<ParamSource>) {
    if param {
        out.push(b'?');
        params.push(ParamSource::Const(number));
    } else {
        out.extend_from_slice(number.to_string().as_bytes());
    }
}
