//! The versions of a model: going back and forth between them, holding one fast, telling two apart, letting old
//! ones go.
//!
//! Does not: fetch newer versions, or look into model files; who calls adds what differs inside them.

mod diff;
mod gc;
mod history;
mod outdated;

pub use diff::{Change, Diff, FileChange, ParameterChange};
pub use gc::{Keep, Leftover, OldVersion, Plan, Removed, Unused};
pub use history::Target;
pub use outdated::{Remote, Standing, standing};
