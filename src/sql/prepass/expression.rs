//! Inside expressions: what the tree has no place for, and what no one needs from it, since the text is what is sent.

use super::super::parse::Notes;
use super::Tokens;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::Token;

pub(super) fn rewrite(tokens: &mut Tokens, notes: &mut Notes) {
    let mut index = 0;
    while index < tokens.len() {
        match tokens.keyword(index) {
            Keyword::CAST | Keyword::CONVERT if tokens.is(index + 1, &Token::LParen) => cast_type(tokens, index + 1),
            Keyword::TRIM if tokens.is(index + 1, &Token::LParen) => trim(tokens, index + 2),
            Keyword::FROM if is_frame_order(tokens, index) => tokens.remove(index, 2),
            Keyword::SQL_CALC_FOUND_ROWS => notes.calc_found_rows = true,
            Keyword::ROLLUP => notes.rollup = true,
            Keyword::ANY | Keyword::SOME | Keyword::ALL if is_values(tokens, index + 1) => values(tokens, index + 1),
            Keyword::DIV if index > 0 => tokens.replace(index, Token::CustomBinaryOperator(super::DIV.to_owned())),
            Keyword::MOD if ends_operand(tokens, index) => tokens.replace(index, Token::Mod),
            Keyword::MEMBER if tokens.is(index + 1, &Token::LParen) && ends_operand(tokens, index) => {
                tokens.insert(index + 1, super::word("OF", Keyword::OF));
            }
            Keyword::LIKE if index > 1 && tokens.is_word(index - 1, "SOUNDS") => {
                tokens.remove(index, 1);
                index -= 1;
                tokens.replace(index, Token::CustomBinaryOperator(super::SOUNDS_LIKE.to_owned()));
            }
            _ if tokens.is(index, &Token::LBrace) => odbc_escape(tokens, index),
            _ if tokens.is(index + 1, &Token::LParen) && function_tail(tokens, index) => {}
            _ if is_sequence_value(tokens, index) => sequence_value(tokens, index),
            _ => {}
        }
        if tokens.is_word(index, "SQL_CACHE") && tokens.before(index) == Keyword::SELECT {
            tokens.remove(index, 1);
        }
        index += 1;
    }
}

fn is_values(tokens: &Tokens, open: usize) -> bool {
    tokens.is(open, &Token::LParen) && tokens.keyword(open + 1) == Keyword::VALUES
}

/// `= ANY (VALUES …)` is `= ANY (SELECT * FROM (VALUES …))`.
fn values(tokens: &mut Tokens, open: usize) {
    let close = tokens.after_parentheses(open).saturating_sub(1);
    tokens.insert(close, Token::RParen);
    for token in [Token::LParen, super::word("FROM", Keyword::FROM), Token::Mul, super::word("SELECT", Keyword::SELECT)]
    {
        tokens.insert(open + 1, token);
    }
}

/// `GROUP_CONCAT(a LIMIT 1, 2)` (MariaDB): the tree has room for one number.
fn limit_of_list(tokens: &mut Tokens, open: usize) {
    let close = tokens.after_parentheses(open).saturating_sub(1);
    let limit = tokens.find_at_top(open + 1, |tokens, at| at >= close || tokens.keyword(at) == Keyword::LIMIT);
    let Some(at) = limit.filter(|at| *at + 2 < close) else { return };
    if tokens.is(at + 2, &Token::Comma) || tokens.keyword(at + 2) == Keyword::OFFSET {
        tokens.remove(at + 2, 2);
    }
}

/// ODBC's escapes: `{d '2024-01-01'}`, `{t '…'}`, `{ts '…'}` are typed literals, `{fn f(x)}` is the call.
fn odbc_escape(tokens: &mut Tokens, open: usize) {
    let mut depth = 0_usize;
    let close = (open..tokens.len()).find(|at| {
        depth += usize::from(tokens.is(*at, &Token::LBrace));
        depth -= usize::from(tokens.is(*at, &Token::RBrace));
        depth == 0
    });
    let Some(close) = close else { return };
    let kinds = [("d", "DATE", Keyword::DATE), ("t", "TIME", Keyword::TIME), ("ts", "TIMESTAMP", Keyword::TIMESTAMP)];
    if let Some((_, word, keyword)) = kinds.iter().find(|(kind, ..)| tokens.is_word(open + 1, kind)) {
        tokens.remove(close, 1);
        tokens.remove(open + 1, 1);
        tokens.replace(open, super::word(word, *keyword));
    } else if tokens.is_word(open + 1, "fn") {
        tokens.remove(close, 1);
        tokens.remove(open, 2);
    }
}

/// Whether an operand ends before an index, so that an operator may stand there and no name.
fn ends_operand(tokens: &Tokens, index: usize) -> bool {
    match index.checked_sub(1).map(|before| tokens.token(before)) {
        Some(Token::Word(_)) => {
            !super::super::dialect::is_reserved(tokens.before(index)) || tokens.before(index) == Keyword::NULL
        }
        Some(Token::RParen | Token::Placeholder(_) | Token::Number(..) | Token::SingleQuotedString(_)) => true,
        Some(
            Token::HexStringLiteral(_) | Token::SingleQuotedByteStringLiteral(_) | Token::NationalStringLiteral(_),
        ) => true,
        _ => false,
    }
}

/// `CAST(x AS CHAR(5) CHARACTER SET utf8)`, `CAST(x AS SIGNED INTEGER)`: the second half of the type is taken out.
fn cast_type(tokens: &mut Tokens, open: usize) {
    let close = tokens.after_parentheses(open).saturating_sub(1);
    let separator = tokens
        .find_at_top(open + 1, |tokens, index| {
            index >= close || tokens.keyword(index) == Keyword::AS || tokens.is(index, &Token::Comma)
        })
        .filter(|at| *at < close);
    let Some(at) = separator else { return };
    match tokens.keyword(at + 1) {
        Keyword::SIGNED | Keyword::UNSIGNED => {
            if matches!(tokens.keyword(at + 2), Keyword::INT | Keyword::INTEGER) {
                tokens.remove(at + 2, 1);
            }
        }
        Keyword::CHAR | Keyword::CHARACTER | Keyword::NCHAR | Keyword::VARCHAR => {
            let mut end = at + 2;
            if tokens.is(end, &Token::LParen) {
                end = tokens.after_parentheses(end);
            }
            tokens.remove(end, close.saturating_sub(end));
            if tokens.keyword(at + 1) == Keyword::NCHAR {
                tokens.replace(at + 1, super::word("CHAR", Keyword::CHAR));
            }
        }
        _ => {}
    }
}

/// `TRIM(LEADING FROM a)` is `TRIM(LEADING ' ' FROM a)`.
fn trim(tokens: &mut Tokens, at: usize) {
    let side = matches!(tokens.keyword(at), Keyword::LEADING | Keyword::TRAILING | Keyword::BOTH);
    if side && tokens.keyword(at + 1) == Keyword::FROM {
        tokens.insert(at + 1, Token::SingleQuotedString(" ".to_owned()));
    }
}

/// `NTH_VALUE(a, 2) FROM FIRST OVER …`
fn is_frame_order(tokens: &Tokens, index: usize) -> bool {
    tokens.keyword(index + 1) == Keyword::FIRST
        && matches!(tokens.keyword(index + 2), Keyword::OVER | Keyword::RESPECT)
        && index > 0
        && tokens.is(index - 1, &Token::RParen)
}

/// `WEIGHT_STRING(a AS CHAR(4))`, `CHAR(77 USING utf8mb4)`, `JSON_VALUE(a, '$' RETURNING CHAR)`: what follows the
/// arguments is taken out.
fn function_tail(tokens: &mut Tokens, index: usize) -> bool {
    let tail: &[Keyword] = match tokens.token(index) {
        Token::Word(name) if name.quote_style.is_none() => match name.value.to_ascii_uppercase().as_str() {
            "WEIGHT_STRING" | "COLUMN_GET" => &[Keyword::AS],
            "CHAR" => &[Keyword::USING],
            "GROUP_CONCAT" => {
                limit_of_list(tokens, index + 1);
                return true;
            }
            "JSON_VALUE" => &[Keyword::RETURNING, Keyword::NULL, Keyword::ERROR, Keyword::DEFAULT],
            _ => return false,
        },
        _ => return false,
    };
    let close = tokens.after_parentheses(index + 1).saturating_sub(1);
    let found = tokens
        .find_at_top(index + 2, |tokens, at| at >= close || tail.contains(&tokens.keyword(at)))
        .filter(|at| *at < close && !tokens.is(*at - 1, &Token::Comma) && *at > index + 2);
    if let Some(at) = found {
        tokens.remove(at, close - at);
    }
    true
}

fn is_sequence_value(tokens: &Tokens, index: usize) -> bool {
    (tokens.is_word(index, "NEXT") || tokens.is_word(index, "PREVIOUS"))
        && tokens.is_word(index + 1, "VALUE")
        && tokens.keyword(index + 2) == Keyword::FOR
}

/// MariaDB's `NEXT VALUE FOR s` is `NEXTVAL(s)`, `PREVIOUS VALUE FOR s` is `LASTVAL(s)`.
fn sequence_value(tokens: &mut Tokens, index: usize) {
    let name = if tokens.is_word(index, "NEXT") { "NEXTVAL" } else { "LASTVAL" };
    tokens.replace(index, super::word(name, Keyword::NoKeyword));
    tokens.replace(index + 1, Token::LParen);
    tokens.remove(index + 2, 1);
    let qualified = tokens.is(index + 3, &Token::Period);
    tokens.insert(tokens.len().min(index + if qualified { 5 } else { 3 }), Token::RParen);
}
