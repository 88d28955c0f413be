//! Jobs from one end to the other: what goes in, what comes out, and what is said when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

mod adapters;
mod bad;
mod checkpoint;
mod embed;
mod fewer_bits;
mod form;
mod forms;
mod good;
mod home;
mod made;
mod measure;
mod prefixes;
mod pull;
mod quantised;
mod rendered;
mod rerank;
mod starter;
mod stories;
mod together;
mod training;
#[path = "../support/trainings.rs"]
mod trainings;
mod versions;
mod words;
