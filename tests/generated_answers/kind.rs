//! Kinds of values: columns of a kind, literals of a kind.

use super::tree::{Sort, Tree};
use crate::support::dice::Dice;
use crate::support::raw::Param;

/// What can be compared with each other and put through the same functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Integers small enough to be added and multiplied.
    Int,
    /// Integers up to the bounds of BIGINT.
    Big,
    Decimal,
    Double,
    /// Text of the collation with this number in [`Flavour::collations`].
    Text(usize),
    Bytes,
    Date,
    DateTime,
    Time,
    Enum,
    Set,
    Bit,
    Json,
}

/// What differs between the vendors.
#[derive(Debug, Clone, Copy)]
pub struct Flavour {
    pub mysql: bool,
}

impl Flavour {
    /// Character set and collation of text columns.
    pub fn collations(self) -> &'static [(&'static str, &'static str)] {
        if self.mysql {
            &[
                ("utf8mb4", "utf8mb4_general_ci"),
                ("utf8mb4", "utf8mb4_bin"),
                ("utf8mb4", "utf8mb4_unicode_ci"),
                ("latin1", "latin1_swedish_ci"),
                ("utf8mb4", "utf8mb4_0900_ai_ci"),
            ]
        } else {
            &[
                ("utf8mb4", "utf8mb4_general_ci"),
                ("utf8mb4", "utf8mb4_bin"),
                ("utf8mb4", "utf8mb4_unicode_ci"),
                ("latin1", "latin1_swedish_ci"),
                ("utf8mb4", "utf8mb4_nopad_bin"),
            ]
        }
    }
}

/// A column that tables can have.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub declaration: String,
    /// Its values, as literals.
    pub values: Vec<String>,
}

impl Column {
    /// Whether the server makes its values.
    pub fn is_generated(&self) -> bool {
        self.declaration.contains("GENERATED")
    }
}

const INTS: &[&str] = &["0", "1", "2", "3", "5", "-1", "7"];
/// A day that is none: servers take it outside of strict mode.
const NO_DAY: &str = "'0000-00-00'";
const DATES: &[&str] =
    &["'2024-02-29'", "'2023-12-31'", "'1970-01-01'", "'9999-12-31'", "'1000-01-01'", "'2024-01-01'"];
const MOMENTS: &[&str] = &[
    "'2024-02-29 12:30:00'",
    "'2023-12-31 23:59:59'",
    "'1970-01-02 00:00:01'",
    "'2024-01-01 00:00:00'",
    "'2024-02-29 12:30:00.25'",
];
const TIMES: &[&str] = &["'00:00:00'", "'-01:30:00'", "'838:59:59'", "'12:00:00.25'", "'-838:59:59'", "'12:00:00'"];
const BYTES: &[&str] = &["x'00ff'", "'a'", "'A'", "''", "x'6100'", "'a '"];
/// Texts that some collation takes as equal: case, blanks at the end, accents, ß and ss, a control sign before a blank.
const TEXTS: &[&str] = &[
    "'a'", "'A'", "'b'", "'b '", "'c'", "''", "'Ab'", "'aB'", "'ä'", "'Ä'", "'ss'", "'ß'", "' x'", "'a\\t'", "'10'",
    "'9'",
];
/// The same within ASCII: what a sharding key can be under any collation.
const ASCII_TEXTS: &[&str] = &["'a'", "'A'", "'b'", "'b '", "'c'", "''", "'Ab'", "'aB'", "'10'", "'9'"];

/// All columns that a table may be given, besides `id`, `k` and `j`.
pub fn columns(flavour: Flavour) -> Vec<Column> {
    let mut all = Vec::new();
    let mut add = |name: &str, kind, declaration: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        all.push(Column { name: name.to_owned(), kind, declaration: declaration.to_owned(), values });
    };
    add("x", Kind::Int, "INT", INTS);
    add("y", Kind::Int, "SMALLINT", INTS);
    add("flag", Kind::Int, "TINYINT(1)", &["0", "1"]);
    add("year", Kind::Int, "YEAR", &["1970", "2024", "2155", "1901"]);
    add("big", Kind::Big, "BIGINT", &["0", "1", "-1", "9223372036854775807", "-9223372036854775808"]);
    add("ubig", Kind::Big, "BIGINT UNSIGNED", &["0", "1", "18446744073709551615", "9223372036854775808"]);
    add("price", Kind::Decimal, "DECIMAL(10,2)", &["0", "1.50", "-1.50", "2.25", "99999999.99", "0.01"]);
    add("whole", Kind::Decimal, "DECIMAL(20,0)", &["0", "12345678901234567890", "-1", "3"]);
    let huge = &[
        "12345678901234567890123456789012345.012345678901234567890123456789",
        "-0.000000000000000000000000000001",
        "99999999999999999999999999999999999.999999999999999999999999999999",
        "0",
    ];
    add("huge", Kind::Decimal, "DECIMAL(65,30)", huge);
    add("dbl", Kind::Double, "DOUBLE", &["0", "-0e0", "1.5", "-2.25", "1e10", "0.5"]);
    add("flt", Kind::Double, "FLOAT", &["0", "0.5", "1.25", "-3", "0.1", "-0e0"]);
    // No values are given for it.
    add("made", Kind::Int, "INT GENERATED ALWAYS AS (j * 2) VIRTUAL", &[]);
    add("`group`", Kind::Int, "INT UNSIGNED", &["0", "1", "4294967295"]);
    add("day", Kind::Date, "DATE", &[DATES, &[NO_DAY]].concat());
    add("at", Kind::DateTime, "DATETIME", &[MOMENTS, &[NO_DAY]].concat());
    add("at6", Kind::DateTime, "DATETIME(6)", MOMENTS);
    add("ts", Kind::DateTime, "TIMESTAMP(3) NULL", MOMENTS);
    add("span", Kind::Time, "TIME", TIMES);
    add("span2", Kind::Time, "TIME(2)", TIMES);
    add("e", Kind::Enum, "ENUM('b','a','','C')", &["'a'", "'b'", "'C'", "''", "0"]);
    add("st", Kind::Set, "SET('x','z','y')", &["'x,y'", "''", "'z'", "'x,z,y'", "'y'"]);
    add("bits", Kind::Bit, "BIT(8)", &["b'0'", "b'101'", "b'11111111'"]);
    add(
        "doc",
        Kind::Json,
        "JSON",
        &["'{\"a\": 1}'", "'[1, 2]'", "'\"x\"'", "'1'", "'null'", "'{\"b\": [1, 2], \"a\": null}'"],
    );
    add("vb", Kind::Bytes, "VARBINARY(8)", BYTES);
    add("bin4", Kind::Bytes, "BINARY(4)", BYTES);
    add("blb", Kind::Bytes, "BLOB", BYTES);
    for (number, (charset, collation)) in flavour.collations().iter().enumerate() {
        for (prefix, kind) in [("v", "VARCHAR(10)"), ("f", "CHAR(6)"), ("l", "TEXT")] {
            let declaration = format!("{kind} CHARACTER SET {charset} COLLATE {collation}");
            add(&format!("{prefix}{number}"), Kind::Text(number), &declaration, TEXTS);
        }
    }
    all
}

/// A column for sharding keys: never NULL.
pub fn key(flavour: Flavour, dice: &mut Dice) -> Column {
    let column = |kind, declaration: String, values: &[&str]| Column {
        name: "k".to_owned(),
        kind,
        declaration: format!("{declaration} NOT NULL"),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    match dice.below(6) {
        0..=2 => column(Kind::Int, "INT".to_owned(), &["0", "1", "2", "3", "4", "5", "-1", "6"]),
        3 => column(Kind::Int, "BIGINT".to_owned(), &["0", "1", "2", "3", "4", "5", "-3", "8"]),
        _ => {
            let number = dice.below(flavour.collations().len());
            let (charset, collation) = flavour.collations()[number];
            let declaration = format!("VARCHAR(10) CHARACTER SET {charset} COLLATE {collation}");
            column(Kind::Text(number), declaration, ASCII_TEXTS)
        }
    }
}

impl Kind {
    /// The smallest literal of the kind.
    pub fn least(self) -> &'static str {
        match self {
            Self::Int | Self::Big | Self::Bit => "1",
            Self::Decimal => "1.5",
            Self::Double => "1e0",
            Self::Text(_) | Self::Bytes | Self::Enum | Self::Set => "'a'",
            Self::Date => "DATE '2024-01-01'",
            Self::DateTime => "TIMESTAMP '2024-01-01 00:00:00'",
            Self::Time => "TIME '12:00:00'",
            Self::Json => "'1'",
        }
    }

    /// A literal.
    pub fn literal(self, dice: &mut Dice) -> Tree {
        let quoted = |text: &str| (text.to_owned(), Param::Text(text.trim_matches('\'').replace("\\t", "\t")));
        let (text, param) = match self {
            _ if dice.one_in(25) => ("NULL".to_owned(), Param::Null),
            Self::Int | Self::Big | Self::Bit => {
                let number = dice.below(7) as i64 - 1;
                (number.to_string(), Param::Int(number))
            }
            Self::Decimal => {
                let text = dice.pick(&["1.50", "0.01", "-1.50", "2.250", "0"]);
                (text.to_owned(), Param::Text(text.to_owned()))
            }
            Self::Double => {
                let number = dice.below(9) as f64 / 4.0 - 1.0;
                (format!("{number:e}"), Param::Double(number))
            }
            Self::Text(_) => quoted(dice.pick(TEXTS)),
            Self::Bytes => quoted(dice.pick(&["'a'", "'A'", "''", "'a '"])),
            Self::Date => quoted(dice.pick(DATES)),
            Self::DateTime => quoted(dice.pick(MOMENTS)),
            Self::Time => quoted(dice.pick(TIMES)),
            Self::Enum => quoted(dice.pick(&["'a'", "'b'", "'C'", "''"])),
            Self::Set => quoted(dice.pick(&["'x,y'", "''", "'z'"])),
            Self::Json => quoted(dice.pick(&["'1'", "'[1, 2]'"])),
        };
        Tree::Node(Sort::Value(self), vec![Tree::Literal(text, param)])
    }
}
