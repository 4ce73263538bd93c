//! Data-node expressions: `g{0..1}.orders_{0..3}` to the list of what it stands for.

/// The most nodes of one table.
pub(super) const MAX_NODES: usize = 65_536;

/// The longest expression; longer lists are written as YAML lists.
const MAX_EXPRESSION_BYTES: usize = 16 * 1024;

/// One node as written: group, physical schema if given, table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenNode {
    pub(super) group: String,
    pub(super) schema: Option<String>,
    pub(super) table: String,
}

/// Expands an expression: nodes with commas between them, each `group.table` or `group.schema.table`, with braces that
/// hold numbers (`{0..3}`, `{00..15}`, `{0..8..2}`) or names (`{a,b}`). The leftmost braces change slowest. The
/// spellings of ShardingSphere, `${0..3}`, `$->{0..3}` and `${['a','b']}`, mean the same.
pub(super) fn expand(text: &str) -> Result<Vec<WrittenNode>, String> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(format!("it is longer than {MAX_EXPRESSION_BYTES} bytes"));
    }
    let text = text.replace("$->{", "{").replace("${", "{");
    let mut nodes = Vec::new();
    for one in split(&text, ',')? {
        let parts = split(one.trim(), '.')?;
        let (group, schema, table) = match parts[..] {
            [group, table] => (group, None, table),
            [group, schema, table] => (group, Some(schema), table),
            _ => return Err(format!("'{}' has {} part(s)", one.trim(), parts.len())),
        };
        let schemas = schema.map(braces).transpose()?;
        let (groups, tables) = (braces(group)?, braces(table)?);
        let count = groups.len().saturating_mul(tables.len()).saturating_mul(schemas.as_ref().map_or(1, Vec::len));
        if count.saturating_add(nodes.len()) > MAX_NODES {
            return Err(format!("it stands for more than {MAX_NODES} nodes"));
        }
        let schemas = schemas.map_or(vec![None], |schemas| schemas.into_iter().map(Some).collect());
        for group in &groups {
            for schema in &schemas {
                let node =
                    |table: &String| WrittenNode { group: group.clone(), schema: schema.clone(), table: table.clone() };
                nodes.extend(tables.iter().map(node));
            }
        }
    }
    Ok(nodes)
}

/// Splits at a separator that stands outside braces.
fn split(text: &str, separator: char) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut start, mut is_inside) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            '{' if is_inside => return Err("braces within braces".into()),
            '{' => is_inside = true,
            '}' if !is_inside => return Err("a '}' without '{'".into()),
            '}' => is_inside = false,
            c if c == separator && !is_inside => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if is_inside {
        return Err("a '{' without '}'".into());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// All texts that a part with braces stands for.
fn braces(part: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = part.split_once('{') else {
        return if part.is_empty() { Err("an empty name".into()) } else { Ok(vec![part.to_owned()]) };
    };
    let Some((inside, after)) = rest.split_once('}') else {
        return Err("a '{' without '}'".into());
    };
    let afters = if after.is_empty() { vec![String::new()] } else { braces(after)? };
    let mut all = Vec::new();
    for choice in choices(inside)? {
        if all.len().saturating_add(afters.len()) > MAX_NODES {
            return Err(format!("it stands for more than {MAX_NODES} names"));
        }
        all.extend(afters.iter().map(|after| format!("{before}{choice}{after}")));
    }
    Ok(all)
}

/// What stands between braces.
fn choices(inside: &str) -> Result<Vec<String>, String> {
    let list = inside.trim();
    let list = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(list);
    let mut all = Vec::new();
    for item in list.split(',') {
        let item = item.trim().trim_matches('\'');
        match item.contains("..").then(|| numbers(item)).transpose()? {
            Some(numbers) => all.extend(numbers),
            None if item.is_empty() => return Err(format!("an empty choice in '{{{inside}}}'")),
            None => all.push(item.to_owned()),
        }
    }
    Ok(all)
}

/// `0..3`, `3..0`, `00..15`, `0..8..2`; both ends are included.
fn numbers(item: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("'{item}' is no range of numbers");
    let parts: Vec<&str> = item.split("..").map(str::trim).collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, "1"),
        [first, last, step] => (first, last, step),
        _ => return Err(wrong()),
    };
    let is_padded = [first, last].iter().any(|end| end.len() > 1 && end.starts_with('0'));
    let width = if is_padded { first.len().max(last.len()) } else { 1 };
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let (first, last, step) = (number(first)?, number(last)?, number(step)?);
    if step == 0 {
        return Err(wrong());
    }
    if u64::from(first.abs_diff(last) / step) >= MAX_NODES as u64 {
        return Err(format!("'{item}' stands for more than {MAX_NODES} numbers"));
    }
    let steps = 0..=first.abs_diff(last) / step;
    let at = |index: u32| if first <= last { first + index * step } else { first - index * step };
    Ok(steps.map(|index| format!("{:0width$}", at(index))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let show = |node: WrittenNode| match node.schema {
            Some(schema) => format!("{}.{schema}.{}", node.group, node.table),
            None => format!("{}.{}", node.group, node.table),
        };
        expand(text).map_or_else(|error| error, |nodes| nodes.into_iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn braces_expand_leftmost_slowest() {
        assert_eq!(expanded("g{0..1}.t_{0..1}"), "g0.t_0 g0.t_1 g1.t_0 g1.t_1");
        assert_eq!(expanded("g0.shop_{0..1}.t"), "g0.shop_0.t g0.shop_1.t");
        assert_eq!(expanded("g{0..1}.s{0..1}.t"), "g0.s0.t g0.s1.t g1.s0.t g1.s1.t");
        assert_eq!(expanded("g0.t"), "g0.t");
    }

    #[test]
    fn lists_padding_and_steps() {
        assert_eq!(expanded("g0.t_{08..10}"), "g0.t_08 g0.t_09 g0.t_10");
        assert_eq!(expanded("g0.t_{0..8..4}"), "g0.t_0 g0.t_4 g0.t_8");
        assert_eq!(expanded("g0.t_{2..0}"), "g0.t_2 g0.t_1 g0.t_0");
        assert_eq!(expanded("g{a,b}.t{1..2,9}x"), "ga.t1x ga.t2x ga.t9x gb.t1x gb.t2x gb.t9x");
        assert_eq!(expanded("g0.t_{2023..2024}{01..02}"), "g0.t_202301 g0.t_202302 g0.t_202401 g0.t_202402");
        assert_eq!(expanded("g0.a, g1.b_{0..1}"), "g0.a g1.b_0 g1.b_1");
    }

    #[test]
    fn shardingspheres_spellings_mean_the_same() {
        assert_eq!(expanded("ds_${0..1}.t_$->{0..1}"), expanded("ds_{0..1}.t_{0..1}"));
        assert_eq!(expanded("ds.t_${['a','b']}"), "ds.t_a ds.t_b");
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(expanded("orders"), "'orders' has 1 part(s)");
        assert_eq!(expanded("a.b.c.d"), "'a.b.c.d' has 4 part(s)");
        assert_eq!(expanded("g0.t_{0..1"), "a '{' without '}'");
        assert_eq!(expanded("g0.t_0}"), "a '}' without '{'");
        assert_eq!(expanded("g0.t_{a..c}"), "'a..c' is no range of numbers");
        assert_eq!(expanded("g0.t_{0..3..0}"), "'0..3..0' is no range of numbers");
        assert_eq!(expanded("g0.t_{}"), "an empty choice in '{}'");
        assert_eq!(expanded("g0."), "an empty name");
        assert!(expanded("g0.t_{0..99999}").contains("more than 65536"));
        assert!(expanded("g{0..999}.t_{0..999}").contains("more than 65536"));
        assert!(expanded("g0.t_{0..4294967295}").contains("more than 65536"));
        assert!(expanded(&"{a}".repeat(10_000)).contains("longer"));
        assert!(expanded("g0.t_{{0..1}}").contains("braces"));
        assert!(expanded("g0.t_{0..999}{0..999}{0..999}").contains("more than 65536"));
    }
}
