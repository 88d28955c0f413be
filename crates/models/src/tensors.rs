//! Where a model's weights come from: anything that finds a tensor by name.

use formats::{Dtype, TensorFile};
use ops::{Lent, Storage};

use crate::Error;

/// A tensor that was found.
pub struct Found {
    /// Row-major, outermost first.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub storage: Storage,
    /// Its numbers, little-endian.
    pub bytes: Lent,
}

/// Anything that has tensors under names.
pub trait Tensors {
    /// How errors name it.
    fn label(&self) -> &str;

    /// The tensor called `name`, `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Storage`] when its numbers are stored in a way that cannot be computed with, [`Error::File`].
    fn find(&self, name: &str) -> Result<Option<Found>, Error>;
}

impl Tensors for TensorFile {
    fn label(&self) -> &str {
        self.file().label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(entry) = Self::find(self, name) else { return Ok(None) };
        let storage = match entry.dtype {
            Dtype::F32 => Storage::F32,
            Dtype::BF16 => Storage::Bf16,
            Dtype::F16 => Storage::F16,
            Dtype::Q8_0 => Storage::Q8_0,
            other => {
                let (file, name) = (self.file().label().into(), name.into());
                return Err(Error::Storage { file, name, found: other.to_string() });
            }
        };
        let view = self.tensor_view(entry)?;
        Ok(Some(Found { shape: entry.shape.clone(), storage, bytes: Lent::new(view) }))
    }
}
