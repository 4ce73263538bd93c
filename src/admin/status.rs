//! What the admin port asks the proxy.

use serde::Serialize;

/// The proxy as the admin port sees it.
pub trait Status: Send + Sync + 'static {
    /// Whether clients may be sent here.
    fn readiness(&self) -> Readiness;
    /// The rules in force.
    fn rules(&self) -> RulesStatus;
}

/// One group of servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Whether its primary counts as up.
    pub primary_is_up: bool,
}

/// What readiness depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether there are rules in force.
    pub rules_loaded: bool,
    /// Whether the proxy is going down and takes no new clients.
    pub draining: bool,
    /// The groups of the rules.
    pub groups: Vec<GroupStatus>,
}

impl Readiness {
    /// Why clients should not be sent here; empty if they may.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self.draining {
            obstacles.push("draining: the proxy is going down".to_owned());
        }
        if !self.rules_loaded {
            obstacles.push("no rules are loaded".to_owned());
        }
        let down = self.groups.iter().filter(|group| !group.primary_is_up);
        obstacles.extend(down.map(|group| format!("the primary of group {} cannot be reached", group.name)));
        obstacles
    }
}

/// What became of the last attempt to load the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum LastLoad {
    /// They are in force.
    Loaded,
    /// They had problems; the ones before them are in force.
    Rejected {
        /// Each with its file and line.
        problems: Vec<String>,
    },
}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RulesStatus {
    /// Counts the rules that were in force since the start.
    pub version: u64,
    /// The folder that they were read from.
    pub directory: String,
    /// Seconds since 1970 at which they came into force.
    pub loaded_at_unix_s: u64,
    /// The last attempt.
    pub last_load: LastLoad,
    /// Their schemas.
    pub schemas: Vec<String>,
    /// Their groups.
    pub groups: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, primary_is_up: bool) -> GroupStatus {
        GroupStatus { name: name.into(), primary_is_up }
    }

    #[test]
    fn each_obstacle_is_named() {
        let ready = Readiness { rules_loaded: true, draining: false, groups: vec![group("g0", true)] };
        assert!(ready.obstacles().is_empty());
        let groups = vec![group("g0", true), group("g1", false)];
        let obstacles = Readiness { rules_loaded: false, draining: true, groups }.obstacles();
        assert_eq!(obstacles.len(), 3);
        assert!(obstacles[2].contains("g1"));
    }
}
