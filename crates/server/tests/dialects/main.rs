//! Every dialect over real sockets, with the model in the box.

#![allow(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

mod anthropic;
mod doors;
mod encoder;
mod fields;
mod house;
mod images;
mod llama_cpp;
mod ollama;
mod openai;
mod operations;
mod rerank;
mod responses;
mod sockets;
mod web_ui;
