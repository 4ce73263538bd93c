//! Why no key could be given.

use crate::error::{Fault, Report};

/// Why no key could be given.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum IdError {
    /// The clock went back further than the bound.
    #[error(
        "the clock is {lag_ms} ms behind the last generated id (limit {limit_ms} ms); check the time of the proxy's host"
    )]
    ClockBehind {
        /// Milliseconds between the clock and the last id.
        lag_ms: u64,
        /// The limit.
        limit_ms: u64,
    },
    /// The ids given so far are ahead of the clock: there will be more when it has come so far.
    #[error("the clock must advance by {0} ms before more keys can be generated")]
    TooEarly(u64),
    /// 41 bits of milliseconds are used up, or the clock is before the epoch.
    #[error("the clock is outside of the 69 years that the key generator's epoch allows")]
    OutOfRange,
    /// A block or a lease must be fetched first.
    #[error("keys are being fetched; run the statement again")]
    NotReady,
    /// All worker ids are leased.
    #[error("all {0} worker ids are leased by other proxies")]
    NoWorkerId(u16),
    /// The table of sequences or leases cannot be used.
    #[error("keys cannot be generated: {0}")]
    Unavailable(String),
}

impl Report for IdError {
    fn errno(&self) -> u16 {
        1105
    }

    fn sqlstate(&self) -> &'static str {
        "HY000"
    }

    fn kind(&self) -> &'static str {
        "id_generator"
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Unavailable(_) => Fault::Backend,
            _ => Fault::Proxy,
        }
    }

    fn retryable(&self) -> bool {
        !matches!(self, Self::OutOfRange)
    }
}
