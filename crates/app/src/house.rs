//! The certificates of the house: made by itself, for the names and addresses that this machine has at home.

use core::net::Ipv4Addr;
use std::sync::Arc;

use base::disk::RealDisk;
use guard::house::Authority;
use guard::qr::{Ground, half_blocks};

use crate::doors::HostName;
use crate::{App, Failure};

/// What a server needs to be trusted at home.
#[derive(Clone, Debug)]
pub struct House {
    /// The server's certificate and those above it, in PEM.
    pub chain_pem: String,
    /// The server's key, in PEM.
    pub key_pem: Zeroized,
    /// The authority's certificate, which devices are to trust, in PEM.
    pub authority_pem: String,
    /// What the authority is called, and what its certificate is told by.
    pub name: String,
    /// The SHA-256 of the authority's certificate, as devices show it.
    pub fingerprint: String,
    /// The names that the certificate is for.
    pub names: Vec<String>,
}

/// A key that is not shown by mistake.
#[derive(Clone)]
pub struct Zeroized(pub String);

impl std::fmt::Debug for Zeroized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(a key)")
    }
}

impl App {
    /// The certificates of the house for this machine, made where there are none. `own` are addresses that it has, as far
    /// as the house can vouch for them; `more` are names and addresses that a person wants.
    ///
    /// # Errors
    /// A name that the house cannot vouch for, or what the disk says.
    pub fn house(&self, own: &[String], more: &[String]) -> Result<House, Failure> {
        let machine = machine_name();
        let machine = machine.as_deref().map(HostName::parse).transpose()?;
        let now_unix_ms = self.clock().now_unix_ms();
        let authority =
            Authority::open_or_create(Arc::new(RealDisk), self.home(), machine.as_ref(), now_unix_ms)?;
        let mut names = vec![HostName::parse("localhost")?, HostName::address(Ipv4Addr::LOCALHOST.into())];
        names.extend(machine_name().map(|name| HostName::parse(&format!("{name}.local"))).transpose()?);
        names.extend(machine);
        for address in own {
            names.push(HostName::parse(address)?);
        }
        names.retain(|name| authority.may_vouch_for(name));
        for name in more {
            names.push(HostName::parse(name)?);
        }
        let certificate = authority.server_certificate(&names, now_unix_ms)?;
        Ok(House {
            chain_pem: certificate.chain_pem().to_owned(),
            key_pem: Zeroized(certificate.key_pem().to_owned()),
            authority_pem: authority.certificate_pem().to_owned(),
            name: authority.name().to_owned(),
            fingerprint: authority.fingerprint().to_string(),
            names: certificate.names().iter().map(ToString::to_string).collect(),
        })
    }
}

/// A text as a code for cameras, for a terminal with light letters on a dark ground.
///
/// # Errors
/// A text that is too long for one.
pub fn code(text: &str) -> Result<String, Failure> {
    Ok(half_blocks(text, Ground::Dark)?)
}

/// What this machine is called, as far as Linux tells.
fn machine_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().split('.').next()?.to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!name.is_empty() && name.bytes().all(is_plain)).then_some(name)
}
