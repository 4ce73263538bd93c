//! Where the clauses of a statement begin and end.
//!
//! The tree knows what a clause says but not always where it stands. This reads the tokens once, looks at keywords
//! outside of parentheses only, and so gives exact byte ranges of clauses and of the items of their lists. It believes
//! that the statement is well-formed: use it on texts that [`super::parse`](fn@super::parse) accepted.

use super::lexer::{LexMode, Lexer, Token, TokenKind};
use std::ops::Range;

/// A clause, by the keyword that begins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClauseKind {
    /// `WITH …`: the common table expressions.
    With,
    /// `SELECT` with its modifiers (`DISTINCT`, `SQL_NO_CACHE`, …); the items are those of the select list.
    Select,
    /// `INTO …` of a query.
    Into,
    /// `FROM …`; the items are the table references. In a `DELETE` too.
    From,
    /// `WHERE …`.
    Where,
    /// `GROUP BY …`, without `WITH ROLLUP`.
    GroupBy,
    /// `WITH ROLLUP`.
    Rollup,
    /// `HAVING …`.
    Having,
    /// `WINDOW …`.
    Window,
    /// `ORDER BY …`.
    OrderBy,
    /// `LIMIT …`; see [`Clauses::limit`].
    Limit,
    /// `FETCH …`, `OFFSET …` of the standard.
    Fetch,
    /// `FOR UPDATE …`, `FOR SHARE …`, `LOCK IN SHARE MODE …`.
    Lock,
    /// `UPDATE` or `INSERT INTO` and its kin: the table or tables.
    Target,
    /// `(a, b)` of an `INSERT`: the keyword is empty, the content is inside the parentheses.
    Columns,
    /// `VALUES …`; the items are the rows, with their parentheses.
    Values,
    /// `AS new (a, b)` behind the rows of an `INSERT`.
    RowAlias,
    /// `SET …` of `UPDATE` and `INSERT`.
    Set,
    /// `ON DUPLICATE KEY UPDATE …`.
    OnDuplicate,
    /// `RETURNING …`.
    Returning,
    /// `USING …` of a `DELETE`.
    Using,
    /// `UNION`, `EXCEPT`, `INTERSECT`, with `ALL` or `DISTINCT`; the clauses behind it belong to the next query.
    SetOperator,
    /// What is in front of the first keyword: parentheses around a query.
    Other,
}

/// A clause of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What it is.
    pub kind: ClauseKind,
    /// Its keywords: `ORDER BY`.
    pub keyword: Range<usize>,
    /// What follows them, up to the last token of the clause.
    pub content: Range<usize>,
    /// The content split at its commas.
    pub items: Vec<Range<usize>>,
}

impl Clause {
    /// Keywords and content.
    pub fn whole(&self) -> Range<usize> {
        self.keyword.start..self.content.end.max(self.keyword.end)
    }
}

/// `LIMIT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// All of it.
    pub whole: Range<usize>,
    /// The number of rows.
    pub count: Range<usize>,
    /// The number of rows to step over.
    pub offset: Option<Range<usize>>,
}

/// The clauses of a statement in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clauses {
    /// All of them.
    pub list: Vec<Clause>,
    /// The offset after the last token: where something can be appended.
    pub end: usize,
}

impl Clauses {
    /// The first clause of a kind.
    pub fn get(&self, kind: ClauseKind) -> Option<&Clause> {
        self.list.iter().find(|clause| clause.kind == kind)
    }

    /// Whether it is several queries with `UNION` or the like between them.
    pub fn is_set_operation(&self) -> bool {
        self.get(ClauseKind::SetOperator).is_some()
    }

    /// The parts of `LIMIT`, whichever way it is written.
    pub fn limit(&self, sql: &[u8], mode: LexMode) -> Option<Limit> {
        let clause = self.get(ClauseKind::Limit)?;
        if let [offset, count] = clause.items.as_slice() {
            return Some(Limit { whole: clause.whole(), count: count.clone(), offset: Some(offset.clone()) });
        }
        let mut tokens = significant(sql, clause.content.clone(), mode);
        let count = tokens.next()?;
        let offset = tokens.next().filter(|token| token.is_word(sql, "offset")).and_then(|_| tokens.next());
        Some(Limit {
            whole: clause.whole(),
            count: count.start..count.end,
            offset: offset.map(|token| token.start..token.end),
        })
    }
}

/// The tokens of a part of a text that are no comments.
fn significant(sql: &[u8], range: Range<usize>, mode: LexMode) -> impl Iterator<Item = Token> {
    let part = sql.get(..range.end).unwrap_or_default();
    Lexer::starting_at(part, mode, range.start).filter(|token| {
        !matches!(
            token.kind,
            TokenKind::Comment
                | TokenKind::ProxyHint
                | TokenKind::OptimizerHint
                | TokenKind::UnsureComment
                | TokenKind::CodeOpen
                | TokenKind::CodeClose
        )
    })
}

/// The clauses of a statement.
pub fn locate(sql: &[u8], mode: LexMode) -> Clauses {
    locate_in(sql, 0..sql.len(), mode)
}

/// The clauses of a query that stands in a part of a text, without the parentheses around it.
pub fn locate_in(sql: &[u8], range: Range<usize>, mode: LexMode) -> Clauses {
    let tokens: Vec<Token> =
        significant(sql, range.clone(), mode).take_while(|token| token.kind != TokenKind::Semicolon).collect();
    let mut reader = Reader { sql, tokens, position: 0, list: Vec::new() };
    reader.read();
    let end = reader.tokens.last().map_or(range.start, |token| token.end);
    Clauses { list: reader.list, end }
}

struct Reader<'a> {
    sql: &'a [u8],
    tokens: Vec<Token>,
    position: usize,
    list: Vec<Clause>,
}

impl Reader<'_> {
    fn word_at(&self, index: usize, word: &str) -> bool {
        // behind a point it is a name
        let is_name = index > 0 && self.symbol_at(index - 1, b'.');
        !is_name && self.tokens.get(index).is_some_and(|token| token.is_word(self.sql, word))
    }

    fn words_at(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word_at(index + offset, word))
    }

    fn symbol_at(&self, index: usize, symbol: u8) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is_symbol(self.sql, symbol))
    }

    fn current(&self) -> Option<ClauseKind> {
        self.list.last().map(|clause| clause.kind)
    }

    fn seen(&self, kind: ClauseKind) -> bool {
        let query = self.list.iter().rev().take_while(|clause| clause.kind != ClauseKind::SetOperator);
        query.into_iter().any(|clause| clause.kind == kind)
    }

    fn read(&mut self) {
        while self.position < self.tokens.len() {
            let (kind, words) = match self.clause_at(self.position) {
                Some(found) => found,
                None if self.list.is_empty() => (ClauseKind::Other, 0),
                None => {
                    self.position += 1; // not reached: a clause runs up to the next one
                    continue;
                }
            };
            self.clause(kind, words);
        }
    }

    /// The clause whose keywords stand at an index, and how many they are.
    fn clause_at(&self, at: usize) -> Option<(ClauseKind, usize)> {
        use ClauseKind as K;
        const KEYWORDS: &[(&[&str], ClauseKind)] = &[
            (&["where"], K::Where),
            (&["group", "by"], K::GroupBy),
            (&["having"], K::Having),
            (&["window"], K::Window),
            (&["order", "by"], K::OrderBy),
            (&["limit"], K::Limit),
            (&["fetch"], K::Fetch),
            (&["for", "update"], K::Lock),
            (&["for", "share"], K::Lock),
            (&["lock", "in", "share", "mode"], K::Lock),
            (&["on", "duplicate", "key", "update"], K::OnDuplicate),
            (&["returning"], K::Returning),
            (&["union"], K::SetOperator),
            (&["except"], K::SetOperator),
            (&["intersect"], K::SetOperator),
        ];
        if self.is_index_hint(at) {
            return None;
        }
        if let Some((words, kind)) = KEYWORDS.iter().find(|(words, _)| self.words_at(at, words)) {
            let quantified = *kind == K::SetOperator
                && (self.word_at(at + words.len(), "all") || self.word_at(at + words.len(), "distinct"));
            return Some((*kind, words.len() + usize::from(quantified)));
        }
        self.clause_in_context(at)
    }

    /// `FOR ORDER BY` in `USE INDEX FOR ORDER BY (…)`: no clause begins there.
    fn is_index_hint(&self, at: usize) -> bool {
        let is_for = |index: usize| {
            self.word_at(index, "for")
                && index > 0
                && (self.word_at(index - 1, "index") || self.word_at(index - 1, "key"))
        };
        is_for(at) || (at > 0 && is_for(at - 1))
    }

    fn clause_in_context(&self, at: usize) -> Option<(ClauseKind, usize)> {
        use ClauseKind as K;
        let writes = self.seen(K::Target);
        let first_of_query = matches!(self.current(), None | Some(K::SetOperator | K::With));
        if self.word_at(at, "select") && !self.seen(K::Select) {
            return Some((K::Select, 1 + self.modifiers(at + 1, SELECT_MODIFIERS)));
        }
        if self.word_at(at, "with") {
            return match self.current() {
                Some(K::GroupBy) if self.word_at(at + 1, "rollup") => Some((K::Rollup, 2)),
                None | Some(K::Target | K::Columns) => {
                    Some((K::With, 1 + usize::from(self.word_at(at + 1, "recursive"))))
                }
                _ => None,
            };
        }
        for verb in ["insert", "replace", "update", "delete"] {
            if first_of_query && self.word_at(at, verb) {
                let count = 1 + self.modifiers(at + 1, WRITE_MODIFIERS);
                if verb == "delete" {
                    let from = self.word_at(at + count, "from");
                    return Some((if from { K::From } else { K::Target }, count + usize::from(from)));
                }
                return Some((K::Target, count + usize::from(self.word_at(at + count, "into"))));
            }
        }
        if self.word_at(at, "from") && (self.seen(K::Select) || writes) && !self.seen(K::From) {
            return Some((K::From, 1));
        }
        if self.word_at(at, "into") && self.seen(K::Select) {
            return Some((K::Into, 1));
        }
        if self.word_at(at, "using") && self.current() == Some(K::From) && !self.seen(K::Select) {
            // USING (…) is of a join
            return (!self.symbol_at(at + 1, b'(')).then_some((K::Using, 1));
        }
        if self.word_at(at, "set") && writes && !self.seen(K::Set) {
            return Some((K::Set, 1));
        }
        let values = self.word_at(at, "values") || self.word_at(at, "value");
        if values && (first_of_query || matches!(self.current(), Some(K::Target | K::Columns))) {
            return Some((K::Values, 1));
        }
        if self.word_at(at, "as") && self.current() == Some(K::Values) && writes {
            return Some((K::RowAlias, 1));
        }
        if self.word_at(at, "table") && first_of_query {
            return Some((K::From, 1));
        }
        if self.word_at(at, "offset") && !matches!(self.current(), Some(K::Limit | K::Select)) {
            return Some((K::Fetch, 1));
        }
        None
    }

    /// How many of these words follow.
    fn modifiers(&self, from: usize, words: &[&str]) -> usize {
        (from..self.tokens.len()).take_while(|at| words.iter().any(|word| self.word_at(*at, word))).count()
    }

    /// Takes a clause whose keywords are the next `words` tokens, up to the next clause.
    fn clause(&mut self, kind: ClauseKind, words: usize) {
        let at = self.tokens.get(self.position).map_or(0, |token| token.start);
        let keyword = match words.checked_sub(1).and_then(|last| self.tokens.get(self.position + last)) {
            Some(last) => at..last.end,
            None => at..at,
        };
        self.list.push(Clause { kind, keyword: keyword.clone(), content: keyword.end..keyword.end, items: Vec::new() });
        self.position += words;
        let first = self.position;
        let mut items: Vec<Range<usize>> = std::iter::once(first..first).collect();
        while self.position < self.tokens.len() {
            if self.symbol_at(self.position, b'(') {
                if kind == ClauseKind::Target && self.columns_begin() {
                    break;
                }
                self.position = self.after_parentheses(self.position);
            } else if self.symbol_at(self.position, b',') {
                self.position += 1;
                items.push(self.position..self.position);
                continue;
            } else if self.position > first.saturating_sub(usize::from(words > 0))
                && self.clause_at(self.position).is_some()
            {
                break;
            } else {
                self.position += 1;
            }
            if let Some(item) = items.last_mut() {
                item.end = self.position;
            }
        }
        self.finish(first, items);
        if kind == ClauseKind::Target && self.columns_begin() {
            self.columns();
        }
    }

    /// Fills in content and items of the last clause.
    fn finish(&mut self, first: usize, items: Vec<Range<usize>>) {
        let bytes = |tokens: &Range<usize>| {
            let first = self.tokens.get(tokens.start)?;
            let last = self.tokens.get(tokens.end.checked_sub(1)?)?;
            (tokens.start < tokens.end).then_some(first.start..last.end)
        };
        let content = bytes(&(first..self.position));
        let items: Vec<_> = items.iter().filter_map(bytes).collect();
        if let (Some(clause), Some(content)) = (self.list.last_mut(), content) {
            clause.content = content;
            clause.items = items;
        }
    }

    /// Whether the `(` here is the column list of an `INSERT`, not a query.
    fn columns_begin(&self) -> bool {
        if !self.symbol_at(self.position, b'(') || self.word_at(self.position.saturating_sub(1), "partition") {
            return false;
        }
        let inside = (self.position..self.tokens.len()).find(|at| !self.symbol_at(*at, b'(')).unwrap_or(0);
        let update = self.list.first().is_some_and(|clause| {
            self.sql
                .get(clause.keyword.clone())
                .is_some_and(|text| text.first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'u')))
        });
        !update && !["select", "with", "values", "table"].iter().any(|word| self.word_at(inside, word))
    }

    fn columns(&mut self) {
        let end = self.after_parentheses(self.position);
        let start = self.tokens.get(self.position).map_or(0, |token| token.start);
        self.list.push(Clause {
            kind: ClauseKind::Columns,
            keyword: start..start,
            content: start + 1..start + 1,
            items: Vec::new(),
        });
        let inside = self.position + 1..end.saturating_sub(1);
        let mut items: Vec<Range<usize>> = std::iter::once(inside.start..inside.start).collect();
        for at in inside.clone() {
            if self.symbol_at(at, b',') {
                items.push(at + 1..at + 1);
            } else if let Some(item) = items.last_mut() {
                item.end = at + 1;
            }
        }
        self.position = inside.end;
        self.finish(inside.start, items);
        self.position = end;
    }

    fn after_parentheses(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            if self.symbol_at(at, b'(') {
                depth += 1;
            } else if self.symbol_at(at, b')') {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
        }
        self.tokens.len()
    }
}

const SELECT_MODIFIERS: &[&str] = &[
    "all",
    "distinct",
    "distinctrow",
    "high_priority",
    "straight_join",
    "sql_small_result",
    "sql_big_result",
    "sql_buffer_result",
    "sql_cache",
    "sql_no_cache",
    "sql_calc_found_rows",
];

const WRITE_MODIFIERS: &[&str] = &["low_priority", "delayed", "high_priority", "quick", "ignore"];

#[cfg(test)]
#[path = "clauses_tests.rs"]
mod tests;
