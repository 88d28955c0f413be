//! What people want when they need a flag of Hearth, as the lessons say it; `{a|b}` are choices.
//!
//! A flag without a row is asked for by its name.

mod answers;
mod drawing;
mod house;
mod models;
mod training;

/// A command, its flag, and what people want when they need it.
pub type FlagIntents = (&'static str, &'static str, &'static [&'static str]);

/// For each flag that people ask for by what it brings.
pub fn flag_intents() -> impl Iterator<Item = &'static FlagIntents> {
    [answers::ROWS, drawing::ROWS, models::ROWS, training::ROWS, house::ROWS].into_iter().flatten()
}
