//! `SET` in all its forms (*SET Syntax for Variable Assignment*, *SET NAMES*, *SET CHARACTER SET*, *SET TRANSACTION*).

use super::super::cursor::Cursor;
use super::super::lexer::TokenKind;
use super::super::literal;
use super::SessionStatement;
use std::ops::Range;

/// Whose value of a system variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The session's, said so or not.
    Session,
    /// `@@name`: the session's, but for the characteristics of transactions, which it sets for the next one alone.
    Unsaid,
    /// `GLOBAL`: that of all sessions to come.
    Global,
    /// `PERSIST`: global, and written down.
    Persist,
    /// `PERSIST_ONLY`: written down.
    PersistOnly,
}

/// One assignment of a `SET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetItem {
    /// `@name = value`.
    User {
        /// In lower case, without the `@`.
        name: String,
        /// The value.
        value: SetValue,
    },
    /// `name = value`, `SESSION name = value`, `@@session.name = value`.
    System {
        /// Whose.
        scope: Scope,
        /// In lower case. A structured variable (`cache.key_buffer_size`) keeps its point.
        name: String,
        /// The value.
        value: SetValue,
    },
    /// `NAMES charset [COLLATE collation]`.
    Names {
        /// In lower case; nothing means `DEFAULT`.
        charset: Option<String>,
        /// In lower case.
        collation: Option<String>,
    },
    /// `CHARACTER SET charset`; nothing means `DEFAULT`.
    CharacterSet(Option<String>),
}

/// The right side of an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetValue {
    /// Where it stands.
    pub range: Range<usize>,
    /// What it is.
    pub kind: ValueKind,
}

/// What a value is, as far as it can be told without evaluating it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueKind {
    /// `DEFAULT`.
    Default,
    /// `NULL`.
    Null,
    /// A word: `ON`, `utf8mb4`, `ALL`. `TRUE` and `FALSE` are integers.
    Word(String),
    /// A string, unescaped.
    Text(Vec<u8>),
    /// An integer, with its sign.
    Integer(i128),
    /// `@name`, in lower case.
    UserVariable(String),
    /// `@@name` or `@@scope.name`.
    SystemVariable {
        /// Whose.
        scope: Scope,
        /// In lower case.
        name: String,
    },
    /// Anything else: a server must evaluate it.
    Expression,
}

/// An isolation level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// `READ UNCOMMITTED`.
    ReadUncommitted,
    /// `READ COMMITTED`.
    ReadCommitted,
    /// `REPEATABLE READ`.
    RepeatableRead,
    /// `SERIALIZABLE`.
    Serializable,
}

impl Isolation {
    /// As `transaction_isolation` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ-UNCOMMITTED",
            Self::ReadCommitted => "READ-COMMITTED",
            Self::RepeatableRead => "REPEATABLE-READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

/// `SET TRANSACTION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTransaction {
    /// Nothing: for the next transaction only.
    pub scope: Option<Scope>,
    /// `ISOLATION LEVEL …`.
    pub isolation: Option<Isolation>,
    /// `READ ONLY` or `READ WRITE`.
    pub read_only: Option<bool>,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Option<SessionStatement> {
    cursor.skip();
    if let Some(transaction) = set_transaction(cursor) {
        return Some(SessionStatement::SetTransaction(transaction));
    }
    if cursor.peek_word("password") {
        return None;
    }
    if cursor.peek_word("statement") && !is_assignment(cursor) {
        cursor.skip();
        let items = items(cursor, &["for"])?;
        if !cursor.word("for") || cursor.at_end() {
            return None;
        }
        return Some(SessionStatement::SetStatement { items, statement: cursor.rest() });
    }
    items(cursor, &[]).map(SessionStatement::Set)
}

/// Whether the word under the cursor is assigned to.
fn is_assignment(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    ahead.skip();
    ahead.equals()
}

fn items(cursor: &mut Cursor<'_>, end: &[&str]) -> Option<Vec<SetItem>> {
    let mut items = Vec::new();
    // the scope word of an earlier assignment holds for the later ones that have none
    let mut scope = Scope::Session;
    loop {
        items.push(item(cursor, &mut scope, end)?);
        if !cursor.symbol(b',') {
            return Some(items);
        }
    }
}

fn item(cursor: &mut Cursor<'_>, sticky: &mut Scope, end: &[&str]) -> Option<SetItem> {
    if cursor.peek_kind() == Some(TokenKind::UserVariable) {
        let name = cursor.user_variable()?;
        return cursor.equals().then(|| value(cursor, end)).flatten().map(|value| SetItem::User { name, value });
    }
    if cursor.peek_kind() == Some(TokenKind::SystemVariable) {
        let (scope, name) = system_variable(cursor)?;
        return cursor.equals().then(|| value(cursor, end)).flatten().map(|value| SetItem::System {
            scope,
            name,
            value,
        });
    }
    if !is_assignment(cursor) {
        if cursor.word("names") {
            return names(cursor);
        }
        if cursor.words(&["character", "set"]) || cursor.words(&["char", "set"]) || cursor.word("charset") {
            return charset(cursor).map(SetItem::CharacterSet);
        }
        if let Some(scope) = scope_word(cursor) {
            *sticky = scope;
        }
    }
    let mut name = cursor.name()?.text.to_lowercase();
    if cursor.symbol(b'.') {
        name = format!("{name}.{}", cursor.name()?.text.to_lowercase());
    }
    let value = cursor.equals().then(|| value(cursor, end)).flatten()?;
    Some(SetItem::System { scope: *sticky, name, value })
}

fn scope_of(word: &str) -> Option<Scope> {
    Some(match word.to_ascii_lowercase().as_str() {
        "session" | "local" => Scope::Session,
        "global" => Scope::Global,
        "persist" => Scope::Persist,
        "persist_only" => Scope::PersistOnly,
        _ => return None,
    })
}

fn scope_word(cursor: &mut Cursor<'_>) -> Option<Scope> {
    let mut ahead = cursor.clone();
    let scope = scope_of(&ahead.name()?.text)?;
    *cursor = ahead;
    Some(scope)
}

/// `@@name`, `@@scope.name`, `@@instance.name`.
fn system_variable(cursor: &mut Cursor<'_>) -> Option<(Scope, String)> {
    let first = cursor.system_variable()?.text.to_lowercase();
    let mut scope = None;
    let mut parts = Vec::new();
    match scope_of(&first) {
        Some(found) => scope = Some(found),
        None => parts.push(first),
    }
    while cursor.symbol(b'.') {
        parts.push(cursor.name()?.text.to_lowercase());
    }
    (!parts.is_empty()).then(|| (scope.unwrap_or(Scope::Unsaid), parts.join(".")))
}

fn charset(cursor: &mut Cursor<'_>) -> Option<Option<String>> {
    if cursor.word("default") {
        return Some(None);
    }
    cursor.name_or_string().map(|name| Some(name.to_lowercase()))
}

fn names(cursor: &mut Cursor<'_>) -> Option<SetItem> {
    let charset = charset(cursor)?;
    let mut collation = None;
    if cursor.word("collate") && !cursor.word("default") {
        collation = Some(cursor.name_or_string()?.to_lowercase());
    }
    Some(SetItem::Names { charset, collation })
}

fn value(cursor: &mut Cursor<'_>, end: &[&str]) -> Option<SetValue> {
    let mut ahead = cursor.clone();
    let range = ahead.expression_until(end)?;
    let kind = kind(cursor, &range);
    *cursor = ahead;
    Some(SetValue { range, kind })
}

fn kind(cursor: &Cursor<'_>, range: &Range<usize>) -> ValueKind {
    let tokens = cursor.tokens_before(range.end);
    let text = |range: Range<usize>| String::from_utf8_lossy(cursor.text(&range)).into_owned();
    let integer = |negative: bool, range: Range<usize>| {
        let value = text(range).parse::<i128>();
        value.map_or(ValueKind::Expression, |value| ValueKind::Integer(if negative { -value } else { value }))
    };
    match tokens {
        [one] => match one.kind {
            TokenKind::String => ValueKind::Text(literal::unescape(cursor.text(range), cursor.mode()).into_owned()),
            TokenKind::Integer => integer(false, range.clone()),
            TokenKind::UserVariable => {
                cursor.clone().user_variable().map_or(ValueKind::Expression, ValueKind::UserVariable)
            }
            TokenKind::QuotedName => {
                cursor.clone().name().map_or(ValueKind::Expression, |name| ValueKind::Word(name.text))
            }
            TokenKind::SystemVariable => system(cursor),
            TokenKind::Word => match text(range.clone()).to_ascii_lowercase().as_str() {
                "default" => ValueKind::Default,
                "null" => ValueKind::Null,
                "true" => ValueKind::Integer(1),
                "false" => ValueKind::Integer(0),
                _ => ValueKind::Word(text(range.clone())),
            },
            _ => ValueKind::Expression,
        },
        [sign, one] if one.kind == TokenKind::Integer => match cursor.text(&(sign.start..sign.end)) {
            b"-" => integer(true, one.start..one.end),
            b"+" => integer(false, one.start..one.end),
            _ => ValueKind::Expression,
        },
        [first, _, _] if first.kind == TokenKind::SystemVariable => system(cursor),
        _ => ValueKind::Expression,
    }
}

/// `@@a` or `@@scope.a` and nothing behind it.
fn system(cursor: &Cursor<'_>) -> ValueKind {
    let mut ahead = cursor.clone();
    match system_variable(&mut ahead) {
        Some((scope, name)) if ahead.at_end() || ahead.symbol(b',') || ahead.word("for") => {
            ValueKind::SystemVariable { scope, name }
        }
        _ => ValueKind::Expression,
    }
}

fn set_transaction(cursor: &mut Cursor<'_>) -> Option<SetTransaction> {
    let mut ahead = cursor.clone();
    let scope = scope_word(&mut ahead);
    if !ahead.word("transaction") || ahead.clone().equals() {
        return None;
    }
    let mut set = SetTransaction { scope, isolation: None, read_only: None };
    loop {
        if ahead.words(&["isolation", "level"]) {
            set.isolation = Some(isolation(&mut ahead)?);
        } else if ahead.words(&["read", "only"]) {
            set.read_only = Some(true);
        } else if ahead.words(&["read", "write"]) {
            set.read_only = Some(false);
        } else {
            return None;
        }
        if !ahead.symbol(b',') {
            break;
        }
    }
    *cursor = ahead;
    Some(set)
}

fn isolation(cursor: &mut Cursor<'_>) -> Option<Isolation> {
    const LEVELS: &[(&[&str], Isolation)] = &[
        (&["read", "uncommitted"], Isolation::ReadUncommitted),
        (&["read", "committed"], Isolation::ReadCommitted),
        (&["repeatable", "read"], Isolation::RepeatableRead),
        (&["serializable"], Isolation::Serializable),
    ];
    LEVELS.iter().find(|(words, _)| cursor.words(words)).map(|(_, level)| *level)
}
