//! The list of hosts that this server is, the origins that a person has named, and the check of a request.
//!
//! Does not: decide which routes are checked (all of them are) or with which status a refusal is told (403; 400 where
//! the header itself is broken).

use core::net::{IpAddr, SocketAddr};

use crate::Result;
use crate::error::shown;
use crate::hosts::{Host, HostName, HostProblem, Origin};
use crate::house::is_private;

/// What a request says of where it goes and where it comes from. The bytes of each header, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The authority of the request's target: `:authority` of HTTP/2, or that of an absolute URL. Where `Host` stands
    /// beside it, both must say the same.
    pub authority: Option<&'a [u8]>,
    /// Every `Host` header.
    pub hosts: &'a [&'a [u8]],
    /// Every `Origin` header.
    pub origins: &'a [&'a [u8]],
}

/// Why a request is refused before anything else is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No `Host`.
    #[error("the request names no host")]
    NoHost,
    /// Several that may not agree.
    #[error("the request names several hosts")]
    SeveralHosts,
    /// Not a host.
    #[error("Host: \"{given}\" is not a host: {problem}")]
    BadHost {
        /// The value, made safe to show.
        given: String,
        /// What is wrong with it.
        problem: HostProblem,
    },
    /// A host, but not this one.
    #[error("Host: {host} is not a name of this server")]
    UnknownHost {
        /// The host.
        host: Host,
    },
    /// Several origins.
    #[error("the request names several origins")]
    SeveralOrigins,
    /// Not an origin, or that of no page in particular.
    #[error("Origin: \"{given}\" cannot be let in: {rule}")]
    BadOrigin {
        /// The value, made safe to show.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A page of somebody else.
    #[error("Origin: pages of {origin} may not ask this server")]
    ForeignOrigin {
        /// The origin.
        origin: Origin,
    },
}

impl Refused {
    /// The next step, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::NoHost | Self::SeveralHosts | Self::SeveralOrigins => {
                "send one `Host` header and at most one `Origin`".into()
            }
            Self::BadHost { .. } => "write the host as name:port, 1.2.3.4:port or [v6]:port".into(),
            Self::UnknownHost { host } => {
                format!("if {host} is this server, allow that name where it is started")
            }
            Self::BadOrigin { .. } => "open the page from an address, not from a file".into(),
            Self::ForeignOrigin { origin } => {
                format!("if you trust the pages of {origin}, allow that origin where the server is started")
            }
        }
    }

    /// Whether the request is broken (status 400), not merely unwelcome (403).
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::NoHost | Self::SeveralHosts | Self::SeveralOrigins | Self::BadHost { .. })
    }
}

/// What this server is called, and whose pages may ask it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// A port of `None` means any.
    named: Vec<Host>,
    origins: Vec<Origin>,
    /// The port at which loopback, or any private address, may be named.
    loopback_ports: Vec<u16>,
    private_port: Option<u16>,
}

impl Hosts {
    /// A server that listens on loopback at this port: `localhost`, every address of loopback, with this port.
    pub fn loopback(port: u16) -> Self {
        let localhost = Host { name: HostName::Dns("localhost".into()), port: Some(port) };
        Self { named: vec![localhost], loopback_ports: vec![port], ..Self::default() }
    }

    /// Adds loopback at a further port.
    #[must_use]
    pub fn with_loopback(mut self, port: u16) -> Self {
        self.named.push(Host { name: HostName::Dns("localhost".into()), port: Some(port) });
        self.loopback_ports.push(port);
        self
    }

    /// Adds an address on which the server listens. One that stands for all addresses of the machine (`0.0.0.0`,
    /// `::`) is none that a client may name; in its place any private address with this port is let in: a page that
    /// names an address was loaded from it, for only names can be rebound.
    #[must_use]
    pub fn with_address(mut self, bound: SocketAddr) -> Self {
        if bound.ip().is_unspecified() {
            self.private_port = Some(bound.port());
        } else {
            self.named.push(Host { name: HostName::address(bound.ip()), port: Some(bound.port()) });
        }
        self
    }

    /// Adds a host that a person names; without a port it is let in with any.
    ///
    /// # Errors
    /// [`crate::Error::BadHost`].
    pub fn with_host(mut self, text: &str) -> Result<Self> {
        self.named.push(Host::parse(text)?);
        Ok(self)
    }

    /// Adds an origin whose pages a person trusts.
    ///
    /// # Errors
    /// [`crate::Error::BadOrigin`].
    pub fn with_origin(mut self, text: &str) -> Result<Self> {
        self.origins.push(Origin::parse(text)?);
        Ok(self)
    }

    /// Checks a request; every route wants this first. Gives the page's origin where a browser named one that is not
    /// this server: only for such a one CORS headers are answered.
    ///
    /// # Errors
    /// The refusal.
    pub fn check(&self, asked: &Asked) -> std::result::Result<Option<Origin>, Refused> {
        let host = self.check_host(asked)?;
        let text = match asked.origins {
            [] => return Ok(None),
            [text] => *text,
            _ => return Err(Refused::SeveralOrigins),
        };
        let given = || shown(&String::from_utf8_lossy(text));
        let origin = Origin::read(text).map_err(|rule| Refused::BadOrigin { given: given(), rule })?;
        if origin.is_of(&host) {
            Ok(None)
        } else if self.origins.contains(&origin) {
            Ok(Some(origin))
        } else {
            Err(Refused::ForeignOrigin { origin })
        }
    }

    /// Checks only where a request goes.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_host(&self, asked: &Asked) -> std::result::Result<Host, Refused> {
        let host = match (asked.authority, asked.hosts) {
            (None, []) => return Err(Refused::NoHost),
            (Some(only), []) => read(only)?,
            (None, [only]) => read(only)?,
            (Some(authority), [host]) => {
                let (authority, host) = (read(authority)?, read(host)?);
                if authority != host {
                    return Err(Refused::SeveralHosts);
                }
                host
            }
            _ => return Err(Refused::SeveralHosts),
        };
        if self.knows(&host) { Ok(host) } else { Err(Refused::UnknownHost { host }) }
    }

    fn knows(&self, host: &Host) -> bool {
        let is_named =
            |known: &Host| known.name == host.name && known.port.is_none_or(|port| is_at(host, port));
        let may_name = |allowed: fn(IpAddr) -> bool, ports: &[u16]| {
            let HostName::Address(address) = host.name else { return false };
            ports.iter().any(|port| allowed(address) && is_at(host, *port))
        };
        self.named.iter().any(is_named)
            || may_name(|address| address.is_loopback(), &self.loopback_ports)
            || may_name(is_private, self.private_port.as_slice())
    }
}

/// Without a port a host is at 80 or, behind TLS, at 443.
fn is_at(host: &Host, port: u16) -> bool {
    match host.port {
        Some(written) => written == port,
        None => port == 80 || port == 443,
    }
}

fn read(bytes: &[u8]) -> std::result::Result<Host, Refused> {
    let given = || shown(&String::from_utf8_lossy(bytes.get(..400).unwrap_or(bytes)));
    Host::read(bytes).map_err(|problem| Refused::BadHost { given: given(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house() -> Hosts {
        let hosts = Hosts::loopback(4242).with_address("0.0.0.0:4242".parse().unwrap());
        let hosts = hosts.with_address("203.0.113.5:443".parse().unwrap());
        let hosts = hosts.with_host("desk.local").unwrap().with_host("hearth.example:8443").unwrap();
        hosts.with_origin("https://notes.lan").unwrap().with_origin("tauri://localhost").unwrap()
    }

    fn host(text: &str) -> std::result::Result<Option<Origin>, Refused> {
        house().check(&Asked { hosts: &[text.as_bytes()], ..Asked::default() })
    }

    #[test]
    fn only_hosts_on_the_list_are_let_in() {
        for known in [
            "localhost:4242",
            "LOCALHOST.:4242",
            "127.0.0.1:4242",
            "127.9.9.9:4242",
            "[::1]:4242",
            "[::ffff:127.0.0.1]:4242",
            "192.168.1.20:4242",
            "[fd00::1]:4242",
            "desk.local",
            "desk.local:1",
            "hearth.example:8443",
            "203.0.113.5:443",
            "203.0.113.5",
        ] {
            assert_eq!(host(known), Ok(None), "{known}");
        }
        for unknown in [
            "evil.example",
            "evil.example:4242",
            "localhost",
            "localhost:4243",
            "localhost.evil.example:4242",
            "notdesk.local",
            "desk.local.evil.example",
            "hearth.example",
            "sub.localhost:4242",
            "0.0.0.0:4242",
            "[::]:4242",
            "8.8.8.8:4242",
            "192.168.1.20:80",
            "169.254.169.254:80",
            "203.0.113.5:80",
            "127.0.0.1",
        ] {
            assert!(matches!(host(unknown), Err(Refused::UnknownHost { .. })), "{unknown}");
        }
        // A server on loopback alone does not answer to the machine's other addresses.
        let loopback = Hosts::loopback(4242);
        let asked = Asked { hosts: &[b"192.168.1.20:4242"], ..Asked::default() };
        assert!(matches!(loopback.check(&asked), Err(Refused::UnknownHost { .. })));
    }

    #[test]
    fn one_host_and_only_one() {
        let check = |authority: Option<&str>, hosts: &[&str]| {
            let hosts: Vec<&[u8]> = hosts.iter().map(|host| host.as_bytes()).collect();
            let authority = authority.map(str::as_bytes);
            house().check(&Asked { authority, hosts: &hosts, origins: &[] }).err()
        };
        assert_eq!(check(None, &[]), Some(Refused::NoHost));
        assert_eq!(check(None, &["localhost:4242", "localhost:4242"]), Some(Refused::SeveralHosts));
        assert_eq!(check(None, &["localhost:4242", "evil.example"]), Some(Refused::SeveralHosts));
        assert_eq!(check(Some("localhost:4242"), &[]), None);
        assert_eq!(check(Some("localhost:4242"), &["LOCALHOST:4242"]), None);
        assert_eq!(check(Some("localhost:4242"), &["desk.local"]), Some(Refused::SeveralHosts));
        assert_eq!(check(Some("desk.local"), &["desk.local", "desk.local"]), Some(Refused::SeveralHosts));
        let broken = check(None, &["a b\u{1b}[31m"]).unwrap();
        assert!(broken.is_malformed() && !broken.to_string().contains('\u{1b}'), "{broken}");
        assert!(!check(None, &["evil.example"]).unwrap().is_malformed());
    }

    #[test]
    fn only_pages_of_this_server_and_of_named_origins_may_ask() {
        let check = |asked: &str, origins: &[&str]| {
            let origins: Vec<&[u8]> = origins.iter().map(|origin| origin.as_bytes()).collect();
            house().check(&Asked { authority: None, hosts: &[asked.as_bytes()], origins: &origins })
        };
        for (asked, own) in [
            ("localhost:4242", "http://localhost:4242"),
            ("localhost:4242", "https://LOCALHOST:4242"),
            ("desk.local", "http://desk.local"),
            ("desk.local", "https://desk.local:443"),
            ("desk.local:443", "https://desk.local"),
            ("[::1]:4242", "http://[0::1]:4242"),
        ] {
            assert_eq!(check(asked, &[own]), Ok(None), "{own}");
        }
        let named = Origin::parse("https://notes.lan").unwrap();
        assert_eq!(check("localhost:4242", &["https://notes.lan:443"]), Ok(Some(named)));
        assert!(matches!(check("localhost:4242", &["tauri://localhost"]), Ok(Some(Origin::Other { .. }))));
        for foreign in [
            "http://evil.example",
            "http://notes.lan",
            "https://notes.lan:8443",
            "http://localhost:3000",
            "http://localhost",
            // A host of this server, but another one than was asked: another origin to the browser.
            "http://127.0.0.1:4242",
            "http://desk.local",
            "tauri://evil",
        ] {
            let refused = check("localhost:4242", &[foreign]);
            assert!(matches!(refused, Err(Refused::ForeignOrigin { .. })), "{foreign}: {refused:?}");
        }
        for broken in
            ["null", "*", "", "localhost:4242", "http://localhost:4242/x", "http://a@localhost:4242"]
        {
            let refused = check("localhost:4242", &[broken]);
            assert!(matches!(refused, Err(Refused::BadOrigin { .. })), "{broken}: {refused:?}");
        }
        let twice = ["http://localhost:4242", "http://localhost:4242"];
        assert_eq!(check("localhost:4242", &twice), Err(Refused::SeveralOrigins));
        // The host is looked at first: a rebound name has an origin of its own, which agrees with it.
        let rebound = check("evil.example:4242", &["http://evil.example:4242"]);
        assert!(matches!(rebound, Err(Refused::UnknownHost { .. })));
    }
}
