//! Where the parts of a grouped query stand, from its tokens.

use std::ops::Range;

use crate::plan::outline::Outline;

/// Where the parts of a SELECT stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// WITH, up to the SELECT.
    pub with: Option<Range<usize>>,
    /// Where FROM begins.
    pub from: usize,
    /// Where the first of GROUP BY, HAVING, ORDER BY, LIMIT begins; the end without any.
    pub tail: usize,
    /// The word HAVING.
    pub having: Option<Range<usize>>,
    /// The condition behind it.
    pub condition: Range<usize>,
    /// Where the first of HAVING, ORDER BY, LIMIT begins; the end without any.
    pub after_group: usize,
    /// Where the SELECT ends.
    pub end: usize,
}

/// What makes a query another one than is looked for here.
const OTHERS: &[&str] = &["WINDOW", "UNION", "EXCEPT", "INTERSECT", "MINUS", "PROCEDURE", "QUALIFY"];

impl Layout {
    /// Reads the SELECT at an offset; `None` if it has no FROM, or something that is not understood.
    pub fn read(outline: &Outline, sql: &[u8], select: usize, with: Option<usize>) -> Option<Self> {
        let tokens = outline.tokens();
        let (mut from, mut group, mut having, mut after_having) = (None, None, None, None);
        let mut at = outline.index_at(select) + 1;
        let mut end = select;
        while let Some(token) = tokens.get(at).filter(|token| !token.is_symbol(sql, b')')) {
            end = token.end;
            let word = |words: &[&str]| outline.is_keyword(sql, at, words);
            let by = outline.is_keyword(sql, at + 1, &["BY"]);
            if token.is_symbol(sql, b'(') {
                at = outline.closing(sql, at)?;
                end = tokens[at].end;
            } else if word(OTHERS) {
                return None;
            } else if word(&["FROM"]) {
                from.get_or_insert(token.start);
            } else if word(&["GROUP"]) && by {
                group.get_or_insert(token.start);
            } else if word(&["HAVING"]) {
                having.get_or_insert(token.start..token.end);
            } else if (word(&["ORDER"]) && by) || word(&["LIMIT"]) {
                after_having.get_or_insert(token.start);
            }
            at += 1;
        }
        let condition_end = after_having.unwrap_or(end);
        let after_group = having.as_ref().map_or(condition_end, |having: &Range<usize>| having.start);
        Some(Self {
            with: with.map(|start| start..select),
            from: from?,
            tail: group.unwrap_or(after_group),
            condition: having.as_ref().map_or(end..end, |having| having.end..condition_end),
            having,
            after_group,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::LexMode;

    fn parts(sql: &str) -> Option<[&str; 4]> {
        let outline = Outline::new(sql.as_bytes(), LexMode::default());
        let layout = Layout::read(&outline, sql.as_bytes(), sql.find("SELECT")?, None)?;
        let Layout { from, tail, condition, after_group, end, .. } = layout;
        Some([&sql[from..tail], &sql[tail..after_group], &sql[condition], &sql[after_group..end]])
    }

    #[test]
    fn parts_are_found() {
        let sql = "(SELECT TRIM(a FROM b), (SELECT 1 FROM x HAVING 1) FROM t WHERE a GROUP BY b HAVING c > 1 ORDER BY d LIMIT 1)";
        let expected = ["FROM t WHERE a ", "GROUP BY b ", " c > 1 ", "HAVING c > 1 ORDER BY d LIMIT 1"];
        assert_eq!(parts(sql), Some(expected));
        assert_eq!(parts("SELECT 1 FROM t"), Some(["FROM t", "", "", ""]));
        assert_eq!(parts("SELECT 1 FROM t LIMIT 2"), Some(["FROM t ", "", "", "LIMIT 2"]));
        assert_eq!(parts("SELECT 1 FROM t UNION SELECT 2"), None);
    }
}
