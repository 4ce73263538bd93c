//! Statements of the proxy's own that go out together.

use super::lane::Head;
use super::{ExecuteError, Lane};
use crate::backend::BackendError;
use crate::protocol::command::code;
use crate::protocol::eof::EofPacket;
use crate::protocol::err::is_err;
use crate::protocol::ok::OkPacket;
use crate::protocol::{Capabilities, StatusFlags};

/// `COM_SET_OPTION` (page_protocol_com_set_option.html): `int<1>` the command, `int<2>` the option.
const MULTI_STATEMENTS_ON: [u8; 3] = [code::SET_OPTION, 0, 0];
const MULTI_STATEMENTS_OFF: [u8; 3] = [code::SET_OPTION, 1, 0];

impl Lane {
    /// Sends two statements that return no rows, of which the second runs only if the first succeeds.
    ///
    /// Commands that are sent one behind the other run all, also behind one that failed. Statements of one text end at the
    /// first error, so they are sent as one; the connection takes such texts only for as long as it takes.
    pub async fn send_both(&mut self, first: &str, second: &str) -> Result<(), ExecuteError> {
        self.run_preludes().await?;
        let conn = self.conn()?;
        conn.queue_packet(&MULTI_STATEMENTS_ON);
        conn.queue_query(format!("{first};{second}").as_bytes());
        conn.queue_packet(&MULTI_STATEMENTS_OFF);
        Ok(conn.flush().await?)
    }

    /// What the two statements of [`send_both`](Self::send_both) came to.
    pub async fn read_both(&mut self) -> Result<(), ExecuteError> {
        let enabled = self.read_option().await;
        let result = self.read_oks().await;
        let disabled = self.read_option().await;
        // An error that a server sent is in `result`; a lost connection is in the last of them.
        enabled.and(result).and(disabled)
    }

    async fn read_option(&mut self) -> Result<(), ExecuteError> {
        let packet = self.first_packet().await?;
        if is_err(&packet) {
            self.conn()?.response_done(None);
            return Err(self.server_error(&packet));
        }
        // An EOF packet, or the OK that takes its place.
        let status = if self.conn()?.flavour().deprecate_eof {
            OkPacket::parse(&packet, Capabilities::NONE).map(|ok| ok.status)
        } else {
            EofPacket::parse(&packet).map(|eof| eof.status)
        };
        let status = status.map_err(|error| self.malformed(&error))?;
        self.conn()?.response_done(Some(status));
        Ok(())
    }

    async fn read_oks(&mut self) -> Result<(), ExecuteError> {
        let mut packet = self.first_packet().await?;
        loop {
            if is_err(&packet) {
                self.conn()?.response_done(None);
                return Err(self.server_error(&packet));
            }
            let ok = OkPacket::parse(&packet, Capabilities::NONE).map_err(|error| self.malformed(&error))?;
            if !ok.status.contains(StatusFlags::MORE_RESULTS_EXISTS) {
                let status = ok.status;
                self.conn()?.response_done(Some(status));
                return Ok(());
            }
            packet = self.read_packet().await?;
        }
    }

    async fn first_packet(&mut self) -> Result<bytes::Bytes, ExecuteError> {
        self.conn()?.stream().set_seq(1);
        self.read_packet().await
    }

    /// Runs two statements in one round trip, the second also if the server refuses the first; gives what the second came
    /// to.
    pub async fn run_then(&mut self, first: &str, second: &str) -> Result<(), ExecuteError> {
        self.queue_prelude(first.as_bytes())?;
        self.send_query(second.as_bytes()).await?;
        match self.read_preludes().await {
            Err(error @ ExecuteError::Backend(BackendError::Server(_))) => {
                tracing::debug!(%error, "a branch is ended that its server has given up");
            }
            other => other?,
        }
        match self.read_head().await? {
            Head::Ok => Ok(()),
            Head::Rows(_) => {
                while self.read_row().await?.is_some() {}
                Ok(())
            }
        }
    }
}
