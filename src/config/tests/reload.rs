//! Rules that change while they are in use.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tempfile::TempDir;

use super::super::watch::{Status, Watcher};
use super::super::*;
use super::SHOP;

/// Nothing here takes long; a test that waits so long has failed.
const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    folder: TempDir,
    rules: Arc<ArcSwap<Rules>>,
    watcher: Watcher,
}

fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    SHOP.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
    let rules = Arc::new(ArcSwap::from_pointee(Rules::load(folder.path()).unwrap()));
    let running = Arc::clone(&rules);
    let environment = Environment::process(folder.path());
    let watcher = Watcher::start_with(folder.path(), environment, move |rules| running.store(Arc::new(rules)));
    Running { folder, rules, watcher }
}

impl Running {
    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap();
        assert!(text.contains(from));
        self.write(file, &text.replace(from, to));
    }

    async fn wait(&self, until: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.watcher.status();
        let reached = tokio::time::timeout(DEADLINE, status.wait_for(until)).await;
        reached.expect("no reload in time").unwrap().clone()
    }
}

#[tokio::test]
async fn a_change_is_taken_into_use() {
    let running = start();
    let before = running.rules.load_full();
    running.replace("groups.yaml", "weight: 2", "weight: 5");
    let status = running.wait(|status| status.applied >= 1).await;
    let after = running.rules.load_full();
    assert_eq!((before.groups[0].replicas[0].weight, after.groups[0].replicas[0].weight), (2, 5));
    assert!(after.version > before.version);
    assert_eq!(status.version, Some(after.version));
}

#[tokio::test]
async fn a_broken_change_leaves_the_running_rules() {
    let running = start();
    let before = running.rules.load_full();
    running.replace("shop.yaml", "type: mod", "type: mood");
    let status = running.wait(|status| status.refused >= 1).await;
    let problems = status.problems.unwrap().to_string();
    assert_eq!(problems, "shop.yaml:21: unknown algorithm 'mood'; did you mean 'mod'?");
    assert!(Arc::ptr_eq(&before, &running.rules.load_full()));
    running.replace("shop.yaml", "type: mood", "type: mod");
    let status = running.wait(|status| status.applied >= 1).await;
    assert!(status.problems.is_none());
}

#[tokio::test]
async fn a_change_over_two_files_is_never_half_applied() {
    let running = start();
    // A group is renamed in two files. Between the two writes the rules on disk are broken; whatever is read
    // in between is refused, so only the old and the new set can run.
    running.replace("groups.yaml", "  g1:\n", "  h1:\n");
    running.replace("shop.yaml", "g{0..1}", "{g0,h1}");
    let status = running.wait(|status| status.applied >= 1).await;
    assert!(status.problems.is_none());
    assert_eq!(&*running.rules.load().groups[1].name, "h1");
}

#[tokio::test]
async fn asking_reads_secrets_again() {
    let running = start();
    running.write("pw", "one");
    running.replace("proxy.yaml", "${APP_PASSWORD:-secret}", "${file:pw}");
    running.wait(|status| status.applied >= 1).await;
    running.write("pw", "two");
    running.watcher.reload();
    running.wait(|status| status.applied >= 2).await;
    assert_eq!(running.rules.load().user("app").unwrap().password, Password::Plain(Secret::new("two")));
}

#[tokio::test]
async fn a_missing_folder_is_told_once_and_comes_back() {
    let running = start();
    let away = running.folder.path().with_extension("away");
    std::fs::rename(running.folder.path(), &away).unwrap();
    running.watcher.reload();
    let status = running.wait(|status| status.refused >= 1).await;
    assert!(status.problems.unwrap().to_string().contains("cannot be read"));
    std::fs::rename(&away, running.folder.path()).unwrap();
    running.watcher.reload();
    running.wait(|status| status.applied >= 1).await;
}
