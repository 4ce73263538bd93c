//! `BEGIN`, `START TRANSACTION`, `COMMIT`, `ROLLBACK` (*START TRANSACTION, COMMIT, and ROLLBACK Statements*).

use super::super::cursor::Cursor;
use super::SessionStatement;

/// How a transaction begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Begin {
    /// `READ ONLY` or `READ WRITE`, if given.
    pub read_only: Option<bool>,
    /// `WITH CONSISTENT SNAPSHOT`.
    pub consistent_snapshot: bool,
}

/// How a transaction ends. Nothing means: as `completion_type` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// `AND [NO] CHAIN`: begin the next one at once.
    pub chain: Option<bool>,
    /// `[NO] RELEASE`: close the connection.
    pub release: Option<bool>,
}

pub(super) fn begin(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    let mut begin = Begin::default();
    if cursor.word("begin") {
        cursor.word("work");
    } else {
        if !cursor.words(&["start", "transaction"]) {
            return None;
        }
        loop {
            if cursor.words(&["with", "consistent", "snapshot"]) {
                begin.consistent_snapshot = true;
            } else if begin.read_only.is_none() && cursor.words(&["read", "only"]) {
                begin.read_only = Some(true);
            } else if begin.read_only.is_none() && cursor.words(&["read", "write"]) {
                begin.read_only = Some(false);
            } else {
                break;
            }
            if !cursor.symbol(b',') {
                break;
            }
        }
    }
    Some(SessionStatement::Begin(begin))
}

pub(super) fn commit(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor.skip().word("work");
    Some(SessionStatement::Commit(end(cursor)?))
}

pub(super) fn rollback(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor.skip().word("work");
    if cursor.word("to") {
        cursor.word("savepoint");
        return cursor.name().map(SessionStatement::RollbackTo);
    }
    Some(SessionStatement::Rollback(end(cursor)?))
}

fn end(cursor: &mut Cursor<'_>) -> Option<End> {
    let mut end = End::default();
    if cursor.word("and") {
        let no = cursor.word("no");
        if !cursor.word("chain") {
            return None;
        }
        end.chain = Some(!no);
    }
    if cursor.words(&["no", "release"]) {
        end.release = Some(false);
    } else if cursor.word("release") {
        end.release = Some(true);
    }
    Some(end)
}
