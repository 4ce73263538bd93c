//! Tables, their rows, and how they are spread.

use std::fmt::Write as _;

use super::kind::{self, Column, Flavour, Kind};
use crate::support::dice::Dice;

/// How many shards a layout has; each layout is a logical schema of its own.
pub const LAYOUTS: [usize; 3] = [1, 2, 4];

/// Where a table's rows are.
#[derive(Debug, Clone)]
enum Place {
    /// Split by `k`; the algorithm is for 2 and for 4 shards.
    Split(String, String),
    /// With 4 shards, the group by `k` and the table by `j`.
    TwoLevels(String),
    Broadcast,
    Default,
    /// On the other group.
    Other,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// What stands after the columns.
    keys: String,
    place: Place,
    /// Literals of the columns.
    pub rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone)]
pub struct Schema {
    pub tables: Vec<Table>,
    binding: Vec<String>,
}

impl Schema {
    pub fn generate(flavour: Flavour, dice: &mut Dice) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        let mut binding = Vec::new();
        let count = 3 + dice.below(4);
        for number in 0..count {
            let mut table = Table::generate(number, flavour, dice);
            // A table may be bound to the first: the same key, split in the same way.
            if number > 0 && tables[0].is_split() && dice.one_in(2) {
                table.columns[1] = tables[0].columns[1].clone();
                table.place = tables[0].place.clone();
                binding.push(table.name.clone());
            }
            table.fill(dice);
            tables.push(table);
        }
        if !binding.is_empty() {
            binding.insert(0, tables[0].name.clone());
        }
        Self { tables, binding }
    }

    /// The rules of a layout, as they stand under the schema's name.
    pub fn rules(&self, shards: usize) -> String {
        self.rules_of(shards, |_| true)
    }

    /// As [`Schema::rules`], for some of the tables.
    pub fn rules_of(&self, shards: usize, wanted: impl Fn(&Table) -> bool) -> String {
        let mut text = "    default_group: g0\n".to_owned();
        let placed: String =
            self.tables.iter().filter(|table| wanted(table)).filter_map(|table| table.rule(shards)).collect();
        if !placed.is_empty() {
            let _ = writeln!(text, "    tables:\n{}", placed.trim_end());
        }
        let names = |bound: &[String]| {
            let kept = self.tables.iter().filter(|table| wanted(table) && bound.contains(&table.name));
            kept.map(|table| table.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let binding = names(&self.binding);
        if shards > 1 && binding.contains(',') {
            let _ = writeln!(text, "    binding_tables: [[{binding}]]");
        }
        let broadcast: Vec<String> = self
            .tables
            .iter()
            .filter(|table| matches!(table.place, Place::Broadcast))
            .map(|table| table.name.clone())
            .collect();
        if !names(&broadcast).is_empty() {
            let _ = writeln!(text, "    broadcast_tables: [{}]", names(&broadcast));
        }
        text.trim_end().to_owned()
    }
}

impl Table {
    fn generate(number: usize, flavour: Flavour, dice: &mut Dice) -> Self {
        let integer = |name: &str, values: &[&str]| Column {
            name: name.to_owned(),
            kind: Kind::Int,
            declaration: "INT NOT NULL".to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let key = kind::key(flavour, dice);
        let is_text = matches!(key.kind, Kind::Text(_));
        let mut columns = vec![integer("id", &[]), key, integer("j", &["0", "1", "2", "3"])];
        let mut choice = kind::columns(flavour);
        dice.shuffle(&mut choice);
        choice.truncate(3 + dice.below(5));
        columns.extend(choice);
        let mut keys = String::new();
        if !dice.one_in(3) {
            keys += ", PRIMARY KEY (k, j, id)";
        }
        if dice.one_in(3) {
            keys += ", KEY (j)";
        }
        let place = match dice.below(9) {
            0 => Place::Broadcast,
            1 => Place::Default,
            2 => Place::Other,
            3 => Place::TwoLevels(algorithm(is_text, 2, dice)),
            _ => Place::split(is_text, dice),
        };
        Self { name: format!("t{number}"), columns, keys, place, rows: Vec::new() }
    }

    fn is_split(&self) -> bool {
        matches!(self.place, Place::Split(..) | Place::TwoLevels(_))
    }

    fn fill(&mut self, dice: &mut Dice) {
        let count = match dice.below(10) {
            0 => 0,
            1 => 60,
            _ => 4 + dice.below(16),
        };
        for id in 0..count {
            let value = |column: &Column, dice: &mut Dice| match column.name.as_str() {
                "id" => id.to_string(),
                "k" | "j" => column.values[dice.below(column.values.len())].clone(),
                _ if dice.one_in(5) || column.is_generated() => "NULL".to_owned(),
                _ => column.values[dice.below(column.values.len())].clone(),
            };
            let row: Vec<String> = self.columns.iter().map(|column| value(column, dice)).collect();
            self.rows.push(row);
        }
    }

    /// CREATE TABLE; without its keys for a copy that shows what an answer depends on.
    pub fn create(&self, with_keys: bool) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{} {}", column.name, column.declaration)).collect();
        let keys = if with_keys { self.keys.as_str() } else { "" };
        format!(
            "CREATE TABLE {} ({}{keys}) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci",
            self.name,
            columns.join(", ")
        )
    }

    /// INSERT of some rows; nothing for none.
    pub fn insert(&self, rows: &[Vec<String>]) -> Option<String> {
        let given: Vec<usize> = (0..self.columns.len()).filter(|at| !self.columns[*at].is_generated()).collect();
        let names: Vec<&str> = given.iter().map(|at| self.columns[*at].name.as_str()).collect();
        let row = |row: &Vec<String>| given.iter().map(|at| row[*at].as_str()).collect::<Vec<_>>().join(", ");
        let rows: Vec<String> = rows.iter().map(|values| format!("({})", row(values))).collect();
        (!rows.is_empty())
            .then(|| format!("INSERT INTO {} ({}) VALUES {}", self.name, names.join(", "), rows.join(", ")))
    }

    fn rule(&self, shards: usize) -> Option<String> {
        let name = &self.name;
        let nodes = match shards {
            1 => format!("g0.{name}"),
            2 => format!("'g{{0..1}}.{name}'"),
            _ => format!("'g{{0..1}}.{name}_{{0..1}}'"),
        };
        let by = |algorithm: &str| format!("strategy: {{columns: [k], algorithm: {algorithm}}}");
        let how = match (&self.place, shards) {
            (Place::Broadcast | Place::Default, _) => return None,
            // With one shard there is still another server.
            (Place::Other, _) => return Some(format!("      {name}: {{data_nodes: g1.{name}}}\n")),
            (_, 1) => return Some(format!("      {name}: {{data_nodes: {nodes}}}\n")),
            (Place::Split(two, _), 2) | (Place::TwoLevels(two), 2) => by(two),
            (Place::Split(_, four), _) => by(four),
            (Place::TwoLevels(two), _) => format!(
                "database_strategy: {{columns: [k], algorithm: {two}}}, \
                 table_strategy: {{columns: [j], algorithm: {{type: mod}}}}"
            ),
        };
        Some(format!("      {name}: {{data_nodes: {nodes}, {how}}}\n"))
    }
}

impl Place {
    fn split(is_text: bool, dice: &mut Dice) -> Self {
        let seed = dice.clone();
        let two = algorithm(is_text, 2, &mut seed.clone());
        let four = algorithm(is_text, 4, dice);
        Self::Split(two, four)
    }
}

fn algorithm(is_text: bool, shards: usize, dice: &mut Dice) -> String {
    let choice = if is_text { dice.below(4) } else { dice.below(7) };
    match (choice, is_text, shards) {
        (0, ..) => "{type: hash_mod}".to_owned(),
        (1, ..) => "{type: consistent_hash, virtual_nodes: 64}".to_owned(),
        (2, ..) => "{type: jump}".to_owned(),
        (3, true, 2) => "{type: list, text: true, values: [[a, c], ['', b]], default: 1}".to_owned(),
        (3, true, _) => "{type: list, text: true, values: [[a], [b], [c], ['']], default: 2}".to_owned(),
        (3, false, 2) => "{type: range, boundaries: [2]}".to_owned(),
        (3, false, _) => "{type: range, boundaries: [0, 2, 4]}".to_owned(),
        (4, false, 2) => "{type: list, values: [[0, 3], [1, 2]], default: 1}".to_owned(),
        (4, false, _) => "{type: list, values: [[0, 3], [1], [2], [5]], default: 3}".to_owned(),
        _ => "{type: mod}".to_owned(),
    }
}
