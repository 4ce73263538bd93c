//! Physical names back to the logical ones, in metadata and error texts.

use crate::execute::relay::{Names, ViewLabel};
use crate::plan::types::{NameMap, ViewLabels};

/// What an error of the syntax (1064) says in front of the rest of the statement.
const NEAR: &str = " the right syntax to use near ";

impl Names for NameMap {
    fn logical<'a>(&'a self, schema: &[u8], table: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
        let schema = std::str::from_utf8(schema).ok()?;
        let table = std::str::from_utf8(table).ok()?;
        NameMap::logical(self, schema, table).map(|(schema, table)| (schema.as_bytes(), table.as_bytes()))
    }

    fn view<'a>(&'a self, table: &[u8]) -> Option<ViewLabel<'a>> {
        let found = self.views.iter().find(|view| view.visible.as_bytes().eq_ignore_ascii_case(table))?;
        let view = found.view.as_bytes();
        Some(match &found.labels {
            ViewLabels::System { prefixed_names } => ViewLabel::System { view, prefixed_names: *prefixed_names },
            ViewLabels::Merged => ViewLabel::Merged(view),
            ViewLabels::Made(schema) => ViewLabel::Made { schema: schema.as_bytes(), view },
        })
    }

    /// Servers name tables as `'schema.table'`, `` `schema`.`table` ``, `'table'`, `` `table` `` and, for keys, as
    /// `'table.key'`; MariaDB the CHECK of a column as `` `table.column` ``, MySQL a CHECK without a name as
    /// `'table_chk_1'`; a foreign key without one is `` `table_ibfk_1` ``.
    fn restore_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for entry in &self.entries {
            let (from, to) = (&entry.physical_table, &entry.table);
            if text.contains(NEAR) {
                // what follows is a piece of the statement that the server got
                text = restore_statement(&text, from, to);
                continue;
            }
            let (old, new) = (format!("{}.{from}", entry.physical_schema), format!("{}.{to}", entry.schema));
            text = replace_name(&text, &old, &new);
            for (old, new) in [
                (format!("`{}`.`{from}`", entry.physical_schema), format!("`{}`.`{to}`", entry.schema)),
                (format!("'{from}'"), format!("'{to}'")),
                (format!("`{from}`"), format!("`{to}`")),
                (format!("'{from}."), format!("'{to}.")),
                (format!("`{from}."), format!("`{to}.")),
                (format!("'{from}_chk_"), format!("'{to}_chk_")),
                (format!("`{from}_ibfk_"), format!("`{to}_ibfk_")),
            ] {
                if text.contains(&old) {
                    text = text.replace(&old, &new);
                }
            }
        }
        text
    }
}

fn is_in_name(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
}

/// Replaces a name that is not quoted, and not those that it is a part of.
fn replace_name(text: &str, old: &str, new: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(old) {
        let (before, behind) = (&rest[..at], &rest[at + old.len()..]);
        let is_whole = !is_in_name(before.bytes().last()) && !is_in_name(behind.bytes().next());
        out.push_str(before);
        out.push_str(if is_whole { new } else { old });
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// A piece of a statement with the name of a table as the client wrote it, without the alias that keeps that name.
pub(super) fn restore_statement(text: &str, physical: &str, logical: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(physical) {
        let (before, behind) = (&rest[..at], &rest[at + physical.len()..]);
        if is_in_name(before.bytes().last()) || is_in_name(behind.bytes().next()) {
            out.push_str(&rest[..at + physical.len()]);
            rest = behind;
            continue;
        }
        let (before, behind) = match (before.strip_suffix('`'), behind.strip_prefix('`')) {
            (Some(before), Some(behind)) => (before, behind),
            _ => (before, behind),
        };
        out.push_str(before);
        out.push_str(logical);
        let alias = behind.strip_prefix(" AS ").and_then(|alias| alias.strip_prefix(logical));
        rest = alias.filter(|after| !is_in_name(after.bytes().next())).unwrap_or(behind);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_as_a_whole() {
        let replaced = replace_name("'a.t_1' 'a.t_10' a.t_1, ba.t_1 a.t_1", "a.t_1", "a.t");
        assert_eq!(replaced, "'a.t' 'a.t_10' a.t, ba.t_1 a.t");
    }

    #[test]
    fn a_piece_of_a_statement_is_told_as_the_client_wrote_it() {
        let restored = |text: &str| restore_statement(text, "t_0", "t");
        assert_eq!(restored("near 'limit 2) from `t_0` AS t where t.a'"), "near 'limit 2) from t where t.a'");
        assert_eq!(restored("near 'x from t_0 AS tt, t_0 t2'"), "near 'x from t AS tt, t t2'");
        assert_eq!(restored("near 'at_0 t_01 from t_0 AS t'"), "near 'at_0 t_01 from t'");
    }
}
