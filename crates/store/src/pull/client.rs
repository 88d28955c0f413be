//! One request and its answer: redirects followed by hand, a token sent only to whom it belongs, time limits, limits
//! of size.
//!
//! Not a retry: whoever asks decides whether to ask again. Source: RFC 9110; the redirect rules answer a class of
//! leaks in which a token followed a redirect to another host.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderMap, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::address::{Address, Origin};
use super::header::{RetryAfter, retry_after};
use super::reach::{Forbidden, Reach, Unknown};
use super::{Problem, Settings, Token};
use crate::error::shown;

/// How many redirects are followed; Hugging Face needs one or two.
const MAX_REDIRECTS: u32 = 5;

/// The headers of an answer; ten times what any of them needs.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Who asks, as far as a server is told.
const USER_AGENT: &str = concat!("hearth/", env!("CARGO_PKG_VERSION"));

/// A token and whom it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub origin: Origin,
    pub token: Token,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub address: &'a Address,
    pub credential: Option<&'a Credential>,
    pub headers: &'a [(&'static str, String)],
}

/// An answer whose body has not been read yet.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The headers of the first answer, where it was a redirect: Hugging Face announces hashes there.
    pub first_headers: Option<HeaderMap>,
    /// Who answered in the end.
    pub address: Address,
    pub body: ureq::Body,
}

/// Asks servers. Cheap to share between threads; [`Client::shut_down`] ends what is under way.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    connect: Duration,
    first_byte: Duration,
    stall: Duration,
}

impl Client {
    /// A client for these settings, which may speak to the hosts that the person named and to public ones.
    pub fn new(settings: &Settings, mut named: Vec<String>) -> Result<Self, Problem> {
        let bad = |rule| Problem::BadSetting { setting: "proxy", rule };
        let proxy = match &settings.proxy {
            Some(text) => {
                let rule = "write http://host:port; a SOCKS proxy cannot be used";
                let proxy = ureq::Proxy::new(text.as_str()).map_err(|_| bad(rule))?;
                if !matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https) {
                    return Err(bad(rule));
                }
                named.push(proxy.host().to_ascii_lowercase());
                Some(exempt(proxy, &settings.no_proxy).ok_or_else(|| bad(rule))?)
            }
            None => None,
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .tls_config(tls(settings)?)
            .user_agent(USER_AGENT)
            .accept_encoding("identity")
            .max_response_header_size(MAX_HEADER_BYTES)
            .max_idle_connections(settings.n_connections.max(1))
            .max_idle_connections_per_host(settings.n_connections.max(1))
            .timeout_resolve(Some(settings.connect_timeout))
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_send_request(Some(settings.first_byte_timeout))
            .timeout_recv_response(Some(settings.first_byte_timeout))
            .timeout_per_read(Some(settings.stall_timeout))
            .timeout_per_write(Some(settings.stall_timeout))
            .build();
        let connector = ureq::unversioned::transport::DefaultConnector::default();
        let agent = ureq::Agent::with_parts(config, connector, Reach { named });
        let limits = Limits {
            connect: settings.connect_timeout,
            first_byte: settings.first_byte_timeout,
            stall: settings.stall_timeout,
        };
        Ok(Self { agent, limits })
    }

    /// Ends every request that is under way, on whatever thread; later ones fail.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    /// Asks, and follows redirects. Any status but a redirect is an answer.
    pub fn get(&self, ask: Ask<'_>) -> Result<Answer, Problem> {
        let mut address = ask.address.clone();
        let mut credential = ask.credential;
        let mut first_headers = None;
        check_plain(&address)?;
        for _ in 0..=MAX_REDIRECTS {
            credential = credential.filter(|known| known.origin == address.origin);
            let (head, body) = self.get_once(&address, credential, ask.headers)?.into_parts();
            let Some(location) = redirect_target(head.status, &head.headers)? else {
                return Ok(Answer {
                    status: head.status,
                    headers: head.headers,
                    first_headers,
                    address,
                    body,
                });
            };
            let next = follow(&address, location)?;
            first_headers = first_headers.or(Some(head.headers.clone()));
            address = next;
        }
        Err(Problem::TooManyRedirects { limit: MAX_REDIRECTS })
    }

    fn get_once(
        &self,
        address: &Address,
        credential: Option<&Credential>,
        headers: &[(&'static str, String)],
    ) -> Result<ureq::http::Response<ureq::Body>, Problem> {
        let mut request = self.agent.get(address.request_text());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(credential) = credential {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", credential.token.reveal()));
        }
        request.call().map_err(|error| match self.problem_of(error) {
            Problem::NotThere { reason } if !reason.contains(&address.origin.host) => {
                Problem::NotThere { reason: format!("{}: {reason}", shown(&address.origin.host)) }
            }
            problem => problem,
        })
    }

    /// What a failed read of a body was.
    pub fn read_problem(&self, error: std::io::Error) -> Problem {
        self.problem_of(ureq::Error::from(error))
    }

    fn problem_of(&self, error: ureq::Error) -> Problem {
        use ureq::Timeout;
        let late = |phase, after: Duration| {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            Problem::TimedOut { phase, after_ms }
        };
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                late("connecting", self.limits.connect)
            }
            ureq::Error::Timeout(Timeout::RecvResponse | Timeout::SendRequest) => {
                late("waiting for an answer", self.limits.first_byte)
            }
            ureq::Error::Timeout(_) => late("waiting for more", self.limits.stall),
            ureq::Error::Io(error) => io_problem(&error),
            ureq::Error::Protocol(error) => {
                Problem::BadAnswer { rule: "it is no HTTP/1.1", shown: shown(&error.to_string()) }
            }
            ureq::Error::LargeResponseHeader(..) => {
                Problem::TooLong { what: "the header of the answer", limit: MAX_HEADER_BYTES as u64 }
            }
            other => Problem::Unreachable { reason: shown(&other.to_string()) },
        }
    }
}

impl Answer {
    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        text_of(&self.headers, name)
    }

    /// A header of the first answer of a chain of redirects, or of the only one.
    pub fn first_header(&self, name: &str) -> Option<&str> {
        text_of(self.first_headers.as_ref().unwrap_or(&self.headers), name)
    }

    /// Reads the whole body, which must be short.
    pub fn read_all(mut self, client: &Client, what: &'static str, limit: u64) -> Result<Vec<u8>, Problem> {
        let expected = self.body.content_length();
        if expected.is_some_and(|length| length > limit) {
            return Err(Problem::TooLong { what, limit });
        }
        let mut bytes = Vec::new();
        let mut reader = self.body.as_reader().take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(|error| client.read_problem(error))?;
        let n_bytes = bytes.len() as u64;
        if n_bytes > limit {
            return Err(Problem::TooLong { what, limit });
        }
        match expected {
            Some(length) if n_bytes < length => Err(Problem::Truncated { missing_bytes: length - n_bytes }),
            _ => Ok(bytes),
        }
    }

    /// The problem that a status stands for; `None` for a success.
    pub fn refusal(&self, sent: Option<&Credential>, now_unix_ms: u64) -> Option<Problem> {
        let with_token = sent.is_some();
        let status = self.status.as_u16();
        match status {
            200..=299 => None,
            401 | 403 => Some(Problem::Refused { status, with_token }),
            404 | 410 => Some(Problem::NotFound { what: "file" }),
            429 | 503 => {
                let wait = self.header("retry-after").and_then(|text| retry_after(text, now_unix_ms));
                let retry_after_s = wait.map(|wait| match wait {
                    RetryAfter::Seconds(seconds) => seconds,
                    // A date is believed up to two minutes: this machine's clock may be wrong by years.
                    RetryAfter::Until(wait) => wait.as_secs().min(120),
                });
                Some(Problem::Busy { status, retry_after_s })
            }
            _ => Some(Problem::Status { status }),
        }
    }
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Where a redirect leads; `None` for an answer that is none.
fn redirect_target(status: StatusCode, headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let rule = "a redirect must say where to";
    match text_of(headers, "location") {
        Some(location) => Ok(Some(location)),
        None => Err(Problem::BadAnswer { rule, shown: String::new() }),
    }
}

/// Where a redirect leads, if it may be followed.
fn follow(address: &Address, location: &str) -> Result<Address, Problem> {
    let next = address.join(location)?;
    if address.origin.is_secure && !next.origin.is_secure {
        return Err(Problem::InsecureRedirect { to: next.to_string() });
    }
    check_plain(&next).map(|()| next)
}

/// Without encryption only this machine is spoken to.
fn check_plain(address: &Address) -> Result<(), Problem> {
    if address.origin.is_secure || address.origin.is_this_machine() {
        return Ok(());
    }
    let rule = "without encryption (http) only this machine is spoken to; use https";
    Err(Problem::BadAddress { given: address.to_string(), rule })
}

/// Mozilla's roots, or those that the person gives in their place (a company's own, say).
fn tls(settings: &Settings) -> Result<TlsConfig, Problem> {
    let roots = match &settings.certificates_pem {
        None => RootCerts::WebPki,
        Some(pem) => RootCerts::Specific(Arc::new(certificates(pem)?)),
    };
    Ok(TlsConfig::builder().root_certs(roots).build())
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, Problem> {
    let bad = |rule| Problem::BadSetting { setting: "certificates", rule };
    let mut certificates = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(bad("it is no PEM file")),
        }
    }
    if certificates.is_empty() { Err(bad("the file holds no certificate")) } else { Ok(certificates) }
}

/// The same proxy, not used for these hosts.
fn exempt(proxy: ureq::Proxy, hosts: &[String]) -> Option<ureq::Proxy> {
    if hosts.is_empty() {
        return Some(proxy);
    }
    let mut builder = ureq::Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
    if let Some(user) = proxy.username() {
        builder = builder.username(user);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    hosts.iter().fold(builder, |builder, host| builder.no_proxy(host)).build().ok()
}

fn io_problem(error: &std::io::Error) -> Problem {
    use std::io::ErrorKind as Kind;
    let inner = error.get_ref();
    if let Some(Forbidden { host }) = inner.and_then(|inner| inner.downcast_ref()) {
        return Problem::ForbiddenAddress { host: host.clone() };
    }
    let is_unknown = inner.is_some_and(|inner| inner.is::<Unknown>());
    let reason = shown(&error.to_string());
    match error.kind() {
        Kind::ConnectionRefused
        | Kind::NetworkUnreachable
        | Kind::HostUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable => Problem::NotThere { reason },
        _ if is_unknown => Problem::NotThere { reason },
        _ => Problem::Unreachable { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leaves_encryption() {
        let from = |text| Address::parse(text).unwrap();
        let secure = from("https://host.example/a");
        for to in ["http://host.example/a", "http://127.0.0.1/a", "http://other.example/?signature=SECRET"] {
            let problem = follow(&secure, to).unwrap_err();
            assert!(
                matches!(&problem, Problem::InsecureRedirect { to } if !to.contains("SECRET")),
                "{problem:?}"
            );
        }
        assert!(follow(&secure, "https://other.example/a").is_ok());
        let here = from("http://localhost:8080/a");
        assert!(follow(&here, "http://127.0.0.1:81/b").is_ok());
        assert!(follow(&here, "https://host.example/b").is_ok());
        assert!(matches!(follow(&here, "http://host.example/b"), Err(Problem::BadAddress { .. })));
        assert!(matches!(follow(&here, "http://127.0.0.1.nip.example/"), Err(Problem::BadAddress { .. })));
    }

    #[test]
    fn settings_that_cannot_be_used_are_named() {
        let problem = |settings: Settings| Client::new(&settings, Vec::new()).err().unwrap();
        let proxy = Settings { proxy: Some("socks5://h:1".into()), ..Settings::default() };
        assert!(matches!(problem(proxy), Problem::BadSetting { setting: "proxy", .. }));
        for pem in ["", "no certificate"] {
            let settings = Settings { certificates_pem: Some(pem.into()), ..Settings::default() };
            assert!(
                matches!(problem(settings), Problem::BadSetting { setting: "certificates", .. }),
                "{pem}"
            );
        }
    }
}
