//! A tournament tree of losers: the least of k heads in log2(k) comparisons after one head changed.

/// Nobody played here yet.
const NOBODY: usize = usize::MAX;

/// `nodes[0]` is the winner; node `n` keeps the loser of the match between its children. Leaves are not stored: the
/// leaf of input `i` is the child of node `(i + k) / 2`.
#[derive(Debug, Clone, Default)]
pub(super) struct LoserTree {
    nodes: Vec<usize>,
}

impl LoserTree {
    /// Plays all matches among `inputs` heads. `beats(a, b)` tells whether `a` leaves before `b`.
    pub(super) fn build(inputs: usize, beats: impl Fn(usize, usize) -> bool) -> Self {
        let mut tree = Self { nodes: vec![NOBODY; inputs.max(1)] };
        for input in (0..inputs).rev() {
            tree.replay(input, &beats);
        }
        tree
    }

    /// The input whose head leaves next.
    #[inline]
    pub(super) fn winner(&self) -> usize {
        self.nodes[0]
    }

    /// Plays the matches on the way of `input`, whose head changed, to the top. Only the winner's head may change.
    #[inline]
    pub(super) fn replay(&mut self, input: usize, beats: &impl Fn(usize, usize) -> bool) {
        let mut winner = input;
        let mut node = (input + self.nodes.len()) / 2;
        while node > 0 {
            let rival = self.nodes[node];
            // Nobody beats everybody while the tree is built, so that each match waits for both sides.
            if rival == NOBODY || (winner != NOBODY && beats(rival, winner)) {
                self.nodes[node] = winner;
                winner = rival;
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_any_number_of_inputs() {
        for inputs in 1..=9 {
            let lists: Vec<Vec<usize>> = (0..inputs).map(|i| (0..20).map(|n| n * (i + 1)).collect()).collect();
            let mut at = vec![0; inputs];
            let head = |at: &[usize], i: usize| (lists[i].get(at[i]).copied().unwrap_or(usize::MAX), i);
            let mut tree = LoserTree::build(inputs, |a, b| head(&at, a) < head(&at, b));
            let mut merged = Vec::new();
            while let (value @ ..usize::MAX, winner) = head(&at, tree.winner()) {
                merged.push(value);
                at[winner] += 1;
                tree.replay(winner, &|a, b| head(&at, a) < head(&at, b));
            }
            let mut all: Vec<usize> = lists.concat();
            all.sort_unstable();
            assert_eq!(merged, all, "{inputs} inputs");
        }
    }
}
