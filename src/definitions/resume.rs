//! Carrying on a definition that was left half done.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record;
use super::{Definition, Node, NodeState, State, fingerprint, lock_names};
use crate::backend::{BackendError, Backends, Flavour, Lease, Role, Variables, set_statement, text};
use crate::config::GroupId;

/// ER_NO_SUCH_TABLE and ER_BAD_DB_ERROR.
const NO_TABLE: [u16; 2] = [1146, 1049];

/// The connections of a definition: one for each group and schema, each with the locks.
type Lanes = BTreeMap<(Arc<str>, Option<Arc<str>>), Lease>;

/// Carries on a definition that was left. `None` while its locks are held: it runs, or it has ended meanwhile.
pub async fn resume(backends: &Backends, group: GroupId, name: &str) -> Result<Option<State>, BackendError> {
    let Some(found) = record::running(backends, group, name).await? else { return Ok(None) };
    let Some(mut lanes) = lock(backends, &found).await? else { return Ok(None) };
    // Whoever held the locks before may have gone on until then.
    let ended = match record::running(backends, group, name).await {
        Ok(Some(definition)) => Some(carry_on(backends, group, &definition, &mut lanes).await),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    };
    for lease in lanes.values_mut() {
        // locks and variables go with the reset
        lease.mark_dirty();
    }
    match ended {
        None => Ok(None),
        Some(Ok((state, message))) => {
            tracing::info!(definition = name, state = state.name(), message, "a definition that was left is ended");
            record::end(backends, group, name, state, &message).await?;
            Ok(Some(state))
        }
        Some(Err(error)) => Err(error),
    }
}

/// Takes the locks; `None` if one is held.
async fn lock(backends: &Backends, definition: &Definition) -> Result<Option<Lanes>, BackendError> {
    let mut lanes = Lanes::new();
    for node in &definition.nodes {
        let key = (Arc::clone(&node.group), node.schema.clone());
        if lanes.contains_key(&key) {
            continue;
        }
        let Some(group) = group_named(backends, &node.group) else {
            return Ok(None);
        };
        let locks = lock_names(&node.group, node.schema.as_deref(), &definition.tables);
        for lock in &locks {
            let free = backends.query(group, &format!("SELECT IS_FREE_LOCK('{lock}')")).await?;
            if free.rows.first().is_none_or(|row| text(row, 0) != "1") {
                return Ok(None);
            }
        }
        let mut lease = backends.checkout(group, Role::Primary, Flavour::OWN).await?;
        lease.mark_dirty();
        for lock in &locks {
            let locked = lease.query(&format!("SELECT GET_LOCK('{lock}', 0)")).await?;
            if locked.rows.first().is_none_or(|row| text(row, 0) != "1") {
                return Ok(None);
            }
        }
        lanes.insert(key, lease);
    }
    Ok(Some(lanes))
}

fn group_named(backends: &Backends, name: &str) -> Option<GroupId> {
    let index = backends.groups().iter().position(|group| **group.name() == *name)?;
    u16::try_from(index).ok().map(GroupId)
}

/// Does what is still to be done, and says how it ended.
async fn carry_on(
    backends: &Backends,
    group: GroupId,
    definition: &Definition,
    lanes: &mut Lanes,
) -> Result<(State, String), BackendError> {
    let all_done = definition.nodes.iter().all(|node| node.state == NodeState::Done);
    if all_done {
        return Ok((State::Done, String::new()));
    }
    let waiting = |node: &&Node| node.state == NodeState::Waiting;
    let labels = |nodes: Vec<&Node>| nodes.into_iter().map(Node::label).collect::<Vec<_>>().join(", ");
    let failed: Vec<&Node> = definition.nodes.iter().filter(|node| node.state == NodeState::Failed).collect();
    if !definition.is_resumable || !failed.is_empty() {
        let left = labels(definition.nodes.iter().filter(waiting).collect());
        return Ok((State::Interrupted, format!("not known to be done on {left}{}", and_failed(&labels(failed)))));
    }
    let mut after = None;
    for node in definition.nodes.iter().filter(|node| node.state == NodeState::Done) {
        after = after.or(Some(current(lane(lanes, node)?, node).await?));
    }
    let mut unclear = Vec::new();
    for (number, node) in definition.nodes.iter().enumerate().filter(|(_, node)| waiting(node)) {
        let lease = lane(lanes, node)?;
        let now = current(lease, node).await?;
        if now == node.was {
            set_up(lease, definition, node).await?;
            let statement = String::from_utf8_lossy(&node.statement).into_owned();
            match lease.query(&statement).await {
                Ok(_) => {}
                Err(BackendError::Server(error)) => {
                    record::tick(backends, group, &definition.name, number, NodeState::Failed).await?;
                    return Ok((State::Failed, format!("{}: {}", node.label(), error.message)));
                }
                Err(error) => return Err(error),
            }
        } else if after.is_some_and(|after| after != now) {
            unclear.push(node);
            continue;
        }
        record::tick(backends, group, &definition.name, number, NodeState::Done).await?;
        after = after.or(Some(current(lane(lanes, node)?, node).await?));
    }
    match unclear.is_empty() {
        true => Ok((State::Done, String::new())),
        false => Ok((State::Interrupted, format!("changed by others meanwhile: {}", labels(unclear)))),
    }
}

fn and_failed(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("; failed on {labels}") }
}

fn lane<'l>(lanes: &'l mut Lanes, node: &Node) -> Result<&'l mut Lease, BackendError> {
    let key = (Arc::clone(&node.group), node.schema.clone());
    lanes.get_mut(&key).ok_or_else(|| BackendError::Timeout { server: Arc::clone(&node.group), waited_ms: 0 })
}

/// What the table of a node is now.
async fn current(lease: &mut Lease, node: &Node) -> Result<u64, BackendError> {
    let Some((schema, table)) = &node.table else { return Ok(0) };
    let name = |name: &str| name.replace('`', "``");
    match lease.query(&format!("SHOW CREATE TABLE `{}`.`{}`", name(schema), name(table))).await {
        Ok(answer) => Ok(answer.rows.first().map_or(0, |row| fingerprint(&text(row, 1), table))),
        Err(BackendError::Server(error)) if NO_TABLE.contains(&error.errno) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Gives a connection the variables and the schema that the statement was written under.
async fn set_up(lease: &mut Lease, definition: &Definition, node: &Node) -> Result<(), BackendError> {
    let settings = definition.settings.iter().map(|(name, literal)| (name.as_str().into(), literal.as_str().into()));
    let set = set_statement(&Variables::none(), &Variables::new(settings.collect()), lease.version());
    lease.query(&set).await?;
    if let Some(schema) = &node.schema {
        lease.query(&format!("USE `{}`", schema.replace('`', "``"))).await?;
    }
    Ok(())
}
