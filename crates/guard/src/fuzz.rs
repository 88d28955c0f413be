//! Functions that survive any bytes, for the fuzzer and the gate: what strangers send in headers, what people write,
//! and the files of the house.
//!
//! Each panics when a promise breaks, not only when the reader does. The kept corpus lies in `fuzz/corpus/<name>/`.

use std::path::Path;

use crate::hosts::{Asked, Host, HostName, Hosts, Origin};
use crate::house::{KeptAuthority, KeptServer};
use crate::secret::Presented;
use crate::{Error, Scopes};

/// A name and the function that must survive any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets by name.
pub static TARGETS: &[Target] = &[
    ("guard_key", key),
    ("guard_host", host),
    ("guard_origin", origin),
    ("guard_scopes", scopes),
    ("guard_house", house),
];

/// A key that is accepted is exactly the text that it would be written as.
fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(presented) = Presented::parse(&text) {
        assert_eq!(presented.to_secret().expose(), text);
    }
}

/// A host that is accepted is written in one form, which reads back; and only what is loopback passes for it.
fn host(bytes: &[u8]) {
    let hosts = Hosts::loopback(4242);
    let Ok(host) = Host::read(bytes) else {
        assert!(hosts.check_host(&Asked { hosts: &[bytes], ..Asked::default() }).is_err());
        return;
    };
    let shown = host.to_string();
    assert_eq!(Host::read(shown.as_bytes()).as_ref(), Ok(&host), "{shown}");
    assert_eq!(HostName::parse(&host.name.to_string()).ok().as_ref(), Some(&host.name));
    assert!(bytes.is_ascii() && !shown.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'@'));
    if hosts.check_host(&Asked { authority: Some(bytes), ..Asked::default() }).is_ok() {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let is_loopback = ["localhost", "127.", "["].iter().any(|begin| text.starts_with(begin));
        assert!(is_loopback && host.port == Some(4242), "{text}");
    }
}

/// An origin that is accepted is written in one form, which reads back; and only this server's own passes.
fn origin(bytes: &[u8]) {
    let asked = Asked { hosts: &[b"localhost:4242"], origins: &[bytes], ..Asked::default() };
    let verdict = Hosts::loopback(4242).check(&asked);
    if let Ok(origin) = Origin::read(bytes) {
        let shown = origin.to_string();
        assert_eq!(Origin::read(shown.as_bytes()).as_ref(), Ok(&origin), "{shown}");
        let is_own = ["http://localhost:4242", "https://localhost:4242"].contains(&shown.as_str());
        assert_eq!(verdict.is_ok(), is_own, "{shown}");
    } else {
        assert!(verdict.is_err());
    }
}

/// Scopes that are accepted read back as themselves.
fn scopes(bytes: &[u8]) {
    match Scopes::parse(&String::from_utf8_lossy(bytes)) {
        Ok(scopes) => assert_eq!(Scopes::parse(&scopes.to_string()).expect("it was written"), scopes),
        Err(error) => assert!(matches!(error, Error::BadScope { .. } | Error::NoScope)),
    }
}

/// What the files of the house hold is read or refused, and a refusal shows nothing of a key.
fn house(bytes: &[u8]) {
    let path = Path::new("house");
    let authority = KeptAuthority::from_json(bytes, path).map(drop);
    let server = KeptServer::from_json(bytes, path).map(drop);
    for error in [authority.err(), server.err()].into_iter().flatten() {
        assert!(matches!(error, Error::Damaged { .. } | Error::FutureVersion { .. }));
        assert!(error.to_string().len() < 200, "{error}");
    }
}
