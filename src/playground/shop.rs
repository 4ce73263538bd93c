//! The sample schema: a shop with users, their orders, the orders' items, and countries.
//!
//! All of it is made and filled through the proxy, with the statements an application would send.

use std::fmt::Write as _;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::error::PlaygroundError;

/// Name of the logical schema.
pub const SCHEMA: &str = "shop";

/// Rows per INSERT.
const BATCH_ROWS: u32 = 250;
/// Number of users.
const USERS: u32 = 1000;
/// Number of orders.
const ORDERS: u32 = 3000;

const TABLES: [&str; 4] = [
    "CREATE TABLE country (code CHAR(2) NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL)",
    "CREATE TABLE users (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(60) NOT NULL, country CHAR(2) NOT NULL, \
     joined DATE NOT NULL, KEY by_country (country))",
    "CREATE TABLE orders (order_id BIGINT NOT NULL, user_id BIGINT NOT NULL, status ENUM('new','paid','sent') NOT NULL, \
     total DECIMAL(10,2) NOT NULL, placed DATETIME NOT NULL, PRIMARY KEY (order_id), KEY by_user (user_id))",
    "CREATE TABLE order_items (item_id BIGINT NOT NULL, order_id BIGINT NOT NULL, user_id BIGINT NOT NULL, \
     product VARCHAR(60) NOT NULL, quantity INT NOT NULL, price DECIMAL(10,2) NOT NULL, PRIMARY KEY (item_id), \
     KEY by_order (order_id))",
];

const COUNTRIES: [(&str, &str); 8] = [
    ("de", "Germany"),
    ("fr", "France"),
    ("gb", "United Kingdom"),
    ("in", "India"),
    ("it", "Italy"),
    ("jp", "Japan"),
    ("pl", "Poland"),
    ("us", "United States"),
];
const NAMES: [&str; 10] = ["Ada", "Bela", "Chen", "Dora", "Emil", "Fatima", "Grace", "Hiro", "Ines", "Jonas"];
const FAMILIES: [&str; 9] = ["Abel", "Braun", "Costa", "Dubois", "Endo", "Fischer", "Gupta", "Hill", "Ivanov"];
const PRODUCTS: [(&str, u32); 7] =
    [("pen", 150), ("ink", 790), ("book", 2450), ("lamp", 3999), ("desk", 24900), ("chair", 12950), ("clip", 5)];

/// Makes the tables and fills them, unless they are there from before.
pub async fn fill(conn: &mut Conn) -> Result<(), PlaygroundError> {
    for table in TABLES {
        run(conn, table).await?;
    }
    let countries: Vec<String> = COUNTRIES.iter().map(|(code, name)| format!("('{code}', '{name}')")).collect();
    run(conn, &format!("INSERT INTO country (code, name) VALUES {}", countries.join(", "))).await?;
    insert(conn, "users (id, name, country, joined)", USERS, user).await?;
    insert(conn, "orders (order_id, user_id, status, total, placed)", ORDERS, order).await?;
    insert(conn, "order_items (item_id, order_id, user_id, product, quantity, price)", ORDERS * 2, item).await
}

async fn run(conn: &mut Conn, sql: &str) -> Result<(), PlaygroundError> {
    let start: String = sql.chars().take(60).collect();
    conn.query_drop(sql).await.map_err(PlaygroundError::sql(format!("making the shop schema: {start}…")))
}

/// Inserts rows 1 to `count`, many at a time.
async fn insert(conn: &mut Conn, into: &str, count: u32, row: fn(u32) -> String) -> Result<(), PlaygroundError> {
    let mut first = 1;
    while first <= count {
        let last = count.min(first + BATCH_ROWS - 1);
        let mut sql = format!("INSERT INTO {into} VALUES ");
        for number in first..=last {
            let separator = if number == first { "" } else { ", " };
            let _ = write!(sql, "{separator}{}", row(number));
        }
        run(conn, &sql).await?;
        first = last + 1;
    }
    Ok(())
}

/// One of a list, the choice depending on a number as if by chance.
fn pick<T: Copy>(list: &[T], number: u32) -> T {
    list[(number.wrapping_mul(2_654_435_761) >> 16) as usize % list.len()]
}

fn user(number: u32) -> String {
    let (name, family) = (pick(&NAMES, number), pick(&FAMILIES, number + 7));
    let (country, _) = pick(&COUNTRIES, number * 3);
    format!("({number}, '{name} {family}', '{country}', DATE '2020-01-01' + INTERVAL {} DAY)", number % 1500)
}

/// The user of an order.
fn user_of(order: u32) -> u32 {
    order.wrapping_mul(7919) % USERS + 1
}

/// The two items of an order: number within the order, product and price in cents, quantity.
fn items_of(order: u32) -> [((&'static str, u32), u32); 2] {
    [(pick(&PRODUCTS, order), order % 3 + 1), (pick(&PRODUCTS, order + 13), order % 2 + 1)]
}

fn order(number: u32) -> String {
    let total: u32 = items_of(number).iter().map(|((_, price), quantity)| price * quantity).sum();
    let status = pick(&["new", "paid", "sent"], number);
    let placed = format!("TIMESTAMP '2024-01-01 08:00:00' + INTERVAL {} MINUTE", number * 97);
    format!("({number}, {}, '{status}', {}, {placed})", user_of(number), cents(total))
}

fn item(number: u32) -> String {
    let order = number.div_ceil(2);
    let ((product, price), quantity) = items_of(order)[(number % 2) as usize];
    format!("({number}, {order}, {}, '{product}', {quantity}, {})", user_of(order), cents(price))
}

fn cents(amount: u32) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_costs_what_its_items_cost() {
        assert_eq!(cents(5), "0.05");
        for number in 1..=50 {
            let sum: u32 = items_of(number).iter().map(|((_, price), quantity)| price * quantity).sum();
            assert!(order(number).contains(&format!(", {}, TIMESTAMP", cents(sum))), "{}", order(number));
            let user = user_of(number);
            assert!((1..=USERS).contains(&user));
            assert!(item(number * 2).contains(&format!("{}, {number}, {user}, ", number * 2)));
        }
    }
}
