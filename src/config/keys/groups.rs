//! Keys of the backends.

use super::Kind::{Int, ListOf, Map, OneOf, Path, Secret, Text};
use super::{Section, default, optional, required};

const DAY_MS: i64 = 86_400_000;

/// An entry of `groups`.
pub const GROUP: Section = Section {
    name: "group",
    keys: &[
        required("primary", Map("server"), "The server that takes writes."),
        optional("replicas", ListOf("maps, see server"), "none", "Servers that replicate the primary."),
        optional("user", Text, "each server's own", "User on all servers of the group."),
        optional("password", Secret, "each server's own", "Password on all servers of the group."),
        optional("tls", Map("server_tls"), "off", "TLS towards all servers of the group."),
        optional(
            "pool",
            Map("pool"),
            "those of `pool` at the top level",
            "Connections to each server of the group; the keys that stand here win.",
        ),
    ],
};

/// `primary`, an entry of `replicas`, or `scratch.server`.
pub const SERVER: Section = Section {
    name: "server",
    keys: &[
        optional(
            "url",
            Text,
            "`host` or `socket` instead",
            "`mysql://user:password@host:port` (or `mariadb://`); `?socket=/path` for a Unix socket. Parts may be `${ENV}`.",
        ),
        optional("host", Text, "in `url`", "Host name or address."),
        default("port", Int(1, 65_535), "3306", "Port; in `url` after the host."),
        optional("socket", Path, "TCP", "Path of a Unix socket, instead of a host."),
        optional("user", Text, "in `url`, or the group's", "User."),
        optional("password", Secret, "in `url`, the group's, or none", "Password."),
        optional("name", Text, "the address", "What logs, metrics and messages call the server."),
        default("weight", Int(0, 10_000), "1", "Share of the reads among the replicas; 0 for none."),
        optional("tls", Map("server_tls"), "the group's", "TLS towards this server."),
    ],
};

/// `tls` of a group or a server.
pub const SERVER_TLS: Section = Section {
    name: "server_tls",
    keys: &[
        default(
            "mode",
            OneOf(&["off", "preferred", "required", "verify_ca", "verify_identity"]),
            "required",
            "As MySQL's `--ssl-mode`: `required` encrypts, `verify_ca` also checks who signed, `verify_identity` also the name.",
        ),
        optional("ca", Path, "the system's; needed for `verify_ca`, `verify_identity`", "Certificates of the CA, PEM."),
        optional("certificate", Path, "none", "Certificate to show, PEM."),
        optional("key", Path, "none", "Its private key, PEM."),
        optional("server_name", Text, "the host", "The name that the server's certificate must hold."),
    ],
};

/// `pool`.
pub const POOL: Section = Section {
    name: "pool",
    keys: &[
        default("max_connections", Int(1, 100_000), "128", "Connections to one server."),
        default(
            "wait_queue",
            Int(0, 1_000_000),
            "1024",
            "Statements that wait for a connection; the next one gets an error.",
        ),
        default("wait_timeout_ms", Int(1, DAY_MS), "5000", "For a connection to be free."),
        default("connect_timeout_ms", Int(1, DAY_MS), "3000", "For a new connection, with login."),
        default("idle_timeout_ms", Int(1, 365 * DAY_MS), "300000", "A connection not used for so long is closed."),
        default("lifetime_ms", Int(1, 365 * DAY_MS), "3600000", "A connection this old is closed after its statement."),
        default(
            "ping_after_idle_ms",
            Int(0, DAY_MS),
            "10000",
            "A connection that was idle for longer is tried before use.",
        ),
        default(
            "max_statements",
            Int(0, 100_000),
            "256",
            "Prepared statements kept on one connection; the least used one goes.",
        ),
    ],
};
