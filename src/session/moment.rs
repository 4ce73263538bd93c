//! One moment for a statement that runs on several shards.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::backend::Variables;

/// The variables of a session with its `timestamp` bound to this moment, so that NOW() and its kin are the same on all
/// shards of a statement; the clock is the proxy's. A session that has bound its `timestamp` itself keeps that.
pub(super) fn at_one_moment(vars: &Arc<Variables>) -> Arc<Variables> {
    let is_bound = vars.get("timestamp").is_some_and(|moment| &**moment != "0");
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(now) if !is_bound => vars.with("timestamp", Some(&format!("{}.{:06}", now.as_secs(), now.subsec_micros()))),
        _ => Arc::clone(vars),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_session_stays() {
        let none = Variables::none();
        let bound = at_one_moment(&none);
        assert!(bound.get("timestamp").unwrap().parse::<f64>().unwrap() > 1.7e9);
        let own = none.with("timestamp", Some("1000"));
        assert!(Variables::same(&at_one_moment(&own), &own));
        assert_ne!(&**at_one_moment(&none.with("timestamp", Some("0"))).get("timestamp").unwrap(), "0");
    }
}
