//! Rows of several shards, woven into one result.
//!
//! Each input is one shard's result; inputs that share a connection run on it one after the other. All connections start
//! at once; after that the merger says which input it needs, and only that one is read: whatever it does not need yet
//! waits in socket buffers, so memory stays flat. The exception is an input that blocks its connection for another one
//! that is needed first; it is read into memory, up to a limit.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;

use super::lane::{Head, Request};
use super::{ExecuteError, Lane};
use crate::merge::{MergeSpec, Merger, RowFormat, Step, check_columns};
use crate::protocol::column::ColumnDef;

/// How much of an answer that is no longer wanted is read and thrown away to keep a connection. More than this, and
/// closing the connection is cheaper.
const DRAIN_LIMIT_BYTES: usize = 256 * 1024;

/// One shard's part of a query: which of the lanes runs it, and what is sent.
#[derive(Debug)]
pub struct Part {
    /// Index into the lanes.
    pub lane: usize,
    /// What is sent.
    pub request: Request,
}

/// Several shards' results on their way through the merger.
#[derive(Debug)]
pub struct Gather {
    lanes: Vec<Lane>,
    /// Which input each lane is in the middle of.
    current: Vec<Option<usize>>,
    inputs: Vec<Input>,
    merger: Merger,
    spec: Arc<MergeSpec>,
    columns: Vec<ColumnDef>,
    buffered_bytes: usize,
    limit_bytes: usize,
    warnings: u16,
}

#[derive(Debug)]
struct Input {
    lane: usize,
    request: Option<Request>,
    /// Rows read early.
    rows: VecDeque<Bytes>,
    ended: bool,
}

impl Gather {
    /// Sends the first part of each lane and waits until all have answered with column definitions. The first error
    /// ends it: the lanes come back with it, so that the caller can stop them.
    pub async fn open(
        mut lanes: Vec<Lane>,
        parts: Vec<Part>,
        spec: Arc<MergeSpec>,
        format: RowFormat,
        limit_bytes: usize,
    ) -> Result<Self, (ExecuteError, Vec<Lane>)> {
        let mut inputs: Vec<Input> = parts
            .into_iter()
            .map(|part| Input { lane: part.lane, request: Some(part.request), rows: VecDeque::new(), ended: false })
            .collect();
        let (current, heads) = match open_first(&mut lanes, &mut inputs).await {
            Ok(opened) => opened,
            Err(error) => return Err((error, lanes)),
        };
        match merger_of(&heads, &spec, format, inputs.len()) {
            Ok((columns, merger)) => Ok(Self {
                lanes,
                current,
                inputs,
                merger,
                spec,
                columns,
                buffered_bytes: 0,
                limit_bytes,
                warnings: 0,
            }),
            Err(error) => Err((error, lanes)),
        }
    }

    /// The columns that the client sees.
    pub fn columns(&self) -> &[ColumnDef] {
        let visible = self.columns.len().saturating_sub(self.spec.hidden_columns);
        &self.columns[..visible]
    }

    /// The next row, encoded for the client; `None` when there are no more.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ExecuteError> {
        loop {
            match self.merger.poll()? {
                Step::Row(row) => return Ok(Some(row)),
                Step::Done => return Ok(None),
                Step::Need(input) => match self.read(input).await? {
                    Some(row) => self.merger.push(input, row)?,
                    None => self.merger.end(input)?,
                },
            }
        }
    }

    /// Takes the lanes back. Short rests of answers are read away so that their connections can be used again.
    pub async fn finish(mut self) -> (Vec<Lane>, u16) {
        for (lane, current) in self.lanes.iter_mut().zip(&self.current) {
            if current.is_some() {
                lane.drain(DRAIN_LIMIT_BYTES).await;
            }
        }
        (self.lanes, self.warnings)
    }

    /// Takes the lanes back as they are, after an error.
    pub fn into_lanes(self) -> Vec<Lane> {
        self.lanes
    }

    async fn read(&mut self, input: usize) -> Result<Option<Bytes>, ExecuteError> {
        if let Some(row) = self.inputs[input].rows.pop_front() {
            self.buffered_bytes -= row.len();
            return Ok(Some(row));
        }
        if self.inputs[input].ended {
            return Ok(None);
        }
        let lane = self.inputs[input].lane;
        if self.current[lane] != Some(input) {
            self.make_way(lane).await?;
            self.start(input).await?;
        }
        self.read_current(lane).await
    }

    /// Reads the rest of the input that a lane is in the middle of into memory.
    async fn make_way(&mut self, lane: usize) -> Result<(), ExecuteError> {
        while let Some(blocking) = self.current[lane] {
            if let Some(row) = self.read_current(lane).await? {
                self.buffered_bytes += row.len();
                if self.buffered_bytes > self.limit_bytes {
                    return Err(ExecuteError::TooLarge { limit_bytes: self.limit_bytes });
                }
                self.inputs[blocking].rows.push_back(row);
            }
        }
        Ok(())
    }

    async fn start(&mut self, input: usize) -> Result<(), ExecuteError> {
        let Some(request) = self.inputs[input].request.take() else { return Ok(()) };
        let lane = self.inputs[input].lane;
        self.lanes[lane].send(&request).await?;
        if let Head::Rows(columns) = self.lanes[lane].read_head().await? {
            check_columns(&[self.columns.clone(), columns])?;
            self.current[lane] = Some(input);
        } else {
            self.inputs[input].ended = true;
        }
        Ok(())
    }

    /// Reads one row of the input that a lane is in the middle of; `None` when it has ended.
    async fn read_current(&mut self, lane: usize) -> Result<Option<Bytes>, ExecuteError> {
        let Some(input) = self.current[lane] else { return Ok(None) };
        match self.lanes[lane].read_row().await? {
            Some(row) => Ok(Some(row)),
            None => {
                self.warnings = self.warnings.saturating_add(self.lanes[lane].outcome().warnings);
                self.inputs[input].ended = true;
                self.current[lane] = None;
                Ok(None)
            }
        }
    }
}

/// Sends the first part of each lane, to all lanes before any answer is waited for.
async fn open_first(
    lanes: &mut [Lane],
    inputs: &mut [Input],
) -> Result<(Vec<Option<usize>>, Vec<Vec<ColumnDef>>), ExecuteError> {
    let mut current = vec![None; lanes.len()];
    let mut first = Vec::with_capacity(lanes.len());
    for (index, input) in inputs.iter_mut().enumerate() {
        if current[input.lane].is_none() {
            current[input.lane] = Some(index);
            first.push((input.lane, input.request.take()));
        }
    }
    first.sort_by_key(|(lane, _)| *lane);
    let heads = try_join_all(lanes.iter_mut().zip(first).map(|(lane, (_, request))| async move {
        if let Some(request) = request {
            lane.send(&request).await?;
        }
        lane.read_head().await
    }))
    .await?;
    let mut columns = Vec::with_capacity(heads.len());
    for (lane, head) in heads.into_iter().enumerate() {
        match head {
            Head::Rows(defs) => columns.push(defs),
            Head::Ok => {
                if let Some(input) = current[lane].take() {
                    inputs[input].ended = true;
                }
            }
        }
    }
    Ok((current, columns))
}

fn merger_of(
    heads: &[Vec<ColumnDef>],
    spec: &Arc<MergeSpec>,
    format: RowFormat,
    inputs: usize,
) -> Result<(Vec<ColumnDef>, Merger), ExecuteError> {
    let columns = check_columns(heads)?;
    let merger = Merger::new(spec, &columns, format, inputs)?;
    Ok((columns, merger))
}
