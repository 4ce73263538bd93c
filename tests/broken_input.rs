//! The seeds of the fuzz targets, whole, cut at every length and with flipped bits: what `make fuzz` does at random,
//! done the same way each time.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/entries.rs"]
mod entries;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = root().join("fuzz/seeds").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Calls `feed` with the seed, all its beginnings, and the seed with each byte changed in four ways.
fn variants(seed: &[u8], feed: fn(&[u8])) {
    (0..=seed.len()).for_each(|length| feed(&seed[..length]));
    let mut changed = seed.to_vec();
    for position in 0..seed.len() {
        for byte in [seed[position] ^ 0x01, seed[position] ^ 0x80, 0x00, 0xff] {
            changed[position] = byte;
            feed(&changed);
        }
        changed[position] = seed[position];
    }
}

#[test]
fn packets() {
    seeds("packets").iter().for_each(|seed| variants(seed, entries::packets));
}

#[test]
fn results() {
    for seed in seeds("results") {
        // Every kind of answer, with and without EOF packets, cut into pieces of two sizes.
        for choice in (0..16_u8).flat_map(|choice| [choice, choice | 0x60]) {
            variants(&[&[choice][..], &seed].concat(), entries::results);
        }
    }
}

#[test]
fn statements() {
    for seed in seeds("statements") {
        (0..4_u8).for_each(|mode| variants(&[&[mode][..], &seed].concat(), entries::statements));
    }
}

/// The statements of the same-answer tests are long and many: each is only cut.
#[test]
fn statements_of_the_same_answer_tests() {
    let paths = fs::read_dir(root().join("tests/slt")).unwrap().map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "slt")) {
        let text = fs::read_to_string(&path).unwrap();
        for record in text.split("\n\n") {
            let record = record.as_bytes();
            for length in 0..=record.len().min(400) {
                entries::statements(&[&[0][..], &record[..length]].concat());
            }
        }
    }
}
