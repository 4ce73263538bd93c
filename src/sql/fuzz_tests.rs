//! What must hold for every text, however wild.

use super::splice::{Piece, SpliceBuilder};
use super::*;
use proptest::prelude::*;

/// Words that make the texts below look like SQL, and what trips lexers.
const SOUP: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "INSERT INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "CREATE",
    "TABLE",
    "PROCEDURE",
    "AS",
    "JOIN",
    "ON",
    "USING",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "UNION",
    "WITH",
    "INTO",
    "FOR UPDATE",
    "OF",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "NOT",
    "IN",
    "BETWEEN",
    "AND",
    "LIKE",
    "IS NULL",
    "INTERVAL",
    "DAY",
    "CAST(",
    "MATCH",
    "AGAINST",
    "BINARY",
    "SHOW",
    "EXPLAIN ROUTE",
    "BEGIN",
    "COMMIT",
    "KILL",
    "PREPARE",
    "EXECUTE",
    "ALTER TABLE",
    "ADD",
    "DROP",
    "RENAME TO",
    "DIV",
    "MOD",
    "XOR",
    "TRIM(",
    "FROM (",
    "LOCK IN SHARE MODE",
    "WINDOW",
    "OVER",
    "PARTITION",
    "DEFINER",
    "(",
    "(",
    ")",
    ")",
    ",",
    ".",
    ";",
    "=",
    ":=",
    "<=>",
    "->",
    "||",
    "*",
    "-",
    "--",
    "-- \n",
    "#",
    "/*",
    "*/",
    "/*!",
    "/*!80000",
    "/*+",
    "{",
    "}",
    "@",
    "@@",
    "@a",
    "?",
    "!",
    "~",
    "\\",
    "'",
    "\"",
    "`",
    "'x'",
    "\"y\"",
    "`z`",
    "1",
    "1.",
    ".5",
    "1e5",
    "0x1f",
    "x'1f'",
    "b'1'",
    "0b1",
    "N'n'",
    "_utf8",
    "NULL",
    "\u{e9}",
    "a",
    "b",
    "t",
    "1t",
];

fn soup() -> impl Strategy<Value = String> {
    let word =
        prop_oneof![8 => prop::sample::select(SOUP).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec((word, prop::bool::weighted(0.8)), 0..40)
        .prop_map(|words| words.into_iter().map(|(word, space)| if space { word + " " } else { word }).collect())
}

fn mode() -> impl Strategy<Value = LexMode> {
    any::<(bool, bool, bool)>().prop_map(|(ansi_quotes, no_backslash_escapes, pipes_as_concat)| LexMode {
        no_auto_value_on_zero: false,
        ansi_quotes,
        no_backslash_escapes,
        pipes_as_concat,
    })
}

/// Two literals of one kind.
fn literals() -> impl Strategy<Value = (String, String)> {
    let two = |pattern: &'static str| (pattern, pattern);
    prop_oneof![
        two("[0-9]{1,20}"),
        two("[0-9]{1,5}\\.[0-9]{0,5}"),
        two("[0-9]{1,5}e[+-]?[0-9]{1,3}"),
        two("'([a-z \\-#/*;`\"]|''|\\\\.){0,12}'"),
        two("\"([a-z \\-#/*;`']|\"\"|\\\\.){0,12}\""),
        two("0x[0-9a-fA-F]{1,8}"),
        two("b'[01]{0,8}'"),
        two("N'[a-z]{0,5}'"),
        two("/\\* [a-z ';]{0,8}\\*/"),
    ]
}

/// What stands between literals.
fn between() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        " = ",
        " , ",
        "(",
        ") AND a = ",
        " LIMIT ",
        " /*+ hint */ ",
        " `q'` ",
        " @'v' ",
        " ? ",
        " t.1a ",
        "\n",
        " - ",
        " IN (",
        " 1a ",
        " e ",
        " x ",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(sql in prop::collection::vec(any::<u8>(), 0..200), mode in mode()) {
        everything(&sql, mode);
    }

    #[test]
    fn any_soup_is_read(sql in soup(), mode in mode()) {
        everything(sql.as_bytes(), mode);
    }

    #[test]
    fn texts_that_differ_in_literals_only_have_one_fingerprint(
        parts in prop::collection::vec((between(), literals()), 1..8),
        end in between(),
        insert_at in any::<prop::sample::Index>(),
    ) {
        let (mut first, mut second) = (String::from("SELECT"), String::from("SELECT"));
        // the same place in both texts
        let mut places = vec![(0, 0)];
        for (text, (one, other)) in &parts {
            first = first + text + " ";
            second = second + text + " ";
            places.push((first.len(), second.len()));
            first += one;
            second += other;
            places.push((first.len(), second.len()));
            first.push(' ');
            second.push(' ');
        }
        first += &end;
        second += &end;
        places.push((first.len(), second.len()));
        let (mut in_first, mut in_second) = (Vec::new(), Vec::new());
        let one = scan(first.as_bytes(), LexMode::default(), &mut in_first);
        let other = scan(second.as_bytes(), LexMode::default(), &mut in_second);
        prop_assert_eq!(one.fingerprint, other.fingerprint, "{} | {}", first, second);
        prop_assert_eq!(in_first.len(), in_second.len());

        // an edit made for the one hits the same place of the other
        let (place, expected) = *insert_at.get(&places);
        let mut builder = SpliceBuilder::new();
        builder.replace(place..place, [Piece::from(" inserted "), Piece::Slot(3)]);
        let splice = builder.build(first.len(), &in_first).unwrap();
        let mut out = Vec::new();
        splice.apply(second.as_bytes(), &in_second, &mut out, |slot, out| out.push(b'0' + slot as u8));
        let wanted = format!("{} inserted 3{}", &second[..expected], &second[expected..]);
        prop_assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn texts_that_differ_elsewhere_have_two(
        parts in prop::collection::vec((between(), literals()), 1..8),
        other in between(),
        at in any::<prop::sample::Index>(),
    ) {
        let text = |changed: Option<usize>| {
            let part = |(index, (between, (literal, _))): (usize, &(String, (String, String)))| {
                let between = if changed == Some(index) { &other } else { between };
                format!("SELECT{between} {literal} ")
            };
            parts.iter().enumerate().map(part).collect::<String>()
        };
        let at = at.index(parts.len());
        prop_assume!(parts[at].0 != other);
        let fingerprint = |sql: &str| scan(sql.as_bytes(), LexMode::default(), &mut Vec::new()).fingerprint;
        prop_assert_ne!(fingerprint(&text(None)), fingerprint(&text(Some(at))));
    }
}

/// Calls all that reads texts; none may panic, and what they say must fit the text.
fn everything(sql: &[u8], mode: LexMode) {
    let mut literals = Vec::new();
    let found = scan(sql, mode, &mut literals);
    assert!(found.statement_end <= sql.len());
    let mut end = 0;
    for literal in &literals {
        assert!(end <= literal.start && literal.start < literal.end && literal.end as usize <= sql.len());
        end = literal.end;
        let _ = literal.value(sql, mode);
    }
    let mut end = 0;
    for token in lexer::Lexer::new(sql, mode) {
        assert!(end <= token.start && token.start < token.end && token.end <= sql.len());
        end = token.end;
    }
    for range in split::statements(sql, mode) {
        assert!(range.start < range.end && range.end <= sql.len());
    }
    for name in names::tables(sql, mode) {
        assert!(name.range.start < name.range.end && name.range.end <= sql.len());
    }
    let _ = session_statement::parse(sql, mode);
    let _ = ddl::parse(sql, mode);
    let _ = digest::normalised(sql, mode);
    let _ = parse(sql, mode);
}

#[test]
fn reading_again_needs_no_new_memory() {
    let sql = b"SELECT c FROM t WHERE id = 5 AND k IN (1, 2, 'x') /* trace */ LIMIT 3";
    let mut literals = Vec::with_capacity(16);
    let before = literals.as_ptr();
    for _ in 0..100 {
        scan(sql, LexMode::default(), &mut literals);
    }
    assert_eq!((literals.as_ptr(), literals.len()), (before, 6));
}
