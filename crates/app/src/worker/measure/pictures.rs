//! What an image model needs on this machine: memory by part, since they are there one after the other, and seconds of a
//! step, by what a product of its width takes here.

use ops::{Precision, Rows};
use store::Store;

use super::products::Products;
use super::{machine, memory};
use crate::event::measure::{FitPart, FittingPictures};
use crate::job::measure::Fit;
use crate::worker::draw::files::ImageFiles;
use crate::worker::draw::order;
use crate::worker::draw::parts::Parts;
use crate::worker::draw::walk::Walk;
use crate::worker::open::{self, Files};
use crate::{Event, Failure};

/// Rows of the product that is timed, at most.
const ROWS: usize = 1024;
/// The largest matrix that is timed: wider ones take as long for each number.
const MOST_WIDE: usize = 4096;

/// The answer for an image model; nothing for a model of another kind, or one that is not here.
///
/// # Errors
/// What is wrong with its files, and weights that cannot be computed with.
pub(super) fn fit(store: &Store, job: &Fit) -> Result<Option<Event>, Failure> {
    let Ok(source) = open::find(store, &job.model) else { return Ok(None) };
    let Files::Folder(folder) = &source.files else { return Ok(None) };
    let Ok(files) = ImageFiles::open(folder) else { return Ok(None) };
    if !job.contexts.is_empty() {
        let message = format!("{}: it makes pictures, and has no context", source.name);
        return Err(Failure::new("bad_setting", message, "leave --context out"));
    }
    let device = ops::device::cpu();
    let parts = Parts { files: &files, device: &device, loras: &[], embeddings: &[] };
    let base_bytes = memory::held().unwrap_or(0);
    let walk = Walk::of(&parts)?;
    let side = parts.usual_side()?;
    let shrinking = parts.auto_encoder_config()?.shrinking();
    let size = [side.saturating_mul(shrinking); 2];
    let ([texts, model, pixels], weights) = (order::memory(&parts, size), parts.sizes());
    let named = ["text encoders", "model", "auto-encoder"];
    let told = named.into_iter().zip(weights).zip([texts, model, pixels]);
    let told = told.map(|((name, weight_bytes), bytes)| FitPart {
        name: name.into(),
        weight_bytes,
        memory_bytes: bytes.saturating_add(base_bytes),
    });
    let told: Vec<FitPart> = told.collect();
    let memory_bytes = told.iter().map(|part| part.memory_bytes).max().unwrap_or(0);
    let machine = machine::measure();
    let fits = machine.available_bytes.map(|free| memory_bytes <= free.saturating_add(base_bytes));
    let (flops, width) = parts.step_cost([side; 2], walk.tokens())?;
    let step_flops = flops * walk.asked() as f64;
    let width = width.clamp(1, MOST_WIDE);
    let dtype = parts.storage()?;
    let rows = Rows::training((side * side).clamp(1, ROWS), Precision::Bf16);
    let mut products = Products::new(machine.flops_per_s, weights[1]);
    let timed = (0..super::N_ROUNDS).map_while(|_| {
        products.again();
        products.seconds(dtype, [width; 2], rows)
    });
    let seconds = timed.last().ok_or_else(|| {
        let message = format!("{}: it has weights that Hearth cannot compute with", source.name);
        Failure::new("unsupported_storage", message, "take another quantisation of it")
    })?;
    let rate = 2.0 * (rows.total() * width * width) as f64 / seconds;
    Ok(Some(Event::FittingPictures(Box::new(FittingPictures {
        class: files.index()?["_class_name"].as_str().unwrap_or_default().to_owned(),
        model: source.name,
        size,
        parts: told,
        memory_bytes,
        fits,
        n_steps: walk.usual().steps,
        step_flops,
        step_s: step_flops / rate,
        machine,
    }))))
}
