//! The families against others: `transformers` on random two-layer models, llama2.c on stories260K.

#![allow(clippy::unwrap_used)]

mod adapters;
mod converted;
mod encoders;
mod files;
mod gpt2;
mod llama;
mod parity;
mod quantised;
mod reference;
mod rerankers;
mod run;
mod seeded;
mod stories;
mod table;
