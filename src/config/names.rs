//! Names: which ones are allowed, and which one was probably meant.

use super::problem::Place;
use super::reader::Context;

/// The longest name of a schema or table in MySQL, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Advice for a name that is not known: the nearest known one, else all of them.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let best = known.iter().map(|other| (distance(name, other), *other)).min();
    match best {
        None => "there is none to name".into(),
        Some((steps, other)) if steps <= name.chars().count().max(3) / 3 => format!("did you mean '{other}'?"),
        Some(_) if known.len() > 20 => format!("write one of: {}, …", known[..20].join(", ")),
        Some(_) => format!("write one of: {}", known.join(", ")),
    }
}

/// Edits from one name to the other, ignoring case: letters added, removed, replaced, or two neighbours exchanged.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(row[j - 1] + 1).min(last[j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// Whether a name can name a group, a schema or a table: `what` says which in the problem that is noted.
pub(super) fn check_name(context: &Context<'_>, place: &Place, what: &str, name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "_-$".contains(c);
    let good = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && name.chars().all(allowed);
    if !good {
        let fix = "use 1 to 64 letters, digits, '_', '-' or '$'";
        context.problem(place, format!("'{name}' cannot name a {what}"), fix);
    }
    good
}

/// Schemas that every server has for itself, and that no rule divides.
pub const SYSTEM_SCHEMAS: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];
/// The proxy's own schema on its groups.
const OWN_SCHEMA: &str = "shardloom";

/// Notes a schema, logical or physical, that no rules may place anything in.
pub(super) fn check_no_system_schema(context: &Context<'_>, place: &Place, name: &str) -> bool {
    let is_system = SYSTEM_SCHEMAS.iter().chain([&OWN_SCHEMA]).any(|system| name.eq_ignore_ascii_case(system));
    if is_system {
        context.problem(
            place,
            format!("'{name}' is a schema of the servers or of the proxy itself"),
            "use another schema",
        );
    }
    !is_system
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed() {
        let known = ["max_connections", "wait_queue", "wait_timeout_ms"];
        assert_eq!(nearest("max_conections", known), "did you mean 'max_connections'?");
        assert_eq!(nearest("Wait_Queue", known), "did you mean 'wait_queue'?");
        assert_eq!(nearest("wiat_queeu", known), "did you mean 'wait_queue'?");
        assert_eq!(nearest("colour", known), "write one of: max_connections, wait_queue, wait_timeout_ms");
        assert_eq!(nearest("x", []), "there is none to name");
    }
}
