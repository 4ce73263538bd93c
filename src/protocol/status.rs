//! Server status flags (`mysql__com_8h.html#SERVER_STATUS_flags_enum`), in every OK and EOF packet.

use std::fmt;

use super::flags::flag_set;

/// A set of status flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StatusFlags(pub u16);

flag_set!(StatusFlags);

impl StatusFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// A transaction is open.
    pub const IN_TRANSACTION: Self = Self(0x0001);
    /// Autocommit is on.
    pub const AUTOCOMMIT: Self = Self(0x0002);
    /// Another result follows this one.
    pub const MORE_RESULTS_EXISTS: Self = Self(0x0008);
    /// The query used no good index.
    pub const NO_GOOD_INDEX_USED: Self = Self(0x0010);
    /// The query used no index.
    pub const NO_INDEX_USED: Self = Self(0x0020);
    /// A cursor was opened; rows come by COM_STMT_FETCH.
    pub const CURSOR_EXISTS: Self = Self(0x0040);
    /// COM_STMT_FETCH has sent the cursor's last row.
    pub const LAST_ROW_SENT: Self = Self(0x0080);
    /// A database was dropped.
    pub const DB_DROPPED: Self = Self(0x0100);
    /// Backslash is no escape (sql_mode NO_BACKSLASH_ESCAPES): decides how the next statement is read.
    pub const NO_BACKSLASH_ESCAPES: Self = Self(0x0200);
    /// A prepared statement was prepared again and its metadata may have changed.
    pub const METADATA_CHANGED: Self = Self(0x0400);
    /// The query was slower than long_query_time.
    pub const QUERY_WAS_SLOW: Self = Self(0x0800);
    /// The result holds OUT parameters of a CALL.
    pub const PS_OUT_PARAMS: Self = Self(0x1000);
    /// A read-only transaction is open.
    pub const IN_READ_ONLY_TRANSACTION: Self = Self(0x2000);
    /// The OK packet carries session state changes.
    pub const SESSION_STATE_CHANGED: Self = Self(0x4000);
    /// MariaDB: ANSI_QUOTES is on.
    pub const ANSI_QUOTES: Self = Self(0x8000);
}

impl fmt::Debug for StatusFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusFlags({:#06x})", self.0)
    }
}
