//! Looking at the records of definitions, in every proxy.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::record;
use super::resume::resume;
use super::{Definition, State};
use crate::backend::Backends;
use crate::config::GroupId;

/// Between two removals of old records.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(60);

/// Looks at the records of all groups again and again, for as long as `source` gives backends and the pause between two
/// looks. What was left is carried on; `changed` is told each logical table (schema and name) that was defined anew.
///
/// The definitions of the process itself, whose number is `instance`, are told to nobody: it knows of them.
pub async fn watch(instance: u64, source: impl Fn() -> Option<(Arc<Backends>, u64)>, changed: impl Fn(&str, &str)) {
    let own = format!("{instance:016x}.");
    let mut known: HashSet<(String, State)> = HashSet::new();
    let mut removed_at = Instant::now();
    while let Some((backends, interval_ms)) = source() {
        let mut seen = HashSet::new();
        let mut is_whole = true;
        for group in (0..backends.groups().len()).filter_map(|index| u16::try_from(index).ok()).map(GroupId) {
            let listed = match record::list(&backends, group).await {
                Ok(listed) => listed,
                Err(error) => {
                    tracing::debug!(group = %backends.group(group).name(), %error, "its definitions are not read");
                    is_whole = false;
                    continue;
                }
            };
            for definition in &listed {
                let key = (definition.name.clone(), definition.state);
                if !known.contains(&key) && !definition.name.starts_with(&own) {
                    tell(definition, &changed);
                }
                seen.insert(key);
            }
            for definition in listed.iter().filter(|definition| definition.state == State::Running) {
                if let Err(error) = resume(&backends, group, &definition.name).await {
                    tracing::warn!(definition = %definition.name, %error, "a definition that was left is not carried on yet");
                }
            }
            if removed_at.elapsed() >= REMOVAL_INTERVAL
                && !listed.is_empty()
                && let Err(error) = record::remove_old(&backends, group).await
            {
                tracing::debug!(group = %backends.group(group).name(), %error, "old definitions are not removed");
            }
        }
        if removed_at.elapsed() >= REMOVAL_INTERVAL {
            removed_at = Instant::now();
        }
        if is_whole {
            known = seen;
        } else {
            known.extend(seen);
        }
        drop(backends);
        tokio::time::sleep(Duration::from_millis(interval_ms)).await;
    }
}

fn tell(definition: &Definition, changed: &impl Fn(&str, &str)) {
    definition.tables.iter().for_each(|(schema, table)| changed(schema, table));
}
