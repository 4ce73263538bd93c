//! Where the parts of a statement stand in its text.
//!
//! The syntax tree does not know where a call ends or a clause begins, and a rewrite must know exactly. So the tokens
//! are read once more: parentheses are matched, the clauses of a block are found by their keywords on its own level.

use std::ops::Range;

use sqlparser::ast::Ident;

use crate::sql::lexer::{LexMode, Lexer, Token, TokenKind};
use crate::sql::spans;

/// The tokens of a statement, without comments.
#[derive(Debug)]
pub(crate) struct Outline {
    tokens: Vec<Token>,
    params: Vec<usize>,
}

/// Where the parts of one SELECT stand.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Clauses {
    /// The items of the select list, with their aliases.
    pub items: Vec<Range<usize>>,
    /// The keys of GROUP BY, without direction.
    pub group: Vec<Range<usize>>,
    /// The keys of ORDER BY, without direction.
    pub order: Vec<Range<usize>>,
    /// From `ORDER` to the end of its last key.
    pub order_by: Option<Range<usize>>,
    /// From `LIMIT` to the end of its last number.
    pub limit: Option<Range<usize>>,
    /// The numbers of LIMIT as they are written.
    pub limit_numbers: Vec<Range<usize>>,
    /// LIMIT is written with OFFSET: the first number is the count.
    pub limit_offset: bool,
    /// Where an ORDER BY would begin that is not there yet: after all that stands before it.
    pub before_order: usize,
}

/// A clause that a list is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    Items,
    Group,
    Order,
    Limit,
    Other,
    Tail,
}

impl Outline {
    /// Reads the tokens of one statement.
    pub fn new(sql: &[u8], mode: LexMode) -> Self {
        let is_token = |token: &Token| {
            !matches!(
                token.kind,
                TokenKind::Comment
                    | TokenKind::ProxyHint
                    | TokenKind::OptimizerHint
                    | TokenKind::CodeOpen
                    | TokenKind::CodeClose
                    | TokenKind::UnsureComment
                    | TokenKind::Semicolon
            )
        };
        let tokens: Vec<Token> = Lexer::new(sql, mode).filter(is_token).collect();
        let params = tokens.iter().filter(|token| token.kind == TokenKind::Placeholder).map(|token| token.start);
        Self { params: params.collect(), tokens }
    }

    /// The number of the parameter whose `?` stands at an offset.
    pub fn param_at(&self, offset: usize) -> Option<u32> {
        self.params.binary_search(&offset).ok().and_then(|index| u32::try_from(index).ok())
    }

    /// The offsets of the `?`.
    pub fn params(&self) -> &[usize] {
        &self.params
    }

    /// The tokens.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The tokens in a range.
    pub fn within(&self, range: &Range<usize>) -> &[Token] {
        self.tokens.get(self.index_at(range.start)..self.index_at(range.end)).unwrap_or_default()
    }

    /// Where the expression ends that has its alias at an offset.
    pub fn before_alias(&self, sql: &[u8], alias: usize) -> Option<usize> {
        let mut index = self.index_at(alias);
        if index > 0 && self.is_keyword(sql, index - 1, &["AS"]) {
            index -= 1;
        }
        self.tokens.get(index.checked_sub(1)?).map(|token| token.end)
    }

    /// Where the alias at the end of a select list's item begins. The tree does not tell where one stands that is written as a
    /// string.
    pub fn alias_start(&self, item: &Range<usize>, alias: &Ident) -> Option<usize> {
        let told = spans::range_of(alias.span).map(|range| range.start);
        told.or_else(|| self.tokens.get(self.index_at(item.end).checked_sub(1)?).map(|token| token.start))
    }

    /// The index of the token that begins at an offset, or of the first one behind it.
    pub fn index_at(&self, offset: usize) -> usize {
        self.tokens.partition_point(|token| token.start < offset)
    }

    /// A call from its name to its closing parenthesis; the name alone if none follows.
    pub fn call_range(&self, sql: &[u8], name: Range<usize>) -> Option<Range<usize>> {
        let open = self.index_at(name.end);
        match self.tokens.get(open) {
            Some(token) if token.is_symbol(sql, b'(') => {
                let close = self.closing(sql, open)?;
                Some(name.start..self.tokens[close].end)
            }
            _ => Some(name),
        }
    }

    /// The index of the parenthesis that closes the one at an index.
    pub fn closing(&self, sql: &[u8], open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            if token.is_symbol(sql, b'(') {
                depth += 1;
            } else if token.is_symbol(sql, b')') {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
        }
        None
    }

    /// The item of a select list, without alias, that an offset lies in.
    pub fn item_around(&self, sql: &[u8], offset: usize) -> Option<Range<usize>> {
        // one entry per open parenthesis: where the current item of its select list began
        let mut levels: Vec<Option<usize>> = vec![None];
        let mut index = 0;
        while let Some(token) = self.tokens.get(index).filter(|token| token.start <= offset) {
            if token.is_symbol(sql, b'(') {
                levels.push(None);
            } else if token.is_symbol(sql, b')') {
                levels.pop();
            } else if self.is_keyword(sql, index, &["SELECT"]) {
                index = self.skip_modifiers(sql, index + 1);
                *levels.last_mut()? = self.tokens.get(index).map(|token| token.start);
                continue;
            } else if token.is_symbol(sql, b',') {
                if let Some(Some(start)) = levels.last_mut() {
                    *start = self.tokens.get(index + 1)?.start;
                }
            } else if self.is_keyword(sql, index, AFTER_ITEMS) {
                *levels.last_mut()? = None;
            }
            index += 1;
        }
        let (level, start) = levels.iter().enumerate().rev().find_map(|(level, start)| Some((level, (*start)?)))?;
        let end = self.item_end(sql, index, levels.len() - level)?;
        Some(start..end)
    }

    /// Where the item ends that the token before `index` lies in, `depth - 1` parentheses deep.
    fn item_end(&self, sql: &[u8], index: usize, mut depth: usize) -> Option<usize> {
        let mut end = self.tokens.get(index.checked_sub(1)?)?.end;
        for (at, token) in self.tokens.iter().enumerate().skip(index) {
            if token.is_symbol(sql, b'(') {
                depth += 1;
            } else if token.is_symbol(sql, b')') {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            } else if depth == 1 && (token.is_symbol(sql, b',') || self.is_keyword(sql, at, AFTER_ITEMS)) {
                break;
            }
            end = token.end;
        }
        Some(end)
    }

    /// Whether the token is one of these keywords; a word after a dot is a name.
    pub fn is_keyword(&self, sql: &[u8], index: usize, keywords: &[&str]) -> bool {
        let Some(token) = self.tokens.get(index).filter(|token| token.kind == TokenKind::Word) else { return false };
        let after_dot = index > 0 && self.tokens[index - 1].is_symbol(sql, b'.');
        // MariaDB takes the word for a name, too
        if token.is_word(sql, "WINDOW") && !self.names_a_window(sql, index) {
            return false;
        }
        !after_dot && keywords.iter().any(|keyword| token.is_word(sql, keyword))
    }

    /// `WINDOW name AS (…)`.
    fn names_a_window(&self, sql: &[u8], index: usize) -> bool {
        let is_name = |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedName);
        self.tokens.get(index + 1).is_some_and(is_name)
            && self.tokens.get(index + 2).is_some_and(|token| token.is_word(sql, "AS"))
    }

    fn skip_modifiers(&self, sql: &[u8], mut index: usize) -> usize {
        while self.is_keyword(sql, index, MODIFIERS) {
            index += 1;
        }
        index
    }

    /// ORDER BY and LIMIT behind the legs of a set operation.
    pub fn tail(&self, sql: &[u8]) -> Clauses {
        let mut reader = Reader { outline: self, sql, clauses: Clauses::default(), clause: Clause::Tail, part: None };
        reader.read(0);
        reader.clauses
    }

    /// The clauses of the SELECT whose keyword stands at an offset.
    pub fn clauses(&self, sql: &[u8], select: usize) -> Option<Clauses> {
        let first = self.index_at(select);
        if !self.is_keyword(sql, first, &["SELECT"]) {
            return None;
        }
        let mut reader = Reader { outline: self, sql, clauses: Clauses::default(), clause: Clause::Items, part: None };
        reader.read(self.skip_modifiers(sql, first + 1));
        Some(reader.clauses)
    }
}

/// Whether two runs of tokens are the same expression.
pub(crate) fn same_tokens(sql: &[u8], one: &[Token], other: &[Token]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| {
            a.kind == b.kind
                // two parameters are two values
                && a.kind != TokenKind::Placeholder
                && match a.kind {
                    TokenKind::Word => a.bytes(sql).eq_ignore_ascii_case(b.bytes(sql)),
                    _ => a.bytes(sql) == b.bytes(sql),
                }
        })
}

/// What may stand between SELECT and its first item.
const MODIFIERS: &[&str] = &[
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_CACHE",
    "SQL_NO_CACHE",
    "SQL_CALC_FOUND_ROWS",
];

/// The reserved words that end a select list.
const AFTER_ITEMS: &[&str] = &[
    "FROM",
    "INTO",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "FOR",
    "LOCK",
    "UNION",
    "EXCEPT",
    "INTERSECT",
];

/// Reads the clauses of one SELECT.
struct Reader<'a> {
    outline: &'a Outline,
    sql: &'a [u8],
    clauses: Clauses,
    clause: Clause,
    /// The part of a list that is being read.
    part: Option<Range<usize>>,
}

impl Reader<'_> {
    fn read(&mut self, first: usize) {
        let tokens = &self.outline.tokens;
        let mut index = first;
        while let Some(token) = tokens.get(index) {
            if token.is_symbol(self.sql, b')') {
                break;
            }
            if let Some(words) = self.begins_clause(index) {
                index += words;
                continue;
            }
            if token.is_symbol(self.sql, b',') {
                self.end_part();
                index += 1;
                continue;
            }
            let last = if token.is_symbol(self.sql, b'(') {
                match self.outline.closing(self.sql, index) {
                    Some(close) => close,
                    None => break,
                }
            } else {
                index
            };
            self.extend(index, tokens[last].end);
            index = last + 1;
        }
        self.end_part();
    }

    /// Takes a token (or a whole parenthesis) into the part that is being read.
    fn extend(&mut self, index: usize, end: usize) {
        let start = self.outline.tokens[index].start;
        let is_direction = self.outline.is_keyword(self.sql, index, &["ASC", "DESC"]);
        match self.clause {
            Clause::Group | Clause::Order if is_direction => {
                if let (Clause::Order, Some(order_by)) = (self.clause, &mut self.clauses.order_by) {
                    order_by.end = end;
                }
            }
            Clause::Items | Clause::Group | Clause::Order | Clause::Limit => {
                self.part = Some(self.part.take().map_or(start..end, |part| part.start..end));
            }
            Clause::Other | Clause::Tail => {}
        }
        if self.clause == Clause::Order
            && let Some(order_by) = &mut self.clauses.order_by
        {
            order_by.end = end;
        }
        if self.clause == Clause::Limit
            && let Some(limit) = &mut self.clauses.limit
        {
            limit.end = end;
        }
        if matches!(self.clause, Clause::Items | Clause::Group | Clause::Other) {
            self.clauses.before_order = end;
        }
    }

    fn end_part(&mut self) {
        let Some(part) = self.part.take() else { return };
        match self.clause {
            Clause::Items => self.clauses.items.push(part),
            Clause::Group => self.clauses.group.push(part),
            Clause::Order => self.clauses.order.push(part),
            Clause::Limit => self.clauses.limit_numbers.push(part),
            Clause::Other | Clause::Tail => {}
        }
    }

    /// Enters a clause, if one begins here; says how many words its beginning has.
    fn begins_clause(&mut self, index: usize) -> Option<usize> {
        let word = |keywords: &[&str]| self.outline.is_keyword(self.sql, index, keywords);
        // `USE INDEX FOR ORDER BY (a)` begins no clause
        let hints = index.checked_sub(1).is_some_and(|before| self.outline.is_keyword(self.sql, before, &["FOR"]));
        let by = !hints && self.outline.is_keyword(self.sql, index + 1, &["BY"]);
        let (clause, words) = if word(&["FROM", "WHERE", "HAVING", "WINDOW"]) {
            (Clause::Other, 1)
        } else if word(&["GROUP"]) && by {
            (Clause::Group, 2)
        } else if word(&["WITH"]) && self.clause == Clause::Group {
            (Clause::Other, 1) // WITH ROLLUP
        } else if word(&["ORDER"]) && by {
            (Clause::Order, 2)
        } else if word(&["LIMIT"]) {
            (Clause::Limit, 1)
        } else if word(&["OFFSET"]) && self.clause == Clause::Limit {
            self.end_part();
            self.clauses.limit_offset = true;
            return Some(1);
        } else if word(&["FOR", "LOCK", "INTO", "PROCEDURE", "UNION", "EXCEPT", "INTERSECT", "MINUS"])
            && !self.is_index_hint(index)
        {
            (Clause::Tail, 1)
        } else {
            return None;
        };
        self.end_part();
        let tokens = &self.outline.tokens;
        let range = tokens[index].start..tokens.get(index + words - 1).map_or(tokens[index].end, |token| token.end);
        match clause {
            Clause::Order => self.clauses.order_by = Some(range),
            Clause::Limit => self.clauses.limit = Some(range),
            _ => {}
        }
        self.clause = clause;
        Some(words)
    }

    /// `USE INDEX FOR JOIN (…)` and `FOR SYSTEM_TIME` in FROM.
    fn is_index_hint(&self, index: usize) -> bool {
        let before = index.checked_sub(1).is_some_and(|at| self.outline.is_keyword(self.sql, at, &["INDEX", "KEY"]));
        before || self.outline.is_keyword(self.sql, index + 1, &["SYSTEM_TIME"])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clauses(sql: &str) -> Clauses {
        let outline = Outline::new(sql.as_bytes(), LexMode::default());
        outline.clauses(sql.as_bytes(), sql.find("SELECT").unwrap()).unwrap()
    }

    fn texts<'a>(sql: &'a str, ranges: &[Range<usize>]) -> Vec<&'a str> {
        ranges.iter().map(|range| &sql[range.clone()]).collect()
    }

    #[test]
    fn parts_of_a_select_are_found() {
        let sql = "SELECT DISTINCT a, f(b, c) AS x, t.from FROM t WHERE x IN (SELECT y FROM z ORDER BY q) \
                   GROUP BY a, g(1, 2) DESC ORDER BY a DESC, (b + c) LIMIT 3, ? FOR UPDATE";
        let found = clauses(sql);
        assert_eq!(texts(sql, &found.items), ["a", "f(b, c) AS x", "t.from"]);
        assert_eq!(texts(sql, &found.group), ["a", "g(1, 2)"]);
        assert_eq!(texts(sql, &found.order), ["a", "(b + c)"]);
        assert_eq!(&sql[found.order_by.unwrap()], "ORDER BY a DESC, (b + c)");
        assert_eq!(&sql[found.limit.unwrap()], "LIMIT 3, ?");
        assert_eq!(texts(sql, &found.limit_numbers), ["3", "?"]);
        assert!(!found.limit_offset);
        assert!(sql[..found.before_order].ends_with("DESC"));
    }

    #[test]
    fn the_tail_of_a_set_operation() {
        let sql = "(SELECT a FROM t ORDER BY b LIMIT 1) UNION ALL SELECT c FROM u GROUP BY c ORDER BY 1 DESC LIMIT 2";
        let outline = Outline::new(sql.as_bytes(), LexMode::default());
        let found = outline.tail(sql.as_bytes());
        assert_eq!(texts(sql, &found.order), ["1"]);
        assert_eq!(texts(sql, &found.limit_numbers), ["2"]);
    }

    #[test]
    fn limit_with_offset() {
        let sql = "(SELECT a FROM t USE INDEX FOR ORDER BY (i) LIMIT 3 OFFSET 4) ";
        let found = clauses(sql);
        assert!(found.limit_offset);
        assert_eq!(texts(sql, &found.limit_numbers), ["3", "4"]);
        assert_eq!(&sql[found.limit.unwrap()], "LIMIT 3 OFFSET 4");
        assert_eq!(found.order_by, None);
        let sql = "SELECT a FROM t USE INDEX FOR GROUP BY (i), FORCE INDEX FOR ORDER BY (j) GROUP BY a ORDER BY b";
        let found = clauses(sql);
        assert_eq!((texts(sql, &found.group), texts(sql, &found.order)), (vec!["a"], vec!["b"]));
    }

    #[test]
    fn the_item_around_a_call() {
        let item = |sql: &str, call: &str| {
            let outline = Outline::new(sql.as_bytes(), LexMode::default());
            outline.item_around(sql.as_bytes(), sql.find(call).unwrap()).map(|range| sql[range].to_owned())
        };
        let sql = "SELECT 1, IF(a, f(b, L()), 2) + 1, c FROM t WHERE x = M()";
        assert_eq!(item(sql, "L()").unwrap(), "IF(a, f(b, L()), 2) + 1");
        assert_eq!(item(sql, "M()"), None);
        assert_eq!(item("SELECT (SELECT L()), 2", "L()").unwrap(), "L()");
        assert_eq!(item("SELECT L()", "L()").unwrap(), "L()");
        assert_eq!(item("SELECT @@x LIMIT 1", "@@x").unwrap(), "@@x");
    }
}
