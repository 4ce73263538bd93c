//! Keys of the sharding algorithms, one section for each `type`.

use super::Kind::{Flag, Int, ListOf, OneOf, Other, Text};
use super::{Key, Section, default, optional, required};

/// The names of all types.
pub const ALGORITHM_TYPES: &[&str] = &[
    "mod",
    "hash_mod",
    "consistent_hash",
    "range",
    "volume_range",
    "interval",
    "list",
    "prefix",
    "slice",
    "jump",
    "complex",
    "hint",
];

/// The section of a type.
pub fn algorithm_section(name: &str) -> Option<&'static Section> {
    let all = [
        &MOD,
        &HASH_MOD,
        &CONSISTENT_HASH,
        &RANGE,
        &VOLUME_RANGE,
        &INTERVAL,
        &LIST,
        &PREFIX,
        &SLICE,
        &JUMP,
        &COMPLEX,
        &HINT,
    ];
    all.into_iter().find(|section| section.name == name)
}

const TYPE: Key = required("type", OneOf(ALGORITHM_TYPES), "Which algorithm it is.");
const TEXT: Key = default(
    "text",
    Flag,
    "false",
    "Take values that look like numbers or dates as texts, for a column that holds texts.",
);
const VALUES: &str =
    "For each shard the list of its values, in the order of the data nodes; or a map of shard number (from 0) to list.";

/// `type: mod`.
pub const MOD: Section = Section { name: "mod", keys: &[TYPE] };

/// `type: hash_mod`.
pub const HASH_MOD: Section = Section {
    name: "hash_mod",
    keys: &[TYPE, default("hash", OneOf(&["xxh3", "crc32", "murmur3", "java"]), "xxh3", "The hash function.")],
};

/// `type: consistent_hash`.
pub const CONSISTENT_HASH: Section = Section {
    name: "consistent_hash",
    keys: &[
        TYPE,
        default("virtual_nodes", Int(1, 1_048_576), "1024", "Places on the ring per unit of weight."),
        optional(
            "weights",
            Other("list of integers, or map of group to integer"),
            "1 for each",
            "Share of each shard, 0 for none.",
        ),
    ],
};

/// `type: range`.
pub const RANGE: Section = Section {
    name: "range",
    keys: &[
        TYPE,
        required(
            "boundaries",
            ListOf("numbers, dates or texts"),
            "One less than there are shards, ascending; a boundary belongs to the shard above it.",
        ),
        TEXT,
    ],
};

/// `type: volume_range`.
pub const VOLUME_RANGE: Section = Section {
    name: "volume_range",
    keys: &[
        TYPE,
        required("lower", Int(i64::MIN, i64::MAX), "Where the first block begins; the first shard has what is below."),
        required(
            "upper",
            Int(i64::MIN, i64::MAX),
            "Where the last block ends; the last shard has what is from there on.",
        ),
        required("volume", Int(1, i64::MAX), "Keys in a block."),
    ],
};

/// `type: interval`.
pub const INTERVAL: Section = Section {
    name: "interval",
    keys: &[
        TYPE,
        required("lower", Text, "Begin of the first span: `2024-01-01` or `2024-01-01 00:00:00`."),
        optional("upper", Text, "until all shards have a span", "The last span begins at or before it."),
        required(
            "suffix_pattern",
            Text,
            "How the begin of a span is written at the end of the shard's name: `yyyyMM`, `yyyy_MM_dd`, `yyyyQ`, … as Java's `DateTimeFormatter`.",
        ),
        default("amount", Int(1, 1_000_000), "1", "Units in a span."),
        default(
            "unit",
            OneOf(&["years", "months", "weeks", "days", "hours", "minutes", "seconds"]),
            "days",
            "The unit.",
        ),
    ],
};

/// `type: list`.
pub const LIST: Section = Section {
    name: "list",
    keys: &[
        TYPE,
        required("values", Other("list of lists, or map of integer to list"), VALUES),
        optional("default", Int(0, 65_535), "other values are refused", "The shard (from 0) of all other values."),
        TEXT,
    ],
};

/// `type: prefix`.
pub const PREFIX: Section = Section {
    name: "prefix",
    keys: &[
        TYPE,
        required("values", Other("list of lists, or map of integer to list"), VALUES),
        optional("default", Int(0, 65_535), "other values are refused", "The shard (from 0) of all other values."),
    ],
};

/// `type: slice`.
pub const SLICE: Section = Section {
    name: "slice",
    keys: &[
        TYPE,
        default("start", Int(-65_535, 65_535), "0", "The first character, from 0; from the end when negative."),
        optional("length", Int(1, 65_535), "up to the end", "How many characters."),
        default(
            "hash",
            OneOf(&["xxh3", "crc32", "murmur3", "java", "none"]),
            "xxh3",
            "The hash function; `none` takes the part as an integer.",
        ),
    ],
};

/// `type: jump`.
pub const JUMP: Section = Section { name: "jump", keys: &[TYPE] };

/// `type: complex`.
pub const COMPLEX: Section = Section {
    name: "complex",
    keys: &[
        TYPE,
        optional(
            "parts",
            ListOf("algorithms, each with `count`"),
            "all columns are hashed together",
            "One algorithm for each column; `count` is how many ways it splits. The shards are the grid of them, the last part changing fastest.",
        ),
    ],
};

/// `type: hint`.
pub const HINT: Section = Section { name: "hint", keys: &[TYPE] };
