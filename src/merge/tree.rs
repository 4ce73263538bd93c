//! A tournament tree of losers: the least of k heads in log2(k) comparisons after one head changed.

/// A player: an input and the prefix of its head, which decides most matches.
#[derive(Debug, Clone, Copy)]
struct Player {
    prefix: u64,
    input: usize,
}

/// Nobody played here yet.
const NOBODY: Player = Player { prefix: 0, input: usize::MAX };

/// `nodes[0]` is the winner; node `n` keeps the loser of the match between its children. Leaves are not stored: the
/// leaf of input `i` is the child of node `(i + k) / 2`.
#[derive(Debug, Clone, Default)]
pub(super) struct LoserTree {
    nodes: Vec<Player>,
}

impl LoserTree {
    /// Plays all matches among `inputs` heads. The lesser prefix wins; where two are equal, `beats(a, b)` tells whether
    /// `a` leaves before `b`.
    pub(super) fn build(inputs: usize, prefix: impl Fn(usize) -> u64, beats: impl Fn(usize, usize) -> bool) -> Self {
        let mut tree = Self { nodes: vec![NOBODY; inputs.max(1)] };
        for input in (0..inputs).rev() {
            let mut winner = Player { prefix: prefix(input), input };
            let mut node = (input + inputs) / 2;
            // A match waits for both sides: whoever comes first stays.
            while node > 0 && tree.nodes[node].input != NOBODY.input {
                winner = tree.play(node, winner, &beats);
                node /= 2;
            }
            tree.nodes[node] = winner;
        }
        tree
    }

    /// The input whose head leaves next.
    #[inline]
    pub(super) fn winner(&self) -> usize {
        self.nodes[0].input
    }

    /// Plays the matches on the way of `input`, whose head changed, to the top. Only the winner's head may change.
    #[inline]
    pub(super) fn replay(&mut self, input: usize, prefix: u64, beats: impl Fn(usize, usize) -> bool) {
        let mut winner = Player { prefix, input };
        let mut node = (input + self.nodes.len()) / 2;
        while node > 0 {
            winner = self.play(node, winner, &beats);
            node /= 2;
        }
        self.nodes[0] = winner;
    }

    /// The winner of the match against who waits at a node, where the loser stays.
    #[inline]
    fn play(&mut self, node: usize, challenger: Player, beats: &impl Fn(usize, usize) -> bool) -> Player {
        let rival = self.nodes[node];
        let rival_wins = if rival.prefix == challenger.prefix {
            beats(rival.input, challenger.input)
        } else {
            rival.prefix < challenger.prefix
        };
        let (winner, loser) = if rival_wins { (rival, challenger) } else { (challenger, rival) };
        self.nodes[node] = loser;
        winner
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
            // Several values share a prefix.
            let prefix = |at: &[usize], i: usize| head(at, i).0 as u64 / 3;
            let mut tree = LoserTree::build(inputs, |i| prefix(&at, i), |a, b| head(&at, a) < head(&at, b));
            let mut merged = Vec::new();
            while let (value @ ..usize::MAX, winner) = head(&at, tree.winner()) {
                merged.push(value);
                at[winner] += 1;
                tree.replay(winner, prefix(&at, winner), |a, b| head(&at, a) < head(&at, b));
            }
            let mut all: Vec<usize> = lists.concat();
            all.sort_unstable();
            assert_eq!(merged, all, "{inputs} inputs");
        }
    }
}
