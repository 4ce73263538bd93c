//! `strategy`, `database_strategy` and `table_strategy`.

use std::sync::Arc;

use indexmap::IndexMap;

use super::algorithm;
use super::schema::Scope;
use crate::config::group::GroupId;
use crate::config::keys;
use crate::config::reader::MapReader;
use crate::config::schema::{DataNode, Level, Strategy};
use crate::config::yaml::Value;
use crate::route::algorithm::{AlgorithmSpec, Target, Targets};

/// A strategy, and the order that it wants of the nodes.
pub(super) struct Arranged {
    strategy: Strategy,
    nodes: Option<Vec<DataNode>>,
}

impl Arranged {
    pub(super) fn arrange(self, nodes: Vec<DataNode>) -> (Vec<DataNode>, Strategy) {
        (self.nodes.unwrap_or(nodes), self.strategy)
    }
}

/// Reads the strategies of a table; `nodes` is `None` when these have a problem of their own.
pub(super) fn read(map: MapReader<'_>, nodes: Option<&[DataNode]>, scope: &Scope<'_>) -> Option<Arranged> {
    let context = map.context;
    let at = |key: &str| map.map(key, &keys::STRATEGY).map(|map| written(map, scope));
    let has = |key: &str| map.node(key).is_some();
    let (one, database, table) = (at("strategy"), at("database_strategy"), at("table_strategy"));
    if has("strategy") && (has("database_strategy") || has("table_strategy")) {
        let text = "'strategy' together with 'database_strategy' or 'table_strategy'";
        context.problem(map.place_of("strategy"), text, "use 'strategy' for one level, the other two for two levels");
        return None;
    }
    let nodes = nodes?;
    let plain = |strategy| Some(Arranged { strategy, nodes: None });
    if has("strategy") {
        return plain(Strategy::OneLevel(one??.level(map, "strategy", &targets(scope, nodes.iter(), true)?, scope)?));
    }
    let databases = Databases::of(nodes);
    match (has("database_strategy"), has("table_strategy")) {
        (false, false) if nodes.len() == 1 => plain(Strategy::Single),
        (false, false) => {
            let fix = "add 'strategy', or 'database_strategy' and 'table_strategy'";
            context.problem(map.place, format!("{} data nodes and no strategy", nodes.len()), fix);
            None
        }
        (true, false) if databases.0.len() == nodes.len() => plain(Strategy::OneLevel(database??.level(
            map,
            "database_strategy",
            &targets(scope, nodes.iter(), true)?,
            scope,
        )?)),
        (false, true) if databases.0.len() == 1 => plain(Strategy::OneLevel(table??.level(
            map,
            "table_strategy",
            &targets(scope, nodes.iter(), true)?,
            scope,
        )?)),
        (true, false) => {
            let text = "several tables in one database and no 'table_strategy'";
            context.problem(map.place_of("database_strategy"), text, "add 'table_strategy'");
            None
        }
        (false, true) => {
            let text = "several databases and no 'database_strategy'";
            context.problem(map.place_of("table_strategy"), text, "add 'database_strategy'");
            None
        }
        (true, true) => {
            let Some(width) = databases.width() else {
                let fix = "give each database the same number of tables";
                context.problem(map.place_of("data_nodes"), databases.counts(scope), fix);
                return None;
            };
            let (database, table) = (database??, table??);
            let database = database.level(map, "database_strategy", &databases.targets(scope)?, scope);
            let table = table.level(map, "table_strategy", &databases.table_targets(width)?, scope);
            let strategy = Strategy::TwoLevel { database: database?, table: table? };
            Some(Arranged { strategy, nodes: Some(databases.into_nodes()) })
        }
    }
}

/// A strategy before it is given its targets.
struct Written {
    columns: Vec<Arc<str>>,
    spec: AlgorithmSpec,
}

fn written(map: MapReader<'_>, scope: &Scope<'_>) -> Option<Written> {
    let context = map.context;
    let columns: Vec<Arc<str>> = map.texts("columns").iter().map(|(name, _)| Arc::from(name.to_lowercase())).collect();
    let (name, node) = map.entry("algorithm")?;
    let spec = match &node.value {
        Value::Map(_) => algorithm::read(context, &name.place, node)?,
        _ => {
            let wanted = context.text(node, "the name of an algorithm")?;
            let Some(spec) = scope.algorithms.get(wanted.as_str()) else {
                context.unknown(&node.place, "algorithm", &wanted, scope.algorithms.keys().copied());
                return None;
            };
            spec.clone()?
        }
    };
    let (least, most) = spec.columns();
    if !(least..=most).contains(&columns.len()) {
        let fix = match (least, most) {
            (0, 0) => "leave 'columns' out".to_owned(),
            (least, most) if least == most => format!("name {least} column(s)"),
            (least, _) => format!("name at least {least} column(s)"),
        };
        context.problem(map.place_of("columns"), format!("{} column(s) for this algorithm", columns.len()), fix);
        return None;
    }
    if let Some(twice) = columns.iter().enumerate().find(|(index, name)| columns[..*index].contains(name)) {
        context.problem(map.place_of("columns"), format!("column '{}' twice", twice.1), "name each column once");
        return None;
    }
    Some(Written { columns, spec })
}

impl Written {
    fn level(self, map: MapReader<'_>, key: &str, targets: &Targets, scope: &Scope<'_>) -> Option<Level> {
        match self.spec.build(targets) {
            Ok(algorithm) => Some(Level { columns: self.columns, algorithm: scope.share(algorithm) }),
            Err(why) => {
                let fix = "make the algorithm and the data nodes agree";
                map.context.problem(map.place_of(key), format!("the algorithm does not fit: {why}"), fix);
                None
            }
        }
    }
}

/// The targets of a strategy that chooses among these nodes, or among their databases.
fn targets<'n>(scope: &Scope<'_>, nodes: impl Iterator<Item = &'n DataNode>, with_table: bool) -> Option<Targets> {
    let target = |node: &DataNode| Target {
        // The name, which is what a ring hashes: the index changes when the groups are written in another order.
        group: scope.groups.names.get(node.group.index()).map(|name| Arc::from(*name)),
        schema: Some(Arc::clone(&node.schema)),
        table: with_table.then(|| Arc::clone(&node.table)),
    };
    Targets::new(nodes.map(target).collect())
}

/// The nodes by database, in the order in which each comes first.
struct Databases(Vec<Vec<DataNode>>);

impl Databases {
    fn of(nodes: &[DataNode]) -> Self {
        let mut databases: IndexMap<(GroupId, &str), Vec<DataNode>> = IndexMap::new();
        for node in nodes {
            databases.entry((node.group, &*node.schema)).or_default().push(node.clone());
        }
        Self(databases.into_values().collect())
    }

    /// How many tables each database has, when that is the same for all.
    fn width(&self) -> Option<usize> {
        let width = self.0.first()?.len();
        self.0.iter().all(|tables| tables.len() == width).then_some(width)
    }

    fn counts(&self, scope: &Scope<'_>) -> String {
        let count = |tables: &Vec<DataNode>| {
            let group = tables.first().and_then(|node| scope.groups.names.get(node.group.index()));
            format!("{} in {}", tables.len(), group.unwrap_or(&"?"))
        };
        let counts: Vec<String> = self.0.iter().take(8).map(count).collect();
        format!("the databases have different numbers of tables: {}", counts.join(", "))
    }

    fn targets(&self, scope: &Scope<'_>) -> Option<Targets> {
        targets(scope, self.0.iter().filter_map(|tables| tables.first()), false)
    }

    /// The tables have the names of the first database, where all databases agree on them.
    fn table_targets(&self, width: usize) -> Option<Targets> {
        let name = |index: usize| {
            let names = self.0.iter().filter_map(|tables| tables.get(index)).map(|node| &node.table);
            let mut names: Vec<&Arc<str>> = names.collect();
            names.dedup();
            if names.len() == 1 { names.first().map(|name| Arc::clone(name)) } else { None }
        };
        Targets::new((0..width).map(|index| Target { group: None, schema: None, table: name(index) }).collect())
    }

    fn into_nodes(self) -> Vec<DataNode> {
        self.0.into_iter().flatten().collect()
    }
}
