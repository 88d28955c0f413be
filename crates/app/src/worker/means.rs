//! What models compute with: where, and how they keep keys and values.

use infer::LocalModel;
use models::{Decoder, KvCache};
use ops::weight::{Quantised, Storage};

use crate::Failure;

/// Where models compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Cpu,
    #[cfg(feature = "gpu")]
    Gpu,
}

impl Device {
    pub fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "cpu" => Ok(Self::Cpu),
            #[cfg(feature = "gpu")]
            "gpu" => Ok(Self::Gpu),
            #[cfg(not(feature = "gpu"))]
            "gpu" => Err(Failure::new(
                "bad_setting",
                "this build of Hearth has no GPU support",
                "build it with `--features gpu`, or leave the device at cpu",
            )),
            other => {
                let message = format!("there is no device \"{other}\"");
                Err(Failure::new("bad_setting", message, "use cpu or gpu"))
            }
        }
    }

    pub fn tensors(self) -> ops::device::Device {
        match self {
            Self::Cpu => ops::device::cpu(),
            #[cfg(feature = "gpu")]
            Self::Gpu => ops::device::gpu(),
        }
    }
}

/// Where models compute, and what they keep keys and values in.
#[derive(Clone, Copy)]
pub(crate) struct Means {
    pub device: Device,
    /// What somebody said; absent, it follows from the weights.
    pub kept: Option<Storage>,
}

impl Means {
    /// # Errors
    /// A device or a way of keeping that there is not.
    pub fn parse(device: Option<&str>, kept: Option<&str>) -> Result<Self, Failure> {
        let device = Device::parse(device.unwrap_or("cpu"))?;
        let kept = kept.map(|name| match name.to_ascii_lowercase().as_str() {
            "f32" => Ok(Storage::F32),
            "f16" => Ok(Storage::F16),
            "q8_0" => Ok(Storage::Q8_0),
            "q4_0" => Ok(Storage::Blocks(Quantised::Q4_0)),
            _ => {
                let message = format!("keys and values are not kept in \"{name}\"");
                Err(Failure::new("bad_setting", message, "use f32, f16, q8_0 or q4_0"))
            }
        });
        Ok(Self { device, kept: kept.transpose()? })
    }

    /// What keys and values are kept in, of a model whose output head is stored in `head`.
    pub fn cache(self, head: Storage) -> Storage {
        self.kept.unwrap_or_else(|| KvCache::usual(head))
    }

    /// What keys and values of a decoder are kept in.
    pub fn storage(self, decoder: &Decoder) -> Storage {
        self.kept.unwrap_or_else(|| decoder.usual_cache())
    }

    /// A decoder that can answer, with so many bytes for keys and values; errors call it `name`.
    ///
    /// # Errors
    /// Heads that cannot be kept so.
    pub fn model(self, decoder: Decoder, name: &str, cache_bytes: u64) -> Result<LocalModel, Failure> {
        let storage = self.storage(&decoder);
        let size = decoder.config().head_size;
        let cache_bytes = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
        LocalModel::keeping(decoder, cache_bytes, storage).ok_or_else(|| not_kept(name, size, storage))
    }
}

/// What is said of a model whose heads of `size` numbers cannot be kept in `storage`.
pub(super) fn not_kept(name: &str, size: usize, storage: Storage) -> Failure {
    let message = format!("{name}: its heads of {size} numbers are no whole number of {storage:?} blocks");
    Failure::new("bad_setting", message, "keep keys and values in f16 or f32")
}
