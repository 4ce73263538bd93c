//! The query of a view, as MySQL prints it in `information_schema`.

use crate::sql::LexMode;
use crate::sql::lexer::Lexer;

/// What MySQL wraps around a key of a query WITH ROLLUP. It prints these, and does not read them again.
const GROUP_ITEM: &str = "rollup_group_item";
/// What it wraps around an aggregate of one.
const SUM_SWITCHER: &str = "rollup_sum_switcher";

/// An open parenthesis.
struct Open {
    /// It is one of MySQL's own.
    is_wrapper: bool,
    /// The last comma directly in it.
    comma: Option<usize>,
}

/// A definition without what no server reads: `rollup_group_item(k,0)` is `k`, `rollup_sum_switcher(count(0))` is `count(0)`.
pub(super) fn readable(definition: String) -> String {
    if !definition.contains(GROUP_ITEM) && !definition.contains(SUM_SWITCHER) {
        return definition;
    }
    let sql = definition.as_bytes();
    let mut kept = String::with_capacity(definition.len());
    let mut copied = 0;
    let mut open: Vec<Open> = Vec::new();
    let mut word: Option<usize> = None;
    let mut leave_out = |from: usize, to: usize| {
        kept.push_str(definition.get(copied..from).unwrap_or_default());
        copied = to;
    };
    for token in Lexer::new(sql, LexMode::default()) {
        if token.is_symbol(sql, b'(') {
            if let Some(word) = word {
                leave_out(word, token.end);
            }
            open.push(Open { is_wrapper: word.is_some(), comma: None });
        } else if token.is_symbol(sql, b')') {
            if let Some(Open { is_wrapper: true, comma }) = open.pop() {
                leave_out(comma.unwrap_or(token.start), token.end);
            }
        } else if let (true, Some(inner)) = (token.is_symbol(sql, b','), open.last_mut()) {
            inner.comma = Some(token.start);
        }
        let is_wrapper = token.is_word(sql, GROUP_ITEM) || token.is_word(sql, SUM_SWITCHER);
        word = is_wrapper.then_some(token.start);
    }
    leave_out(definition.len(), definition.len());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_left_out() {
        let printed = "select rollup_group_item(`z`.`t`.`a`,0) AS `a`,grouping(rollup_group_item(`z`.`t`.`a`,0)) AS `g`,\
                       (rollup_group_item(concat(`b`,','),1) + 1) AS `x`,rollup_sum_switcher(count(distinct `a`,`b`)) AS \
                       `rollup_group_item(` from `z`.`t` group by `a`,concat(`b`,',') with rollup";
        let wanted = "select `z`.`t`.`a` AS `a`,grouping(`z`.`t`.`a`) AS `g`,(concat(`b`,',') + 1) AS `x`,\
                      count(distinct `a`,`b`) AS `rollup_group_item(` from `z`.`t` group by `a`,concat(`b`,',') with rollup";
        assert_eq!(readable(printed.to_owned()), wanted);
        assert_eq!(readable("select 1 AS `1`".to_owned()), "select 1 AS `1`");
    }
}
