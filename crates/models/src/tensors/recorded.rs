//! Tensors whose names are noted as they are asked for: which of a file's a model is made of.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::{Found, Tensors};
use crate::Error;
use crate::images::learning::Layer;
use crate::parameters::Learned;

/// Tensors, and the names of those that were found.
pub struct Recorded<'a> {
    tensors: &'a dyn Tensors,
    names: Mutex<BTreeSet<String>>,
}

impl<'a> Recorded<'a> {
    /// Nothing asked for yet.
    pub fn new(tensors: &'a dyn Tensors) -> Self {
        Self { tensors, names: Mutex::default() }
    }

    /// The names of the tensors that were asked for and are there, in the order of letters.
    pub fn names(self) -> Vec<String> {
        self.names.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }
}

impl Tensors for Recorded<'_> {
    fn label(&self) -> &str {
        self.tensors.label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let found = self.tensors.find(name)?;
        if found.is_some() {
            self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
        Ok(found)
    }

    fn raw(&self, name: &str) -> Result<Option<(Vec<usize>, ops::weight::Lent)>, Error> {
        self.tensors.raw(name)
    }

    fn learned(&self, name: &str, layer: Layer) -> Option<Learned> {
        self.tensors.learned(name, layer)
    }
}
