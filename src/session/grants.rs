//! SHOW GRANTS and SHOW CREATE USER: the accounts are those of the rules, not those of the servers.

use bytes::Bytes;

use super::literal::quote;
use super::{Failure, Session};
use crate::error::SqlError;

impl Session {
    /// A query that gives the grants of the client's own account as a server words them (*SHOW GRANTS Statement*). Those of
    /// another account are denied, as to an account without privileges on the schema `mysql`.
    pub(super) fn grants_query(&self, user: Option<&str>) -> Result<Bytes, Failure> {
        let own = &*self.entry.user;
        if user.is_some_and(|user| user != own) {
            return Err(self.accounts_are_denied());
        }
        let account = format!("{}@`%`", in_backticks(own));
        let snapshot = self.shared.snapshot.load();
        let schemas = snapshot.rules.schemas.values().filter(|schema| self.shared.may_use(own, &schema.name));
        let of_schemas =
            schemas.map(|schema| format!("GRANT ALL PRIVILEGES ON {}.* TO {account}", in_backticks(&schema.name)));
        let mut sql = format!("SELECT {} AS ", quote(format!("GRANT USAGE ON *.* TO {account}").as_bytes()));
        sql.push_str(&in_backticks(&format!("Grants for {own}@%")));
        for grant in of_schemas {
            sql.push_str(" UNION ALL SELECT ");
            sql.push_str(&quote(grant.as_bytes()));
        }
        Ok(Bytes::from(sql))
    }

    /// What a server answers to who may not read its accounts: the password hashes among them.
    pub(super) fn accounts_are_denied(&self) -> Failure {
        let user = &self.entry.user;
        SqlError::client(1044, "42000", format!("Access denied for user '{user}'@'%' to database 'mysql'")).into()
    }
}

/// As SHOW GRANTS writes names: always quoted.
fn in_backticks(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
