//! What MySQL and MariaDB speak, as `sqlparser`'s parser asks about it.

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::{Dialect, MySqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use std::any::TypeId;

/// `sqlparser`'s MySQL dialect with its gaps filled. It says that it is that dialect, so that the places of the parser
/// that ask for it by type take it for that.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShardloomDialect;

/// What is not overridden is answered as the wrapped dialect answers it.
const MYSQL: MySqlDialect = MySqlDialect {};

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

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        MYSQL.is_table_factor_alias(explicit, keyword, parser)
    }

    /// `BINARY x` would swallow the rest of the condition; see `parse_prefix`.
    fn supports_binary_kw_as_cast(&self) -> bool {
        false
    }

    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        MYSQL.parse_infix(parser, left, precedence)
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
}
