//! Bytes to tokens, by the lexical rules of MySQL and MariaDB.
//!
//! The rules are those of the manual's chapter *Language Structure* (literals, names, comments) and, where the manual
//! is silent, what the server's own lexer does: which digits begin a name, where a `.` belongs to a number, which
//! `--` is a comment. The lexer reads bytes, not characters: every charset that a client may use here is a superset of
//! ASCII whose further bytes are all ≥ 0x80 (so gbk, sjis, big5 and their kin must be refused as
//! `character_set_client`; in those a quote may be the second byte of a character).

/// What of `sql_mode` changes how a text is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LexMode {
    /// `ANSI_QUOTES`: `"x"` is a name, not a string.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: `\` in a string is an ordinary character.
    pub no_backslash_escapes: bool,
    /// `PIPES_AS_CONCAT`: `||` joins strings; without it, it is `OR`. The lexer does not care, the parser does.
    pub pipes_as_concat: bool,
    /// `NO_AUTO_VALUE_ON_ZERO`: 0 is a key like any other. It changes what is inserted, not how it is read.
    pub no_auto_value_on_zero: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An unquoted name or keyword.
    Word,
    /// A name in backticks, or in double quotes under `ANSI_QUOTES`.
    QuotedName,
    /// `@name`, `@'name'`, `` @`name` ``; also the `@host` of an account name.
    UserVariable,
    /// `@@name`; a scope is a token of its own: `@@global` `.` `name`.
    SystemVariable,
    /// Digits only.
    Integer,
    /// Digits with a point.
    Decimal,
    /// A number with an exponent.
    Float,
    /// `'…'`, or `"…"` without `ANSI_QUOTES`.
    String,
    /// `N'…'`.
    NationalString,
    /// `x'…'` or `0x…`.
    Hex,
    /// `b'…'` or `0b…`.
    Bit,
    /// `?`.
    Placeholder,
    /// A comment that no one acts on.
    Comment,
    /// A comment to this proxy: `/* shardloom: … */`.
    ProxyHint,
    /// `/*+ … */`.
    OptimizerHint,
    /// `/*!` or `/*!50110`, where every supported server executes what follows.
    CodeOpen,
    /// The `*/` that belongs to a [`TokenKind::CodeOpen`].
    CodeClose,
    /// `/*!80000 … */`, `/*M! … */`: code to some of the supported servers, a comment to others.
    UnsureComment,
    /// `;`.
    Semicolon,
    /// Any other single byte. Operators of several bytes are several tokens.
    Symbol,
}

/// A token: its kind, and where its bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
}

impl Token {
    /// Its bytes.
    pub fn bytes<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether it is this keyword; `keyword` is in any case.
    pub fn is_word(&self, sql: &[u8], keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.bytes(sql).eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// Whether it is this single byte.
    pub fn is_symbol(&self, sql: &[u8], symbol: u8) -> bool {
        self.kind == TokenKind::Symbol && self.bytes(sql) == [symbol]
    }
}

/// `/*!nnnnn` up to this version is code to every supported server (MySQL 5.7 and later, MariaDB 10.6 and later).
/// MariaDB takes 50701 to 99999 for a comment, since those numbers mean features of MySQL that it lacks.
const CODE_FOR_ALL_UP_TO: u32 = 50_700;
/// The version that no server has: dumps of MariaDB begin with `/*M!999999\- enable the sandbox mode */`, which only its
/// command line client reads.
const CODE_FOR_NONE: u32 = 999_999;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    /// Letters, `_`, `$`, and all bytes of non-ASCII characters.
    Name,
    /// The letters that may begin a string: `n`, `x`, `b`.
    Prefix,
    Digit,
    Other,
}

const CLASS: [Class; 256] = {
    let mut table = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b' ' | 0x09..=0x0d => Class::Space,
            b'n' | b'N' | b'x' | b'X' | b'b' | b'B' => Class::Prefix,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80..=0xff => Class::Name,
            b'0'..=b'9' => Class::Digit,
            _ => Class::Other,
        };
        byte += 1;
    }
    table
};

/// Whether a byte may stand in an unquoted name.
pub fn is_name_byte(byte: u8) -> bool {
    matches!(CLASS[byte as usize], Class::Name | Class::Prefix | Class::Digit)
}

fn is_space(byte: u8) -> bool {
    CLASS[byte as usize] == Class::Space
}

/// What the token before demands of this one: after `a.` digits begin a name (`db.1table`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Anything,
    Dot,
    Name,
}

/// Yields the tokens of a text. It never fails: a string or comment without an end runs to the end of the text, and
/// [`Lexer::unterminated`] tells.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    sql: &'a [u8],
    position: usize,
    mode: LexMode,
    expect: Expect,
    in_code: bool,
    unterminated: bool,
}

impl<'a> Lexer<'a> {
    /// Begins at the first byte.
    pub fn new(sql: &'a [u8], mode: LexMode) -> Self {
        Self { sql, position: 0, mode, expect: Expect::Anything, in_code: false, unterminated: false }
    }

    /// Begins at an offset which must be between two tokens, outside of executable comments.
    pub fn starting_at(sql: &'a [u8], mode: LexMode, offset: usize) -> Self {
        Self { position: offset, ..Self::new(sql, mode) }
    }

    /// Whether a string, quoted name or comment had no end. Known once all tokens are read.
    pub fn unterminated(&self) -> bool {
        self.unterminated || self.in_code
    }

    fn at(&self, offset: usize) -> Option<u8> {
        self.sql.get(offset).copied()
    }

    fn name_byte_at(&self, offset: usize) -> bool {
        self.at(offset).is_some_and(is_name_byte)
    }

    fn digit_at(&self, offset: usize) -> bool {
        self.at(offset).is_some_and(|byte| byte.is_ascii_digit())
    }

    fn token(&mut self, kind: TokenKind, start: usize, end: usize) -> Token {
        self.position = end;
        Token { kind, start, end }
    }

    /// A word; a `.` right behind it that a name byte follows makes that a name too, whatever it begins with.
    fn word(&mut self, start: usize) -> Token {
        let mut end = start;
        while self.name_byte_at(end) {
            end += 1;
        }
        if self.at(end) == Some(b'.') && self.name_byte_at(end + 1) {
            self.expect = Expect::Dot;
        }
        self.token(TokenKind::Word, start, end)
    }

    /// A text in quotes whose opening quote is at `open`. A doubled quote is a quote.
    fn quoted(&mut self, kind: TokenKind, start: usize, open: usize, backslash: bool) -> Token {
        let quote = self.sql[open];
        let mut at = open + 1;
        loop {
            let rest = self.sql.get(at..).unwrap_or_default();
            let found = if backslash { memchr::memchr2(quote, b'\\', rest) } else { memchr::memchr(quote, rest) };
            let Some(found) = found else {
                self.unterminated = true;
                return self.token(kind, start, self.sql.len());
            };
            at += found;
            if self.sql[at] != quote {
                at += 2; // a backslash and what it escapes
            } else if self.at(at + 1) == Some(quote) {
                at += 2;
            } else {
                return self.token(kind, start, at + 1);
            }
        }
    }

    fn string(&mut self, kind: TokenKind, start: usize, open: usize) -> Token {
        self.quoted(kind, start, open, !self.mode.no_backslash_escapes)
    }

    /// `n'…'`, `x'…'`, `b'…'`, or a word that begins with that letter.
    fn prefixed(&mut self, start: usize) -> Token {
        if self.at(start + 1) != Some(b'\'') {
            return self.word(start);
        }
        match self.sql[start] | 0x20 {
            b'n' => self.string(TokenKind::NationalString, start, start + 1),
            b'x' => self.quoted(TokenKind::Hex, start, start + 1, false),
            _ => self.quoted(TokenKind::Bit, start, start + 1, false),
        }
    }

    fn skip_digits(&self, mut at: usize) -> usize {
        while self.digit_at(at) {
            at += 1;
        }
        at
    }

    /// `0x…` or `0b…` (in lower case only), unless more name bytes follow.
    fn zero_prefixed(&mut self, start: usize) -> Option<Token> {
        let (kind, is_digit): (_, fn(u8) -> bool) = match self.at(start + 1)? {
            b'x' => (TokenKind::Hex, |byte| byte.is_ascii_hexdigit()),
            b'b' => (TokenKind::Bit, |byte| byte == b'0' || byte == b'1'),
            _ => return None,
        };
        let mut end = start + 2;
        while self.at(end).is_some_and(is_digit) {
            end += 1;
        }
        (end > start + 2 && !self.name_byte_at(end)).then(|| self.token(kind, start, end))
    }

    /// A number, or a name that begins with digits.
    fn number(&mut self, start: usize) -> Token {
        if self.sql[start] == b'0'
            && let Some(token) = self.zero_prefixed(start)
        {
            return token;
        }
        let end = self.skip_digits(start);
        match self.at(end) {
            Some(b'.') => self.fraction(start, end + 1),
            Some(b'e' | b'E') => match self.exponent(end) {
                Some(end) => self.token(TokenKind::Float, start, end),
                None => self.word(start),
            },
            Some(byte) if is_name_byte(byte) => self.word(start),
            _ => self.token(TokenKind::Integer, start, end),
        }
    }

    /// What follows the point of a number.
    fn fraction(&mut self, start: usize, after_point: usize) -> Token {
        let end = self.skip_digits(after_point);
        if matches!(self.at(end), Some(b'e' | b'E'))
            && let Some(end) = self.exponent(end)
        {
            return self.token(TokenKind::Float, start, end);
        }
        self.token(TokenKind::Decimal, start, end)
    }

    /// The end of an exponent whose `e` is at `at`.
    fn exponent(&self, at: usize) -> Option<usize> {
        let digits = at + 1 + usize::from(matches!(self.at(at + 1), Some(b'+' | b'-')));
        self.digit_at(digits).then(|| self.skip_digits(digits))
    }

    fn line_comment(&mut self, start: usize) -> Token {
        let end = memchr::memchr(b'\n', &self.sql[start..]).map_or(self.sql.len(), |found| start + found + 1);
        self.token(TokenKind::Comment, start, end)
    }

    /// The end of a comment whose content begins at `from`; with `nested`, comments inside are skipped as a whole.
    fn comment_end(&mut self, from: usize, nested: bool) -> usize {
        let mut at = from;
        loop {
            let rest = self.sql.get(at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'*', b'/', rest) else {
                self.unterminated = true;
                return self.sql.len();
            };
            at += found;
            match (self.sql[at], self.at(at + 1)) {
                (b'*', Some(b'/')) => return at + 2,
                (b'/', Some(b'*')) if nested => at = self.comment_end(at + 2, false),
                _ => at += 1,
            }
        }
    }

    fn block_comment(&mut self, start: usize) -> Token {
        match (self.at(start + 2), self.at(start + 3)) {
            (Some(b'!'), _) => self.code_comment(start),
            (Some(b'M'), Some(b'!')) => {
                let (version, _) = self.code_version(start + 4);
                self.unsure_comment(start, start + 4, version)
            }
            (Some(b'+'), _) => {
                let end = self.comment_end(start + 3, false);
                self.token(TokenKind::OptimizerHint, start, end)
            }
            _ => {
                let end = self.comment_end(start + 2, false);
                let kind =
                    if is_proxy_hint(&self.sql[start + 2..end]) { TokenKind::ProxyHint } else { TokenKind::Comment };
                self.token(kind, start, end)
            }
        }
    }

    /// `/*!`, or `/*!` with a version of five or six digits.
    fn code_comment(&mut self, start: usize) -> Token {
        let (version, length) = self.code_version(start + 3);
        if self.in_code || version > CODE_FOR_ALL_UP_TO {
            return self.unsure_comment(start, start + 3, version);
        }
        self.in_code = true;
        self.token(TokenKind::CodeOpen, start, start + 3 + length)
    }

    /// The version that stands here, 0 if none does, and how many bytes it takes.
    fn code_version(&self, start: usize) -> (u32, usize) {
        let digits = (self.skip_digits(start) - start).min(6);
        let length = if digits < 5 { 0 } else { digits };
        let value = |version: u32, digit: &u8| version * 10 + u32::from(digit - b'0');
        (self.sql[start..start + length].iter().fold(0, value), length)
    }

    /// Code that some servers execute; plain comment where none does.
    fn unsure_comment(&mut self, start: usize, inner: usize, version: u32) -> Token {
        let end = self.comment_end(inner, true);
        let kind = if version == CODE_FOR_NONE { TokenKind::Comment } else { TokenKind::UnsureComment };
        self.token(kind, start, end)
    }

    fn variable(&mut self, start: usize) -> Token {
        let system = self.at(start + 1) == Some(b'@');
        let kind = if system { TokenKind::SystemVariable } else { TokenKind::UserVariable };
        let name = start + 1 + usize::from(system);
        match self.at(name) {
            Some(b'`') => self.quoted(kind, start, name, false),
            Some(b'\'' | b'"') if !system => self.string(kind, start, name),
            _ => {
                let mut end = name;
                // the name of a user variable may hold points; after @@ they separate scope and name
                while self.name_byte_at(end) || (!system && self.at(end) == Some(b'.')) {
                    end += 1;
                }
                if system && self.at(end) == Some(b'.') && self.name_byte_at(end + 1) {
                    self.expect = Expect::Dot;
                }
                self.token(kind, start, end)
            }
        }
    }

    /// Whether `--` at `start` begins a comment: only before white space, a control character or the end.
    fn is_dash_comment(&self, start: usize) -> bool {
        self.at(start + 1) == Some(b'-')
            && self.at(start + 2).is_none_or(|byte| is_space(byte) || byte.is_ascii_control())
    }

    fn other(&mut self, start: usize, byte: u8) -> Token {
        match byte {
            b'\'' => self.string(TokenKind::String, start, start),
            b'"' if self.mode.ansi_quotes => self.quoted(TokenKind::QuotedName, start, start, false),
            b'"' => self.string(TokenKind::String, start, start),
            b'`' => self.quoted(TokenKind::QuotedName, start, start, false),
            b'?' => self.token(TokenKind::Placeholder, start, start + 1),
            b';' => self.token(TokenKind::Semicolon, start, start + 1),
            b'@' => self.variable(start),
            b'.' if self.digit_at(start + 1) => self.fraction(start, start + 1),
            b'#' => self.line_comment(start),
            b'-' if self.is_dash_comment(start) => self.line_comment(start),
            b'/' if self.at(start + 1) == Some(b'*') => self.block_comment(start),
            b'*' if self.in_code && self.at(start + 1) == Some(b'/') => {
                self.in_code = false;
                self.token(TokenKind::CodeClose, start, start + 2)
            }
            _ => self.token(TokenKind::Symbol, start, start + 1),
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        match self.expect {
            Expect::Anything => {}
            Expect::Dot => {
                self.expect = Expect::Name;
                return Some(self.token(TokenKind::Symbol, self.position, self.position + 1));
            }
            Expect::Name => {
                self.expect = Expect::Anything;
                return Some(self.word(self.position));
            }
        }
        let mut start = self.position;
        let byte = loop {
            let byte = self.at(start)?;
            if !is_space(byte) {
                break byte;
            }
            start += 1;
        };
        Some(match CLASS[byte as usize] {
            Class::Name => self.word(start),
            Class::Prefix => self.prefixed(start),
            Class::Digit => self.number(start),
            Class::Space | Class::Other => self.other(start, byte),
        })
    }
}

/// Whether the content of a comment speaks to this proxy.
fn is_proxy_hint(content: &[u8]) -> bool {
    const NAME: &[u8] = b"shardloom:";
    let content = content.trim_ascii_start();
    content.len() >= NAME.len() && content[..NAME.len()].eq_ignore_ascii_case(NAME)
}

/// The content of a quoted name: without its quotes, doubled quotes made single.
pub fn unquote_name(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let (Some(&quote @ (b'`' | b'"')), true) = (bytes.first(), bytes.len() >= 2) else {
        return String::from_utf8_lossy(bytes);
    };
    let inner = &bytes[1..bytes.len() - usize::from(bytes.last() == Some(&quote))];
    let inner = String::from_utf8_lossy(inner);
    let quote = char::from(quote);
    if inner.contains(quote) { inner.replace(&format!("{quote}{quote}"), &quote.to_string()).into() } else { inner }
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
