//! The first promise: through the proxy, over shards, a statement answers what one plain server answers.
//!
//! The statements are in `tests/slt`; each file runs in a schema of its own. With `SHARDLOOM_TEST_SELF_CHECK=1`
//! two plain servers are compared, which shows whether a file itself is right.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::LazyLock;

use support::backends::{Backends, Url};
use support::proxy::{ProxyProcess, Rules};
use support::raw::capability;
use support::slt;

/// How the tables of every file are spread.
const SCHEMA_RULES: &str = include_str!("slt/schema.yaml");
/// The tables and rows that every file starts from.
const COMMON: &str = include_str!("slt/common.slt");

macro_rules! files {
    ($($name:ident),* $(,)?) => {
        /// Every file is a schema of the same name.
        const SCHEMAS: &[&str] = &[$(concat!("slt_", stringify!($name))),*];
        $(
            #[test]
            fn $name() {
                run(concat!("slt_", stringify!($name)), include_str!(concat!("slt/", stringify!($name), ".slt")));
            }
        )*
    };
}

files!(
    aggregate,
    broadcast,
    combine,
    conditions,
    crud,
    ddl,
    dml,
    expressions,
    ids,
    insert,
    join,
    mysql,
    order_limit,
    prepared,
    pushdown,
    refused,
    returning,
    scratch_queries,
    scratch_types,
    session,
    session_values,
    show,
    transaction,
    transaction_groups,
    types,
    views,
    with_again
);

static PROXY: LazyLock<ProxyProcess> = LazyLock::new(|| {
    let rules = SCHEMAS.iter().fold(Rules::default(), |rules, name| rules.and_schema(name, SCHEMA_RULES));
    ProxyProcess::start_shared(&rules)
});

/// Nodes that alternate between the schemas of one server.
const SCHEMAS_RULES: &str = "
    tables:
      parts:
        data_nodes: [g0.slt_schemas.parts_0, g0.slt_schemas_2.parts_0, g0.slt_schemas.parts_1, g0.slt_schemas_2.parts_1]
        strategy: {columns: [k], algorithm: {type: mod}}
    broadcast_tables: [kinds]";

/// Several physical schemas on one server.
#[test]
fn schemas() {
    // The second name is there for its physical schema alone.
    let other = "
    default_group: g0";
    let rules = Rules::schema("slt_schemas", SCHEMAS_RULES).and_schema("slt_schemas_2", other);
    let proxy = ProxyProcess::start(Backends::shared(), &rules);
    let files = [("schemas.slt", include_str!("slt/schemas.slt"))];
    slt::compare(&files, &proxy.url(), &Backends::shared().plain, "slt_schemas", capability::USUAL);
}

/// Cases that the generator found, each with the rules of its tables in lines that begin with `#!`.
const FOUND: &[(&str, &str)] = &[
    ("found_afresh", include_str!("slt/found/afresh.slt")),
    ("found_aliases", include_str!("slt/found/aliases.slt")),
    ("found_care", include_str!("slt/found/care.slt")),
    ("found_carried", include_str!("slt/found/carried.slt")),
    ("found_clauses", include_str!("slt/found/clauses.slt")),
    ("found_comments", include_str!("slt/found/comments.slt")),
    ("found_copies", include_str!("slt/found/copies.slt")),
    ("found_create_select", include_str!("slt/found/create_select.slt")),
    ("found_cut_subquery", include_str!("slt/found/cut_subquery.slt")),
    ("found_duplicates", include_str!("slt/found/duplicates.slt")),
    ("found_forms", include_str!("slt/found/forms.slt")),
    ("found_given_keys", include_str!("slt/found/given_keys.slt")),
    ("found_in_list", include_str!("slt/found/in_list.slt")),
    ("found_invisible", include_str!("slt/found/invisible.slt")),
    ("found_json_parts", include_str!("slt/found/json_parts.slt")),
    ("found_named_twice", include_str!("slt/found/named_twice.slt")),
    ("found_outer_aggregate", include_str!("slt/found/outer_aggregate.slt")),
    ("found_outer_limit", include_str!("slt/found/outer_limit.slt")),
    ("found_moves", include_str!("slt/found/moves.slt")),
    ("found_programs", include_str!("slt/found/programs.slt")),
    ("found_scratch_reads", include_str!("slt/found/scratch_reads.slt")),
    ("found_scratch_values", include_str!("slt/found/scratch_values.slt")),
    ("found_set_operation", include_str!("slt/found/set_operation.slt")),
    ("found_short_keys", include_str!("slt/found/short_keys.slt")),
    ("found_temporary", include_str!("slt/found/temporary.slt")),
    ("found_twins", include_str!("slt/found/twins.slt")),
    ("found_with_ahead", include_str!("slt/found/with_ahead.slt")),
    ("found_writes", include_str!("slt/found/writes.slt")),
];

#[test]
fn found() {
    let rules_of = |text: &str| -> String {
        text.lines().filter_map(|line| line.strip_prefix("#! ")).map(|line| format!("{line}\n")).collect()
    };
    let mut rules = Rules::default();
    for (schema, text) in FOUND {
        rules = rules.and_schema(schema, rules_of(text).trim_end());
    }
    let proxy = ProxyProcess::start(Backends::shared(), &rules);
    for (schema, text) in FOUND {
        slt::compare(&[(schema, text)], &proxy.url(), &Backends::shared().plain, schema, capability::USUAL);
    }
}

/// Keys that are placed by ranges, lists, prefixes and the like.
#[test]
fn keys() {
    let proxy = ProxyProcess::start(Backends::shared(), &Rules::schema("slt_keys", include_str!("slt/keys.yaml")));
    let files = [("keys.slt", include_str!("slt/keys.slt"))];
    slt::compare(&files, &proxy.url(), &Backends::shared().plain, "slt_keys", capability::USUAL);
}

fn run(schema: &str, text: &str) {
    let plain = &Backends::shared().plain;
    let files = [("common.slt", COMMON), (&schema["slt_".len()..], text)];
    if std::env::var_os("SHARDLOOM_TEST_SELF_CHECK").is_some() {
        return self_check(schema, &files);
    }
    // Half of the files run with, half without the capability that changes how results end.
    let even = schema.len().is_multiple_of(2);
    let capabilities = if even { capability::USUAL } else { capability::USUAL & !capability::DEPRECATE_EOF };
    slt::compare(&files, &PROXY.url(), plain, schema, capabilities);
}

fn self_check(schema: &str, files: &[(&str, &str)]) {
    let sides: [&Url; 2] = [&Backends::shared().groups[0].primary, &Backends::shared().plain];
    for url in sides {
        support::raw::Options::new(url).connect().unwrap().run(&format!("CREATE DATABASE {schema}"));
    }
    // Refusals and hints are the proxy's own.
    let is_own = |line: &str| line.starts_with("refused") || line.starts_with("proxy");
    let is_common = |record: &&str| !record.lines().any(is_own);
    let without_own = |text: &str| text.split("\n\n").filter(is_common).collect::<Vec<_>>().join("\n\n");
    let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (*name, without_own(text))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    slt::compare(&files, sides[0], sides[1], schema, capability::USUAL);
}
