//! From nodes to rules: one reader per kind of map.

mod algorithm;
mod binding;
mod group;
mod proxy;
mod rules;
mod schema;
mod server;
mod shared_nodes;
mod strategy;
mod table;
mod url;
mod user;

pub(super) use rules::read;
