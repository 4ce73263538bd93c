//! Rows of several shards, woven into one result.
//!
//! Each input is one shard's result; inputs that share a connection run on it one after the other. All connections start
//! at once; after that the merger says which input it needs. While that one is waited for, the others are read ahead, each
//! up to `limits.merge_buffer_bytes`; what is beyond waits in socket buffers, so memory stays flat. The exception is an
//! input that blocks its connection for another one that is needed first; it is read into memory, up to a limit.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{join_all, poll_immediate, try_join_all};

use super::lane::{Head, Request};
use super::rows::Rows;
use super::{ExecuteError, Lane};
use crate::backend::KillHandle;
use crate::merge::{MergeSpec, Merger, RowFormat, RowSink, Step, check_columns};
use crate::protocol::ColumnDef;

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
    /// What makes the lane ready for it, where it needs another default schema than the part before it.
    pub before: Option<Request>,
}

/// How much a gather may hold in memory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// `limits.max_buffered_bytes`: rows that block a connection, of all shards.
    pub held_bytes: usize,
    /// `limits.merge_buffer_bytes`: rows read ahead, of each shard.
    pub ahead_bytes: usize,
}

/// Where [`Gather::advance`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The sink is full.
    SinkFull,
    /// All rows are out.
    Done,
}

/// Several shards' results on their way through the merger.
#[derive(Debug)]
pub struct Gather {
    lanes: Vec<Lane>,
    /// Which input each lane is in the middle of.
    current: Vec<Option<usize>>,
    inputs: Vec<Input>,
    merger: Merger,
    columns: Vec<ColumnDef>,
    visible_columns: usize,
    buffered_bytes: usize,
    bounds: Bounds,
    warnings: u16,
}

#[derive(Debug)]
struct Input {
    lane: usize,
    /// What is still to be sent, in order.
    requests: VecDeque<Request>,
    /// Rows read early.
    early: VecDeque<Rows>,
    ended: bool,
}

impl Input {
    fn new(part: Part) -> Self {
        let requests = part.before.into_iter().chain([part.request]).collect();
        Self { lane: part.lane, requests, early: VecDeque::new(), ended: false }
    }
}

impl Gather {
    /// Sends the first part of each lane and waits until all have answered with column definitions. The first error
    /// ends it: the lanes come back with it.
    pub async fn open(
        mut lanes: Vec<Lane>,
        parts: Vec<Part>,
        spec: &Arc<MergeSpec>,
        format: RowFormat,
        bounds: Bounds,
    ) -> Result<Self, (ExecuteError, Vec<Lane>)> {
        let mut inputs: Vec<Input> = parts.into_iter().map(Input::new).collect();
        let opened = open_first(&mut lanes, &mut inputs).await.and_then(|(current, heads)| {
            let columns = check_columns(&heads)?;
            let merger = Merger::new(spec, &columns, format, inputs.len())?;
            Ok((current, columns, merger))
        });
        match opened {
            Ok((current, columns, merger)) => Ok(Self {
                lanes,
                current,
                inputs,
                merger,
                visible_columns: columns.len().saturating_sub(spec.hidden_columns),
                columns,
                buffered_bytes: 0,
                bounds,
                warnings: 0,
            }),
            Err(error) => Err((error, lanes)),
        }
    }

    /// The columns that the client sees.
    pub fn columns(&self) -> &[ColumnDef] {
        &self.columns[..self.visible_columns]
    }

    /// What it takes to stop what runs on its lanes.
    pub fn kill_handles(&self) -> Vec<KillHandle> {
        self.lanes.iter().filter_map(Lane::kill_handle).collect()
    }

    /// How many rows have left so far.
    pub fn rows_out(&self) -> u64 {
        self.merger.rows_out()
    }

    /// What FOUND_ROWS() gives.
    pub fn rows_found(&self) -> u64 {
        self.merger.rows_found()
    }

    /// Merges until the sink is full or all is done, reading what it needs.
    pub async fn advance(&mut self, sink: &mut impl RowSink) -> Result<Progress, ExecuteError> {
        loop {
            match self.merger.run(sink)? {
                Step::Done => return Ok(Progress::Done),
                Step::SinkFull => return Ok(Progress::SinkFull),
                Step::Need(input) => self.feed(input).await?,
                Step::NeedAny => match self.inputs.iter().position(|input| !input.ended || !input.early.is_empty()) {
                    Some(input) => self.feed(input).await?,
                    None => return Ok(Progress::Done),
                },
            }
        }
    }

    /// Takes the lanes back. Short rests of answers are read away so that their connections can be used again.
    pub async fn finish(mut self) -> (Vec<Lane>, u16) {
        for (lane, current) in self.lanes.iter_mut().zip(&self.current) {
            if current.is_some() {
                lane.drain(if lane.must_stay() { usize::MAX } else { DRAIN_LIMIT_BYTES }).await;
            }
        }
        (self.lanes, self.warnings)
    }

    /// Takes the lanes back as they are, after an error.
    pub fn into_lanes(self) -> Vec<Lane> {
        self.lanes
    }

    /// Gives the merger more rows of an input, or tells it that there are none.
    async fn feed(&mut self, input: usize) -> Result<(), ExecuteError> {
        let rows = match self.inputs[input].early.pop_front() {
            Some(rows) => {
                self.buffered_bytes = self.buffered_bytes.saturating_sub(rows.len());
                Some(rows)
            }
            None if self.inputs[input].ended => None,
            None => {
                let lane = self.inputs[input].lane;
                if self.current[lane] != Some(input) {
                    self.make_way(lane).await?;
                    self.start(input).await?;
                }
                self.read_current(lane).await?
            }
        };
        match rows {
            Some(Rows::Packets(packets)) => self.merger.push_packets(input, packets),
            Some(Rows::Large(row)) => self.merger.push(input, row),
            None => self.merger.end(input),
        }
        Ok(())
    }

    /// Reads the rest of the input that a lane is in the middle of into memory.
    async fn make_way(&mut self, lane: usize) -> Result<(), ExecuteError> {
        while let Some(blocking) = self.current[lane] {
            if let Some(rows) = self.read_current(lane).await? {
                self.buffered_bytes += rows.len();
                if self.buffered_bytes > self.bounds.held_bytes {
                    return Err(ExecuteError::TooLarge { limit_bytes: self.bounds.held_bytes });
                }
                self.inputs[blocking].early.push_back(rows);
            }
        }
        Ok(())
    }

    async fn start(&mut self, input: usize) -> Result<(), ExecuteError> {
        let lane = self.inputs[input].lane;
        match send_all(&mut self.lanes[lane], &mut self.inputs[input].requests).await? {
            Some(Head::Rows(columns)) => {
                check_columns(&[&self.columns, &columns])?;
                self.current[lane] = Some(input);
            }
            Some(Head::Ok) | None => self.inputs[input].ended = true,
        }
        Ok(())
    }

    /// Reads rows of the input that a lane is in the middle of; `None` when it has ended.
    async fn read_current(&mut self, lane: usize) -> Result<Option<Rows>, ExecuteError> {
        let Some(input) = self.current[lane] else { return Ok(None) };
        let rows = match poll_immediate(self.lanes[lane].read_rows()).await {
            Some(rows) => rows?,
            None => self.read_while_others_go_on(lane).await?,
        };
        if rows.is_none() {
            self.warnings = self.warnings.saturating_add(self.lanes[lane].outcome().warnings);
            self.inputs[input].ended = true;
            self.current[lane] = None;
            if self.inputs.iter().any(|input| input.lane == lane && !input.requests.is_empty()) {
                // The next statement on the connection would take their place.
                self.lanes[lane].keep_warnings().await;
            }
        }
        Ok(rows)
    }

    /// Reads rows of a lane that has none at hand, and lets the servers of the others go on with theirs.
    async fn read_while_others_go_on(&mut self, lane: usize) -> Result<Option<Rows>, ExecuteError> {
        let limit_bytes = self.bounds.ahead_bytes;
        let mut needed = None;
        let mut ahead = Vec::with_capacity(self.lanes.len());
        for (index, (other, current)) in self.lanes.iter_mut().zip(&self.current).enumerate() {
            if index == lane {
                needed = Some(other);
            } else if current.is_some() {
                ahead.push(other.read_ahead(limit_bytes));
            }
        }
        let Some(needed) = needed else { return Ok(None) };
        let others = async {
            join_all(ahead).await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            rows = needed.read_rows() => rows,
            never = others => match never {},
        }
    }
}

/// Sends an input's requests one after the other and gives the head of the last one's answer.
async fn send_all(lane: &mut Lane, requests: &mut VecDeque<Request>) -> Result<Option<Head>, ExecuteError> {
    let mut head = None;
    while let Some(request) = requests.pop_front() {
        lane.send(&request).await?;
        head = Some(lane.read_head().await?);
    }
    Ok(head)
}

type Opened = (Vec<Option<usize>>, Vec<Vec<ColumnDef>>);

/// Sends the first part of each lane, to all lanes before any answer is waited for.
async fn open_first(lanes: &mut [Lane], inputs: &mut [Input]) -> Result<Opened, ExecuteError> {
    let mut current = vec![None; lanes.len()];
    let mut first = vec![VecDeque::new(); lanes.len()];
    for (index, input) in inputs.iter_mut().enumerate() {
        if current[input.lane].is_none() {
            current[input.lane] = Some(index);
            first[input.lane] = std::mem::take(&mut input.requests);
        }
    }
    // Lanes that the session needs again are not left in the middle of an answer's beginning when another one fails.
    let keep = lanes.iter().any(Lane::must_stay);
    let work =
        lanes.iter_mut().zip(first).map(|(lane, mut requests)| async move { send_all(lane, &mut requests).await });
    let heads = if keep {
        join_all(work).await.into_iter().collect::<Result<Vec<_>, _>>()?
    } else {
        try_join_all(work).await?
    };
    let mut columns = Vec::with_capacity(heads.len());
    for (lane, head) in heads.into_iter().enumerate() {
        match head {
            Some(Head::Rows(defs)) => columns.push(defs),
            Some(Head::Ok) | None => {
                if let Some(input) = current[lane].take() {
                    inputs[input].ended = true;
                }
            }
        }
    }
    Ok((current, columns))
}

/// A [`RowSink`] that frames rows for the wire.
#[derive(Debug, Default)]
pub struct Frames {
    /// The packets.
    pub out: bytes::BytesMut,
    /// The sequence id of the next packet.
    pub seq: u8,
}

impl RowSink for Frames {
    fn row(&mut self, payload: &[u8]) {
        crate::net::packet_stream::put_packet(&mut self.out, &mut self.seq, payload);
    }

    fn is_full(&self) -> bool {
        self.out.len() >= crate::net::packet_stream::WRITE_HIGH_WATER_BYTES
    }
}

/// A [`RowSink`] that keeps rows, for a cursor.
#[derive(Debug, Default)]
pub struct Kept {
    /// The rows.
    pub rows: VecDeque<Bytes>,
    /// Their payload bytes.
    pub bytes: usize,
    /// Past this many bytes it is full.
    pub limit_bytes: usize,
}

impl RowSink for Kept {
    fn row(&mut self, payload: &[u8]) {
        self.bytes += payload.len();
        self.rows.push_back(Bytes::copy_from_slice(payload));
    }

    fn is_full(&self) -> bool {
        self.bytes > self.limit_bytes
    }
}
