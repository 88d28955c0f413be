//! The dialects: one file each, a pure translation of wire JSON to `Job` and of `Event` back.

pub mod anthropic;
mod drawing;
pub mod llama_cpp;
pub mod ollama;
pub mod openai;
pub mod operators;
mod parts;
pub mod rerank;
pub mod responses;
pub mod web_ui;
