//! Capability flags (`group__group__cs__capabilities__flags.html`), with MariaDB's extended ones in the high half.

use std::fmt;

use super::flags::flag_set;

/// A set of capabilities. The low 32 bits are MySQL's; the high 32 are MariaDB's extended capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(pub u64);

flag_set!(Capabilities);

impl Capabilities {
    /// No capability.
    pub const NONE: Self = Self(0);
    /// MySQL: longer passwords, always set. MariaDB calls it CLIENT_MYSQL; where a server leaves it out, it is a
    /// MariaDB that sends extended capabilities.
    pub const LONG_PASSWORD: Self = Self(1);
    /// Affected rows of UPDATE are the rows found, not the rows changed.
    pub const FOUND_ROWS: Self = Self(1 << 1);
    /// Two bytes of column flags.
    pub const LONG_FLAG: Self = Self(1 << 2);
    /// The handshake response names a database.
    pub const CONNECT_WITH_DB: Self = Self(1 << 3);
    /// `db.table.column` is not allowed.
    pub const NO_SCHEMA: Self = Self(1 << 4);
    /// zlib compression.
    pub const COMPRESS: Self = Self(1 << 5);
    /// ODBC client.
    pub const ODBC: Self = Self(1 << 6);
    /// LOAD DATA LOCAL.
    pub const LOCAL_FILES: Self = Self(1 << 7);
    /// Spaces before `(` after a function's name.
    pub const IGNORE_SPACE: Self = Self(1 << 8);
    /// The 4.1 protocol, the only one spoken here.
    pub const PROTOCOL_41: Self = Self(1 << 9);
    /// `interactive_timeout` instead of `wait_timeout`.
    pub const INTERACTIVE: Self = Self(1 << 10);
    /// TLS after an SSLRequest.
    pub const SSL: Self = Self(1 << 11);
    /// The client ignores SIGPIPE.
    pub const IGNORE_SIGPIPE: Self = Self(1 << 12);
    /// Status flags and transactions.
    pub const TRANSACTIONS: Self = Self(1 << 13);
    /// Old name of the 4.1 flag; unused.
    pub const RESERVED: Self = Self(1 << 14);
    /// 4.1 authentication (the 20-byte scramble).
    pub const SECURE_CONNECTION: Self = Self(1 << 15);
    /// Several statements in one COM_QUERY.
    pub const MULTI_STATEMENTS: Self = Self(1 << 16);
    /// Several result sets for COM_QUERY.
    pub const MULTI_RESULTS: Self = Self(1 << 17);
    /// Several result sets for COM_STMT_EXECUTE.
    pub const PS_MULTI_RESULTS: Self = Self(1 << 18);
    /// Authentication plugins by name.
    pub const PLUGIN_AUTH: Self = Self(1 << 19);
    /// Connection attributes.
    pub const CONNECT_ATTRS: Self = Self(1 << 20);
    /// The length of the authentication response is length-encoded.
    pub const PLUGIN_AUTH_LENENC_DATA: Self = Self(1 << 21);
    /// Expired passwords may connect.
    pub const CAN_HANDLE_EXPIRED_PASSWORDS: Self = Self(1 << 22);
    /// OK packets carry session state changes.
    pub const SESSION_TRACK: Self = Self(1 << 23);
    /// OK packets take the place of EOF packets.
    pub const DEPRECATE_EOF: Self = Self(1 << 24);
    /// The client may leave out column definitions.
    pub const OPTIONAL_RESULTSET_METADATA: Self = Self(1 << 25);
    /// zstd compression.
    pub const ZSTD_COMPRESSION: Self = Self(1 << 26);
    /// Query attributes in COM_QUERY and COM_STMT_EXECUTE.
    pub const QUERY_ATTRIBUTES: Self = Self(1 << 27);
    /// Several authentication factors.
    pub const MULTI_FACTOR_AUTHENTICATION: Self = Self(1 << 28);
    /// The client checks server certificates.
    pub const SSL_VERIFY_SERVER_CERT: Self = Self(1 << 30);
    /// MariaDB: progress reports in ERR packets.
    pub const MARIADB_PROGRESS: Self = Self(1 << 32);
    /// MariaDB: COM_STMT_BULK_EXECUTE.
    pub const MARIADB_BULK_OPERATIONS: Self = Self(1 << 34);
    /// MariaDB: extended metadata in column definitions.
    pub const MARIADB_EXTENDED_METADATA: Self = Self(1 << 35);
    /// MariaDB: metadata of prepared statements is sent once.
    pub const MARIADB_CACHE_METADATA: Self = Self(1 << 36);
    /// MariaDB: one OK per row of a bulk execution.
    pub const MARIADB_BULK_UNIT_RESULTS: Self = Self(1 << 37);

    /// What the proxy offers to clients, TLS apart. Compression, query attributes, optional metadata and MariaDB's
    /// extensions are left out: a client must not be promised what the relay cannot keep.
    pub const OFFERED_TO_CLIENTS: Self = Self(
        Self::LONG_PASSWORD.0
            | Self::FOUND_ROWS.0
            | Self::LONG_FLAG.0
            | Self::CONNECT_WITH_DB.0
            | Self::NO_SCHEMA.0
            | Self::ODBC.0
            | Self::LOCAL_FILES.0
            | Self::IGNORE_SPACE.0
            | Self::PROTOCOL_41.0
            | Self::INTERACTIVE.0
            | Self::IGNORE_SIGPIPE.0
            | Self::TRANSACTIONS.0
            | Self::RESERVED.0
            | Self::SECURE_CONNECTION.0
            | Self::MULTI_STATEMENTS.0
            | Self::MULTI_RESULTS.0
            | Self::PS_MULTI_RESULTS.0
            | Self::PLUGIN_AUTH.0
            | Self::CONNECT_ATTRS.0
            | Self::PLUGIN_AUTH_LENENC_DATA.0
            | Self::CAN_HANDLE_EXPIRED_PASSWORDS.0
            | Self::SESSION_TRACK.0
            | Self::DEPRECATE_EOF.0,
    );

    /// MySQL's half, as it stands in the packets.
    pub const fn low(self) -> u32 {
        self.0 as u32
    }

    /// MariaDB's half.
    pub const fn extended(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::constants::CapabilityFlags;

    #[test]
    fn flags_agree_with_mysql_common() {
        for (ours, theirs) in [
            (Capabilities::FOUND_ROWS, CapabilityFlags::CLIENT_FOUND_ROWS),
            (Capabilities::LOCAL_FILES, CapabilityFlags::CLIENT_LOCAL_FILES),
            (Capabilities::SSL, CapabilityFlags::CLIENT_SSL),
            (Capabilities::MULTI_STATEMENTS, CapabilityFlags::CLIENT_MULTI_STATEMENTS),
            (Capabilities::PS_MULTI_RESULTS, CapabilityFlags::CLIENT_PS_MULTI_RESULTS),
            (Capabilities::PLUGIN_AUTH, CapabilityFlags::CLIENT_PLUGIN_AUTH),
            (Capabilities::CONNECT_ATTRS, CapabilityFlags::CLIENT_CONNECT_ATTRS),
            (Capabilities::PLUGIN_AUTH_LENENC_DATA, CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA),
            (Capabilities::SESSION_TRACK, CapabilityFlags::CLIENT_SESSION_TRACK),
            (Capabilities::DEPRECATE_EOF, CapabilityFlags::CLIENT_DEPRECATE_EOF),
            (Capabilities::QUERY_ATTRIBUTES, CapabilityFlags::CLIENT_QUERY_ATTRIBUTES),
        ] {
            assert_eq!(ours.low(), theirs.bits());
        }
    }

    #[test]
    fn what_cannot_be_kept_is_not_offered() {
        let offered = Capabilities::OFFERED_TO_CLIENTS;
        for flag in [
            Capabilities::COMPRESS,
            Capabilities::ZSTD_COMPRESSION,
            Capabilities::QUERY_ATTRIBUTES,
            Capabilities::OPTIONAL_RESULTSET_METADATA,
            Capabilities::MARIADB_CACHE_METADATA,
        ] {
            assert!(!offered.contains(flag), "{flag:?} is offered");
        }
        assert_eq!(offered.extended(), 0);
    }
}
