//! What a model writes, as it streams: stop strings and stop tokens, thinking, tool calls.
//!
//! Every family has its own format for thinking and for tool calls; a [`Format`] describes one, [`format_of`] chooses
//! it by the chat template, and an [`AnswerParser`] turns the pieces of an answer into [`Event`]s. No text is lost: what
//! is no call after all comes out as text, or as [`Event::Broken`] where it had already begun.
//!
//! Does not: call tools, know which were allowed, or look into what a person wrote.

pub(crate) mod format;
mod formats;
mod json;
mod literals;
mod parser;
mod sink;
mod stop_strings;
mod stop_tokens;
mod tagged;

pub use format::Format;
pub use formats::{FORMATS, format_named, format_of};
pub use parser::{AnswerParser, Setting};
pub use sink::{Event, Reason};
pub use stop_strings::StopStrings;
pub use stop_tokens::{StopPlace, StopSources, StopToken, stop_tokens};
