//! Names of tables to the places where they are.

use std::sync::Arc;

use super::PlanContext;
use super::error::PlanError;
use crate::config::{DataNode, GroupId, SYSTEM_SCHEMAS, Schema, Table};

/// Where a table is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// On the nodes of a rule: split by a key, on one node, or whole on each.
    Ruled {
        /// Its schema.
        schema: Arc<Schema>,
        /// The rule.
        table: Arc<Table>,
    },
    /// Named by no rule: on the default group, under its logical name.
    Default {
        /// Its schema.
        schema: Arc<Schema>,
        /// Where.
        node: DataNode,
    },
    /// In a schema that every server has: asked on the home group.
    System {
        /// The schema, in lower case.
        schema: String,
        /// Where, under the names that were written; never empty. Several: each shows what the others do not.
        nodes: Vec<DataNode>,
        /// The logical schemas that a query over `information_schema` can ask for; `None` for all.
        only: Option<Arc<[Arc<str>]>>,
    },
}

impl Place {
    /// The logical schema.
    pub fn schema(&self) -> &str {
        match self {
            Self::Ruled { schema, .. } | Self::Default { schema, .. } => &schema.name,
            Self::System { schema, .. } => schema,
        }
    }

    /// The logical name.
    pub fn table(&self) -> &str {
        match self {
            Self::Ruled { table, .. } => &table.name,
            Self::Default { node, .. } => &node.table,
            Self::System { nodes, .. } => nodes.first().map_or("", |node| &node.table),
        }
    }

    /// The rule, if a key splits the table.
    pub fn sharded(&self) -> Option<&Arc<Table>> {
        match self {
            Self::Ruled { table, .. } if table.is_sharded() => Some(table),
            _ => None,
        }
    }

    /// The rule, if every node has all rows.
    pub fn broadcast(&self) -> Option<&Arc<Table>> {
        match self {
            Self::Ruled { table, .. } if table.is_broadcast() => Some(table),
            _ => None,
        }
    }

    /// The nodes it is on; never empty.
    pub fn nodes(&self) -> &[DataNode] {
        match self {
            Self::Ruled { table, .. } => &table.nodes,
            Self::Default { node, .. } => std::slice::from_ref(node),
            Self::System { nodes, .. } => nodes,
        }
    }

    /// Whether it is in a schema that every server has.
    pub fn is_system(&self) -> bool {
        matches!(self, Self::System { .. })
    }
}

/// Whether a schema is one that every server has.
pub(crate) fn is_system_schema(name: &str) -> bool {
    SYSTEM_SCHEMAS.iter().any(|schema| schema.eq_ignore_ascii_case(name))
}

/// The schema of a name: the one written, or the chosen one. `None` for a system schema.
pub(crate) fn schema_of<'a>(
    context: &'a PlanContext<'_>,
    written: Option<&str>,
) -> Result<Option<&'a Arc<Schema>>, PlanError> {
    let Some(name) = written else {
        if context.in_information_schema {
            return Ok(None);
        }
        return context.schema.map(Some).ok_or(PlanError::NoSchema);
    };
    if is_system_schema(name) {
        return Ok(None);
    }
    context.rules.schema(name).map(Some).ok_or_else(|| PlanError::UnknownSchema(name.to_owned()))
}

/// Where statements go that no table sends anywhere.
pub(crate) fn home_group(context: &PlanContext<'_>) -> GroupId {
    let home = context.schema.and_then(|schema| schema.home_group());
    home.or_else(|| context.rules.group_ids().next()).unwrap_or(GroupId(0))
}

/// Where a table is.
pub(crate) fn locate(context: &PlanContext<'_>, schema: Option<&str>, table: &str) -> Result<Place, PlanError> {
    let Some(found) = schema_of(context, schema)? else {
        let written = schema.unwrap_or("information_schema");
        let node = DataNode { group: home_group(context), schema: written.into(), table: table.into() };
        return Ok(Place::System { schema: written.to_ascii_lowercase(), nodes: vec![node], only: None });
    };
    if let Some(rule) = found.table(table) {
        return Ok(Place::Ruled { schema: Arc::clone(found), table: Arc::clone(rule) });
    }
    let Some(group) = found.default_group.filter(|_| !found.is_part(table)) else {
        return Err(PlanError::NoSuchTable { schema: found.name.to_string(), table: table.to_owned() });
    };
    let node = DataNode { group, schema: Arc::clone(&found.name), table: table.into() };
    Ok(Place::Default { schema: Arc::clone(found), node })
}
