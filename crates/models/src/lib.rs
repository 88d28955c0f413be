//! Model families as data on shared blocks.
//!
//! A file's metadata and tensor names become a [`Decoder`]: one definition that serves inference on every device
//! and training. A family says what differs; sizes come from the file.
//!
//! Does not: know strings, people, how requests are put together, how weights are stored, or how an
//! adapter is computed.

mod attend;
pub mod blocks;
pub mod config;
mod decoder;
mod describe;
pub mod encoder;
mod error;
pub mod families;
pub mod family;
pub mod images;
mod layer;
mod load;
mod nested;
pub mod parameters;
mod pass;
pub mod probe;
pub mod tensors;
pub mod traffic;

// Words of this crate that others find in their own modules.
use family::Names;
use tensors::Tensors;

pub use attend::{Attend, KvCache};
pub use config::Config;
pub use decoder::{Decoder, Input};
pub use error::Error;
pub use family::{Dialect, Family};
pub use load::{load, recognise};
