//! A table over two groups that several test files share: even ids are in g0, odd ones in g1.

use super::raw::RawClient;

/// The rules of its schema; what they do not name is in g0.
pub const RULES: &str = "
    default_group: g0
    tables:
      items:
        data_nodes: g{0..1}.items
        strategy: {columns: [id], algorithm: by_id}
    algorithms:
      by_id: {type: mod}
";

/// Makes the table and its four rows.
pub fn fill(client: &mut RawClient) {
    client.run("CREATE TABLE items (id INT NOT NULL PRIMARY KEY, name VARCHAR(40))");
    client.run("INSERT INTO items VALUES (0, 'zero'), (1, 'one'), (2, 'two'), (3, 'three')");
}
