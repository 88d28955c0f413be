//! From a request on a connection to a [`Call`], and its answer or refusal back: the same for every route.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use app::Failure;
use app::doors::Origin;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on};
use serde_json::{Map, Value as Json};

use crate::access::{self, Admission};
use crate::call::Call;
use crate::fields::{Field, check, field_at};
use crate::form;
use crate::ids;
use crate::page;
use crate::query;
use crate::refusal::{Refusal, ending};
use crate::route::{Dialect, Route, Takes};
use crate::routes;
use crate::shared::Shared;

/// The name of a request, which a client may give and every answer carries.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's clients look for it.
const ITS_OTHER_NAME: HeaderName = HeaderName::from_static("request-id");

/// The routes, ready to answer.
pub fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        let answers =
            move |State(shared): State<Arc<Shared>>, path: Option<Path<String>>, request: Request| {
                respond(shared, route, path.map(|Path(path)| path).unwrap_or_default(), request)
            };
        let router_of_method: MethodRouter<Arc<Shared>> = on(route.method.filter(), answers);
        router = router.route(route.path, router_of_method);
    }
    router.fallback(nowhere).method_not_allowed_fallback(not_so).with_state(shared.clone())
}

/// Answers one request.
async fn respond(shared: Arc<Shared>, route: &'static Route, path: String, request: Request) -> Response {
    let (id, begun) = (request_id(&request), Instant::now());
    let method = request.method().clone();
    let (answered, admission) = match receive(shared.clone(), route, (path, id.clone()), request).await {
        Ok((call, admission)) => ((route.answer)(call).await, Some(admission)),
        Err(refusal) => (Err(refusal), None),
    };
    let mut response = answered.unwrap_or_else(|refusal| refuse(route.dialect, &refusal.of_request(&id)));
    if let Some(admission) = &admission {
        admission.mark(response.headers_mut());
    }
    if let Some(log) = shared.rules().settings.log {
        let who = admission.as_ref().map_or("", |admission| &admission.guest.name);
        let (status, ms) = (response.status().as_u16(), begun.elapsed().as_millis());
        log(format!("{id} {method} {} {status} {ms} ms {who}", route.path).trim_end());
    }
    let digit = usize::from(response.status().as_u16() / 100).min(shared.metrics.by_status.len() - 1);
    shared.metrics.by_status[digit].fetch_add(1, Ordering::Relaxed);
    name(&mut response, &id);
    response
}

/// Lets an answer carry the name of its request.
fn name(response: &mut Response, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, id.clone());
        response.headers_mut().insert(ITS_OTHER_NAME, id);
    }
}

/// The name that the client gave, if it is short and plain, or a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(is_plain).map_or_else(|| ids::new("req_"), str::to_owned)
}

async fn receive(
    shared: Arc<Shared>,
    route: &Route,
    (path, id): (String, String),
    request: Request,
) -> Result<(Call, Admission), Refusal> {
    refuse_at_the_end(&shared)?;
    let (parts, body) = request.into_parts();
    let admission = access::admit(&shared, &parts, route.scope)?;
    let caller = admission.guest.caller;
    let most = shared.rules().settings.max_body_bytes;
    let mut files = Vec::new();
    let (body, bytes) = match route.takes {
        Takes::Nothing => (Map::new(), None),
        Takes::Bytes => (Map::new(), Some(body)),
        Takes::Json(fields) => (read(body, most, fields).await?, None),
        Takes::Form(fields) => {
            let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let (found, uploads) = form::read(kind, &whole(body, most).await?, fields)?;
            files = uploads;
            (found, None)
        }
    };
    // A body may take long: the end may have begun meanwhile, and this request has not.
    refuse_at_the_end(&shared)?;
    let query = query::read(parts.uri.query(), route.query)?;
    let is_for_people = page::is_for_people(&parts.headers);
    let bytes = Mutex::new(bytes);
    Ok((Call { shared, body, query, is_for_people, files, bytes, path, caller, id }, admission))
}

/// Nothing begins when the server ends.
fn refuse_at_the_end(shared: &Shared) -> Result<(), Refusal> {
    if shared.end.has_begun() { Err(ending().into()) } else { Ok(()) }
}

/// A body of at most so many bytes.
async fn whole(body: Body, most: usize) -> Result<Bytes, Refusal> {
    axum::body::to_bytes(body, most).await.map_err(|_| {
        let message = format!("the body is longer than {most} bytes, or it was cut off");
        let failure = Failure::new("body_too_large", message, "send less at once");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, failure)
    })
}

/// Reads a body and holds it against its table. What type the client says that it has does not matter.
async fn read(body: Body, most: usize, fields: &[Field]) -> Result<Map<String, Json>, Refusal> {
    let bytes = whole(body, most).await?;
    let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
    let parsed = if is_empty { Ok(Json::Object(Map::new())) } else { serde_json::from_slice(&bytes) };
    let body = match parsed {
        Ok(Json::Object(body)) => body,
        Ok(_) => return Err(Refusal::field("body", "it is JSON, but not an object")),
        Err(error) => return Err(not_json(&bytes, &error)),
    };
    match check(&body, fields) {
        Ok(()) => Ok(body),
        Err(wrong) => Err(Refusal::field(&wrong.field, wrong.problem)),
    }
}

fn not_json(bytes: &[u8], error: &serde_json::Error) -> Refusal {
    let line_begin = match error.line() {
        0 | 1 => 0,
        line => bytes.split(|byte| *byte == b'\n').take(line - 1).map(|line| line.len() + 1).sum(),
    };
    let field = field_at(bytes, line_begin + error.column());
    Refusal::field(field.as_deref().unwrap_or("body"), format!("the body is no JSON: {error}"))
}

/// A refusal in the shape of a dialect.
pub fn refuse(dialect: &Dialect, refusal: &Refusal) -> Response {
    let mut response = json(refusal.status, &(dialect.refuse)(refusal));
    if let Some(seconds) = refusal.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A JSON body.
pub fn json(status: StatusCode, value: &Json) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, kind, value.to_string()).into_response()
}

/// What no route is for: a browser that asks whether its page may ask, or a mistake.
async fn nowhere(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    astray(&shared, request, StatusCode::NOT_FOUND)
}

/// The same where there is something, for another method.
async fn not_so(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = astray(&shared, request, StatusCode::METHOD_NOT_ALLOWED);
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let names: Vec<&str> =
            routes::all().filter(|route| is_at(route.path, &path)).map(|route| route.method.name()).collect();
        if let Ok(allowed) = HeaderValue::from_str(&names.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    response
}

/// Whether a path is one of a route, whose variable parts stand in braces.
fn is_at(route: &str, path: &str) -> bool {
    match route.split_once("{*") {
        Some((begin, _)) => path.starts_with(begin),
        None => {
            let (known, given) = (route.split('/'), path.split('/'));
            known.clone().count() == given.clone().count()
                && known.zip(given).all(|(known, given)| known == given || known.starts_with('{'))
        }
    }
}

fn astray(shared: &Shared, request: Request, status: StatusCode) -> Response {
    let id = request_id(&request);
    let mut response = astray_by_name(shared, request, (status, &id));
    name(&mut response, &id);
    response
}

fn astray_by_name(shared: &Shared, request: Request, (status, id): (StatusCode, &str)) -> Response {
    let (parts, _) = request.into_parts();
    let (method, path) = (&parts.method, parts.uri.path());
    let dialect = routes::dialect_near(path);
    match access::check_origin(shared, &parts) {
        Err(refusal) => return refuse(dialect, &refusal.of_request(id)),
        Ok(Some(origin)) if method == Method::OPTIONS => return may_ask(&origin),
        Ok(_) => {}
    }
    let message = format!("there is nothing at {method} {}", path.chars().take(200).collect::<String>());
    let failure = Failure::new("not_found", message, "`/openapi.json` lists what there is");
    refuse(dialect, &Refusal::new(status, failure).of_request(id))
}

/// Lets the page of an origin ask. Source: the fetch standard, "CORS-preflight request".
fn may_ask(origin: &Origin) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    access::share_with(headers, origin);
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-api-key, x-request-id"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    for (name, value) in allowed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
