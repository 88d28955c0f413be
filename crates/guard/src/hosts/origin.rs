//! An origin: the scheme, host and port of the page that a browser speaks for.
//!
//! Not a URL: it has no path, and `null` (a page without an origin) is none.

use std::fmt;

use crate::error::shown;
use crate::hosts::Host;
use crate::{Error, Result};

const MAX_BYTES: usize = 512;

/// Where a page comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `http://host[:port]`; a port of 80 is left out.
    Http(Host),
    /// `https://host[:port]`; a port of 443 is left out.
    Https(Host),
    /// What is not of the web, such as `chrome-extension://…` or `tauri://localhost`.
    Other {
        /// The scheme, in lower case.
        scheme: String,
        /// What follows `://`, as it was written.
        rest: String,
    },
}

impl Origin {
    /// Reads an origin as a person writes it.
    ///
    /// # Errors
    /// [`Error::BadOrigin`] with the rule that it breaks; `*` is one of them.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text.as_bytes()).map_err(|rule| Error::BadOrigin { given: shown(text), rule })
    }

    /// Reads the value of an `Origin` header; else the rule that it breaks.
    pub(crate) fn read(bytes: &[u8]) -> std::result::Result<Self, &'static str> {
        if bytes == b"null" || bytes == b"*" {
            return Err("no page in particular is meant");
        }
        if bytes.len() > MAX_BYTES {
            return Err("it is longer than 512 bytes");
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not plain text")?;
        let (scheme, rest) = text.split_once("://").ok_or("it is not of the form scheme://host")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(is_scheme) {
            return Err("its scheme is not a word");
        }
        let web = |default| {
            let mut host = Host::read(rest.as_bytes()).map_err(|_| "its host is not a host")?;
            host.port = host.port.filter(|port| *port != default);
            Ok(host)
        };
        match scheme.as_str() {
            "http" => web(80).map(Self::Http),
            "https" => web(443).map(Self::Https),
            _ if rest.is_empty()
                || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)) =>
            {
                Err("what follows :// is not a name")
            }
            _ => Ok(Self::Other { scheme, rest: rest.to_owned() }),
        }
    }

    /// Whether a page of this origin came from the host that is asked now. The scheme does not count: where something
    /// before this server speaks TLS, the server cannot know it.
    pub(crate) fn is_of(&self, asked: &Host) -> bool {
        let (host, default) = match self {
            Self::Http(host) => (host, 80),
            Self::Https(host) => (host, 443),
            Self::Other { .. } => return false,
        };
        host.name == asked.name && host.port.unwrap_or(default) == asked.port.unwrap_or(default)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(host) => write!(f, "http://{host}"),
            Self::Https(host) => write!(f, "https://{host}"),
            Self::Other { scheme, rest } => write!(f, "{scheme}://{rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_into_one_form_and_others_refused() {
        let cases = [
            ("http://localhost:4242", Some("http://localhost:4242")),
            ("HTTP://LocalHost:80", Some("http://localhost")),
            ("https://desk.local.:443", Some("https://desk.local")),
            ("https://desk.local:80", Some("https://desk.local:80")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("chrome-extension://abcdef", Some("chrome-extension://abcdef")),
            ("tauri://localhost", Some("tauri://localhost")),
            ("null", None),
            ("*", None),
            ("", None),
            ("localhost", None),
            ("http:/localhost", None),
            ("http://", None),
            ("http://localhost/", None),
            ("http://localhost http://evil.example", None),
            ("http://user@localhost", None),
            ("http://localhost?x", None),
            ("1http://localhost", None),
            ("://localhost", None),
            ("file://", None),
            ("x://a/b", None),
            ("http://löcal", None),
        ];
        for (text, expected) in cases {
            let read = Origin::read(text.as_bytes()).ok();
            assert_eq!(read.as_ref().map(Origin::to_string).as_deref(), expected, "{text}");
            if let Some(origin) = read {
                assert_eq!(Origin::parse(&origin.to_string()).unwrap(), origin);
            }
        }
        assert!(Origin::read(&[0xff, 0xfe]).is_err() && Origin::read(&[b'a'; 600]).is_err());
    }
}
