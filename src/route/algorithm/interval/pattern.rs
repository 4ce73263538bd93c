//! The suffix of a target's name, in the letters of Java's `DateTimeFormatter` as far as suffixes use them.

use chrono::Datelike;

use super::step::to_chrono;
use crate::route::key::DateTimeKey;

/// A parsed suffix pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    /// A letter and how often it stands.
    Field(char, usize),
}

impl Pattern {
    /// Takes `yyyy`/`uuuu`, `yy`, `M`, `MM`, `d`, `dd`, `D`, `DDD`, `H`, `HH`, `m`, `mm`, `s`, `ss`, `Q`/`q`, and
    /// everything that is not a letter, or stands in quotes, as it is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                parts.push(Part::Literal(if quoted.is_empty() { "'".into() } else { quoted }));
            } else if c.is_ascii_alphabetic() {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                let known = matches!(
                    (c, count),
                    ('y' | 'u', 2 | 4) | ('M' | 'd' | 'H' | 'm' | 's' | 'Q' | 'q', 1 | 2) | ('D', 1 | 3)
                );
                if !known {
                    return Err(format!("'{}' is no field of a date", String::from(c).repeat(count)));
                }
                parts.push(Part::Field(c, count));
            } else {
                parts.push(Part::Literal(c.into()));
            }
        }
        if parts.iter().any(|part| matches!(part, Part::Field(..))) {
            Ok(Self(parts))
        } else {
            Err("it holds no field of a date".into())
        }
    }

    pub(super) fn format(&self, moment: DateTimeKey) -> String {
        self.0.iter().map(|part| field(part, moment)).collect()
    }
}

fn field(part: &Part, moment: DateTimeKey) -> String {
    let (letter, width) = match part {
        Part::Literal(text) => return text.clone(),
        Part::Field(letter, width) => (*letter, *width),
    };
    let date = moment.date;
    let value = match letter {
        'y' | 'u' if width == 2 => u32::from(date.year % 100),
        'y' | 'u' => u32::from(date.year),
        'M' => u32::from(date.month),
        'd' => u32::from(date.day),
        'D' => to_chrono(moment).map_or(0, |moment| moment.ordinal()),
        'H' => u32::from(moment.hour),
        'm' => u32::from(moment.minute),
        's' => u32::from(moment.second),
        _ => u32::from(date.month.saturating_sub(1) / 3 + 1),
    };
    format!("{value:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_as_java_writes_them() {
        let moment = DateTimeKey::parse("2024-02-29 07:08:09").unwrap();
        let format = |pattern: &str| Pattern::parse(pattern).unwrap().format(moment);
        assert_eq!(format("yyyyMM"), "202402");
        assert_eq!(format("yy_M_d"), "24_2_29");
        assert_eq!(format("uuuuMMddHHmmss"), "20240229070809");
        assert_eq!(format("yyyy'Q'Q"), "2024Q1");
        assert_eq!(format("yyyyqq"), "202401");
        assert_eq!(format("DDD-D"), "060-60");
        assert_eq!(format("''yy"), "'24");
    }

    #[test]
    fn unknown_letters_are_refused() {
        assert!(Pattern::parse("yyy").unwrap_err().contains("yyy"));
        assert!(Pattern::parse("YYYY").is_err());
        assert!(Pattern::parse("_").is_err());
    }
}
