//! Where a constant of a statement comes from, so that a plan holds for every text of its fingerprint.

/// A constant as a recipe names it: evaluated when the plan is bound to a text and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A literal of the text.
    Literal {
        /// Its index among the literals of the digest.
        index: u32,
        /// A minus sign stands before it.
        negative: bool,
    },
    /// A parameter of a prepared statement, counted from 0.
    Param(u32),
    /// `NULL`.
    Null,
    /// A number that is no literal of the digest: `TRUE` and `FALSE`.
    Int(i64),
    /// Exact integer arithmetic on constants.
    Arithmetic(Box<Arithmetic>),
    /// Not a constant that can be known here.
    Unknown,
}

/// Integer arithmetic, exact or not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arithmetic {
    /// What is done.
    pub operation: Operation,
    /// The left side.
    pub left: Source,
    /// The right side.
    pub right: Source,
}

/// The operations whose result on integers is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
}

impl Source {
    /// Whether its value is known when the plan is bound.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Arithmetic(arithmetic) => arithmetic.left.is_known() && arithmetic.right.is_known(),
            _ => true,
        }
    }
}
