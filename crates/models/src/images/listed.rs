//! Which tensors the files of a part of an image model have: those that its loading asks for.
//!
//! Does not: write them. Numbers that it lends to the loading are zeros, which systems give without taking memory.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use super::learning::Layer;
use crate::Error;
use crate::parameters::{Learned, Listed};
use crate::tensors::{Found, Tensors};

/// Notes what is asked for.
struct Asked {
    device: Device,
    list: Mutex<Vec<Listed>>,
}

impl Tensors for Asked {
    fn label(&self) -> &str {
        "no weights"
    }

    fn find(&self, _: &str) -> Result<Option<Found>, Error> {
        Ok(None)
    }

    fn learned(&self, name: &str, layer: Layer) -> Option<Learned> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.iter().all(|listed| listed.name != name) {
            list.push(listed(name, layer));
        }
        let shape = layer.shape();
        Some(Learned::new(vec![0.0; shape.iter().product()], &shape, &self.device))
    }
}

fn listed(name: &str, layer: Layer) -> Listed {
    let [mean, deviation] = layer.spread(name);
    Listed { name: name.to_owned(), shape: layer.file_shape(), mean, deviation }
}

/// Every tensor that `load` asks for, in this order.
///
/// # Errors
/// Those of `load`.
pub fn list(
    device: &Device,
    load: impl FnOnce(&dyn Tensors) -> Result<(), Error>,
) -> Result<Vec<Listed>, Error> {
    let asked = Asked { device: device.clone(), list: Mutex::default() };
    load(&asked)?;
    Ok(asked.list.into_inner().unwrap_or_else(PoisonError::into_inner))
}
