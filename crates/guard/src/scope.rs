//! What a key may do, as a set of scopes.
//!
//! Does not: know routes. The server says which scope a route wants.

use std::fmt;

use crate::error::shown;
use crate::{Error, Result};

/// One thing that a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scope {
    /// Generate, draw, embed, rerank, tokenise.
    Use,
    /// List and show models, and see what is loaded.
    Read,
    /// Create, copy, delete and pull models, and send blobs.
    Manage,
    /// Read the metrics.
    Metrics,
    /// Everything.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] = [Self::Use, Self::Read, Self::Manage, Self::Metrics, Self::Admin];

    /// The word for it, in commands and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// The set of these.
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Reads words with commas between them, such as `use,read`.
    ///
    /// # Errors
    /// [`Error::BadScope`] for a word that is no scope, [`Error::NoScope`] when there is no word.
    pub fn parse(text: &str) -> Result<Self> {
        let mut scopes = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let known = Scope::ALL.into_iter().find(|scope| scope.word().eq_ignore_ascii_case(word));
            scopes.0 |= known.ok_or_else(|| Error::BadScope { given: shown(word) })?.bit();
        }
        if scopes.is_empty() { Err(Error::NoScope) } else { Ok(scopes) }
    }

    /// Whether who has these scopes may do this; `admin` may do everything.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set, as they were given: `admin` is not spelled out.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Scope::word).collect();
        f.write_str(&words.join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_allows_what_is_in_it_and_admin_allows_everything() {
        for held in Scope::ALL {
            let scopes = Scopes::of(&[held]);
            for wanted in Scope::ALL {
                assert_eq!(scopes.allow(wanted), held == wanted || held == Scope::Admin, "{held} {wanted}");
            }
            assert!(!Scopes::default().allow(held));
        }
    }

    #[test]
    fn words_read_back_and_others_are_refused() {
        let scopes = Scopes::of(&[Scope::Metrics, Scope::Use]);
        assert_eq!(scopes.to_string(), "use,metrics");
        assert_eq!(Scopes::parse(" metrics, USE,use").unwrap(), scopes);
        assert!(matches!(Scopes::parse("use,fly"), Err(Error::BadScope { given }) if given == "fly"));
        assert!(matches!(Scopes::parse(" , "), Err(Error::NoScope)));
    }
}
