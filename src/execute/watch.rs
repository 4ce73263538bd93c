//! What may end a statement before its answer is complete: a client that goes away, or a `KILL`.

use std::future::Future;

use super::{Client, ExecuteError, Interrupt, Lane, SessionEntry};
use crate::backend::KillHandle;
use crate::net::NetError;

/// Watches over one statement of a session.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// The session that runs it.
    pub entry: &'a SessionEntry,
}

impl Watch<'_> {
    /// Waits until the lane has sent something more. Meanwhile a client that closes its connection ends the wait (the
    /// lane, dropped in the middle of an answer, stops its statement), and a `KILL` is passed on to the backend, which then
    /// answers with the error that the client reads.
    pub async fn fill(&self, lane: &mut Lane, client: &Client) -> Result<(), ExecuteError> {
        loop {
            let disturbance = tokio::select! {
                biased;
                filled = lane.fill() => return filled,
                disturbance = self.disturbed(client) => disturbance,
            };
            match disturbance {
                Disturbance::ClientGone => return Err(ExecuteError::ClientLost(NetError::Closed)),
                Disturbance::Interrupt(Interrupt::Deadlock) => return Err(ExecuteError::Deadlock),
                Disturbance::Interrupt(what) => {
                    lane.kill_query().await;
                    if what == Interrupt::Connection {
                        return Err(ExecuteError::Interrupted);
                    }
                }
            }
        }
    }

    /// Writes relayed bytes; a `KILL` of the connection ends the wait for a client that does not read.
    pub async fn write(&self, client: &mut Client, bytes: &[u8]) -> Result<(), ExecuteError> {
        tokio::select! {
            biased;
            written = client.stream.write_raw(bytes) => written.map_err(ExecuteError::ClientLost),
            () = self.killed() => Err(ExecuteError::Interrupted),
        }
    }

    /// Runs `work` unless the client goes away or a `KILL` comes. The lanes that it drops in the middle of an answer stop
    /// their statements.
    pub async fn guard<T>(
        &self,
        client: &Client,
        work: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<T, ExecuteError> {
        tokio::select! {
            biased;
            done = work => done,
            disturbance = self.disturbed(client) => Err(match disturbance {
                Disturbance::ClientGone => ExecuteError::ClientLost(NetError::Closed),
                Disturbance::Interrupt(Interrupt::Deadlock) => ExecuteError::Deadlock,
                Disturbance::Interrupt(_) => ExecuteError::Interrupted,
            }),
        }
    }

    /// As [`guard`](Self::guard), but a `KILL QUERY` is passed on to the servers, whose errors then end the work: the
    /// connections stay in use, and what is open on them.
    pub async fn guard_killing<T>(
        &self,
        client: &Client,
        statements: &[KillHandle],
        work: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<T, ExecuteError> {
        let mut work = std::pin::pin!(work);
        loop {
            let disturbance = tokio::select! {
                biased;
                done = work.as_mut() => return done,
                disturbance = self.disturbed(client) => disturbance,
            };
            match disturbance {
                Disturbance::ClientGone => return Err(ExecuteError::ClientLost(NetError::Closed)),
                Disturbance::Interrupt(Interrupt::Connection) => return Err(ExecuteError::Interrupted),
                Disturbance::Interrupt(Interrupt::Deadlock) => return Err(ExecuteError::Deadlock),
                Disturbance::Interrupt(Interrupt::Query) => {
                    for statement in statements {
                        if let Err(error) = statement.kill_query().await {
                            tracing::debug!(%error, "a statement could not be stopped");
                        }
                    }
                }
            }
        }
    }

    async fn disturbed(&self, client: &Client) -> Disturbance {
        tokio::select! {
            () = client.closed() => Disturbance::ClientGone,
            what = self.entry.interrupted() => Disturbance::Interrupt(what),
        }
    }

    /// A `KILL QUERY` does not end a write: the backend's answer is on its way already.
    async fn killed(&self) {
        while self.entry.interrupted().await != Interrupt::Connection {}
    }
}

enum Disturbance {
    ClientGone,
    Interrupt(Interrupt),
}
