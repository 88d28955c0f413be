//! For which names and addresses the authority of a house may vouch, and how its certificate says so.
//!
//! Sources: RFC 6762 (`.local`), RFC 8375 (`.home.arpa`), ICANN's reservation of `.internal` (2024), RFC 6761
//! (`localhost`), RFC 1918 and RFC 4193 (private addresses), RFC 3927 and RFC 4291 (link-local). `.lan` is reserved by
//! nobody, and is what many routers use; it is no domain of the internet.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints};

use crate::hosts::HostName;

/// The ends of names that lead nowhere outside a house.
const ZONES: [&str; 5] = ["local", "lan", "home.arpa", "internal", "localhost"];

/// First address and length of the prefix.
const NETWORKS_V4: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
];
const NETWORKS_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::LOCALHOST, 128),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
];

/// Whether an address is of loopback, of a private network, or of the link alone.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let differs = |network: Ipv4Addr| u32::from(address) ^ u32::from(network);
            NETWORKS_V4
                .iter()
                .any(|(network, length)| differs(*network).leading_zeros() >= u32::from(*length))
        }
        IpAddr::V6(address) => {
            let differs = |network: Ipv6Addr| u128::from(address) ^ u128::from(network);
            NETWORKS_V6
                .iter()
                .any(|(network, length)| differs(*network).leading_zeros() >= u32::from(*length))
        }
    }
}

/// The bounds of one authority.
pub(crate) struct Bounds<'a> {
    machine: Option<&'a str>,
}

impl<'a> Bounds<'a> {
    /// Those of a machine of this name. A name within a zone says nothing new; one above a zone would forbid it.
    pub(crate) fn new(machine: Option<&'a str>) -> Self {
        let is_apart = |name: &&str| !in_zones(name) && !ZONES.iter().any(|zone| is_within(zone, name));
        Self { machine: machine.filter(is_apart) }
    }

    /// The machine's name, where it is one that the zones do not have.
    pub(crate) fn machine(&self) -> Option<&'a str> {
        self.machine
    }

    pub(crate) fn cover(&self, name: &HostName) -> bool {
        match name {
            HostName::Dns(name) => in_zones(name) || self.machine == Some(name.as_str()),
            HostName::Address(address) => is_private(*address),
        }
    }

    pub(crate) fn to_constraints(&self) -> NameConstraints {
        let names =
            ZONES.iter().copied().chain(self.machine).map(|name| GeneralSubtree::DnsName(name.to_owned()));
        let v4 =
            NETWORKS_V4.iter().map(|(network, length)| CidrSubnet::from_v4_prefix(network.octets(), *length));
        let v6 =
            NETWORKS_V6.iter().map(|(network, length)| CidrSubnet::from_v6_prefix(network.octets(), *length));
        let permitted_subtrees = names.chain(v4.chain(v6).map(GeneralSubtree::IpAddress)).collect();
        // A permitted name permits all below it. A machine called `dev` must not open every name in `.dev`, a domain
        // of the internet: what lies below it (the leading dot) is excluded.
        let below = self.machine.map(|name| GeneralSubtree::DnsName(format!(".{name}")));
        NameConstraints { permitted_subtrees, excluded_subtrees: below.into_iter().collect() }
    }
}

fn in_zones(name: &str) -> bool {
    ZONES.iter().any(|zone| is_within(name, zone))
}

/// Whether a name is a zone, or lies below it.
fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_house_are_private_and_no_others() {
        let cases = [
            ("127.0.0.1", true),
            ("127.255.255.255", true),
            ("10.0.0.1", true),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.168.0.1", true),
            ("192.169.0.1", false),
            ("169.254.1.1", true),
            ("0.0.0.0", false),
            ("100.64.0.1", false),
            ("8.8.8.8", false),
            ("::1", true),
            ("::2", false),
            ("::", false),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe00::1", false),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("2001:db8::1", false),
            ("::ffff:192.168.0.1", true),
            ("::ffff:8.8.8.8", false),
        ];
        for (address, expected) in cases {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn the_machines_name_opens_nothing_but_itself() {
        let cover = |machine, name: &str| Bounds::new(machine).cover(&HostName::Dns(name.into()));
        assert!(cover(Some("dev"), "dev") && !cover(Some("dev"), "web.dev") && !cover(None, "dev"));
        assert!(cover(Some("desk.example.org"), "desk.example.org"));
        assert!(!cover(Some("desk.example.org"), "example.org"));
        // A machine called like the parent of a zone does not take the zone away.
        assert!(cover(Some("arpa"), "nas.home.arpa") && !cover(Some("arpa"), "arpa"));
        assert!(cover(None, "desk.local") && cover(None, "localhost") && cover(None, "a.b.internal"));
        assert!(!cover(None, "xlocal") && !cover(None, "local.example") && !cover(None, "arpa"));
    }
}
