//! Where a server is found: the names by which clients may call it, its addresses as they write them, and whether it
//! may be found from outside at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use app::Failure;
use app::doors::{Doors, Hosts};

use crate::Settings;

/// Refuses to be found from outside without keys and encryption.
///
/// # Errors
/// What is missing.
pub fn check_guarded(settings: &Settings, doors: &Doors) -> Result<(), Failure> {
    let address = settings.addresses.iter().find(|address| !address.ip().is_loopback());
    let address = address.map(ToString::to_string).unwrap_or_default();
    let (missing, hint) = match (doors.has_keys()?, settings.tls.is_some()) {
        (true, true) => return Ok(()),
        (false, true) => ("there is no key", "`hearth key create NAME`, then start again".to_owned()),
        (true, false) => ("connections would not be encrypted", "`hearth serve --lan`".to_owned()),
        (false, false) => (
            "there is no key, and connections would not be encrypted",
            "`hearth key create NAME`, then `hearth serve --lan`".to_owned(),
        ),
    };
    Err(Failure::new("not_guarded", format!("{address} can be reached by others, but {missing}"), hint))
}

/// The names by which clients may call a server that listens at `bound`.
///
/// # Errors
/// A name or a page that is none.
pub fn hosts(settings: &Settings, bound: &[SocketAddr]) -> Result<Hosts, Failure> {
    let mut hosts = Hosts::default();
    for address in bound {
        hosts = match address.ip().is_loopback() {
            true => hosts.with_loopback(address.port()),
            false => hosts.with_address(*address).with_loopback(address.port()),
        };
    }
    for host in &settings.hosts {
        hosts = hosts.with_host(host)?;
    }
    for origin in &settings.origins {
        hosts = hosts.with_origin(origin)?;
    }
    Ok(hosts)
}

/// The addresses as clients write them: of one that stands for all of the machine, the one that it has at home.
pub fn urls(settings: &Settings, bound: &[SocketAddr]) -> Vec<String> {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let url = |address: &SocketAddr| {
        let ip = address.ip();
        let ip = if ip.is_unspecified() { home_address().unwrap_or(Ipv4Addr::LOCALHOST.into()) } else { ip };
        format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
    };
    bound.iter().map(url).collect()
}

/// The address that this machine has at home, where it has one. Nothing is sent: the system is only asked from which
/// address it would be.
pub fn home_address() -> Option<IpAddr> {
    // An address for documentation (RFC 5737), which leads out of every home.
    const OUTSIDE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(OUTSIDE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}
