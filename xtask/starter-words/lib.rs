//! What the starter model's lessons and the questions that test it both have to know: the meanings.
//!
//! Here stand tools, rooms, numbers, the table of commands and the wire form of a conversation; no sentence that a
//! person says. Lessons (`src/starter_text`) and held-out questions (`held-out`) are two programs that both use
//! this one, so that neither can import the other's phrasings.

pub mod commands;
pub mod conversation;
pub mod home;
pub mod json;
pub mod phrase;
pub mod sums;
pub mod things;
