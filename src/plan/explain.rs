//! EXPLAIN of a statement: explained where it would run first.

use std::ops::Range;

use bytes::Bytes;

use super::action::Action;
use super::error::PlanError;
use super::query::Subject;
use super::types::{Access, Bound, Params, ScratchBound, SessionValues, ShardStatement, StatementKind, Text};
use super::{KeySource, Plan, PlanContext, opaque};
use crate::route::key::RawValue;
use crate::sql::session_statement::Explain;
use crate::sql::{Literal, scan};

/// `EXPLAIN …` in front of a plan.
#[derive(Debug, Clone)]
pub(crate) struct ExplainAction {
    /// The plan of what is explained.
    inner: Box<Plan>,
    /// How many literals stand in front of it.
    literals_before: usize,
    /// Where it begins, behind the last of them.
    distance: usize,
    /// It runs: EXPLAIN ANALYZE, or MariaDB's ANALYZE.
    executes: bool,
    /// The rows tell physical names: what is written has no alias.
    names_in_rows: bool,
}

/// Plans EXPLAIN.
pub(crate) fn plan(subject: &Subject<'_>, explain: &Explain) -> Result<Plan, PlanError> {
    if explain.statement.is_empty() {
        return opaque::plan(subject, "EXPLAIN FOR CONNECTION");
    }
    let text = subject.sql.get(explain.statement.clone()).unwrap_or_default();
    let context = PlanContext { ..*subject.context };
    let mut literals = Vec::new();
    let scanned = scan(text, context.mode, &mut literals);
    let inner = super::plan(&context, text, &scanned, &literals)?;
    if explain.executes && inner.access != Access::Read {
        return Err(PlanError::not_supported(
            "EXPLAIN ANALYZE of a statement that writes",
            "explain it without ANALYZE",
        ));
    }
    let names_in_rows = inner.kind != StatementKind::Select && !context.prepared;
    let start = explain.statement.start;
    let literals_before = subject.literals.iter().filter(|literal| (literal.end as usize) <= start).count();
    let base = literals_before.checked_sub(1).map_or(0, |last| subject.literals[last].end as usize);
    let mut pinned = inner.pinned.clone();
    pinned.iter_mut().for_each(|pinned| pinned.index += literals_before);
    Ok(Plan {
        kind: StatementKind::Select,
        access: Access::Read,
        pins: inner.pins,
        needs: inner.needs,
        server_hint: inner.server_hint,
        pinned,
        tables: inner.tables.clone(),
        assigned_variables: Vec::new(),
        mode: context.mode,
        text_is_utf8: context.text_is_utf8,
        compose: None,
        given_ids: None,
        skip: None,
        warnings: Vec::new(),
        digest: Default::default(),
        action: Action::Explain(ExplainAction {
            inner: Box::new(inner),
            literals_before,
            distance: start - base,
            executes: explain.executes,
            names_in_rows,
        }),
    })
}

impl ExplainAction {
    /// The first of the statements that would run, explained.
    pub fn bind(
        &self,
        sql: &[u8],
        literals: &[Literal],
        params: &[RawValue<'_>],
        session: &dyn SessionValues,
        ids: KeySource<'_>,
    ) -> Result<Bound, PlanError> {
        let (range, inner) = self.inside(sql, literals);
        let bound = self.inner.bind_with(&sql[range.clone()], &inner, params, session, ids)?;
        if let Some(scratch) = bound.scratch {
            // partial groups are put together: what the first shard does is the query's own plan
            if let Some(first) = scratch.combine.as_ref().and_then(|combine| combine.shards.first()) {
                let shards = vec![prefixed(sql, range, first.clone())];
                return Ok(Bound { shards, ..Bound::default() });
            }
            return Ok(Bound { scratch: Some(Box::new(self.over_scratch(sql, range, *scratch))), ..Bound::default() });
        }
        let first = bound.shards.into_iter().next().ok_or(PlanError::Internal("a plan without a statement"))?;
        let names_in_rows = self.names_in_rows && first.names.is_some();
        let shards = vec![prefixed(sql, range, first)];
        Ok(Bound { shards, names_in_rows, ..Bound::default() })
    }

    /// A query over temporary tables is explained over such tables, which are empty where it does not run.
    fn over_scratch(&self, sql: &[u8], range: Range<usize>, mut scratch: ScratchBound) -> ScratchBound {
        let mut text = sql.get(..range.start).unwrap_or_default().to_vec();
        text.extend_from_slice(scratch.sql.bytes(sql.get(range).unwrap_or_default()));
        scratch.sql = Text::Rewritten(Bytes::from(text));
        scratch.gives_rows = true;
        scratch.reads_again = false;
        if !self.executes {
            scratch.reads.iter_mut().for_each(|read| read.shards.clear());
        }
        scratch
    }

    /// As [`Plan::sample`].
    pub fn sample(&self, sql: &[u8], literals: &[Literal]) -> Result<ShardStatement, PlanError> {
        let (range, inner) = self.inside(sql, literals);
        let sample = self.inner.sample(&sql[range.clone()], &inner)?;
        Ok(prefixed(sql, range, sample))
    }

    /// Where the explained statement stands, and its literals as they count in it.
    fn inside(&self, sql: &[u8], literals: &[Literal]) -> (Range<usize>, Vec<Literal>) {
        let base = self.literals_before.checked_sub(1).and_then(|last| literals.get(last));
        let start = (base.map_or(0, |literal| literal.end as usize) + self.distance).min(sql.len());
        let offset = u32::try_from(start).unwrap_or(u32::MAX);
        let behind = literals.get(self.literals_before..).unwrap_or_default().iter();
        let moved = behind.map(|literal| Literal {
            start: literal.start.saturating_sub(offset),
            end: literal.end.saturating_sub(offset),
            kind: literal.kind,
        });
        (start..sql.len(), moved.collect())
    }
}

fn prefixed(sql: &[u8], range: Range<usize>, statement: ShardStatement) -> ShardStatement {
    let text = match &statement.sql {
        Text::Same => Text::Same,
        Text::Rewritten(bytes) => {
            let mut out = sql.get(..range.start).unwrap_or_default().to_vec();
            out.extend_from_slice(bytes);
            Text::Rewritten(Bytes::from(out))
        }
    };
    let params = match (&text, statement.params) {
        (Text::Same, _) => Params::Same,
        (_, params) => params,
    };
    ShardStatement { sql: text, params, ..statement }
}
