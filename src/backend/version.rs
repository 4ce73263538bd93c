//! What a server says it is.

/// A server's version, from the greeting of its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// The text as the server sent it.
    pub text: String,
    /// MariaDB, or else MySQL and what behaves like it (Percona Server, Aurora).
    pub is_mariadb: bool,
    /// Major, minor and patch number.
    pub number: (u16, u16, u16),
}

impl ServerVersion {
    /// Reads a greeting's version. MariaDB before 11 sends `5.5.5-10.11.6-MariaDB`, because replicas of old MySQL versions
    /// refused a first number of two digits.
    pub fn parse(text: &str) -> Self {
        let is_mariadb = text.to_ascii_lowercase().contains("mariadb");
        let plain = if is_mariadb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
        let mut parts = plain.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self { text: text.to_owned(), is_mariadb, number: (next(), next(), next()) }
    }

    /// The name by which this server knows a session variable that MySQL renamed and MariaDB renamed later: MySQL dropped
    /// `tx_isolation` and `tx_read_only` in 8.0 for names it had since 5.7.20; MariaDB has the new names since 11.1.
    pub fn variable_name<'a>(&self, name: &'a str) -> &'a str {
        let new_names = self.number >= if self.is_mariadb { (11, 1, 1) } else { (5, 7, 20) };
        match name {
            "transaction_isolation" | "tx_isolation" if new_names => "transaction_isolation",
            "transaction_isolation" | "tx_isolation" => "tx_isolation",
            "transaction_read_only" | "tx_read_only" if new_names => "transaction_read_only",
            "transaction_read_only" | "tx_read_only" => "tx_read_only",
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_of_real_servers() {
        let maria = ServerVersion::parse("5.5.5-10.11.19-MariaDB-0+deb12u1");
        assert!(maria.is_mariadb);
        assert_eq!(maria.number, (10, 11, 19));
        assert_eq!(maria.variable_name("transaction_isolation"), "tx_isolation");
        let newer = ServerVersion::parse("11.4.2-MariaDB-ubu2404");
        assert_eq!(newer.number, (11, 4, 2));
        assert_eq!(newer.variable_name("tx_read_only"), "transaction_read_only");
        let mysql = ServerVersion::parse("8.4.3");
        assert!(!mysql.is_mariadb);
        assert_eq!(mysql.variable_name("tx_isolation"), "transaction_isolation");
        assert_eq!(mysql.variable_name("sql_mode"), "sql_mode");
        assert_eq!(ServerVersion::parse("5.7.11-log").variable_name("transaction_isolation"), "tx_isolation");
        assert_eq!(ServerVersion::parse("").number, (0, 0, 0));
    }
}
