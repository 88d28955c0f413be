//! `/sdapi/v1/options`, and `override_settings` of a request: which model draws, and how. Each key has its own.

use axum::http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::not_here;
use crate::call::{Call, get as field};
use crate::desks::Settings;
use crate::dialects::drawing::{image_models, no_model};
use crate::fields::{Field, Kind, SHORT, whole};
use crate::receive::json as json_body;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

const MODEL: &str = "sd_model_checkpoint";
const CLIP_SKIP: &str = "CLIP_stop_at_last_layers";
const NOISE: &str = "randn_source";
/// Whose noise a seed stands for: those of NVIDIA's cards are the same on a card and without one.
const NOISES: [&str; 3] = ["GPU", "NV", "CPU"];

pub const FIELDS: &[Field] = &[
    Field::may(MODEL, SHORT, "The image model, by its name or title."),
    Field::may(
        CLIP_SKIP,
        Kind::Integer { least: 1, most: 12 },
        "Which layer of the text encoder is read, counted from the last.",
    ),
    Field::may(
        NOISE,
        Kind::OneOf(&NOISES),
        "Whose noise a seed stands for: NVIDIA's, or PyTorch's on a processor.",
    ),
];

/// Settings that hold for one request.
pub struct Set {
    pub model: String,
    pub clip_skip: Option<usize>,
    pub noise: &'static str,
}

pub fn get(call: Call) -> Answering {
    answering(async move {
        let settings = call.shared.desks.settings(call.caller.owner);
        let models = image_models(&call).await?;
        let name = settings.model.as_deref();
        let model = match name {
            Some(name) => models.iter().find(|model| model.name == name),
            None => models.first(),
        };
        let options = json!({
            MODEL: model.map(title),
            "sd_checkpoint_hash": model.map(hash),
            CLIP_SKIP: settings.clip_skip.unwrap_or(1),
            NOISE: settings.noise.unwrap_or(NOISES[0]),
            "sd_vae": "Automatic",
            "samples_format": "png",
        });
        Ok(json_body(StatusCode::OK, &options))
    })
}

pub fn set(call: Call) -> Answering {
    answering(async move {
        let owner = call.caller.owner;
        let mut settings = call.shared.desks.settings(owner);
        take(&mut settings, &call.body, "")?;
        if let Some(name) = &settings.model {
            let models = image_models(&call).await?;
            if !models.iter().any(|model| model.name == *name) {
                let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
                return Err(Refusal::field(
                    MODEL,
                    format!("there is no image model {name:?}, but {}", names.join(", ")),
                ));
            }
        }
        call.shared.desks.set(owner, settings);
        Ok(json_body(StatusCode::OK, &Json::Null))
    })
}

/// The settings of a request: its own, else those of its owner.
///
/// # Errors
/// Settings that are not here, and where there is no model.
pub async fn of_request(call: &Call) -> Result<Set, Refusal> {
    let mut settings = call.shared.desks.settings(call.caller.owner);
    if let Some(own) = call.get("override_settings").and_then(Json::as_object) {
        take(&mut settings, own, "override_settings.")?;
    }
    let model = match settings.model {
        Some(name) => name,
        None => image_models(call).await?.first().map(|model| model.name.clone()).ok_or_else(no_model)?,
    };
    Ok(Set { model, clip_skip: settings.clip_skip, noise: settings.noise.unwrap_or(NOISES[0]) })
}

/// Takes settings over.
fn take(settings: &mut Settings, given: &Map<String, Json>, path: &str) -> Result<(), Refusal> {
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            MODEL => settings.model = value.as_str().map(|title| name_of(title).to_owned()),
            CLIP_SKIP => settings.clip_skip = whole(value).and_then(|skip| usize::try_from(skip).ok()),
            NOISE => settings.noise = NOISES.into_iter().find(|noise| value == noise),
            _ if is_usual(given, name) => {}
            _ => return Err(not_here(&format!("{path}{name}"), "this setting is not here")),
        }
    }
    Ok(())
}

/// Whether a setting is as it is here anyway.
fn is_usual(given: &Map<String, Json>, name: &str) -> bool {
    let text = |usual: &[&str]| {
        field(given, name).and_then(Json::as_str).is_some_and(|value| usual.contains(&value))
    };
    match name {
        "sd_vae" => text(&["Automatic", "None"]),
        "samples_format" => text(&["png"]),
        "sd_checkpoint_hash" => true,
        "eta_noise_seed_delta" => field(given, name).and_then(whole) == Some(0),
        _ => false,
    }
}

/// How web UIs call a model: its name and the beginning of its digest.
pub fn title(model: &app::event::Model) -> String {
    format!("{} [{}]", model.name, hash(model))
}

/// Ten digits of a model's digest.
pub fn hash(model: &app::event::Model) -> String {
    let digits = model.digest.rsplit([':', '-']).next().unwrap_or_default();
    digits.chars().take(10).collect()
}

/// The name in a title.
fn name_of(title: &str) -> &str {
    match title.rsplit_once(" [") {
        Some((name, behind)) if behind.ends_with(']') => name,
        _ => title,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_over_and_others_refused_by_name() {
        let take = |given: Json| {
            let mut settings = Settings { clip_skip: Some(3), ..Settings::default() };
            let told = take(&mut settings, given.as_object().unwrap(), "override_settings.");
            told.map(|()| settings).map_err(|refusal| refusal.field.unwrap_or_default().into_string())
        };
        let found = take(
            json!({ "sd_model_checkpoint": "a b [0123456789]", "randn_source": "CPU", "sd_vae": "None" }),
        );
        let expected = Settings { model: Some("a b".into()), clip_skip: Some(3), noise: Some("CPU") };
        assert_eq!(found, Ok(expected));
        assert_eq!(take(json!({ "CLIP_stop_at_last_layers": 2 })).unwrap().clip_skip, Some(2));
        for (given, field) in [
            (json!({ "sd_vae": "other.pt" }), "override_settings.sd_vae"),
            (json!({ "eta_noise_seed_delta": 31337 }), "override_settings.eta_noise_seed_delta"),
            (json!({ "upscaler_for_img2img": "Lanczos" }), "override_settings.upscaler_for_img2img"),
        ] {
            assert_eq!(take(given), Err(field.to_owned()));
        }
        assert_eq!((name_of("m"), name_of("m [a] [b]"), name_of("[b]")), ("m", "m [a]", "[b]"));
    }
}
