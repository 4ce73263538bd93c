//! What the lexer makes of the corners of the language.

use super::*;
use TokenKind::*;

fn tokens_in(sql: &str, mode: LexMode) -> Vec<(TokenKind, &str)> {
    Lexer::new(sql.as_bytes(), mode).map(|token| (token.kind, &sql[token.start..token.end])).collect()
}

fn tokens(sql: &str) -> Vec<(TokenKind, &str)> {
    tokens_in(sql, LexMode::default())
}

#[test]
fn numbers_of_all_forms() {
    assert_eq!(
        tokens("1 1. .5 1.5 1e5 1.e3 1E+2 .5e-1"),
        [
            (Integer, "1"),
            (Decimal, "1."),
            (Decimal, ".5"),
            (Decimal, "1.5"),
            (Float, "1e5"),
            (Float, "1.e3"),
            (Float, "1E+2"),
            (Float, ".5e-1"),
        ]
    );
    assert_eq!(tokens("-1"), [(Symbol, "-"), (Integer, "1")]);
    assert_eq!(
        tokens("0x4F 0b01 x'4f' X'4F' b'01' B'01'"),
        [(Hex, "0x4F"), (Bit, "0b01"), (Hex, "x'4f'"), (Hex, "X'4F'"), (Bit, "b'01'"), (Bit, "B'01'"),]
    );
}

#[test]
fn names_may_begin_with_digits() {
    assert_eq!(
        tokens("1st 0xZ 0x 0b2 0X1 1e 1ex"),
        [(Word, "1st"), (Word, "0xZ"), (Word, "0x"), (Word, "0b2"), (Word, "0X1"), (Word, "1e"), (Word, "1ex"),]
    );
    assert_eq!(tokens("db.1table.2"), [(Word, "db"), (Symbol, "."), (Word, "1table"), (Symbol, "."), (Word, "2"),]);
    assert_eq!(tokens("t.1e5"), [(Word, "t"), (Symbol, "."), (Word, "1e5")]);
    assert_eq!(tokens("t .5"), [(Word, "t"), (Decimal, ".5")]);
    assert_eq!(tokens("t.*"), [(Word, "t"), (Symbol, "."), (Symbol, "*")]);
}

#[test]
fn strings_and_names_in_quotes() {
    assert_eq!(
        tokens(r"'it''s' 'a\'b' 'a\\' N'x' _latin1'y' `a``b`"),
        [
            (String, "'it''s'"),
            (String, r"'a\'b'"),
            (String, r"'a\\'"),
            (NationalString, "N'x'"),
            (Word, "_latin1"),
            (String, "'y'"),
            (QuotedName, "`a``b`"),
        ]
    );
    assert_eq!(tokens(r#""a""b""#), [(String, r#""a""b""#)]);
    let ansi = LexMode { ansi_quotes: true, ..LexMode::default() };
    assert_eq!(tokens_in(r#""a""b" 'c'"#, ansi), [(QuotedName, r#""a""b""#), (String, "'c'")]);
    let plain = LexMode { no_backslash_escapes: true, ..LexMode::default() };
    assert_eq!(tokens_in(r"'a\' 'b'", plain), [(String, r"'a\'"), (String, "'b'")]);
}

#[test]
fn comments_of_all_forms() {
    assert_eq!(tokens("1--1"), [(Integer, "1"), (Symbol, "-"), (Symbol, "-"), (Integer, "1")]);
    assert_eq!(tokens("1-- 1\n2"), [(Integer, "1"), (Comment, "-- 1\n"), (Integer, "2")]);
    assert_eq!(tokens("1 --"), [(Integer, "1"), (Comment, "--")]);
    assert_eq!(tokens("1 # 'x\n2"), [(Integer, "1"), (Comment, "# 'x\n"), (Integer, "2")]);
    assert_eq!(tokens("a/* ' */b"), [(Word, "a"), (Comment, "/* ' */"), (Word, "b")]);
    assert_eq!(tokens("/*+ INDEX(a 1) */"), [(OptimizerHint, "/*+ INDEX(a 1) */")]);
    assert_eq!(tokens("/* ShardLoom: primary */"), [(ProxyHint, "/* ShardLoom: primary */")]);
    assert_eq!(tokens("/*/ 1 */"), [(Comment, "/*/ 1 */")]);
}

#[test]
fn executable_comments_are_read_as_code_where_all_servers_do() {
    assert_eq!(
        tokens("/*! a*/b /*!40101 1*/"),
        [
            (CodeOpen, "/*!"),
            (Word, "a"),
            (CodeClose, "*/"),
            (Word, "b"),
            (CodeOpen, "/*!40101"),
            (Integer, "1"),
            (CodeClose, "*/"),
        ]
    );
    assert_eq!(
        tokens("/*!80000 it's /* x */ y */ 1"),
        [(UnsureComment, "/*!80000 it's /* x */ y */"), (Integer, "1"),]
    );
    assert_eq!(
        tokens("/*M! x */ /*M!100100 y */ /*!100100 z*/"),
        [(UnsureComment, "/*M! x */"), (UnsureComment, "/*M!100100 y */"), (UnsureComment, "/*!100100 z*/"),]
    );
    assert_eq!(
        tokens("/*M!999999\\- x */ /*!999999 y */ 1"),
        [(Comment, "/*M!999999\\- x */"), (Comment, "/*!999999 y */"), (Integer, "1")]
    );
    assert_eq!(tokens("/*!123 x*/"), [(CodeOpen, "/*!"), (Integer, "123"), (Word, "x"), (CodeClose, "*/")]);
    assert_eq!(tokens("2*/ 3"), [(Integer, "2"), (Symbol, "*"), (Symbol, "/"), (Integer, "3")]);
}

#[test]
fn variables() {
    assert_eq!(
        tokens("@a:=@'x y' @`z` @a.b @@global.x @@`y` @@x"),
        [
            (UserVariable, "@a"),
            (Symbol, ":"),
            (Symbol, "="),
            (UserVariable, "@'x y'"),
            (UserVariable, "@`z`"),
            (UserVariable, "@a.b"),
            (SystemVariable, "@@global"),
            (Symbol, "."),
            (Word, "x"),
            (SystemVariable, "@@`y`"),
            (SystemVariable, "@@x"),
        ]
    );
    assert_eq!(tokens("'root'@'local host'"), [(String, "'root'"), (UserVariable, "@'local host'")]);
}

#[test]
fn what_has_no_end_is_told() {
    for sql in ["'a", "`a", "/* a", "/*! a", "'a\\", "/*!80000 /* */", "@'a", "x'1"] {
        let mut lexer = Lexer::new(sql.as_bytes(), LexMode::default());
        lexer.by_ref().for_each(drop);
        assert!(lexer.unterminated(), "{sql}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_fine() {
    let sql = b"SELECT '\xff\xfe''' , \xe9t\xe9";
    let kinds: Vec<_> = Lexer::new(sql, LexMode::default()).map(|token| token.kind).collect();
    assert_eq!(kinds, [Word, String, Symbol, Word]);
}

#[test]
fn a_quoted_name_loses_its_quotes() {
    assert_eq!(unquote_name(b"`a``b`"), "a`b");
    assert_eq!(unquote_name(br#""a""b""#), "a\"b");
    assert_eq!(unquote_name(b"plain"), "plain");
    assert_eq!(unquote_name(b"`open"), "open");
}
