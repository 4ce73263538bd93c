//! Hint comments: `/* shardloom: … */`.
//!
//! | hint | meaning |
//! |---|---|
//! | `primary` | on the primary |
//! | `replica` | on a replica, even where the session would take the primary |
//! | `group=g1` | in that group, without a look at the tables: the statement goes there as it is |
//! | `shard_value=…` | the value for tables with the `hint` algorithm: an integer or a `'text'` |
//!
//! Several stand in one comment, separated by commas.

use super::PlanContext;
use super::error::PlanError;
use super::types::ServerHint;
use crate::config::GroupId;
use crate::route::key::KeyValue;
use crate::sql::lexer::{Lexer, TokenKind};

/// What the hint comments of a statement say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Hints {
    /// Primary or replica.
    pub server: Option<ServerHint>,
    /// The group to send the statement to, as it is.
    pub group: Option<GroupId>,
    /// The value for tables with the `hint` algorithm.
    pub shard_value: Option<KeyValue>,
}

impl Hints {
    /// Reads the hint comments of a statement.
    pub fn read(sql: &[u8], context: &PlanContext<'_>) -> Result<Self, PlanError> {
        let mut hints = Self::default();
        if memchr::memmem::find(sql, b"shardloom:").is_none() {
            return Ok(hints);
        }
        for token in Lexer::new(sql, context.mode).filter(|token| token.kind == TokenKind::ProxyHint) {
            let comment = String::from_utf8_lossy(token.bytes(sql)).into_owned();
            let Some((_, text)) = comment.split_once("shardloom:") else { continue };
            for hint in text.trim_end_matches("*/").split(',') {
                hints.take(hint.trim(), context)?;
            }
        }
        Ok(hints)
    }

    fn take(&mut self, hint: &str, context: &PlanContext<'_>) -> Result<(), PlanError> {
        let wrong = |problem: &str| PlanError::Hint { hint: hint.to_owned(), problem: problem.to_owned() };
        let (name, value) = match hint.split_once('=') {
            Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(value.trim())),
            None => (hint.to_ascii_lowercase(), None),
        };
        match (name.as_str(), value) {
            ("primary", None) => self.server = Some(ServerHint::Primary),
            ("replica", None) => self.server = Some(ServerHint::Replica),
            ("group", Some(name)) => {
                let group = context.rules.groups.iter().position(|group| &*group.name == name);
                let group = group.and_then(|index| u16::try_from(index).ok());
                self.group = Some(GroupId(group.ok_or_else(|| wrong("the rules have no group of this name"))?));
            }
            ("shard_value", Some(value)) => {
                self.shard_value = Some(shard_value(value).ok_or_else(|| wrong("write an integer or 'text'"))?);
            }
            _ => return Err(wrong("known are primary, replica, group=<name> and shard_value=<value>")),
        }
        Ok(())
    }
}

fn shard_value(value: &str) -> Option<KeyValue> {
    if let Ok(number) = value.parse::<i128>() {
        return Some(KeyValue::Int(number));
    }
    let text = value.strip_prefix('\'')?.strip_suffix('\'')?;
    (!text.contains(['\'', '\\'])).then(|| KeyValue::Text(text.to_owned()))
}
