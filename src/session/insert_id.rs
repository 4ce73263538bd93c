//! LAST_INSERT_ID() after an insert: a server reports the id of a row whether it has made it or was given it, but the function
//! tells only of those that it has made.

use super::Session;
use super::run::Input;
use crate::execute::Lane;
use crate::execute::own_query::query_rows;
use crate::plan::Plan;
use crate::protocol::Value;
use crate::sql::{LexMode, Literal};

impl Session {
    /// Asks the server that has run an insert whether it has made the id that it reports. `previous` is what
    /// LAST_INSERT_ID() told before.
    pub(super) async fn check_insert_id(&mut self, lane: &mut Lane, previous: u64) {
        let outcome = lane.outcome().clone();
        if let Ok((_, rows)) = query_rows(lane, "SELECT LAST_INSERT_ID()", 1).await {
            let told = rows.first().and_then(|row| row.first()).and_then(Option::as_ref);
            if told.and_then(|id| number(id)) != Some(outcome.insert_id) {
                self.state.last_insert_id = previous;
            }
        }
        lane.restore_outcome(outcome);
    }
}

/// Whether an insert may have given a row this id itself. Where no value of it is the id, the server has made it, and need not
/// be asked.
pub(super) fn may_give(input: Input<'_>, id: u64, plan: &Plan, literals: &[Literal]) -> bool {
    let literals = match input {
        Input::Text(_) => literals,
        Input::Execute { prepared, payload, .. } => {
            let mut params =
                (0..prepared.params.len()).map(|at| prepared.params.value(at, payload, &prepared.long_data));
            if params.any(|value| value.map_or(true, |value| may_be(&value, id))) {
                return true;
            }
            &prepared.literals
        }
    };
    let sql = input.sql();
    plan.pins.user_variables
        || literals.iter().any(|literal| number(&literal.value(sql, LexMode::default())) == Some(id))
        || sql.windows(6).any(|word| word.eq_ignore_ascii_case(b"select"))
}

fn may_be(value: &Value<'_>, id: u64) -> bool {
    match *value {
        Value::Int(value) => u64::try_from(value) == Ok(id),
        Value::UInt(value) => value == id,
        Value::Bytes(text) => number(text) == Some(id),
        Value::Float(_) | Value::Double(_) => true,
        Value::Null | Value::Date(_) | Value::DateTime(_) | Value::Time(_) => false,
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
