//! Which `Host` and `Origin` a request may carry: the defence against DNS rebinding and against pages of strangers.
//!
//! Does not: read a request, or answer one. Pure values and functions; the server hands in the headers' bytes.
//!
//! A page of `evil.example` whose name is made to lead to this machine still says `Host: evil.example`: it is refused
//! on every route, loopback too. A page of another origin that sends a request here says so in `Origin`: it is refused
//! unless it is the very host that was asked, or one that a person has named. There is no `*`.
//!
//! Sources: RFC 9110 section 7.2 (Host), RFC 3986 section 3.2 (authority), RFC 6454 (origins), the URL standard of the
//! WHATWG ("ends in a number").

mod list;
mod name;
mod origin;

pub use list::{Asked, Hosts, Refused};
pub use name::{Host, HostName, HostProblem};
pub use origin::Origin;
