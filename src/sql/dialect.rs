//! What MySQL and MariaDB speak, as `sqlparser`'s parser asks about it.
//!
//! What the parser lets a dialect decide is decided here; what it does not is rewritten before ([`super::prepass`]).

use super::prepass;
use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Ident, Interval, ObjectName, Statement, UnaryOperator,
};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Word};
use std::any::TypeId;

/// `sqlparser`'s MySQL dialect with its gaps filled. It says that it is that dialect, so that the places of the parser
/// that ask for it by type take it for that.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShardloomDialect;

/// What is not overridden is answered as the wrapped dialect answers it.
const MYSQL: MySqlDialect = MySqlDialect {};

/// `!`, `BINARY`, `-`, `~` bind tighter than all infix operators but `->`.
const TIGHTEST: u8 = 66;

macro_rules! as_mysql {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool { MYSQL.$name() })*
    };
}

impl Dialect for ShardloomDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    as_mysql! {
        supports_string_literal_backslash_escape supports_string_literal_concatenation ignores_wildcard_escapes
        supports_numeric_prefix supports_bitwise_shift_operators supports_multiline_comment_hints
        require_interval_qualifier supports_limit_comma supports_create_table_select supports_insert_set
        supports_user_host_grantee supports_table_hints requires_single_line_comment_whitespace
        supports_match_against supports_select_modifiers supports_set_names
        supports_comma_separated_set_assignments supports_update_order_by supports_data_type_signed_suffix
        supports_cross_join_constraint supports_double_ampersand_operator supports_comment_optimizer_hint
        supports_constraint_keyword_without_name supports_key_column_option supports_group_by_with_modifier
        supports_left_associative_joins_without_parens
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MYSQL.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_delimited_identifier_start(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        MYSQL.identifier_quote_style(identifier)
    }

    /// `BINARY x` would swallow the rest of the condition; see [`prefix`].
    fn supports_binary_kw_as_cast(&self) -> bool {
        false
    }

    /// `GROUP BY ROLLUP(a)`, `CUBE(a)`, `GROUPING SETS ((a), ())`.
    fn supports_group_by_expr(&self) -> bool {
        true
    }

    /// `FROM (t)`.
    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    /// `EXTRACT(DAY_HOUR FROM x)`.
    fn allow_extract_custom(&self) -> bool {
        true
    }

    /// `FROM t FULL JOIN u` is `FROM t AS full JOIN u`: only reserved words are no aliases.
    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, _parser: &mut Parser) -> bool {
        explicit || !is_reserved(*keyword)
    }

    fn is_column_alias(&self, keyword: &Keyword, _parser: &mut Parser) -> bool {
        !is_reserved(*keyword)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(keyword, Keyword::EXISTS | Keyword::INTERVAL | Keyword::CASE | Keyword::NOT)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        prefix(self, parser).transpose()
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        infix(parser, left, precedence).transpose()
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            // read as a prefix, together with the variable before it
            Token::Assignment => Some(Ok(self.prec_unknown())),
            Token::CustomBinaryOperator(operator) => Some(Ok(self.prec_value(match operator.as_str() {
                prepass::DIV => Precedence::MulDivModOp,
                _ => Precedence::Like,
            }))),
            _ => None,
        }
    }

    fn parse_statement(&self, parser: &mut Parser) -> Option<Result<Statement, ParserError>> {
        MYSQL.parse_statement(parser)
    }

    /// *Operator Precedence*, with the grammar's own rules where the page is coarse: `LIKE`, `IN`, `BETWEEN`, `REGEXP`
    /// bind tighter than comparisons, and `IS NULL` as loosely as they.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => 100,
            Precedence::DoubleColon | Precedence::PgOther => 70,
            Precedence::AtTz => 65,
            Precedence::Caret => 60,
            Precedence::MulDivModOp => 50,
            Precedence::PlusMinus => 45,
            Precedence::Ampersand => 35,
            Precedence::Pipe | Precedence::Colon => 30,
            Precedence::Between | Precedence::Like => 25,
            Precedence::Eq | Precedence::Is => 20,
            Precedence::UnaryNot => 15,
            Precedence::And => 10,
            Precedence::Xor => 7,
            Precedence::Or => 5,
        }
    }

    /// `<<` and `>>` stand between `+` and `&`; the parser has them beside `^`.
    fn get_next_precedence_default(&self, parser: &Parser) -> Result<u8, ParserError> {
        match &parser.peek_token_ref().token {
            Token::ShiftLeft | Token::ShiftRight => Ok(40),
            _ => Defaults.get_next_precedence_default(parser),
        }
    }
}

/// The trait's own method, with our precedences.
#[derive(Debug)]
struct Defaults;

impl Dialect for Defaults {
    fn is_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MYSQL.is_identifier_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        ShardloomDialect.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        ShardloomDialect.prec_value(precedence)
    }
}

/// The reserved words that may follow a table or a select item, and so are no alias without `AS`.
pub(super) fn is_reserved(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(
        keyword,
        AND | AS
            | ASC
            | BETWEEN
            | BY
            | CASE
            | CROSS
            | DESC
            | DIV
            | ELSE
            | EXCEPT
            | EXISTS
            | FETCH
            | FOR
            | FORCE
            | FROM
            | GROUP
            | HAVING
            | IGNORE
            | IN
            | INNER
            | INSERT
            | INTERSECT
            | INTO
            | IS
            | JOIN
            | KEY
            | LATERAL
            | LEFT
            | LIKE
            | LIMIT
            | LOCK
            | MOD
            | OFFSET
            | NATURAL
            | NOT
            | NULL
            | ON
            | OR
            | ORDER
            | OUTER
            | OVER
            | PARTITION
            | PROCEDURE
            | REGEXP
            | RETURNING
            | RIGHT
            | RLIKE
            | SELECT
            | SEPARATOR
            | SET
            | STRAIGHT_JOIN
            | THEN
            | UNION
            | UPDATE
            | USE
            | USING
            | VALUES
            | WHEN
            | WHERE
            | WINDOW
            | WITH
            | XOR
    )
}

/// Words of which the parser would make a typed literal with the string behind them; here that string is an alias.
fn is_untyped(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(
        keyword,
        YEAR | TEXT | BIT | BOOL | BOOLEAN | JSON | DATETIME | ENUM | SIGNED | STRING | BLOB | NUMBER | CLOB
    )
}

/// The units of `INTERVAL` and `EXTRACT` (*Temporal Intervals*).
const UNITS: &[&str] = &[
    "MICROSECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "SECOND_MICROSECOND",
    "MINUTE_MICROSECOND",
    "MINUTE_SECOND",
    "HOUR_MICROSECOND",
    "HOUR_SECOND",
    "HOUR_MINUTE",
    "DAY_MICROSECOND",
    "DAY_SECOND",
    "DAY_MINUTE",
    "DAY_HOUR",
    "YEAR_MONTH",
    "SQL_TSI_SECOND",
    "SQL_TSI_MINUTE",
    "SQL_TSI_HOUR",
    "SQL_TSI_DAY",
    "SQL_TSI_WEEK",
    "SQL_TSI_MONTH",
    "SQL_TSI_QUARTER",
    "SQL_TSI_YEAR",
];

fn prefix(dialect: &ShardloomDialect, parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    let token = parser.peek_token_ref();
    let word = match &token.token {
        Token::ExclamationMark => return unary(parser, UnaryOperator::BangNot).map(Some),
        Token::Minus => return unary(parser, UnaryOperator::Minus).map(Some),
        Token::Plus => return unary(parser, UnaryOperator::Plus).map(Some),
        Token::Tilde => return unary(parser, UnaryOperator::BitwiseNot).map(Some),
        // the parser would first try each as a type
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {
            return parser.parse_value().map(|value| Some(Expr::Value(value)));
        }
        Token::Word(word) if word.quote_style.is_none() => word.clone(),
        _ => return Ok(None),
    };
    let next = parser.peek_nth_token_ref(1).token.clone();
    let ident = word.clone().into_ident(token.span);
    match (word.keyword, &next) {
        (Keyword::BINARY, _) => binary(parser),
        (Keyword::INTERVAL, _) => interval(parser, ident).map(Some),
        (Keyword::MATCH, _) => match_against(parser, ident).map(Some),
        (_, Token::Assignment) if word.value.starts_with('@') => {
            parser.next_token();
            parser.next_token();
            let right = Box::new(parser.parse_subexpr(dialect.prec_unknown())?);
            let left = Box::new(Expr::Identifier(ident));
            Ok(Some(Expr::BinaryOp { left, op: BinaryOperator::Assignment, right }))
        }
        // an introducer before a bit literal
        (_, Token::SingleQuotedByteStringLiteral(_)) if word.value.starts_with('_') => {
            parser.next_token();
            let value = Box::new(Expr::Value(parser.parse_value()?));
            Ok(Some(Expr::Prefixed { prefix: ident, value }))
        }
        (keyword, Token::SingleQuotedString(_)) if is_untyped(keyword) => {
            parser.next_token();
            Ok(Some(Expr::Identifier(ident)))
        }
        _ => Ok(None),
    }
}

fn unary(parser: &mut Parser, op: UnaryOperator) -> Result<Expr, ParserError> {
    parser.next_token();
    Ok(Expr::UnaryOp { op, expr: Box::new(parser.parse_subexpr(TIGHTEST)?) })
}

/// `BINARY x` casts `x` alone.
fn binary(parser: &mut Parser) -> Result<Option<Expr>, ParserError> {
    parser.next_token();
    let expr = Box::new(parser.parse_subexpr(TIGHTEST)?);
    Ok(Some(Expr::Cast { kind: CastKind::Cast, expr, data_type: DataType::Binary(None), format: None }))
}

/// `INTERVAL expr unit`, or the function `INTERVAL(a, b, …)`.
fn interval(parser: &mut Parser, ident: Ident) -> Result<Expr, ParserError> {
    let found = parser.maybe_parse(|parser| {
        parser.next_token();
        let value = Box::new(parser.parse_expr()?);
        let unit = parser.next_token();
        let Token::Word(Word { value: name, quote_style: None, .. }) = &unit.token else {
            return parser.expected("a unit of time", unit);
        };
        if !UNITS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return parser.expected("a unit of time", unit);
        }
        Ok(Expr::Interval(Interval {
            value,
            leading_field: Some(DateTimeField::Custom(Ident::with_span(unit.span, name))),
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        }))
    })?;
    if let Some(interval) = found {
        return Ok(interval);
    }
    parser.next_token();
    parser.parse_function(ObjectName::from(vec![ident]))
}

/// `MATCH (a, b) AGAINST (expr modifier)` as a call `MATCH(a, b, expr)`; the parentheses around the columns may be
/// missing.
fn match_against(parser: &mut Parser, ident: Ident) -> Result<Expr, ParserError> {
    parser.next_token();
    let parentheses = parser.consume_token(&Token::LParen);
    let mut arguments = parser.parse_comma_separated(|parser| {
        let mut parts = vec![parser.parse_identifier()?];
        while parser.consume_token(&Token::Period) {
            parts.push(parser.parse_identifier()?);
        }
        Ok(match <[Ident; 1]>::try_from(parts) {
            Ok([one]) => Expr::Identifier(one),
            Err(parts) => Expr::CompoundIdentifier(parts),
        })
    })?;
    if parentheses {
        parser.expect_token(&Token::RParen)?;
    }
    parser.expect_keyword(Keyword::AGAINST)?;
    parser.expect_token(&Token::LParen)?;
    // IN is the modifier's here, not an operator
    arguments.push(parser.parse_subexpr(ShardloomDialect.prec_value(Precedence::Between))?);
    for words in [
        &[Keyword::IN, Keyword::BOOLEAN, Keyword::MODE][..],
        &[Keyword::IN, Keyword::NATURAL, Keyword::LANGUAGE, Keyword::MODE],
        &[Keyword::WITH, Keyword::QUERY, Keyword::EXPANSION],
    ] {
        let _ = parser.parse_keywords(words);
    }
    parser.expect_token(&Token::RParen)?;
    Ok(call(ident, arguments))
}

fn call(name: Ident, arguments: Vec<Expr>) -> Expr {
    use sqlparser::ast::{Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments};
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// `x REGEXP NULL`: the parser's own way takes it for an odd `IS NULL`.
fn infix(parser: &mut Parser, left: &Expr, precedence: u8) -> Result<Option<Expr>, ParserError> {
    let word = |parser: &Parser, at| match &parser.peek_nth_token_ref(at).token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    if matches!(word(parser, 1), Keyword::ANY | Keyword::SOME | Keyword::ALL) {
        return quantified_set_operation(parser, left);
    }
    let negated = word(parser, 0) == Keyword::NOT;
    let at = usize::from(negated);
    let operator = word(parser, at);
    if operator == Keyword::IN {
        return in_list_behind_subquery(parser, left, negated);
    }
    if !matches!(operator, Keyword::REGEXP | Keyword::RLIKE) || word(parser, at + 1) != Keyword::NULL {
        return Ok(None);
    }
    for _ in 0..=at {
        parser.next_token();
    }
    let pattern = Box::new(parser.parse_subexpr(precedence)?);
    Ok(Some(Expr::RLike { negated, expr: Box::new(left.clone()), pattern, regexp: operator == Keyword::REGEXP }))
}

/// `x IN ((SELECT 1), 2)`: the parser takes what begins with two parentheses for one query.
fn in_list_behind_subquery(parser: &mut Parser, left: &Expr, negated: bool) -> Result<Option<Expr>, ParserError> {
    let begin = 1 + usize::from(negated);
    if (begin..begin + 2).any(|at| parser.peek_nth_token_ref(at).token != Token::LParen) {
        return Ok(None);
    }
    let list = parser.maybe_parse(|parser| {
        (0..=begin).for_each(|_| drop(parser.next_token()));
        let list = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        if list.len() > 1 { Ok(list) } else { Err(ParserError::ParserError("one query".to_owned())) }
    })?;
    Ok(list.map(|list| Expr::InList { expr: Box::new(left.clone()), list, negated }))
}

/// `x = ANY ((SELECT 1) UNION SELECT 2)`: the parser takes what begins with two parentheses for a value.
fn quantified_set_operation(parser: &mut Parser, left: &Expr) -> Result<Option<Expr>, ParserError> {
    let compare_op = match parser.peek_nth_token_ref(0).token {
        Token::Eq => BinaryOperator::Eq,
        Token::Neq => BinaryOperator::NotEq,
        Token::Lt => BinaryOperator::Lt,
        Token::LtEq => BinaryOperator::LtEq,
        Token::Gt => BinaryOperator::Gt,
        Token::GtEq => BinaryOperator::GtEq,
        _ => return Ok(None),
    };
    if (2..4).any(|at| parser.peek_nth_token_ref(at).token != Token::LParen) {
        return Ok(None);
    }
    let quantifier = match &parser.peek_nth_token_ref(1).token {
        Token::Word(word) => word.keyword,
        _ => return Ok(None),
    };
    (0..3).for_each(|_| drop(parser.next_token()));
    let query = parser.parse_query()?;
    parser.expect_token(&Token::RParen)?;
    let (left, right) = (Box::new(left.clone()), Box::new(Expr::Subquery(query)));
    Ok(Some(match quantifier {
        Keyword::ALL => Expr::AllOp { left, compare_op, right },
        _ => Expr::AnyOp { left, compare_op, right, is_some: quantifier == Keyword::SOME },
    }))
}
