//! Files of statements in the form of `sql_cover`: a line each, or several between marks.

/// The statements of such a file, without a `;` at their ends.
pub fn statements(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut joined: Option<Vec<&str>> = None;
    for line in text.lines() {
        if line.starts_with("#!multiline") {
            joined = Some(Vec::new());
        } else if line.starts_with("#end multiline") {
            statements.extend(joined.take().map(|lines| lines.join("\n")));
        } else if let Some(lines) = &mut joined {
            lines.push(line);
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            statements.push(line.trim().trim_end_matches(';').to_owned());
        }
    }
    statements
}
