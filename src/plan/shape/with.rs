//! The names that WITH gives to queries.

use std::ops::ControlFlow;

use sqlparser::ast::{ObjectNamePart, Query, With, visit_relations};

use crate::plan::PlanContext;
use crate::plan::error::PlanError;
use crate::plan::place::{Place, locate};

/// How often a name without schema stands for a table in a query; too often rather than too seldom.
pub(super) fn uses(query: &Query, name: &str) -> usize {
    let mut count = 0;
    // the visitor never breaks off
    let _ = visit_relations(query, |relation| {
        if let [ObjectNamePart::Identifier(table)] = relation.0.as_slice() {
            count += usize::from(table.value.eq_ignore_ascii_case(name));
        }
        ControlFlow::<()>::Continue(())
    });
    count
}

/// The queries of WITH RECURSIVE that one in front of them names: MariaDB lets it. Where a table has the name too it would be
/// that one on MySQL, so that is refused.
pub(super) fn named_ahead(context: &PlanContext<'_>, with: &With) -> Result<Vec<String>, PlanError> {
    let mut found = Vec::new();
    for (at, cte) in with.cte_tables.iter().enumerate().filter(|_| with.recursive) {
        let name = &cte.alias.name.value;
        if !with.cte_tables[..at].iter().any(|before| uses(&before.query, name) > 0) {
            continue;
        }
        let is_table = match locate(context, None, name) {
            Ok(place @ Place::Default { .. }) => context.catalog.table(place.schema(), place.table()).is_some(),
            Ok(_) => true,
            Err(_) => false,
        };
        if is_table {
            return Err(PlanError::not_supported(
                format!("'{name}' of WITH RECURSIVE, which a query in front of it names while a table has that name"),
                "give it another name",
            ));
        }
        found.push(name.clone());
    }
    Ok(found)
}
