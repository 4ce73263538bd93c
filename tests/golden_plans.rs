//! Golden plans: what is sent where for a statement, and what is done with the answers.
//!
//! Each file of `tests/golden/*.txt` holds statements, each followed by its plan, indented. `SHARDLOOM_GOLDEN=write`
//! writes the plans anew; then read the diff. Lines before a statement set it up: `schema: name`,
//! `params: 1, 'a', NULL`. In `catalog.txt` a view has its query behind ` = `, as its server prints it, and the word `primary` behind a column puts it into the primary key.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shardloom::catalog::{CatalogView, ColumnInfo, TableInfo, TableKind};
use shardloom::config::Rules;
use shardloom::error::Report;
use shardloom::plan::{NoSession, PlanContext, PlanError, plan};
use shardloom::route::key::{KeyType, RawValue};
use shardloom::sql::{LexMode, scan};

/// The folder of the golden files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

struct Columns(HashMap<(String, String), Arc<TableInfo>>);

impl CatalogView for Columns {
    fn table(&self, schema: &str, table: &str) -> Option<Arc<TableInfo>> {
        self.0.get(&(schema.to_lowercase(), table.to_lowercase())).cloned()
    }
}

impl Columns {
    fn read(text: &str) -> Self {
        let mut tables = HashMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let (line, definition) = line.split_once(" = ").map_or((line, None), |(line, text)| (line, Some(text)));
            let (name, columns) = line.split_once(": ").unwrap();
            let (schema, table) = name.split_once('.').unwrap();
            let texts = split_columns(columns);
            let in_key = texts.iter().filter(|text| text.split_whitespace().any(|word| word == "primary"));
            let primary_key = in_key.filter_map(|text| text.split_whitespace().next()).map(str::to_owned).collect();
            let columns = texts.iter().map(|column| column_of(column)).collect();
            let info = TableInfo {
                kind: if definition.is_some() { TableKind::View } else { TableKind::Base },
                on_mysql: false,
                columns,
                primary_key,
                unique_keys: Vec::new(),
                engine: None,
                definition: definition.map(str::to_owned),
                collation: None,
            };
            tables.insert((schema.to_owned(), table.to_lowercase()), Arc::new(info));
        }
        Self(tables)
    }
}

/// Splits at commas outside of parentheses.
fn split_columns(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts
}

fn column_of(text: &str) -> ColumnInfo {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap().to_owned();
    let column_type = words.next().unwrap().to_owned();
    let rest: Vec<&str> = words.collect();
    let data_type = column_type.split('(').next().unwrap().to_owned();
    let text_type = column_type.clone();
    let collation = rest.iter().find(|word| word.starts_with("utf8")).map(|word| (*word).to_owned());
    ColumnInfo {
        name,
        data_type,
        column_type,
        key_type: KeyType::of_column(&text_type, collation.as_deref()),
        charset: collation.as_ref().map(|_| "utf8mb4".to_owned()),
        collation,
        nullable: true,
        auto_increment: rest.contains(&"auto_increment"),
        generated: false,
        invisible: false,
        is_json_text: false,
        default: None,
    }
}

/// A statement of a golden file.
#[derive(Debug, Default)]
struct Case {
    /// Comments and settings in front of it.
    before: Vec<String>,
    schema: String,
    params: Vec<RawValue<'static>>,
    sql: String,
    expected: String,
}

fn read_cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut schema = "shop".to_owned();
    let mut case = Case::default();
    for line in text.lines().chain([""]) {
        if let Some(plan) = line.strip_prefix("  ") {
            let _ = writeln!(case.expected, "{plan}");
        } else if line.is_empty() {
            if case.sql.is_empty() {
                case.before.push(String::new());
                continue;
            }
            case.schema.clone_from(&schema);
            cases.push(std::mem::take(&mut case));
        } else if let Some(params) = line.strip_prefix("params: ") {
            case.before.push(line.to_owned());
            case.params = params.split(", ").map(param).collect();
        } else if let Some(name) = line.strip_prefix("schema: ") {
            case.before.push(line.to_owned());
            schema = name.to_owned();
        } else if line.starts_with('#') {
            case.before.push(line.to_owned());
        } else {
            if !case.sql.is_empty() {
                case.sql.push('\n');
            }
            case.sql.push_str(line);
        }
    }
    cases
}

fn param(text: &str) -> RawValue<'static> {
    match text {
        "NULL" => RawValue::Null,
        quoted if quoted.starts_with('\'') => RawValue::Text(quoted.trim_matches('\'').as_bytes().to_vec().into()),
        number => RawValue::Int(number.parse().unwrap()),
    }
}

/// The plan of a statement as a golden file shows it.
fn described(rules: &Rules, catalog: &Columns, case: &Case) -> String {
    let planned = || -> Result<String, PlanError> {
        let mode = LexMode::default();
        let mut literals = Vec::new();
        let scanned = scan(case.sql.as_bytes(), mode, &mut literals);
        let schema = rules.schema(&case.schema);
        let prepared = scanned.placeholders > 0;
        let context = PlanContext {
            rules,
            schema,
            catalog,
            mode,
            in_information_schema: false,
            assume_types: false,
            text_is_utf8: true,
            prepared,
        };
        let planned = plan(&context, case.sql.as_bytes(), &scanned, &literals)?;
        let mut text = planned.describe(case.sql.as_bytes(), &literals, &case.params, &NoSession)?;
        let mut add = |what: String| {
            let _ = write!(text, "\n{what}");
        };
        if planned.needs.timestamp {
            add("needs: timestamp".to_owned());
        }
        if planned.pins.any() {
            add(format!("pins: {}", pins(&planned.pins)));
        }
        if !planned.pinned.is_empty() {
            let pinned: Vec<_> = planned.pinned.iter().map(|p| String::from_utf8_lossy(&p.text).into_owned()).collect();
            add(format!("only with the literals: {}", pinned.join(", ")));
        }
        Ok(text)
    };
    match planned() {
        Ok(text) => text,
        Err(error) => format!("ERROR {} ({}): {error}", error.errno(), error.sqlstate()),
    }
}

fn pins(pins: &shardloom::plan::Pins) -> String {
    let all = [
        (pins.named_lock, "named lock"),
        (pins.temporary_table, "temporary table"),
        (pins.user_variables, "user variables"),
        (pins.found_rows, "found rows"),
        (pins.unknown, "unknown state"),
    ];
    all.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

fn load() -> (Rules, Columns) {
    let read = |path: &str| std::fs::read_to_string(folder().join(path)).unwrap();
    let rules = Rules::load(&folder().join("rules")).unwrap_or_else(|problems| panic!("{problems}"));
    (rules, Columns::read(&read("catalog.txt")))
}

#[test]
fn plans_are_as_written() {
    let (rules, catalog) = load();
    let rewrite = std::env::var("SHARDLOOM_GOLDEN").is_ok_and(|value| value == "write");
    let mut wrong = String::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt") && !path.ends_with("catalog.txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut written = String::new();
        for case in read_cases(&text) {
            let found = described(&rules, &catalog, &case);
            if found != case.expected.trim_end() && !rewrite {
                let name = path.file_name().unwrap().to_string_lossy();
                let _ = writeln!(wrong, "--- {name}: {}\nexpected:\n{}found:\n{found}\n", case.sql, case.expected);
            }
            for line in case.before.iter().chain([&case.sql]) {
                let _ = writeln!(written, "{line}");
            }
            for line in found.lines() {
                let _ = writeln!(written, "  {line}");
            }
            written.push('\n');
        }
        if rewrite {
            std::fs::write(&path, written).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nSHARDLOOM_GOLDEN=write cargo test --test golden_plans writes them anew");
}

/// What docs/sql-support.md says of each statement in its tables: on how many shards it runs, or how it is refused.
#[test]
fn docs_say_what_happens() {
    let (rules, catalog) = load();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql-support.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut checked = 0;
    for line in text.lines().filter(|line| line.starts_with("| `") && line.ends_with(" |")) {
        let (statement, says) = line.trim_matches(['|', ' ']).rsplit_once(" | ").unwrap();
        let Some(sql) = statement.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else { continue };
        let says = says.trim();
        let other = says == "scratch" || says == "in steps" || says.starts_with("refused");
        if !(says.ends_with("shard") || says.ends_with("shards") || other) {
            continue;
        }
        let case = Case { schema: "shop".to_owned(), sql: sql.to_owned(), ..Case::default() };
        let plan = described(&rules, &catalog, &case);
        let first = plan.lines().next().unwrap_or_default();
        let found = match first.strip_prefix("ERROR ") {
            Some(error) => format!("refused ({})", error.split(' ').next().unwrap_or_default()),
            None if first.starts_with("relay") => "one shard".to_owned(),
            None if first.starts_with("in steps") => "in steps".to_owned(),
            None => first.trim_start_matches("scatter over ").split(':').next().unwrap_or_default().to_owned(),
        };
        assert_eq!(found, says, "{sql}\n{plan}");
        checked += 1;
    }
    assert!(checked > 100, "only {checked} statements of the tables were understood");
}
