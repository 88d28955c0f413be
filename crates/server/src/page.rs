//! The page for people: files of the program, and what the page asks about the house.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::dialects::openai::{DIALECT, models};
use crate::receive;
use crate::refusal::Refusal;
use crate::route::{Answering, Route, Scope, answering};
use crate::shared::Shared;

pub const ROUTES: &[Route] = &[
    Route::get("/page/{file}", &DIALECT, Scope::Open, file, "A file of the page for people."),
    Route::get("/page/house.json", &DIALECT, Scope::Read, house, "What the page tells of this server."),
    Route::get(
        "/house.crt",
        &DIALECT,
        Scope::Open,
        certificate,
        "The certificate that devices of the house trust.",
    ),
];

/// Nothing from elsewhere, no script or style in the page itself, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Every file of the page.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../web/", $name)))),*]
    };
}

static FILES: &[(&str, &str)] = files![
    "index.html",
    "style.css",
    "talk.css",
    "icon.svg",
    "theme.js",
    "main.js",
    "markdown.js",
    "inline.js",
    "strand.js",
    "stream.js",
    "answer.js",
    "problem.js",
    "sureness.js",
    "render.js",
    "nodes.js",
    "sheet.js",
    "words.js",
    "message.js",
    "chat.js",
    "scroll.js",
    "settings.js",
    "house.js",
    "server.js",
    "key.js",
];

/// The page itself.
pub fn index() -> Response {
    of_program("index.html").unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// Whether a browser asks for something to look at.
pub fn is_for_people(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    accepts.is_some_and(|accepts| accepts.split(',').any(|kind| kind.trim().starts_with("text/html")))
}

fn file(call: Call) -> Answering {
    answering(async move {
        of_program(&call.path).ok_or_else(|| {
            let message = format!("the page has no file {:?}", call.path);
            Refusal::new(
                StatusCode::NOT_FOUND,
                app::Failure::new("not_found", message, "open `/` in a browser"),
            )
        })
    })
}

fn of_program(name: &str) -> Option<Response> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_DNS_PREFETCH_CONTROL, "off"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut response = (*text).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

/// What who speaks plainly to an encrypted server gets: the certificate of the house, and the address to come to.
pub fn plain(shared: Arc<Shared>) -> Router {
    let pem = shared.rules().settings.authority_pem.clone();
    let certificate = move || async move {
        match pem {
            Some(pem) => {
                let kind = HeaderValue::from_static("application/x-x509-ca-cert");
                ([(header::CONTENT_TYPE, kind)], pem).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    };
    let elsewhere = move || async move {
        let address = shared.urls.first().cloned().unwrap_or_default();
        let text = format!("This server speaks https only: {address}\n");
        (StatusCode::UPGRADE_REQUIRED, text).into_response()
    };
    Router::new().route("/house.crt", get(certificate)).fallback(elsewhere)
}

fn house(call: Call) -> Answering {
    answering(async move {
        let (models, memory) = (models::models(&call).await?, call.memory().await?);
        let model = |model: &app::event::Model| {
            let is_loaded = memory.models.iter().any(|loaded| loaded.name == model.name);
            json!({ "name": model.name, "size_bytes": model.size_bytes, "is_loaded": is_loaded })
        };
        let rules = call.shared.rules();
        let settings = &rules.settings;
        let addresses = &call.shared.urls;
        Ok(receive::json(
            StatusCode::OK,
            &json!({
                "version": env!("CARGO_PKG_VERSION"),
                "address": addresses.first(),
                "addresses": addresses,
                "tls": settings.tls.is_some(),
                "keys": settings.keys == crate::Keys::Always || settings.is_open_to_others(),
                "models": models.iter().map(model).collect::<Vec<Json>>(),
                "certificate": settings.authority_pem.as_ref().map(|_| "/house.crt"),
            }),
        ))
    })
}

fn certificate(call: Call) -> Answering {
    answering(async move {
        match &call.shared.rules().settings.authority_pem {
            Some(pem) => {
                let kind = HeaderValue::from_static("application/x-x509-ca-cert");
                Ok(([(header::CONTENT_TYPE, kind)], pem.clone()).into_response())
            }
            None => {
                let message = "this server has no certificate of the house";
                let failure = app::Failure::new("not_found", message, "`hearth serve --lan` makes one");
                Err(Refusal::new(StatusCode::NOT_FOUND, failure))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every file of the page is served, and each that one names is there.
    #[test]
    fn the_page_is_whole() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "test" || FILES.iter().any(|(known, _)| *known == name), "{name} is not served");
        }
        for (name, text) in FILES {
            for part in text.split(['"', '\'']).filter(|part| part.starts_with("./") && part.ends_with(".js"))
            {
                assert!(FILES.iter().any(|(known, _)| *known == &part[2..]), "{name} names {part}");
            }
        }
    }

    #[test]
    fn browsers_are_told_from_programs() {
        let is = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            is_for_people(&headers)
        };
        assert!(is("text/html,application/xhtml+xml,*/*;q=0.8") && is("application/json, text/html"));
        assert!(!is("*/*") && !is("application/json") && !is_for_people(&HeaderMap::new()));
    }
}
