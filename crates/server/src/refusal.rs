//! Why a request is refused, and with which status: the same for all dialects, each of which writes it in its own shape.

use app::Failure;
use axum::http::StatusCode;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    /// A word for programs, the cause, the next step.
    pub failure: Failure,
    /// The field that it is about, where it is about one.
    pub field: Option<Box<str>>,
    /// Seconds after which it is worth to come again.
    pub retry_after_s: Option<u32>,
    /// The name of the request. Boxed, and small as the rest is: every answer is a result that may hold a refusal.
    pub request_id: Option<Box<str>>,
}

impl Refusal {
    pub fn new(status: StatusCode, failure: Failure) -> Self {
        Self { status, failure, field: None, retry_after_s: None, request_id: None }
    }

    /// A field that is not as it should be.
    pub fn field(field: &str, problem: impl std::fmt::Display) -> Self {
        let failure = Failure::new(
            "invalid_field",
            format!("{field}: {problem}"),
            "`/openapi.json` says what each field may be",
        );
        Self { field: Some(field.into()), ..Self::new(StatusCode::BAD_REQUEST, failure) }
    }

    /// Something that clients ask for and that is not here.
    pub fn not_here(what: &str) -> Self {
        let failure = Failure::new(
            "not_implemented",
            format!("{what} is not part of this version of Hearth"),
            "`/openapi.json` lists what it answers",
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, failure)
    }

    /// The same, of the request of this name.
    #[must_use]
    pub fn of_request(self, id: &str) -> Self {
        Self { request_id: Some(id.into()), ..self }
    }

    /// The cause and the next step in one sentence each, for clients that show one text.
    pub fn text(&self) -> String {
        match self.failure.hint.is_empty() {
            true => self.failure.message.clone(),
            false => format!("{} (next: {})", self.failure.message, self.failure.hint),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = status(&failure.code);
        let retry_after_s = matches!(failure.code.as_str(), "busy" | "locked" | "ending").then_some(1);
        let failure = Failure { hint: as_fields(&failure.hint), ..failure };
        Self { retry_after_s, ..Self::new(status, failure) }
    }
}

/// A next step that names flags of the terminal, in words of a request: flags are fields there. Commands, which stand between
/// backticks, stay as they are.
fn as_fields(hint: &str) -> String {
    let field = |word: &str| match word.strip_prefix("--") {
        Some(flag) if flag.starts_with(|letter: char| letter.is_ascii_lowercase()) => flag.replace('-', "_"),
        _ => word.to_owned(),
    };
    let part = |(index, part): (usize, &str)| match index % 2 {
        0 => part.split(' ').map(field).collect::<Vec<_>>().join(" "),
        _ => part.to_owned(),
    };
    hint.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
}

/// What who comes too late is told: the server ends.
pub fn ending() -> Failure {
    Failure::new("ending", "this server is ending and takes nothing new", "ask again when it is back")
}

/// The status of a failure, by its code.
fn status(code: &str) -> StatusCode {
    match code {
        "model_not_found" | "response_not_found" | "no_such_version" | "not_found_there" => {
            StatusCode::NOT_FOUND
        }
        "busy" | "locked" | "ending" => StatusCode::SERVICE_UNAVAILABLE,
        "over_quota" => StatusCode::TOO_MANY_REQUESTS,
        "no_room" | "disk_full" => StatusCode::INSUFFICIENT_STORAGE,
        "not_from_afar" => StatusCode::FORBIDDEN,
        "pinned" | "not_own" => StatusCode::CONFLICT,
        "stopped" => StatusCode::SERVICE_UNAVAILABLE,
        "network" | "bad_source" | "not_allowed_there" => StatusCode::BAD_GATEWAY,
        "internal" | "damaged_store" | "store" | "inference" | "no_thread" | "damaged_weights"
        | "cannot_read" | "read_only" | "permission_denied" | "file_changed" | "bad_file"
        | "future_version" | "ledger" | "guard" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_fields_over_http() {
        for (hint, told) in [
            ("leave --clip-skip out", "leave clip_skip out"),
            ("ask for --guidance 3, or leave --negative out", "ask for guidance 3, or leave negative out"),
            ("`hearth train --resume it` goes on", "`hearth train --resume it` goes on"),
            ("a -- b, --", "a -- b, --"),
            ("", ""),
        ] {
            let refusal = Refusal::from(Failure::new("bad_setting", "no", hint));
            assert_eq!(refusal.failure.hint, told);
        }
    }
}
