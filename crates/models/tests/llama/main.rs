//! The Llama family against others: `transformers` on two random two-layer models, llama2.c on stories260K.

#![allow(clippy::unwrap_used)]

mod files;
mod fixture;
mod quantised;
mod run;
mod seeded;
mod stories;
