//! Words that everybody shares: ids, units, limits, random numbers, and the traits behind which the outside
//! world stands (disk, clock).
//!
//! Does not: know models, files' contents, users, or any other crate.

pub mod clock;
pub mod disk;
pub mod ids;
pub mod limits;
pub mod rng;

pub use ids::{KeyId, TokenId};
pub use limits::Limits;
pub use rng::Rng;
