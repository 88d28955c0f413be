//! Entry points for fuzzing what comes from servers, and the journal that a crash may leave damaged.
//!
//! Not a part of a pull. Each target panics when a promise breaks, not only when the parser does.

use std::collections::BTreeSet;

use super::address::Address;
use super::choice::{self, Chosen};
use super::header::{content_range, linked_digest, repr_digest, retry_after, strong_etag};
use super::hugging_face::{Repository, Shards};
use super::journal::{self, Shape};
use super::ollama::ImageManifest;
use super::remote::Remote;
use crate::Role;

/// What is understood is shown as a text that means the same, and has no control characters.
pub(crate) fn remote(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Remote::parse(&text) {
        Ok(remote) => {
            let shown = remote.to_string();
            assert!(!shown.chars().any(char::is_control));
            if !text.contains('?') {
                assert_eq!(Remote::parse(&shown).expect("what is shown can be read"), remote);
            }
            let _ = remote.default_name();
        }
        Err(error) => assert!(!error.to_string().chars().any(char::is_control)),
    }
}

/// An address that is accepted is one for an HTTP library too, with the same host; and so is where it redirects to.
pub(crate) fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let base = Address::parse("https://host.example/a/b").expect("it is one");
    for address in [Address::parse(&text), base.join(&text)].into_iter().flatten() {
        let request = address.request_text();
        assert_eq!(Address::parse(&request).expect("what is asked for is an address"), address);
        if let Ok(uri) = request.parse::<ureq::http::Uri>() {
            assert_eq!(uri.host().map(str::to_ascii_lowercase).as_deref(), Some(&*address.origin.host));
        }
        let below = address.below([&*text]);
        assert_eq!(below.origin, address.origin);
    }
}

/// A range that is accepted lies within its file; a validator that is accepted fits into a header.
pub(crate) fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(range) = content_range(&text) {
        assert!(range.first <= range.last && range.total.is_none_or(|total| range.last < total));
    }
    if let Some(etag) = strong_etag(&text) {
        assert!(etag.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let _ = (retry_after(&text, 0), retry_after(&text, u64::MAX));
    let _ = (linked_digest(&text), repr_digest(&text));
}

/// What is chosen of a repository is among its names, and none of them leads elsewhere.
pub(crate) fn repository(bytes: &[u8]) {
    if let Ok(repository) = Repository::read(bytes) {
        let names = repository.names();
        names.iter().for_each(|name| assert!(choice::check_name(name).is_ok()));
        let _ = (choice::choose(&names, None), choice::choose(&names, Some("Q4_K_M")));
    }
}

/// A list of shards brings only names that the repository has.
pub(crate) fn shards(bytes: &[u8]) {
    let Ok(shards) = Shards::read(bytes) else { return };
    let names = BTreeSet::from(["model-00001-of-00002.safetensors".to_owned()]);
    let list = Chosen { name: "list".into(), role: Role::Model, format: "safetensors" };
    if let Ok(chosen) = shards.of(&names, &list) {
        assert!(chosen.iter().all(|file| names.contains(&file.name)));
    }
}

/// A registry's manifest that is accepted has layers of true digests.
pub(crate) fn image_manifest(bytes: &[u8]) {
    let _ = ImageManifest::read(bytes);
}

/// A journal never tells of more pieces than its file has.
pub(crate) fn journal(bytes: &[u8]) {
    for shape in [Shape::new(25, 10, None), Shape::new(0, 10, None), Shape::new(25, 10, Some("\"v\"".into()))]
    {
        let known = journal::read(bytes, &shape);
        assert_eq!(known.pieces.len(), shape.n_pieces());
        assert!(shape.missing_bytes(&known) <= shape.size_bytes);
    }
}
