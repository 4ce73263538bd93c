//! The collation that a client names at its login, and what becomes of those that the servers do not know.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::LazyLock;

use support::backends::{Backends, Url};
use support::proxy::{PASSWORD, ProxyProcess, Rules, USER};
use support::raw::{Options, RawClient};

const SCHEMA: &str = "collations_shop";
const SCHEMA_RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items
        strategy: {columns: [id], algorithm: {type: mod}}
";
const VARIABLES: &str = "SELECT @@character_set_client, @@character_set_results, @@character_set_connection, \
     @@collation_connection";

static PROXY: LazyLock<ProxyProcess> =
    LazyLock::new(|| ProxyProcess::start_shared(&Rules::schema(SCHEMA, SCHEMA_RULES)));

/// The proxy and a plain server.
fn sides() -> [Url; 2] {
    let plain = &Backends::shared().plain;
    let mut admin = Options::new(plain).connect().unwrap();
    admin.run(&format!("CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'"));
    [PROXY.url(), plain.with_account(USER, PASSWORD)]
}

fn variables(client: &mut RawClient) -> Vec<Vec<Option<String>>> {
    client.rows(VARIABLES).text()
}

#[test]
fn collations_that_no_server_knows_give_the_server_s_own() {
    for collation in [255, 45, 33, 8, 76, 0] {
        let [proxied, plain] = sides().map(|url| {
            let mut options = Options::new(&url);
            options.charset = collation;
            let mut client = options.connect().unwrap();
            let first = variables(&mut client);
            client.run("SET NAMES latin1");
            client.change_user_with(USER, PASSWORD, "", u16::from(collation)).unwrap();
            (first, variables(&mut client))
        });
        assert_eq!(proxied, plain, "collation {collation}: left the proxy");
    }
    let [proxied, plain] = sides().map(|url| {
        let mut client = Options::new(&url).connect().unwrap();
        client.change_user_with(USER, PASSWORD, "", 309).unwrap();
        variables(&mut client)
    });
    assert_eq!(proxied, plain, "collation 309: left the proxy");
}

#[test]
fn the_connection_s_character_set_is_followed() {
    let [proxied, plain] = sides().map(|url| {
        let mut client = Options::new(&url).connect().unwrap();
        client.run("SET character_set_connection = latin2");
        let first = variables(&mut client);
        client.run("SET SESSION character_set_connection = DEFAULT");
        (first, variables(&mut client))
    });
    assert_eq!(proxied, plain, "left the proxy");
}
