//! Maps that guide a drawing: ControlNets from a folder as `diffusers` writes them or from one file, and their maps.

use diffuse::pipeline::{Control, Controls, Part};
use diffuse::raster::Raster;
use formats::TensorFile;
use models::images::unet::{ControlNet, UNetConfig};
use models::images::{bases, single_file};
use serde_json::Value;

use super::files::named;
use super::order::Order;
use super::parts::Parts;
use super::start::{READ_BYTES, of_file};
use super::walk::Walk;
use crate::Failure;
use crate::job::draw::{self as job, Draw};
use crate::worker::folder::Folder;
use crate::worker::open::Files;

/// Maps of one drawing, and how much one may weigh.
const MAX_CONTROLS: usize = 8;
const MAX_WEIGHT: f64 = 10.0;
const CONFIG: &str = "config.json";

/// A ControlNet of an order, as it was given: it is loaded, and its map read, when there is memory for them.
pub(super) struct Given<'a> {
    job: &'a job::Control,
    folder: Folder,
    tensors: TensorFile,
    /// Width and height of its map.
    size: [usize; 2],
}

impl<'a> Given<'a> {
    /// Looks at the files of all of them.
    ///
    /// # Errors
    /// Files that are not there or hold something else, and numbers outside their ranges.
    pub fn all(job: &'a Draw) -> Result<Vec<Self>, Failure> {
        if job.controls.len() > MAX_CONTROLS {
            let message = format!("{} maps guide it, and at most {MAX_CONTROLS} may", job.controls.len());
            return Err(Failure::new("bad_setting", message, "leave some --control out"));
        }
        job.controls.iter().map(Self::open).collect()
    }

    fn open(job: &'a job::Control) -> Result<Self, Failure> {
        let ranges = [("weight", job.weight, MAX_WEIGHT), ("from", job.from, 1.0), ("to", job.to, 1.0)];
        let wrong = ranges.iter().find(|(_, value, most)| !(0.0..=*most).contains(value));
        if let Some((name, value, most)) = wrong {
            let message = format!("{}: its {name} is {value}: it lies between 0 and {most}", job.model);
            return Err(Failure::new("bad_setting", message, HINT));
        }
        if job.from >= job.to {
            let message = format!("{}: it would guide from {} to {}: never", job.model, job.from, job.to);
            return Err(Failure::new("bad_setting", message, HINT));
        }
        let size = of_file(&job.map, Raster::size_of)?;
        let Files::Folder(folder) = Files::at(named(&job.model, HINT)?)? else {
            return Err(no_control(&job.model));
        };
        let tensors = folder.tensors()?;
        Ok(Self { job, folder, tensors, size })
    }

    /// Bytes that it takes beside the model.
    pub fn bytes(&self) -> u64 {
        let pixels = self.size.map(|side| side as u64).into_iter().product::<u64>();
        self.folder.size_bytes().saturating_add(pixels.saturating_mul(READ_BYTES))
    }

    /// The ControlNet.
    ///
    /// # Errors
    /// What is wrong with its files; `wrong_base` for one of another model.
    pub fn load(&self, parts: &Parts<'_>) -> Result<ControlNet, Failure> {
        let label = self.folder.label();
        let net = match single_file::control(&self.tensors)? {
            Some((settings, tensors)) => ControlNet::load(&tensors, (&settings, label), parts.device)?,
            None => {
                let settings = self.folder.settings(CONFIG)?.filter(is_control);
                let settings = settings.ok_or_else(|| no_control(label))?;
                let file = format!("{label}: {CONFIG}");
                ControlNet::load(&self.tensors, (&settings, &file), parts.device)?
            }
        };
        let base = parts.unet_config()?;
        if net.is_for(&base) {
            return Ok(net);
        }
        let message = format!(
            "{label}: this ControlNet is for {}, and {} is {}",
            base_of(net.config()),
            parts.files.label(),
            base_of(&base)
        );
        Err(Failure::new(
            "wrong_base",
            message,
            "take one that was trained for this model, or leave --control out",
        ))
    }

    /// What it does to a drawing.
    ///
    /// # Errors
    /// What is wrong with its map.
    pub fn control<'n>(
        &self,
        net: &'n ControlNet,
        order: &Order<'_>,
        parts: &Parts<'_>,
    ) -> Result<Control<'n>, Failure> {
        let map = of_file(&self.job.map, Raster::read)?.resized(order.size)?;
        let part = Part { from: self.job.from, to: self.job.to };
        Ok(Control::new(net, &map, (self.job.weight as f32, part), (order.precision, parts.device)))
    }
}

const HINT: &str = "write --control MODEL=MAP.png, :WEIGHT behind it, and :FROM:TO behind that";

/// All ControlNets of an order.
///
/// # Errors
/// What is wrong with one, and a model that none guides.
pub(super) fn load(
    given: &[Given<'_>],
    order: &Order<'_>,
    parts: &Parts<'_>,
) -> Result<Vec<ControlNet>, Failure> {
    if let (Walk::Flow(_), false) = (&order.walk, given.is_empty()) {
        let message =
            format!("{}: ControlNets guide models of the kind of Stable Diffusion alone yet", order.model);
        return Err(Failure::new("bad_setting", message, "leave --control out"));
    }
    given.iter().map(|given| given.load(parts)).collect()
}

/// What all of them do to a drawing.
///
/// # Errors
/// What is wrong with a map.
pub(super) fn controls<'n>(
    (given, nets): (&[Given<'_>], &'n [ControlNet]),
    order: &Order<'_>,
    parts: &Parts<'_>,
) -> Result<Controls<'n>, Failure> {
    let all = given.iter().zip(nets).map(|(given, net)| given.control(net, order, parts));
    Ok(Controls { all: all.collect::<Result<_, _>>()?, ..Controls::default() })
}

fn is_control(settings: &Value) -> bool {
    settings["_class_name"].as_str().is_some_and(|class| class.starts_with("ControlNet"))
}

fn no_control(label: &str) -> Failure {
    let message = format!("{label}: it holds no ControlNet");
    let hint =
        "name a folder as diffusers writes it, with config.json, or a file in the layout of its makers";
    Failure::new("unknown_family", message, hint)
}

/// A model by the text that it reads.
fn base_of(config: &UNetConfig) -> String {
    let (width, levels) = (config.text_width, &config.levels);
    let of = format!("{} levels of {} channels", levels.len(), levels[0].channels);
    match bases::of_width(width) {
        Some(name) => format!("{name} ({of})"),
        None => format!("one of {of} that reads text of width {width}"),
    }
}
