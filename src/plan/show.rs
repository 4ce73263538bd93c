//! stub
use super::{Plan, PlanError, opaque};
use super::query::Subject;
use crate::sql::session_statement::{Describe, Show};
pub(crate) fn plan(subject: &Subject<'_>, _: &Show) -> Result<Plan, PlanError> { opaque::plan(subject, "this SHOW") }
pub(crate) fn describe(subject: &Subject<'_>, _: &Describe) -> Result<Plan, PlanError> { opaque::plan(subject, "DESCRIBE") }
