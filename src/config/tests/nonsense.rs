//! Whatever stands in the files, the answer is rules or problems.

use proptest::prelude::*;

use super::super::*;
use super::SHOP;

/// A problem has a place in a file that exists, and both texts.
fn check(files: &[(&str, &str)]) {
    let Err(problems) = Rules::from_files(files) else { return };
    assert!(!problems.0.is_empty());
    for problem in &problems.0 {
        assert!(!problem.text.is_empty() && !problem.fix.is_empty(), "{problem}");
        let lines = files.iter().find(|(name, _)| *name == &*problem.place.file).map(|(_, text)| text.lines().count());
        let is_anywhere = &*problem.place.file == "*.yaml";
        let line = usize::try_from(problem.place.line).unwrap();
        assert!(is_anywhere || lines.is_some_and(|lines| line <= lines + 1), "{problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        check(&[("a.yaml", &text)]);
    }

    #[test]
    fn any_characters_of_yaml(text in "[a-c:{}\\[\\],\\-&*#'\"$|> \n0.!%?]{0,80}") {
        check(&[("a.yaml", &text)]);
    }

    /// The example with a piece cut out, doubled, or replaced.
    #[test]
    fn damaged_rules(
        file in 0_usize..3,
        start in 0.0_f64..1.0,
        len in 0_usize..40,
        by in prop::sample::select(vec!["", "x", "{", "}", "[", "\n", ": ", "0", "-1", "${A}", "${0..1}", "'", "~", "&a *a", "99999999999999999999"]),
    ) {
        let mut files = SHOP.map(|(name, text)| (name, text.to_owned()));
        let text = &mut files[file].1;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let from = (start * text.len() as f64) as usize;
        let to = (from + len).min(text.len());
        text.replace_range(from..to, by);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        check(&files);
    }

    #[test]
    fn shielding_loses_nothing(text in "[a-z{}$.,:_ >-]{0,60}") {
        prop_assert_eq!(shield::unshield(&shield::shield(&text)), text);
    }

    #[test]
    fn any_data_node(text in "[a-c{}.,0-9$>'\\[\\]-]{0,40}") {
        let _ = data_nodes::expand(&text);
    }
}
