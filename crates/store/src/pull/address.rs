//! An address on the network as a type: `http` or `https`, a host, a path; the only way from a text to a request.
//!
//! Not a general URL: no user names or passwords, no fragments, nothing but visible ASCII. Source: RFC 3986.

use std::fmt;
use std::net::IpAddr;

use super::Problem;
use crate::Digest;
use crate::error::shown;

/// Longer addresses than signed ones ever are.
const MAX_BYTES: usize = 8 << 10;

/// Where something lies on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub origin: Origin,
    /// Begins with a slash.
    path: String,
    /// What follows the question mark; may hold a signature, so it is never shown.
    query: Option<String>,
}

/// Whom one speaks to: a token that is meant for one origin is never given to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub is_secure: bool,
    /// In lower case; an IPv6 address stands in brackets.
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Reads `http[s]://host[:port]/path[?query]`. A fragment is dropped.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bad = |rule| Problem::BadAddress { given: without_secrets(text), rule };
        if text.len() > MAX_BYTES {
            return Err(bad("an address has at most 8,192 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(bad("an address holds only visible ASCII; write anything else as %XX"));
        }
        let (is_secure, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            _ => return Err(bad("an address begins with https://")),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(at);
        let (host, port) = split_port(authority, if is_secure { 443 } else { 80 })
            .ok_or_else(|| bad("after :// stands a host, and perhaps a port, but no user or password"))?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        Ok(Self { origin: Origin { is_secure, host, port }, path, query })
    }

    /// The address below this one; each part is escaped, so that it stays one part.
    pub fn below<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut path = self.path.trim_end_matches('/').to_owned();
        for part in parts {
            path.push('/');
            escape_into(part, &mut path);
        }
        Self { origin: self.origin.clone(), path, query: None }
    }

    /// The address of a content below this one. Registries expect the digest's colon as it is.
    pub fn digest(&self, digest: &Digest) -> Self {
        Self {
            origin: self.origin.clone(),
            path: format!("{}/{digest}", self.path.trim_end_matches('/')),
            query: None,
        }
    }

    /// The same with this query, which is taken as it is.
    pub fn with_query(self, query: &str) -> Self {
        Self { query: Some(query.to_owned()), ..self }
    }

    /// What a `Location` header of this address's answer leads to.
    pub fn join(&self, location: &str) -> Result<Self, Problem> {
        let origin = &self.origin;
        if location.contains("://") && !location.starts_with(['/', '?', '.']) {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", origin.scheme()));
        }
        let folder = &self.path[..self.path.rfind('/').map_or(0, |slash| slash + 1)];
        let path = match location {
            "" => self.path.clone(),
            _ if location.starts_with('/') => location.to_owned(),
            _ if location.starts_with('?') => format!("{}{location}", self.path),
            _ => format!("{folder}{location}"),
        };
        Self::parse(&format!("{origin}{path}"))
    }

    /// The whole address, with its query: for the request alone.
    pub fn request_text(&self) -> String {
        match &self.query {
            Some(query) => format!("{}{}?{query}", self.origin, self.path),
            None => format!("{}{}", self.origin, self.path),
        }
    }

    /// Whether it has a query, which may be a secret.
    pub fn has_query(&self) -> bool {
        self.query.is_some()
    }

    /// What follows the last slash of the path.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The parts of the path.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter(|part| !part.is_empty())
    }
}

/// Without the query.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, shown(&self.path))
    }
}

impl Origin {
    fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// Whether this is a name or address of this machine itself.
    pub fn is_this_machine(&self) -> bool {
        self.host == "localhost"
            || self.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.host)?;
        let usual = if self.is_secure { 443 } else { 80 };
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// An address as it may be shown, whether or not it is sound: no query, no user, no password.
pub(super) fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    match text.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            shown(&format!("{scheme}://…@{host}"))
        }
        _ => shown(text),
    }
}

fn split_port(authority: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], authority[colon + 1..].parse().ok().filter(|port| *port != 0)?)
        }
        _ => (authority, usual),
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed);
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (is_name || is_v6).then(|| (host.to_ascii_lowercase(), port))
}

/// RFC 3986, section 2.3: what is not unreserved is written as `%XX`.
fn escape_into(part: &str, out: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_their_secrets() {
        let check = |text: &str, request: &str, shown: &str| {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.request_text().as_str(), address.to_string().as_str()), (request, shown));
        };
        check("https://HF.co/a/b", "https://hf.co/a/b", "https://hf.co/a/b");
        check("https://h:443", "https://h/", "https://h/");
        check("HTTP://h:81/a?sig=S#f", "http://h:81/a?sig=S", "http://h:81/a");
        check("https://[::1]:8/x", "https://[::1]:8/x", "https://[::1]:8/x");
        check("https://h?q", "https://h/?q", "https://h/");
    }

    #[test]
    fn what_is_no_address_is_refused_and_its_query_not_repeated() {
        for text in [
            "",
            "h",
            "ftp://h/",
            "file:///etc/passwd",
            "https://",
            "https:///a",
            "https://u:p@h/",
            "https://u@h/",
            "https://h:0/",
            "https://h:70000/",
            "https://h:/",
            "https://h o/",
            "https://h\n/",
            "https://h/\r\nHost: x",
            "https://[::1/",
            "https://[x]/",
            "https://é/",
            "https://h\\a",
            &format!("https://h/{}", "a".repeat(9000)),
        ] {
            assert!(matches!(Address::parse(text), Err(Problem::BadAddress { .. })), "{text:?}");
        }
        let secret = Address::parse("https://u:SECRET@h/?signature=SECRET").unwrap_err();
        assert!(!secret.to_string().contains("SECRET"), "{secret}");
    }

    #[test]
    fn a_redirect_leads_where_rfc_3986_says() {
        let from = Address::parse("https://h:8/a/b?q=1").unwrap();
        let check = |location, to: &str| assert_eq!(from.join(location).unwrap().request_text(), to);
        check("https://other/x", "https://other/x");
        check("//other/x", "https://other/x");
        check("/x?y=://", "https://h:8/x?y=://");
        check("c", "https://h:8/a/c");
        check("?z", "https://h:8/a/b?z");
        assert!(from.join("javascript:alert(1)").is_ok(), "a relative path like any other");
    }

    #[test]
    fn a_part_stays_one_part() {
        let address = Address::parse("https://h/api/").unwrap().below(["a/../b", "ü x", "Q4_K.gguf"]);
        assert_eq!(address.request_text(), "https://h/api/a%2F..%2Fb/%C3%BC%20x/Q4_K.gguf");
    }
}
