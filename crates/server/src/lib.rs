//! Hearth over HTTP: the dialects that existing clients speak, each a pure translation of wire JSON to `Job` and of
//! `Event` back, and the page for people.
//!
//! A dialect is one file below `dialects/` and a list of routes; a route says what it takes in a table, from which bodies
//! are checked, `/openapi.json` is written and tests are made.
//!
//! Does not: read model files, compute, or reach past `app`.
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod answer;
mod call;
mod connection;
mod desks;
mod dialects;
mod fields;
mod form;
mod ids;
mod jobs;
mod listen;
mod metrics;
mod openapi;
mod page;
mod query;
mod receive;
mod refusal;
mod reload;
mod route;
mod routes;
mod shared;
mod signals;
mod stage;
mod taking;
mod telling;
mod tier;
mod tls;

pub use addresses::home_address;
pub use connection::Peer;
pub use listen::{Server, Stop};
pub use reload::{Reload, Renewed, Reread};
pub use tls::Tls;

use std::time::Duration;

pub use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Who needs a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Everybody but the person at this machine, who comes over loopback.
    #[default]
    FromOutside,
    /// Everybody.
    Always,
}

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; several for several networks.
    pub addresses: Vec<SocketAddr>,
    /// Further names by which clients may call it.
    pub hosts: Vec<String>,
    /// Pages of others that may ask it, as `https://example.org`.
    pub origins: Vec<String>,
    /// Who needs a key.
    pub keys: Keys,
    /// The certificate for encrypted connections; absent, they are not encrypted.
    pub tls: Option<Tls>,
    /// The certificate of the house's own authority, which devices fetch to trust this server.
    pub authority_pem: Option<String>,
    /// Is told what whoever looks after the server should know, such as that its settings were read anew.
    pub tell: Option<fn(&str)>,
    /// Is told a line of each request: when, what, whose, how it went. Never what was asked or answered.
    pub log: Option<fn(&str)>,
    /// The largest JSON body, in bytes.
    pub max_body_bytes: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Jobs of one request at once.
    pub max_choices: usize,
    /// How long answers that are being given may go on when the server ends.
    pub grace: Duration,
}

impl Settings {
    /// Whether others than the person at this machine may come.
    pub(crate) fn is_open_to_others(&self) -> bool {
        self.addresses.iter().any(|address| !address.ip().is_loopback())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: vec![SocketAddr::from(([127, 0, 0, 1], 4242))],
            hosts: Vec::new(),
            origins: Vec::new(),
            keys: Keys::default(),
            tls: None,
            authority_pem: None,
            tell: None,
            log: None,
            max_body_bytes: 64 << 20,
            max_connections: 4096,
            max_choices: 128,
            grace: Duration::from_secs(8),
        }
    }
}
