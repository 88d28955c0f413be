//! The scheduler under random arrivals, cancels and shortage of memory: with a model that is a hash of what it is
//! given, and with real models.

#![allow(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

mod formed;
mod hashed;
mod real;
mod scenario;
mod shelf;
