//! How a transaction was begun: what is sent to each group that joins it.

use super::xid::Xid;

/// An isolation level, as `SET TRANSACTION` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl Isolation {
    /// The SQL keywords.
    pub fn keywords(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }

    /// The value of `transaction_isolation`.
    pub fn variable_value(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ-UNCOMMITTED",
            Self::ReadCommitted => "READ-COMMITTED",
            Self::RepeatableRead => "REPEATABLE-READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

/// The access mode of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// What the session's `transaction_read_only` says.
    #[default]
    Default,
    /// READ WRITE.
    ReadWrite,
    /// READ ONLY.
    ReadOnly,
}

/// How a transaction was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begin {
    /// READ ONLY or READ WRITE.
    pub access: Access,
    /// WITH CONSISTENT SNAPSHOT.
    pub consistent_snapshot: bool,
    /// `SET TRANSACTION ISOLATION LEVEL` for this transaction alone.
    pub isolation: Option<Isolation>,
}

impl Begin {
    /// `SET TRANSACTION` for a statement that is a transaction of its own; nothing if it is as all others.
    pub fn announcement(&self) -> Option<String> {
        let isolation = self.isolation.map(|isolation| format!("ISOLATION LEVEL {}", isolation.keywords()));
        let access = match self.access {
            Access::Default => None,
            Access::ReadWrite => Some("READ WRITE".to_owned()),
            Access::ReadOnly => Some("READ ONLY".to_owned()),
        };
        let parts: Vec<String> = isolation.into_iter().chain(access).collect();
        (!parts.is_empty()).then(|| format!("SET TRANSACTION {}", parts.join(", ")))
    }

    /// The statements that begin it on the anchor, or on a group that only it may write to.
    pub fn statements(&self) -> Vec<String> {
        let mut statements = Vec::with_capacity(2);
        statements.extend(self.isolation_statement());
        let mut parts = Vec::new();
        if self.consistent_snapshot {
            parts.push("WITH CONSISTENT SNAPSHOT");
        }
        match self.access {
            Access::Default => {}
            Access::ReadWrite => parts.push("READ WRITE"),
            Access::ReadOnly => parts.push("READ ONLY"),
        }
        statements.push(format!("START TRANSACTION {}", parts.join(", ")));
        statements
    }

    /// The statements that begin a branch on a further group. XA START takes no characteristics; `SET TRANSACTION` gives
    /// them to it as to any transaction that is next.
    pub fn branch_statements(&self, xid: &Xid) -> Vec<String> {
        let mut statements = Vec::with_capacity(3);
        statements.extend(self.isolation_statement());
        match self.access {
            Access::Default => {}
            Access::ReadWrite => statements.push("SET TRANSACTION READ WRITE".to_owned()),
            Access::ReadOnly => statements.push("SET TRANSACTION READ ONLY".to_owned()),
        }
        statements.push(format!("XA START {xid}"));
        statements
    }

    fn isolation_statement(&self) -> Option<String> {
        self.isolation.map(|isolation| format!("SET TRANSACTION ISOLATION LEVEL {}", isolation.keywords()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_say_all_that_was_asked() {
        assert_eq!(Begin::default().statements(), ["START TRANSACTION "]);
        assert_eq!(Begin::default().announcement(), None);
        let begin =
            Begin { access: Access::ReadOnly, consistent_snapshot: true, isolation: Some(Isolation::ReadCommitted) };
        assert_eq!(
            begin.statements(),
            ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"]
        );
        assert_eq!(begin.announcement().as_deref(), Some("SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"));
    }
}
