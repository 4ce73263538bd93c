//! Lets `${NAME}` and `orders_{0..3}` stand unquoted anywhere in YAML, inside `{…}` and `[…]` too.
//!
//! In YAML's flow style a plain text ends at `{`, `}`, `[`, `]` and `,`, so `{password: ${APP_PASSWORD}}` would not
//! parse. Before parsing, the characters of such an expression that YAML gives a meaning are replaced, one for one, by
//! characters of Unicode's private use area, and put back in the texts that come out. Lines and columns stay.

const SHIELD: u32 = 0xE000;

/// Whether a text already holds characters that the shield uses.
pub(super) fn find_reserved(text: &str) -> Option<usize> {
    text.char_indices().find(|(_, c)| (SHIELD..SHIELD + 128).contains(&u32::from(*c))).map(|(at, _)| at)
}

/// Hides the YAML indicators inside `${…}` and inside braces that a name touches.
pub(super) fn shield(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let before = out.chars().next_back();
        let inner = &rest[open..];
        match expression_end(inner, before) {
            Some(end) => {
                out.extend(inner[..end].chars().map(hide));
                rest = &inner[end..];
            }
            None => {
                out.push('{');
                rest = &inner[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Puts back what `shield` hid.
pub(super) fn unshield(text: &str) -> String {
    text.chars()
        .map(|c| char::from_u32(u32::from(c).wrapping_sub(SHIELD)).filter(char::is_ascii).unwrap_or(c))
        .collect()
}

/// The length of the expression that begins at the `{`, when it is one.
fn expression_end(inner: &str, before: Option<char>) -> Option<usize> {
    let end = inner.find('}')? + 1;
    let body = &inner[1..end - 1];
    let is_reference = before == Some('$');
    let touches = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_.>-}".contains(c) || is_hidden(c));
    let is_brace_list = (touches(before) || touches(inner[end..].chars().next().filter(|c| *c != '}')))
        && body.chars().all(|c| c.is_ascii_alphanumeric() || "_.,'[] -".contains(c));
    (!body.contains(['\n', '{']) && (is_reference || is_brace_list)).then_some(end)
}

fn is_hidden(c: char) -> bool {
    (SHIELD..SHIELD + 128).contains(&u32::from(c))
}

fn hide(c: char) -> char {
    if c.is_ascii() && !c.is_ascii_alphanumeric() && !"._-/".contains(c) {
        char::from_u32(SHIELD + u32::from(c)).unwrap_or(c)
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_comes_back() {
        for text in ["g{0..1}.orders_{0..3}", "{password: ${A:-x, y}}", "a: {b: 1}", "g${0..1}.t_$->{0..3}", "ü{a"] {
            assert_eq!(unshield(&shield(text)), text);
            assert_eq!(shield(text).chars().count(), text.chars().count());
        }
    }

    #[test]
    fn only_expressions_are_hidden() {
        assert_eq!(shield("{a: {b: 1}, c: [1, 2]}"), "{a: {b: 1}, c: [1, 2]}");
        assert!(!shield("{a: ${B}}").contains("${"));
        assert!(!shield("[g{0..1}.t_{0..3}]").contains("g{"));
        assert!(!shield("[{a,b}.t]").contains('{'));
        assert_eq!(shield("{a: {b}}"), "{a: {b}}");
        assert_eq!(shield("[{a}, -{b}]").matches('{').count(), 1);
    }
}
