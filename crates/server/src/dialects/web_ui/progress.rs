//! `/sdapi/v1/progress` and `/sdapi/v1/interrupt`: of the owner's oldest drawing that goes on.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::info::timestamp;
use crate::call::Call;
use crate::fields::{Field, Kind};
use crate::receive::json as json_body;
use crate::route::{Answering, answering};

const SKIPPED: &str = "skip_current_image";

pub const QUERY: &[Field] = &[Field::may(SKIPPED, Kind::Flag, "Whether the rough picture is left out.")];

pub fn progress(call: Call) -> Answering {
    answering(async move {
        let going = call.shared.desks.going(call.caller.owner);
        let (share, left) = going.as_ref().map(|going| going.progress()).unwrap_or_default();
        let drawing = going.as_ref().and_then(|going| going.drawing);
        let is_left_out = call.query.get(SKIPPED).and_then(serde_json::Value::as_bool).unwrap_or(false);
        let preview = going.as_ref().and_then(|going| going.preview.as_ref()).filter(|_| !is_left_out);
        let state = json!({
            "skipped": false,
            "interrupted": going.as_ref().is_some_and(|going| going.is_interrupted),
            "stopping_generation": false,
            "job": if going.is_some() { "drawing" } else { "" },
            "job_count": going.as_ref().map_or(0, |going| going.n_pictures),
            "job_timestamp": if going.is_some() { timestamp() } else { "0".to_owned() },
            "job_no": drawing.map_or(0, |drawing| drawing.index),
            "sampling_step": drawing.map_or(0, |drawing| drawing.steps_done),
            "sampling_steps": drawing.map_or(0, |drawing| drawing.n_steps),
        });
        let told = json!({
            "progress": share,
            "eta_relative": left.as_secs_f64(),
            "state": state,
            "current_image": preview.map(|preview| STANDARD.encode(&preview.png)),
            "textinfo": null,
        });
        Ok(json_body(StatusCode::OK, &told))
    })
}

pub fn interrupt(call: Call) -> Answering {
    answering(async move {
        call.shared.desks.interrupt(call.caller.owner);
        Ok(json_body(StatusCode::OK, &json!({})))
    })
}
