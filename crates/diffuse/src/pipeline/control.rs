//! Maps that guide a picture: ControlNets beside a U-Net, each for a part of the way.

use std::cell::Cell;

use burn::tensor::{Tensor, TensorData};
use models::images::unet::{ControlNet, Input, Residuals};
use ops::Precision;
use ops::device::Device;

use crate::raster::Raster;
use crate::{Error, Latent};

/// A ControlNet and what it sees of its map.
pub struct Control<'a> {
    net: &'a ControlNet,
    /// `[1, H, W, C]`.
    seen: Tensor<4>,
    weight: f32,
    part: Part,
}

/// The part of a walk in which a map guides: shares of its steps, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

/// All controls of a walk, and how far that is.
#[derive(Default)]
pub struct Controls<'a> {
    /// What each adds is added up.
    pub all: Vec<Control<'a>>,
    /// The step that is made, counted from 0, and all of them.
    pub progress: Cell<[usize; 2]>,
}

impl Part {
    /// Whether a step lies in it as a whole, as diffusers counts.
    pub fn holds(self, [index, n_steps]: [usize; 2]) -> bool {
        let share = |steps: usize| steps as f64 / n_steps.max(1) as f64;
        share(index) >= self.from && share(index + 1) <= self.to
    }
}

impl<'a> Control<'a> {
    /// A ControlNet that looks at a map of the picture's size; how much of what it says is added, and in which part of the
    /// walk.
    ///
    /// # Shapes
    /// `map`: Y X 3.
    pub fn new(
        net: &'a ControlNet,
        map: &Raster,
        (weight, part): (f32, Part),
        (precision, device): (Precision, &Device),
    ) -> Self {
        let [width, height] = map.size();
        let colours: Vec<f32> = map.data().iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let map = Tensor::<4>::from_data(TensorData::new(colours, [1, height, width, 3]), device);
        Self { net, seen: net.seen(map, precision), weight, part }
    }

    /// Refuses latents of other sides than its map's.
    ///
    /// # Errors
    /// `Model` for them.
    fn expect(&self, x: &Latent) -> Result<(), Error> {
        let ([_, rows, columns, _], shape) = (self.seen.dims(), x.shape());
        if [rows, columns] == [shape.rows, shape.columns] && shape.channels >= self.net.config().inputs {
            return Ok(());
        }
        Err(Error::Model(format!(
            "its ControlNet makes {rows} x {columns} of its map, and there are {} x {} latents of {} channels",
            shape.rows, shape.columns, shape.channels
        )))
    }
}

impl Controls<'_> {
    /// Refuses latents that they do not fit.
    ///
    /// # Errors
    /// `Model` for them.
    pub(super) fn expect(&self, x: &Latent) -> Result<(), Error> {
        self.all.iter().try_for_each(|control| control.expect(x))
    }

    /// What is added to a step; nothing where none guides it.
    pub(super) fn residuals(&self, input: &Input<'_>, precision: Precision) -> Option<Residuals> {
        let step = self.progress.get();
        let guides = self.all.iter().filter(|control| control.part.holds(step) && control.weight != 0.0);
        let residuals = guides.map(|control| {
            // Of a model that also sees a mask only the latents are shown.
            let latents = input.latents.clone().narrow(3, 0, control.net.config().inputs);
            let input = Input { latents, ..input.clone() };
            control.net.residuals(input, control.seen.clone(), control.weight, precision)
        });
        residuals.reduce(Residuals::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_holds_the_steps_that_lie_in_it() {
        let held =
            |from, to, n| (0..n).filter(|step| Part { from, to }.holds([*step, n])).collect::<Vec<_>>();
        assert_eq!(held(0.0, 1.0, 3), [0, 1, 2]);
        assert_eq!(held(0.2, 0.8, 5), [1, 2, 3]);
        assert_eq!(held(0.5, 1.0, 5), [3, 4]);
        assert_eq!(held(0.0, 0.1, 5), [0; 0]);
        assert_eq!(held(0.8, 0.2, 5), [0; 0]);
    }
}
