//! What SHOW … WHERE may ask: any one server answers it, so that a query in it would read what that server has of a table.

use super::error::PlanError;
use crate::sql::LexMode;
use crate::sql::names::{self, Name};

/// Refuses a SHOW with a subquery that names a table.
pub fn check_show(sql: &[u8], mode: LexMode) -> Result<(), PlanError> {
    let names = names::tables(sql, mode);
    let is = |name: &Name, word: &str| {
        let quoted = sql.get(name.range.start).is_some_and(|byte| b"`\"".contains(byte));
        !quoted && name.text.eq_ignore_ascii_case(word)
    };
    let follows = |first: &str, then: &str| {
        let mut behind = names.iter().skip_while(|name| !is(name, first)).skip(1);
        behind.any(|name| is(name, then))
    };
    if follows("select", "from") || follows("where", "table") {
        return Err(PlanError::not_supported(
            "a subquery in SHOW … WHERE that reads a table",
            "read the table first, or ask information_schema",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_of_tables_are_refused() {
        let is_refused = |sql: &str| check_show(sql.as_bytes(), LexMode::default()).is_err();
        assert!(is_refused("SHOW STATUS WHERE (SELECT COUNT(*) FROM u) = 3"));
        assert!(is_refused("SHOW COLUMNS FROM t WHERE 1 IN (TABLE u)"));
        assert!(is_refused("SHOW STATUS WHERE 1 /*!80000 AND (SELECT 1 FROM u) */"));
        assert!(!is_refused("SHOW COLUMNS FROM t WHERE (SELECT 1) = 1"));
        assert!(!is_refused("SHOW TRIGGERS WHERE `Table` = 'select from'"));
        assert!(!is_refused("SHOW CREATE TABLE t"));
    }
}
