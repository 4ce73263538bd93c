//! Keys of the logical schemas.

use super::Kind::{Int, ListOf, Map, MapOf, OneOf, Other, Text};
use super::{Section, default, optional, required};

/// An entry of `schemas`.
pub const SCHEMA: Section = Section {
    name: "schema",
    keys: &[
        optional(
            "default_group",
            Text,
            "tables that no rule names are unknown",
            "The group of the tables that no rule names.",
        ),
        optional("tables", MapOf("table"), "none", "The tables that are placed by rules."),
        optional(
            "binding_tables",
            ListOf("lists of table names"),
            "none",
            "Tables that are split alike and joined on their sharding keys.",
        ),
        optional("broadcast_tables", ListOf("table names"), "none", "Tables that every group holds in full."),
        default(
            "transactions",
            OneOf(&["two_phase", "single"]),
            "two_phase",
            "Over how many groups a transaction may write: any number, by two-phase commit, or one.",
        ),
        optional("algorithms", MapOf("algorithms"), "none", "Named sharding algorithms."),
        optional("key_generators", MapOf("key_generator"), "none", "Named generators of keys."),
    ],
};

/// An entry of `tables`.
pub const TABLE: Section = Section {
    name: "table",
    keys: &[
        required(
            "data_nodes",
            ListOf("data nodes"),
            "Where its parts are: `group.table` or `group.schema.table`, with `{0..3}`, `{00..15}`, `{0..8..2}`, `{a,b}`.",
        ),
        optional("strategy", Map("strategy"), "none; one node needs none", "How a key chooses among all nodes."),
        optional("database_strategy", Map("strategy"), "none", "How a key chooses the group (and physical schema)."),
        optional("table_strategy", Map("strategy"), "none", "How a key chooses the table there."),
        optional("key_generator", Map("table_key"), "none", "The column that is filled when an insert leaves it out."),
    ],
};

/// `strategy`, `database_strategy`, `table_strategy`.
pub const STRATEGY: Section = Section {
    name: "strategy",
    keys: &[
        optional("columns", ListOf("column names"), "none; `hint` needs none", "The sharding key."),
        required(
            "algorithm",
            Other("name in `algorithms`, or a map, see algorithms"),
            "What leads the key to its place.",
        ),
    ],
};

/// `key_generator` of a table.
pub const TABLE_KEY: Section = Section {
    name: "table_key",
    keys: &[
        required("column", Text, "The column."),
        required("generator", Text, "The name of the generator in `key_generators`."),
    ],
};

/// An entry of `key_generators`.
pub const KEY_GENERATOR: Section = Section {
    name: "key_generator",
    keys: &[
        required("type", OneOf(&["snowflake", "auto_segment", "uuid_v7"]), "What makes the keys, see below."),
        optional(
            "worker_id",
            Int(0, 1023),
            "leased in a table of `group`",
            "`snowflake`: must differ among proxies that are alive at the same time.",
        ),
        optional(
            "group",
            Text,
            "the first group",
            "The group whose primary counts the sequence, or leases worker ids.",
        ),
        default("block", Int(1, 10_000_000), "1000", "`auto_segment`: how many keys a proxy takes at once."),
        default(
            "lease_ms",
            Int(1_000, 3_600_000),
            "30000",
            "`snowflake`: how long a leased worker id is kept that is not renewed.",
        ),
        default("epoch", Text, "2024-01-01 00:00:00", "The moment (UTC) that the milliseconds are counted from."),
        default(
            "max_backward_ms",
            Int(0, 60_000),
            "1000",
            "How far back the clock may go; it is waited out. Beyond, inserts fail.",
        ),
    ],
};
