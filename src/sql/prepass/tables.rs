//! Table references: `(t1, t2)`, `UPDATE t1, t2`, `{ OJ … }`; and notes of the hints and partitions in them.

use super::super::parse::Notes;
use super::{Tokens, word};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

pub(super) fn rewrite(tokens: &mut Tokens, notes: &mut Notes) {
    outer_join_escapes(tokens);
    let commas = (0..tokens.len()).any(|index| tokens.is(index, &Token::Comma));
    if commas {
        let mut insertions = Insertions::default();
        let update = tokens.find_at_top(0, |tokens, index| tokens.keyword(index) == Keyword::UPDATE);
        if let Some(at) = update.filter(|at| *at == 0 || tokens.keyword(0) == Keyword::WITH)
            && let Some(end) = tokens.find_at_top(at, |tokens, index| tokens.keyword(index) == Keyword::SET)
        {
            cross_joins(tokens, at + 1, end, &mut insertions);
        }
        parenthesized_lists(tokens, &mut insertions);
        insertions.apply(tokens);
    }
    for index in 0..tokens.len() {
        notes.index_hints |= matches!(tokens.keyword(index), Keyword::USE | Keyword::FORCE | Keyword::IGNORE)
            && matches!(tokens.keyword(index + 1), Keyword::INDEX | Keyword::KEY);
    }
}

/// `{ OJ a LEFT JOIN b ON … }` is `(a LEFT JOIN b ON …)`.
fn outer_join_escapes(tokens: &mut Tokens) {
    while let Some(open) =
        (0..tokens.len()).find(|index| tokens.is(*index, &Token::LBrace) && tokens.is_word(index + 1, "OJ"))
    {
        let mut depth = 0_usize;
        let close = (open..tokens.len()).find(|index| {
            match tokens.token(*index) {
                Token::LBrace => depth += 1,
                Token::RBrace => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let Some(close) = close else { return };
        tokens.replace(close, Token::RParen);
        tokens.replace(open, Token::LParen);
        tokens.remove(open + 1, 1);
    }
}

/// Tokens to put in front of others; collected, and then made in one go.
#[derive(Default)]
struct Insertions(Vec<(usize, Token)>);

impl Insertions {
    fn apply(mut self, tokens: &mut Tokens) {
        self.0.sort_by_key(|(index, _)| *index);
        let old = std::mem::take(&mut tokens.0);
        tokens.0.reserve(old.len() + self.0.len());
        let mut insertions = self.0.into_iter().peekable();
        for (index, token) in old.into_iter().enumerate() {
            while let Some((_, insertion)) = insertions.next_if(|(at, _)| *at <= index) {
                tokens.0.push(super::made(insertion));
            }
            tokens.0.push(token);
        }
        tokens.0.extend(insertions.map(|(_, insertion)| super::made(insertion)));
    }
}

/// `a JOIN b ON …, c` becomes `(a JOIN b ON …) CROSS JOIN (c)`: a comma binds looser than `JOIN`, so each side is put
/// in parentheses. Without a comma nothing is changed.
fn cross_joins(tokens: &mut Tokens, from: usize, to: usize, insertions: &mut Insertions) {
    let mut commas = Vec::new();
    let mut index = from;
    while index < to {
        if tokens.is(index, &Token::LParen) {
            index = tokens.after_parentheses(index);
            continue;
        }
        if tokens.is(index, &Token::Comma) {
            commas.push(index);
        }
        index += 1;
    }
    if commas.is_empty() {
        return;
    }
    insertions.0.push((from, Token::LParen));
    for comma in commas {
        tokens.replace(comma, word("CROSS", Keyword::CROSS));
        insertions.0.push((comma, Token::RParen));
        insertions.0.push((comma + 1, word("JOIN", Keyword::JOIN)));
        insertions.0.push((comma + 1, Token::LParen));
    }
    insertions.0.push((to, Token::RParen));
}

/// Where in a query we are, at one depth of parentheses.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Where a table may begin.
    Tables,
    /// In a condition of a join.
    Condition,
    Elsewhere,
}

/// `(t1, t2)` where tables stand becomes `(t1 CROSS JOIN t2)`.
fn parenthesized_lists(tokens: &mut Tokens, insertions: &mut Insertions) {
    let mut places = vec![Place::Elsewhere];
    let mut index = 0;
    while index < tokens.len() {
        let depth = places.len();
        let place = places.last_mut();
        match tokens.token(index) {
            Token::LParen => {
                let opens_tables = place.is_some_and(|place| *place == Place::Tables)
                    && begins_table(tokens, index)
                    && !begins_query(tokens, index + 1);
                if opens_tables {
                    let end = tokens.after_parentheses(index).saturating_sub(1);
                    cross_joins(tokens, index + 1, end, insertions);
                }
                places.push(if opens_tables { Place::Tables } else { Place::Elsewhere });
            }
            Token::RParen if depth > 1 => {
                places.pop();
            }
            Token::Comma => {
                if let Some(place) = place.filter(|place| **place == Place::Condition) {
                    *place = Place::Tables;
                }
            }
            Token::Word(found) => {
                if let (Some(next), Some(place)) = (place_after(found.keyword), place) {
                    let stays = found.keyword == Keyword::ON && *place == Place::Elsewhere;
                    if !stays {
                        *place = next;
                    }
                }
            }
            _ => {}
        }
        index += 1;
    }
}

fn place_after(keyword: Keyword) -> Option<Place> {
    Some(match keyword {
        // CROSS, where a comma was
        Keyword::FROM | Keyword::JOIN | Keyword::STRAIGHT_JOIN | Keyword::UPDATE | Keyword::CROSS => Place::Tables,
        Keyword::ON => Place::Condition,
        Keyword::SELECT
        | Keyword::WHERE
        | Keyword::GROUP
        | Keyword::HAVING
        | Keyword::ORDER
        | Keyword::LIMIT
        | Keyword::UNION
        | Keyword::EXCEPT
        | Keyword::INTERSECT
        | Keyword::SET
        | Keyword::WINDOW
        | Keyword::INTO
        | Keyword::FOR => Place::Elsewhere,
        _ => return None,
    })
}

/// Whether what is before an index lets a table begin there.
fn begins_table(tokens: &Tokens, index: usize) -> bool {
    let for_join = index >= 2 && tokens.keyword(index - 2) == Keyword::FOR;
    match tokens.before(index) {
        Keyword::FROM | Keyword::STRAIGHT_JOIN | Keyword::UPDATE | Keyword::CROSS => true,
        Keyword::JOIN => !for_join, // USE INDEX FOR JOIN (…)
        _ => index > 0 && matches!(tokens.token(index - 1), Token::Comma | Token::LParen),
    }
}

fn begins_query(tokens: &Tokens, from: usize) -> bool {
    let first = (from..tokens.len()).find(|index| !tokens.is(*index, &Token::LParen)).unwrap_or(from);
    matches!(tokens.keyword(first), Keyword::SELECT | Keyword::WITH | Keyword::VALUES)
}
