//! COM_FIELD_LIST: the columns of a table, for the completion of old clients.

use bytes::{BufMut, Bytes, BytesMut};

use super::query::Text;
use super::{Failure, Session};
use crate::backend::{Role, Settings};
use crate::execute::Watch;
use crate::execute::lane::Request;
use crate::execute::relay::{Names, Style, relay};
use crate::protocol::ResponseKind;
use crate::protocol::command::code;
use crate::sql::scan;
use crate::txn::Want;

impl Session {
    /// Asks the first node of the table, and puts the logical name back.
    pub(super) async fn field_list(&mut self, table: &[u8], wildcard: &[u8]) -> Result<(), Failure> {
        let name = String::from_utf8_lossy(table).replace('`', "``");
        let text = Text { sql: Bytes::from(format!("SHOW COLUMNS FROM `{name}`")) };
        let scanned = scan(&text.sql, self.state.lex_mode, &mut self.literals);
        let snapshot = self.snapshot();
        let plan = self.plan(&text, &scanned, &snapshot, false).await?;
        let bound = self.bind(&plan, &text.sql, &[])?;
        let Some(shard) = bound.shards.first() else { return Ok(()) };
        let physical = shard
            .names
            .as_ref()
            .and_then(|names| names.entries.iter().find(|entry| entry.table.as_bytes().eq_ignore_ascii_case(table)));
        let mut payload = BytesMut::new();
        payload.put_u8(code::FIELD_LIST);
        payload.put_slice(physical.map_or(table, |entry| entry.physical_table.as_bytes()));
        payload.put_u8(0);
        payload.put_slice(wildcard);
        let schema = physical.map(|entry| entry.physical_schema.clone()).or_else(|| shard.schema.clone());
        let settings = Settings::new(schema, self.state.vars.clone());
        let flavour = self.flavour();
        let want =
            Want { group: shard.group, role: Role::Primary, flavour, settings: (&settings).into(), strict: true };
        let mut lane = self.txn.lane(&snapshot.backends, want).await?;
        lane.send(&Request::Command(payload.freeze())).await?;
        let style = Style {
            kind: ResponseKind::FieldList,
            names: shard.names.as_deref().map(|names| names as &dyn Names),
            ..Style::PLAIN
        };
        let watch = Watch { entry: &self.entry };
        relay(&mut lane, &mut self.client, watch, style).await?;
        self.settle(lane, &snapshot);
        Ok(())
    }
}
