//! The plans that a session used last: found without the lock and the counters that sessions on all processors share.

use std::sync::Arc;

use crate::plan::{Plan, PlanKey};
use crate::sql::Literal;

/// How many plans a session remembers. Applications run a few statements over and over on a connection; whatever more there
/// are is found in the cache of all sessions.
const MAX_RECENT: usize = 8;
/// So many uses after which the cache of all sessions is asked again, so that it knows that the plan is in use.
const USES: u16 = 256;

/// The plans that a session used last.
#[derive(Debug, Default)]
pub(super) struct RecentPlans {
    plans: Vec<Recent>,
    /// The one to be replaced next.
    next: usize,
}

#[derive(Debug)]
struct Recent {
    known: Arc<KnownPlan>,
    uses: u16,
}

/// A plan with its key. The session's own: counting references to it concerns no other processor.
#[derive(Debug)]
pub(super) struct KnownPlan {
    key: PlanKey,
    /// The plan.
    pub plan: Arc<Plan>,
}

impl RecentPlans {
    /// The plan for a text, if it is among them.
    pub fn find(&mut self, key: &PlanKey, sql: &[u8], literals: &[Literal]) -> Option<Arc<KnownPlan>> {
        let is_it = |recent: &Recent| recent.known.key == *key && recent.known.plan.holds_for(sql, literals);
        let at = self.plans.iter().position(is_it)?;
        let recent = &mut self.plans[at];
        recent.uses += 1;
        if recent.uses > USES {
            self.plans.swap_remove(at);
            return None;
        }
        Some(Arc::clone(&recent.known))
    }

    /// Remembers a plan.
    pub fn keep(&mut self, key: PlanKey, plan: Arc<Plan>) -> Arc<KnownPlan> {
        let known = Arc::new(KnownPlan { key, plan });
        let recent = Recent { known: Arc::clone(&known), uses: 0 };
        if self.plans.len() < MAX_RECENT {
            self.plans.push(recent);
        } else {
            self.next = (self.next + 1) % MAX_RECENT;
            self.plans[self.next] = recent;
        }
        known
    }
}
