//! Weighted round robin over the servers that may be used now.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest table of turns. Weights are scaled down where their sum is larger; shares are then exact to about a
/// thousandth.
const TURNS_LIMIT: u64 = 1024;

/// Whose turn it is. The turns are laid out once, spread evenly ("smooth" weighted round robin), so that a pick is one
/// atomic increment and a look at a table.
#[derive(Debug)]
pub struct Rotation {
    turns: Box<[u16]>,
    next: AtomicUsize,
}

impl Rotation {
    /// Lays out the turns. A weight of 0 gets none: such a server is drained.
    pub fn new(weights: &[u32]) -> Self {
        Self { turns: lay_out(&scaled(weights)), next: AtomicUsize::new(0) }
    }

    /// The next member that `may_serve` accepts. A member that is left out gives its turns to those after it.
    #[inline]
    pub fn pick(&self, may_serve: impl Fn(usize) -> bool) -> Option<usize> {
        let len = self.turns.len();
        if len == 0 {
            return None;
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..len).map(|i| usize::from(self.turns[first.wrapping_add(i) % len])).find(|&member| may_serve(member))
    }
}

/// The weights in lowest terms, scaled so that their sum stays within the limit.
fn scaled(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |a, &b| gcd(a, u64::from(b))).max(1);
    let lowest: Vec<u64> = weights.iter().map(|&w| u64::from(w) / divisor).collect();
    let sum: u64 = lowest.iter().sum();
    if sum <= TURNS_LIMIT {
        return lowest;
    }
    lowest.iter().map(|&w| if w == 0 { 0 } else { (w * TURNS_LIMIT / sum).max(1) }).collect()
}

/// At each turn everyone gains its weight, and the one that is furthest ahead goes and pays the sum.
fn lay_out(weights: &[u64]) -> Box<[u16]> {
    let sum: u64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    (0..sum)
        .map(|_| {
            credit.iter_mut().zip(weights).for_each(|(c, &w)| *c += w as i64);
            // The first of equals, so that the order of the rules is the order of the turns.
            let ahead = (0..credit.len()).rev().max_by_key(|&i| credit[i]).unwrap_or(0);
            credit[ahead] -= sum as i64;
            ahead as u16
        })
        .collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(rotation: &Rotation, count: usize, up: impl Fn(usize) -> bool + Copy) -> Vec<usize> {
        (0..count).filter_map(|_| rotation.pick(up)).collect()
    }

    #[test]
    fn shares_follow_the_weights_and_are_spread() {
        let rotation = Rotation::new(&[2, 1, 1]);
        assert_eq!(picks(&rotation, 8, |_| true), [0, 1, 2, 0, 0, 1, 2, 0]);
        let heavy = Rotation::new(&[3_000_000_000, 1_000_000_000]);
        let got = picks(&heavy, 400, |_| true);
        assert_eq!(got.iter().filter(|&&m| m == 0).count(), 300);
    }

    #[test]
    fn a_member_that_is_down_is_left_out() {
        let rotation = Rotation::new(&[1, 1, 1]);
        assert!(picks(&rotation, 30, |m| m != 1).iter().all(|&m| m != 1));
        assert!(picks(&rotation, 5, |_| false).is_empty());
    }

    #[test]
    fn weight_zero_and_nobody() {
        assert!(picks(&Rotation::new(&[0, 1]), 10, |_| true).iter().all(|&m| m == 1));
        assert_eq!(Rotation::new(&[]).pick(|_| true), None);
        assert_eq!(Rotation::new(&[0]).pick(|_| true), None);
    }

    #[test]
    fn large_uneven_weights_stay_within_the_table() {
        let rotation = Rotation::new(&[u32::MAX, 1, 7]);
        assert!(rotation.turns.len() as u64 <= TURNS_LIMIT + 3);
        assert!(rotation.turns.contains(&1), "a small weight keeps a turn");
    }
}
