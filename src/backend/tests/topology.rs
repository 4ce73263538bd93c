//! Groups: replicas in turn, replicas that fail, and reloads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::server::{TestServer, shared};
use crate::backend::{Backends, Flavour, Role};
use crate::config::{GroupId, Rules};

const GROUP: GroupId = GroupId(0);

/// A group whose servers are all the shared one; `replicas` are ports and weights.
fn rules(replicas: &[(u16, u32)], pool: &str) -> Rules {
    let TestServer { port, user, password, .. } = shared();
    // Different ways to write one address, since the rules want each server once.
    let server = |host: &str, port: u16| format!("host: '{host}', port: {port}, user: {user}, password: '{password}'");
    let replicas: String = replicas
        .iter()
        .zip(["127.1", "127.0.1"])
        .map(|((port, weight), host)| format!("      - {{{}, weight: {weight}}}\n", server(host, *port)))
        .collect();
    let groups = format!(
        "groups:\n  g0:\n    primary: {{{}}}\n    tls: {{mode: preferred}}\n    replicas:\n{replicas}{pool}",
        server("127.0.0.1", *port)
    );
    let rest = "users:\n  - {name: app, password: ''}\nhealth: {interval_ms: 20}\nschemas:\n  s: {default_group: g0}\n";
    Rules::from_files(&[("groups.yaml", &groups), ("rest.yaml", rest)]).unwrap()
}

async fn picks(backends: &Backends, role: Role, count: usize) -> BTreeMap<Arc<str>, usize> {
    let mut picked = BTreeMap::new();
    for _ in 0..count {
        let lease = backends.checkout(GROUP, role, Flavour::OWN).await.unwrap();
        *picked.entry(lease.server().label().clone()).or_default() += 1;
    }
    picked
}

#[tokio::test]
async fn reads_go_round_by_weight_and_writes_to_the_primary() {
    let port = shared().port;
    let backends = Backends::new(&rules(&[(port, 2), (port, 1)], ""));
    let reads = picks(&backends, Role::Replica, 9).await;
    assert_eq!(reads, BTreeMap::from([("g0/replica1".into(), 6), ("g0/replica2".into(), 3)]));
    assert_eq!(picks(&backends, Role::Primary, 3).await, BTreeMap::from([("g0/primary".into(), 3)]));
    let stats = backends.stats();
    assert_eq!(
        stats.iter().map(|server| &*server.server).collect::<Vec<_>>(),
        ["g0/primary", "g0/replica1", "g0/replica2"]
    );
    assert!(stats.iter().all(|server| server.is_up && server.idle == 1 && server.in_use == 0), "{stats:?}");
    assert!(backends.is_ready());
}

#[tokio::test]
async fn a_replica_that_is_not_there_is_passed_over_and_leaves_the_rotation() {
    let backends = Backends::new(&rules(&[(1, 1), (shared().port, 1)], ""));
    // Even before the first check has found it out, no read fails.
    assert_eq!(picks(&backends, Role::Replica, 4).await.get("g0/replica1"), None);
    let deadline = Instant::now() + Duration::from_secs(10);
    while backends.stats()[1].is_up {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let failures = backends.stats()[1].connect_failures;
    assert_eq!(picks(&backends, Role::Replica, 4).await, BTreeMap::from([("g0/replica2".into(), 4)]));
    assert_eq!(backends.stats()[1].connect_failures, failures, "it is not tried any more");
    let alone = Backends::new(&rules(&[(1, 1)], ""));
    assert_eq!(picks(&alone, Role::Replica, 2).await, BTreeMap::from([("g0/primary".into(), 2)]));
}

#[tokio::test]
async fn a_reload_keeps_the_connections_of_servers_that_did_not_change() {
    let port = shared().port;
    let before = Backends::new(&rules(&[(port, 1)], ""));
    let id = async |backends: &Backends, role| backends.checkout(GROUP, role, Flavour::OWN).await.unwrap().thread_id();
    let (primary, replica) = (id(&before, Role::Primary).await, id(&before, Role::Replica).await);
    let after = before.reload(&rules(&[(port, 5), (1, 0)], ""));
    drop(before);
    assert_eq!(id(&after, Role::Primary).await, primary);
    assert_eq!(id(&after, Role::Replica).await, replica);
    let changed = after.reload(&rules(&[(port, 1)], "    pool: {max_connections: 3}\n"));
    assert_ne!(id(&changed, Role::Primary).await, primary);
    assert_eq!(changed.stats()[0].max_connections, 3);
}
