//! What keeps a cluster of backends usable while some of them are not: health and rotation.

pub mod health;
pub mod rotation;

pub use health::{Health, Transition};
pub use rotation::Rotation;
