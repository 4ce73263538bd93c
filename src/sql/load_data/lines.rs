//! The lines and fields of a file that is loaded, as the server tells them apart.
//!
//! Bytes are looked at, not characters: in UTF-8 and in the charsets of one byte no byte of a character is taken for
//! another one.

use std::ops::Range;

use super::Format;

/// A field of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its bytes in the line, quotes and escapes included.
    pub range: Range<usize>,
    /// Its value; `None` for NULL.
    pub value: Option<Vec<u8>>,
}

/// Cuts a file into lines.
#[derive(Debug)]
pub struct Lines<'a> {
    format: &'a Format,
}

impl<'a> Lines<'a> {
    /// For files written so.
    pub fn new(format: &'a Format) -> Self {
        Self { format }
    }

    /// The first line of a buffer: its length with its terminator, and where its fields stand. `None` if it does not end
    /// here; at the end of the file, what is there is a line.
    pub fn next(&self, buffer: &[u8], at_end: bool) -> Option<(usize, Range<usize>)> {
        let format = self.format;
        let start = match format.line_start.as_slice() {
            [] => 0,
            prefix => match find(buffer, prefix) {
                Some(at) => at + prefix.len(),
                // without the prefix there is no line any more
                None if at_end && !buffer.is_empty() => return Some((buffer.len(), buffer.len()..buffer.len())),
                None => return None,
            },
        };
        let mut at = start;
        let mut quoted = false;
        let mut field_begins = true;
        while at < buffer.len() {
            let byte = buffer[at];
            if Some(byte) == format.escape && !(Some(byte) == format.quote && quoted) {
                // an escape at the very end of what is there: the byte behind it is to come
                at += 2;
                field_begins = false;
                continue;
            }
            if Some(byte) == format.quote && field_begins && !quoted {
                quoted = true;
                field_begins = false;
                at += 1;
                continue;
            }
            if quoted {
                if Some(byte) == format.quote {
                    match buffer.get(at + 1) {
                        Some(next) if Some(*next) == format.quote => {
                            at += 2;
                            continue;
                        }
                        None if !at_end => return None,
                        _ if self.ends_field(&buffer[at + 1..], at_end) => quoted = false,
                        _ => {}
                    }
                }
                at += 1;
                continue;
            }
            if buffer[at..].starts_with(&format.line_end) {
                return Some((at + format.line_end.len(), start..at));
            }
            if buffer[at..].starts_with(&format.field_end) {
                at += format.field_end.len();
                field_begins = true;
                continue;
            }
            // a terminator that is only there in part may be continued
            if !at_end && (format.line_end.starts_with(&buffer[at..]) || format.field_end.starts_with(&buffer[at..])) {
                return None;
            }
            field_begins = false;
            at += 1;
        }
        (at_end && start < buffer.len()).then_some((buffer.len(), start..buffer.len()))
    }

    /// Whether a quote is the end of its field: a terminator follows.
    fn ends_field(&self, rest: &[u8], at_end: bool) -> bool {
        rest.starts_with(&self.format.field_end)
            || rest.starts_with(&self.format.line_end)
            || (rest.is_empty() && at_end)
    }

    /// The fields of a line, without its terminator.
    pub fn fields(&self, line: &[u8]) -> Vec<Field> {
        let format = self.format;
        let mut fields = Vec::new();
        let mut at = 0;
        loop {
            let start = at;
            let mut value = Vec::new();
            let mut null = false;
            let enclosed = format.quote.is_some() && line.get(at).copied() == format.quote;
            at += usize::from(enclosed);
            while let Some(&byte) = line.get(at) {
                if Some(byte) == format.escape && !(enclosed && Some(byte) == format.quote) {
                    let Some(&next) = line.get(at + 1) else {
                        value.push(byte);
                        at += 1;
                        break;
                    };
                    null |= next == b'N' && value.is_empty() && !enclosed && self.ends_field(&line[at + 2..], true);
                    value.push(unescaped(next));
                    at += 2;
                    continue;
                }
                if enclosed && Some(byte) == format.quote {
                    if line.get(at + 1).copied() == format.quote {
                        value.push(byte);
                        at += 2;
                        continue;
                    }
                    if self.ends_field(&line[at + 1..], true) {
                        at += 1;
                        break;
                    }
                } else if !enclosed && line[at..].starts_with(&format.field_end) {
                    break;
                }
                value.push(byte);
                at += 1;
            }
            // the word NULL, where no escape can say it
            null |= !enclosed && format.quote.is_some() && value == b"NULL";
            fields.push(Field { range: start..at, value: (!null).then_some(value) });
            if !line[at..].starts_with(&format.field_end) {
                return fields;
            }
            at += format.field_end.len();
        }
    }
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        other => other,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: &Format, file: &[u8]) -> Vec<Vec<Option<String>>> {
        let lines = Lines::new(format);
        let mut rest = file;
        let mut all = Vec::new();
        while let Some((len, content)) = lines.next(rest, true) {
            let fields = lines.fields(&rest[content]).into_iter();
            all.push(fields.map(|field| field.value.map(|value| String::from_utf8(value).unwrap())).collect());
            rest = &rest[len..];
            if rest.is_empty() {
                break;
            }
        }
        all
    }

    fn texts(all: &[&[Option<&str>]]) -> Vec<Vec<Option<String>>> {
        all.iter().map(|line| line.iter().map(|field| field.map(str::to_owned)).collect()).collect()
    }

    #[test]
    fn tabs_and_escapes() {
        let found = lines(&Format::default(), b"1\ta\\tb\\\nc\t\\N\n2\t\\\\N\t\n");
        assert_eq!(found, texts(&[&[Some("1"), Some("a\tb\nc"), None], &[Some("2"), Some("\\N"), Some("")]]));
    }

    #[test]
    fn quotes_hold_terminators_and_quotes() {
        let format =
            Format { field_end: b",".to_vec(), quote: Some(b'"'), line_end: b"\r\n".to_vec(), ..Format::default() };
        let found = lines(&format, b"1,\"a,\"\"b\"\"\r\nc\",NULL\r\n\"2\",x\"y,\"\"\r\n3");
        assert_eq!(
            found,
            texts(&[&[Some("1"), Some("a,\"b\"\r\nc"), None], &[Some("2"), Some("x\"y"), Some("")], &[Some("3")],])
        );
    }

    #[test]
    fn lines_begin_behind_their_prefix() {
        let format = Format { line_start: b">>".to_vec(), ..Format::default() };
        let found = lines(&format, b"junk>>1\ta\nmore junk\n>>2\tb\nrest");
        assert_eq!(found[..2], texts(&[&[Some("1"), Some("a")], &[Some("2"), Some("b")]]));
    }

    #[test]
    fn what_is_cut_anywhere_gives_the_same_lines() {
        let format =
            Format { field_end: b"||".to_vec(), quote: Some(b'\''), line_end: b"\r\n".to_vec(), ..Format::default() };
        let file = b"1||'a\r\n''b'||\\N\r\n2||c\\\r\nd||e\r\n3||f||g\r\n";
        let whole = lines(&format, file);
        for size in 1..file.len() {
            let reader = Lines::new(&format);
            let (mut pending, mut found) = (Vec::new(), Vec::new());
            let chunks: Vec<&[u8]> = file.chunks(size).collect();
            for (index, chunk) in chunks.iter().enumerate() {
                pending.extend_from_slice(chunk);
                let at_end = index + 1 == chunks.len();
                while let Some((len, content)) = reader.next(&pending, at_end) {
                    let fields = reader.fields(&pending[content]).into_iter();
                    found.push(
                        fields.map(|field| field.value.map(|v| String::from_utf8(v).unwrap())).collect::<Vec<_>>(),
                    );
                    pending.drain(..len);
                }
            }
            assert_eq!(found, whole, "in pieces of {size}");
        }
    }
}
