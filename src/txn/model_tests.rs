//! The anchor protocol as a model, explored to its end: a coordinator, two recoverers (other proxies, or the same one
//! started again), an anchor and two branches; any of the proxies may die at any step, connections may break at any
//! message, servers may restart. In no state that can be reached may one participant have committed and another have
//! rolled back, and from every state recovery can bring all to an end.

use std::collections::HashSet;

const BRANCHES: usize = 2;
const RECOVERERS: usize = 2;

/// What a branch's server knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Branch {
    /// Goes with its connection.
    Active,
    Prepared,
    Committed,
    RolledBack,
}

/// What the anchor's server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Anchor {
    /// The transaction is open.
    Active,
    /// The decision row is written, and locked, but the transaction is open.
    Deciding,
    Committed,
    RolledBack,
}

/// The row of the transaction in the table of decisions, as others can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Row {
    None,
    Commit,
    Abort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Coordinator {
    /// Sends XA PREPARE to the branches.
    Preparing,
    /// All are prepared: sends the decision.
    Deciding,
    /// The decision was sent, and the connection broke before an answer.
    Settling,
    /// Knows that it is committed.
    Committing,
    /// Knows that it is rolled back.
    RollingBack,
    /// Told its client so.
    Done {
        committed: bool,
    },
    Dead,
}

/// A recoverer looks at the branches, settles, and ends what it saw prepared. What it has settled it keeps in mind, however
/// long it takes to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Recoverer {
    Looking,
    Settled { commit: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    coordinator: Coordinator,
    /// The coordinator's connections: to the anchor, and to the branches.
    anchor_connected: bool,
    connected: [bool; BRANCHES],
    anchor: Anchor,
    row: Row,
    branches: [Branch; BRANCHES],
    recoverers: [Recoverer; RECOVERERS],
}

impl State {
    const START: Self = Self {
        coordinator: Coordinator::Preparing,
        anchor_connected: true,
        connected: [true; BRANCHES],
        anchor: Anchor::Active,
        row: Row::None,
        branches: [Branch::Active; BRANCHES],
        recoverers: [Recoverer::Looking; RECOVERERS],
    };

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        change(&mut next);
        next
    }

    /// The anchor's server loses the connection, or restarts: what was not committed is rolled back, locks are gone.
    fn drop_anchor(&mut self) {
        self.anchor_connected = false;
        if matches!(self.anchor, Anchor::Active | Anchor::Deciding) {
            self.anchor = Anchor::RolledBack;
        }
    }

    fn drop_branch(&mut self, index: usize) {
        self.connected[index] = false;
        if self.branches[index] == Branch::Active {
            self.branches[index] = Branch::RolledBack;
        }
    }

    /// INSERT of an *abort* row. Nothing while the coordinator's own row is locked.
    fn settle(&self) -> Option<(Self, bool)> {
        match (self.anchor, self.row) {
            (Anchor::Deciding, _) => None,
            (_, Row::None) => Some((self.with(|state| state.row = Row::Abort), false)),
            (_, Row::Commit) => Some((self.clone(), true)),
            (_, Row::Abort) => Some((self.clone(), false)),
        }
    }

    fn next(&self) -> Vec<Self> {
        let mut next = self.coordinator_steps();
        next.extend(self.server_steps());
        next.extend(self.failures());
        for index in 0..RECOVERERS {
            next.extend(self.recoverer_steps(index));
        }
        next
    }

    fn coordinator_steps(&self) -> Vec<Self> {
        let mut next = Vec::new();
        match self.coordinator {
            Coordinator::Preparing => {
                for (index, branch) in self.branches.iter().enumerate() {
                    if *branch == Branch::Active && self.connected[index] {
                        next.push(self.with(|state| state.branches[index] = Branch::Prepared));
                    }
                }
                if self.branches.iter().all(|branch| *branch == Branch::Prepared) {
                    next.push(self.with(|state| state.coordinator = Coordinator::Deciding));
                }
                // A branch that could not be prepared, or whose answer did not come.
                if self.connected.contains(&false) {
                    next.push(self.with(|state| state.coordinator = Coordinator::RollingBack));
                }
            }
            Coordinator::Deciding => match (self.anchor_connected, self.row) {
                (false, _) => next.push(self.with(|state| state.coordinator = Coordinator::Settling)),
                // The duplicate key: the commit behind it does not run.
                (true, Row::Abort) if self.anchor == Anchor::Active => {
                    next.push(self.with(|state| state.coordinator = Coordinator::Settling));
                }
                (true, _) if self.anchor == Anchor::Active => {
                    next.push(self.with(|state| state.anchor = Anchor::Deciding));
                }
                (true, _) if self.anchor == Anchor::Committed => {
                    next.push(self.with(|state| state.coordinator = Coordinator::Committing));
                }
                _ => {}
            },
            Coordinator::Settling => {
                // It has rolled back or given up its own connection before.
                let left = self.with(Self::drop_anchor);
                if let Some((settled, commit)) = left.settle() {
                    next.push(settled.with(|state| {
                        state.coordinator = if commit { Coordinator::Committing } else { Coordinator::RollingBack };
                    }));
                }
            }
            Coordinator::Committing => {
                next.extend(self.tell(Branch::Committed));
                // What cannot be told is left to recovery.
                if (0..BRANCHES).all(|index| !self.connected[index] || self.branches[index] == Branch::Committed) {
                    next.push(self.with(|state| state.coordinator = Coordinator::Done { committed: true }));
                }
            }
            Coordinator::RollingBack => {
                next.extend(self.tell(Branch::RolledBack));
                next.push(self.with(Self::drop_anchor));
                let told = (0..BRANCHES).all(|i| !self.connected[i] || self.branches[i] == Branch::RolledBack);
                if told && self.anchor == Anchor::RolledBack {
                    next.push(self.with(|state| state.coordinator = Coordinator::Done { committed: false }));
                }
            }
            Coordinator::Done { .. } | Coordinator::Dead => {}
        }
        next
    }

    /// Tells the branches that are still connected to it.
    fn tell(&self, end: Branch) -> Vec<Self> {
        let open = |branch| matches!(branch, Branch::Prepared | Branch::Active);
        (0..BRANCHES)
            .filter(|&index| self.connected[index] && open(self.branches[index]))
            .map(|index| self.with(|state| state.branches[index] = end))
            .collect()
    }

    /// The anchor's server works on the COMMIT behind the row, whether the coordinator still listens or not.
    fn server_steps(&self) -> Vec<Self> {
        if self.anchor != Anchor::Deciding {
            return Vec::new();
        }
        vec![self.with(|state| {
            state.anchor = Anchor::Committed;
            state.row = Row::Commit;
        })]
    }

    fn failures(&self) -> Vec<Self> {
        let mut next = Vec::new();
        if self.anchor_connected {
            next.push(self.with(Self::drop_anchor));
            // The connection is lost, and the server notices after it has committed.
            next.push(self.with(|state| state.anchor_connected = false));
        }
        for index in 0..BRANCHES {
            if self.connected[index] {
                next.push(self.with(|state| state.drop_branch(index)));
            }
        }
        if !matches!(self.coordinator, Coordinator::Dead | Coordinator::Done { .. }) {
            next.push(self.with(|state| {
                state.coordinator = Coordinator::Dead;
                // Its connections close; a COMMIT that is on its way may still run.
                state.anchor_connected = false;
                if state.anchor == Anchor::Active {
                    state.anchor = Anchor::RolledBack;
                }
                (0..BRANCHES).for_each(|index| state.drop_branch(index));
            }));
        }
        next
    }

    fn recoverer_steps(&self, index: usize) -> Vec<Self> {
        let mut next = Vec::new();
        match self.recoverers[index] {
            Recoverer::Looking => {
                if self.branches.contains(&Branch::Prepared)
                    && let Some((settled, commit)) = self.settle()
                {
                    next.push(settled.with(|state| state.recoverers[index] = Recoverer::Settled { commit }));
                }
            }
            Recoverer::Settled { commit } => {
                let end = if commit { Branch::Committed } else { Branch::RolledBack };
                for branch in 0..BRANCHES {
                    if self.branches[branch] == Branch::Prepared {
                        next.push(self.with(|state| state.branches[branch] = end));
                    }
                }
                // It dies, or looks again.
                next.push(self.with(|state| state.recoverers[index] = Recoverer::Looking));
            }
        }
        next
    }

    fn check(&self) {
        let committed = self.anchor == Anchor::Committed || self.branches.contains(&Branch::Committed);
        let rolled_back = self.anchor == Anchor::RolledBack || self.branches.contains(&Branch::RolledBack);
        assert!(!(committed && rolled_back), "torn: {self:?}");
        if let Coordinator::Done { committed } = self.coordinator {
            assert_eq!(committed, self.anchor == Anchor::Committed, "the client was told wrongly: {self:?}");
        }
    }

    fn is_settled(&self) -> bool {
        let open = self.branches.iter().any(|branch| matches!(branch, Branch::Active | Branch::Prepared));
        !open && matches!(self.anchor, Anchor::Committed | Anchor::RolledBack)
    }
}

fn explore() -> HashSet<State> {
    let mut seen = HashSet::from([State::START]);
    let mut frontier = vec![State::START];
    while let Some(state) = frontier.pop() {
        state.check();
        frontier.extend(state.next().into_iter().filter(|next| seen.insert(next.clone())));
    }
    seen
}

#[test]
fn no_interleaving_tears_a_transaction() {
    let seen = explore();
    // A model that went nowhere would hold as well.
    assert!(seen.len() > 1_000, "{}", seen.len());
    for committed in [true, false] {
        assert!(seen.iter().any(|state| state.coordinator == Coordinator::Done { committed }));
    }
    assert!(seen.iter().any(|state| state.coordinator == Coordinator::Dead && state.anchor == Anchor::Committed));
    assert!(seen.iter().any(|state| state.row == Row::Abort && state.coordinator == Coordinator::Deciding));
}

#[test]
fn recovery_ends_whatever_a_dead_coordinator_left() {
    for state in explore().into_iter().filter(|state| state.coordinator == Coordinator::Dead) {
        let mut now = state.clone();
        // The servers finish what they are doing, then a recoverer works undisturbed.
        while !now.is_settled() {
            let steps = now.server_steps().into_iter().chain(now.recoverer_steps(0));
            let step = steps.max_by_key(|next| next.branches.iter().filter(|b| **b != Branch::Prepared).count());
            now = step.unwrap_or_else(|| panic!("stuck: {state:?}"));
        }
        now.check();
    }
}
