//! The first packet of the answer to COM_STMT_PREPARE (`page_protocol_com_stmt_prepare.html`).

use bytes::BufMut;

use super::wire::Reader;
use super::{ProtocolError, Result};

/// COM_STMT_PREPARE_OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrepareOk {
    /// Statement id.
    pub statement_id: u32,
    /// How many columns its result has; their definitions follow those of the parameters.
    pub columns: u16,
    /// How many parameters it has; their definitions follow.
    pub params: u16,
    /// Number of warnings.
    pub warnings: u16,
}

impl PrepareOk {
    /// Parses a payload.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(payload, "the answer to COM_STMT_PREPARE");
        // int<1> status
        if reader.u8()? != 0 {
            return Err(ProtocolError::Malformed { what: "the answer to COM_STMT_PREPARE has another header" });
        }
        let statement_id = reader.u32()?; // int<4>
        let columns = reader.u16()?; // int<2>
        let params = reader.u16()?; // int<2>
        reader.u8()?; // filler
        // int<2>; older servers leave it out
        let warnings = if reader.is_empty() { 0 } else { reader.u16()? };
        Ok(Self { statement_id, columns, params, warnings })
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_u8(0);
        out.put_u32_le(self.statement_id);
        out.put_u16_le(self.columns);
        out.put_u16_le(self.params);
        out.put_u8(0);
        out.put_u16_le(self.warnings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_manual() {
        let payload = [0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0];
        let ok = PrepareOk { statement_id: 1, columns: 1, params: 2, warnings: 0 };
        assert_eq!(PrepareOk::parse(&payload), Ok(ok));
        let mut out = Vec::new();
        ok.put(&mut out);
        assert_eq!(out, payload);
        for cut in 0..payload.len() {
            assert_eq!(PrepareOk::parse(&payload[..cut]).is_ok(), cut == 10);
        }
    }
}
