//! What is answered with pictures: they themselves, what was asked, and how they were made.
//!
//! Source: `Processed.js` in `modules/processing.py`; `info` is JSON inside a text.

use app::event::draw::{Begun, Picture};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use crate::call::Call;
use crate::dialects::drawing::Pictures;
use crate::dialects::ollama::time;

/// The answer to a request for pictures.
pub fn answer(call: &Call, pictures: &Pictures, clip_skip: Option<usize>) -> Json {
    let are_sent = call.get("send_images") != Some(&Json::Bool(false));
    let sent = pictures.list.iter().filter(|_| are_sent);
    let images: Vec<String> = sent.map(|picture| STANDARD.encode(&picture.png)).collect();
    let mut info = info(call, pictures);
    info["clip_skip"] = Json::from(clip_skip.unwrap_or(1));
    json!({ "images": images, "parameters": asked(call), "info": info.to_string() })
}

/// The request; its pictures only where that is wanted.
fn asked(call: &Call) -> Map<String, Json> {
    let mut asked = call.body.clone();
    if !call.is_set("include_init_images") {
        for name in ["init_images", "mask"] {
            if let Some(value) = asked.get_mut(name) {
                *value = Json::Null;
            }
        }
    }
    asked
}

fn info(call: &Call, pictures: &Pictures) -> Json {
    let list = &pictures.list;
    let all = |of: &dyn Fn(&Picture) -> Json| Json::Array(list.iter().map(of).collect());
    let prompt = call.text("prompt").unwrap_or_default();
    let negative = call.text("negative_prompt").unwrap_or_default();
    let begun = pictures.begun.as_ref();
    let first = list.first().map(|picture| picture.seed).or(begun.map(|begun| begun.seed));
    let (second, strength) = begun
        .and_then(|begun| begun.variation)
        .map_or((None, 0.0), |(seed, strength)| (Some(seed), strength));
    let size = begun.map(|begun| begun.size);
    // With a second seed only that goes up.
    let subseed = |index: usize| second.map(|seed| seed.wrapping_add(index as u64));
    json!({
        "prompt": prompt,
        "all_prompts": all(&|_| Json::from(prompt)),
        "negative_prompt": negative,
        "all_negative_prompts": all(&|_| Json::from(negative)),
        "seed": first,
        "all_seeds": all(&|picture| Json::from(picture.seed)),
        "subseed": second,
        "all_subseeds": all(&|picture| Json::from(subseed(picture.index))),
        "subseed_strength": strength,
        "width": size.map(|size| size[0]),
        "height": size.map(|size| size[1]),
        "sampler_name": begun.map(|begun| &begun.sampler),
        "cfg_scale": begun.map(|begun| begun.guidance),
        "steps": begun.map(|begun| begun.steps),
        "batch_size": call.count("batch_size").unwrap_or(1),
        "restore_faces": false,
        "face_restoration_model": null,
        "sd_model_name": begun.map(|begun| &begun.model),
        "sd_model_hash": null,
        "sd_vae_name": null,
        "sd_vae_hash": null,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": begun.and_then(|begun| begun.strength),
        "extra_generation_params": extra(begun),
        "index_of_first_image": 0,
        "infotexts": all(&|picture| Json::from(picture.parameters.as_str())),
        "styles": [],
        "job_timestamp": timestamp(),
        "is_using_inpainting_conditioning": false,
        "version": concat!("Hearth ", env!("CARGO_PKG_VERSION")),
    })
}

fn extra(begun: Option<&Begun>) -> Json {
    begun.map_or_else(|| json!({}), |begun| json!({ "Schedule type": begun.schedule }))
}

/// Now, as web UIs write it: year to second without signs between them.
pub fn timestamp() -> String {
    time::written(time::now_ns()).chars().filter(char::is_ascii_digit).take(14).collect()
}
