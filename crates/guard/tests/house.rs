//! The certificates of the house, judged by a real verifier (rustls-webpki, as rustls asks it) at chosen times.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::disk::RealDisk;
use guard::hosts::HostName;
use guard::house::{Authority, ServerCertificate};
use guard::{Error, Problem};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use testkit::disk::{Fault, FaultyDisk, Lasting, Plan, Survives, quick_folder};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const YEAR_MS: u64 = testkit::clock::YEAR_MS;
const NOW: u64 = 1_795_000_000_000;

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn open(folder: &Path, machine: &str, now_unix_ms: u64) -> Result<Authority, Error> {
    Authority::open_or_create(Arc::new(RealDisk), folder, Some(&name(machine)), now_unix_ms)
}

/// Whether a client that trusts the authority accepts this chain (the server's first) for a name at a time.
fn verify(
    authority: &[u8],
    chain: &[CertificateDer<'static>],
    name: &str,
    now_unix_ms: u64,
) -> Result<(), webpki::Error> {
    let authority = CertificateDer::from(authority.to_vec());
    let anchors = [anchor_from_trusted_cert(&authority)?];
    let server = EndEntityCert::try_from(&chain[0])?;
    let time = UnixTime::since_unix_epoch(Duration::from_millis(now_unix_ms));
    let usage = KeyUsage::server_auth();
    server.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &chain[1..], time, usage, None, None)?;
    server.verify_is_valid_for_subject_name(&ServerName::try_from(name.to_owned()).unwrap())
}

fn chain(certificate: &ServerCertificate) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(certificate.chain_pem().as_bytes()).map(Result::unwrap).collect()
}

/// What a thief of the authority's key could sign: a certificate for this name, whatever the guard thinks of it.
fn stolen(folder: &Path, name: &str) -> Vec<CertificateDer<'static>> {
    let issuer = thief(folder);
    let key = KeyPair::generate().unwrap();
    vec![server_parameters(name).signed_by(&key, &issuer).unwrap().der().clone()]
}

fn thief(folder: &Path) -> Issuer<'static, KeyPair> {
    let text = std::fs::read(folder.join("house-ca.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, kept["name"].as_str().unwrap());
    Issuer::new(parameters, KeyPair::from_pem(kept["key"].as_str().unwrap()).unwrap())
}

fn server_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.subject_alt_names = vec![match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    }];
    parameters
}

#[test]
fn a_client_that_trusts_the_authority_trusts_the_server_for_its_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path(), "desk", NOW).unwrap();
    let names = ["desk", "desk.local", "localhost", "127.0.0.1", "::1", "192.168.1.20", "fd00::1"];
    let certificate = authority.server_certificate(&names.map(name), NOW).unwrap();
    let chain = chain(&certificate);
    for good in names {
        assert_eq!(verify(authority.certificate_der(), &chain, good, NOW), Ok(()), "{good}");
    }
    for other in ["other.local", "sub.desk.local", "192.168.1.21", "8.8.8.8", "bank.example"] {
        let verdict = verify(authority.certificate_der(), &chain, other, NOW);
        assert!(matches!(verdict, Err(webpki::Error::CertNotValidForName(_))), "{other}: {verdict:?}");
    }
    let stranger = open(tempfile::tempdir().unwrap().path(), "desk", NOW).unwrap();
    assert!(verify(stranger.certificate_der(), &chain, "desk", NOW).is_err());
    PrivateKeyDer::from_pem_slice(certificate.key_pem().as_bytes()).unwrap();
}

#[test]
fn a_stolen_key_of_the_authority_is_good_for_the_house_alone() {
    for machine in ["dev", "desk.example.org", "desk.local", "arpa"] {
        let folder = tempfile::tempdir().unwrap();
        let authority = open(folder.path(), machine, NOW).unwrap();
        let mut n_outside = 0;
        for subject in [
            "dev",
            "web.dev",
            "a.b.dev",
            "desk.example.org",
            "www.desk.example.org",
            "example.org",
            "desk.local",
            "a.b.lan",
            "nas.home.arpa",
            "arpa",
            "in-addr.arpa",
            "x.internal",
            "localhost",
            "bank.example",
            "notlocal",
            "local.example",
            "10.1.2.3",
            "172.31.0.1",
            "172.32.0.1",
            "192.168.0.1",
            "169.254.0.1",
            "127.0.0.1",
            "8.8.8.8",
            "100.64.0.1",
            "::1",
            "::2",
            "fd12::1",
            "fe80::1",
            "2001:db8::1",
        ] {
            let verdict = verify(authority.certificate_der(), &stolen(folder.path(), subject), subject, NOW);
            if authority.may_vouch_for(&name(subject)) {
                assert_eq!(verdict, Ok(()), "{machine} {subject}");
            } else {
                assert_eq!(verdict, Err(webpki::Error::NameConstraintViolation), "{machine} {subject}");
                let refused = authority.server_certificate(&[name(subject)], NOW);
                assert!(matches!(refused, Err(Error::OutsideTheHouse { .. })), "{machine} {subject}");
                n_outside += 1;
            }
        }
        assert!(n_outside >= 12, "{machine}: {n_outside}");
    }
}

#[test]
fn an_authority_below_the_authority_gets_no_further_than_the_house() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path(), "desk", NOW).unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, "between");
    let key = KeyPair::generate().unwrap();
    let between = parameters.signed_by(&key, &thief(folder.path())).unwrap();
    let issuer = Issuer::new(parameters, key);
    let server = server_parameters("bank.example").signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let chain = [server.der().clone(), between.der().clone()];
    let verdict = verify(authority.certificate_der(), &chain, "bank.example", NOW);
    assert_eq!(verdict, Err(webpki::Error::NameConstraintViolation));
    // Basic constraints: an authority, and none below it (path length 0). webpki does not ask an anchor for it.
    let constraints = [0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00];
    assert!(authority.certificate_der().windows(8).any(|window| window == constraints));
}

#[test]
fn certificates_hold_as_long_as_promised_and_are_made_anew_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path(), "desk", NOW).unwrap();
    assert!(
        authority.until_unix_ms() - NOW <= 3652 * DAY_MS && authority.until_unix_ms() > NOW + 3650 * DAY_MS
    );
    let names = [name("desk.local"), name("10.0.0.7")];
    let first = authority.server_certificate(&names, NOW).unwrap();
    assert!(first.until_unix_ms() - first.from_unix_ms() <= 397 * DAY_MS);
    for (time, is_valid) in [
        (first.from_unix_ms() - 1_000, false),
        (first.from_unix_ms(), true),
        (NOW, true),
        (first.until_unix_ms(), true),
        (first.until_unix_ms() + 1_000, false),
    ] {
        let verdict = verify(authority.certificate_der(), &chain(&first), "desk.local", time);
        assert_eq!(verdict.is_ok(), is_valid, "{time}: {verdict:?}");
    }
    let again = |names: &[HostName], now| authority.server_certificate(names, now).unwrap();
    // The same names in another order, a year later: it is kept. 30 days before its end it is not.
    let reversed = [names[1].clone(), names[0].clone(), names[0].clone()];
    assert_eq!(again(&reversed, NOW + YEAR_MS).chain_pem(), first.chain_pem());
    let soon = first.until_unix_ms() - 30 * DAY_MS;
    assert_eq!(again(&names, soon - 1).chain_pem(), first.chain_pem());
    let second = again(&names, soon);
    assert!(second.until_unix_ms() > first.until_unix_ms() && second.key_pem() != first.key_pem());
    assert_eq!(verify(authority.certificate_der(), &chain(&second), "10.0.0.7", soon), Ok(()));
    // A clock that goes back to before it, and other names.
    let third = again(&names, NOW);
    assert!(third.from_unix_ms() <= NOW && third.chain_pem() != second.chain_pem());
    let fourth = again(&names[..1], NOW);
    assert!(fourth.chain_pem() != third.chain_pem() && fourth.names() == &names[..1]);
    // Near the end of the authority the server's ends with it, and is not made anew at every call.
    let late = authority.until_unix_ms() - DAY_MS;
    let last = again(&names, late);
    assert_eq!(last.until_unix_ms(), authority.until_unix_ms());
    assert_eq!(again(&names, late + 1).chain_pem(), last.chain_pem());
    assert_eq!(verify(authority.certificate_der(), &chain(&last), "desk.local", late), Ok(()));
}

#[test]
fn a_clock_outside_the_ten_years_is_told_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fingerprint = open(folder.path(), "desk", NOW).unwrap().fingerprint();
    for now in [NOW - 2 * DAY_MS, NOW - YEAR_MS, NOW + 11 * YEAR_MS, u64::MAX] {
        let error = open(folder.path(), "desk", now).unwrap_err();
        assert!(matches!(error, Error::AuthorityNotValid { .. }), "{error}");
    }
    // Another name of the machine later changes nothing.
    let later = open(folder.path(), "other", NOW + 9 * YEAR_MS).unwrap();
    assert_eq!(later.fingerprint(), fingerprint);
    assert!(later.may_vouch_for(&name("desk")) && !later.may_vouch_for(&name("other")));
    let error = open(tempfile::tempdir().unwrap().path(), "desk", u64::MAX).unwrap_err();
    assert!(matches!(error, Error::BadClock { .. }), "{error}");
    assert!(open(tempfile::tempdir().unwrap().path(), "desk", 0).is_ok());
}

#[test]
fn an_authority_without_a_machines_name_vouches_for_the_house() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open_or_create(Arc::new(RealDisk), folder.path(), None, NOW).unwrap();
    let certificate = authority.server_certificate(&[name("box.lan")], NOW).unwrap();
    assert_eq!(verify(authority.certificate_der(), &chain(&certificate), "box.lan", NOW), Ok(()));
    assert!(matches!(authority.server_certificate(&[], NOW), Err(Error::NameCount { given: 0, .. })));
    let many: Vec<HostName> = (0..101).map(|number| name(&format!("n{number}.lan"))).collect();
    assert!(matches!(authority.server_certificate(&many, NOW), Err(Error::NameCount { given: 101, .. })));
}

#[test]
fn damaged_files_are_told_and_a_server_certificate_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path(), "desk", NOW).unwrap();
    let names = [name("desk.local")];
    let first = authority.server_certificate(&names, NOW).unwrap();
    let [ca, server] = ["house-ca.json", "house-server.json"].map(|file| folder.path().join(file));
    let good = std::fs::read_to_string(&ca).unwrap();
    let secret = good.lines().find(|line| line.contains("\"key\"")).unwrap().to_owned();
    let server_text = std::fs::read_to_string(&server).unwrap();
    let key_of = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["key"].to_string();
    let cases = [
        String::new(),
        "{}".into(),
        good[..good.len() / 2].into(),
        good.replace("\"version\": 1", "\"version\": 1, \"more\": 2"),
        good.replace("BEGIN CERTIFICATE", "BEGIN CERTIFICAT"),
        good.replace("BEGIN PRIVATE KEY", "BEGIN PUBLIC KEY"),
        good.replace(&key_of(&good), &key_of(&server_text)),
        " ".repeat(70_000),
    ];
    for text in cases {
        std::fs::write(&ca, &text).unwrap();
        let error = open(folder.path(), "desk", NOW).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let told = format!("{error} {error:?} {}", error.hint());
        assert!(told.contains("house-ca.json") && !told.contains(&secret[20..60]), "{told}");
    }
    std::fs::write(&ca, good.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert!(matches!(open(folder.path(), "desk", NOW), Err(Error::FutureVersion { found: 2, known: 1, .. })));

    std::fs::write(&ca, &good).unwrap();
    for text in ["", "{}", &server_text[..200], &server_text.replace(&key_of(&server_text), &key_of(&good))] {
        std::fs::write(&server, text).unwrap();
        let authority = open(folder.path(), "desk", NOW).unwrap();
        let anew = authority.server_certificate(&names, NOW).unwrap();
        assert_ne!(anew.chain_pem(), first.chain_pem());
        assert_eq!(verify(authority.certificate_der(), &chain(&anew), "desk.local", NOW), Ok(()));
    }
    let newer = server_text.replace("\"version\": 1", "\"version\": 2");
    std::fs::write(&server, &newer).unwrap();
    assert!(matches!(authority.server_certificate(&names, NOW), Err(Error::FutureVersion { .. })));
    assert_eq!(std::fs::read_to_string(&server).unwrap(), newer);
}

#[test]
fn nothing_shows_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = open(folder.path(), "desk", NOW).unwrap();
    let certificate = authority.server_certificate(&[name("desk.local")], NOW).unwrap();
    let shown = format!("{authority:?} {certificate:?} {}", authority.fingerprint());
    assert!(!shown.contains("PRIVATE"), "{shown}");
    assert_eq!(authority.fingerprint().to_string().len(), 32 * 3 - 1);
    assert!(!authority.certificate_pem().contains("PRIVATE") && !certificate.chain_pem().contains("PRIVATE"));
}

#[test]
fn several_who_open_at_once_find_one_authority_and_one_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let authority = open(folder.path(), "desk", NOW).unwrap();
                    let certificate = authority.server_certificate(&[name("desk.local")], NOW).unwrap();
                    (authority.fingerprint(), certificate.chain_pem().to_owned())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(found.iter().all(|one| *one == found[0]));
}

#[test]
fn no_fault_of_the_disk_loses_or_halves_the_certificates() {
    let faults = [
        Fault::NoSpace,
        Fault::Io,
        Fault::ReadOnly,
        Fault::Permission,
        Fault::SyncFails,
        Fault::PowerLoss(Survives::Nothing),
        Fault::PowerLoss(Survives::Names),
        Fault::PowerLoss(Survives::Chance),
    ];
    let names = [name("desk.local")];
    let mut n_struck = 0;
    for fault in faults {
        for lasting in [Lasting::Once, Lasting::FromThenOn] {
            for at in 0.. {
                let folder = quick_folder().unwrap();
                let plan = Plan { fault, at, lasting, seed: at };
                let disk = Arc::new(FaultyDisk::new(folder.path(), Some(plan)));
                let machine = name("desk");
                let made = Authority::open_or_create(disk.clone(), folder.path(), Some(&machine), NOW);
                let certificate = made.as_ref().map(|made| made.server_certificate(&names, NOW));
                let acknowledged = match &certificate {
                    Ok(Ok(certificate)) => Some(certificate.chain_pem().to_owned()),
                    _ => None,
                };
                // Afterwards, on a sound disk, what was acknowledged is there, and all goes on.
                let after = open(folder.path(), "desk", NOW).unwrap();
                if let Ok(made) = &made {
                    assert_eq!(after.fingerprint(), made.fingerprint(), "{plan:?}");
                }
                let server = after.server_certificate(&names, NOW).unwrap();
                if let Some(chain) = acknowledged {
                    assert_eq!(server.chain_pem(), chain, "{plan:?}");
                }
                assert_eq!(verify(after.certificate_der(), &chain(&server), "desk.local", NOW), Ok(()));
                if !disk.struck() {
                    break;
                }
                n_struck += 1;
            }
        }
    }
    println!("{n_struck} faults");
    assert!(n_struck > 60, "{n_struck}");
}

#[test]
fn the_hint_of_a_damaged_authority_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("house-ca.json"), "no").unwrap();
    let error = open(folder.path(), "desk", NOW).unwrap_err();
    assert!(
        matches!(error, Error::Damaged { problem: Problem::NotTheFormat { line: 1, .. }, .. }),
        "{error}"
    );
    assert!(error.hint().contains("backup"), "{}", error.hint());
}
