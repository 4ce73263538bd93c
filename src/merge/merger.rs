//! The merge itself: rows in, rows out, one row held for each input and one for the group.

use bytes::Bytes;

use super::aggregate::Aggregates;
use super::input::{Advance, Input};
use super::key::{KeyValue, Keys, Row};
use super::row::{RowFormat, RowShape};
use super::tree::LoserTree;
use super::{MergeError, MergeSpec};
use crate::protocol::ColumnDef;

/// Where the answer's rows go: a client's write buffer.
pub trait RowSink {
    /// Takes one row's payload, without a packet header.
    fn row(&mut self, payload: &[u8]);
    /// Whether [`Merger::run`] should pause, so that what was taken can be sent.
    fn is_full(&self) -> bool {
        false
    }
}

impl RowSink for Vec<Bytes> {
    fn row(&mut self, payload: &[u8]) {
        self.push(Bytes::copy_from_slice(payload));
    }
}

/// Why [`Merger::run`] paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This input must be pushed to, or ended.
    Need(usize),
    /// Any input that has not ended must be pushed to, or ended: the rows need no order.
    NeedAny,
    /// The sink is full.
    SinkFull,
    /// The answer is complete. Inputs may still have rows (LIMIT): the caller cancels them.
    Done,
}

/// Merges the rows of several shards. It reads and writes nothing itself: the caller pushes rows when
/// [`Step::Need`] asks, and [`Merger::run`] hands the answer's rows to a [`RowSink`].
///
/// What is pushed is kept until it is used, so the caller bounds the memory: one buffer for each input.
#[derive(Debug)]
pub struct Merger {
    shape: RowShape,
    keys: Keys,
    inputs: Vec<Input>,
    source: Source,
    fold: Fold,
    cut: Cut,
    rows_out: u64,
    scratch: Vec<u8>,
}

/// OFFSET and LIMIT.
#[derive(Debug)]
struct Cut {
    offset_left: u64,
    limit_left: u64,
    /// Rows behind LIMIT are counted.
    counts_all: bool,
    rows_found: u64,
    done: bool,
}

impl Cut {
    /// Counts a row; whether it is part of the answer.
    #[inline]
    fn passes(&mut self) -> bool {
        self.rows_found += 1;
        if self.offset_left > 0 {
            self.offset_left -= 1;
            return false;
        }
        if self.limit_left == 0 {
            return false;
        }
        self.limit_left -= 1;
        self.done |= self.limit_left == 0 && !self.counts_all;
        true
    }
}

/// The order in which rows leave the inputs.
#[derive(Debug)]
enum Source {
    /// As they come; the field is the input whose head was taken.
    AnyOrder(usize),
    /// Sorted, but not all heads are there; the field is the first input without one.
    Starting(usize),
    /// Sorted. `taken`: the winner's head was used, and its next row must be fetched.
    Sorted { tree: LoserTree, taken: bool },
}

/// What happens to a row that left its input.
#[derive(Debug)]
enum Fold {
    /// It goes out.
    Pass,
    /// It goes out if it is not equal to the one before it.
    Distinct(Option<Saved>),
    /// It goes into its group.
    Group { keys: usize, aggregates: Aggregates, group: Option<Saved>, rows: u64 },
}

/// A copy of a row that outlives its input's buffer.
#[derive(Debug, Default)]
struct Saved {
    bytes: Vec<u8>,
    keys: Vec<KeyValue>,
    visible_end: usize,
}

impl Saved {
    fn copy(reuse: Option<Self>, input: &Input) -> Self {
        let mut saved = reuse.unwrap_or_default();
        let head = input.head();
        saved.bytes.clear();
        saved.bytes.extend_from_slice(head.bytes);
        saved.keys.clear();
        saved.keys.extend_from_slice(head.keys);
        saved.visible_end = input.visible_end();
        saved
    }

    fn row(&self) -> Row<'_> {
        Row { bytes: &self.bytes, keys: &self.keys }
    }
}

enum Next {
    Row(usize),
    Pause(Step),
    End,
}

impl Merger {
    /// For `inputs` shards whose rows have these columns (the answer of [`super::check_columns`], hidden ones
    /// included). Refuses what cannot be compared or added exactly.
    pub fn new(spec: &MergeSpec, columns: &[ColumnDef], format: RowFormat, inputs: usize) -> Result<Self, MergeError> {
        let shape = RowShape::new(format, columns, spec.hidden_columns)?;
        check(spec, &shape)?;
        let keys = Keys::new(&spec.order, columns, &shape)?;
        let fold = if !spec.group.is_empty() || !spec.aggregates.is_empty() {
            let aggregates = Aggregates::new(&spec.aggregates, columns, &shape)?;
            Fold::Group { keys: spec.group.len(), aggregates, group: None, rows: 0 }
        } else if spec.distinct {
            Fold::Distinct(None)
        } else {
            Fold::Pass
        };
        let limit_left = spec.limit.unwrap_or(u64::MAX);
        Ok(Self {
            inputs: (0..inputs).map(|_| Input::new(&keys)).collect(),
            source: if spec.order.is_empty() { Source::AnyOrder(0) } else { Source::Starting(0) },
            shape,
            keys,
            fold,
            cut: Cut {
                offset_left: spec.offset,
                limit_left,
                counts_all: spec.counts_all,
                rows_found: 0,
                done: limit_left == 0 && !spec.counts_all,
            },
            rows_out: 0,
            scratch: Vec::new(),
        })
    }

    /// Hands over one row's payload.
    pub fn push(&mut self, input: usize, row: Bytes) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.push(row);
        }
    }

    /// Hands over a run of whole row packets as they came off the wire, headers included. Cheaper than
    /// [`Self::push`] for many small rows. A row of 16 MiB or more must be joined and pushed alone.
    pub fn push_packets(&mut self, input: usize, packets: Bytes) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.push_packets(packets);
        }
    }

    /// Says that an input has no more rows.
    pub fn end(&mut self, input: usize) {
        if let Some(input) = self.inputs.get_mut(input) {
            input.end();
        }
    }

    /// How many rows the sink got.
    pub fn rows_out(&self) -> u64 {
        self.rows_out
    }

    /// What FOUND_ROWS() gives: how many rows LIMIT was asked about, those before its offset too.
    pub fn rows_found(&self) -> u64 {
        self.cut.rows_found
    }

    /// Merges as far as it can. After an error the answer cannot be completed.
    pub fn run(&mut self, sink: &mut impl RowSink) -> Result<Step, MergeError> {
        loop {
            if self.cut.done {
                return Ok(Step::Done);
            }
            if sink.is_full() {
                return Ok(Step::SinkFull);
            }
            match self.next()? {
                Next::Row(input) => self.take(input, sink)?,
                Next::Pause(step) => return Ok(step),
                Next::End => {
                    if matches!(self.fold, Fold::Group { keys: 0, group: None, .. }) {
                        return Err(MergeError::Plan("aggregates without GROUP BY got no row from any shard"));
                    }
                    self.finish_group(sink)?;
                    self.cut.done = true;
                }
            }
        }
    }

    /// The input whose head row leaves next.
    #[inline]
    fn next(&mut self) -> Result<Next, MergeError> {
        let Self { shape, keys, inputs, source, .. } = self;
        if let Source::Starting(first_missing) = source {
            while let Some(input) = inputs.get_mut(*first_missing) {
                if input.advance(shape, keys)? == Advance::Empty {
                    return Ok(Next::Pause(Step::Need(*first_missing)));
                }
                *first_missing += 1;
            }
            let tree = LoserTree::build(inputs.len(), |i| inputs[i].prefix(), |a, b| leaves_first(keys, inputs, a, b));
            *source = Source::Sorted { tree, taken: false };
        }
        match source {
            Source::AnyOrder(current) => next_in_any_order(shape, keys, inputs, current),
            Source::Starting(_) => Ok(Next::End),
            Source::Sorted { tree, taken } => {
                let winner = tree.winner();
                if *taken {
                    match inputs[winner].advance(shape, keys)? {
                        Advance::Empty => return Ok(Next::Pause(Step::Need(winner))),
                        // Equal rows of one input stay together: the others' heads are not less, or lost the tie.
                        Advance::Row { repeats: true } => {}
                        Advance::Row { repeats: false } | Advance::End => {
                            tree.replay(winner, inputs[winner].prefix(), |a, b| leaves_first(keys, inputs, a, b));
                        }
                    }
                }
                let winner = tree.winner();
                *taken = inputs.get(winner).is_some_and(Input::has_row);
                Ok(if *taken { Next::Row(winner) } else { Next::End })
            }
        }
    }

    /// Takes the head row of an input into the answer.
    #[inline]
    fn take(&mut self, index: usize, sink: &mut impl RowSink) -> Result<(), MergeError> {
        let Self { shape, keys, inputs, fold, scratch, .. } = self;
        let input = &inputs[index];
        let head = input.head();
        match fold {
            Fold::Pass => {
                if self.cut.passes() {
                    sink.row(shape.cut(head.bytes, input.visible_end(), scratch));
                    self.rows_out += 1;
                }
            }
            Fold::Distinct(last) => {
                let is_new = last.as_ref().is_none_or(|last| keys.compare(last.row(), head, keys.len()).is_ne());
                if is_new {
                    *last = Some(Saved::copy(last.take(), input));
                    if self.cut.passes() {
                        sink.row(shape.cut(head.bytes, input.visible_end(), scratch));
                        self.rows_out += 1;
                    }
                }
            }
            Fold::Group { keys: group_keys, aggregates, group: Some(group), rows }
                if keys.compare(group.row(), head, *group_keys).is_eq() =>
            {
                if *rows == 1 {
                    aggregates.reset();
                    aggregates.add(shape, &group.bytes)?;
                }
                aggregates.add(shape, head.bytes)?;
                *rows += 1;
            }
            Fold::Group { .. } => {
                self.finish_group(sink)?;
                self.start_group(index);
            }
        }
        Ok(())
    }

    /// Begins a group with the row that was just taken.
    fn start_group(&mut self, input: usize) {
        if let (Fold::Group { group, rows, .. }, Some(input)) = (&mut self.fold, self.inputs.get(input)) {
            *group = Some(Saved::copy(group.take(), input));
            *rows = 1;
        }
    }

    /// Sends the group out, if there is one.
    fn finish_group(&mut self, sink: &mut impl RowSink) -> Result<(), MergeError> {
        let Fold::Group { aggregates, group: Some(group), rows, .. } = &mut self.fold else { return Ok(()) };
        if *rows == 0 {
            return Ok(());
        }
        if self.cut.passes() {
            // A group of one row is sent as its shard sent it.
            if *rows == 1 {
                sink.row(self.shape.cut(&group.bytes, group.visible_end, &mut self.scratch));
            } else {
                aggregates.finish(&self.shape, &group.bytes, &mut self.scratch)?;
                sink.row(&self.scratch);
            }
            self.rows_out += 1;
        }
        *rows = 0;
        Ok(())
    }
}

/// Whether the head of input `a` leaves before that of `b` if their prefixes are equal. Equal heads leave in the order
/// of the inputs.
fn leaves_first(keys: &Keys, inputs: &[Input], a: usize, b: usize) -> bool {
    match (inputs[a].has_row(), inputs[b].has_row()) {
        (true, true) => keys.compare(inputs[a].head(), inputs[b].head(), keys.len()).then(a.cmp(&b)).is_lt(),
        (has_row, _) => has_row,
    }
}

/// The next row of whichever input has one.
fn next_in_any_order(
    shape: &RowShape,
    keys: &Keys,
    inputs: &mut [Input],
    current: &mut usize,
) -> Result<Next, MergeError> {
    let mut ended = 0;
    for step in 0..inputs.len() {
        let index = (*current + step) % inputs.len();
        match inputs[index].advance(shape, keys)? {
            Advance::Row { .. } => {
                *current = index;
                return Ok(Next::Row(index));
            }
            Advance::Empty => {}
            Advance::End => ended += 1,
        }
    }
    Ok(if ended == inputs.len() { Next::End } else { Next::Pause(Step::NeedAny) })
}

/// Finds the contradictions that a planner must not make.
fn check(spec: &MergeSpec, shape: &RowShape) -> Result<(), MergeError> {
    let groups = !spec.group.is_empty() || !spec.aggregates.is_empty();
    let leading = spec.order.get(..spec.group.len()).unwrap_or_default();
    let is_led_by_group = leading.len() == spec.group.len()
        && spec.group.iter().all(|key| leading.iter().any(|led| led.compared_column() == key.compared_column()));
    if !is_led_by_group {
        return Err(MergeError::Plan("its order does not begin with the group's keys"));
    }
    if spec.distinct && groups {
        return Err(MergeError::Plan("it groups and is distinct"));
    }
    let orders_by = |column: usize| spec.order.iter().any(|key| key.column == column);
    if spec.distinct && !(0..shape.visible()).all(orders_by) {
        return Err(MergeError::Plan("it is distinct over a column that it does not order by"));
    }
    Ok(())
}
