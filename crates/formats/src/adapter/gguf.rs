//! An adapter as llama.cpp reads it: one GGUF file whose type is `adapter`.
//!
//! Tensors are called as those of the model, with `.lora_a` and `.lora_b` behind. Where an alpha of 0 stands, products are
//! added as they are.

use super::{Adapter, Naming, Suffixes, pairs, scale, unapplied};
use crate::error::{Error, Place, Quoted};
use crate::{FileBytes, TensorFile};

const TYPE: &str = "general.type";
const KIND: &str = "adapter.type";
const ALPHA: &str = "adapter.lora.alpha";
/// What says more about an adapter and changes nothing.
const DESCRIBING: [&str; 3] =
    ["adapter.lora.task_name", "adapter.lora.prompt_prefix", "adapter.lora.training_name"];
const SUFFIXES: Suffixes = Suffixes { down: ".lora_a", up: ".lora_b" };

/// Whether a GGUF file says that it is an adapter and no model.
pub fn is_adapter(file: &TensorFile) -> bool {
    matches!(file.metadata().find::<&str>(TYPE), Ok(Some("adapter")))
}

/// Reads a GGUF file.
///
/// # Errors
/// Those of [`gguf::read`](crate::gguf::read), [`Error::Unapplied`] for what is more than products, and what is wrong with
/// its tensors.
pub fn read_gguf(file: &FileBytes) -> Result<Adapter, Error> {
    let tensors = crate::gguf::read(file)?;
    let label = file.shared_label();
    let metadata = tensors.metadata();
    let wanted = |key: &'static str, expected: &'static str| match metadata.read::<&str>(key)? {
        found if found == expected => Ok(()),
        found => {
            let at = Place { file: label.clone(), field: key.into(), offset: 0 };
            Err(Error::Invalid { at, found: Quoted(found).to_string(), expected })
        }
    };
    wanted(TYPE, "adapter")?;
    wanted(KIND, "lora")?;
    let known = |key: &str| [KIND, ALPHA].contains(&key) || DESCRIBING.contains(&key);
    let more = metadata.iter().find(|(key, _)| key.starts_with("adapter.") && !known(key));
    if let Some((key, _)) = more {
        return Err(unapplied(&tensors, Quoted(key).to_string()));
    }
    let alpha: f64 = metadata.read(ALPHA)?;
    let of_rank = |_: &str, rank: usize| match alpha {
        0.0 => Ok(1.0),
        alpha => scale(&label, ALPHA, alpha, rank as f64),
    };
    let factors = pairs(&tensors, &SUFFIXES, |stem| Some(stem.to_owned()), of_rank)?;
    let text = |key: &str| metadata.find::<&str>(key).ok().flatten().map(str::to_owned);
    let base = text("general.base_model.0.name").unwrap_or_default();
    let architecture = text("general.architecture");
    Ok(Adapter { naming: Naming::Gguf, base, architecture, factors, tensors })
}
