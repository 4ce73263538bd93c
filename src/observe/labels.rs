//! The values that labels take: few and known, so that no client can make the metrics grow.

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// SELECT and what else gives rows out of tables.
    Select,
    /// INSERT and REPLACE.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// CREATE, ALTER, DROP, TRUNCATE, RENAME.
    Ddl,
    /// BEGIN, COMMIT, ROLLBACK, savepoints, XA.
    Transaction,
    /// SET and USE.
    Session,
    /// SHOW, DESCRIBE, EXPLAIN.
    Show,
    /// Preparing a statement.
    Prepare,
    /// Everything else.
    Other,
}

impl QueryKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Ddl,
        Self::Transaction,
        Self::Session,
        Self::Show,
        Self::Prepare,
        Self::Other,
    ];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Ddl => "ddl",
            Self::Transaction => "transaction",
            Self::Session => "session",
            Self::Show => "show",
            Self::Prepare => "prepare",
            Self::Other => "other",
        }
    }
}

/// How a statement was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// By one shard, its bytes passed on.
    Relay,
    /// By several shards, their rows or counts put together.
    Scatter,
    /// By one server, over temporary tables filled from the shards.
    Scratch,
    /// By the proxy itself.
    Local,
    /// Not at all: with an error.
    Failed,
}

impl Way {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Relay, Self::Scatter, Self::Scratch, Self::Local, Self::Failed];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Scatter => "scatter",
            Self::Scratch => "scratch",
            Self::Local => "local",
            Self::Failed => "failed",
        }
    }
}

/// Why a client's connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The connection limit was reached.
    Limit,
    /// Wrong user, password or schema.
    Authentication,
    /// It did not speak the protocol, or gave up, before it was authenticated.
    Handshake,
    /// The proxy is going down.
    Draining,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Limit, Self::Authentication, Self::Handshake, Self::Draining];

    /// The label's value.
    pub fn label(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Authentication => "authentication",
            Self::Handshake => "handshake",
            Self::Draining => "draining",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_lists() {
        assert!(QueryKind::ALL.iter().enumerate().all(|(place, &kind)| kind as usize == place));
        assert!(Way::ALL.iter().enumerate().all(|(place, &way)| way as usize == place));
        assert!(Refusal::ALL.iter().enumerate().all(|(place, &refusal)| refusal as usize == place));
    }
}
