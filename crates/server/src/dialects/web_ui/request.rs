//! What a request for pictures says. What it does not say is as AUTOMATIC1111's web UI has it.

use app::job::draw::{Draw, File, Fill, Generator, Masked, Part, Previews, Start, Unfinished, Variation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::{not_here, options};
use crate::call::Call;
use crate::refusal::Refusal;

/// The files of a request, as failures name them.
pub const FILES: [&str; 2] = ["init_images[0]", "mask"];

const STEPS: usize = 50;
const SIDE: usize = 512;
const GUIDANCE: f32 = 7.0;
const SAMPLER: &str = "Euler";
const STRENGTH: f64 = 0.75;
const MASK_BLUR: usize = 4;
/// The schedule that is the sampler's own.
const AUTOMATIC: &str = "automatic";

/// Reads it, with the settings that hold for it.
///
/// # Errors
/// What would change a picture and is not here, by its name.
pub async fn read(call: &Call, (set, start): (&options::Set, Option<Start>)) -> Result<Draw, Refusal> {
    let sampler = call.text("sampler_name").or(call.text("sampler_index")).unwrap_or(SAMPLER);
    expect_neutral(call, sampler)?;
    let seed = |name: &str| call.integer(name).and_then(|seed| u64::try_from(seed).ok());
    let strength = call.get("subseed_strength").and_then(Json::as_f64).filter(|strength| *strength > 0.0);
    let schedule =
        call.text("scheduler").filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(AUTOMATIC));
    let side = |name: &str| call.count(name).unwrap_or(SIDE);
    Ok(Draw {
        negative: call.text("negative_prompt").map(str::to_owned),
        start,
        variation: strength.map(|strength| Variation { seed: seed("subseed"), strength }),
        size: Some([side("width"), side("height")]),
        steps: Some(call.count("steps").unwrap_or(STEPS)),
        n: call.count("batch_size").unwrap_or(1) * call.count("n_iter").unwrap_or(1),
        seed: seed("seed"),
        noise: Some(if set.noise == "CPU" { Generator::Cpu } else { Generator::Nv }),
        guidance: Some(call.number("cfg_scale").unwrap_or(GUIDANCE)),
        sampler: Some(sampler.to_owned()),
        schedule: schedule.map(str::to_owned),
        clip_skip: set.clip_skip.filter(|skip| *skip > 1),
        previews: Some(Previews::Every(1)),
        unfinished: Unfinished::Told,
        ..Draw::new(set.model.clone(), call.text("prompt").unwrap_or_default())
    })
}

/// The picture that is begun with.
///
/// # Errors
/// A text that is no Base64.
pub fn start(call: &Call) -> Result<Start, Refusal> {
    let first = call.get("init_images").and_then(Json::as_array).and_then(|list| list.first());
    let picture = file(FILES[0], first.and_then(Json::as_str).unwrap_or_default())?;
    let mask = call.text("mask").map(|text| file(FILES[1], text)).transpose()?;
    let is_inverted = call.integer("inpainting_mask_invert") == Some(1);
    Ok(Start {
        picture,
        part: mask.is_some().then(|| part(call)),
        mask,
        masked: if is_inverted { Masked::Black } else { Masked::White },
        strength: Some(call.get("denoising_strength").and_then(Json::as_f64).unwrap_or(STRENGTH)),
    })
}

/// A file in Base64, or as a `data:` address.
///
/// # Errors
/// A text that is neither.
pub fn file(name: &str, text: &str) -> Result<File, Refusal> {
    let text = match text.starts_with("data:") {
        true => text.split_once(',').map_or("", |(_, behind)| behind),
        false => text,
    };
    let bytes = STANDARD.decode(text.trim().as_bytes());
    let bytes = bytes.map_err(|error| Refusal::field(name, format!("it is no Base64: {error}")))?;
    Ok(File { name: name.into(), bytes })
}

/// Refuses what would change a picture and is not here.
fn expect_neutral(call: &Call, sampler: &str) -> Result<(), Refusal> {
    let number = |name: &str| call.get(name).and_then(Json::as_f64);
    let is_empty = |name: &str| match call.get(name) {
        Some(Json::Array(list)) => list.is_empty(),
        Some(Json::Object(map)) => map.is_empty(),
        Some(Json::String(text)) => text.is_empty() || text == "None",
        _ => true,
    };
    for (name, what) in [
        ("restore_faces", "faces are not restored here"),
        ("tiling", "pictures that fit their own edges are not made here"),
        ("enable_hr", "there is no second pass at a higher resolution here"),
        ("save_images", "pictures are not kept here, but by who asks for them"),
    ] {
        if call.is_set(name) {
            return Err(not_here(name, what));
        }
    }
    for (name, what) in [
        ("styles", "there are no styles here: say it in the prompt"),
        ("script_name", "there are no scripts here"),
        ("alwayson_scripts", "there are no scripts here"),
    ] {
        if !is_empty(name) {
            return Err(not_here(name, what));
        }
    }
    // By itself only DDIM walks without fresh noise.
    let eta = if sampler.eq_ignore_ascii_case("DDIM") { 0.0 } else { 1.0 };
    for (name, neutral) in
        [("s_churn", 0.0), ("s_noise", 1.0), ("eta", eta), ("initial_noise_multiplier", 1.0)]
    {
        if number(name).is_some_and(|value| value != neutral) {
            return Err(not_here(name, &format!("it is {neutral} here")));
        }
    }
    for name in ["seed_resize_from_w", "seed_resize_from_h"] {
        if call.integer(name).is_some_and(|value| value > 0) {
            return Err(not_here(name, "noise is not resized here"));
        }
    }
    if call.integer("resize_mode").is_some_and(|mode| mode != 0) {
        return Err(not_here(
            "resize_mode",
            "a picture is brought to its size as with 0, whatever its sides are",
        ));
    }
    if call.get("override_settings_restore_afterwards") == Some(&Json::Bool(false)) {
        return Err(not_here("override_settings_restore_afterwards", "set them as options"));
    }
    Ok(())
}

/// How what a mask shows is made anew.
fn part(call: &Call) -> Part {
    let both = call.count("mask_blur");
    let blur = ["mask_blur_x", "mask_blur_y"].map(|name| both.or(call.count(name)).unwrap_or(MASK_BLUR));
    // What is not said is as it is there.
    let is_cut_out = match call.get("inpaint_full_res") {
        Some(Json::Bool(is_cut_out)) => *is_cut_out,
        Some(number) => number.as_i64() != Some(0),
        None => true,
    };
    let fill = call.count("inpainting_fill").unwrap_or(0);
    Part {
        blur,
        padding: is_cut_out.then(|| call.count("inpaint_full_res_padding").unwrap_or(0)),
        fill: Fill::NAMES.get(fill).map(|(fill, _)| *fill).unwrap_or_default(),
    }
}
