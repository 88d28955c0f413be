//! The weights that a training begins with: random ones, or those of a model.
//!
//! A model's weights are taken whole: its sizes are those of the training, and its vocabulary is too. They are rounded
//! nowhere: what is stored in fewer bits is widened.

use std::collections::BTreeMap;

use base::Rng;
use models::Config;
use models::parameters::{Head, Parameters};
use store::Store;
use train::{Kind, Knobs};

use super::record::Record;
use crate::Failure;
use crate::job::training::{NewTraining, Vocabulary};
use crate::worker::contents::Contents;
use crate::worker::open;

/// The weights that the run of `record` begins with.
pub(super) fn begin(record: &Record, store: &Store) -> Result<Parameters, Failure> {
    match &record.weights_from {
        Some(model) => of_model(record, store, model),
        None => Ok(random(record)),
    }
}

/// Random weights of the run's sizes.
pub(super) fn random(record: &Record) -> Parameters {
    let plan = &record.plan;
    let (config, dialect) = (plan.sizes.config(), &plan.sizes.family.family().gguf);
    let mut rng = Rng::new(plan.settings.seed);
    Parameters::random(config, Head::Tied, dialect, &mut rng, &ops::device::cpu())
}

/// A training with what follows from the model that it goes on from: its vocabulary, and its sizes where nobody says
/// others.
pub(super) fn settled(new: &NewTraining, store: &Store) -> Result<NewTraining, Failure> {
    let mut new = new.clone();
    let Some(model) = &new.weights_from else { return Ok(new) };
    let source = open::find(store, model)?;
    let contents = Contents::read(&source)?;
    let (family, config) = contents.decoder_sizes()?;
    let kinds = [Kind::Llama, Kind::Gpt2];
    let Some(kind) = kinds.into_iter().find(|kind| [kind.family().name].contains(&family.name)) else {
        let message = format!("{model}: models of the family {} are not trained", family.name);
        return Err(Failure::new(
            "unsupported_model",
            message,
            "go on from a model of the family llama or gpt2",
        ));
    };
    match &new.vocabulary {
        Vocabulary::Learned => new.vocabulary = Vocabulary::Of(model.clone()),
        Vocabulary::Of(other) if other == model => {}
        _ => {
            let message = format!("the weights of {model} know no other vocabulary than its own");
            return Err(Failure::new("bad_setting", message, "leave --vocabulary away"));
        }
    }
    new.knobs = sized(new.knobs, kind, &config);
    Ok(new)
}

/// Knobs with the sizes of a model where they say none.
fn sized(knobs: Knobs, kind: Kind, config: &Config) -> Knobs {
    Knobs {
        family: knobs.family.or(Some(kind)),
        width: knobs.width.or(Some(config.width)),
        layers: knobs.layers.or(Some(config.n_layers)),
        heads: knobs.heads.or(Some(config.n_heads)),
        kv_heads: knobs.kv_heads.or(Some(config.n_kv_heads)),
        feed_forward: knobs.feed_forward.or(Some(config.feed_forward)),
        length: knobs.length.or(Some(config.context)),
        ..knobs
    }
}

fn of_model(record: &Record, store: &Store, model: &str) -> Result<Parameters, Failure> {
    let source = open::find(store, model)?;
    let contents = Contents::read(&source)?;
    let (family, config) = contents.decoder_sizes()?;
    let names: Vec<String> = contents.tensors.tensors().iter().map(|tensor| tensor.name.clone()).collect();
    let device = ops::device::cpu();
    let old = Parameters::read(&contents.tensors, &names, config, contents.dialect(family), &device)?;
    let new = random(record);
    let mut known: BTreeMap<&str, _> =
        old.iter().map(|parameter| (parameter.name.as_str(), parameter)).collect();
    for wanted in new.iter() {
        let shape = known.get(wanted.name.as_str()).map(|found| &found.shape);
        if shape != Some(&wanted.shape) {
            return Err(differs(model, &wanted.name, shape, &wanted.shape));
        }
    }
    if let Some(more) = old.iter().find(|parameter| new.iter().all(|wanted| wanted.name != parameter.name)) {
        return Err(differs(model, &more.name, Some(&more.shape), &[]));
    }
    let dialect = &record.plan.sizes.family.family().gguf;
    let mut values = |name: &str, _: usize| {
        known.remove(name).map_or_else(Vec::new, |parameter| parameter.tensor.values())
    };
    Ok(Parameters::from_values(new.config().clone(), new.head(), dialect, &device, &mut values))
}

fn differs(model: &str, name: &str, found: Option<&Vec<usize>>, wanted: &[usize]) -> Failure {
    let found = found.map_or_else(|| "not there".to_owned(), |shape| format!("{shape:?}"));
    let message = format!("{model}: {name} is {found} and would be {wanted:?} in this training");
    let hint = "leave the sizes away: they follow from the model that the training goes on from";
    Failure::new("bad_setting", message, hint)
}
