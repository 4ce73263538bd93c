//! Our tokens as `sqlparser`'s: same rules as everywhere else, and spans that are byte offsets.
//!
//! `sqlparser` would tokenize by rules of its own, and count lines and characters. Here its tokens are made from those
//! of [`super::lexer`], all on line 1 with the byte offset (plus one) as the column, so that a span of the tree is a
//! byte range of the text; see [`super::spans`].

use super::foreign_words::is_foreign;
use super::lexer::{self, LexMode, Lexer, TokenKind};
use super::literal::{Literal, LiteralKind};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Word};

/// The operators of more than one byte, longest first.
const OPERATORS: &[(&[u8], Token)] = &[
    (b"<=>", Token::Spaceship),
    (b"->>", Token::LongArrow),
    (b"<=", Token::LtEq),
    (b">=", Token::GtEq),
    (b"<>", Token::Neq),
    (b"!=", Token::Neq),
    (b"<<", Token::ShiftLeft),
    (b">>", Token::ShiftRight),
    (b"&&", Token::Overlap),
    (b"||", Token::StringConcat),
    (b":=", Token::Assignment),
    (b"->", Token::Arrow),
];

/// The span of a byte range.
pub fn span(start: usize, end: usize) -> Span {
    Span::new(Location { line: 1, column: start as u64 + 1 }, Location { line: 1, column: end as u64 + 1 })
}

/// The tokens of `sql[..end]` from `start` on, without comments. An end-of-input token is not among them.
pub fn tokens(sql: &[u8], start: usize, end: usize, mode: LexMode) -> Vec<TokenWithSpan> {
    let sql = &sql[..end];
    let mut tokens = Vec::with_capacity((end - start) / 4);
    let mut lexer = Lexer::starting_at(sql, mode, start).peekable();
    while let Some(token) = lexer.next() {
        let (made, end) = match token.kind {
            TokenKind::Symbol => match operator(sql, token.start, mode) {
                Some((made, length)) => {
                    for _ in 1..length {
                        lexer.next();
                    }
                    (made, token.start + length)
                }
                None => (symbol(sql[token.start]), token.end),
            },
            kind => match convert(kind, sql, token, mode) {
                Some(made) => (made, token.end),
                None => continue,
            },
        };
        tokens.push(TokenWithSpan { token: made, span: span(token.start, end) });
    }
    join_strings(&mut tokens);
    null_escapes(&mut tokens);
    tokens
}

fn operator(sql: &[u8], start: usize, mode: LexMode) -> Option<(Token, usize)> {
    let rest = &sql[start..];
    let (text, token) = OPERATORS.iter().find(|(text, _)| rest.starts_with(text))?;
    let token = match token {
        Token::StringConcat if !mode.pipes_as_concat => keyword("OR", Keyword::OR),
        // `&&` under a node of its own would be taken for an operator of PostgreSQL
        Token::Overlap => keyword("AND", Keyword::AND),
        other => other.clone(),
    };
    Some((token, text.len()))
}

/// A keyword as a token.
pub fn keyword(text: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: text.to_owned(), quote_style: None, keyword })
}

fn symbol(byte: u8) -> Token {
    match byte {
        b',' => Token::Comma,
        b'=' => Token::Eq,
        b'<' => Token::Lt,
        b'>' => Token::Gt,
        b'+' => Token::Plus,
        b'-' => Token::Minus,
        b'*' => Token::Mul,
        b'/' => Token::Div,
        b'%' => Token::Mod,
        b'(' => Token::LParen,
        b')' => Token::RParen,
        b'.' => Token::Period,
        b':' => Token::Colon,
        b'\\' => Token::Backslash,
        b'[' => Token::LBracket,
        b']' => Token::RBracket,
        b'&' => Token::Ampersand,
        b'|' => Token::Pipe,
        b'^' => Token::Caret,
        b'{' => Token::LBrace,
        b'}' => Token::RBrace,
        b'~' => Token::Tilde,
        b'!' => Token::ExclamationMark,
        other => Token::Char(char::from(other)),
    }
}

fn convert(kind: TokenKind, sql: &[u8], token: lexer::Token, mode: LexMode) -> Option<Token> {
    let bytes = token.bytes(sql);
    let text = || String::from_utf8_lossy(bytes).into_owned();
    let value = |kind| {
        let literal = Literal { start: token.start as u32, end: token.end as u32, kind };
        String::from_utf8_lossy(&literal.value(sql, mode)).into_owned()
    };
    let digits = || {
        let digits = bytes.get(2..).unwrap_or_default();
        String::from_utf8_lossy(digits.strip_suffix(b"'").unwrap_or(digits)).into_owned()
    };
    Some(match kind {
        TokenKind::Word => named(&String::from_utf8_lossy(bytes)),
        TokenKind::QuotedName => {
            let quote = bytes.first().map_or('`', |quote| char::from(*quote));
            Token::make_word(&lexer::unquote_name(bytes), Some(quote))
        }
        TokenKind::UserVariable | TokenKind::SystemVariable => {
            Token::Word(Word { value: text(), quote_style: None, keyword: Keyword::NoKeyword })
        }
        TokenKind::Integer | TokenKind::Decimal | TokenKind::Float => Token::Number(text(), false),
        TokenKind::String => Token::SingleQuotedString(value(LiteralKind::String)),
        TokenKind::NationalString => Token::NationalStringLiteral(value(LiteralKind::NationalString)),
        TokenKind::Hex => Token::HexStringLiteral(digits()),
        TokenKind::Bit => Token::SingleQuotedByteStringLiteral(digits()),
        TokenKind::Placeholder => Token::Placeholder("?".to_owned()),
        TokenKind::Semicolon => Token::SemiColon,
        TokenKind::Comment
        | TokenKind::ProxyHint
        | TokenKind::OptimizerHint
        | TokenKind::CodeOpen
        | TokenKind::CodeClose
        | TokenKind::UnsureComment => return None,
        TokenKind::Symbol => symbol(sql[token.start]),
    })
}

/// A word; keywords that only other databases know are plain names.
fn named(text: &str) -> Token {
    match Token::make_word(text, None) {
        Token::Word(word) if is_foreign(word.keyword) => Token::Word(Word { keyword: Keyword::NoKeyword, ..word }),
        token => token,
    }
}

/// `\N` is `NULL`.
fn null_escapes(tokens: &mut Vec<TokenWithSpan>) {
    tokens.dedup_by(|next, first| {
        let is_null = first.token == Token::Backslash
            && first.span.end == next.span.start
            && matches!(&next.token, Token::Word(word) if word.value == "N" && word.quote_style.is_none());
        if is_null {
            first.token = keyword("NULL", Keyword::NULL);
            first.span = first.span.union(&next.span);
        }
        is_null
    });
}

/// Strings side by side are one string, whose span is that of all of them (so it is no literal of the digest).
fn join_strings(tokens: &mut Vec<TokenWithSpan>) {
    tokens.dedup_by(|next, first| match (&mut first.token, &next.token) {
        (Token::SingleQuotedString(text) | Token::NationalStringLiteral(text), Token::SingleQuotedString(more)) => {
            text.push_str(more);
            first.span = first.span.union(&next.span);
            true
        }
        _ => false,
    });
}
