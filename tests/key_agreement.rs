//! Sharding keys agree with a real server: a row that a comparison matches is where the comparison is sent.
//!
//! For each type of column every literal is stored that has a key, and compared with every literal in several ways. If
//! the server matches a row, the key of the comparison must be the row's key, or all shards.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::cmp::Ordering;
use std::sync::OnceLock;

use shardloom::route::key::{
    DateTimeKey, KeyType, KeyValue, Normalised, RawValue, normalise, normalise_alone, normalise_stored,
};
use support::backends::{Backends, Url};
use support::raw::response::Response;
use support::raw::{Options, RawClient};

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "42",
    "042",
    "42.0",
    "42.5",
    "-42.5",
    "1.5",
    "2.5",
    "0.5",
    "-0.5",
    "127",
    "128",
    "300",
    "4.2e1",
    "4.25e1",
    "TRUE",
    "9007199254740992",
    "9007199254740993",
    "9007199254740994",
    "9007199254740993.0",
    "9007199254740993e0",
    "18446744073709551615",
    "-9223372036854775808",
    "42.00000000000000000001",
    "1.005",
    "99999999.99",
    "0x2A",
    "x'2A'",
    "b'101010'",
    "0x3432",
];
const TEXTS: &[&str] = &[
    "''",
    "'0'",
    "'42'",
    "' 42'",
    "'42 '",
    "'042'",
    "'42.0'",
    "'4.2e1'",
    "'+42'",
    "'42abc'",
    "'abc'",
    "'ABC'",
    "'Abc'",
    "'abc '",
    "' abc'",
    "'a'",
    "'A'",
    "'ab'",
    "'b'",
    "'9007199254740993'",
    "'9007199254740992'",
    "'18446744073709551615'",
    "'1.5'",
    "'42.5'",
    "'41.9999999999999999999'",
    "'x-1_Y'",
    "'zz'",
    "'~'",
    "'a\\0'",
    "'a\\t'",
    "'a\\n'",
    "0x616263",
    "x'414243'",
    "_binary'abc'",
    "'Grüße'",
    "'grüsse'",
    "'é'",
    "'e'",
    "'ss'",
    "'ß'",
    "'s'",
    "'😀'",
    "'😁'",
    "'ÄRGER'",
    "'ärger'",
    "'arger'",
    "'ÆON'",
    "'aeon'",
    "'漢字'",
    "'漢'",
    "'Жук'",
    "'жУК'",
    "'が'",
    "'か'",
    "'カ'",
    "'한'",
    "'Łódź'",
    "'lodz'",
    "'e\u{301}'",
    "'ab\u{ad}'",
    "'ab \u{ad}'",
    "'\\\\'",
    "'['",
];
const DATES: &[&str] = &[
    "'2024-01-31'",
    "'2024-1-31'",
    "'20240131'",
    "20240131",
    "'2024-01-31 00:00:00'",
    "'2024-01-31 10:00:00'",
    "'2024-01-31T10:00:00'",
    "'2024-01-31 10:00:00.4'",
    "'2024-01-31 10:00:00.6'",
    "'2024-01-31 10:00:00.600000'",
    "'2024-01-31 23:59:59.9'",
    "'2024-02-01'",
    "'0000-00-00'",
    "'2024-00-00'",
    "'2024-02-30'",
    "DATE '2024-01-31'",
    "TIMESTAMP '2024-01-31 10:00:00'",
    "'10:00:00'",
    "'-10:00:00'",
    "'10:00'",
    "TIME '10:00:00'",
    "'soon'",
    "''",
    "2024",
    "'2024'",
    "24",
    "'24'",
    "0",
    "'0'",
    "1901",
    "1900",
    "2155",
    "2156",
];

#[test]
fn integers() {
    for column in ["TINYINT", "INT", "INT UNSIGNED", "BIGINT", "BIGINT UNSIGNED"] {
        check(column, None, &[NUMBERS, TEXTS]);
    }
}

#[test]
fn decimals() {
    for column in ["DECIMAL(10,2)", "DECIMAL(30,20)", "DECIMAL(20,0)"] {
        check(column, None, &[NUMBERS, TEXTS]);
    }
}

#[test]
fn texts() {
    for collation in [
        "utf8mb4_general_ci",
        "utf8mb4_unicode_ci",
        "utf8mb4_unicode_520_ci",
        "utf8mb4_bin",
        "latin1_swedish_ci",
        "latin1_bin",
        "ascii_general_ci",
        "utf8mb3_general_ci",
        "utf8mb4_0900_ai_ci",
        "utf8mb4_0900_as_cs",
        "utf8mb4_0900_bin",
        "utf8mb4_general_nopad_ci",
        "utf8mb4_nopad_bin",
        "utf8mb4_uca1400_ai_ci",
        "utf8mb4_uca1400_nopad_as_cs",
    ] {
        for column in ["VARCHAR(20)", "CHAR(20)", "VARCHAR(3)"] {
            check(column, Some(collation), &[TEXTS, NUMBERS]);
        }
    }
}

/// The tables of letters, and what is known of Han and Hangul, against the server at hand.
#[test]
fn letters() {
    const TABLES: [(&str, &str); 5] = [
        ("utf8mb4_general_ci", include_str!("../src/route/key/letters/general_ci.txt")),
        ("utf8mb4_unicode_ci", include_str!("../src/route/key/letters/unicode_ci.txt")),
        ("utf8mb4_unicode_520_ci", include_str!("../src/route/key/letters/unicode_520_ci.txt")),
        ("latin1_swedish_ci", include_str!("../src/route/key/letters/swedish_ci.txt")),
        ("utf8mb4_0900_ai_ci", include_str!("../src/route/key/letters/0900_ai_ci.txt")),
    ];
    const OF_MARIADB: &str = include_str!("../src/route/key/letters/uca1400_ai_ci.txt");
    let mut client = Options::new(&Backends::shared().plain).connect().unwrap();
    let version = client.query("SELECT VERSION()");
    let Response::Rows(version) = version else { panic!("{version:?}") };
    let is_mariadb = version.text()[0][0].as_deref().unwrap().contains("MariaDB");
    let last = if is_mariadb { ("utf8mb4_uca1400_ai_ci", OF_MARIADB) } else { TABLES[4] };
    for (collation, table) in TABLES[..4].iter().copied().chain([last]) {
        let charset = collation.split('_').next().unwrap();
        let han: String = ('\u{4E00}'..='\u{9FA5}').step_by(37).chain(('\u{AC00}'..='\u{D7A3}').step_by(29)).collect();
        let own = if charset == "latin1" { String::new() } else { han };
        let lines = table.lines().map(|line| line.split_once('\t').unwrap());
        let own = own.chars().map(|letter| (letter.to_string(), letter.to_string()));
        let mut weights: Vec<(String, String)> = Vec::new();
        for (form, members) in lines.map(|(form, members)| (form.to_owned(), members.to_owned())).chain(own) {
            let weight =
                |text: &str| format!("HEX(WEIGHT_STRING(CONVERT('{text}' USING {charset}) COLLATE {collation}))");
            let all: Vec<String> = members
                .chars()
                .flat_map(|letter| [weight(&letter.to_string()), weight(&format!("x{letter}a{letter}"))])
                .collect();
            let whole = [weight(&form.replace('\\', "\\\\")), weight("x"), weight("a")];
            let answer = client.query(&format!("SELECT {}, {}", all.join(", "), whole.join(", ")));
            let Response::Rows(rows) = answer else { panic!("{collation} {form}: {answer:?}") };
            let cells: Vec<String> = rows.text()[0].iter().map(|cell| cell.clone().unwrap()).collect();
            let (pairs, whole) = cells.split_at(all.len());
            let one = &pairs[0];
            for (letter, pair) in members.chars().zip(pairs.chunks(2)) {
                assert_eq!(pair[0], *one, "{collation}: {letter} becomes {form}");
                assert_eq!(pair[1], format!("{}{one}{}{one}", whole[1], whole[2]), "{collation}: x{letter}a{letter}");
            }
            let is_text = form.chars().all(|letter| letter < '\u{F0000}');
            assert!(!is_text || whole[0] == *one, "{collation}: {form} stands for {members}");
            weights.push((one.clone(), form));
        }
        weights.sort();
        for pair in weights.windows(2) {
            assert_ne!(pair[0].0, pair[1].0, "{collation}: {} and {}", pair[0].1, pair[1].1);
        }
    }
}

#[test]
fn bytes() {
    for column in ["VARBINARY(20)", "BINARY(4)"] {
        check(column, None, &[TEXTS, NUMBERS]);
    }
}

#[test]
fn dates_and_times() {
    for column in ["DATE", "DATETIME", "DATETIME(1)", "DATETIME(6)", "TIME", "TIME(6)", "YEAR"] {
        check(column, None, &[DATES]);
    }
}

/// A literal as the planner would give it.
fn raw(literal: &'static str) -> RawValue<'static> {
    let quoted = |prefix: &str| literal.strip_prefix(prefix)?.strip_prefix('\'')?.strip_suffix('\'');
    let moment = |text: &str| DateTimeKey::parse(text).unwrap();
    if let Some(text) = quoted("") {
        let text = text.replace("\\0", "\0").replace("\\t", "\t").replace("\\n", "\n");
        RawValue::Text(text.into_bytes().into())
    } else if let Some(hex) = literal.strip_prefix("0x") {
        RawValue::Hex(from_hex(hex).into())
    } else if let Some(hex) = quoted("x") {
        RawValue::Binary(from_hex(hex).into())
    } else if let Some(text) = quoted("_binary") {
        RawValue::Binary(text.as_bytes().into())
    } else if let Some(bits) = quoted("b") {
        RawValue::Hex(vec![u8::from_str_radix(bits, 2).unwrap()].into())
    } else if let Some(date) = quoted("DATE ") {
        RawValue::Date(moment(date).date)
    } else if let Some(text) = quoted("TIMESTAMP ") {
        RawValue::DateTime(moment(text))
    } else if quoted("TIME ").is_some() {
        RawValue::Time(36_000_000_000)
    } else if literal == "TRUE" {
        RawValue::Int(1)
    } else if let Ok(value) = literal.parse() {
        RawValue::Int(value)
    } else if literal.contains('e') {
        RawValue::Float(literal.parse().unwrap())
    } else {
        RawValue::Decimal(literal.into())
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn server() -> &'static Url {
    static SERVER: OnceLock<Backends> = OnceLock::new();
    if std::env::var_os("SHARDLOOM_TEST_BACKENDS").is_some_and(|value| !value.is_empty()) {
        return &Backends::shared().plain;
    }
    let spec = shardloom::playground::cluster::ClusterSpec { groups: 0, replicas: 0, plain: 1, options: Vec::new() };
    &SERVER.get_or_init(|| Backends::start(&spec)).plain
}

/// Rows of one column with their keys.
struct Table {
    client: RawClient,
    name: String,
    key_type: KeyType,
    rows: Vec<(u32, &'static str, KeyValue)>,
}

fn check(column: &str, collation: Option<&str>, literals: &[&[&'static str]]) {
    let literals: Vec<&'static str> = literals.concat();
    let Some(mut table) = fill(column, collation, &literals) else { return };
    assert!(!table.rows.is_empty(), "{column}: no literal can be stored");
    for (index, literal) in literals.iter().enumerate() {
        let value = raw(literal);
        let alone = normalise_alone(&table.key_type, &value);
        let anywhere = normalise(&table.key_type, &value);
        table.expect(&format!("c = {literal}"), &[&alone]);
        table.expect(&format!("c <=> {literal}"), &[&alone]);
        table.expect(&format!("c BETWEEN {literal} AND {literal}"), &[&anywhere]);
        for step in [1, 7, 20, 33] {
            let other = literals[(index + step) % literals.len()];
            let of_other = normalise(&table.key_type, &raw(other));
            table.expect(&format!("c IN ({literal}, {other})"), &[&anywhere, &of_other]);
        }
        table.expect_order(">=", literal, &anywhere, Ordering::is_ge);
        table.expect_order("<=", literal, &anywhere, Ordering::is_le);
    }
}

fn fill(column: &str, collation: Option<&str>, literals: &[&'static str]) -> Option<Table> {
    let mut client = Options::new(server()).connect().unwrap();
    client.run("CREATE DATABASE IF NOT EXISTS key_agreement");
    client.run("USE key_agreement");
    client.run("SET NAMES utf8mb4");
    client.run("SET sql_mode = ''");
    let name = format!("{column} {}", collation.unwrap_or("")).replace([' ', '(', ')', ','], "_");
    client.run(&format!("DROP TABLE IF EXISTS {name}"));
    let charset = collation.map_or(String::new(), |collation| {
        format!("CHARACTER SET {} COLLATE {collation}", collation.split('_').next().unwrap())
    });
    let create = format!("CREATE TABLE {name} (id INT PRIMARY KEY, c {column} {charset})");
    if let Response::Err(error) = client.query(&create) {
        // MySQL and MariaDB have collations of their own.
        assert!(error.message.contains("ollation"), "{create}: {}", error.message);
        return None;
    }
    let key_type = key_type(&mut client, &name);
    assert_ne!(key_type, KeyType::Unknown, "{column} {collation:?}");
    let mut table = Table { client, name, key_type, rows: Vec::new() };
    for (id, literal) in (0..).zip(literals) {
        if let Normalised::Key(key) = normalise_stored(&table.key_type, &raw(literal)) {
            table.client.run(&format!("INSERT INTO {} VALUES ({id}, {literal})", table.name));
            table.rows.push((id, literal, key));
        }
    }
    Some(table)
}

fn key_type(client: &mut RawClient, table: &str) -> KeyType {
    let rows = client.rows(&format!(
        "SELECT COLUMN_TYPE, COLLATION_NAME FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = 'key_agreement' AND TABLE_NAME = '{table}' AND COLUMN_NAME = 'c'"
    ));
    let row = rows.text().remove(0);
    KeyType::of_column(row[0].as_deref().unwrap(), row[1].as_deref())
}

impl Table {
    /// The rows that the server matches; none when it refuses the comparison.
    fn matched(&mut self, condition: &str) -> Vec<(u32, &'static str, KeyValue)> {
        let answer = self.client.query(&format!("SELECT id FROM {} WHERE {condition}", self.name));
        let Response::Rows(rows) = answer else { return Vec::new() };
        let ids: Vec<u32> = rows.text().into_iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect();
        self.rows.iter().filter(|(id, ..)| ids.contains(id)).cloned().collect()
    }

    fn expect(&mut self, condition: &str, keys: &[&Normalised]) {
        for (_, stored, key) in self.matched(condition) {
            let is_reached = keys.iter().any(|reached| match reached {
                Normalised::Anywhere => true,
                Normalised::Key(reached) => *reached == key,
                Normalised::Null | Normalised::NoMatch => false,
            });
            assert!(
                is_reached,
                "{}: {condition} matches the row stored as {stored}, whose key is {key}, and leads to {keys:?}",
                self.name
            );
        }
    }

    fn expect_order(&mut self, operator: &str, literal: &str, bound: &Normalised, is_within: fn(Ordering) -> bool) {
        let Normalised::Key(bound) = bound else { return };
        for (_, stored, key) in self.matched(&format!("c {operator} {literal}")) {
            let is_reached = key.order(bound).is_none_or(is_within);
            assert!(
                is_reached,
                "{}: c {operator} {literal} matches the row stored as {stored}, but {key} is not {operator} {bound}",
                self.name
            );
        }
    }
}
