//! Parameters that arrive in pieces (`page_protocol_com_stmt_send_long_data.html`).

use std::collections::BTreeMap;

/// The pieces of one statement's parameters, until it is executed or reset.
#[derive(Debug, Clone, Default)]
pub struct LongData {
    params: BTreeMap<u16, Vec<u8>>,
    total_bytes: usize,
    overflowed: bool,
}

impl LongData {
    /// Appends a piece. Past `max_bytes` in all nothing is kept and [`Self::overflowed`] tells so: the command has no
    /// answer, so the error is the next execution's.
    pub fn append(&mut self, param: u16, piece: &[u8], max_bytes: usize) {
        if self.overflowed || self.total_bytes.saturating_add(piece.len()) > max_bytes {
            self.params.clear();
            self.overflowed = true;
            return;
        }
        self.total_bytes += piece.len();
        self.params.entry(param).or_default().extend_from_slice(piece);
    }

    /// What has come for a parameter. A parameter that was sent empty is there, and empty.
    pub fn get(&self, param: usize) -> Option<&[u8]> {
        self.params.get(&u16::try_from(param).ok()?).map(Vec::as_slice)
    }

    /// Whether any parameter came in pieces.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// Whether more came than is allowed.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Forgets all: after an execution, and for COM_STMT_RESET.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_up_to_a_bound() {
        let mut data = LongData::default();
        data.append(1, b"ab", 5);
        data.append(1, b"cd", 5);
        data.append(0, b"", 5);
        assert_eq!((data.get(0), data.get(1), data.get(2)), (Some(&b""[..]), Some(&b"abcd"[..]), None));
        data.append(1, b"ef", 5);
        assert!(data.overflowed() && data.is_empty());
        data.clear();
        assert!(!data.overflowed());
    }
}
