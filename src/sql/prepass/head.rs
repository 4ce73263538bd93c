//! The beginning of statements that write: modifiers, and what stands between the verb and the tables.

use super::super::parse::Notes;
use super::{Tokens, word};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Word};

pub(super) fn rewrite(tokens: &mut Tokens, notes: &mut Notes) {
    // WITH … UPDATE, WITH … DELETE
    let start = match tokens.keyword(0) {
        Keyword::WITH => {
            let verbs = [Keyword::UPDATE, Keyword::DELETE, Keyword::INSERT, Keyword::REPLACE, Keyword::SELECT];
            tokens.find_at_top(0, |tokens, index| verbs.contains(&tokens.keyword(index))).unwrap_or(0)
        }
        _ => 0,
    };
    match tokens.keyword(start) {
        Keyword::UPDATE => {
            modifiers(tokens, start + 1, notes);
            assignments(tokens);
        }
        Keyword::DELETE => {
            modifiers(tokens, start + 1, notes);
            delete_targets(tokens, start + 1);
        }
        Keyword::INSERT | Keyword::REPLACE => {
            notes.ignore |=
                tokens.keyword(start + 1) == Keyword::IGNORE || tokens.keyword(start + 2) == Keyword::IGNORE;
            partitions(tokens, start + 1, notes);
            assignments(tokens);
        }
        Keyword::DO => {
            tokens.replace(start, word("SELECT", Keyword::SELECT));
            notes.do_statement = true;
        }
        _ => {}
    }
}

/// Takes out `LOW_PRIORITY`, `QUICK`, `IGNORE`.
fn modifiers(tokens: &mut Tokens, at: usize, notes: &mut Notes) {
    loop {
        match tokens.keyword(at) {
            Keyword::LOW_PRIORITY => {}
            Keyword::IGNORE => notes.ignore = true,
            _ if tokens.is_word(at, "QUICK") && !tokens.is(at + 1, &Token::Period) => {}
            _ => return,
        }
        tokens.remove(at, 1);
    }
}

/// `DELETE t1.*, t2.* FROM …`, `DELETE FROM t1.* USING …`: the `.*` says nothing.
fn delete_targets(tokens: &mut Tokens, from: usize) {
    let ends = [Keyword::WHERE, Keyword::USING, Keyword::JOIN];
    let mut index = from;
    while index + 1 < tokens.len() && !ends.contains(&tokens.keyword(index)) {
        if tokens.is(index, &Token::Period) && tokens.is(index + 1, &Token::Mul) {
            tokens.remove(index, 2);
        } else {
            index += 1;
        }
    }
}

/// `INSERT INTO t PARTITION (p0) (a, b) …`: the partitions are taken out.
fn partitions(tokens: &mut Tokens, from: usize, notes: &mut Notes) {
    let ends = [Keyword::SELECT, Keyword::VALUES, Keyword::VALUE, Keyword::SET, Keyword::WITH, Keyword::TABLE];
    let found = tokens.find_at_top(from, |tokens, index| {
        tokens.keyword(index) == Keyword::PARTITION || ends.contains(&tokens.keyword(index))
    });
    if let Some(at) = found.filter(|at| tokens.keyword(*at) == Keyword::PARTITION) {
        notes.insert_partition = true;
        tokens.remove(at, tokens.after_parentheses(at + 1) - at);
    }
}

/// In a `SET` list `:=` means `=`, unless a user variable stands before it.
fn assignments(tokens: &mut Tokens) {
    let mut depth = 0_usize;
    for index in 1..tokens.len() {
        match tokens.token(index) {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Assignment if depth == 0 => {
                let variable = matches!(tokens.token(index - 1), Token::Word(Word { value, quote_style: None, .. })
                    if value.starts_with('@'));
                if !variable {
                    tokens.replace(index, Token::Eq);
                }
            }
            _ => {}
        }
    }
}
