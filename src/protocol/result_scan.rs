//! Walks the packet headers of a server's answer, so that its bytes can be relayed as they are.
//!
//! The cost is O(1) per packet: rows are never looked into beyond their first byte. What must be changed on the way
//! (sequence ids, status flags) is changed in place; what changes its length (column names, errors) is pointed out.

use std::ops::Range;

use super::frame::{FrameHeader, HEADER_LEN, MAX_WIRE_PAYLOAD};
use super::response::{Outcome, Packet, ResponseKind, ResponseState};
use super::{PrepareOk, ProtocolError, Result, StatusFlags};

/// The longest packet that is looked into: OK, EOF, ERR, column definitions. (A server's own limits keep these far
/// below; an OK with the GTIDs of many servers is the longest.)
pub const MAX_INSPECTED_BYTES: usize = 1 << 20;

/// Which packets a scan stops at, besides the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Watch {
    /// Column definitions, and those of parameters.
    pub columns: bool,
    /// The end of each result, not only of the last.
    pub results: bool,
}

/// What a scan changes in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewrite {
    /// Added to every sequence id, wrapping: the answer of a later statement continues that of an earlier one.
    pub seq_add: u8,
    /// Set in the status flags of every OK and EOF.
    pub status_set: StatusFlags,
    /// Cleared in the status flags of every OK and EOF, before `status_set` is set.
    pub status_clear: StatusFlags,
}

/// Where a scan stopped. Ranges are offsets in the buffer that was scanned, frame header included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The buffer is used up; more bytes are to come.
    NeedMore,
    /// A column definition, watched.
    Column(Range<usize>),
    /// The first packet of the answer to COM_STMT_PREPARE.
    PrepareOk(Range<usize>, PrepareOk),
    /// The end of a result, watched; another result follows.
    ResultEnd(Range<usize>),
    /// The server asks for a file. Relay this, then the client's packets, then scan on.
    LocalInfile(Range<usize>),
    /// The answer is complete; the range is its terminal packet, and empty where it has none.
    Done(Range<usize>),
}

/// What [`ResultScanner::scan`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// So many bytes from the start of the buffer are accounted for: relay them, but for packets that
    /// [`Scan::stop`] points out and the caller replaces. The rest must be scanned again, with more behind it.
    pub consumed: usize,
    /// Why it stopped.
    pub stop: Stop,
}

/// The state of a relayed answer. One per answer; small enough to live in the session.
#[derive(Debug, Clone)]
pub struct ResultScanner {
    state: ResponseState,
    /// Payload bytes of the packet at hand which are still to pass.
    skip: usize,
    /// The packet before had the largest length: the next one continues it.
    continues: bool,
    watch: Watch,
    rewrite: Rewrite,
    last_seq: u8,
}

impl ResultScanner {
    /// For the answer to a command on a connection with or without CLIENT_DEPRECATE_EOF.
    pub fn new(kind: ResponseKind, deprecate_eof: bool) -> Self {
        Self {
            state: ResponseState::new(kind, deprecate_eof),
            skip: 0,
            continues: false,
            watch: Watch::default(),
            rewrite: Rewrite::default(),
            last_seq: 0,
        }
    }

    /// Stops at more packets.
    pub fn watching(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Changes packets in place.
    pub fn rewriting(mut self, rewrite: Rewrite) -> Self {
        self.rewrite = rewrite;
        self
    }

    /// Whether the answer is complete.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.state.is_done() && self.skip == 0
    }

    /// Whether the bytes so far end inside a packet: nothing but its rest can follow.
    pub fn is_mid_packet(&self) -> bool {
        self.skip > 0 || self.continues
    }

    /// What the last terminal packet said. Its flags are the server's own, before any rewriting.
    pub fn outcome(&self) -> &Outcome {
        self.state.outcome()
    }

    /// How many rows have passed.
    pub fn rows(&self) -> u64 {
        self.state.rows()
    }

    /// The sequence id of the last packet, as it was rewritten.
    pub fn last_seq(&self) -> u8 {
        self.last_seq
    }

    /// Scans from the start of `buf`, which continues what earlier scans consumed. After an error the connection is of
    /// no more use.
    pub fn scan(&mut self, buf: &mut [u8]) -> Result<Scan> {
        let mut at = self.skip.min(buf.len());
        self.skip -= at;
        loop {
            if self.state.is_done() && self.skip == 0 && !self.continues {
                return Ok(Scan { consumed: at, stop: Stop::Done(at..at) });
            }
            let Some(rest) = buf.get_mut(at..) else { return Ok(need_more(at)) };
            let (Some(header), Some(&first)) = (FrameHeader::read(rest), rest.get(HEADER_LEN)) else {
                return self.short(rest, at);
            };
            let end = at + HEADER_LEN + header.payload_len;
            let (len, columns_pass) = (header.payload_len, !self.watch.columns);
            if self.continues || (len > 0 && self.state.passes(first, len, columns_pass)) {
                if !self.continues {
                    self.state.pass();
                }
                self.take_header(rest, header);
                self.continues = header.payload_len == MAX_WIRE_PAYLOAD;
                at = end.min(buf.len());
                self.skip = end - at;
                continue;
            }
            if header.payload_len > MAX_INSPECTED_BYTES {
                return Err(ProtocolError::TooLarge { what: "a packet of an answer", limit: MAX_INSPECTED_BYTES });
            }
            let Some(packet) = rest.get_mut(..HEADER_LEN + header.payload_len) else { return Ok(need_more(at)) };
            self.take_header(packet, header);
            let found = self.inspect(packet)?;
            if let Some(stop) = self.stop_at(found, at..end) {
                return Ok(Scan { consumed: end, stop });
            }
            at = end;
        }
    }

    /// Fewer bytes than a header and a first byte. Only a continuation can be empty, and so be whole with its header.
    fn short(&mut self, rest: &mut [u8], at: usize) -> Result<Scan> {
        let Some(header @ FrameHeader { payload_len: 0, .. }) = FrameHeader::read(rest) else {
            return Ok(need_more(at));
        };
        if !self.continues {
            return Err(ProtocolError::Malformed { what: "an empty packet in an answer" });
        }
        self.take_header(rest, header);
        self.continues = false;
        Ok(need_more(at + HEADER_LEN))
    }

    #[inline]
    fn take_header(&mut self, packet: &mut [u8], header: FrameHeader) {
        self.last_seq = header.seq.wrapping_add(self.rewrite.seq_add);
        packet[HEADER_LEN - 1] = self.last_seq;
    }

    /// Looks into a packet and rewrites its flags.
    fn inspect(&mut self, packet: &mut [u8]) -> Result<Packet> {
        let payload = &mut packet[HEADER_LEN..];
        let found = self.state.accept(payload, payload.len())?;
        if let Some(flags) = self.state.status_at().and_then(|at| payload.get_mut(at..at + 2)) {
            let old = StatusFlags(u16::from_le_bytes([flags[0], flags[1]]));
            let new = old.without(self.rewrite.status_clear).with(self.rewrite.status_set);
            flags.copy_from_slice(&new.0.to_le_bytes());
        }
        Ok(found)
    }

    fn stop_at(&self, found: Packet, range: Range<usize>) -> Option<Stop> {
        match found {
            Packet::Column if self.watch.columns => Some(Stop::Column(range)),
            Packet::PrepareOk(ok) => Some(Stop::PrepareOk(range, ok)),
            Packet::LocalInfile => Some(Stop::LocalInfile(range)),
            Packet::End { more: false } => Some(Stop::Done(range)),
            Packet::End { more: true } if self.watch.results => Some(Stop::ResultEnd(range)),
            _ => None,
        }
    }
}

fn need_more(consumed: usize) -> Scan {
    Scan { consumed, stop: Stop::NeedMore }
}

#[cfg(test)]
mod tests;
