//! What form an answer has to have, and whether it has to call tools.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The form that an answer has to have, from what follows its thinking to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// A JSON object.
    JsonObject,
    /// A JSON value that this schema describes.
    JsonSchema(Json),
    /// A text that this regular expression matches as a whole.
    Regex(String),
    /// A text by this grammar in Lark's notation.
    Lark(String),
    /// A text by this grammar in llama.cpp's notation.
    Gbnf(String),
}

/// Whether an answer has to call tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// It may. What it calls fits the tools' schemas where all of them can be kept, and the format of its calls too.
    #[default]
    Auto,
    /// It may not: the model is not told of the tools.
    None,
    /// It has to call one or several of them, and says nothing else.
    Required,
    /// It has to call the tool of this name.
    Named(String),
}

/// How many calls one answer may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolCalls {
    /// One at most.
    One,
    /// As many as the model wants, where its format has several.
    #[default]
    Many,
}

impl ToolChoice {
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl ToolCalls {
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
