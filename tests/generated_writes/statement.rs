//! Statements that write, made by dice.

use super::kind::{Column, Flavour, Kind};
use super::schema::Schema;
use crate::support::dice::Dice;
use crate::support::raw::Param;

/// Numbers of rows: few, so that rows meet.
const IDS: usize = 30;
/// A number of a row that no table takes: a CHECK forbids it.
pub const FORBIDDEN_ID: usize = 13;

/// A part of a statement.
#[derive(Debug, Clone)]
pub enum Piece {
    Text(String),
    /// A literal, which a prepared statement takes as a parameter where it can be one.
    Value(String),
    /// Rows of VALUES: each can be left out.
    Rows(Vec<Vec<String>>),
}

/// A statement.
#[derive(Debug, Clone)]
pub struct Write {
    pub pieces: Vec<Piece>,
    /// What the client sends for LOAD DATA LOCAL.
    pub file: Option<Vec<String>>,
    pub prepared: bool,
    /// The order in which its rows are worked on is known: messages and the numbers of rows in them count.
    pub is_ordered: bool,
}

impl Write {
    fn text(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())], file: None, prepared: false, is_ordered: false }
    }

    /// It has several rows of VALUES, or lines: where more than one is wrong, which of them is told of is open.
    pub fn has_several_rows(&self) -> bool {
        self.file.as_ref().is_some_and(|lines| lines.len() > 1)
            || self.pieces.iter().any(|piece| matches!(piece, Piece::Rows(rows) if rows.len() > 1))
    }

    /// What numbers its rows get is open, and with it those of later ones.
    pub fn leaves_numbers_open(&self) -> bool {
        let sql = self.sql().0;
        sql.contains(" numbered ") && (sql.contains("IGNORE") || sql.contains("DUPLICATE"))
    }

    /// It writes rows; else it is about the transaction.
    pub fn is_about_rows(&self) -> bool {
        let sql = self.sql().0;
        ["INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "TRUNCATE"].iter().any(|verb| sql.starts_with(verb))
    }

    /// The text, and the parameters of a prepared statement.
    pub fn sql(&self) -> (String, Vec<Param>) {
        let (mut sql, mut params) = (String::new(), Vec::new());
        let mut value = |literal: &str, sql: &mut String| match param(literal) {
            Some(param) if self.prepared => {
                sql.push('?');
                params.push(param);
            }
            _ => sql.push_str(literal),
        };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Value(literal) => value(literal, &mut sql),
                Piece::Rows(rows) => {
                    for (number, row) in rows.iter().enumerate() {
                        sql.push_str(if number == 0 { "(" } else { ", (" });
                        for (at, cell) in row.iter().enumerate() {
                            if at > 0 {
                                sql.push_str(", ");
                            }
                            value(cell, &mut sql);
                        }
                        sql.push(')');
                    }
                }
            }
        }
        (sql, params)
    }

    /// The same with less in it.
    pub fn smaller(&self) -> Vec<Self> {
        let mut all = Vec::new();
        if self.prepared {
            all.push(Self { prepared: false, ..self.clone() });
        }
        for (at, piece) in self.pieces.iter().enumerate() {
            let Piece::Rows(rows) = piece else { continue };
            for row in 0..rows.len() {
                if rows.len() > 1 {
                    let mut less = self.clone();
                    if let Piece::Rows(rows) = &mut less.pieces[at] {
                        rows.remove(row);
                    }
                    all.push(less);
                }
            }
        }
        for line in 0..self.file.as_ref().map_or(0, Vec::len) {
            let mut less = self.clone();
            less.file.as_mut().unwrap().remove(line);
            all.push(less);
        }
        all
    }
}

fn param(literal: &str) -> Option<Param> {
    if literal == "NULL" {
        return Some(Param::Null);
    }
    if let Ok(number) = literal.parse() {
        return Some(Param::Int(number));
    }
    let text = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    (!text.contains(['\\', '\''])).then(|| Param::Text(text.to_owned()))
}

/// What statements may name of a table.
struct Target {
    name: String,
    columns: Vec<Column>,
    has_primary_key: bool,
}

/// Makes statements.
pub struct Maker {
    pub dice: Dice,
    flavour: Flavour,
    tables: Vec<Target>,
    /// Columns in unique keys besides `id`, `k` and `j`.
    unique: Vec<String>,
    /// Columns that need a value.
    required: Vec<String>,
}

impl Maker {
    pub fn new(dice: Dice, flavour: Flavour, schema: &Schema, unique: Vec<String>, required: Vec<String>) -> Self {
        let tables = schema.tables.iter().map(|table| Target {
            name: table.name.clone(),
            columns: table.columns.clone(),
            has_primary_key: table.create(true).contains("PRIMARY KEY"),
        });
        Self { dice, flavour, tables: tables.collect(), unique, required }
    }

    /// The next statement.
    pub fn next(&mut self) -> Write {
        let table = self.dice.below(self.tables.len());
        let mut write = match self.dice.below(34) {
            0..=7 => self.insert(table),
            8 => self.insert_set(table),
            9 | 10 => self.insert_select(table),
            11..=15 => self.update(table),
            16 | 17 => self.move_row(table),
            18 => self.update_joined(table),
            19..=21 => self.delete(table),
            22 => self.delete_joined(table),
            23 | 24 => self.load(table),
            25 => Write::text("BEGIN"),
            26 => Write::text("COMMIT"),
            27 => Write::text("ROLLBACK"),
            28 => Write::text(self.dice.pick(&["SAVEPOINT a", "SAVEPOINT b", "RELEASE SAVEPOINT a"])),
            29 => Write::text(self.dice.pick(&["ROLLBACK TO SAVEPOINT a", "ROLLBACK TO b"])),
            30 => Write::text(self.dice.pick(&["SET autocommit = 0", "SET autocommit = 1", "SET autocommit = 1"])),
            _ if self.dice.one_in(4) => Write::text(format!("TRUNCATE TABLE {}", self.tables[table].name)),
            _ => self.numbered(),
        };
        // MySQL does not prepare these (1295); the proxy does, which answers them by itself
        let is_text_only = self.flavour.mysql
            && ["BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK TO"].iter().any(|verb| write.sql().0.starts_with(verb));
        write.prepared = write.file.is_none() && self.dice.one_in(4) && !is_text_only;
        write
    }

    /// Rows of the table whose numbers are made.
    fn numbered(&mut self) -> Write {
        let count = 1 + self.dice.below(4);
        let rows = (0..count).map(|_| vec![self.dice.below(6).to_string(), format!("'v{}'", self.dice.below(9))]);
        let rows = rows.collect();
        // of rows that are there already a server gives the number to the next row, the proxy gives it to none
        let (verb, tail) = match self.dice.below(6) {
            0 => ("INSERT IGNORE", ""),
            1 => ("INSERT", " ON DUPLICATE KEY UPDATE n = n + 1"),
            2 => ("INSERT", " ON DUPLICATE KEY UPDATE n = 3"),
            _ => ("INSERT", ""),
        };
        let pieces = vec![
            Piece::Text(format!("{verb} INTO numbered (k, v) VALUES ")),
            Piece::Rows(rows),
            Piece::Text(tail.to_owned()),
        ];
        Write { pieces, is_ordered: true, ..Write::text("") }
    }

    fn value(&mut self, column: &Column) -> String {
        match column.name.as_str() {
            "id" => return self.dice.below(IDS).to_string(),
            "k" if self.dice.one_in(60) => return "NULL".to_owned(),
            "k" | "j" => return column.values[self.dice.below(column.values.len())].clone(),
            _ => {}
        }
        match self.dice.below(24) {
            0..=3 => "NULL".to_owned(),
            4 => "DEFAULT".to_owned(),
            5 => wrong(column.kind).to_owned(),
            _ => column.values[self.dice.below(column.values.len())].clone(),
        }
    }

    /// A value that can stand in an expression.
    fn plain_value(&mut self, column: &Column) -> String {
        loop {
            let value = self.value(column);
            if value != "DEFAULT" {
                return value;
            }
        }
    }

    /// Some of the columns that take values, those of the key among them. Of a statement that may have no rows, a required
    /// one is not left out: a server warns of that without a row.
    fn columns(&mut self, table: usize, may_be_empty: bool) -> Vec<Column> {
        let mut chosen = Vec::new();
        for column in self.tables[table].columns.clone() {
            let name = format!("{}.{}", self.tables[table].name, column.name);
            let is_key = matches!(column.name.as_str(), "id" | "k" | "j");
            let is_required = is_key || (may_be_empty && self.required.contains(&name));
            if !column.is_generated() && (is_required || !self.dice.one_in(3)) {
                chosen.push(column);
            }
        }
        if !may_be_empty && self.dice.one_in(40) {
            chosen.retain(|column| column.name != "j");
        }
        if self.dice.one_in(3) {
            self.dice.shuffle(&mut chosen);
        }
        chosen
    }

    /// Columns that are in no unique key.
    fn free_columns(&self, table: usize) -> Vec<Column> {
        let unique =
            |column: &Column| matches!(column.name.as_str(), "id" | "k" | "j") || self.is_unique(table, column);
        let columns = self.tables[table].columns.iter();
        columns.filter(|column| !column.is_generated() && !unique(column)).cloned().collect()
    }

    fn is_unique(&self, table: usize, column: &Column) -> bool {
        self.unique.contains(&format!("{}.{}", self.tables[table].name, column.name))
    }

    fn insert(&mut self, table: usize) -> Write {
        let columns = self.columns(table, false);
        let verb = self.dice.pick(&["INSERT", "INSERT", "INSERT", "INSERT IGNORE", "REPLACE"]);
        let count = if self.dice.one_in(3) { 1 } else { 1 + self.dice.below(8) };
        let rows = (0..count).map(|_| columns.iter().map(|column| self.value(column)).collect()).collect();
        let mut pieces =
            vec![Piece::Text(format!("{verb} INTO {} ({}) VALUES ", self.tables[table].name, names(&columns)))];
        pieces.push(Piece::Rows(rows));
        if verb != "REPLACE" && self.dice.one_in(4) {
            pieces.push(Piece::Text(self.on_duplicate(table)));
        }
        Write { pieces, is_ordered: true, ..Write::text("") }
    }

    fn on_duplicate(&mut self, table: usize) -> String {
        let free = self.free_columns(table);
        let mut assigned = Vec::new();
        for column in free.iter().take(2) {
            let value = match self.dice.below(3) {
                0 => format!("VALUES({})", column.name),
                1 if column.kind == Kind::Int => format!("{0} + 1", column.name),
                _ => self.value(column),
            };
            assigned.push(format!("{} = {value}", column.name));
        }
        if assigned.is_empty() || self.dice.one_in(4) {
            assigned.push("id = id + 100".to_owned());
        }
        format!(" ON DUPLICATE KEY UPDATE {}", assigned.join(", "))
    }

    fn insert_set(&mut self, table: usize) -> Write {
        let columns = self.columns(table, false);
        let verb = self.dice.pick(&["INSERT", "INSERT IGNORE", "REPLACE"]);
        let mut pieces = vec![Piece::Text(format!("{verb} INTO {} SET ", self.tables[table].name))];
        for (at, column) in columns.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            pieces.push(Piece::Text(format!("{comma}{} = ", column.name)));
            pieces.push(Piece::Value(self.value(column)));
        }
        Write { pieces, is_ordered: true, ..Write::text("") }
    }

    fn insert_select(&mut self, table: usize) -> Write {
        let other = if self.dice.one_in(2) { table } else { self.dice.below(self.tables.len()) };
        let source = &self.tables[other];
        // which of several duplicates comes first must be known
        let verb = if source.has_primary_key {
            self.dice.pick(&["INSERT", "INSERT", "INSERT IGNORE", "REPLACE"])
        } else {
            "INSERT"
        };
        let source_name = source.name.clone();
        let given = self.columns(table, true);
        let add = self.dice.pick(&["0", "5", "40"]);
        let mut items = Vec::new();
        for column in &given {
            let same = self.tables[other].columns.iter().any(|known| {
                known.name == column.name && known.kind == column.kind && known.declaration == column.declaration
            });
            items.push(match column.name.as_str() {
                "id" => format!("s.id + {add}"),
                _ if same => format!("s.{}", column.name),
                _ => self.plain_value(column),
            });
        }
        let condition = self.condition(other, "s.");
        Write::text(format!(
            "{verb} INTO {} ({}) SELECT {} FROM {source_name} s WHERE {condition} ORDER BY s.id, s.k, s.j",
            self.tables[table].name,
            names(&given),
            items.join(", ")
        ))
    }

    fn condition(&mut self, table: usize, prefix: &str) -> String {
        let columns = self.tables[table].columns.clone();
        let key = |dice: &mut Dice| columns[1].values[dice.below(columns[1].values.len())].clone();
        let id = self.dice.below(IDS);
        let one = match self.dice.below(9) {
            0 | 1 => format!("{prefix}k = {}", key(&mut self.dice)),
            2 => format!("{prefix}k IN ({}, {})", key(&mut self.dice), key(&mut self.dice)),
            3 => format!("{prefix}id < {id}"),
            4 => format!("{prefix}id BETWEEN {id} AND {}", id + 8),
            5 => format!("{prefix}j = {}", self.dice.below(4)),
            6 => {
                let other = self.dice.below(self.tables.len());
                let name = &self.tables[other].name;
                if other == table { "1 = 1".to_owned() } else { format!("{prefix}id IN (SELECT o.id FROM {name} o)") }
            }
            7 => {
                let column = columns[3 + self.dice.below(columns.len() - 3)].clone();
                format!("{prefix}{} IS NOT NULL", column.name)
            }
            _ => "1 = 1".to_owned(),
        };
        if self.dice.one_in(3) { format!("{one} AND {prefix}id >= {}", self.dice.below(8)) } else { one }
    }

    fn tail(&mut self, table: usize) -> String {
        let condition = self.condition(table, "");
        let mut tail = format!(" WHERE {condition}");
        if self.tables[table].has_primary_key && self.dice.one_in(3) {
            let way = self.dice.pick(&["", " DESC"]);
            tail += &format!(" ORDER BY id{way}, k, j");
            if !self.dice.one_in(4) {
                tail += &format!(" LIMIT {}", 1 + self.dice.below(4));
            }
        }
        tail
    }

    fn update(&mut self, table: usize) -> Write {
        let free = self.free_columns(table);
        let verb = if self.dice.one_in(5) { "UPDATE IGNORE" } else { "UPDATE" };
        let mut pieces = vec![Piece::Text(format!("{verb} {} SET ", self.tables[table].name))];
        let count = 1 + self.dice.below(2);
        for (at, column) in free.iter().take(count).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            pieces.push(Piece::Text(format!("{comma}{} = ", column.name)));
            pieces.push(match self.dice.below(4) {
                0 if matches!(column.kind, Kind::Int | Kind::Big | Kind::Decimal) => {
                    Piece::Text(format!("{} + 1", column.name))
                }
                0 if matches!(column.kind, Kind::Text(_)) => Piece::Text(format!("CONCAT({}, 'z')", column.name)),
                _ => Piece::Value(self.value(column)),
            });
        }
        if free.is_empty() {
            pieces.push(Piece::Text("id = id".to_owned()));
        }
        let tail = self.tail(table);
        pieces.push(Piece::Text(tail));
        Write { pieces, ..Write::text("") }
    }

    /// Values of the key, or of a unique key, of one row.
    fn move_row(&mut self, table: usize) -> Write {
        let columns = self.tables[table].columns.clone();
        let id = self.dice.below(IDS);
        let unique: Vec<Column> = columns.iter().filter(|column| self.is_unique(table, column)).cloned().collect();
        let set = match self.dice.below(6) {
            0 => format!("j = {}", self.dice.below(4)),
            1 => "id = id + 1".to_owned(),
            2 if !unique.is_empty() => format!("{} = {}", unique[0].name, self.value(&unique[0])),
            3 if columns[1].kind == Kind::Int => "k = k + 1".to_owned(),
            4 => {
                let free = self.free_columns(table);
                let more = match free.first() {
                    Some(column) => format!(", {} = {}", column.name, self.value(column)),
                    None => String::new(),
                };
                format!("k = {}{more}", self.value(&columns[1]))
            }
            _ => format!("k = {}", self.value(&columns[1])),
        };
        let ignore = if self.dice.one_in(6) { "IGNORE " } else { "" };
        Write::text(format!(
            "UPDATE {ignore}{} SET {set} WHERE id = {id} AND j < {}",
            self.tables[table].name,
            2 + self.dice.below(3)
        ))
    }

    fn update_joined(&mut self, table: usize) -> Write {
        let other = self.dice.below(self.tables.len());
        let free = self.free_columns(table);
        let Some(column) = free.first().cloned().filter(|_| other != table) else { return self.update(table) };
        let set = format!("a.{} = {}", column.name, self.value(&column));
        let on = self.dice.pick(&["a.id = b.id", "a.k = b.k AND a.id = b.id", "a.id = b.id AND a.j = b.j"]);
        let on = if self.keys_compare(table, other) { on } else { on.trim_start_matches("a.k = b.k AND ") };
        let mut sql =
            format!("UPDATE {} a JOIN {} b ON {on} SET {set}", self.tables[table].name, self.tables[other].name);
        let more = self.free_columns(other);
        if let Some(column) = more.first().filter(|_| self.dice.one_in(2)) {
            let value = self.value(column);
            sql += &format!(", b.{} = {value}", column.name);
        }
        sql += &format!(" WHERE {}", self.condition(table, "a."));
        Write::text(sql)
    }

    /// Keys of one kind: else texts become numbers, and which of them a server warns of depends on its plan.
    fn keys_compare(&self, table: usize, other: usize) -> bool {
        let is_text = |table: usize| matches!(self.tables[table].columns[1].kind, Kind::Text(_));
        is_text(table) == is_text(other)
    }

    fn delete(&mut self, table: usize) -> Write {
        let tail = self.tail(table);
        Write::text(format!("DELETE FROM {}{tail}", self.tables[table].name))
    }

    fn delete_joined(&mut self, table: usize) -> Write {
        let other = self.dice.below(self.tables.len());
        if other == table {
            return self.delete(table);
        }
        let (one, two) = (self.tables[table].name.clone(), self.tables[other].name.clone());
        let condition = self.condition(table, "a.");
        Write::text(match self.dice.below(3) {
            0 => format!("DELETE a, b FROM {one} a JOIN {two} b ON a.id = b.id WHERE {condition}"),
            1 if self.keys_compare(table, other) => format!(
                "DELETE a FROM {one} a LEFT JOIN {two} b ON a.id = b.id AND a.k = b.k WHERE b.id IS NULL AND a.id < 6"
            ),
            _ => format!("DELETE FROM a USING {one} a JOIN {two} b ON a.id = b.id WHERE {condition}"),
        })
    }

    fn load(&mut self, table: usize) -> Write {
        let mut columns = self.columns(table, true);
        columns.retain(|column| {
            !matches!(column.kind, Kind::Bit | Kind::Bytes | Kind::Json | Kind::Double) || column.name == "k"
        });
        let count = self.dice.below(7);
        let lines = (0..count).map(|_| {
            let cells: Vec<String> = columns.iter().map(|column| self.field(column)).collect();
            cells.join(";")
        });
        let lines = lines.collect();
        let how = self.dice.pick(&["", "IGNORE ", "REPLACE "]);
        let sql = format!(
            "LOAD DATA LOCAL INFILE 'rows' {how}INTO TABLE {} CHARACTER SET utf8mb4 FIELDS TERMINATED BY ';' ({})",
            self.tables[table].name,
            names(&columns)
        );
        Write { file: Some(lines), ..Write::text(sql) }
    }

    fn field(&mut self, column: &Column) -> String {
        loop {
            let value = self.value(column);
            let is_key = column.name == "k";
            match value.as_str() {
                "NULL" if is_key => {}
                "NULL" => return "\\N".to_owned(),
                "DEFAULT" => {}
                text if text.contains('\\') => {}
                text => return text.trim_matches('\'').to_owned(),
            }
        }
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A value that does not fit.
fn wrong(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "99999999999",
        Kind::Big => "'12x'",
        Kind::Decimal => "'abc'",
        Kind::Double => "'1.5x'",
        Kind::Text(_) | Kind::Bytes => "'much too long for its column'",
        Kind::Date => "'2024-02-31'",
        Kind::DateTime => "'2024-13-01 00:00:00'",
        Kind::Time => "'999:00:00'",
        Kind::Enum | Kind::Set => "'nope'",
        Kind::Bit => "1000",
        Kind::Json => "'{'",
    }
}
