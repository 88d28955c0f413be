//! What an optimiser does to the numbers of a model, in one pass over memory each.
//!
//! Does not: hold parameters, schedules or what a model is.
//!
//! | file | what it is |
//! |---|---|
//! | [`adam_w`] | one step of AdamW, in place |
//! | [`sum_of_squares`] | the squared norm of a gradient |

mod adam_w;
mod sum_of_squares;

pub use adam_w::{ADAM_W, AdamW, Body as AdamWBody, adam_w};
pub use sum_of_squares::{Body as SumOfSquaresBody, SUM_OF_SQUARES, sum_of_squares};
