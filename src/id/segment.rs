//! Short dense ids: a table on a group counts, proxies fetch blocks.
//!
//! `shardloom.sequences` has a row per sequence with the first id that was not given out. A proxy takes a block by adding
//! to it, so no two proxies have the same id, and what a proxy has left when it ends is a gap. The row of a table that
//! has rows already begins behind their greatest key. A key that a client gives itself is stepped over.
//!
//! A table that is emptied or made anew begins at 1 again, where no other proxy can have ids of the sequence left: it goes on
//! counting otherwise, since two proxies would give the same ids.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{IdError, KeyMaker, SCHEMA};
use crate::backend::{Backends, text};
use crate::config::GroupId;

/// The longest name of a sequence: schema and table with 64 characters each, and a dot.
const NAME_CHARACTERS: usize = 129;

/// The ids of a sequence that this proxy has.
#[derive(Debug, Default)]
pub struct Segment {
    state: Mutex<State>,
    /// Those who fetch take turns.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    blocks: VecDeque<Range<u64>>,
    /// The greatest key that a client gave itself.
    given: u64,
    /// The row of the sequence is there.
    exists: bool,
    /// Where what was taken of the sequence ends, if this proxy has made its row and nobody else has taken any.
    alone_until: Option<u64>,
}

impl State {
    fn left(&self) -> u64 {
        self.blocks.iter().map(|block| block.end - block.start).sum()
    }

    /// Drops what clients have used themselves.
    fn step_over_given(&mut self) {
        for block in &mut self.blocks {
            block.start = block.start.max(self.given.saturating_add(1)).min(block.end);
        }
        self.blocks.retain(|block| !block.is_empty());
    }
}

impl Segment {
    /// The next `count` ids, growing; [`IdError::NotReady`] if there are not so many.
    pub fn take(&self, count: u32) -> Result<Vec<u64>, IdError> {
        let mut state = self.state.lock();
        if state.left() < u64::from(count) {
            return Err(IdError::NotReady);
        }
        let mut ids = Vec::with_capacity(count as usize);
        while ids.len() < count as usize {
            let Some(block) = state.blocks.front_mut() else { return Err(IdError::NotReady) };
            let end = block.end.min(block.start + (count as usize - ids.len()) as u64);
            ids.extend(block.start..end);
            block.start = end;
            if block.is_empty() {
                state.blocks.pop_front();
            }
        }
        Ok(ids)
    }

    /// Notes a key that a client gave itself: those up to it are not given out any more.
    pub fn note_given(&self, key: u64) {
        let mut state = self.state.lock();
        if key > state.given {
            state.given = key;
            state.step_over_given();
        }
    }

    /// Begins anew, if nobody else can have ids of the sequence: the table was made anew, or emptied.
    pub async fn restart(&self, maker: &KeyMaker, group: GroupId, backends: &Backends) -> Result<(), IdError> {
        let _turn = self.fetching.lock().await;
        let Some(end) = self.state.lock().alone_until else { return Ok(()) };
        let name = quoted(&maker.sequence);
        let sql = format!("DELETE FROM {SCHEMA}.sequences WHERE name = {name} AND next_id = {end}");
        let is_gone = match backends.query(group, &sql).await {
            Ok(answer) => answer.done.affected_rows > 0,
            // the table of sequences was dropped
            Err(crate::backend::BackendError::Server(error)) if matches!(error.errno, 1146 | 1049) => true,
            Err(error) => return Err(IdError::Unavailable(error.to_string())),
        };
        let mut state = self.state.lock();
        match is_gone {
            true => *state = State::default(),
            // what this proxy has left is nobody else's
            false => state.alone_until = None,
        }
        Ok(())
    }

    /// Fetches a block of at least `count` ids, unless there are as many by now.
    pub async fn fetch(
        &self,
        maker: &KeyMaker,
        group: GroupId,
        block: u32,
        count: u32,
        backends: &Backends,
    ) -> Result<(), IdError> {
        let _turn = self.fetching.lock().await;
        if self.state.lock().left() >= u64::from(count) {
            return Ok(());
        }
        if !self.state.lock().exists {
            let begun = begin(maker, group, backends).await?;
            self.state.lock().alone_until = begun;
        }
        let size = u64::from(block.max(count));
        let (from, alone) = {
            let state = self.state.lock();
            (state.given.saturating_add(1), state.alone_until)
        };
        // The new value of LAST_INSERT_ID comes back in the OK packet. Run twice, it leaves a gap.
        let sql = format!(
            "UPDATE {SCHEMA}.sequences SET next_id = LAST_INSERT_ID(GREATEST(next_id, {from}) + {size}) WHERE name = {}",
            quoted(&maker.sequence)
        );
        let alone = match alone {
            Some(until) => Some(run(backends, group, &format!("{sql} AND next_id = {until}")).await?),
            None => None,
        };
        let alone = alone.filter(|taken| taken.done.affected_rows > 0);
        let is_alone = alone.is_some();
        let done = match alone {
            Some(done) => done,
            None => run(backends, group, &sql).await?,
        };
        if done.done.affected_rows == 0 {
            // The row is gone: the table was made anew by another proxy.
            self.state.lock().exists = false;
            return Err(IdError::NotReady);
        }
        let end = done.done.last_insert_id;
        let mut state = self.state.lock();
        state.exists = true;
        state.alone_until = is_alone.then_some(end);
        state.blocks.push_back(end.saturating_sub(size)..end);
        state.step_over_given();
        Ok(())
    }
}

/// Makes the row of a sequence, which begins behind the keys that are there. Its first id, if it was not there already.
async fn begin(maker: &KeyMaker, group: GroupId, backends: &Backends) -> Result<Option<u64>, IdError> {
    run(backends, group, &format!("CREATE DATABASE IF NOT EXISTS {SCHEMA}")).await?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {SCHEMA}.sequences (name VARCHAR({NAME_CHARACTERS}) CHARACTER SET utf8mb4 COLLATE \
         utf8mb4_bin NOT NULL PRIMARY KEY, next_id BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB"
    );
    run(backends, group, &table).await?;
    let mut greatest = 0_u64;
    for node in maker.nodes.iter() {
        let sql = format!("SELECT MAX({}) FROM {}.{}", name(&maker.column), name(&node.schema), name(&node.table));
        let answer = run(backends, node.group, &sql).await?;
        let max = answer.rows.first().map(|row| text(row, 0).into_owned()).unwrap_or_default();
        greatest = greatest.max(max.parse().unwrap_or(0));
    }
    let first = greatest.saturating_add(1);
    let sql =
        format!("INSERT IGNORE INTO {SCHEMA}.sequences (name, next_id) VALUES ({}, {first})", quoted(&maker.sequence));
    let made = run(backends, group, &sql).await?;
    Ok((made.done.affected_rows > 0).then_some(first))
}

async fn run(backends: &Backends, group: GroupId, sql: &str) -> Result<Arc<crate::backend::Answer>, IdError> {
    let answer = backends.query(group, sql).await;
    answer.map(Arc::new).map_err(|error| IdError::Unavailable(error.to_string()))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_blocks_in_order_and_step_over_given_ones() {
        let segment = Segment::default();
        assert_eq!(segment.take(1), Err(IdError::NotReady));
        segment.state.lock().blocks.extend([1..4, 10..14]);
        assert_eq!(segment.take(2).unwrap(), [1, 2]);
        assert_eq!(segment.take(2).unwrap(), [3, 10]);
        segment.note_given(11);
        assert_eq!(segment.take(2).unwrap(), [12, 13]);
        assert_eq!(segment.take(1), Err(IdError::NotReady));
    }
}
