//! Rows as the shards have them, one after the other or in the order of ORDER BY.

use super::key::{Clause, is_descending};
use super::{Weave, refused};
use crate::plan::error::PlanError;

impl Weave<'_, '_> {
    /// ORDER BY, if there is one. Under DISTINCT no column may be added that is not made of visible ones.
    pub(super) fn sort(&mut self, distinct: bool) -> Result<(), PlanError> {
        let keys = self.order_keys()?;
        let ranges = self.clauses.order.clone();
        for (key, range) in keys.iter().zip(ranges) {
            let descending = is_descending(key);
            let Some(key) = self.key(&key.expr, range, Clause::Order)? else { continue };
            if distinct && key.position.is_none() {
                return Err(refused("DISTINCT with an ORDER BY key that is not in the select list"));
            }
            let key = self.sort_key(&key, descending)?;
            self.spec.order.push(key);
        }
        Ok(())
    }
}
