//! Queries of all shapes: joins, groups, windows, set operations, common table expressions.

use super::expression::{Sight, Source, Writer};
use super::kind::Kind;
use super::tree::{Sort, Tree, node};

impl Writer<'_> {
    /// A whole statement.
    pub fn statement(&mut self) -> Tree {
        self.common.clear();
        self.names = 0;
        let count = 1 + self.dice.below(4);
        let with = if self.dice.one_in(5) { Tree::maybe(self.with()) } else { Tree::nothing() };
        let kinds = self.some_kinds(count);
        let named = self.dice.one_in(2);
        let ordered = !self.dice.one_in(3);
        let body = match self.dice.below(11) {
            0 | 1 => self.set_operation(&kinds, &[], 2, named),
            3..=5 => return self.summary(with, &kinds),
            2 if ordered => return self.ordered_by_hidden(with, &kinds),
            _ => self.select(&kinds, &[], 2, named),
        };
        let order = if ordered { self.order(kinds.len(), true) } else { Tree::nothing() };
        let lock = if self.dice.one_in(30) { Tree::maybe(" FOR UPDATE".into()) } else { Tree::nothing() };
        node![Sort::Query(kinds.len()); with, body, order, lock]
    }

    /// The query of a view, and the kinds of its columns.
    pub fn view(&mut self) -> (Tree, Vec<Kind>) {
        let count = 1 + self.dice.below(3);
        let kinds = self.some_kinds(count);
        (self.body(&kinds, &[], 2, true), kinds)
    }

    /// A query over a derived table that is cut: `LIMIT`, and an order of all its columns.
    pub fn over_cut(&mut self, kind: Kind, outer: Sight, depth: usize) -> Tree {
        let kinds = [kind, Kind::Int];
        let body = self.body(&kinds, &[], depth, true);
        let order = self.order(kinds.len(), false);
        let alias = self.name("a");
        let columns = vec![("c0".to_owned(), kind), ("c1".to_owned(), Kind::Int)];
        let own = [Source { alias: alias.clone(), columns }];
        let mut all = own.to_vec();
        all.extend_from_slice(outer);
        let filter = self.filter(&own, &all, 0);
        let query = node![Sort::Query(kinds.len()); body, order];
        node![Sort::Query(1); format!("SELECT {alias}.c0 FROM ("), query, format!(") {alias}"), filter]
    }

    fn some_kinds(&mut self, count: usize) -> Vec<Kind> {
        (0..count)
            .map(|_| {
                let table = &self.tables[self.dice.below(self.tables.len())];
                table.columns[self.dice.below(table.columns.len())].1
            })
            .collect()
    }

    /// ORDER BY that settles the order of all rows, or of a part of the columns; LIMIT only with the former.
    fn order(&mut self, count: usize, top: bool) -> Tree {
        let mut places: Vec<usize> = (0..count).collect();
        self.dice.shuffle(&mut places);
        let whole = !top || !self.dice.one_in(4);
        if !whole {
            places.truncate(1 + self.dice.below(count));
        }
        let keys: Vec<Tree> = places
            .iter()
            .map(|place| format!("{}{}", place + 1, self.dice.pick(&["", "", " DESC", " ASC"])).into())
            .collect();
        let limit = if whole && (!top || self.dice.one_in(2)) { Tree::maybe(self.limit()) } else { Tree::nothing() };
        let sort = if top { Sort::Order(places) } else { Sort::Other };
        Tree::maybe(node![sort; " ORDER BY ", Tree::fixed(", ", keys), limit])
    }

    fn limit(&mut self) -> Tree {
        let (count, offset) = (1 + self.dice.below(6), self.dice.below(4));
        match self.dice.below(4) {
            0 => format!(" LIMIT {offset}, {count}").into(),
            1 => format!(" LIMIT {count} OFFSET {offset}").into(),
            _ => format!(" LIMIT {count}").into(),
        }
    }

    /// Rows in the order of a value that is not shown, then of all that is.
    fn ordered_by_hidden(&mut self, with: Tree, kinds: &[Kind]) -> Tree {
        let (from, own) = self.from(3, &[], 2);
        let filter = self.filter(&own, &own, 2);
        let items: Vec<Tree> =
            kinds.iter().map(|kind| self.column(*kind, &own).unwrap_or_else(|| self.some_column(&own))).collect();
        let hidden = self.some_column(&own);
        let direction = self.dice.pick(&["", " DESC"]);
        let mut keys = vec![node![Sort::Other; hidden, direction]];
        keys.extend(items.clone());
        let limit = if self.dice.one_in(2) { Tree::maybe(self.limit()) } else { Tree::nothing() };
        // The places are empty: the rows' own order cannot be seen in them.
        let order = node![Sort::Order(Vec::new()); " ORDER BY ", Tree::fixed(", ", keys), limit];
        let select = Tree::fixed(", ", items);
        node![Sort::Query(kinds.len()); with, "SELECT ", select, " FROM ", from, filter, Tree::maybe(order)]
    }

    /// Groups of a table or two, told apart and ordered by what is computed of them.
    fn summary(&mut self, with: Tree, kinds: &[Kind]) -> Tree {
        let (from, own) = self.from(2, &[], 0);
        let filter = self.filter(&own, &own, 0);
        let grouped = if self.dice.one_in(4) {
            let items = kinds.iter().map(|kind| self.aggregate(*kind, &own, 1)).collect();
            let items = Tree::fixed(", ", items);
            let having = self.having(&own, 0);
            node![Sort::Query(kinds.len()); "SELECT ", items, " FROM ", from, filter, having]
        } else {
            let named = self.dice.one_in(2);
            self.grouped(kinds, from, filter, &own, 0, named)
        };
        if self.dice.one_in(3) {
            return node![Sort::Query(kinds.len()); with, grouped];
        }
        // MariaDB takes no ORDER BY behind WITH ROLLUP: then both sides refuse
        let hidden = *self.dice.pick(&[&Kind::Int, &Kind::Int, &Kind::Decimal]);
        let hidden = self.aggregate(hidden, &own, 0);
        let direction = self.dice.pick(&["", " DESC"]);
        let mut keys = vec![node![Sort::Other; hidden, direction]];
        keys.extend((1..=kinds.len()).map(|place| Tree::from(place.to_string())));
        let limit = if self.dice.one_in(2) { Tree::maybe(self.limit()) } else { Tree::nothing() };
        let order = node![Sort::Order(Vec::new()); " ORDER BY ", Tree::fixed(", ", keys), limit];
        node![Sort::Query(kinds.len()); with, grouped, Tree::maybe(order)]
    }

    /// A query without ORDER BY of its own: one SELECT or several.
    pub fn body(&mut self, kinds: &[Kind], outer: Sight, depth: usize, named: bool) -> Tree {
        if depth > 0 && self.dice.one_in(6) {
            return self.set_operation(kinds, outer, depth - 1, named);
        }
        self.select(kinds, outer, depth, named)
    }

    fn set_operation(&mut self, kinds: &[Kind], outer: Sight, depth: usize, named: bool) -> Tree {
        let sort = Sort::Query(kinds.len());
        let operator = self.dice.pick(&[
            " UNION ",
            " UNION ALL ",
            " UNION ALL ",
            " INTERSECT ",
            " EXCEPT ",
            " INTERSECT ALL ",
            " EXCEPT ALL ",
        ]);
        let one = self.leg(kinds, outer, depth, named);
        let other = self.leg(kinds, outer, depth, named);
        node![sort; one, operator, other]
    }

    fn leg(&mut self, kinds: &[Kind], outer: Sight, depth: usize, named: bool) -> Tree {
        let sort = Sort::Query(kinds.len());
        match self.dice.below(6) {
            0 if depth > 0 => {
                let inner = self.set_operation(kinds, outer, depth - 1, named);
                node![sort; "(", inner, ")"]
            }
            1 => {
                let inner = self.select(kinds, outer, depth, named);
                let order = self.order(kinds.len(), false);
                node![sort; "(", inner, order, ")"]
            }
            _ => self.select(kinds, outer, depth.min(1), named),
        }
    }

    /// One SELECT.
    fn select(&mut self, kinds: &[Kind], outer: Sight, depth: usize, named: bool) -> Tree {
        let most = if depth == 0 { 1 } else { 3 };
        let (from, own) = self.from(most, outer, depth);
        let mut all = own.clone();
        all.extend_from_slice(outer);
        let filter = self.filter(&own, &all, depth);
        let sort = Sort::Query(kinds.len());
        match self.dice.below(10) {
            0 => {
                let items = kinds.iter().map(|kind| self.aggregate(*kind, &own, depth)).collect();
                let items = self.named(items, named);
                let having = self.having(&own, depth);
                node![sort; "SELECT ", items, " FROM ", from, filter, having]
            }
            1..=3 => self.grouped(kinds, from, filter, &own, depth, named),
            4 => {
                let items = kinds.iter().map(|kind| self.value(*kind, &all, depth.min(1))).collect();
                let items = self.named(items, named);
                node![sort; "SELECT DISTINCT ", items, " FROM ", from, filter]
            }
            5 => {
                let items = kinds.iter().map(|kind| self.windowed(*kind, &own, depth)).collect();
                let items = self.named(items, named);
                node![sort; "SELECT ", items, " FROM ", from, filter]
            }
            _ => {
                let items = kinds.iter().map(|kind| self.value(*kind, &all, depth.min(2))).collect();
                let items = self.named(items, named);
                node![sort; "SELECT ", items, " FROM ", from, filter]
            }
        }
    }

    /// Select items, with names `c0`, `c1`, … where the query is a table for others.
    fn named(&mut self, items: Vec<Tree>, named: bool) -> Tree {
        let named_item = |(at, item)| node![Sort::Other; item, format!(" AS c{at}")];
        let items = if named { items.into_iter().enumerate().map(named_item).collect() } else { items };
        Tree::fixed(", ", items)
    }

    fn grouped(&mut self, kinds: &[Kind], from: Tree, filter: Tree, own: Sight, depth: usize, named: bool) -> Tree {
        let (mut keys, mut items) = (Vec::new(), Vec::new());
        for kind in kinds {
            match self.column(*kind, own) {
                Some(column) if self.dice.one_in(2) => {
                    let key = if self.dice.one_in(4) { self.over(*kind, column) } else { column };
                    keys.push(key.clone());
                    items.push(key);
                }
                _ => items.push(self.aggregate(*kind, own, depth)),
            }
        }
        if keys.is_empty() || self.dice.one_in(6) {
            keys.push(self.some_column(own));
        }
        let rollup = if self.dice.one_in(8) { Tree::maybe(" WITH ROLLUP".into()) } else { Tree::nothing() };
        let items = self.named(items, named);
        let having = self.having(own, depth);
        let distinct = if self.dice.one_in(12) { Tree::maybe("DISTINCT ".into()) } else { Tree::nothing() };
        node![Sort::Query(kinds.len());
            "SELECT ", distinct, items, " FROM ", from, filter, " GROUP BY ", Tree::list(", ", keys), rollup, having]
    }

    /// A column of any kind: a literal would be a place of the select list where it orders or groups.
    fn some_column(&mut self, own: Sight) -> Tree {
        let kind = self.some_kind(own);
        self.column(kind, own).unwrap()
    }

    /// A value made of a column.
    fn over(&mut self, kind: Kind, column: Tree) -> Tree {
        let sort = Sort::Value(kind);
        match kind {
            Kind::Int => node![sort; "(", column, " % 3)"],
            Kind::Decimal => node![sort; "ROUND(", column, ", 1)"],
            Kind::Text(_) => node![sort; "LEFT(", column, ", 1)"],
            Kind::DateTime => node![sort; "(", column, " + INTERVAL 1 DAY)"],
            _ => node![sort; "COALESCE(", column, ", NULL)"],
        }
    }

    fn having(&mut self, own: Sight, depth: usize) -> Tree {
        if !self.dice.one_in(4) {
            return Tree::nothing();
        }
        let kind = *self.dice.pick(&[&Kind::Int, &Kind::Int, &Kind::Decimal]);
        let value = self.aggregate(kind, own, depth.min(1));
        let operator = self.dice.pick(&[" > ", " <> ", " <= "]);
        let literal = kind.literal(&mut self.dice);
        Tree::maybe(node![Sort::Other; " HAVING ", node![Sort::Condition; value, operator, literal]])
    }

    /// An aggregate, or a value made of several.
    fn aggregate(&mut self, kind: Kind, own: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(kind);
        if depth > 0 && self.dice.one_in(5) {
            let one = self.aggregate(kind, own, 0);
            let other = self.aggregate(kind, own, 0);
            return match (self.dice.below(3), kind) {
                (0, Kind::Int | Kind::Decimal) => node![sort; "(", one, " + ", other, ")"],
                (1, _) => {
                    let count = self.aggregate(Kind::Int, own, 0);
                    node![sort; "CASE WHEN ", count, " > 2 THEN ", one, " ELSE ", other, " END"]
                }
                _ => node![sort; "COALESCE(", one, ", ", other, ")"],
            };
        }
        let inner = self.value(kind, own, depth.min(1));
        match kind {
            Kind::Int => self.integer_aggregate(inner, own),
            Kind::Decimal => {
                let number = if self.dice.one_in(2) { inner } else { self.value(Kind::Int, own, 1) };
                let function = self.dice.pick(&["SUM(", "SUM(", "AVG(", "SUM(DISTINCT ", "AVG(DISTINCT "]);
                node![sort; function, number, ")"]
            }
            Kind::Double => {
                let function = self.dice.pick(&["SUM(", "AVG(", "MIN(", "MAX(", "STD(", "VARIANCE(", "STDDEV_SAMP("]);
                let number = if function.len() > 4 { self.value(Kind::Int, own, 0) } else { inner };
                node![sort; function, number, ")"]
            }
            Kind::Text(_) if self.dice.one_in(3) => self.group_concat(sort, own),
            Kind::Json => {
                let number = self.value(Kind::Int, own, 0);
                // The order of its elements is open.
                node![sort; "JSON_OBJECT('n', JSON_LENGTH(JSON_ARRAYAGG(", number, ")))"]
            }
            _ => {
                let function = self.dice.pick(&["MIN(", "MAX("]);
                node![sort; function, inner, ")"]
            }
        }
    }

    fn integer_aggregate(&mut self, inner: Tree, own: Sight) -> Tree {
        let sort = Sort::Value(Kind::Int);
        match self.dice.below(9) {
            0..=2 => node![sort; "COUNT(*)"],
            3 => {
                let kind = self.some_kind(own);
                let other = self.value(kind, own, 0);
                node![sort; "COUNT(", other, ")"]
            }
            4 => {
                let kind = self.some_kind(own);
                let other = self.value(kind, own, 0);
                node![sort; "COUNT(DISTINCT ", other, ")"]
            }
            5 => {
                let kind = self.some_kind(own);
                let other = self.value(kind, own, 0);
                node![sort; "COUNT(DISTINCT ", inner, ", ", other, ")"]
            }
            6 => {
                let function = self.dice.pick(&["BIT_AND(", "BIT_OR(", "BIT_XOR("]);
                node![sort; function, inner, ")"]
            }
            _ => {
                let function = self.dice.pick(&["MIN(", "MAX("]);
                node![sort; function, inner, ")"]
            }
        }
    }

    fn group_concat(&mut self, sort: Sort, own: Sight) -> Tree {
        let kind = *self.dice.pick(&[&Kind::Int, &Kind::Int, &Kind::Date, &Kind::Text(1)]);
        // A column: MySQL miscounts the parameters of DISTINCT ? ORDER BY ?, and sends a broken answer to PREPARE.
        let value = self.column(kind, own).unwrap_or_else(|| self.some_column(own));
        let distinct = self.dice.pick(&["", "DISTINCT "]);
        let direction = self.dice.pick(&["", " DESC"]);
        let separator = self.dice.pick(&["", " SEPARATOR '|'"]);
        node![sort; "GROUP_CONCAT(", distinct, value.clone(), " ORDER BY ", value, direction, separator, ")"]
    }

    /// A window function.
    fn windowed(&mut self, kind: Kind, own: Sight, depth: usize) -> Tree {
        let sort = Sort::Value(kind);
        if self.dice.one_in(3) {
            return self.value(kind, own, depth.min(1));
        }
        let inner = self.value(kind, own, 0);
        let choice = self.dice.below(3);
        let framed = choice == 1 || choice == 2 && self.dice.one_in(2);
        let function: Tree = match (kind, choice) {
            (Kind::Int, 0) => {
                self.dice.pick(&["RANK()", "DENSE_RANK()", "COUNT(*)", "ROW_NUMBER()", "NTILE(3)"]).into()
            }
            (Kind::Double, 0) => self.dice.pick(&["PERCENT_RANK()", "CUME_DIST()"]).into(),
            (Kind::Decimal | Kind::Int | Kind::Double, 1) => {
                node![Sort::Other; self.dice.pick(&["SUM(", "AVG(", "COUNT("]), inner, ")"]
            }
            (_, 2) if framed => node![Sort::Other; self.dice.pick(&["FIRST_VALUE(", "LAST_VALUE("]), inner, ")"],
            (_, 2) => node![Sort::Other; self.dice.pick(&["LAG(", "LEAD("]), inner, ")"],
            (Kind::Int | Kind::Decimal | Kind::Double | Kind::Date, _) => {
                node![Sort::Other; self.dice.pick(&["MIN(", "MAX("]), inner, ")"]
            }
            _ => node![Sort::Other; "FIRST_VALUE(", inner, ")"],
        };
        let partition = if self.dice.one_in(2) {
            let by = self.some_column(own);
            Tree::maybe(node![Sort::Other; "PARTITION BY ", by, " "])
        } else {
            Tree::nothing()
        };
        let mut keys = vec![self.some_column(own)];
        // The number of each table's row settles the order of all rows.
        for source in own.iter().filter(|source| source.columns.iter().any(|column| column.0 == "id")) {
            keys.push(format!("{}.id", source.alias).into());
        }
        let frames = ["", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " ROWS UNBOUNDED PRECEDING"];
        let frame = if framed { frames[self.dice.below(3)] } else { "" };
        node![sort; function, " OVER (", partition, "ORDER BY ", Tree::list(", ", keys), frame, ")"]
    }

    /// WHERE, or nothing.
    pub fn filter(&mut self, own: Sight, all: Sight, depth: usize) -> Tree {
        let condition = match self.dice.below(5) {
            0 => return Tree::nothing(),
            // A subquery is most often tied to the outer row.
            1 | 2 if own.len() < all.len() => {
                let outer = &all[own.len()..];
                let kind = self.some_kind(own);
                let one = self.value(kind, own, 0);
                let other = self.value(kind, outer, 0);
                node![Sort::Condition; one, " = ", other]
            }
            _ => self.condition(all, depth),
        };
        Tree::maybe(node![Sort::Other; " WHERE ", condition])
    }

    /// WITH, and its names come into sight.
    fn with(&mut self) -> Tree {
        if self.dice.one_in(3) {
            return self.recursive();
        }
        let mut items = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let name = self.name("q");
            let kinds = self.some_kinds(3);
            let body = self.body(&kinds, &[], 1, false);
            let columns: Vec<(String, Kind)> =
                kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}"), *kind)).collect();
            items.push(node![Sort::Other; name.clone(), " (c0, c1, c2) AS (", body, ")"]);
            self.common.push(Source { alias: name, columns });
        }
        node![Sort::Other; "WITH ", Tree::fixed(", ", items), " "]
    }

    /// A recursion of few steps.
    fn recursive(&mut self) -> Tree {
        let name = self.name("r");
        let table = self.tables[self.dice.below(self.tables.len())].clone();
        let start = Source { alias: self.name("s"), columns: table.columns.clone() };
        let step = Source { alias: self.name("s"), columns: table.columns.clone() };
        let (tables, own) = (table.alias, std::slice::from_ref(&start));
        let filter = self.filter(own, own, 1);
        let join = if self.dice.one_in(2) {
            Tree::maybe(format!(" JOIN {tables} {0} ON {0}.id = {name}.c1 + 1", step.alias).into())
        } else {
            Tree::nothing()
        };
        let all = self.dice.pick(&[" UNION ALL ", " UNION "]);
        let columns = vec![("c0".to_owned(), Kind::Int), ("c1".to_owned(), Kind::Int)];
        let text = node![Sort::Other; format!("WITH RECURSIVE {name} (c0, c1) AS (SELECT 1, {0}.id FROM {tables} {0}", start.alias),
            filter, all, format!("SELECT {name}.c0 + 1, {name}.c1 + 1 FROM {name}"), join,
            format!(" WHERE {name}.c0 < 3) ")];
        self.common.push(Source { alias: name, columns });
        text
    }

    /// FROM of up to `most` tables, and what is in sight then.
    pub fn from(&mut self, most: usize, outer: Sight, depth: usize) -> (Tree, Vec<Source>) {
        let (first, source) = self.factor(depth);
        let mut own = vec![source];
        let mut joins = Vec::new();
        for _ in 1..=self.dice.below(most) {
            joins.push(self.join(&mut own, outer, depth));
        }
        (node![Sort::Other; first, Tree::List { separator: "", least: 0, items: joins }], own)
    }

    fn join(&mut self, own: &mut Vec<Source>, outer: Sight, depth: usize) -> Tree {
        if self.flavour.mysql && depth > 0 && self.dice.one_in(12) {
            return self.lateral(own, depth - 1);
        }
        let (factor, source) = self.factor(depth);
        let before = own.clone();
        own.push(source.clone());
        // Of three tables a common column would be ambiguous.
        let is_table = |source: &Source| source.columns.iter().any(|column| column.0 == "id");
        let named = before.len() == 1 && is_table(&before[0]) && is_table(&source);
        let kind = self.dice.pick(&[
            " JOIN ",
            " JOIN ",
            " LEFT JOIN ",
            " LEFT JOIN ",
            " RIGHT JOIN ",
            " CROSS JOIN ",
            " STRAIGHT_JOIN ",
            " NATURAL JOIN ",
            "USING",
        ]);
        match kind {
            " CROSS JOIN " => return node![Sort::Other; kind, factor],
            " NATURAL JOIN " if !named => return node![Sort::Other; ", ", factor],
            " NATURAL JOIN " => {
                let kind = self.dice.pick(&[" NATURAL JOIN ", " NATURAL LEFT JOIN "]);
                return node![Sort::Other; kind, factor];
            }
            "USING" if !named => return node![Sort::Other; " JOIN ", factor, " ON 1 = 1"],
            "USING" => {
                let kind = self.dice.pick(&[" JOIN ", " LEFT JOIN "]);
                let columns = self.dice.pick(&[" USING (k)", " USING (k, j)", " USING (id)"]);
                return node![Sort::Other; kind, factor, columns];
            }
            _ => {}
        }
        let mut all = own.clone();
        all.extend_from_slice(outer);
        let partner = before[self.dice.below(before.len())].clone();
        let shared: Vec<&(String, Kind)> =
            source.columns.iter().filter(|column| partner.columns.iter().any(|other| other.1 == column.1)).collect();
        let condition = if shared.is_empty() || self.dice.one_in(5) {
            self.condition(&all, depth.min(1))
        } else {
            let keys: Vec<&&(String, Kind)> = shared.iter().filter(|column| column.0 == "k").collect();
            let (name, kind) = if keys.is_empty() || self.dice.one_in(3) {
                shared[self.dice.below(shared.len())].clone()
            } else {
                (*keys[0]).clone()
            };
            let same = partner.columns.iter().any(|column| column.0 == name && column.1 == kind);
            let other = if same && !self.dice.one_in(5) {
                format!("{}.{name}", partner.alias).into()
            } else {
                self.column(kind, std::slice::from_ref(&partner)).unwrap_or_else(|| kind.literal(&mut self.dice))
            };
            node![Sort::Condition; format!("{}.{name}", source.alias), " = ", other]
        };
        let more = if self.dice.one_in(4) {
            let operator = self.dice.pick(&[" AND ", " AND ", " OR "]);
            let extra = self.condition(&all, 0);
            Tree::maybe(node![Sort::Other; operator, extra])
        } else {
            Tree::nothing()
        };
        node![Sort::Other; kind, factor, " ON ", condition, more]
    }

    /// A derived table that names those before it.
    fn lateral(&mut self, own: &mut Vec<Source>, depth: usize) -> Tree {
        let count = 1 + self.dice.below(2);
        let kinds = self.some_kinds(count);
        let body = self.body(&kinds, &own.clone(), depth, true);
        let alias = self.name("a");
        let columns = kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}"), *kind)).collect();
        own.push(Source { alias: alias.clone(), columns });
        let kind = self.dice.pick(&[" JOIN LATERAL (", " LEFT JOIN LATERAL ("]);
        node![Sort::Other; kind, body, format!(") {alias} ON 1 = 1")]
    }

    /// A table, a common table expression or a derived table.
    fn factor(&mut self, depth: usize) -> (Tree, Source) {
        if !self.common.is_empty() && self.dice.one_in(2) {
            let common = self.common[self.dice.below(self.common.len())].clone();
            let alias = self.name("a");
            let text = format!("{} {alias}", common.alias);
            return (text.into(), Source { alias, columns: common.columns });
        }
        if depth > 0 && self.dice.one_in(6) {
            return self.derived(depth - 1);
        }
        let table = self.tables[self.dice.below(self.tables.len())].clone();
        // A table under its own name shows whether physical names come through.
        let bare = self.names == 0 && self.dice.one_in(3);
        let alias = if bare { table.alias.clone() } else { self.name("a") };
        self.names += usize::from(bare);
        let text = if bare { table.alias.clone() } else { format!("{} {alias}", table.alias) };
        (text.into(), Source { alias, columns: table.columns })
    }

    fn derived(&mut self, depth: usize) -> (Tree, Source) {
        if self.dice.one_in(12) {
            let alias = self.name("a");
            let text = format!("JSON_TABLE('[1, 2, 3]', '$[*]' COLUMNS (c0 INT PATH '$')) {alias}");
            return (text.into(), Source { alias, columns: vec![("c0".to_owned(), Kind::Int)] });
        }
        let count = 1 + self.dice.below(3);
        let kinds = self.some_kinds(count);
        let body = self.body(&kinds, &[], depth, true);
        let order = if self.dice.one_in(3) { self.order(count, false) } else { Tree::nothing() };
        let alias = self.name("a");
        let columns = kinds.iter().enumerate().map(|(at, kind)| (format!("c{at}"), *kind)).collect();
        let query = node![Sort::Query(count); body, order];
        (node![Sort::Other; "(", query, ") ", alias.clone()], Source { alias, columns })
    }
}
