//! Short dense ids: a table on a group counts, proxies fetch blocks.
//!
//! A proxy takes a block by moving the row of the sequence on ([`super::sequence`]), so no two proxies have the same id, and
//! what a proxy has left when it ends is a gap. The row of a table that has rows already begins behind their greatest key. A
//! key that a client gives itself is stepped over.
//!
//! A table that is emptied or made anew begins at 1 again, but for the ids that other proxies still have of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::sequence::{Held, Row, Sequence, bounded, free};
use super::{IdError, KeyMaker};
use crate::backend::Backends;
use crate::config::GroupId;

/// How long a proxy has what it took, before it asks whether it still has it.
const HELD_FOR_S: u64 = 60;
/// What a proxy does not use of the end of that time: a clock that runs 1 % slow loses less.
const UNUSED_S: u64 = 5;
/// How often a row that others write too is tried.
const MAX_TRIES: usize = 20;

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
    /// The ranges of this proxy in the row of the sequence.
    noted: Vec<Range<u64>>,
    /// Until when they are its own.
    until: Option<Instant>,
    /// The greatest key that a client gave itself.
    given: u64,
}

impl State {
    fn left(&self) -> u64 {
        self.blocks.iter().map(|block| block.end - block.start).sum()
    }

    fn has(&self, count: u32) -> bool {
        self.left() >= u64::from(count) && self.until.is_some_and(|until| Instant::now() < until)
    }

    /// Drops what clients have used themselves.
    fn step_over_given(&mut self) {
        for block in &mut self.blocks {
            block.start = block.start.max(self.given.saturating_add(1)).min(block.end);
        }
        self.blocks.retain(|block| !block.is_empty());
    }

    /// What the row has noted for others, given that it is so.
    fn others(&self, row: &Row) -> Vec<Held> {
        row.held.iter().filter(|held| !self.noted.contains(&held.ids)).cloned().collect()
    }

    /// The ids left of what the row still has noted for this proxy.
    fn still_held(&self, row: &Row) -> Vec<Range<u64>> {
        let is_noted = |block: &&Range<u64>| {
            let own = row.held.iter().filter(|held| self.noted.contains(&held.ids));
            own.map(|held| &held.ids).any(|ids| ids.start <= block.start && block.end <= ids.end)
        };
        self.blocks.iter().filter(is_noted).cloned().collect()
    }
}

impl Segment {
    /// The next `count` ids, growing; [`IdError::NotReady`] if there are not so many.
    pub fn take(&self, count: u32) -> Result<Vec<u64>, IdError> {
        let mut state = self.state.lock();
        if !state.has(count) {
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

    /// Begins anew: the table was made anew, or emptied.
    pub async fn restart(&self, maker: &KeyMaker, group: GroupId, backends: &Backends) -> Result<(), IdError> {
        let _turn = self.fetching.lock().await;
        let sequence = Sequence { maker, group, backends };
        for _ in 0..MAX_TRIES {
            let row = match sequence.read().await {
                Err(IdError::NotReady) => continue,
                row => row?,
            };
            // none of these is used any more
            self.state.lock().blocks.clear();
            let is_anew = match row {
                Some(row) => {
                    let mut others = self.state.lock().others(&row);
                    others.retain(|held| held.until_s > row.now_s);
                    sequence.write(&row, 0, &others).await?
                }
                None => true,
            };
            if is_anew {
                *self.state.lock() = State::default();
                return Ok(());
            }
        }
        Err(IdError::NotReady)
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
        let sequence = Sequence { maker, group, backends };
        for _ in 0..MAX_TRIES {
            if self.state.lock().has(count) {
                return Ok(());
            }
            let asked = Instant::now();
            match sequence.read().await {
                Ok(Some(row)) => self.extend(&sequence, &row, asked, block, count).await?,
                Ok(None) => sequence.make().await?,
                Err(IdError::NotReady) => {}
                Err(error) => return Err(error),
            }
        }
        Err(IdError::NotReady)
    }

    /// Renews what this proxy has, and takes more where that is not enough; nothing if the row has changed since.
    async fn extend(
        &self,
        sequence: &Sequence<'_>,
        row: &Row,
        asked: Instant,
        block: u32,
        count: u32,
    ) -> Result<(), IdError> {
        let (mut others, mut own, given) = {
            let state = self.state.lock();
            (state.others(row), state.still_held(row), state.given)
        };
        let left: u64 = own.iter().map(|ids| ids.end - ids.start).sum();
        let mut next = row.next;
        let mut taken = None;
        if left < u64::from(count) {
            let size = u64::from(block.max(count));
            let begins = if row.next == 0 { sequence.first().await? } else { row.next };
            let is_used = |held: &Held| held.until_s > row.now_s;
            let used: Vec<Held> = others.iter().filter(|held| is_used(held)).cloned().collect();
            let start = free(begins.max(given.saturating_add(1)), size, &used);
            next = start.checked_add(size).ok_or(IdError::OutOfRange)?;
            // what is taken from one that did not renew it is not its own any more
            others.retain(|held| is_used(held) || held.ids.end <= start || next <= held.ids.start);
            taken = Some(start..next);
        }
        own.extend(taken.clone());
        let until_s = row.now_s + HELD_FOR_S;
        let noted = own.iter().map(|ids| Held { ids: ids.clone(), until_s });
        let held = bounded(others.into_iter().chain(noted).collect(), row.now_s);
        if !sequence.write(row, next, &held).await? {
            return Ok(());
        }
        let mut state = self.state.lock();
        // some were given meanwhile; what the row did not have any more is another's
        let is_own = |block: &Range<u64>| own.iter().any(|ids| ids.start <= block.start && block.end <= ids.end);
        state.blocks.retain(is_own);
        state.blocks.extend(taken);
        state.noted = own;
        state.until = Some(asked + Duration::from_secs(HELD_FOR_S - UNUSED_S));
        state.step_over_given();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(blocks: &[Range<u64>], until: Instant) -> Segment {
        let segment = Segment::default();
        let mut state = segment.state.lock();
        state.blocks.extend(blocks.iter().cloned());
        state.until = Some(until);
        drop(state);
        segment
    }

    #[test]
    fn ids_come_from_the_blocks_in_order_and_step_over_given_ones() {
        assert_eq!(Segment::default().take(1), Err(IdError::NotReady));
        let segment = segment(&[1..4, 10..14], Instant::now() + Duration::from_secs(60));
        assert_eq!(segment.take(2).unwrap(), [1, 2]);
        assert_eq!(segment.take(2).unwrap(), [3, 10]);
        segment.note_given(11);
        assert_eq!(segment.take(2).unwrap(), [12, 13]);
        assert_eq!(segment.take(1), Err(IdError::NotReady));
    }

    #[test]
    fn what_may_be_another_s_by_now_is_not_given() {
        let segment = segment(&[7..101, 201..301], Instant::now());
        assert_eq!(segment.take(1), Err(IdError::NotReady));
        let mut state = segment.state.lock();
        state.noted = vec![1..101, 201..301];
        let held = |ids| Held { ids, until_s: 9 };
        let mut row = Row { next: 501, held: vec![held(1..101), held(201..301), held(401..501)], now_s: 10 };
        assert_eq!(state.still_held(&row), [7..101, 201..301]);
        assert_eq!(state.others(&row), [held(401..501)]);
        row.held.remove(1);
        let left = state.still_held(&row);
        assert_eq!((left.len(), left.first()), (1, Some(&(7..101))));
    }
}
