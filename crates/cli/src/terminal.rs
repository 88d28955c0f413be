//! Text on a terminal: what is safe to print, how wide it is, its colours, tables, bars and units.
//!
//! Only pure functions from values to text; who prints them is `console`.

pub mod bar;
pub mod curve;
pub mod paint;
pub mod table;
pub mod units;
pub mod visible;
pub mod width;
