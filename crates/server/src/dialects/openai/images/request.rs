//! What a request for pictures says.

use app::job::draw::{Draw, File, Masked, Previews, Start};

use super::Kind as Wanted;
use crate::call::Call;
use crate::dialects::drawing::{
    NEGATIVE, OWN_GUIDANCE, OWN_SEED, OWN_STEPS, SAMPLER, SCHEDULE, STRENGTH, image_models, no_model,
};
use crate::fields::{Field, Kind, LONG, SHORT};
use crate::refusal::Refusal;

const PROMPT: Field = Field::must("prompt", LONG, "What there is to see.");
const MODEL: Field =
    Field::may("model", SHORT, "An image model; the only one that there is, where none is named.");
const COUNT: Field =
    Field::may("n", Kind::Integer { least: 1, most: 10 }, "Pictures, whose seeds follow one another.");
const SIZE: Field =
    Field::may("size", SHORT, "Width and height, as `1024x768`; `auto` for what the model was made for.");
const FORMAT: Field = Field::may(
    "response_format",
    Kind::OneOf(&["b64_json", "url"]),
    "The PNG in Base64, or as a `data:` address.",
);
const QUALITY: Field = Field::may(
    "quality",
    Kind::OneOf(&["auto", "standard"]),
    "There is one quality; `steps` makes more or less of it.",
);
const BACKGROUND: Field =
    Field::may("background", Kind::OneOf(&["auto", "opaque"]), "Pictures have no transparent parts.");
const OUTPUT: Field = Field::may("output_format", Kind::OneOf(&["png"]), "Pictures are PNG files.");
const COMPRESSION: Field =
    Field::may("output_compression", Kind::Integer { least: 100, most: 100 }, "PNG files lose nothing.");
const STREAM: Field = Field::may("stream", Kind::Flag, "Pictures are told as they come.");
const PARTIAL: Field = Field::may(
    "partial_images",
    Kind::Integer { least: 0, most: 3 },
    "In a stream: rough, small pictures of each on its way.",
);
const STYLE: Field = Field::may("style", SHORT, "Not here: the prompt says it.");
const FIDELITY: Field =
    Field::may("input_fidelity", Kind::OneOf(&["low"]), "`strength` says how much is made anew.");

pub const GENERATIONS: &[Field] = &[
    PROMPT,
    MODEL,
    COUNT,
    SIZE,
    FORMAT,
    QUALITY,
    BACKGROUND,
    OUTPUT,
    COMPRESSION,
    STREAM,
    PARTIAL,
    STYLE,
    NEGATIVE,
    OWN_SEED,
    OWN_STEPS,
    OWN_GUIDANCE,
    SAMPLER,
    SCHEDULE,
];
pub const EDITS: &[Field] = &[
    Field::must("image", Kind::File, "The picture to begin with, a PNG or JPEG file."),
    Field::may(
        "mask",
        Kind::File,
        "A PNG of the picture's size: where it is transparent, the picture is made anew.",
    ),
    PROMPT,
    MODEL,
    COUNT,
    SIZE,
    FORMAT,
    QUALITY,
    BACKGROUND,
    OUTPUT,
    COMPRESSION,
    STREAM,
    PARTIAL,
    FIDELITY,
    NEGATIVE,
    OWN_SEED,
    OWN_STEPS,
    OWN_GUIDANCE,
    SAMPLER,
    SCHEDULE,
    STRENGTH,
];

/// Reads it.
///
/// # Errors
/// What is not here, a size that is none, and a request without a model where there is not one.
pub async fn read(call: &Call, wanted: Wanted) -> Result<Draw, Refusal> {
    if call.get("style").is_some() {
        return Err(Refusal::field("style", "styles are not here: say it in the prompt"));
    }
    let size = call.text("size").map_or(Ok(None), size)?;
    let prompt = call.text("prompt").unwrap_or_default();
    let text = |name: &str| call.text(name).map(str::to_owned);
    let n_previews = if call.is_set("stream") { call.count("partial_images") } else { None };
    Ok(Draw {
        negative: text("negative"),
        start: (wanted == Wanted::Edit).then(|| start(call)),
        size,
        steps: call.count("steps"),
        n: call.count("n").unwrap_or(1),
        seed: call.integer("seed").and_then(|seed| u64::try_from(seed).ok()),
        guidance: call.number("guidance"),
        sampler: text("sampler"),
        schedule: text("schedule"),
        previews: n_previews.map(Previews::InAll),
        ..Draw::new(model(call).await?, prompt)
    })
}

fn start(call: &Call) -> Start {
    let file =
        |name: &str| call.file(name).map(|file| File { name: name.into(), bytes: file.bytes.to_vec() });
    Start {
        picture: file("image").unwrap_or_else(|| File { name: "image".into(), bytes: Vec::new() }),
        mask: file("mask"),
        masked: Masked::Clear,
        strength: call.get("strength").and_then(serde_json::Value::as_f64),
        part: None,
    }
}

async fn model(call: &Call) -> Result<String, Refusal> {
    if let Some(name) = call.text("model") {
        return Ok(name.to_owned());
    }
    match image_models(call).await?.as_slice() {
        [] => Err(no_model()),
        [one] => Ok(one.name.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|model| model.name.as_str()).collect();
            Err(Refusal::field("model", format!("name one of {}", names.join(", "))))
        }
    }
}

/// Width and height; none where the model has the choice.
fn size(text: &str) -> Result<Option<[usize; 2]>, Refusal> {
    if text == "auto" {
        return Ok(None);
    }
    let sides =
        text.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    match sides {
        Some(sides) => Ok(Some(sides)),
        None => Err(Refusal::field("size", "it is not written as `1024x768`, nor is it `auto`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_clients_write_them() {
        assert_eq!(size("1024x768").unwrap(), Some([1024, 768]));
        assert_eq!(size("auto").unwrap(), None);
        for text in ["", "x", "1024", "1024x", "-1x5", "1e3x2", "99999999999999999999x1"] {
            assert_eq!(size(text).unwrap_err().field.as_deref(), Some("size"), "{text}");
        }
    }
}
