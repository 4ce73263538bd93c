//! The documentation and the examples are true.

use std::path::{Path, PathBuf};

use super::super::*;
use crate::route::algorithm::DEFAULT_VIRTUAL_NODES;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_key_is_in_the_documentation() {
    let text = std::fs::read_to_string(project("docs/rules.md")).unwrap();
    for (name, table) in reference() {
        let section =
            text.split("\n#").find(|part| part.trim_start_matches(['#', ' ']).starts_with(&format!("`{name}`")));
        let section =
            section.unwrap_or_else(|| panic!("docs/rules.md has no heading for `{name}`; its keys are\n{table}"));
        assert!(section.contains(&table), "docs/rules.md: `{name}` should hold\n{table}");
    }
}

#[test]
fn the_defaults_in_the_reference_can_be_read() {
    for section in keys::SECTIONS {
        for key in section.keys {
            let keys::Absent::Default(value) = key.absent else { continue };
            match key.kind {
                keys::Kind::Int(least, most) => {
                    assert!((least..=most).contains(&value.parse().unwrap()), "{} {}", section.name, key.name);
                }
                keys::Kind::OneOf(words) => assert!(words.contains(&value), "{} {}", section.name, key.name),
                keys::Kind::Flag => assert!(["true", "false"].contains(&value), "{} {}", section.name, key.name),
                _ => {}
            }
        }
    }
    assert_eq!(
        keys::CONSISTENT_HASH.key("virtual_nodes").unwrap().absent.words(),
        format!("`{DEFAULT_VIRTUAL_NODES}`")
    );
}

/// Each YAML example in the documentation is good, with the users and groups it leaves out.
#[test]
fn the_examples_in_the_documentation_are_good() {
    let text = std::fs::read_to_string(project("docs/rules.md")).unwrap();
    let around = "users: [{name: a, password: ''}]\n";
    let groups: String = (0..4).map(|n| format!("  g{n}: {{primary: {{url: mysql://a@h{n}}}}}\n")).collect();
    let environment = Environment::of(&[("APP_PASSWORD", "x"), ("DB_PASSWORD", "x")]);
    let mut count = 0;
    for example in text.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()) {
        let has = |key: &str| example.starts_with(&format!("{key}:")) || example.contains(&format!("\n{key}:"));
        let mut files = vec![("docs.yaml".to_owned(), example.to_owned())];
        if !has("users") {
            files.push(("users.yaml".into(), around.into()));
        }
        if !has("groups") {
            files.push(("groups.yaml".into(), format!("groups:\n{groups}")));
        }
        if !has("schemas") {
            files.push(("schemas.yaml".into(), "schemas: {shop: {default_group: g0}}\n".into()));
        }
        let result = Rules::read(&files, &environment);
        assert!(result.is_ok(), "{example}\n{}", result.unwrap_err());
        count += 1;
    }
    assert!(count >= 10, "{count} examples");
}

#[test]
fn the_folders_of_rules_are_good_as_they_are() {
    for name in ["playground", "read-write-split", "database-and-table", "one-server-many-schemas"] {
        let folder = project("rules").join(name);
        let files = source::read_folder(&folder).unwrap();
        let rules = Rules::read(&files, &Environment::of(&[]).with_folder(&folder));
        let rules = rules.unwrap_or_else(|problems| panic!("rules/{name}: {problems}"));
        assert!(rules.schema("shop").is_some());
    }
}

#[test]
fn the_playground_takes_its_servers_from_the_environment() {
    let folder = project("rules/playground");
    let environment = Environment::of(&[
        ("SHARDLOOM_LISTEN", "127.0.0.1:4000"),
        ("SHARDLOOM_APP_PASSWORD", "p}:{w"),
        ("SHARDLOOM_G1_REPLICA", "mysql://u:p@127.0.0.1:5000"),
    ]);
    let rules = Rules::read(&source::read_folder(&folder).unwrap(), &environment).unwrap();
    assert_eq!(rules.proxy.listen.mysql[0].to_string(), "127.0.0.1:4000");
    assert_eq!(rules.user("app").unwrap().password, Password::Plain(Secret::new("p}:{w")));
    let replica = &rules.groups[1].replicas[0];
    assert_eq!(
        (replica.address.to_string().as_str(), &*replica.user, &*replica.name),
        ("127.0.0.1:5000", "u", "g1-replica")
    );
}
