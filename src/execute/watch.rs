//! What may end a statement before its answer is complete: a client that goes away, a `KILL`, or its time being up.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::deadline::Cause;
use super::error::QUERY_INTERRUPTED;
use super::{Client, ExecuteError, Interrupt, Lane, SessionEntry};
use crate::backend::{KillHandle, ServerError};
use crate::error::Report;
use crate::net::NetError;

/// Watches over one statement of a session.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// The session that runs it.
    pub entry: &'a SessionEntry,
}

impl Watch<'_> {
    /// Waits until the lane has sent something more. Meanwhile a client that closes its connection ends the wait (the
    /// lane, dropped in the middle of an answer, stops its statement), and a `KILL`, or the end of its time, is passed on
    /// to the backend, which then answers with the error that the client reads.
    pub async fn fill(&self, lane: &mut Lane, client: &Client) -> Result<(), ExecuteError> {
        // A backend that always has more to send must not hide it.
        if let Some(disturbance) = self.at_hand() {
            Box::pin(self.stop(lane, disturbance)).await?;
        }
        loop {
            let disturbance = tokio::select! {
                biased;
                filled = lane.fill() => return filled,
                disturbance = self.disturbed(client) => disturbance,
            };
            Box::pin(self.stop(lane, disturbance)).await?;
        }
    }

    async fn stop(&self, lane: &Lane, disturbance: Disturbance) -> Result<(), ExecuteError> {
        match disturbance {
            Disturbance::Stop(cause) => {
                self.entry.deadline().note_stopped(cause);
                lane.kill_query().await;
                Ok(())
            }
            Disturbance::End => {
                lane.kill_query().await;
                Err(ExecuteError::Interrupted)
            }
            other => Err(other.into()),
        }
    }

    /// Writes relayed bytes; a `KILL` of the connection ends the wait for a client that does not read. A `KILL QUERY` is
    /// kept for the next wait for the backend: what is being written is a part of the answer.
    pub async fn write(&self, client: &mut Client, bytes: &[u8]) -> Result<(), ExecuteError> {
        let sent = client.write_raw_at_once(bytes).map_err(ExecuteError::ClientLost)?;
        if sent == bytes.len() {
            return Ok(());
        }
        Box::pin(self.write_slowly(client, &bytes[sent..])).await
    }

    async fn write_slowly(&self, client: &mut Client, bytes: &[u8]) -> Result<(), ExecuteError> {
        tokio::select! {
            biased;
            written = client.write_raw(bytes) => written.map_err(ExecuteError::ClientLost),
            () = self.entry.killed() => Err(ExecuteError::Interrupted),
        }
    }

    /// Reads a packet that the client sends in the middle of a statement.
    pub async fn read_packet(&self, client: &mut Client) -> Result<Bytes, ExecuteError> {
        tokio::select! {
            biased;
            packet = client.stream.read_packet() => packet.map_err(ExecuteError::ClientLost),
            () = self.entry.killed() => Err(ExecuteError::Interrupted),
        }
    }

    /// Runs `work` unless the client goes away, a `KILL` comes, or the statement's time is up. The lanes that it drops in
    /// the middle of an answer stop their statements.
    pub async fn guard<T>(
        &self,
        client: &Client,
        work: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<T, ExecuteError> {
        tokio::select! {
            biased;
            done = work => done,
            disturbance = self.disturbed(client) => Err(disturbance.into()),
        }
    }

    /// As [`guard`](Self::guard), but a `KILL QUERY` and the end of the statement's time are passed on to the servers,
    /// whose errors then end the work: the connections stay in use, and what is open on them.
    pub async fn guard_killing<T>(
        &self,
        client: &Client,
        statements: &[KillHandle],
        work: impl Future<Output = Result<T, ExecuteError>>,
    ) -> Result<T, ExecuteError> {
        let mut work = std::pin::pin!(work);
        let mut disturbance = self.at_hand();
        loop {
            match disturbance {
                Some(Disturbance::Stop(cause)) => {
                    self.entry.deadline().note_stopped(cause);
                    if let Some(done) = stop_beside(work.as_mut(), statements).await {
                        return done.map_err(|error| self.explained(error));
                    }
                }
                Some(other) => return Err(other.into()),
                None => {}
            }
            disturbance = tokio::select! {
                biased;
                done = work.as_mut() => return done.map_err(|error| self.explained(error)),
                disturbance = self.disturbed(client) => Some(disturbance),
            };
        }
    }

    /// Runs the end of a transaction: a client that goes away does not change its mind about it, and its time is not
    /// bounded. A `KILL QUERY` is passed on to the servers; a `KILL` of the connection leaves the end to them.
    pub async fn guard_end<T, E: From<ExecuteError>>(
        &self,
        statements: &[KillHandle],
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = std::pin::pin!(work);
        loop {
            let what = tokio::select! {
                biased;
                done = work.as_mut() => return done,
                what = self.entry.interrupted() => what,
            };
            match what {
                Interrupt::Query => {
                    if let Some(done) = stop_beside(work.as_mut(), statements).await {
                        return done;
                    }
                }
                // It ends already.
                Interrupt::Deadlock => {}
                Interrupt::Connection => return Err(ExecuteError::Interrupted.into()),
            }
        }
    }

    /// The error of a statement that was killed because its time was up, which its server does not know.
    fn explained(&self, error: ExecuteError) -> ExecuteError {
        match self.entry.deadline().stopped() {
            Some(cause @ Cause::TimeUp { .. }) if error.is_interrupted() => cause.into(),
            _ => error,
        }
    }

    /// What the client reads in the place of a server's error, if the statement was killed because its time was up.
    pub fn instead_of(&self, error: &ServerError) -> Option<ServerError> {
        let cause = self.entry.deadline().stopped().filter(|_| error.errno == QUERY_INTERRUPTED)?;
        let own = match cause {
            Cause::Killed => return None,
            Cause::TimeUp { .. } => ExecuteError::from(cause),
        };
        Some(ServerError { errno: own.errno(), sqlstate: own.sqlstate().to_owned(), message: own.to_string() })
    }

    /// What has happened already.
    fn at_hand(&self) -> Option<Disturbance> {
        match self.entry.take_interrupt() {
            Some(what) => Some(what.into()),
            None => self.entry.deadline().take_time_up().map(Disturbance::Stop),
        }
    }

    async fn disturbed(&self, client: &Client) -> Disturbance {
        let deadline = self.entry.deadline();
        tokio::select! {
            // Whichever comes first; choosing by chance would cost every wait for a backend.
            biased;
            () = client.closed() => Disturbance::ClientGone,
            what = self.entry.interrupted() => what.into(),
            cause = deadline.time_up() => Disturbance::Stop(cause),
            cause = deadline.given_up() => Disturbance::GivenUp(cause),
        }
    }
}

/// Stops the statements while the work goes on that reads their answers: none is stopped before it has begun. Gives what the
/// work came to if it ended meanwhile; in any case none of these kills meets a later statement.
async fn stop_beside<W: Future>(mut work: Pin<&mut W>, statements: &[KillHandle]) -> Option<W::Output> {
    if !statements.iter().any(KillHandle::must_wait) {
        stop_all(statements).await;
        return None;
    }
    let mut stopping = std::pin::pin!(stop_all(statements));
    tokio::select! {
        biased;
        () = stopping.as_mut() => None,
        done = work.as_mut() => {
            stopping.await;
            Some(done)
        }
    }
}

async fn stop_all(statements: &[KillHandle]) {
    for statement in statements {
        if let Err(error) = statement.kill_query().await {
            tracing::debug!(%error, "a statement could not be stopped");
        }
    }
}

enum Disturbance {
    ClientGone,
    /// `KILL`: the session ends.
    End,
    /// The transaction was chosen to end a deadlock.
    Deadlock,
    /// The servers are to stop their statements.
    Stop(Cause),
    /// They were told, and one does not.
    GivenUp(Cause),
}

impl From<Interrupt> for Disturbance {
    fn from(what: Interrupt) -> Self {
        match what {
            Interrupt::Query => Self::Stop(Cause::Killed),
            Interrupt::Deadlock => Self::Deadlock,
            Interrupt::Connection => Self::End,
        }
    }
}

impl From<Disturbance> for ExecuteError {
    fn from(disturbance: Disturbance) -> Self {
        match disturbance {
            Disturbance::ClientGone => Self::ClientLost(NetError::Closed),
            Disturbance::End => Self::Interrupted,
            Disturbance::Deadlock => Self::Deadlock,
            Disturbance::Stop(cause) | Disturbance::GivenUp(cause) => cause.into(),
        }
    }
}
