//! What the planner must know of a function: whether it gives the same answer wherever it runs.

/// What kind of function a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FunctionKind {
    /// Its value depends on its arguments alone (and on session variables, which are the same on all shards).
    Pure,
    /// An aggregate.
    Aggregate,
    /// A window function that is nothing else.
    Window,
    /// The time of the statement: equal on all shards once the session binds `timestamp`.
    StatementTime,
    /// Another value at each call or on each server.
    Random,
    /// A value of the client's session; the pooled connection has another.
    Session(SessionFunction),
    /// Takes or frees a named lock: the connection must stay with the client.
    Lock,
    /// `DEFAULT(column)`: only the table itself tells it.
    ColumnDefault,
    /// Does something beside giving a value, or waits: on the primary.
    Effect,
    /// A stored or loadable function: it may do anything.
    Unknown,
}

/// Functions whose value belongs to the client's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionFunction {
    /// `LAST_INSERT_ID()`.
    LastInsertId,
    /// `FOUND_ROWS()`.
    FoundRows,
    /// `ROW_COUNT()`.
    RowCount,
    /// `CONNECTION_ID()`.
    ConnectionId,
    /// `DATABASE()`, `SCHEMA()`.
    Database,
    /// `USER()`, `SESSION_USER()`, `SYSTEM_USER()`.
    User,
    /// `CURRENT_USER` with or without parentheses.
    CurrentUser,
    /// `CURRENT_ROLE()`.
    CurrentRole,
    /// `VERSION()`.
    Version,
}

impl SessionFunction {
    /// By its name in lower case.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "last_insert_id" => Self::LastInsertId,
            "found_rows" => Self::FoundRows,
            "row_count" => Self::RowCount,
            "connection_id" => Self::ConnectionId,
            "database" | "schema" => Self::Database,
            "user" | "session_user" | "system_user" => Self::User,
            "current_user" => Self::CurrentUser,
            "current_role" => Self::CurrentRole,
            "version" => Self::Version,
            _ => return None,
        })
    }

    /// The name, as messages show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LastInsertId => "LAST_INSERT_ID()",
            Self::FoundRows => "FOUND_ROWS()",
            Self::RowCount => "ROW_COUNT()",
            Self::ConnectionId => "CONNECTION_ID()",
            Self::Database => "DATABASE()",
            Self::User => "USER()",
            Self::CurrentUser => "CURRENT_USER()",
            Self::CurrentRole => "CURRENT_ROLE()",
            Self::Version => "VERSION()",
        }
    }
}

const AGGREGATES: &[&str] = &[
    "any_value",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "count",
    "group_concat",
    "json_arrayagg",
    "json_objectagg",
    "max",
    "min",
    "st_collect",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

const WINDOWS: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "median",
    "nth_value",
    "ntile",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "rank",
    "row_number",
];

const STATEMENT_TIME: &[&str] = &[
    "curdate",
    "current_date",
    "current_time",
    "current_timestamp",
    "curtime",
    "localtime",
    "localtimestamp",
    "now",
    "utc_date",
    "utc_time",
    "utc_timestamp",
];

const RANDOM: &[&str] = &["rand", "random_bytes", "sys_guid", "sysdate", "uuid", "uuid_short", "uuid_v4", "uuid_v7"];

/// Whether a function gives another value each time it is called.
pub fn is_random(name: &str) -> bool {
    RANDOM.iter().any(|random| random.eq_ignore_ascii_case(name))
}

/// Whether the text of a default calls such a function.
pub fn calls_random(default: &str) -> bool {
    let text = default.to_ascii_lowercase();
    RANDOM.iter().any(|random| text.contains(&format!("{random}(")))
}

const LOCKS: &[&str] = &["get_lock", "is_free_lock", "is_used_lock", "release_all_locks", "release_lock"];

const EFFECTS: &[&str] = &[
    "benchmark",
    "gtid_subset",
    "lastval",
    "load_file",
    "master_gtid_wait",
    "master_pos_wait",
    "nextval",
    "setval",
    "sleep",
    "source_pos_wait",
    "wait_for_executed_gtid_set",
    "wait_until_sql_thread_after_gtids",
];

/// Functions of MySQL 5.7 to 9 and of MariaDB that depend on their arguments only. Sorted. A name that only some of these
/// servers know is the server's own everywhere: who does not have it says so.
const PURE: &[&str] = &[
    "abs",
    "acos",
    "add_months",
    "adddate",
    "addtime",
    "aes_decrypt",
    "aes_encrypt",
    "ascii",
    "asin",
    "atan",
    "atan2",
    "bin",
    "bin_to_uuid",
    "bit_count",
    "bit_length",
    "cast",
    "ceil",
    "ceiling",
    "char",
    "char_length",
    "character_length",
    "charset",
    "chr",
    "coalesce",
    "coercibility",
    "collation",
    "column_add",
    "column_check",
    "column_create",
    "column_delete",
    "column_exists",
    "column_get",
    "column_json",
    "column_list",
    "compress",
    "concat",
    "concat_operator_oracle",
    "concat_ws",
    "conv",
    "convert",
    "convert_tz",
    "cos",
    "cot",
    "crc32",
    "crc32c",
    "date",
    "date_add",
    "date_format",
    "date_sub",
    "datediff",
    "day",
    "dayname",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "decode",
    "decode_histogram",
    "decode_oracle",
    "degrees",
    "des_decrypt",
    "des_encrypt",
    "elt",
    "encode",
    "exp",
    "export_set",
    "extract",
    "extractvalue",
    "field",
    "find_in_set",
    "floor",
    "format",
    "format_bytes",
    "format_pico_time",
    "from_base64",
    "from_days",
    "from_unixtime",
    "geomcollection",
    "geometrycollection",
    "get_format",
    "greatest",
    "grouping",
    "hex",
    "hour",
    "if",
    "ifnull",
    "inet6_aton",
    "inet6_ntoa",
    "inet_aton",
    "inet_ntoa",
    "insert",
    "instr",
    "interval",
    "is_ipv4",
    "is_ipv4_compat",
    "is_ipv4_mapped",
    "is_ipv6",
    "is_uuid",
    "isnull",
    "json_array",
    "json_array_append",
    "json_array_insert",
    "json_compact",
    "json_contains",
    "json_contains_path",
    "json_depth",
    "json_detailed",
    "json_equals",
    "json_exists",
    "json_extract",
    "json_insert",
    "json_keys",
    "json_length",
    "json_loose",
    "json_merge",
    "json_merge_patch",
    "json_merge_preserve",
    "json_normalize",
    "json_object",
    "json_overlaps",
    "json_pretty",
    "json_query",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_schema_valid",
    "json_schema_validation_report",
    "json_search",
    "json_set",
    "json_storage_size",
    "json_type",
    "json_unquote",
    "json_valid",
    "json_value",
    "last_day",
    "lcase",
    "least",
    "left",
    "length",
    "lengthb",
    "linestring",
    "ln",
    "locate",
    "log",
    "log10",
    "log2",
    "lower",
    "lpad",
    "lpad_oracle",
    "ltrim",
    "ltrim_oracle",
    "make_set",
    "makedate",
    "maketime",
    "mbrcontains",
    "mbrcoveredby",
    "mbrcovers",
    "mbrcrosses",
    "mbrdisjoint",
    "mbrequal",
    "mbrequals",
    "mbrintersects",
    "mbroverlaps",
    "mbrtouches",
    "mbrwithin",
    "md5",
    "microsecond",
    "mid",
    "minute",
    "mod",
    "month",
    "monthname",
    "multilinestring",
    "multipoint",
    "multipolygon",
    "name_const",
    "natural_sort_key",
    "nullif",
    "nvl",
    "nvl2",
    "oct",
    "octet_length",
    "old_password",
    "ord",
    "password",
    "period_add",
    "period_diff",
    "pi",
    "point",
    "polygon",
    "position",
    "pow",
    "power",
    "quarter",
    "quote",
    "radians",
    "regexp_instr",
    "regexp_like",
    "regexp_replace",
    "regexp_substr",
    "repeat",
    "replace",
    "replace_oracle",
    "reverse",
    "right",
    "round",
    "row",
    "rpad",
    "rpad_oracle",
    "rtrim",
    "rtrim_oracle",
    "sec_to_time",
    "second",
    "sformat",
    "sha",
    "sha1",
    "sha2",
    "sign",
    "sin",
    "soundex",
    "space",
    "sqrt",
    "st_area",
    "st_asbinary",
    "st_asgeojson",
    "st_astext",
    "st_aswkb",
    "st_aswkt",
    "st_boundary",
    "st_buffer",
    "st_buffer_strategy",
    "st_centroid",
    "st_contains",
    "st_convexhull",
    "st_crosses",
    "st_difference",
    "st_dimension",
    "st_disjoint",
    "st_distance",
    "st_distance_sphere",
    "st_endpoint",
    "st_envelope",
    "st_equals",
    "st_exteriorring",
    "st_frechetdistance",
    "st_geohash",
    "st_geomcollfromtext",
    "st_geomcollfromwkb",
    "st_geometrycollectionfromtext",
    "st_geometrycollectionfromwkb",
    "st_geometryfromtext",
    "st_geometryfromwkb",
    "st_geometryn",
    "st_geometrytype",
    "st_geomfromgeojson",
    "st_geomfromtext",
    "st_geomfromwkb",
    "st_hausdorffdistance",
    "st_interiorringn",
    "st_intersection",
    "st_intersects",
    "st_isclosed",
    "st_isempty",
    "st_isring",
    "st_issimple",
    "st_isvalid",
    "st_latfromgeohash",
    "st_latitude",
    "st_length",
    "st_linefromtext",
    "st_linefromwkb",
    "st_lineinterpolatepoint",
    "st_linestringfromtext",
    "st_linestringfromwkb",
    "st_longfromgeohash",
    "st_longitude",
    "st_makeenvelope",
    "st_mlinefromtext",
    "st_mlinefromwkb",
    "st_mpointfromtext",
    "st_mpointfromwkb",
    "st_mpolyfromtext",
    "st_mpolyfromwkb",
    "st_multilinestringfromtext",
    "st_multilinestringfromwkb",
    "st_multipointfromtext",
    "st_multipointfromwkb",
    "st_multipolygonfromtext",
    "st_multipolygonfromwkb",
    "st_numgeometries",
    "st_numinteriorring",
    "st_numinteriorrings",
    "st_numpoints",
    "st_overlaps",
    "st_pointatdistance",
    "st_pointfromgeohash",
    "st_pointfromtext",
    "st_pointfromwkb",
    "st_pointn",
    "st_pointonsurface",
    "st_polyfromtext",
    "st_polyfromwkb",
    "st_polygonfromtext",
    "st_polygonfromwkb",
    "st_relate",
    "st_simplify",
    "st_srid",
    "st_startpoint",
    "st_swapxy",
    "st_symdifference",
    "st_touches",
    "st_transform",
    "st_union",
    "st_validate",
    "st_within",
    "st_x",
    "st_y",
    "statement_digest",
    "statement_digest_text",
    "str_to_date",
    "strcmp",
    "subdate",
    "substr",
    "substr_oracle",
    "substring",
    "substring_index",
    "subtime",
    "tan",
    "time",
    "time_format",
    "time_to_sec",
    "timediff",
    "timestamp",
    "timestampadd",
    "timestampdiff",
    "to_base64",
    "to_char",
    "to_days",
    "to_seconds",
    "trim",
    "trim_oracle",
    "truncate",
    "ucase",
    "uncompress",
    "uncompressed_length",
    "unhex",
    "updatexml",
    "upper",
    "uuid_to_bin",
    "validate_password_strength",
    "values",
    "vec_distance",
    "vec_distance_cosine",
    "vec_distance_euclidean",
    "vec_fromtext",
    "vec_totext",
    "week",
    "weekday",
    "weekofyear",
    "weight_string",
    "year",
    "yearweek",
];

/// Classifies a function by its name. `arguments`: how many it is called with, which matters for a few.
pub(crate) fn classify(name: &str, arguments: usize) -> FunctionKind {
    let name = name.to_ascii_lowercase();
    let is_in = |list: &[&str]| list.contains(&name.as_str());
    if let Some(function) = SessionFunction::by_name(&name) {
        // LAST_INSERT_ID(x) sets the value; it is an effect on the connection that runs it
        return if arguments == 0 { FunctionKind::Session(function) } else { FunctionKind::Effect };
    }
    // without an argument it is the time of the statement
    if name == "unix_timestamp" {
        return if arguments == 0 { FunctionKind::StatementTime } else { FunctionKind::Pure };
    }
    if name == "default" && arguments == 1 {
        return FunctionKind::ColumnDefault;
    }
    // without a salt it makes one up
    if name == "encrypt" {
        return if arguments < 2 { FunctionKind::Random } else { FunctionKind::Pure };
    }
    if is_in(PURE) {
        FunctionKind::Pure
    } else if is_in(AGGREGATES) {
        FunctionKind::Aggregate
    } else if is_in(WINDOWS) {
        FunctionKind::Window
    } else if is_in(STATEMENT_TIME) {
        FunctionKind::StatementTime
    } else if is_in(RANDOM) {
        FunctionKind::Random
    } else if is_in(LOCKS) {
        FunctionKind::Lock
    } else if is_in(EFFECTS) {
        FunctionKind::Effect
    } else {
        FunctionKind::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_classified_in_any_case() {
        assert_eq!(classify("Count", 1), FunctionKind::Aggregate);
        assert_eq!(classify("ROW_NUMBER", 0), FunctionKind::Window);
        assert_eq!(classify("now", 0), FunctionKind::StatementTime);
        assert_eq!(classify("UUID", 0), FunctionKind::Random);
        assert_eq!(classify("get_lock", 2), FunctionKind::Lock);
        assert_eq!(classify("my_function", 1), FunctionKind::Unknown);
    }

    #[test]
    fn arguments_matter_where_they_do() {
        assert_eq!(classify("LAST_INSERT_ID", 0), FunctionKind::Session(SessionFunction::LastInsertId));
        assert_eq!(classify("LAST_INSERT_ID", 1), FunctionKind::Effect);
        assert_eq!(classify("UNIX_TIMESTAMP", 0), FunctionKind::StatementTime);
        assert_eq!(classify("UNIX_TIMESTAMP", 1), FunctionKind::Pure);
        assert_eq!(classify("ENCRYPT", 1), FunctionKind::Random);
        assert_eq!(classify("ENCRYPT", 2), FunctionKind::Pure);
    }
}
