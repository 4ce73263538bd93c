//! Values and conditions.

use super::kind::{Flavour, Kind};
use super::tree::{Sort, Tree, node};
use crate::support::dice::Dice;

/// A table, a derived table or a CTE under its name in a query.
#[derive(Debug, Clone)]
pub struct Source {
    pub alias: String,
    pub columns: Vec<(String, Kind)>,
}

/// Writes queries.
#[derive(Debug)]
pub struct Writer<'a> {
    pub dice: Dice,
    pub flavour: Flavour,
    pub tables: &'a [Source],
    /// Names of common table expressions in sight, with their columns.
    pub common: Vec<Source>,
    pub names: usize,
}

/// All that a select item or a condition may name; the query's own sources first.
pub type Sight<'s> = &'s [Source];

impl Writer<'_> {
    /// A fresh name.
    pub fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    /// A column of a kind, if there is one.
    pub fn column(&mut self, kind: Kind, sight: Sight) -> Option<Tree> {
        let mut found: Vec<String> = Vec::new();
        for source in sight {
            let names = source.columns.iter().filter(|column| column.1 == kind);
            found.extend(names.map(|(name, _)| format!("{}.{name}", source.alias)));
        }
        if found.is_empty() {
            return None;
        }
        let at = self.dice.below(found.len());
        Some(Tree::Node(Sort::Value(kind), vec![found.swap_remove(at).into()]))
    }

    /// The kind of a column in sight.
    pub fn some_kind(&mut self, sight: Sight) -> Kind {
        let source = &sight[self.dice.below(sight.len())];
        source.columns[self.dice.below(source.columns.len())].1
    }

    fn leaf(&mut self, kind: Kind, sight: Sight) -> Tree {
        if self.dice.one_in(6) {
            return kind.literal(&mut self.dice);
        }
        self.column(kind, sight).unwrap_or_else(|| kind.literal(&mut self.dice))
    }

    /// A value of a kind.
    pub fn value(&mut self, kind: Kind, sight: Sight, depth: usize) -> Tree {
        if depth == 0 || self.dice.one_in(3) {
            return self.leaf(kind, sight);
        }
        let depth = depth - 1;
        if self.dice.one_in(4) {
            return self.any_kind(kind, sight, depth);
        }
        match kind {
            Kind::Int => self.integer(sight, depth),
            Kind::Big => self.leaf(kind, sight),
            Kind::Decimal => self.decimal(sight, depth),
            Kind::Double => self.double(sight, depth),
            Kind::Text(_) => self.text(kind, sight, depth),
            Kind::Bytes => self.bytes(sight, depth),
            Kind::Date => self.date(sight, depth),
            Kind::DateTime => self.moment(sight, depth),
            Kind::Time => self.time(sight, depth),
            Kind::Enum | Kind::Set | Kind::Bit => self.leaf(kind, sight),
            Kind::Json => self.json(sight, depth),
        }
    }

    /// What works with every kind.
    fn any_kind(&mut self, kind: Kind, sight: Sight, depth: usize) -> Tree {
        let one = self.value(kind, sight, depth);
        let other = self.value(kind, sight, depth);
        let sort = Sort::Value(kind);
        match self.dice.below(8) {
            0 => {
                let condition = self.condition(sight, depth);
                node![sort; "CASE WHEN ", condition, " THEN ", one, " ELSE ", other, " END"]
            }
            1 => {
                let condition = self.condition(sight, depth);
                node![sort; "IF(", condition, ", ", one, ", ", other, ")"]
            }
            2 => node![sort; "IFNULL(", one, ", ", other, ")"],
            3 => node![sort; "COALESCE(", one, ", NULL, ", other, ")"],
            4 => node![sort; "NULLIF(", one, ", ", other, ")"],
            5 => {
                let function = self.dice.pick(&["GREATEST(", "LEAST("]);
                node![sort; function, one, ", ", other, ")"]
            }
            6 => self.scalar_subquery(kind, sight, depth),
            _ => {
                let subject = self.value(Kind::Int, sight, depth);
                node![sort; "CASE ", subject, " WHEN 1 THEN ", one, " WHEN 2 THEN ", other, " END"]
            }
        }
    }

    fn integer(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Int);
        let one = self.value(Kind::Int, sight, depth);
        match self.dice.below(14) {
            0..=2 => {
                let operator = self.dice.pick(&[" + ", " - ", " * ", " % ", " DIV ", " & ", " | ", " + 1 - "]);
                let other = self.value(Kind::Int, sight, depth);
                node![sort; "(", one, operator, other, ")"]
            }
            3 => {
                let function = self.dice.pick(&["ABS(", "SIGN(", "-(", "BIT_COUNT(", "CRC32("]);
                node![sort; function, one, ")"]
            }
            4 => {
                let kind = self.text_kind(sight);
                let text = self.value(kind, sight, depth);
                let function = self.dice.pick(&["LENGTH(", "CHAR_LENGTH(", "ASCII(", "LOCATE('a', "]);
                node![sort; function, text, ")"]
            }
            5 => {
                let date = self.value(Kind::Date, sight, depth);
                let function = self.dice.pick(&["YEAR(", "MONTH(", "DAYOFWEEK(", "TO_DAYS(", "DAYOFYEAR("]);
                node![sort; function, date, ")"]
            }
            6 => {
                let (from, to) = (self.value(Kind::DateTime, sight, depth), self.value(Kind::Date, sight, depth));
                node![sort; "DATEDIFF(", from, ", ", to, ")"]
            }
            7 => {
                let condition = self.condition(sight, depth);
                node![sort; "(", condition, ")"]
            }
            8 => {
                let decimal = self.value(Kind::Decimal, sight, depth);
                node![sort; "SIGN(", decimal, ")"]
            }
            9 => {
                let kind = *self.dice.pick(&[&Kind::Enum, &Kind::Set, &Kind::Bit]);
                let inner = self.value(kind, sight, depth);
                node![sort; "(", inner, " + 0)"]
            }
            10 => {
                let text = self.value(Kind::Bytes, sight, depth);
                node![sort; "LENGTH(", text, ")"]
            }
            11 => {
                let other = self.value(Kind::Int, sight, depth);
                node![sort; "INTERVAL(", one, ", 0, ", other, ", 5)"]
            }
            12 => {
                let document = self.value(Kind::Json, sight, depth);
                node![sort; "JSON_LENGTH(", document, ")"]
            }
            _ => node![sort; "CAST(", one, " AS SIGNED)"],
        }
    }

    fn decimal(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Decimal);
        let one = self.value(Kind::Decimal, sight, depth);
        match self.dice.below(6) {
            0 => {
                let other = self.value(Kind::Decimal, sight, depth);
                let operator = self.dice.pick(&[" + ", " - ", " * "]);
                node![sort; "(", one, operator, other, ")"]
            }
            1 => {
                let (one, other) = (self.value(Kind::Int, sight, depth), self.value(Kind::Int, sight, depth));
                node![sort; "(", one, " / ", other, ")"]
            }
            2 => {
                let function = self.dice.pick(&["ROUND(", "TRUNCATE("]);
                let digits = self.dice.pick(&[", 1)", ", 0)", ", -1)", ", 3)"]);
                node![sort; function, one, digits]
            }
            3 => {
                let integer = self.value(Kind::Int, sight, depth);
                node![sort; "CAST(", integer, " AS DECIMAL(12,3))"]
            }
            4 => {
                let integer = self.value(Kind::Int, sight, depth);
                node![sort; "(", integer, " * 1.5)"]
            }
            _ => {
                let function = self.dice.pick(&["ABS(", "-(", "FLOOR(", "CEIL("]);
                node![sort; function, one, ")"]
            }
        }
    }

    fn double(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Double);
        let one = self.value(Kind::Double, sight, depth);
        match self.dice.below(5) {
            0 => {
                let other = self.value(Kind::Double, sight, depth);
                let operator = self.dice.pick(&[" + ", " - ", " * ", " / "]);
                node![sort; "(", one, operator, other, ")"]
            }
            1 => {
                let integer = self.value(Kind::Int, sight, depth);
                node![sort; "(", integer, " + 0.5e0)"]
            }
            2 => node![sort; "ROUND(", one, ", 1)"],
            3 => {
                let decimal = self.value(Kind::Decimal, sight, depth);
                node![sort; "SQRT(", decimal, ")"]
            }
            _ => node![sort; "ABS(", one, ")"],
        }
    }

    /// A collation that a column in sight has.
    fn text_kind(&mut self, sight: Sight) -> Kind {
        let mut kinds = sight.iter().flat_map(|source| &source.columns).map(|column| column.1);
        let start = self.dice.below(3);
        let all: Vec<Kind> = kinds.by_ref().filter(|kind| matches!(kind, Kind::Text(_))).collect();
        if all.is_empty() { Kind::Text(0) } else { all[start % all.len()] }
    }

    fn text(&mut self, kind: Kind, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(kind);
        let one = self.value(kind, sight, depth);
        match self.dice.below(9) {
            0 => {
                let other = self.value(kind, sight, depth);
                node![sort; "CONCAT(", one, ", ", other, ")"]
            }
            1 => {
                let function = self.dice.pick(&["UPPER(", "LOWER(", "TRIM(", "REVERSE(", "RTRIM("]);
                node![sort; function, one, ")"]
            }
            2 => {
                let number = self.dice.pick(&[", 1)", ", 2)", ", 0)"]);
                let function = self.dice.pick(&["LEFT(", "RIGHT(", "SUBSTRING(", "REPEAT("]);
                node![sort; function, one, number]
            }
            3 => node![sort; "REPLACE(", one, ", 'a', 'xy')"],
            4 => node![sort; "LPAD(", one, ", 4, '-')"],
            5 => {
                let number = self.value(Kind::Int, sight, depth);
                node![sort; "CONCAT_WS('-', ", number, ", ", one, ")"]
            }
            6 => {
                let inner = self.some_kind(sight);
                let inner = self.value(inner, sight, depth);
                node![sort; "HEX(", inner, ")"]
            }
            7 => {
                let moment = self.value(Kind::DateTime, sight, depth);
                node![sort; "DATE_FORMAT(", moment, ", '%Y %b %d')"]
            }
            _ => {
                let inner = *self.dice.pick(&[&Kind::Int, &Kind::Decimal, &Kind::Date, &Kind::Enum]);
                let inner = self.value(inner, sight, depth);
                node![sort; "CAST(", inner, " AS CHAR)"]
            }
        }
    }

    fn bytes(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Bytes);
        let one = self.value(Kind::Bytes, sight, depth);
        match self.dice.below(3) {
            0 => node![sort; "CONCAT(", one, ", x'01')"],
            1 => {
                let kind = self.text_kind(sight);
                let text = self.value(kind, sight, depth);
                node![sort; "CAST(", text, " AS BINARY)"]
            }
            _ => node![sort; "LEFT(", one, ", 1)"],
        }
    }

    fn date(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Date);
        match self.dice.below(3) {
            0 => {
                let one = self.value(Kind::DateTime, sight, depth);
                node![sort; "DATE(", one, ")"]
            }
            1 => {
                let one = self.value(Kind::Date, sight, depth);
                node![sort; "LAST_DAY(", one, ")"]
            }
            _ => {
                let column = self.column(Kind::Date, sight);
                let Some(column) = column else { return self.leaf(Kind::Date, sight) };
                let step = self.dice.pick(&[" + INTERVAL 1 DAY)", " - INTERVAL 1 MONTH)", " + INTERVAL 2 YEAR)"]);
                node![sort; "(", column, step]
            }
        }
    }

    fn moment(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::DateTime);
        match self.dice.below(3) {
            0 => {
                let one = self.value(Kind::Date, sight, depth);
                node![sort; "TIMESTAMP(", one, ")"]
            }
            1 => {
                let one = self.value(Kind::DateTime, sight, depth);
                node![sort; "CAST(", one, " AS DATETIME(3))"]
            }
            _ => {
                let column = self.column(Kind::DateTime, sight);
                let Some(column) = column else { return self.leaf(Kind::DateTime, sight) };
                let step = self.dice.pick(&[" + INTERVAL 90 MINUTE)", " - INTERVAL 1 SECOND)", " + INTERVAL 1 WEEK)"]);
                node![sort; "(", column, step]
            }
        }
    }

    fn time(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Time);
        match self.dice.below(3) {
            0 => {
                let one = self.value(Kind::DateTime, sight, depth);
                node![sort; "TIME(", one, ")"]
            }
            1 => {
                let one = self.value(Kind::Int, sight, depth);
                node![sort; "SEC_TO_TIME(", one, ")"]
            }
            _ => {
                let one = self.value(Kind::Time, sight, depth);
                node![sort; "CAST(", one, " AS TIME(1))"]
            }
        }
    }

    fn json(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(Kind::Json);
        let one = self.value(Kind::Json, sight, depth);
        match self.dice.below(3) {
            0 => node![sort; "JSON_EXTRACT(", one, ", '$.a')"],
            1 => {
                let number = self.value(Kind::Int, sight, depth);
                node![sort; "JSON_ARRAY(", number, ", ", one, ")"]
            }
            _ => {
                let number = self.value(Kind::Int, sight, depth);
                node![sort; "JSON_OBJECT('n', ", number, ")"]
            }
        }
    }

    /// A query of one row and one column.
    fn scalar_subquery(&mut self, kind: Kind, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(kind);
        let (from, own) = self.from(1, sight, depth);
        let mut all = own.clone();
        all.extend_from_slice(sight);
        let filter = self.filter(&own, &all, depth);
        match self.dice.below(4) {
            0 if kind == Kind::Int => node![sort; "(SELECT COUNT(*) FROM ", from, filter, ")"],
            0 if kind == Kind::Decimal => {
                let number = self.value(Kind::Int, &own, 0);
                let function = self.dice.pick(&["SUM(", "AVG("]);
                node![sort; "(SELECT ", function, number, ") FROM ", from, filter, ")"]
            }
            1 | 2 => {
                let item = self.value(kind, &own, 1);
                node![sort; "(SELECT ", item.clone(), " FROM ", from, filter, " ORDER BY ", item, " LIMIT 1)"]
            }
            _ => {
                let item = self.value(kind, &own, 1);
                let function = self.dice.pick(&["MIN(", "MAX("]);
                node![sort; "(SELECT ", function, item, ") FROM ", from, filter, ")"]
            }
        }
    }

    /// A condition.
    pub fn condition(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Condition;
        if depth == 0 || self.dice.one_in(3) {
            return self.comparison(sight, depth);
        }
        let depth = depth - 1;
        match self.dice.below(10) {
            0..=2 => {
                let (one, other) = (self.condition(sight, depth), self.condition(sight, depth));
                node![sort; "(", one, " AND ", other, ")"]
            }
            3 | 4 => {
                let (one, other) = (self.condition(sight, depth), self.condition(sight, depth));
                let operator = self.dice.pick(&[" OR ", " OR ", " XOR "]);
                node![sort; "(", one, operator, other, ")"]
            }
            5 if self.dice.one_in(2) => self.alternatives(sight),
            5 => {
                let one = self.condition(sight, depth);
                node![sort; "NOT (", one, ")"]
            }
            6 => {
                let one = self.condition(sight, depth);
                let test =
                    self.dice.pick(&[") IS TRUE", ") IS NOT TRUE", ") IS FALSE", ") IS UNKNOWN", ") IS NOT NULL"]);
                node![sort; "((", one, test, ")"]
            }
            _ => self.subquery_condition(sight, depth),
        }
    }

    /// Two conditions, of which each may say something of several tables, and both the same of some.
    fn alternatives(&mut self, sight: Sight) -> Tree {
        let same = self.comparison(sight, 0);
        let mut leg = || {
            let common = if self.dice.one_in(3) { self.comparison(sight, 0) } else { same.clone() };
            let (one, other) = (self.comparison(sight, 0), self.comparison(sight, 0));
            node![Sort::Condition; "(", common, " AND ", one, " AND ", other, ")"]
        };
        let (one, other) = (leg(), leg());
        node![Sort::Condition; "(", one, " OR ", other, ")"]
    }

    fn comparison(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Condition;
        // Sharding keys meet constants often.
        if self.dice.one_in(3)
            && let Some(condition) = self.key_condition(sight)
        {
            return condition;
        }
        let kind = self.some_kind(sight);
        let one = self.value(kind, sight, depth);
        let other = if self.dice.one_in(2) { kind.literal(&mut self.dice) } else { self.value(kind, sight, depth) };
        match self.dice.below(9) {
            0..=3 => {
                let operator = self.dice.pick(&[" = ", " = ", " <> ", " < ", " <= ", " > ", " >= ", " <=> "]);
                node![sort; one, operator, other]
            }
            4 => {
                let third = self.value(kind, sight, 0);
                let operator = self.dice.pick(&[" BETWEEN ", " NOT BETWEEN "]);
                node![sort; "(", one, operator, other, " AND ", third, ")"]
            }
            5 => {
                let third = kind.literal(&mut self.dice);
                let operator = self.dice.pick(&[" IN (", " IN (", " NOT IN ("]);
                node![sort; one, operator, Tree::list(", ", vec![other, third]), ")"]
            }
            6 => {
                let test = self.dice.pick(&[" IS NULL", " IS NOT NULL"]);
                node![sort; one, test]
            }
            7 => {
                let kind = self.text_kind(sight);
                let text = self.value(kind, sight, depth);
                let pattern =
                    self.dice.pick(&[" LIKE 'a%'", " LIKE '_'", " NOT LIKE '%b%'", " LIKE 'Ä'", " REGEXP '^a'"]);
                node![sort; text, pattern]
            }
            _ => {
                let (left, right) = (self.value(Kind::Int, sight, 0), self.value(Kind::Int, sight, 0));
                let operator = self.dice.pick(&[" = ", " < ", " <> "]);
                node![sort; "(", one, ", ", left, ")", operator, "(", other, ", ", right, ")"]
            }
        }
    }

    /// A condition on the key of a table in sight.
    fn key_condition(&mut self, sight: Sight) -> Option<Tree> {
        let source = &sight[self.dice.below(sight.len())];
        let (_, kind) = source.columns.iter().find(|column| column.0 == "k")?;
        let (kind, key) = (*kind, format!("{}.k", source.alias));
        let keys: Vec<String> = sight
            .iter()
            .filter(|other| other.alias != source.alias)
            .filter(|other| other.columns.iter().any(|column| column.0 == "k" && column.1 == kind))
            .map(|other| format!("{}.k", other.alias))
            .collect();
        let sort = Sort::Condition;
        let literal = kind.literal(&mut self.dice);
        Some(match self.dice.below(6) {
            0 | 1 if !keys.is_empty() => {
                let other = keys[self.dice.below(keys.len())].clone();
                node![sort; key, " = ", other]
            }
            0..=2 => node![sort; key, " = ", literal],
            3 => {
                let second = kind.literal(&mut self.dice);
                node![sort; key, " IN (", Tree::list(", ", vec![literal, second]), ")"]
            }
            4 => {
                let second = kind.literal(&mut self.dice);
                node![sort; "(", key, " BETWEEN ", literal, " AND ", second, ")"]
            }
            _ => {
                let operator = self.dice.pick(&[" < ", " >= ", " <> ", " <=> "]);
                node![sort; key, operator, literal]
            }
        })
    }

    fn subquery_condition(&mut self, sight: Sight, depth: usize) -> Tree {
        let sort = Sort::Condition;
        let kind = self.some_kind(sight);
        let left = self.value(kind, sight, 0);
        match self.dice.below(7) {
            0 | 1 => {
                let (from, own) = self.from(1, sight, depth);
                let mut all = own.clone();
                all.extend_from_slice(sight);
                let filter = self.filter(&own, &all, depth);
                let head =
                    self.dice.pick(&["EXISTS (SELECT 1 FROM ", "NOT EXISTS (SELECT * FROM ", "EXISTS (SELECT * FROM "]);
                node![sort; head, from, filter, ")"]
            }
            2..=4 => {
                let cut = depth > 0 && self.dice.one_in(3);
                let query =
                    if cut { self.over_cut(kind, sight, depth - 1) } else { self.body(&[kind], sight, depth, false) };
                let operator = self.dice.pick(&[" IN (", " IN (", " NOT IN ("]);
                node![sort; left, operator, query, ")"]
            }
            5 => {
                let query = self.body(&[kind], sight, depth, false);
                let operator = self.dice.pick(&[" > ALL (", " = ANY (", " <= SOME (", " <> ALL (", " < ANY ("]);
                node![sort; left, operator, query, ")"]
            }
            _ => {
                let second = self.value(Kind::Int, sight, 0);
                let query = self.body(&[kind, Kind::Int], sight, depth, false);
                let operator = self.dice.pick(&[") IN (", ") NOT IN ("]);
                node![sort; "(", left, ", ", second, operator, query, ")"]
            }
        }
    }
}
