//! A statement that is answered by another one, which the planner wrote.

use std::sync::Arc;

use bytes::Bytes;

use super::error::PlanError;
use super::types::{Bound, NameMap, Params, SessionValues, ShardStatement, Text};
use super::{Ids, Plan, PlanContext};
use crate::id::IdError;
use crate::sql::{Literal, scan};

/// Another statement, and its plan.
#[derive(Debug, Clone)]
pub(crate) struct Instead {
    plan: Box<Plan>,
    sql: Bytes,
    literals: Vec<Literal>,
    /// What its columns are labelled with, if not as the plan says.
    pub names: Option<Arc<NameMap>>,
}

impl Instead {
    /// Plans it.
    pub fn new(context: &PlanContext<'_>, sql: String) -> Result<Self, PlanError> {
        let sql = Bytes::from(sql);
        let mut literals = Vec::new();
        let scanned = scan(&sql, context.mode, &mut literals);
        let plan = Box::new(super::plan(context, &sql, &scanned, &literals)?);
        Ok(Self { plan, sql, literals, names: None })
    }

    /// Its statements.
    pub fn bind(&self, session: &dyn SessionValues) -> Result<Bound, PlanError> {
        // it inserts nothing
        let none: Ids<'_> = &|_, _, _| Err(IdError::OutOfRange);
        let mut bound = self.plan.bind(&self.sql, &self.literals, &[], session, none)?;
        bound.shards.iter_mut().for_each(|shard| self.written_out(shard));
        Ok(bound)
    }

    /// As [`Plan::sample`].
    pub fn sample(&self) -> Result<ShardStatement, PlanError> {
        let mut sample = self.plan.sample(&self.sql, &self.literals)?;
        self.written_out(&mut sample);
        Ok(sample)
    }

    /// What is the same as this text is another one than the client's.
    fn written_out(&self, shard: &mut ShardStatement) {
        if shard.sql == Text::Same {
            shard.sql = Text::Rewritten(self.sql.clone());
        }
        shard.params = Params::Same;
        if let Some(names) = &self.names {
            shard.names = Some(Arc::clone(names));
        }
    }
}
