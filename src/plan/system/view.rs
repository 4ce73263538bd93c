//! One view of `information_schema`, as a derived table that shows logical names.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::TableInfo;
use crate::config::{GroupId, Rules, Schema};
use crate::plan::error::PlanError;
use crate::plan::types::SessionValues;

/// Columns that name the table which a row is about: schema and table.
const TABLES: &[(&str, &str)] = &[
    ("TABLE_SCHEMA", "TABLE_NAME"),
    ("CONSTRAINT_SCHEMA", "TABLE_NAME"),
    ("EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE"),
];
/// Columns that name another table: schema and table.
const OTHER_TABLES: &[(&str, &str)] =
    &[("REFERENCED_TABLE_SCHEMA", "REFERENCED_TABLE_NAME"), ("UNIQUE_CONSTRAINT_SCHEMA", "REFERENCED_TABLE_NAME")];
/// Columns that name the schema which a row is about, where it is about no table.
const SCHEMAS: &[&str] = &[
    "TABLE_SCHEMA",
    "SCHEMA_NAME",
    "ROUTINE_SCHEMA",
    "EVENT_SCHEMA",
    "SPECIFIC_SCHEMA",
    "CONSTRAINT_SCHEMA",
    "TRIGGER_SCHEMA",
    "DATABASE_NAME",
];
/// Columns that measure a table. Of a split table the view of one group measures one part, so they are NULL.
const MEASURES: &[&str] = &[
    "TABLE_ROWS",
    "AVG_ROW_LENGTH",
    "DATA_LENGTH",
    "INDEX_LENGTH",
    "DATA_FREE",
    "AUTO_INCREMENT",
    "UPDATE_TIME",
    "CHECKSUM",
    "CARDINALITY",
];
/// Further columns with the schema of the row's table.
const SAME_SCHEMA: &[&str] = &["TABLE_SCHEMA", "CONSTRAINT_SCHEMA", "INDEX_SCHEMA", "TRIGGER_SCHEMA"];

/// The column of VIEWS with the query of a view.
const DEFINITION: &str = "VIEW_DEFINITION";

/// Whether rows of a view belong to a schema.
pub(super) fn is_scoped(info: Option<&TableInfo>, view: &str) -> bool {
    Scope::of(info, view).is_some()
}

/// The columns that name the table which a row of a view is about.
pub(super) fn about(info: &TableInfo) -> Option<(&'static str, &'static str)> {
    match Scope::of(Some(info), "")? {
        Scope::Table { schema, table } => Some((schema, table)),
        Scope::Schema(_) => None,
    }
}

/// What a row of a view is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Table { schema: &'static str, table: &'static str },
    Schema(&'static str),
}

impl Scope {
    fn of(info: Option<&TableInfo>, view: &str) -> Option<Self> {
        let Some(info) = info else { return Self::by_name(view) };
        let has = |name: &str| info.column(name).is_some();
        let table = TABLES.iter().find(|(schema, table)| has(schema) && has(table));
        match table {
            Some((schema, table)) => Some(Self::Table { schema, table }),
            None => SCHEMAS.iter().find(|name| has(name)).map(|name| Self::Schema(name)),
        }
    }

    /// Without a catalog: of the views that matter most.
    fn by_name(view: &str) -> Option<Self> {
        match view.to_ascii_uppercase().as_str() {
            "TABLES" | "COLUMNS" | "STATISTICS" | "KEY_COLUMN_USAGE" | "TABLE_CONSTRAINTS" | "PARTITIONS" | "VIEWS" => {
                Some(Self::Table { schema: "TABLE_SCHEMA", table: "TABLE_NAME" })
            }
            "REFERENTIAL_CONSTRAINTS" => Some(Self::Table { schema: "CONSTRAINT_SCHEMA", table: "TABLE_NAME" }),
            "TRIGGERS" => Some(Self::Table { schema: "EVENT_OBJECT_SCHEMA", table: "EVENT_OBJECT_TABLE" }),
            "SCHEMATA" => Some(Self::Schema("SCHEMA_NAME")),
            "ROUTINES" => Some(Self::Schema("ROUTINE_SCHEMA")),
            "EVENTS" => Some(Self::Schema("EVENT_SCHEMA")),
            _ => None,
        }
    }
}

/// What is asked of a view.
pub(crate) struct Asked<'a> {
    /// The groups that it is read from.
    pub groups: &'a [GroupId],
    /// The logical schemas; `None` for all.
    pub schemas: Option<&'a [Arc<str>]>,
    /// Names of columns, as they are to be written.
    pub spelled: &'a [String],
}

/// A view on one group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct View {
    /// `SELECT … FROM information_schema.X`, without WHERE.
    select: Box<str>,
    /// What rows of each logical schema fulfil.
    rows: Vec<(Arc<str>, Box<str>)>,
    /// What rows of no logical schema fulfil that are shown too.
    system: Option<Box<str>>,
}

impl View {
    /// A view as it is shown by one of the `groups` that are read; `None` if it is shown as it is.
    pub fn new(
        rules: &Rules,
        name: &str,
        info: Option<&TableInfo>,
        group: GroupId,
        asked: &Asked<'_>,
    ) -> Result<Option<Self>, PlanError> {
        let Some(scope) = Scope::of(info, name) else { return Ok(None) };
        if info.is_none() {
            let what = format!("information_schema.{name}, whose columns are not known");
            return Err(PlanError::not_supported(what, "try again"));
        }
        let shown = Shown::on(rules, group, asked);
        let (rows, schema) = match scope {
            Scope::Table { schema, table } => (shown.table_conditions(schema, table), schema),
            Scope::Schema(schema) => (shown.schema_conditions(schema), schema),
        };
        let is_first = asked.groups.first() == Some(&group);
        let system = is_first.then(|| format!("{schema} = 'information_schema'").into());
        let select = shown.select(scope, name, info, asked.spelled);
        Ok(Some(Self { select, rows, system }))
    }

    /// Writes it as a derived table.
    pub fn write(&self, session: &dyn SessionValues, alias: Option<&[u8]>, out: &mut Vec<u8>) {
        let allowed = self.rows.iter().filter(|(schema, _)| session.may_use(schema)).map(|(_, rows)| &**rows);
        let conditions: Vec<&str> = allowed.chain(self.system.as_deref()).collect();
        let condition = if conditions.is_empty() { "FALSE".to_owned() } else { conditions.join(" OR ") };
        out.extend_from_slice(format!("({} WHERE {condition})", self.select).as_bytes());
        if let Some(alias) = alias {
            out.extend_from_slice(b" AS ");
            out.extend_from_slice(alias);
        }
    }
}

/// A physical table that stands for a logical one.
struct Part<'a> {
    schema: &'a Arc<Schema>,
    /// Its logical name.
    table: &'a str,
    physical_schema: &'a str,
    physical_table: &'a str,
    /// Whether there are other parts.
    is_split: bool,
}

/// What a group shows.
struct Shown<'a> {
    rules: &'a Rules,
    group: GroupId,
    groups: &'a [GroupId],
    /// The schemas that are asked for.
    schemas: Vec<&'a Arc<Schema>>,
    /// Of each logical table one part, if it is this group that shows the table.
    parts: Vec<Part<'a>>,
}

impl<'a> Shown<'a> {
    fn on(rules: &'a Rules, group: GroupId, asked: &'a Asked<'_>) -> Self {
        let groups = asked.groups;
        let is_asked = |schema: &&Arc<Schema>| asked.schemas.is_none_or(|names| names.contains(&schema.name));
        let schemas: Vec<&Arc<Schema>> = rules.schemas.values().filter(is_asked).collect();
        let mut parts = Vec::new();
        for schema in &schemas {
            for table in schema.tables.values() {
                let shows = groups.iter().find(|group| table.nodes.iter().any(|node| node.group == **group));
                let here = table.nodes.iter().find(|node| node.group == group);
                if let (Some(node), true) = (here, shows == Some(&group)) {
                    parts.push(Part {
                        schema,
                        table: &table.name,
                        physical_schema: &node.schema,
                        physical_table: &node.table,
                        is_split: table.is_sharded() && table.nodes.len() > 1,
                    });
                }
            }
        }
        Self { rules, group, groups, schemas, parts }
    }

    /// For each logical schema, the rows of its tables.
    fn table_conditions(&self, schema_column: &str, table_column: &str) -> Vec<(Arc<str>, Box<str>)> {
        let mut all = Vec::new();
        for schema in &self.schemas {
            let mut conditions = Vec::new();
            let mut by_database: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for part in self.parts.iter().filter(|part| part.schema.name == schema.name) {
                by_database.entry(part.physical_schema).or_default().push(part.physical_table);
            }
            if schema.default_group == Some(self.group) {
                by_database.remove(&*schema.name);
                let hidden = self.hidden(schema);
                let mut condition = format!("{schema_column} = {}", literal(&schema.name));
                if !hidden.is_empty() {
                    condition.push_str(&format!(" AND {table_column} NOT IN ({})", literals(&hidden)));
                }
                conditions.push(condition);
            }
            for (database, tables) in by_database {
                conditions.push(format!(
                    "{schema_column} = {} AND {table_column} IN ({})",
                    literal(database),
                    literals(&tables)
                ));
            }
            if !conditions.is_empty() {
                all.push((Arc::clone(&schema.name), conditions.join(" OR ").into()));
            }
        }
        all
    }

    /// The tables in the default database of a schema that are not shown, or not as tables of this schema.
    fn hidden(&self, schema: &Schema) -> Vec<&'a str> {
        let shown = |table: &str| {
            let mut own = self.parts.iter().filter(|part| part.schema.name == schema.name);
            own.any(|part| part.physical_table == table && *part.physical_schema == *schema.name)
        };
        let mut hidden: Vec<&str> = Vec::new();
        for other in self.rules.schemas.values() {
            for table in other.tables.values() {
                let here = table.nodes.iter().filter(|node| node.group == self.group && node.schema == schema.name);
                hidden.extend(here.map(|node| &*node.table));
                if other.name == schema.name {
                    hidden.push(&table.name);
                }
            }
        }
        hidden.retain(|table| !shown(table));
        hidden.sort_unstable();
        hidden.dedup();
        hidden
    }

    fn schema_conditions(&self, column: &str) -> Vec<(Arc<str>, Box<str>)> {
        let named = |schema: &Arc<Schema>| {
            let database = schema.physical_name_on(self.group)?;
            let home = schema.home_group().filter(|home| self.groups.contains(home));
            let first = || self.groups.iter().find(|group| schema.physical_name_on(**group).is_some()).copied();
            (home.or_else(first) == Some(self.group))
                .then(|| (Arc::clone(&schema.name), format!("{column} = {}", literal(&database)).into()))
        };
        self.schemas.iter().filter_map(|schema| named(schema)).collect()
    }

    fn select(&self, scope: Scope, view: &str, info: Option<&TableInfo>, spelled: &[String]) -> Box<str> {
        let mut mapped: BTreeMap<String, String> = BTreeMap::new();
        match scope {
            Scope::Table { schema, table } => {
                self.map_tables(schema, table, &mut mapped);
                self.map_measures(schema, table, &mut mapped);
                self.map_definition(info, &mut mapped);
                if let Some(cases) = mapped.get(schema).cloned() {
                    for same in SAME_SCHEMA.iter().filter(|same| **same != schema) {
                        mapped.insert(
                            (*same).to_owned(),
                            cases.replacen(&format!("ELSE {schema}"), &format!("ELSE {same}"), 1),
                        );
                    }
                }
                let has = |name: &str| info.is_some_and(|info| info.column(name).is_some());
                if let Some((schema, table)) = OTHER_TABLES.iter().find(|(schema, table)| has(schema) && has(table)) {
                    self.map_tables(schema, table, &mut mapped);
                }
            }
            Scope::Schema(column) => self.map_schema(column, &mut mapped),
        }
        let columns = info.map(TableInfo::visible_columns).into_iter().flatten();
        let mut changed = false;
        let list: Vec<String> = columns
            .map(|column| {
                let written = spelled.iter().find(|name| name.eq_ignore_ascii_case(&column.name));
                let name = written.unwrap_or(&column.name);
                let expression = mapped.get(&column.name.to_ascii_uppercase());
                changed |= expression.is_some() || *name != column.name;
                match expression {
                    Some(expression) => format!("{expression} AS {name}"),
                    None if *name != column.name => format!("{} AS {name}", column.name),
                    None => name.clone(),
                }
            })
            .collect();
        let list = if !changed { "*".to_owned() } else { list.join(", ") };
        format!("SELECT {list} FROM information_schema.{}", view.to_ascii_uppercase()).into()
    }

    /// CASE expressions for the columns that name a table, where names differ.
    fn map_tables(&self, schema_column: &str, table_column: &str, mapped: &mut BTreeMap<String, String>) {
        let mut by_database: BTreeMap<&str, Vec<&Part<'_>>> = BTreeMap::new();
        for part in &self.parts {
            by_database.entry(part.physical_schema).or_default().push(part);
        }
        let (mut schemas, mut tables) = (String::new(), String::new());
        for (database, parts) in by_database {
            let here = format!(" WHEN {schema_column} = {}", literal(database));
            let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for part in &parts {
                owners.entry(&part.schema.name).or_default().push(part.physical_table);
            }
            let is_default =
                self.rules.schemas.values().any(|s| *s.name == *database && s.default_group == Some(self.group));
            let several = owners.len() > 1 || is_default;
            for (owner, names) in owners.into_iter().filter(|(owner, _)| *owner != database) {
                let which =
                    if several { format!(" AND {table_column} IN ({})", literals(&names)) } else { String::new() };
                schemas.push_str(&format!("{here}{which} THEN {}", literal(owner)));
            }
            let renamed = parts.iter().filter(|part| part.physical_table != part.table);
            let cases: String = renamed
                .map(|part| format!(" WHEN {} THEN {}", literal(part.physical_table), literal(part.table)))
                .collect();
            if !cases.is_empty() {
                tables.push_str(&format!("{here} THEN CASE {table_column}{cases} ELSE {table_column} END"));
            }
        }
        for (cases, column) in [(schemas, schema_column), (tables, table_column)] {
            if !cases.is_empty() {
                mapped.insert(column.to_owned(), format!("CASE{cases} ELSE {column} END"));
            }
        }
    }

    /// NULL for what measures a part of a table.
    fn map_measures(&self, schema_column: &str, table_column: &str, mapped: &mut BTreeMap<String, String>) {
        let mut by_database: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for part in self.parts.iter().filter(|part| part.is_split) {
            by_database.entry(part.physical_schema).or_default().push(part.physical_table);
        }
        let is_part: Vec<String> = by_database
            .into_iter()
            .map(|(database, tables)| {
                format!("{schema_column} = {} AND {table_column} IN ({})", literal(database), literals(&tables))
            })
            .collect();
        if is_part.is_empty() {
            return;
        }
        let is_part = is_part.join(" OR ");
        for measure in MEASURES {
            mapped.insert((*measure).to_owned(), format!("NULLIF({measure}, CASE WHEN {is_part} THEN {measure} END)"));
        }
    }

    /// The queries of views with logical names: as a server prints a table without alias, and one with.
    fn map_definition(&self, info: Option<&TableInfo>, mapped: &mut BTreeMap<String, String>) {
        if info.is_none_or(|info| info.column(DEFINITION).is_none()) {
            return;
        }
        let mut text = DEFINITION.to_owned();
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        for part in &self.parts {
            let here = format!("{}.{}", quoted(part.physical_schema), quoted(part.physical_table));
            let logical = format!("{}.{}", quoted(&part.schema.name), quoted(part.table));
            if here != logical {
                let named = format!("{here} {}", quoted(part.table));
                text = format!("REPLACE({text}, {}, {})", literal(&named), literal(&logical));
                text =
                    format!("REPLACE({text}, {}, {})", literal(&format!("{here} ")), literal(&format!("{logical} ")));
            }
        }
        if text != DEFINITION {
            mapped.insert(DEFINITION.to_owned(), text);
        }
    }

    fn map_schema(&self, column: &str, mapped: &mut BTreeMap<String, String>) {
        let mut cases = String::new();
        for schema in &self.schemas {
            match schema.physical_name_on(self.group) {
                Some(database) if database != schema.name => {
                    cases.push_str(&format!(" WHEN {} THEN {}", literal(&database), literal(&schema.name)));
                }
                _ => {}
            }
        }
        if !cases.is_empty() {
            mapped.insert(column.to_owned(), format!("CASE {column}{cases} ELSE {column} END"));
        }
    }
}

fn literals(names: &[&str]) -> String {
    names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ")
}

/// A name as a literal that every sql_mode reads alike.
pub(crate) fn literal(name: &str) -> String {
    if name.is_ascii() && !name.contains(['\'', '\\']) {
        return format!("'{name}'");
    }
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("_utf8mb4 X'{digits}'")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::shape::SessionValue;

    /// A user of one schema.
    struct Only(&'static str);

    impl SessionValues for Only {
        fn value(&self, _: &SessionValue) -> Option<String> {
            None
        }

        fn may_use(&self, schema: &str) -> bool {
            schema == self.0
        }
    }

    #[test]
    fn a_user_sees_no_tables_of_other_schemas() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rules");
        let rules = Rules::load(&folder).unwrap();
        let groups: Vec<GroupId> = rules.group_ids().collect();
        let shown = Shown::on(&rules, groups[0], &Asked { groups: &groups, schemas: None, spelled: &[] })
            .table_conditions("TABLE_SCHEMA", "TABLE_NAME");
        let view = View { select: "SELECT * FROM information_schema.TABLES".into(), rows: shown, system: None };
        let text = |schema| {
            let mut out = Vec::new();
            view.write(&Only(schema), Some(b"t"), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            text("tenants"),
            "(SELECT * FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'tenant_0' AND TABLE_NAME IN ('notes', 'tags')) AS t"
        );
        assert_eq!(text("nothing"), "(SELECT * FROM information_schema.TABLES WHERE FALSE) AS t");
    }

    #[test]
    fn names_are_literals_in_every_sql_mode() {
        assert_eq!(literal("orders_0"), "'orders_0'");
        assert_eq!(literal("a'b"), "_utf8mb4 X'612762'");
        assert_eq!(literal("a\\b"), "_utf8mb4 X'615c62'");
    }
}
