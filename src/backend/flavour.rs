//! The connection-time capabilities that shape the bytes of an answer.

/// Capabilities which a connection settles for its lifetime and which change what the client reads: a relayed answer is
/// only right when the backend connection agrees on them with the client. Connections of different flavours are pooled
/// apart, under one limit per server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flavour {
    /// `CLIENT_DEPRECATE_EOF`: result sets end with an OK packet, and no EOF follows the column definitions.
    pub deprecate_eof: bool,
    /// `CLIENT_FOUND_ROWS`: an UPDATE reports the rows it matched, not the rows it changed.
    pub found_rows: bool,
}

impl Flavour {
    /// How many flavours there are.
    pub const COUNT: usize = 4;
    /// What the proxy's own connections use.
    pub const OWN: Self = Self { deprecate_eof: true, found_rows: false };

    /// A dense index below [`Self::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.deprecate_eof) | usize::from(self.found_rows) << 1
    }

    /// The flavour of an index.
    pub fn from_index(index: usize) -> Self {
        Self { deprecate_eof: index & 1 != 0, found_rows: index & 2 != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flavour_has_its_own_index() {
        for index in 0..Flavour::COUNT {
            assert_eq!(Flavour::from_index(index).index(), index);
        }
    }
}
