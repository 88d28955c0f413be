//! Model families as data on shared blocks.
//!
//! A file's metadata and tensor names become a [`Decoder`]: one definition that serves inference on every device
//! and training. A family says what differs; sizes come from the file.
//!
//! Does not: know strings, people, how requests are put together, how weights are stored, or adapters.

mod attend;
pub mod blocks;
mod config;
mod decoder;
mod describe;
mod encoder;
mod error;
pub mod families;
mod family;
mod layer;
mod load;
pub mod parameters;
mod pass;
mod probe;
mod tensors;

pub use attend::{Attend, KvCache};
pub use config::{Config, ExpertSizes, LayerKind, Rope, Scaling, Turn};
pub use decoder::{Decoder, Input};
pub use encoder::{Encoder, Pooling};
pub use error::Error;
pub use family::{Dialect, ExpertTensors, Family, FusedHeads, Keys, Matrices, Names};
pub use load::{load, recognise, recognise_config};
pub use probe::{Part, Probe};
pub use tensors::{Found, Tensors};
