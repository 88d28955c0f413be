//! Which model a request means that need not name one.

use app::Failure;

use super::super::openai::models::models;
use crate::call::Call;
use crate::fields::{Field, SHORT};
use crate::refusal::Refusal;

pub const MODEL: Field = Field::may(
    "model",
    SHORT,
    "The model; the one in memory where nobody says, or the only one that there is.",
);

/// The model in the box, which is there besides others.
const STARTER: &str = "starter";

/// The model that is meant.
///
/// # Errors
/// Where several could be.
pub async fn model(call: &Call) -> Result<String, Refusal> {
    if let Some(name) = call.text("model").filter(|name| !name.is_empty()) {
        return Ok(name.to_owned());
    }
    // What turns texts into vectors holds no context.
    let writers = call.memory().await?.models.into_iter().filter(|model| model.context > 0);
    let held: Vec<String> = writers.map(|model| model.name).collect();
    if !held.is_empty() {
        return one(held);
    }
    let mut own: Vec<String> = models(call).await?.into_iter().map(|model| model.name).collect();
    if own.len() > 1 {
        own.retain(|name| name != STARTER);
    }
    one(own)
}

fn one(names: Vec<String>) -> Result<String, Refusal> {
    match <[String; 1]>::try_from(names) {
        Ok([name]) => Ok(name),
        Err(names) => {
            let message = match names.is_empty() {
                true => "there is no model".to_owned(),
                false => format!("it is not said which of {} models is meant", names.len()),
            };
            let hint = "name one in `model`; `GET /v1/models` lists them";
            let status = axum::http::StatusCode::BAD_REQUEST;
            let refusal = Refusal::new(status, Failure::new("which_model", message, hint));
            Err(Refusal { field: Some("model".into()), ..refusal })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_is_meant_and_two_are_not() {
        assert_eq!(one(vec!["a".into()]).unwrap(), "a");
        assert_eq!(one(vec!["a".into(), "b".into()]).unwrap_err().field.as_deref(), Some("model"));
        assert!(one(Vec::new()).is_err());
    }
}
