//! What a body may hold: one table for each route, from which it is checked, documented and tested.
//!
//! Fields that no table knows are passed over, as clients expect; known ones are as the table says, or the request is
//! refused with the field's path. `null` is the same as nothing.

mod check;

pub use check::{check, field_at, whole};

/// A field of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    /// What it does, in one sentence.
    pub does: &'static str,
}

/// Whether a field has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Must,
    May,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A text of at most so many bytes.
    Text {
        most: usize,
    },
    /// A whole number; one that is written with a point too, if it is whole.
    Integer {
        least: i64,
        most: i64,
    },
    Number {
        least: f64,
        most: f64,
    },
    Flag,
    OneOf(&'static [&'static str]),
    List {
        of: &'static Kind,
        least: usize,
        most: usize,
    },
    /// An object with any keys.
    Map {
        of: &'static Kind,
        most: usize,
    },
    Object(&'static [Field]),
    /// The first of these that has the value's JSON type.
    Either(&'static [Kind]),
    /// A file, in a form.
    File,
    /// Any JSON; it is looked into elsewhere.
    Any,
}

impl Field {
    /// A field that has to be there.
    pub const fn must(name: &'static str, kind: Kind, does: &'static str) -> Self {
        Self { name, kind, need: Need::Must, does }
    }

    /// A field that may be there.
    pub const fn may(name: &'static str, kind: Kind, does: &'static str) -> Self {
        Self { name, kind, need: Need::May, does }
    }
}

/// The longest text of a name or a setting, in bytes.
pub const SHORT: Kind = Kind::Text { most: 4096 };
/// The longest text of a prompt, in bytes; what a model takes is less.
pub const LONG: Kind = Kind::Text { most: 32 << 20 };
/// A count.
pub const COUNT: Kind = Kind::Integer { least: 0, most: u32::MAX as i64 };
/// A list of texts that end an answer, or one.
pub const STOP: Kind = Kind::Either(&[SHORT, Kind::List { of: &SHORT, least: 0, most: 64 }]);
/// Token ids.
pub const TOKENS: Kind = Kind::List { of: &COUNT, least: 0, most: 4 << 20 };
