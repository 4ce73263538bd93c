//! Free ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use super::error::PlaygroundError;

/// First port handed out. The range ends below the kernel's range for outgoing connections (32768 and up),
/// so that a port which was free a moment ago is not taken by somebody's client socket.
const LOW: u16 = 20_000;
/// Last port handed out.
const HIGH: u16 = 31_999;

/// Where this process looks next, so that it does not hand out a port twice before it is bound.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16, PlaygroundError> {
    let count = HIGH - LOW + 1;
    // Processes begin at different places, so that two test runs seldom meet.
    let start = (std::process::id() % u32::from(count)) as u16;
    for _ in 0..count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = LOW + ((u32::from(start) * 37 + u32::from(step)) % u32::from(count)) as u16;
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(PlaygroundError::NoFreePort { low: LOW, high: HIGH })
}

/// Whether a port can be listened on at this moment.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
