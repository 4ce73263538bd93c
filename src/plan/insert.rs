//! stub
use super::error::PlanError;
use super::types::*;
use crate::route::values::Values;
#[derive(Debug, Clone)]
pub(crate) struct InsertAction;
impl InsertAction { pub fn bind(&self, _: &Values<'_>, _: &dyn SessionValues) -> Result<Bound, PlanError> { Err(PlanError::Internal("")) } }
