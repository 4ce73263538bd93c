//! The client side of the door: listening, TLS, the connection limit, authentication, and drain.
//!
//! A connection comes in by [`Server::run`], is greeted and authenticated by `greeting`, and reaches the session layer as
//! an [`Accepted`]. Who may come in is asked of a [`Directory`]; this layer knows no rules.

mod accept;
mod account;
mod authenticate;
mod change_user;
mod drain;
mod error;
mod gate;
mod greeting;
mod listener;
mod options;
mod places;
mod tls;

#[cfg(test)]
mod tests;

pub use accept::{Server, ServerHandle, Sessions};
pub use account::{Account, Credential, Directory};
pub use change_user::ChangedUser;
pub use drain::Drain;
pub use error::ServerError;
pub use gate::Gate;
pub use greeting::{Accepted, Peer};
pub use options::{ListenAddress, ServerOptions, TlsFiles, TlsPolicy};
