//! Colours, or none: everything that colour says is also said without it.
//!
//! Source: ECMA-48 SGR, the sixteen colours that every terminal lets a person choose.

/// Whether a stream takes colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Off,
    On,
}

/// What a colour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// A heading.
    Bold,
    /// Said, but less important.
    Dim,
    /// An error.
    Bad,
    /// What was chosen, what agrees, what is well.
    Good,
    /// A bar.
    Bar,
    /// Every other token.
    Even,
    /// The tokens between.
    Odd,
}

impl Color {
    /// `text` in `ink`; as it is where there are no colours.
    pub fn paint(self, ink: Ink, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\x1b[{}m{text}\x1b[0m", ink.code()),
        }
    }
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Bad => "1;31",
            Self::Good => "32",
            Self::Bar => "36",
            Self::Even => "30;46",
            Self::Odd => "30;43",
        }
    }
}
