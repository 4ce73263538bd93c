//! Keys of the proxy itself.

use super::Kind::{Flag, Int, ListOf, Map, MapOf, OneOf, Path, Secret, Text};
use super::{Section, default, optional, required};

const DAY_MS: i64 = 86_400_000;
const YEAR_MS: i64 = 365 * DAY_MS;

/// The top level of every file.
pub const RULES: Section = Section {
    name: "rules",
    keys: &[
        optional("listen", Map("listen"), "its defaults", "Where clients connect."),
        optional("tls", Map("tls"), "no TLS", "TLS towards clients."),
        required("users", ListOf("maps, see user"), "Who may log in."),
        optional("limits", Map("limits"), "its defaults", "Bounds of the proxy."),
        optional("reads", Map("reads"), "its defaults", "Where reads go."),
        optional("health", Map("health"), "its defaults", "How servers are watched."),
        optional("recovery", Map("recovery"), "its defaults", "How transactions that were left unfinished are ended."),
        optional("pool", Map("pool"), "its defaults", "Connections to each server, for all groups."),
        optional("scratch", Map("scratch"), "its defaults", "Where queries run that no shard can answer alone."),
        required("groups", MapOf("group"), "Where the data lives."),
        required("schemas", MapOf("schema"), "What clients see."),
    ],
};

/// `listen`.
pub const LISTEN: Section = Section {
    name: "listen",
    keys: &[
        default(
            "mysql",
            ListOf("addresses"),
            "127.0.0.1:3307",
            "`host:port`, or `unix:/path` for a socket; one or several.",
        ),
        default("admin", Text, "127.0.0.1:8307", "`host:port` of health, readiness and metrics; `off` for none."),
    ],
};

/// `tls`.
pub const CLIENT_TLS: Section = Section {
    name: "tls",
    keys: &[
        default("mode", OneOf(&["off", "optional", "required"]), "optional", "Whether clients may or must use TLS."),
        optional("certificate", Path, "none; needed unless `off`", "Certificate chain, PEM."),
        optional("key", Path, "none; needed unless `off`", "Its private key, PEM."),
        optional("client_ca", Path, "clients show none", "Clients must show a certificate that this CA signed, PEM."),
    ],
};

/// An entry of `users`.
pub const USER: Section = Section {
    name: "user",
    keys: &[
        required("name", Text, "The login name."),
        optional(
            "password",
            Secret,
            "needed unless `password_hash`",
            "The password; `''` for none. Take it from `${ENV}` or `${file:/path}`.",
        ),
        optional(
            "password_hash",
            Secret,
            "none",
            "In its place: the hash as `mysql.user.authentication_string` holds it, `*…` or `$A$005$…`, or `0x…`.",
        ),
        optional("schemas", ListOf("schema names"), "all schemas", "The logical schemas that the user sees."),
        default(
            "plugin",
            OneOf(&["any", "caching_sha2_password", "mysql_native_password"]),
            "any",
            "How the password is checked; `any`: as the client offers, if that can be checked.",
        ),
        default("require_tls", Flag, "false", "Refuse this user without TLS."),
        default(
            "max_connections",
            Int(0, 1_000_000),
            "0",
            "Connections of this user at one time; 0 for no bound of its own.",
        ),
    ],
};

/// `limits`.
pub const LIMITS: Section = Section {
    name: "limits",
    keys: &[
        default("max_connections", Int(1, 1_000_000), "4096", "Client connections; the next one gets error 1040."),
        default(
            "max_allowed_packet_bytes",
            Int(1024, 1_073_741_824),
            "67108864",
            "The longest statement or parameter; above it error 1153.",
        ),
        default("handshake_timeout_ms", Int(1, DAY_MS), "10000", "For a client to log in."),
        default(
            "idle_timeout_ms",
            Int(1000, YEAR_MS),
            "28800000",
            "A client that sends nothing for so long is closed, as `wait_timeout`.",
        ),
        default(
            "write_timeout_ms",
            Int(1, DAY_MS),
            "60000",
            "A client that takes no bytes of its answer for so long is closed, as `net_write_timeout`.",
        ),
        default(
            "statement_timeout_ms",
            Int(0, YEAR_MS),
            "0",
            "A statement that runs longer is killed on its shards; 0 for no bound.",
        ),
        default("max_prepared_statements", Int(1, 1_000_000), "4096", "Open prepared statements of one client."),
        default("max_cursors", Int(0, 10_000), "64", "Open cursors of one client."),
        default("max_statements_per_query", Int(1, 100_000), "1000", "Statements in one multi-statement text."),
        default(
            "max_fan_out",
            Int(1, 4096),
            "64",
            "Shards that one statement works on at the same time; the others wait.",
        ),
        default(
            "max_buffered_bytes",
            Int(65_536, 17_179_869_184),
            "67108864",
            "Rows that one statement may hold in memory where it must hold any.",
        ),
        default(
            "merge_buffer_bytes",
            Int(4096, 1_073_741_824),
            "262144",
            "Rows read ahead from each shard of a merge while another shard is waited for.",
        ),
        default("plan_cache_entries", Int(0, 10_000_000), "10000", "Plans that are kept; 0 for none."),
        default("plan_cache_statement_bytes", Int(0, 67_108_864), "65536", "A longer statement is planned each time."),
        default(
            "digest_entries",
            Int(0, 1_000_000),
            "2000",
            "Statement shapes in the statistics; 0 for none. Read at the start only.",
        ),
        default("catalog_entries", Int(1, 10_000_000), "20000", "Tables whose columns are kept."),
        default("catalog_age_ms", Int(1000, YEAR_MS), "60000", "After so long the columns of a table are read again."),
        default("drain_deadline_ms", Int(0, DAY_MS), "30000", "On shutdown, how long transactions may go on."),
    ],
};

/// `reads`.
pub const READS: Section = Section {
    name: "reads",
    keys: &[
        default("split", Flag, "true", "Whether reads outside transactions go to replicas."),
        default(
            "read_after_write_ms",
            Int(0, DAY_MS),
            "1000",
            "After a write, how long the reads of that session go to the primary.",
        ),
    ],
};

/// `health`.
pub const HEALTH: Section = Section {
    name: "health",
    keys: &[
        default("interval_ms", Int(10, DAY_MS), "1000", "Between two looks at a server."),
        default("timeout_ms", Int(10, DAY_MS), "1000", "An answer that takes longer is a failure."),
        default("failures", Int(1, 1000), "2", "Failures in a row after which a replica leaves the rotation."),
        default("successes", Int(1, 1000), "2", "Answers in a row after which it comes back."),
    ],
};

/// `recovery`.
pub const RECOVERY: Section = Section {
    name: "recovery",
    keys: &[
        default("interval_ms", Int(10, DAY_MS), "2000", "Between two looks for prepared branches on the primaries."),
        default(
            "grace_ms",
            Int(0, DAY_MS),
            "10000",
            "A branch that stays prepared for longer is taken for left: its transaction is settled by whoever sees it.",
        ),
    ],
};

/// `scratch`.
pub const SCRATCH: Section = Section {
    name: "scratch",
    keys: &[
        optional("groups", ListOf("group names"), "all groups", "The groups whose servers do the work."),
        optional("server", Map("server"), "none", "A server for this work alone; then `groups` is left out."),
        default(
            "role",
            OneOf(&["replica", "primary"]),
            "replica",
            "Which server of a group; a group without replicas uses its primary.",
        ),
        default("max_rows", Int(1, i64::MAX), "10000000", "Rows that one query may bring there."),
        default("max_bytes", Int(1, i64::MAX), "1073741824", "Bytes that one query may bring there."),
        default("max_concurrent", Int(1, 10_000), "8", "Queries there at the same time."),
        default("timeout_ms", Int(1, YEAR_MS), "300000", "For one query there."),
    ],
};
