//! What can be wrong with a packet.

use crate::error::{Fault, Report};

/// A packet that cannot be what it claims to be. `what` names the packet or field, never its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The packet ended before the field did.
    #[error("Malformed communication packet: {what} is cut short.")]
    Truncated {
        /// The packet or field.
        what: &'static str,
    },
    /// The field holds what it may not hold.
    #[error("Malformed communication packet: {what}.")]
    Malformed {
        /// What was met.
        what: &'static str,
    },
    /// A limit of ours, named by `what`, is passed.
    #[error("Malformed communication packet: {what} is larger than {limit} bytes.")]
    TooLarge {
        /// The packet or field.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A command byte that no server knows: MySQL's own error and text.
    #[error("Unknown command")]
    UnknownCommand,
    /// `ER_WRONG_ARGUMENTS`, as MySQL answers a COM_STMT_EXECUTE that it cannot read.
    #[error("Incorrect arguments to mysqld_stmt_execute")]
    ExecuteArguments,
}

impl Report for ProtocolError {
    fn errno(&self) -> u16 {
        match self {
            Self::Truncated { .. } | Self::Malformed { .. } | Self::TooLarge { .. } => 1835,
            Self::UnknownCommand => 1047,
            Self::ExecuteArguments => 1210,
        }
    }

    fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownCommand => "08S01",
            _ => "HY000",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "packet_truncated",
            Self::Malformed { .. } => "packet_malformed",
            Self::TooLarge { .. } => "packet_field_too_large",
            Self::UnknownCommand => "unknown_command",
            Self::ExecuteArguments => "execute_arguments",
        }
    }

    fn fault(&self) -> Fault {
        Fault::Client
    }
}
