//! The pool of one server: a deadpool per flavour, under one limit of connections for all flavours, and shelves
//! of connections in front of it.
//!
//! A statement takes the connection of its flavour that was used last from its core's [`Shelf`]. Where there is none, the lease
//! is admitted (fair, bounded, with a deadline), then a connection is found: an idle one of the right flavour, else a new one.
//! Where the limit is used up by idle connections of other flavours, one of those is closed. Since whoever is admitted
//! holds one of `max_connections` permits, and so does each connection on the shelf, there is always an idle connection
//! or a free place.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, PoolError, QueueMode, RecycleError, RecycleResult, Timeouts};
use tokio::time::timeout;

use super::connect;
use super::control::ControlSet;
use super::error::{BackendError, ConnectFailure};
use super::flavour::Flavour;
use super::lease::{Lease, Loan};
use super::server::{Place, Server};
use super::shelf::Shelf;
use super::{BackendConn, upkeep};
use crate::cores::PerCore;

/// How often a new connection looks for a place again. One look suffices but for a race with a connection that changes
/// hands at that moment.
const PLACE_TRIES: usize = 64;

/// No timers in deadpool: admission and connecting have their own.
const NO_TIMEOUTS: Timeouts = Timeouts { wait: None, create: None, recycle: None };

/// The pool of one server.
#[derive(Debug)]
pub struct Pool {
    server: Arc<Server>,
    by_flavour: [managed::Pool<Manager>; Flavour::COUNT],
    /// A shelf for each core.
    shelves: PerCore<Shelf>,
    control: ControlSet,
}

impl Pool {
    /// A pool without connections, and a task that checks the server's health and closes connections that are idle for
    /// long. Must be called within a tokio runtime.
    pub fn new(server: Arc<Server>) -> Arc<Self> {
        let pool = Arc::new_cyclic(|this: &Weak<Self>| Self {
            by_flavour: std::array::from_fn(|index| {
                let manager =
                    Manager { server: server.clone(), flavour: Flavour::from_index(index), pool: this.clone() };
                managed::Pool::builder(manager)
                    .max_size(server.spec().limits.max_connections)
                    // The connection used last is used next: the others become idle and are closed after a while.
                    .queue_mode(QueueMode::Lifo)
                    .build()
                    .unwrap_or_else(|_| unreachable!("no timeout is configured"))
            }),
            shelves: PerCore::new(Shelf::default),
            control: ControlSet::default(),
            server,
        });
        // Not before the pool is there: the task ends when it finds no pool.
        tokio::spawn(upkeep::run(pool.server.clone(), Arc::downgrade(&pool)));
        pool
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The proxy's own connections.
    pub(super) fn control(&self) -> &ControlSet {
        &self.control
    }

    /// A connection, which goes back when the lease is dropped.
    pub async fn checkout(self: &Arc<Self>, flavour: Flavour) -> Result<Lease, BackendError> {
        if let Some(lease) = self.take_at_hand(flavour) {
            return Ok(lease);
        }
        // Boxed: where connections are at hand it is rarely run, and its state would weigh on every statement's.
        Box::pin(async {
            let admitted = self.admit().await?;
            self.take(admitted, flavour).await
        })
        .await
    }

    /// A connection if one is free, or may be opened, without waiting for others.
    pub async fn checkout_free(self: &Arc<Self>, flavour: Flavour) -> Option<Lease> {
        if let Some(lease) = self.take_at_hand(flavour) {
            return Some(lease);
        }
        let admitted = self.try_admit()?;
        self.take(admitted, flavour).await.ok()
    }

    /// A connection that lies at hand. Costs no system call, no timer and one short lock.
    pub(super) fn take_at_hand(self: &Arc<Self>, flavour: Flavour) -> Option<Lease> {
        loop {
            let mut loan = self.shelves.here().take(flavour)?;
            if self.server.is_suspect(loan.idle_since()) {
                // It goes back to deadpool, which has it pinged before it is used.
                continue;
            }
            if loan.looks_alive() {
                return Some(Lease::new(loan, self.clone()));
            }
            self.server.suspect();
            loan.close();
        }
    }

    /// A connection comes back that is fit to be used again.
    pub(super) fn put_back(&self, loan: Loan) {
        // Somebody waits for it, if the shelf does not take it: then it is dropped, which wakes them.
        if self.fresh_for().is_zero() {
            return;
        }
        let shelf = self.shelves.of(loan.core());
        drop(shelf.put(loan.flavour(), loan, || self.server.is_waited_for()));
    }

    async fn take(self: &Arc<Self>, admitted: Admitted<'_>, flavour: Flavour) -> Result<Lease, BackendError> {
        match self.by_flavour[flavour.index()].timeout_get(&NO_TIMEOUTS).await {
            Ok(object) => {
                admitted.keep();
                Ok(Lease::new(Loan::new(object), self.clone()))
            }
            Err(PoolError::Backend(error)) => Err(error),
            // The others need a timeout, a hook or a closed pool, and there is none of them.
            Err(_) => Err(self.connect_error(ConnectFailure::NoneFree)),
        }
    }

    /// The right to hold a connection, if that needs no waiting.
    fn try_admit(&self) -> Option<Admitted<'_>> {
        let take_permit = || {
            self.server.admission.try_acquire().ok()?.forget();
            Some(Admitted(Some(&self.server)))
        };
        // Connections of other flavours may lie on the shelf with all permits.
        take_permit().or_else(|| if self.clear_shelves() { take_permit() } else { None })
    }

    /// Waits for the right to hold a connection.
    async fn admit(&self) -> Result<Admitted<'_>, BackendError> {
        let server = &self.server;
        if let Some(admitted) = self.try_admit() {
            return Ok(admitted);
        }
        let _waiting = server
            .join_queue()
            .map_err(|waiting| BackendError::PoolFull { server: server.label().clone(), waiting })?;
        // Counted first, then cleared: what comes back from now on goes past the shelf.
        self.clear_shelves();
        let limit = server.spec().limits.wait_timeout;
        match timeout(limit, server.admission.acquire()).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(Admitted(Some(server)))
            }
            Ok(Err(_)) => Err(self.connect_error(ConnectFailure::NoneFree)),
            Err(_) => {
                Err(BackendError::PoolTimeout { server: server.label().clone(), waited_ms: limit.as_millis() as u64 })
            }
        }
    }

    /// How long a connection may lie at hand. What lies there is used without a look at the clock, and this is seen to once
    /// in a beat: nothing is to become so old meanwhile that it must be pinged before it is used.
    fn fresh_for(&self) -> Duration {
        let limits = &self.server.spec().limits;
        let beat = limits.health_interval + limits.health_timeout;
        limits.ping_after_idle.min(limits.idle_timeout).saturating_sub(beat)
    }

    /// Gives up all connections that are at hand. True if there was one.
    fn clear_shelves(&self) -> bool {
        let cleared: Vec<bool> = self.shelves.iter().map(Shelf::clear).collect();
        cleared.contains(&true)
    }

    fn at_hand(&self) -> usize {
        self.shelves.iter().map(Shelf::len).sum()
    }

    fn connect_error(&self, reason: ConnectFailure) -> BackendError {
        BackendError::Connect { server: self.server.label().clone(), reason }
    }

    /// Closes one idle connection, of another flavour if there is one. True if there was any.
    fn evict_one(&self, wanted: Flavour) -> bool {
        let others = (0..Flavour::COUNT).filter(|&index| index != wanted.index());
        others.chain([wanted.index()]).any(|index| {
            let mut found = false;
            let evicted = self.by_flavour[index].retain(|_, _| std::mem::replace(&mut found, true));
            !evicted.removed.is_empty()
        })
    }

    /// Closes what has been idle or alive for too long.
    pub(super) fn close_stale(&self) {
        let limits = &self.server.spec().limits;
        let now = Instant::now();
        let fresh_for = self.fresh_for();
        self.shelves.iter().for_each(|shelf| shelf.retain(|conn| conn.idle_for(now) <= fresh_for));
        for pool in &self.by_flavour {
            pool.retain(|conn, _| !conn.is_stale(now, limits));
        }
    }

    /// Number of idle connections.
    pub(super) fn idle(&self) -> usize {
        self.at_hand() + self.by_flavour.iter().map(|pool| pool.status().available).sum::<usize>()
    }

    /// Number of connections in use.
    pub(super) fn in_use(&self) -> usize {
        let admission = &self.server.admission;
        let on_loan = self.server.spec().limits.max_connections.saturating_sub(admission.available_permits());
        on_loan.saturating_sub(self.at_hand())
    }
}

/// The right to hold a connection; given back on drop, unless a lease took it over.
struct Admitted<'a>(Option<&'a Server>);

impl Admitted<'_> {
    /// Hands the right over to a lease.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if let Some(server) = &self.0 {
            server.admission.add_permits(1);
        }
    }
}

/// Opens connections for deadpool and looks at them before they are used again.
#[derive(Debug)]
pub(super) struct Manager {
    server: Arc<Server>,
    flavour: Flavour,
    pool: Weak<Pool>,
}

impl Manager {
    async fn place(&self) -> Result<Place, BackendError> {
        for _ in 0..PLACE_TRIES {
            if let Some(place) = self.server.try_reserve() {
                return Ok(place);
            }
            if !self.pool.upgrade().is_some_and(|pool| pool.evict_one(self.flavour)) {
                tokio::task::yield_now().await;
            }
        }
        Err(BackendError::Connect { server: self.server.label().clone(), reason: ConnectFailure::NoneFree })
    }
}

impl managed::Manager for Manager {
    /// Boxed: deadpool sets aside room for as many as there may be, and moves them in and out.
    type Type = Box<BackendConn>;
    type Error = BackendError;

    async fn create(&self) -> Result<Box<BackendConn>, BackendError> {
        let place = self.place().await?;
        // Boxed, as the ping below: rarely run and large, they would weigh on the state of every statement.
        let opened = Box::pin(connect::open(&self.server, self.flavour, place)).await;
        match &opened {
            Ok(_) => self.server.note_connected(),
            Err(error) => self.server.note_connect_failure(error),
        }
        opened.map(Box::new)
    }

    async fn recycle(&self, conn: &mut Box<BackendConn>, _: &Metrics) -> RecycleResult<BackendError> {
        let now = Instant::now();
        let limits = &self.server.spec().limits;
        if conn.is_stale(now, limits) {
            return Err(RecycleError::message("idle or alive for too long"));
        }
        if !conn.looks_alive() {
            self.server.suspect();
            return Err(RecycleError::message("closed by the server"));
        }
        if conn.idle_for(now) > limits.ping_after_idle || self.server.is_suspect(conn.idle_since()) {
            Box::pin(conn.ping(limits.health_timeout)).await.map_err(|error| {
                self.server.suspect();
                RecycleError::Backend(error)
            })?;
        }
        Ok(())
    }
}
