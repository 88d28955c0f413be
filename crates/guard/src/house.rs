//! The house's own authority: it makes the certificates with which this server speaks TLS to phones and programs that
//! trust it.
//!
//! Does not: speak TLS, or know which addresses this machine has. It hands out PEM and DER.
//!
//! What a person trusts on a phone should be able to do as little as possible. So the authority's certificate carries
//! critical name constraints ([RFC 5280] section 4.2.1.10): it can vouch for names in `.local`, `.lan`, `.home.arpa`,
//! `.internal` and `localhost`, for this machine's own name and nothing below it, and for loopback, private and
//! link-local addresses. A thief of its key can pretend to be the printer, not the bank. It may sign no further
//! authorities (path length 0).
//!
//! Keys are ECDSA on P-256. The authority holds ten years; a server certificate 397 days at most, as browsers ask of
//! certificates (Apple: at most 398 days), and is made anew, with a new key, when its end is near or its names change.
//! Both begin a day early, since the clock of a phone may be behind.
//!
//! A certificate and its key lie in one file (0600), written beside it, made durable and renamed: whoever reads finds
//! a pair that belongs together.
//!
//! [RFC 5280]: https://www.rfc-editor.org/rfc/rfc5280

mod bounds;
mod certificate;
mod kept;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::disk::Disk;
use sha2::{Digest as _, Sha256};

use crate::database::{ensure_folder, lock};
use crate::hosts::HostName;
use crate::{Error, Result};

pub(crate) use bounds::is_private;
pub(crate) use kept::{KeptAuthority, KeptServer};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A server certificate is made anew when it ends within this time.
const RENEW_MS: u64 = 30 * DAY_MS;
/// More names than a machine has; what clients accept without complaint.
const MAX_NAMES: usize = 100;

/// The authority of a house, and the maker of its server certificates.
pub struct Authority {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    kept: KeptAuthority,
    /// The certificate's DER.
    der: Vec<u8>,
    issuer: certificate::Issuer,
}

/// A certificate for the server, with its key.
pub struct ServerCertificate {
    kept: KeptServer,
    names: Vec<HostName>,
}

/// The SHA-256 of a certificate: what a person compares before trusting it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Authority {
    /// Opens the authority in this folder, or makes one, for the machine of this name (where it has one that can be
    /// vouched for; `app` knows it). The name counts when the authority is made; later it stays as it was.
    ///
    /// # Errors
    /// [`Error::AuthorityNotValid`] where the clock stands outside its ten years (it is never replaced silently: every
    /// device would have to trust it anew), [`Error::Damaged`], and those of the disk.
    pub fn open_or_create(
        disk: Arc<dyn Disk>,
        folder: &Path,
        machine: Option<&HostName>,
        now_unix_ms: u64,
    ) -> Result<Self> {
        let path = folder.join("house-ca.json");
        let kept = match KeptAuthority::read(&*disk, &path)? {
            Some(kept) => kept,
            None => {
                ensure_folder(&*disk, folder)?;
                let _lock = lock(&*disk, &folder.join("house.lock"))?;
                // Another process may have been quicker.
                match KeptAuthority::read(&*disk, &path)? {
                    Some(kept) => kept,
                    None => {
                        let made = certificate::make_authority(machine, now_unix_ms)?;
                        kept::write(&*disk, &path, &made)?;
                        made
                    }
                }
            }
        };
        if !(kept.from_unix_ms..kept.until_unix_ms).contains(&now_unix_ms) {
            let (from_unix_ms, until_unix_ms) = (kept.from_unix_ms, kept.until_unix_ms);
            return Err(Error::AuthorityNotValid { path, from_unix_ms, until_unix_ms, now_unix_ms });
        }
        let (der, issuer) = certificate::load_authority(&kept, &path)?;
        Ok(Self { disk, folder: folder.to_owned(), kept, der, issuer })
    }

    /// What devices show it as.
    pub fn name(&self) -> &str {
        &self.kept.name
    }

    /// Its certificate, to be trusted by devices, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.kept.certificate
    }

    /// Its certificate as DER, the form that some phones want.
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 of its certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }

    /// When it ends, in milliseconds since 1970.
    pub fn until_unix_ms(&self) -> u64 {
        self.kept.until_unix_ms
    }

    /// Whether its certificate lets it vouch for this name.
    pub fn may_vouch_for(&self, name: &HostName) -> bool {
        bounds::Bounds::new(self.kept.machine.as_deref()).cover(name)
    }

    /// The certificate for these names and addresses: the one that is kept, or a new one where its names differ, its
    /// end is near, or it is of another authority. Call it at the start and every day.
    ///
    /// # Errors
    /// [`Error::NameCount`], [`Error::OutsideTheHouse`] with the first name that it may not vouch for,
    /// [`Error::AuthorityNotValid`], and those of the disk.
    pub fn server_certificate(&self, names: &[HostName], now_unix_ms: u64) -> Result<ServerCertificate> {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        if names.is_empty() || names.len() > MAX_NAMES {
            return Err(Error::NameCount { given: names.len(), limit: MAX_NAMES });
        }
        if let Some(outside) = names.iter().find(|name| !self.may_vouch_for(name)) {
            return Err(Error::OutsideTheHouse { name: outside.to_string() });
        }
        let path = self.folder.join("house-server.json");
        if let Some(kept) = self.usable(&path, &names, now_unix_ms)? {
            return Ok(ServerCertificate { kept, names });
        }
        let _lock = lock(&*self.disk, &self.folder.join("house.lock"))?;
        if let Some(kept) = self.usable(&path, &names, now_unix_ms)? {
            return Ok(ServerCertificate { kept, names });
        }
        if !(self.kept.from_unix_ms..self.kept.until_unix_ms).contains(&now_unix_ms) {
            return Err(Error::AuthorityNotValid {
                path: self.folder.join("house-ca.json"),
                from_unix_ms: self.kept.from_unix_ms,
                until_unix_ms: self.kept.until_unix_ms,
                now_unix_ms,
            });
        }
        let kept = certificate::make_server(self, &names, now_unix_ms)?;
        kept::write(&*self.disk, &path, &kept)?;
        Ok(ServerCertificate { kept, names })
    }

    /// The certificate that is kept, if it serves. One that is damaged is made anew: it is worth nothing by itself.
    fn usable(&self, path: &Path, names: &[HostName], now_unix_ms: u64) -> Result<Option<KeptServer>> {
        let kept = match KeptServer::read(&*self.disk, path) {
            Err(Error::Damaged { .. }) => None,
            other => other?,
        };
        Ok(kept.filter(|kept| {
            let is_of_us = kept.authority == self.fingerprint().to_string();
            let same_names =
                kept.names.iter().eq(names.iter().map(HostName::to_string).collect::<Vec<_>>().iter());
            let is_late = now_unix_ms.saturating_add(RENEW_MS) >= kept.until_unix_ms;
            // What ends with the authority gets no longer by being made anew.
            let may_last = kept.until_unix_ms < self.kept.until_unix_ms;
            let holds = (kept.from_unix_ms..kept.until_unix_ms).contains(&now_unix_ms);
            is_of_us && same_names && holds && !(is_late && may_last) && certificate::is_pair(kept)
        }))
    }
}

impl ServerCertificate {
    /// The chain that the server shows, as PEM. Devices hold the authority itself.
    pub fn chain_pem(&self) -> &str {
        &self.kept.certificate
    }

    /// Its secret key, as PEM (PKCS #8).
    pub fn key_pem(&self) -> &str {
        &self.kept.key
    }

    /// The names and addresses that it is for, sorted.
    pub fn names(&self) -> &[HostName] {
        &self.names
    }

    /// When it begins to hold, in milliseconds since 1970.
    pub fn from_unix_ms(&self) -> u64 {
        self.kept.from_unix_ms
    }

    /// When it ends, in milliseconds since 1970.
    pub fn until_unix_ms(&self) -> u64 {
        self.kept.until_unix_ms
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}
