//! Physical names back to the logical ones, in metadata and error texts.

use crate::execute::relay::{Names, ViewLabel};
use crate::plan::types::{NameMap, ViewLabels};

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
            for (old, new) in [
                (format!("{}.{from}", entry.physical_schema), format!("{}.{to}", entry.schema)),
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
