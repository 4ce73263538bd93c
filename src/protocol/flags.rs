//! What the protocol's sets of flags have in common.

/// Gives a set of flags (a struct around an integer) its operations.
macro_rules! flag_set {
    ($set:ident) => {
        impl $set {
            /// Whether all of `other` is set.
            #[inline]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// With `other` set.
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// With `other` cleared.
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl std::ops::BitOr for $set {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::ops::BitAnd for $set {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }
    };
}

pub(super) use flag_set;
