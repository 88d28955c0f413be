//! A host as a request or a person names it: a DNS name or an address, and a port.
//!
//! One strict reader for all: what is written in two ways is one value afterwards (case, a final dot, IPv4 inside
//! IPv6), and what browsers and resolvers read differently (octal, short addresses, user names) is refused.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;

use crate::error::shown;
use crate::{Error, Result};

/// RFC 1035 section 2.3.4, without the final dot.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;
/// A name, its final dot, a colon and a port.
const MAX_HOST_BYTES: usize = MAX_NAME_BYTES + 1 + 6;

/// A DNS name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostName {
    /// A name in lower case, without a final dot; labels of ASCII letters, digits, `-` and `_`.
    Dns(String),
    /// An address; IPv4 inside IPv6 is IPv4.
    Address(IpAddr),
}

/// A host with its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// The name or address.
    pub name: HostName,
    /// The port, where one was written.
    pub port: Option<u16>,
}

/// What is wrong with the text of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostProblem {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// Longer than any host.
    #[error("it is longer than a host can be")]
    TooLong,
    /// `user@host`.
    #[error("it holds a user name")]
    UserInfo,
    /// A byte that no host has.
    #[error("it holds the byte {byte:#04x}")]
    BadByte {
        /// The first such byte.
        byte: u8,
    },
    /// The port is no number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    BadPort,
    /// Like an address, but not one in its usual form.
    #[error("it is not an address in its usual form")]
    BadAddress,
    /// A part between dots is empty, too long, or begins or ends with a hyphen.
    #[error("a part between its dots is empty, too long, or begins or ends with a hyphen")]
    BadLabel,
}

impl HostName {
    /// Reads a name or an address, of IPv6 with brackets or without, and no port.
    ///
    /// # Errors
    /// [`Error::BadHost`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::address(address.into()));
        }
        let bad = |problem| Error::BadHost { given: shown(text), problem };
        let host = Host::read(text.as_bytes()).map_err(bad)?;
        if host.port.is_some() { Err(bad(HostProblem::BadPort)) } else { Ok(host.name) }
    }

    /// An address as a host.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }

    fn read(text: &str) -> std::result::Result<Self, HostProblem> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if text.is_empty() {
            return Err(HostProblem::Empty);
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(HostProblem::TooLong);
        }
        // A URL whose last part is a number is an address, whatever stands before it.
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) && !last.is_empty();
        let is_hex =
            last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_number || is_hex {
            let address = text.parse::<Ipv4Addr>().map_err(|_| HostProblem::BadAddress)?;
            return Ok(Self::Address(address.into()));
        }
        let is_label = |label: &str| {
            (1..=MAX_LABEL_BYTES).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        if text.split('.').all(is_label) { Ok(Self::Dns(text)) } else { Err(HostProblem::BadLabel) }
    }
}

impl Host {
    /// Reads `name`, `name:port`, `1.2.3.4:port` or `[v6]:port`, as a person writes it.
    ///
    /// # Errors
    /// [`Error::BadHost`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text.as_bytes()).map_err(|problem| Error::BadHost { given: shown(text), problem })
    }

    /// Reads the value of a `Host` header, or the authority of a URL.
    pub(crate) fn read(bytes: &[u8]) -> std::result::Result<Self, HostProblem> {
        if bytes.len() > MAX_HOST_BYTES {
            return Err(HostProblem::TooLong);
        }
        if bytes.contains(&b'@') {
            return Err(HostProblem::UserInfo);
        }
        let is_host = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte);
        if let Some(byte) = bytes.iter().copied().find(|byte| !is_host(byte)) {
            return Err(HostProblem::BadByte { byte });
        }
        let text = std::str::from_utf8(bytes).expect("every byte is ASCII, as was just seen");
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, rest) = rest.split_once(']').ok_or(HostProblem::BadAddress)?;
            let address = inside.parse::<Ipv6Addr>().map_err(|_| HostProblem::BadAddress)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(read_port(port)?),
                None if rest.is_empty() => None,
                None => return Err(HostProblem::BadAddress),
            };
            return Ok(Self { name: HostName::address(address.into()), port });
        }
        if text.contains(['[', ']']) {
            return Err(HostProblem::BadAddress);
        }
        let (name, port) = match text.split_once(':') {
            // IPv6 without its brackets: nobody knows where the port begins.
            Some((_, port)) if port.contains(':') => return Err(HostProblem::BadAddress),
            Some((name, port)) => (name, Some(read_port(port)?)),
            None => (text, None),
        };
        Ok(Self { name: HostName::read(name)?, port })
    }
}

/// A port as every browser writes it: digits, no leading zero.
fn read_port(text: &str) -> std::result::Result<u16, HostProblem> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(HostProblem::BadPort)
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            HostName::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            name => name.fmt(f)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_into_one_form() {
        let cases = [
            ("localhost", "localhost"),
            ("LocalHost:4242", "localhost:4242"),
            ("desk.local.", "desk.local"),
            ("desk.local.:80", "desk.local:80"),
            ("a_b-c.lan", "a_b-c.lan"),
            ("xn--kche-0ra.local", "xn--kche-0ra.local"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("127.0.0.1.", "127.0.0.1"),
            ("[::1]:4242", "[::1]:4242"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[FD00::A]", "[fd00::a]"),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1"),
            ("[::ffff:7f00:1]", "127.0.0.1"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            ("0xdeadbeef.lan", "0xdeadbeef.lan"),
        ];
        for (text, expected) in cases {
            let host = Host::read(text.as_bytes()).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!(host.to_string(), expected);
            assert_eq!(Host::parse(expected).unwrap(), host);
        }
    }

    #[test]
    fn tricks_are_refused_by_name() {
        use HostProblem::{BadAddress, BadLabel, BadPort, Empty, TooLong, UserInfo};
        let bad = |byte| HostProblem::BadByte { byte };
        let long_label = format!("{}.lan", "a".repeat(64));
        let long_name = ["abcdefg"; 32].join(".");
        let cases = [
            ("", Empty),
            (".", Empty),
            (":80", Empty),
            ("localhost@evil.example", UserInfo),
            ("evil.example@localhost:4242", UserInfo),
            ("localhost:", BadPort),
            ("localhost:0", BadPort),
            ("localhost:080", BadPort),
            ("localhost:+80", bad(b'+')),
            ("localhost:65536", BadPort),
            ("localhost:http", BadPort),
            ("localhost:80:80", BadAddress),
            ("::1", BadAddress),
            ("[::1", BadAddress),
            ("[::1]80", BadAddress),
            ("[::1]]", BadAddress),
            ("[::1]:", BadPort),
            ("[localhost]", BadAddress),
            ("[127.0.0.1]", BadAddress),
            ("a[::1]", BadAddress),
            ("[fe80::1%25eth0]", bad(b'%')),
            ("127.1", BadAddress),
            ("2130706433", BadAddress),
            ("0x7f000001", BadAddress),
            ("127.0.0.0x1", BadAddress),
            ("0x7f.0x0.0x0.0x", BadAddress),
            ("0177.0.0.1", BadAddress),
            ("127.0.0.01", BadAddress),
            ("127.0.0.256", BadAddress),
            ("1.2.3.4.5", BadAddress),
            ("evil.example.127", BadAddress),
            ("localhost..", BadLabel),
            (".localhost", BadLabel),
            ("a..b", BadLabel),
            ("-a.lan", BadLabel),
            ("a-.lan", BadLabel),
            (&long_label, BadLabel),
            (&long_name, TooLong),
            ("localhost ", bad(b' ')),
            ("localhost\r\nX: y", bad(b'\r')),
            ("localhost\t", bad(b'\t')),
            ("localhost\0", bad(0)),
            ("localhost/", bad(b'/')),
            ("localhost\\", bad(b'\\')),
            ("localhost#", bad(b'#')),
            ("localhost?", bad(b'?')),
            ("local%68ost", bad(b'%')),
            ("a,b", bad(b',')),
            ("*.lan", bad(b'*')),
            ("ⓛocalhost", bad(0xe2)),
        ];
        for (text, expected) in cases {
            let problem = Host::read(text.as_bytes()).unwrap_err();
            assert_eq!(problem, expected, "{text:?}");
        }
        assert_eq!(Host::read(&[0xff; 3]), Err(bad(0xff)));
        assert_eq!(Host::read(&[b'a'; 1 << 20]), Err(TooLong));
    }

    #[test]
    fn a_person_may_leave_brackets_out_and_gives_no_port_where_none_belongs() {
        assert_eq!(HostName::parse("fd00::1").unwrap(), HostName::parse("[FD00::1]").unwrap());
        assert_eq!(HostName::parse("Desk.Local.").unwrap(), HostName::Dns("desk.local".into()));
        let error = HostName::parse("desk.local:80").unwrap_err();
        assert!(matches!(error, Error::BadHost { problem: HostProblem::BadPort, .. }));
    }
}
