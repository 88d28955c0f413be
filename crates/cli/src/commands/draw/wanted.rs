//! The job that the flags of `hearth draw` say. Flags that a command does not have are absent ones.

use std::any::Any;
use std::path::PathBuf;

use app::Failure;
use app::job::draw::{
    Control, Draw, File, Fill, Generator, Masked, Part, Precision, Previews, Recipe, Start, Variation,
};
use clap::ArgMatches;

use super::flags;

/// The job.
///
/// # Errors
/// Files that cannot be read.
pub fn job(matches: &ArgMatches) -> Result<Draw, Failure> {
    let text = |name: &str| one::<String>(matches, name).cloned();
    let number = |name: &str| one::<usize>(matches, name).copied();
    let is_plain = one::<bool>(matches, "no-metadata").copied().unwrap_or_default();
    Ok(Draw {
        model: text("model"),
        prompt: text("prompt"),
        tokenizer: text("tokenizer"),
        transformer: text("transformer"),
        loras: many(matches, "lora"),
        lora_folder: text("lora-folder"),
        embeddings: many(matches, "embedding"),
        from: file(matches, "from")?,
        negative: text("negative"),
        start: start(matches)?,
        controls: controls(matches)?,
        variation: one::<f64>(matches, "variation-strength")
            .map(|strength| Variation { seed: one(matches, "variation-seed").copied(), strength: *strength }),
        size: one::<[usize; 2]>(matches, "size").copied(),
        steps: number("steps"),
        n: number("n").unwrap_or(1),
        seed: one::<u64>(matches, "seed").copied(),
        noise: text("noise").map(|name| if name == "nv" { Generator::Nv } else { Generator::Cpu }),
        guidance: one::<f32>(matches, "guidance").copied(),
        sampler: text("sampler"),
        schedule: text("schedule"),
        clip_skip: number("clip-skip"),
        precision: text("precision").map(|name| if name == "f32" { Precision::F32 } else { Precision::Bf16 }),
        recipe: if is_plain { Recipe::LeftOut } else { Recipe::Written },
        upscaler: text("upscale"),
        preview_decoder: text("preview-decoder"),
        previews: number("preview").map(Previews::Every),
        ..Draw::new("", "")
    })
}

/// The value of a flag, where the command has it and somebody gave it.
fn one<'a, T: Any + Clone + Send + Sync + 'static>(matches: &'a ArgMatches, name: &str) -> Option<&'a T> {
    matches.try_get_one(name).ok().flatten()
}

/// All values of a flag.
fn many<T: Any + Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.try_get_many(name).ok().flatten().into_iter().flatten().cloned().collect()
}

/// The picture that is begun with, where one is named.
fn start(matches: &ArgMatches) -> Result<Option<Start>, Failure> {
    let Some(picture) = file(matches, "image")? else { return Ok(None) };
    Ok(Some(Start {
        picture,
        mask: file(matches, "mask")?,
        strength: one(matches, "strength").copied(),
        masked: Masked::White,
        part: part(matches),
    }))
}

/// How a part of it is made anew, where a flag says something of that.
fn part(matches: &ArgMatches) -> Option<Part> {
    let (blur, padding) = (one::<usize>(matches, "mask-blur"), one::<usize>(matches, "only-masked"));
    let fill = one::<String>(matches, "mask-fill");
    let is_said = blur.is_some() || padding.is_some() || fill.is_some();
    is_said.then(|| Part {
        blur: [blur.copied().unwrap_or(0); 2],
        padding: padding.copied(),
        fill: fill.and_then(|name| Fill::named(name)).unwrap_or_default(),
    })
}

/// The maps that guide it.
fn controls(matches: &ArgMatches) -> Result<Vec<Control>, Failure> {
    let read = |given: flags::Control| {
        let (map, [from, to]) = (File::read(&given.map)?, given.part);
        Ok(Control { model: given.model, map, weight: given.weight, from, to })
    };
    many(matches, "control").into_iter().map(read).collect()
}

/// The file that a flag names.
fn file(matches: &ArgMatches, name: &str) -> Result<Option<File>, Failure> {
    one::<PathBuf>(matches, name).map(|path| File::read(path)).transpose()
}
