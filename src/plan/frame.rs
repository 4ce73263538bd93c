//! The text that one statement sends to several shards: what they share is put together once.

use std::cell::OnceCell;

use super::template::{Filling, Progress, Template};
use super::types::{Params, Text};
use crate::route::values::Values;

/// Room for what the slots add to a text.
const SLOTS_BYTES: usize = 128;

/// A text without its slots, and where each of them belongs.
type Frame = (Vec<u8>, Vec<(usize, u16)>);

/// A template for some values. Its text without the slots is made when the first shard needs it.
pub(crate) struct Frames<'a> {
    template: &'a Template,
    values: &'a Values<'a>,
    frame: OnceCell<Frame>,
}

impl<'a> Frames<'a> {
    /// The texts of a template.
    pub fn new(template: &'a Template, values: &'a Values<'a>) -> Self {
        Self { template, values, frame: OnceCell::new() }
    }

    /// The text and parameters for one of the shards.
    pub fn fill(&self, filling: &Filling<'_>) -> (Text, Params) {
        if self.template.is_unchanged(filling) {
            return (Text::Same, Params::Same);
        }
        let (text, slots) = self.frame.get_or_init(|| self.template.frame(self.values));
        let mut out = Vec::with_capacity(text.len() + SLOTS_BYTES);
        let mut progress = Progress::default();
        let mut at = 0;
        for (end, slot) in slots {
            out.extend_from_slice(&text[at..*end]);
            at = *end;
            self.template.write_slot(*slot, self.values, filling, &mut out, &mut progress);
        }
        out.extend_from_slice(&text[at..]);
        self.template.finish(out, progress, filling)
    }
}
