//! Who may send a request, and from where: the host that it names, the page that it comes from, the key that it brings.
//!
//! The person at this machine needs no key at loopback addresses; everybody else does, and everybody where the server
//! is told so.

use std::borrow::Cow;
use std::net::IpAddr;

use app::Failure;
use app::doors::{Asked, Guest, Origin, Turned};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::refusal::Refusal;
use crate::route::Scope;
use crate::shared::Shared;
use crate::{Keys, Peer};

/// Keys of Hearth begin with this; clients that must send some key send others where none is needed.
const BEGIN: &str = "hearth-";

/// A request that was let in.
#[derive(Debug)]
pub struct Admission {
    pub guest: Guest,
    /// The foreign page that may read the answer.
    pub origin: Option<Origin>,
}

/// Holds a request against the hosts, pages and keys that are let in.
///
/// # Errors
/// Why not.
pub fn admit(shared: &Shared, parts: &Parts, scope: Scope) -> Result<Admission, Refusal> {
    let origin = check_origin(shared, parts)?;
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or(Peer::NOBODY);
    let guest = guest(shared, &parts.headers, peer.address, scope)?;
    if let Some(scope) = scope.of_keys() {
        guest.require(scope).map_err(turned)?;
    }
    Ok(Admission { guest, origin })
}

/// Refuses hosts that are not this one, and pages of strangers; names a foreign page that may ask.
///
/// # Errors
/// 403, or 400 for what is no host at all.
pub fn check_origin(shared: &Shared, parts: &Parts) -> Result<Option<Origin>, Refusal> {
    let list = |name: HeaderName| -> Vec<&[u8]> {
        parts.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
    };
    let (hosts, origins) = (list(header::HOST), list(header::ORIGIN));
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let asked = Asked { authority, hosts: &hosts, origins: &origins };
    shared.rules().hosts.check(&asked).map_err(|refused| {
        let status = if refused.is_malformed() { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
        Refusal::new(status, Failure::new("not_this_host", refused.to_string(), refused.hint()))
    })
}

fn guest(shared: &Shared, headers: &HeaderMap, from: IpAddr, scope: Scope) -> Result<Guest, Refusal> {
    let needs_key = shared.rules().settings.keys == Keys::Always || !from.is_loopback();
    match presented(headers)? {
        Some(key) if needs_key && scope != Scope::Open || key.starts_with(BEGIN) => {
            shared.doors.admit(&key, from).map_err(turned)
        }
        None if needs_key && scope != Scope::Open => {
            let hint = "`hearth key create NAME` makes one; send it as `Authorization: Bearer KEY`";
            let failure = Failure::new("no_key", "this server wants a key", hint);
            Err(Refusal::new(StatusCode::UNAUTHORIZED, failure))
        }
        _ => Ok(shared.doors.person()),
    }
}

/// The key that a request brings, in the form of whichever dialect.
fn presented(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Refusal> {
    let text = |name: HeaderName| match headers.get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim())),
        Some(Err(_)) => {
            let failure =
                Failure::new("bad_key", "the key has letters that no key has", "send it as it was shown");
            Err(Refusal::new(StatusCode::UNAUTHORIZED, failure))
        }
    };
    let bearer = text(header::AUTHORIZATION)?.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(Cow::Borrowed(key.trim())),
            "basic" => password(key.trim()).map(Cow::Owned),
            _ => None,
        }
    });
    let key = text(HeaderName::from_static("x-api-key"))?.map(Cow::Borrowed);
    // Two keys that differ could be read as either: neither is taken.
    match (bearer, key) {
        (Some(bearer), Some(key)) if bearer != key => {
            let failure = Failure::new("bad_key", "the request brings two different keys", "send one");
            Err(Refusal::new(StatusCode::UNAUTHORIZED, failure))
        }
        (bearer, key) => Ok(bearer.or(key).filter(|key| !key.is_empty())),
    }
}

/// What stands for a key where clients know only names and passwords, as those of web UIs do. Source: RFC 7617, section 2.
fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

/// Why somebody was turned away, as a status.
fn turned(turned: Turned) -> Refusal {
    match turned {
        Turned::Unknown(failure) => Refusal::new(StatusCode::UNAUTHORIZED, failure),
        Turned::Forbidden(failure) => Refusal::new(StatusCode::FORBIDDEN, failure),
        Turned::TooFast(failure, wait_ms) => Refusal {
            retry_after_s: Some(u32::try_from(wait_ms.div_ceil(1000).max(1)).unwrap_or(u32::MAX)),
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, failure)
        },
        Turned::Broken(failure) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, failure),
    }
}

impl Admission {
    /// What the answer says of it: the limits of the key, and whose page may read it.
    pub fn mark(&self, headers: &mut HeaderMap) {
        if let Some((limit, left, resets_ms)) = self.guest.rate {
            let values = [
                ("x-ratelimit-limit-requests", limit.to_string()),
                ("x-ratelimit-remaining-requests", left.to_string()),
                ("x-ratelimit-reset-requests", format!("{}ms", resets_ms)),
            ];
            for (name, value) in values {
                insert(headers, HeaderName::from_static(name), &value);
            }
        }
        if let Some(origin) = &self.origin {
            share_with(headers, origin);
        }
    }
}

/// Lets the page of an origin read an answer. Source: the fetch standard, "CORS protocol".
pub fn share_with(headers: &mut HeaderMap, origin: &Origin) {
    insert(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, &origin.to_string());
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
