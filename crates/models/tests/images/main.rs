//! Image models against the implementations that they come from.

#![allow(clippy::unwrap_used)]

mod tiny;
