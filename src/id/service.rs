//! All generators of a proxy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::lease::Lease;
use super::segment::Segment;
use super::snowflake::{Snowflake, now_ms};
use super::uuid::UuidV7;
use super::{IdError, Key, KeyMaker};
use crate::backend::Backends;
use crate::config::{KeyGenerator, Worker};

/// How often what others took away meanwhile is fetched again for one statement.
pub const MAX_FETCHES: usize = 16;

/// All generators of a proxy. A reload of the rules keeps them: ids go on growing.
#[derive(Debug)]
pub struct Keys {
    /// Who this proxy is, for leases: differs for each start.
    holder: String,
    snowflakes: Mutex<HashMap<KeyGenerator, Arc<Snowflake>>>,
    leases: Mutex<HashMap<KeyGenerator, Arc<Lease>>>,
    segments: Mutex<HashMap<Arc<str>, Arc<Segment>>>,
    uuids: UuidV7,
}

impl Default for Keys {
    fn default() -> Self {
        let uuids = UuidV7::default();
        let holder = super::uuid::text(uuids.next(now_ms()));
        Self { holder, snowflakes: Mutex::default(), leases: Mutex::default(), segments: Mutex::default(), uuids }
    }
}

impl Keys {
    /// The next `count` keys. [`IdError::NotReady`] and [`IdError::TooEarly`] say that [`prepare`](Self::prepare) must be
    /// awaited before.
    pub fn take(&self, maker: &KeyMaker, count: u32) -> Result<Vec<Key>, IdError> {
        let ids = match maker.generator {
            KeyGenerator::Snowflake { worker: Worker::Fixed(_), .. } => {
                self.snowflake(maker.generator)?.reserve(count)?.collect()
            }
            KeyGenerator::Snowflake { .. } => self.lease(maker.generator)?.take(count)?,
            KeyGenerator::AutoSegment { .. } => self.segment(&maker.sequence).take(count)?,
            KeyGenerator::UuidV7 => {
                let now = now_ms();
                return Ok((0..count).map(|_| Key::Uuid(self.uuids.next(now))).collect());
            }
        };
        Ok(ids.into_iter().map(Key::Int).collect())
    }

    /// Notes the greatest key that a client gave itself.
    pub fn note_given(&self, maker: &KeyMaker, key: u64) {
        // what the column does not take is refused by its server, and nothing counts on from it
        if matches!(maker.generator, KeyGenerator::AutoSegment { .. }) && key <= maker.greatest {
            self.segment(&maker.sequence).note_given(key);
        }
    }

    /// Fetches or waits for what [`take`](Self::take) lacks.
    pub async fn prepare(&self, maker: &KeyMaker, count: u32, backends: &Backends) -> Result<(), IdError> {
        match maker.generator {
            KeyGenerator::AutoSegment { group, block } => {
                let fetched = self.segment(&maker.sequence).fetch(maker, group, block, count, backends).await;
                // what is gone is made anew by the next try
                fetched.or_else(|error| if error == IdError::NotReady { Ok(()) } else { Err(error) })
            }
            KeyGenerator::Snowflake { worker: Worker::Leased { .. }, .. } => {
                let lease = self.lease(maker.generator)?;
                match lease.take(0) {
                    Err(IdError::TooEarly(wait_ms)) => sleep(wait_ms).await,
                    _ => lease.acquire(backends, false).await?,
                }
                Ok(())
            }
            KeyGenerator::Snowflake { .. } => {
                if let Err(IdError::TooEarly(wait_ms)) = self.snowflake(maker.generator)?.reserve(1) {
                    sleep(wait_ms).await;
                }
                Ok(())
            }
            KeyGenerator::UuidV7 => Ok(()),
        }
    }

    /// Renews the lease behind a generator in the background when it is time.
    pub fn keep_up(&self, maker: &KeyMaker, backends: &Arc<Backends>) {
        if !matches!(maker.generator, KeyGenerator::Snowflake { worker: Worker::Leased { .. }, .. }) {
            return;
        }
        let Ok(lease) = self.lease(maker.generator) else { return };
        if lease.claims_renewal() {
            let backends = Arc::clone(backends);
            tokio::spawn(async move {
                if let Err(error) = lease.acquire(&backends, true).await {
                    tracing::warn!(%error, "the lease of a worker id could not be renewed");
                }
            });
        }
    }

    /// Begins a sequence anew, unless other proxies may have ids of it: the table was created or emptied. None is below
    /// `next`.
    pub async fn restart(&self, maker: &KeyMaker, next: u64, backends: &Backends) -> Result<(), IdError> {
        let KeyGenerator::AutoSegment { group, .. } = maker.generator else { return Ok(()) };
        self.segment(&maker.sequence).restart(maker, group, backends).await?;
        if next > 1 {
            self.note_given(maker, next - 1);
            // for the other proxies too
            self.prepare(maker, 1, backends).await?;
        }
        Ok(())
    }

    fn snowflake(&self, generator: KeyGenerator) -> Result<Arc<Snowflake>, IdError> {
        let KeyGenerator::Snowflake { worker: Worker::Fixed(worker), epoch_ms, max_backward_ms } = generator else {
            return Err(IdError::NotReady);
        };
        let mut all = self.snowflakes.lock();
        let made = all
            .entry(generator)
            .or_insert_with(|| Arc::new(Snowflake::new(worker, epoch_ms.max(0) as u64, max_backward_ms)));
        Ok(Arc::clone(made))
    }

    fn lease(&self, generator: KeyGenerator) -> Result<Arc<Lease>, IdError> {
        let KeyGenerator::Snowflake { worker: Worker::Leased { group, lease_ms }, epoch_ms, max_backward_ms } =
            generator
        else {
            return Err(IdError::NotReady);
        };
        let mut all = self.leases.lock();
        // Generators that differ need worker ids of their own only where they share an epoch; a worker id each is safe.
        let made = all.entry(generator).or_insert_with(|| {
            let holder = format!("{}-{}", self.holder, all_of(&generator));
            let ttl = Duration::from_millis(lease_ms);
            Arc::new(Lease::new(group, ttl, epoch_ms.max(0) as u64, max_backward_ms, holder))
        });
        Ok(Arc::clone(made))
    }

    fn segment(&self, sequence: &Arc<str>) -> Arc<Segment> {
        Arc::clone(self.segments.lock().entry(Arc::clone(sequence)).or_default())
    }
}

/// Tells generators of one proxy apart in the table of leases.
fn all_of(generator: &KeyGenerator) -> u32 {
    crc32fast::hash(format!("{generator:?}").as_bytes())
}

async fn sleep(wait_ms: u64) {
    tokio::time::sleep(Duration::from_millis(wait_ms.max(1))).await;
}
