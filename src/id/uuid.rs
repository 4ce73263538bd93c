//! UUIDs of version 7 (RFC 9562): 48 bits of milliseconds since 1970, then a counter and random bits. Those of one proxy
//! grow in the order in which they are made.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;

/// Makes UUIDs of version 7.
#[derive(Debug, Default)]
pub struct UuidV7 {
    /// Milliseconds << 12 | counter of the last one (RFC 9562, 6.2, method 1).
    last: AtomicU64,
}

impl UuidV7 {
    /// The next one, at `now_ms` milliseconds since 1970. When the clock goes back, or more than 4,096 are made in a
    /// millisecond, they run ahead of it.
    pub fn next(&self, now_ms: u64) -> u128 {
        let now = now_ms << 12;
        let step = |last: u64| Some((last + 1).max(now));
        // The closure always gives a value.
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        let value = (last + 1).max(now);
        let (millis, counter) = (value >> 12, value & 0xFFF);
        let random: u64 = rand::rng().random::<u64>() & ((1 << 62) - 1);
        (u128::from(millis & ((1 << 48) - 1)) << 80)
            | (0x7 << 76)
            | (u128::from(counter) << 64)
            | (0b10 << 62)
            | u128::from(random)
    }
}

/// The text of a UUID: `01890a5d-ac96-774b-bcce-b302099a8057`.
pub fn text(uuid: u128) -> String {
    let hex = format!("{uuid:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn they_grow_and_say_their_version() {
        let maker = UuidV7::default();
        let made: Vec<u128> = (0..20_000).map(|count| maker.next(1_700_000_000_000 - count / 1_000)).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
        let text = text(made[0]);
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'7');
        assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(u64::from_str_radix(&text.replace('-', "")[..12], 16).unwrap(), 1_700_000_000_000);
    }
}
