//! The test harness itself: private servers start, replicate, die and come back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use support::backends::Backends;
use support::raw::Options;
use support::raw::response::Response;

#[test]
fn replica_follows_its_primary() {
    let backends = Backends::shared();
    let group = &backends.groups[0];
    let mut primary = Options::new(&group.primary).connect().unwrap();
    primary.run("CREATE DATABASE IF NOT EXISTS harness");
    primary.run("CREATE TABLE IF NOT EXISTS harness.t (a INT PRIMARY KEY)");
    primary.run("REPLACE INTO harness.t VALUES (1), (2)");
    let mut replica = Options::new(&group.replicas[0]).connect().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // The table itself may not have arrived yet.
        let answer = replica.query("SELECT COUNT(*) FROM harness.t");
        if matches!(&answer, Response::Rows(rows) if rows.scalar().as_deref() == Some("2")) {
            break;
        }
        assert!(Instant::now() < deadline, "the rows did not reach the replica");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn groups_and_the_plain_server_are_different_servers() {
    let backends = Backends::shared();
    let ids: Vec<_> = backends
        .writable()
        .map(|url| Options::new(url).connect().unwrap().rows("SELECT @@server_id").scalar())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}
