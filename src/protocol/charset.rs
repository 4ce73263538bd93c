//! Collation ids of handshakes and column definitions (`page_protocol_basic_character_set.html`).

use mysql_common::collations::{Collation, CollationId};

/// `binary`: the collation of numbers, dates and BLOBs in column definitions.
pub const BINARY: u16 = 63;
/// `utf8mb4_general_ci`, which every server knows.
pub const UTF8MB4_GENERAL_CI: u16 = 45;
/// `utf8mb4_0900_ai_ci`, MySQL 8's default.
pub const UTF8MB4_0900_AI_CI: u16 = 255;
/// `utf8mb3_general_ci`.
pub const UTF8MB3_GENERAL_CI: u16 = 33;
/// `latin1_swedish_ci`.
pub const LATIN1_SWEDISH_CI: u16 = 8;

/// The names that belong to a collation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollationName {
    /// The character set.
    pub charset: &'static str,
    /// The collation.
    pub collation: &'static str,
    /// The most bytes a character takes.
    pub max_character_bytes: u8,
    /// Whether MariaDB takes it to mean the character set alone (`character_set_collations`): the default of old.
    pub is_mariadb_default: bool,
}

/// The names of a collation id, or `None` for an id that is not MySQL's.
pub fn name(id: u16) -> Option<CollationName> {
    let collation = Collation::resolve(CollationId::from(id));
    (collation.id != CollationId::UNKNOWN_COLLATION_ID).then_some(CollationName {
        charset: collation.charset,
        collation: collation.collation,
        max_character_bytes: collation.max_len,
        is_mariadb_default: id == UTF8MB4_GENERAL_CI || (collation.is_default && id != UTF8MB4_0900_AI_CI),
    })
}

/// Whether a collation id is MySQL's alone, or nobody's: a MariaDB without the `0900` collations does not know it.
pub fn is_unknown_to_mariadb(id: u16) -> bool {
    // `utf8mb3_tolower_ci`
    const TOLOWER: u16 = 76;
    id == TOLOWER || name(id).is_none_or(|name| name.charset == "gb18030" || name.collation.contains("_0900_"))
}

/// Whether statements in a character set can be read byte by byte: no byte of a longer character looks like a quote or a
/// backslash.
pub fn is_readable(charset: &str) -> bool {
    const NOT_BYTEWISE: [&str; 9] = ["big5", "cp932", "gb18030", "gbk", "sjis", "ucs2", "utf16", "utf16le", "utf32"];
    !NOT_BYTEWISE.iter().any(|name| charset.eq_ignore_ascii_case(name))
}

/// Whether a server does not read statements in a character set either: a client that names it in its handshake gets the
/// server's default (*Connection Character Sets and Collations*, "Impermissible Client Character Sets").
pub fn is_impermissible(charset: &str) -> bool {
    ["ucs2", "utf16", "utf16le", "utf32"].iter().any(|name| charset.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name(UTF8MB4_GENERAL_CI).map(|n| (n.charset, n.collation)), Some(("utf8mb4", "utf8mb4_general_ci")));
        assert_eq!(name(BINARY).map(|n| n.charset), Some("binary"));
        let defaults =
            [8, 33, UTF8MB4_GENERAL_CI, 46, 224, UTF8MB4_0900_AI_CI].map(|id| name(id).unwrap().is_mariadb_default);
        assert_eq!(defaults, [true, true, true, false, false, false]);
        assert_eq!(name(0), None);
        assert_eq!(name(28).map(|n| n.charset), Some("gbk"));
        assert_eq!(name(248).map(|n| n.charset), Some("gb18030"));
        assert!(!is_readable("GBK") && is_readable("latin1") && is_readable("euckr"));
        assert!(is_impermissible("utf16") && !is_impermissible("gbk"));
        assert_eq!(name(60_000), None);
        assert!([0, 76, 248, UTF8MB4_0900_AI_CI, 305, 60_000].into_iter().all(is_unknown_to_mariadb));
        assert!(![8, 33, 45, 46, 63, 224, 246].into_iter().any(is_unknown_to_mariadb));
    }
}
