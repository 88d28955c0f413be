//! Makes the two kinds of certificates, and reads them back as far as signing needs.
//!
//! Does not: parse X.509. What must be known of a certificate is kept beside it; here it is only seen that key and
//! certificate belong together.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;

use super::bounds::Bounds;
use super::{Authority, DAY_MS, KeptAuthority, KeptServer};
use crate::hosts::HostName;
use crate::{Error, Problem, Result};

/// Ten years, with their leap days.
const AUTHORITY_DAYS: u64 = 3652;
const SERVER_DAYS: u64 = 397;

/// What signs server certificates.
pub(super) type Issuer = rcgen::Issuer<'static, KeyPair>;

/// A new authority, not yet written.
pub(super) fn make_authority(machine: Option<&HostName>, now_unix_ms: u64) -> Result<KeptAuthority> {
    let machine = match machine {
        Some(HostName::Dns(name)) => Some(name.as_str()),
        Some(HostName::Address(_)) | None => None,
    };
    let mut mark = [0; 4];
    getrandom::fill(&mut mark).map_err(|source| Error::NoRandomness { source })?;
    // Two authorities of one machine can be told apart on a phone's list.
    let mark: String = mark.iter().map(|byte| format!("{byte:02x}")).collect();
    let place: String = machine.unwrap_or("house").chars().take(40).collect();
    let name = format!("Hearth {place} {mark}");
    let from_unix_ms = begin(now_unix_ms);
    let until_unix_ms = from_unix_ms.saturating_add(AUTHORITY_DAYS * DAY_MS);

    let key = new_key()?;
    let mut parameters = authority_parameters(&name);
    parameters.not_before = date(from_unix_ms, now_unix_ms)?;
    parameters.not_after = date(until_unix_ms, now_unix_ms)?;
    parameters.name_constraints = Some(Bounds::new(machine).to_constraints());
    let failed = |source| Error::Certificate { action: "make the authority of the house", source };
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    Ok(KeptAuthority {
        version: KeptAuthority::VERSION,
        name,
        machine: Bounds::new(machine).machine().map(str::to_owned),
        from_unix_ms,
        until_unix_ms,
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// The certificate's DER, and what signs in its name.
pub(super) fn load_authority(kept: &KeptAuthority, path: &Path) -> Result<(Vec<u8>, Issuer)> {
    let damaged = |rule| Error::damaged(path, Problem::BreaksRule { rule });
    let (der, key) = pair(&kept.certificate, &kept.key).map_err(damaged)?;
    Ok((der, Issuer::new(authority_parameters(&kept.name), key)))
}

/// Whether a kept server certificate can be used: its key is its key.
pub(super) fn is_pair(kept: &KeptServer) -> bool {
    pair(&kept.certificate, &kept.key).is_ok()
}

/// A new server certificate, not yet written. The names are sorted, and the authority may vouch for them.
pub(super) fn make_server(authority: &Authority, names: &[HostName], now_unix_ms: u64) -> Result<KeptServer> {
    let failed = |source| Error::Certificate { action: "make a server certificate", source };
    let from_unix_ms = begin(now_unix_ms).max(authority.kept.from_unix_ms);
    let until_unix_ms = (from_unix_ms + SERVER_DAYS * DAY_MS).min(authority.kept.until_unix_ms);
    let name = |name: &HostName| match name {
        HostName::Dns(name) => name.as_str().try_into().map(SanType::DnsName).map_err(failed),
        HostName::Address(address) => Ok(SanType::IpAddress(*address)),
    };
    let mut parameters = CertificateParams::default();
    // With a space in it nobody takes it for a host name.
    parameters.distinguished_name = common_name("Hearth server");
    parameters.subject_alt_names = names.iter().map(name).collect::<Result<_>>()?;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    parameters.not_before = date(from_unix_ms, now_unix_ms)?;
    parameters.not_after = date(until_unix_ms, now_unix_ms)?;
    let key = new_key()?;
    let certificate = parameters.signed_by(&key, &authority.issuer).map_err(failed)?;
    Ok(KeptServer {
        version: KeptServer::VERSION,
        authority: authority.fingerprint().to_string(),
        names: names.iter().map(HostName::to_string).collect(),
        from_unix_ms,
        until_unix_ms,
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// What an authority's certificate says apart from its dates and bounds; the same for making it and for signing.
fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = common_name(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map_err(|source| Error::Certificate { action: "make a key", source })
}

/// The DER of a certificate and its key, or why they are no pair.
fn pair(certificate: &str, key: &str) -> std::result::Result<(Vec<u8>, KeyPair), &'static str> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes())
        .map_err(|_| "its certificate cannot be read")?;
    let key = KeyPair::from_pem(key).map_err(|_| "its key cannot be read")?;
    let public = key.der_bytes();
    // The public key of P-256 is a point of 65 bytes, which stands in the certificate as it is.
    let holds_it = !public.is_empty() && der.windows(public.len()).any(|window| window == public);
    if holds_it { Ok((der.to_vec(), key)) } else { Err("its key is not that of its certificate") }
}

/// A day ago, in whole seconds: X.509 knows no shorter time.
fn begin(now_unix_ms: u64) -> u64 {
    now_unix_ms.saturating_sub(DAY_MS) / 1000 * 1000
}

fn date(unix_ms: u64, now_unix_ms: u64) -> Result<OffsetDateTime> {
    let seconds = i64::try_from(unix_ms / 1000).ok();
    let date = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.ok_or(Error::BadClock { now_unix_ms })
}
