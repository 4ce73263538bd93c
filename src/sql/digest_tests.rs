//! What a fingerprint tells apart, and what it does not.

use super::*;

fn digest(sql: &str) -> (Scan, Vec<Literal>) {
    let mut literals = Vec::new();
    let found = scan(sql.as_bytes(), LexMode::default(), &mut literals);
    (found, literals)
}

fn fingerprint(sql: &str) -> u128 {
    digest(sql).0.fingerprint
}

#[test]
fn values_do_not_matter_but_their_kinds_do() {
    assert_eq!(fingerprint("SELECT * FROM t WHERE a=1 AND b='x'"), fingerprint("SELECT * FROM t WHERE a=22 AND b=''"));
    assert_ne!(fingerprint("SELECT 1"), fingerprint("SELECT '1'"));
    assert_ne!(fingerprint("SELECT 1"), fingerprint("SELECT 1.0"));
    assert_ne!(fingerprint("SELECT 1"), fingerprint("SELECT -1"));
    assert_ne!(fingerprint("SELECT a"), fingerprint("SELECT b"));
    assert_ne!(fingerprint("SELECT 1, 2"), fingerprint("SELECT 1 ,2"));
    assert_ne!(fingerprint("SELECT 1"), fingerprint("SELECT 1 1"));
}

#[test]
fn comments_do_not_matter_but_hints_do() {
    assert_eq!(fingerprint("/* trace 1 */ SELECT a"), fingerprint("/* trace 22 */ SELECT a"));
    assert_ne!(fingerprint("/* shardloom: primary */ SELECT a"), fingerprint("/* shardloom: replica */ SELECT a"));
    assert_ne!(fingerprint("SELECT /*+ A */ a"), fingerprint("SELECT /*+ B */ a"));
    assert_ne!(fingerprint("SELECT /*! a */ 1"), fingerprint("SELECT /*! b */ 1"));
}

#[test]
fn what_follows_the_semicolon_is_another_statement() {
    let (first, literals) = digest("SELECT 1; SELECT 'x'");
    assert_eq!(first.statement_end, 8);
    assert_eq!(first.next_statement, Some(9));
    assert_eq!(literals.len(), 1);
    assert_eq!(first.fingerprint, fingerprint("SELECT 7"));

    let mut literals = Vec::new();
    let second = scan_from(b"SELECT 1; SELECT 'x'", 9, LexMode::default(), &mut literals);
    assert_eq!(second.fingerprint, fingerprint(" SELECT 'x'"));
    assert_eq!((literals[0].start, literals[0].end), (17, 20));

    assert_eq!(digest("SELECT 1 ; -- done").0.next_statement, None);
    assert_eq!(digest("CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN a; b; END").0.next_statement, None);
}

#[test]
fn what_was_seen_is_told() {
    let (found, _) = digest("(SELECT ?, @a := ?, @@x /*+ h */ /*!1*/ /*!80000 1*/ /* shardloom: x */)");
    assert_eq!(found.verb, Verb::Select);
    assert_eq!(found.placeholders, 2);
    assert_eq!(
        found.flags,
        Flags {
            user_variable: true,
            system_variable: true,
            assignment: true,
            optimizer_hint: true,
            proxy_hint: true,
            executable_comment: true,
            unsure_comment: true,
            unterminated: false,
        }
    );
    assert!(digest("SELECT 'x").0.flags.unterminated);
    assert_eq!(digest("/*!40101 SET NAMES utf8 */").0.verb, Verb::Set);
    assert_eq!(digest(" -- nothing").0.verb, Verb::None);
}
