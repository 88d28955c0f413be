//! Image models whose weights learn: every tensor that the loading of a model asks for, made at random, changed, and lent
//! to that same loading, so that what learns is the model that draws.
//!
//! ```text
//! Weights::random ◀─ load ─ which tensors there are            Weights::plain ─▶ load ─▶ a model
//!                                                              Weights::taped ─▶ load ─▶ a model whose forward pass
//!                                                                                        writes a tape ─▶ gradients
//! ```
//! Sources of the starting sizes: Y. LeCun and others, "Efficient BackProp" (1998), section 4.6, for one over the root of the
//! inputs; P. Dhariwal and A. Nichol, "Diffusion Models Beat GANs on Image Synthesis" (2021), appendix, for zeros where a
//! block ends, so that it begins by passing on what it gets.
//!
//! Does not: compute a loss, step, or write files.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base::Rng;
use burn::tensor::{Device, Gradients};

use crate::Error;
use crate::parameters::{Learned, Parameter};
use crate::tensors::{Found, Tensors};

/// Standard deviation of the rows of a table at the start.
const TABLE_DEVIATION: f32 = 0.02;
/// What blocks end with.
const ENDS: [&str; 2] = ["conv2.weight", "proj_out.weight"];

/// What a layer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The kernels of a convolution, in files `[O, C, kernel rows, kernel columns]`, in the layer channels last.
    Kernels {
        /// Channels that go out and that come in.
        sizes: [usize; 2],
        /// Rows and columns of a kernel.
        kernel: [usize; 2],
    },
    /// The matrix of a product, `[N, K]`.
    Product([usize; 2]),
    /// A row for each token or place, `[V, D]`.
    Table([usize; 2]),
    /// The factors of a normalisation, or a bias.
    Vector(usize),
}

impl Layer {
    /// The shape in memory.
    pub(super) fn shape(self) -> Vec<usize> {
        match self {
            Self::Kernels { sizes: [outputs, inputs], kernel: [rows, columns] } => {
                vec![outputs, rows * columns * inputs]
            }
            Self::Product(sizes) | Self::Table(sizes) => sizes.to_vec(),
            Self::Vector(length) => vec![length],
        }
    }

    /// The shape in files.
    pub(super) fn file_shape(self) -> Vec<usize> {
        match self {
            Self::Kernels { sizes, kernel } => [sizes, kernel].concat(),
            other => other.shape(),
        }
    }

    /// The mean and the standard deviation of values to begin with, for the tensor called `name`.
    pub(super) fn spread(self, name: &str) -> [f32; 2] {
        match self {
            Self::Vector(_) => [f32::from(name.ends_with(".weight")), 0.0],
            Self::Table(_) => [0.0, TABLE_DEVIATION],
            Self::Kernels { .. } | Self::Product(_) => [0.0, (self.shape()[1].max(1) as f32).powf(-0.5)],
        }
    }

    /// Values to begin with, for the tensor called `name`.
    fn start(self, name: &str, rng: &mut Rng) -> Vec<f32> {
        let n: usize = self.shape().iter().product();
        let [mean, deviation] = self.spread(name);
        let is_end = ENDS.iter().any(|end| name.ends_with(end)) || is_end_of_unet(name);
        if is_end || deviation == 0.0 {
            return vec![mean; n];
        }
        (0..n).map(|_| (rng.normal() * f64::from(deviation)) as f32).collect()
    }
}

/// The halves of an auto-encoder end with a layer of the same name, which has to say something from the start.
fn is_end_of_unet(name: &str) -> bool {
    name.ends_with("conv_out.weight") && !name.contains("coder.")
}

/// Every tensor that learns, in the order in which loading asks for it.
pub struct Weights {
    device: Device,
    list: Vec<Parameter>,
    layers: Vec<Layer>,
}

/// Writes down what is asked for, and makes it.
struct Asked {
    device: Device,
    made: Mutex<Made>,
}

struct Made {
    rng: Rng,
    list: Vec<Parameter>,
    layers: Vec<Layer>,
    places: HashMap<String, usize>,
}

impl Tensors for Asked {
    fn label(&self) -> &str {
        "new weights"
    }

    fn find(&self, _: &str) -> Result<Option<Found>, Error> {
        Ok(None)
    }

    fn learned(&self, name: &str, layer: Layer) -> Option<Learned> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = made.places.get(name) {
            return Some(made.list[*place].tensor.clone());
        }
        let (values, shape) = (layer.start(name, &mut made.rng), layer.shape());
        let tensor = Learned::new(values, &shape, &self.device);
        let place = made.list.len();
        made.places.insert(name.to_owned(), place);
        made.list.push(Parameter { name: name.to_owned(), shape, tensor: tensor.clone() });
        made.layers.push(layer);
        Some(tensor)
    }
}

/// Tensors that learn under their names.
struct Named<'a>(HashMap<&'a str, &'a Learned>);

impl Tensors for Named<'_> {
    fn label(&self) -> &str {
        "weights that learn"
    }

    fn find(&self, _: &str) -> Result<Option<Found>, Error> {
        Ok(None)
    }

    fn learned(&self, name: &str, _: Layer) -> Option<Learned> {
        self.0.get(name).map(|learned| (*learned).clone())
    }
}

/// The tensors whose names begin with `prefix`, without it.
pub struct Under<'a> {
    /// All tensors.
    pub tensors: &'a dyn Tensors,
    /// What the names begin with.
    pub prefix: &'a str,
}

impl Tensors for Under<'_> {
    fn label(&self) -> &str {
        self.tensors.label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        self.tensors.find(&format!("{}{name}", self.prefix))
    }

    fn learned(&self, name: &str, layer: Layer) -> Option<Learned> {
        self.tensors.learned(&format!("{}{name}", self.prefix), layer)
    }
}

/// A tensor as files have it.
pub struct Written<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
    layer: Layer,
    tensor: &'a Learned,
}

impl Written<'_> {
    /// Its values, row after row.
    pub fn values(&self) -> Vec<f32> {
        let values = self.tensor.values();
        let Layer::Kernels { sizes: [_, inputs], kernel: [rows, columns] } = self.layer else {
            return values;
        };
        let places = rows * columns;
        let kernel = |kernel: &[f32]| -> Vec<f32> {
            (0..inputs)
                .flat_map(|input| (0..places).map(move |place| place * inputs + input))
                .map(|at| kernel[at])
                .collect()
        };
        values.chunks_exact((places * inputs).max(1)).flat_map(kernel).collect()
    }
}

impl Weights {
    /// Weights at random of everything that `load` asks for: the same `rng`, the same weights.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn random(
        rng: Rng,
        device: &Device,
        load: impl FnOnce(&dyn Tensors) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let made = Made { rng, list: Vec::new(), layers: Vec::new(), places: HashMap::new() };
        let asked = Asked { device: device.clone(), made: Mutex::new(made) };
        load(&asked)?;
        let Made { list, layers, .. } = asked.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Self { device: device.clone(), list, layers })
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter> {
        self.list.iter()
    }

    /// The tensors themselves, to be changed.
    pub fn tensors_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Learned> {
        self.list.iter_mut().map(|parameter| &mut parameter.tensor)
    }

    /// Where they are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How many numbers they are.
    pub fn n_values(&self) -> usize {
        self.list.iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// What `load` makes of them; it shares their tensors and writes no tape.
    ///
    /// # Errors
    /// Those of `load`, which are none where it asks for what it asked for before.
    pub fn plain<M>(&self, load: impl FnOnce(&dyn Tensors, &Device) -> Result<M, Error>) -> Result<M, Error> {
        let named = self.list.iter().map(|parameter| (parameter.name.as_str(), &parameter.tensor));
        load(&Named(named.collect()), &self.device)
    }

    /// What `load` makes of them, writing a tape.
    ///
    /// # Errors
    /// As [`Weights::plain`].
    pub fn taped<M>(
        &self,
        load: impl FnOnce(&dyn Tensors, &Device) -> Result<M, Error>,
    ) -> Result<(M, Leaves), Error> {
        let leaves: Vec<Learned> = self.list.iter().map(|parameter| parameter.tensor.leaf()).collect();
        let named = self.list.iter().map(|parameter| parameter.name.as_str()).zip(&leaves);
        let model = load(&Named(named.collect()), &self.device.clone().autodiff())?;
        Ok((model, Leaves(leaves)))
    }

    /// The tensors whose names begin with `prefix`, as files have them, without it.
    pub fn written<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = Written<'a>> {
        self.list.iter().zip(&self.layers).filter_map(move |(parameter, layer)| {
            let name = parameter.name.strip_prefix(prefix)?;
            Some(Written { name, shape: layer.file_shape(), layer: *layer, tensor: &parameter.tensor })
        })
    }
}

/// The beginnings of a tape.
pub struct Leaves(Vec<Learned>);

impl Leaves {
    /// The gradient of every tensor in its order; `None` where the loss does not depend on it.
    pub fn take_gradients(&self, gradients: &mut Gradients) -> Vec<Option<Learned>> {
        self.0.iter().map(|leaf| leaf.take_gradient(gradients)).collect()
    }
}
