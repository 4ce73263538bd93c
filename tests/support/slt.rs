//! Files of statements that a plain server and the proxy must answer alike.
//!
//! A file is a list of records with an empty line between them. The first line of a record says what is expected,
//! the rest is one statement:
//!
//! - `ok`: any answer, the same on both sides; rows, if there are some, in the same order
//! - `query`: rows in the same order; run once as text and once prepared, so that both protocols are compared
//! - `query bag`: as `query`, the order of the rows left open
//! - `error N`: both sides answer with error number N and the same text
//! - `refused`: only for the proxy, which must answer 1235/42000
//! - `proxy`: only for the proxy, which must not answer with an error
//! - `plain`: only for the plain server
//!
//! Words after these: `text` (not prepared), `open` (the proxy may refuse it with 1235, but not answer otherwise), `loose`
//! (of columns only names and classes of types are compared, of errors only number and state, of OK all but the insert
//! id; a reason stands in a comment), `warned` (of warnings only whether there are some: each shard counts those of the
//! statement itself), `quiet` (not even that: the proxy answers what the server warns of), `mariadb` (not over MySQL,
//! which has no such statement or answers it otherwise), `mysql` (not over MariaDB), `view` (over MySQL, the origin of
//! columns is not compared: MySQL names the view, and the proxy the table under it). A line `params 1, 'a', NULL` runs the
//! statement prepared with these parameters. A line of its own `connection b` makes the records after it use another
//! connection. `#` begins a comment.

use super::backends::Url;
use super::raw::response::{Column, ErrPacket, OkPacket, Response, Rows, status};
use super::raw::{Options, Param, RawClient};

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Key flags of a column (primary, unique, multiple, part of a key) and the one of a column that is grouped by: a server
/// drops or adds them where it sorts in a temporary table, so they tell how it ran the statement.
const INCIDENTAL_COLUMN_FLAGS: u16 = 0x0002 | 0x0004 | 0x0008 | 0x4000 | 0x8000;
/// BINARY: of a number it tells the same.
const BINARY_FLAG: u16 = 0x0080;
/// What [`Column::class`] says of strings.
const STRING_CLASS: u8 = 253;
/// The collation of what is no text.
const BINARY_COLLATION: u16 = 63;
/// How many differences of one file are reported.
const REPORT_LIMIT: usize = 25;
/// How many rows of a result are printed.
const ROWS_SHOWN: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Same,
    Query { bag: bool },
    Error(u16),
    Refused,
    ProxyOnly,
    PlainOnly,
}

#[derive(Debug)]
struct Record {
    line: usize,
    expect: Expect,
    text_only: bool,
    loose: bool,
    open: bool,
    warned: bool,
    mariadb: bool,
    mysql: bool,
    view: bool,
    quiet: bool,
    params: Option<Vec<Param>>,
    connection: String,
    sql: String,
}

/// The two sides, each with its named connections.
struct Sides {
    proxy: Side,
    plain: Side,
}

struct Side {
    url: Url,
    schema: String,
    capabilities: u32,
    connections: BTreeMap<String, RawClient>,
}

impl Side {
    fn client(&mut self, name: &str) -> &mut RawClient {
        let (url, schema) = (&self.url, &self.schema);
        self.connections.entry(name.to_owned()).or_insert_with(|| {
            let mut options = Options::new(url).schema(schema);
            options.capabilities = self.capabilities;
            options.connect().unwrap_or_else(|error| panic!("connect to {url}: {error:?}"))
        })
    }
}

/// Runs files, given with their names, on both sides; panics with all differences found.
pub fn compare(files: &[(&str, &str)], proxy: &Url, plain: &Url, schema: &str, capabilities: u32) {
    let side =
        |url: &Url| Side { url: url.clone(), schema: schema.to_owned(), capabilities, connections: BTreeMap::new() };
    let mut sides = Sides { proxy: side(proxy), plain: side(plain) };
    let version = sides.plain.client("version").rows("SELECT VERSION()").scalar();
    let is_mariadb = version.is_some_and(|version| version.contains("MariaDB"));
    let (mut problems, mut total) = (Vec::new(), 0);
    for (name, text) in files {
        let mut records = parse(text);
        records.iter_mut().for_each(|record| record.view &= !is_mariadb);
        assert!(!records.is_empty(), "{name} holds no records");
        total += records.len();
        for record in records.iter().filter(|record| if is_mariadb { !record.mysql } else { !record.mariadb }) {
            if let Err(problem) = run(record, &mut sides) {
                problems.push(format!("{name}:{}: {}\n{problem}", record.line, record.sql));
            }
        }
    }
    let count = problems.len();
    problems.truncate(REPORT_LIMIT);
    assert!(count == 0, "{count} of {total} records differ:\n\n{}", problems.join("\n\n"));
}

fn run(record: &Record, sides: &mut Sides) -> Result<(), String> {
    let name = &record.connection;
    match record.expect {
        Expect::PlainOnly => {
            let answers = text_answers(sides.plain.client(name), &record.sql);
            return no_error("the plain server", &answers);
        }
        Expect::ProxyOnly => return no_error("the proxy", &text_answers(sides.proxy.client(name), &record.sql)),
        Expect::Refused => return check_refused(record, sides.proxy.client(name)),
        Expect::Same | Expect::Query { .. } | Expect::Error(_) => {}
    }
    if let Some(params) = &record.params {
        return check_prepared(record, sides, params);
    }
    let want = text_answers(sides.plain.client(name), &record.sql);
    let got = text_answers(sides.proxy.client(name), &record.sql);
    check(record, &want, &got)?;
    if matches!(record.expect, Expect::Query { .. }) && !record.text_only {
        check_prepared(record, sides, &[]).map_err(|problem| format!("(prepared) {problem}"))?;
    }
    Ok(())
}

fn text_answers(client: &mut RawClient, sql: &str) -> Vec<Response> {
    client.send_query(sql);
    client.read_all(false).unwrap_or_else(|error| panic!("the connection broke: {error}\n{sql}"))
}

fn check_prepared(record: &Record, sides: &mut Sides, params: &[Param]) -> Result<(), String> {
    let mut answers = [&mut sides.plain, &mut sides.proxy].map(|side| {
        let client = side.client(&record.connection);
        match client.prepare(&record.sql) {
            Err(error) => (None, Response::Err(error)),
            Ok(statement) if statement.parameters.len() != params.len() => {
                let count = statement.parameters.len();
                client.close_statement(&statement);
                (Some(format!("{count} parameters")), Response::Ok(OkPacket::default()))
            }
            Ok(statement) => {
                let answer = client.execute(&statement, params);
                client.close_statement(&statement);
                let columns: Vec<&str> = statement.columns.iter().map(|column| column.name.as_str()).collect();
                (Some(format!("columns {columns:?}")), answer)
            }
        }
    });
    let (got_prepare, got) = std::mem::replace(&mut answers[1], (None, Response::Ok(OkPacket::default())));
    let (want_prepare, want) = std::mem::replace(&mut answers[0], (None, Response::Ok(OkPacket::default())));
    if is_open_refusal(record, std::slice::from_ref(&got)) {
        return Ok(());
    }
    if want_prepare != got_prepare {
        return Err(format!("  prepare answered {want_prepare:?} plainly, {got_prepare:?} by the proxy"));
    }
    check(record, &[want], &[got])
}

fn check_refused(record: &Record, client: &mut RawClient) -> Result<(), String> {
    let answers = match &record.params {
        None => text_answers(client, &record.sql),
        Some(params) => match client.prepare(&record.sql) {
            Err(error) => vec![Response::Err(error)],
            Ok(statement) => vec![client.execute(&statement, params)],
        },
    };
    match answers.last() {
        Some(Response::Err(error)) if error.errno == 1235 && error.sqlstate == "42000" => Ok(()),
        other => Err(format!("  expected a refusal (1235/42000), got {}", other.map(show).unwrap_or_default())),
    }
}

fn no_error(who: &str, answers: &[Response]) -> Result<(), String> {
    match answers.iter().find(|answer| matches!(answer, Response::Err(_))) {
        Some(error) => Err(format!("  {who} answered {}", show(error))),
        None => Ok(()),
    }
}

fn is_open_refusal(record: &Record, got: &[Response]) -> bool {
    record.open && matches!(got.last(), Some(Response::Err(error)) if error.errno == 1235)
}

fn check(record: &Record, want: &[Response], got: &[Response]) -> Result<(), String> {
    if is_open_refusal(record, got) {
        return Ok(());
    }
    let bag = matches!(record.expect, Expect::Query { bag: true });
    let comparable = |answers: &[Response]| -> Vec<Response> {
        answers.iter().cloned().map(|answer| normalise(answer, bag, record)).collect()
    };
    if let Expect::Error(errno) = record.expect {
        let matches = matches!(want.last(), Some(Response::Err(error)) if error.errno == errno);
        if !matches {
            return Err(format!("  the plain server did not answer error {errno}: {}", show_all(want)));
        }
    } else if let (Expect::Query { .. }, Some(Response::Err(error))) = (record.expect, want.last()) {
        return Err(format!("  the plain server refused the query: {error}"));
    }
    let (want, got) = (comparable(want), comparable(got));
    if want == got { Ok(()) } else { Err(difference(&want, &got)) }
}

fn normalise(answer: Response, bag: bool, record: &Record) -> Response {
    let loose = record.loose;
    let warnings = |count: u16| match count {
        _ if record.quiet => 0,
        count if record.warned => count.min(1),
        count => count,
    };
    match answer {
        Response::Ok(mut ok) => {
            ok.warnings = warnings(ok.warnings);
            if let (true, Some(at)) = (record.warned, ok.info.find("  Warnings: ")) {
                ok.info.truncate(at);
            }
            ok.status &= !status::INCIDENTAL;
            ok.session_state.clear();
            ok.info_lacks_length = false;
            if loose {
                ok.last_insert_id = 0;
            }
            Response::Ok(ok)
        }
        Response::Rows(mut rows) => {
            rows.warnings = warnings(rows.warnings);
            rows.status &= !status::INCIDENTAL;
            if bag {
                rows.rows.sort();
            }
            for column in &mut rows.columns {
                let is_number = column.charset == BINARY_COLLATION && column.class() != STRING_CLASS;
                column.flags &= !INCIDENTAL_COLUMN_FLAGS;
                column.flags &= if is_number { !BINARY_FLAG } else { !0 };
            }
            if record.view {
                for column in &mut rows.columns {
                    column.schema.clear();
                    column.org_table.clear();
                    column.org_name.clear();
                }
            }
            if loose {
                rows.columns = rows
                    .columns
                    .into_iter()
                    .map(|column| Column { kind: column.class(), name: column.name, ..Column::default() })
                    .collect();
            }
            Response::Rows(rows)
        }
        Response::Err(error) if loose => Response::Err(ErrPacket { message: String::new(), ..error }),
        other => other,
    }
}

fn difference(want: &[Response], got: &[Response]) -> String {
    if let ([Response::Rows(want)], [Response::Rows(got)]) = (want, got)
        && want.columns != got.columns
    {
        let show = |columns: &[Column]| columns.iter().map(|one| format!("\n    {one:?}")).collect::<String>();
        return format!("  columns plainly:{}\n  by the proxy:{}", show(&want.columns), show(&got.columns));
    }
    format!("  plainly:      {}\n  by the proxy: {}", show_all(want), show_all(got))
}

fn show_all(answers: &[Response]) -> String {
    answers.iter().map(show).collect::<Vec<_>>().join(" | ")
}

fn show(answer: &Response) -> String {
    match answer {
        Response::Ok(ok) => format!(
            "OK affected={} insert_id={} status={:#06x} warnings={} info={:?}",
            ok.affected_rows, ok.last_insert_id, ok.status, ok.warnings, ok.info
        ),
        Response::Err(ErrPacket { errno, sqlstate, message }) => format!("ERROR {errno} ({sqlstate}): {message}"),
        Response::Rows(rows) => show_rows(rows),
        Response::LocalInfile(file) => format!("request for file {file}"),
    }
}

fn show_rows(rows: &Rows) -> String {
    let mut text = format!("{} rows, status={:#06x} warnings={}", rows.rows.len(), rows.status, rows.warnings);
    for row in rows.rows.iter().take(ROWS_SHOWN) {
        write!(text, "\n    {}", row.escape_ascii()).unwrap();
    }
    text
}

fn parse(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut connection = "a".to_owned();
    let mut open: Option<Record> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            records.extend(open.take());
        } else if trimmed.starts_with('#') {
        } else if let Some(record) = &mut open {
            match trimmed.strip_prefix("params") {
                Some(list) if record.sql.is_empty() => record.params = Some(parse_params(list)),
                _ if record.sql.is_empty() => record.sql = line.to_owned(),
                _ => record.sql = format!("{}\n{line}", record.sql),
            }
        } else if let Some(name) = trimmed.strip_prefix("connection ") {
            connection = name.to_owned();
        } else {
            open = Some(parse_head(trimmed, index + 1, &connection));
        }
    }
    records.extend(open);
    records.iter().for_each(|record| assert!(!record.sql.is_empty(), "line {}: no statement", record.line));
    records
}

fn parse_head(head: &str, line: usize, connection: &str) -> Record {
    let words: Vec<&str> = head.split_whitespace().collect();
    let expect = match words[0] {
        "ok" => Expect::Same,
        "query" => Expect::Query { bag: words.contains(&"bag") },
        "error" => Expect::Error(words[1].parse().unwrap()),
        "refused" => Expect::Refused,
        "proxy" => Expect::ProxyOnly,
        "plain" => Expect::PlainOnly,
        other => panic!("line {line}: unknown record {other:?}"),
    };
    Record {
        line,
        expect,
        text_only: words.contains(&"text"),
        loose: words.contains(&"loose"),
        open: words.contains(&"open"),
        warned: words.contains(&"warned"),
        mariadb: words.contains(&"mariadb"),
        mysql: words.contains(&"mysql"),
        view: words.contains(&"view"),
        quiet: words.contains(&"quiet"),
        params: None,
        connection: connection.to_owned(),
        sql: String::new(),
    }
}

/// `1, -2, 1.5, 'text', NULL, x'00ff'`: integers, doubles, text, NULL, bytes.
fn parse_params(list: &str) -> Vec<Param> {
    let mut params = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (param, tail) = if let Some(quoted) = rest.strip_prefix('\'') {
            let end = quoted.find('\'').unwrap();
            (Param::Text(quoted[..end].to_owned()), &quoted[end + 1..])
        } else if let Some(quoted) = rest.strip_prefix("x'") {
            let end = quoted.find('\'').unwrap();
            let bytes = (0..end).step_by(2).map(|at| u8::from_str_radix(&quoted[at..at + 2], 16).unwrap()).collect();
            (Param::Bytes(bytes), &quoted[end + 1..])
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (parse_bare(rest[..end].trim()), &rest[end..])
        };
        params.push(param);
        rest = tail.trim_start().trim_start_matches(',').trim_start();
    }
    params
}

fn parse_bare(word: &str) -> Param {
    if word.eq_ignore_ascii_case("null") {
        return Param::Null;
    }
    if let Ok(value) = word.parse::<i64>() {
        return Param::Int(value);
    }
    if let Ok(value) = word.parse::<u64>() {
        return Param::UInt(value);
    }
    Param::Double(word.parse().unwrap_or_else(|_| panic!("parameter {word:?}")))
}
