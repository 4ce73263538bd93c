//! Clauses of queries: `INTO`, locks, `LIMIT`, `GROUP BY … DESC`, `TABLE t`.

use super::super::parse::{IntoKind, Notes};
use super::super::spans;
use super::{Tokens, made, word};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub(super) fn rewrite(tokens: &mut Tokens, notes: &mut Notes) {
    let verb = tokens.keyword(0);
    let writes = matches!(verb, Keyword::INSERT | Keyword::REPLACE);
    if tokens.has(Keyword::TABLE) && (writes || is_query(tokens)) {
        table_statements(tokens, writes, notes);
    }
    if tokens.has(Keyword::INTO) && is_query(tokens) {
        into(tokens, notes);
    }
    if tokens.has(Keyword::SHARE) || tokens.has(Keyword::UPDATE) {
        locks(tokens, notes);
    }
    if tokens.has(Keyword::ROWS) || tokens.has(Keyword::LIMIT) {
        rows_examined(tokens, notes);
    }
    if tokens.has(Keyword::GROUP) {
        group_by_order(tokens, notes);
    }
    if tokens.has(Keyword::SYSTEM_TIME) {
        system_time(tokens, notes);
    }
}

fn is_query(tokens: &Tokens) -> bool {
    let first = (0..tokens.len()).find(|index| !tokens.is(*index, &Token::LParen)).unwrap_or(0);
    matches!(tokens.keyword(first), Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE)
}

/// `TABLE t` is `SELECT * FROM t` (*TABLE Statement*).
fn table_statements(tokens: &mut Tokens, writes: bool, notes: &mut Notes) {
    let before = [Keyword::UNION, Keyword::ALL, Keyword::DISTINCT, Keyword::EXCEPT, Keyword::INTERSECT];
    let mut index = 0;
    while index < tokens.len() {
        let begins_query = index == 0
            || tokens.is(index - 1, &Token::LParen)
            || before.contains(&tokens.before(index))
            || (writes && tokens.before(index) != Keyword::INTO);
        if begins_query && tokens.keyword(index) == Keyword::TABLE && matches!(tokens.token(index + 1), Token::Word(_))
        {
            notes.table_statement = true;
            tokens.replace(index, word("FROM", Keyword::FROM));
            tokens.insert(index, Token::Mul);
            tokens.insert(index, word("SELECT", Keyword::SELECT));
        }
        index += 1;
    }
}

/// `INTO @a, @b`, `INTO OUTFILE …`, `INTO DUMPFILE …`, in front of `FROM` or at the end, is taken out.
fn into(tokens: &mut Tokens, notes: &mut Notes) {
    let Some(at) = tokens.find_at_top(0, |tokens, index| tokens.keyword(index) == Keyword::INTO) else { return };
    let mut end = at + 1;
    let kind = match tokens.token(end) {
        Token::Word(_) if tokens.is_word(end, "OUTFILE") || tokens.is_word(end, "DUMPFILE") => IntoKind::Outfile,
        Token::Word(_) => IntoKind::Variables(Vec::new()),
        _ => return,
    };
    let kind = match kind {
        IntoKind::Outfile => {
            end = after_file(tokens, end + 2);
            IntoKind::Outfile
        }
        IntoKind::Variables(mut names) => {
            while let Token::Word(name) = tokens.token(end) {
                names.push(name.value.clone());
                end += 1;
                if !tokens.is(end, &Token::Comma) {
                    break;
                }
                end += 1;
            }
            IntoKind::Variables(names)
        }
    };
    let start = tokens.0.get(at).and_then(|token| spans::range_of(token.span));
    let last = tokens.0.get(end - 1).and_then(|token| spans::range_of(token.span));
    if let (Some(start), Some(last)) = (start, last) {
        notes.into = Some(super::super::parse::Into { kind, range: start.start..last.end });
        tokens.remove(at, end - at);
    }
}

/// The end of `CHARACTER SET x FIELDS TERMINATED BY … LINES STARTING BY …`.
fn after_file(tokens: &Tokens, from: usize) -> usize {
    const WORDS: &[&str] =
        &["FIELDS", "COLUMNS", "TERMINATED", "OPTIONALLY", "ENCLOSED", "ESCAPED", "LINES", "STARTING", "BY"];
    let mut index = from;
    loop {
        if tokens.keywords(index, &[Keyword::CHARACTER, Keyword::SET]) {
            index += 3;
        } else if tokens.keyword(index) == Keyword::CHARSET {
            index += 2;
        } else if WORDS.iter().any(|text| tokens.is_word(index, text))
            || matches!(tokens.token(index), Token::SingleQuotedString(_) | Token::HexStringLiteral(_))
        {
            index += 1;
        } else {
            return index;
        }
    }
}

/// `LOCK IN SHARE MODE` is `FOR SHARE`; `OF a, b` becomes one clause for each; `WAIT n` (MariaDB) is taken out.
fn locks(tokens: &mut Tokens, notes: &mut Notes) {
    let mut index = 0;
    while index < tokens.len() {
        if tokens.keywords(index, &[Keyword::LOCK, Keyword::IN, Keyword::SHARE, Keyword::MODE]) {
            notes.lock = true;
            tokens.replace(index, word("FOR", Keyword::FOR));
            tokens.remove(index + 3, 1);
            tokens.remove(index + 1, 1);
            wait(tokens, index + 2, notes);
        } else if tokens.keyword(index) == Keyword::FOR
            && matches!(tokens.keyword(index + 1), Keyword::UPDATE | Keyword::SHARE)
        {
            notes.lock = true;
            if tokens.keyword(index + 2) == Keyword::OF {
                index = split_of(tokens, index);
            }
            wait(tokens, index + 2, notes);
        }
        index += 1;
    }
}

fn wait(tokens: &mut Tokens, at: usize, notes: &mut Notes) {
    if tokens.is_word(at, "WAIT") && matches!(tokens.token(at + 1), Token::Number(..)) {
        notes.lock_wait = true;
        tokens.remove(at, 2);
    }
}

/// `FOR UPDATE OF a, b NOWAIT` becomes `FOR UPDATE OF a NOWAIT FOR UPDATE OF b NOWAIT`. Gives the index of the last.
fn split_of(tokens: &mut Tokens, at: usize) -> usize {
    let strength = tokens.0[at + 1].token.clone();
    let mut names: Vec<Vec<TokenWithSpan>> = vec![Vec::new()];
    let mut index = at + 3;
    loop {
        match tokens.token(index) {
            Token::Comma => names.push(Vec::new()),
            Token::Period => names.last_mut().unwrap_or(&mut Vec::new()).push(tokens.0[index].clone()),
            Token::Word(_) if names.last().is_some_and(Vec::is_empty) || tokens.is(index - 1, &Token::Period) => {
                names.last_mut().unwrap_or(&mut Vec::new()).push(tokens.0[index].clone());
            }
            _ => break,
        }
        index += 1;
    }
    let mut end = index;
    if tokens.keyword(end) == Keyword::NOWAIT {
        end += 1;
    } else if tokens.keywords(end, &[Keyword::SKIP, Keyword::LOCKED]) {
        end += 2;
    }
    let policy: Vec<TokenWithSpan> = tokens.0[index..end].to_vec();
    let mut clauses = Vec::new();
    let mut last = at;
    for name in names {
        last = at + clauses.len();
        clauses.push(made(word("FOR", Keyword::FOR)));
        clauses.push(made(strength.clone()));
        clauses.push(made(word("OF", Keyword::OF)));
        clauses.extend(name);
        clauses.extend(policy.iter().cloned());
    }
    tokens.0.splice(at..end, clauses);
    last
}

/// MariaDB's `LIMIT … ROWS EXAMINED n` is taken out.
fn rows_examined(tokens: &mut Tokens, notes: &mut Notes) {
    let mut index = 0;
    while index < tokens.len() {
        if tokens.keyword(index) == Keyword::ROWS && tokens.is_word(index + 1, "EXAMINED") {
            notes.rows_examined = true;
            let alone = tokens.before(index) == Keyword::LIMIT;
            tokens.remove(index - usize::from(alone), 3 + usize::from(alone));
        } else {
            index += 1;
        }
    }
}

/// `GROUP BY a DESC` (until MySQL 5.7, and in MariaDB) asks for an order too.
fn group_by_order(tokens: &mut Tokens, notes: &mut Notes) {
    let mut index = 0;
    while index < tokens.len() {
        if tokens.keywords(index, &[Keyword::GROUP, Keyword::BY]) {
            index += 2;
            let ends = [
                Keyword::WITH,
                Keyword::HAVING,
                Keyword::ORDER,
                Keyword::LIMIT,
                Keyword::WINDOW,
                Keyword::UNION,
                Keyword::EXCEPT,
                Keyword::INTERSECT,
                Keyword::FOR,
                Keyword::INTO,
            ];
            while index < tokens.len() && !tokens.is(index, &Token::RParen) && !ends.contains(&tokens.keyword(index)) {
                if tokens.is(index, &Token::LParen) {
                    index = tokens.after_parentheses(index);
                } else if matches!(tokens.keyword(index), Keyword::ASC | Keyword::DESC) {
                    notes.group_by_order = true;
                    tokens.remove(index, 1);
                } else {
                    index += 1;
                }
            }
        } else {
            index += 1;
        }
    }
}

/// `t FOR SYSTEM_TIME …` (MariaDB) is taken out.
fn system_time(tokens: &mut Tokens, notes: &mut Notes) {
    let Some(at) = (0..tokens.len()).find(|at| tokens.keywords(*at, &[Keyword::FOR, Keyword::SYSTEM_TIME])) else {
        return;
    };
    notes.system_time = true;
    let ends = [
        Keyword::AS,
        Keyword::WHERE,
        Keyword::JOIN,
        Keyword::LEFT,
        Keyword::RIGHT,
        Keyword::INNER,
        Keyword::CROSS,
        Keyword::ON,
        Keyword::GROUP,
        Keyword::ORDER,
        Keyword::LIMIT,
        Keyword::HAVING,
    ];
    let is_end = |tokens: &Tokens, index: usize| {
        index > at + 4
            && (ends.contains(&tokens.keyword(index)) || matches!(tokens.token(index), Token::Comma | Token::RParen))
    };
    let end = match tokens.keyword(at + 2) {
        Keyword::ALL => at + 3,
        _ => tokens.find_at_top(at + 2, is_end).unwrap_or(tokens.len()),
    };
    tokens.remove(at, end - at);
    system_time(tokens, notes);
}
