//! A file at an address: the simplest source. What is known of it is what its server says.
//!
//! Does not: send a token; an address may lead anywhere.

use serde_json::Map;

use super::address::Address;
use super::plan::{Plan, Wanted, measure};
use super::problem::Announced;
use super::remote::format_of;
use super::session::Session;
use super::{Problem, choice};
use crate::Role;

pub(super) fn plan(session: &Session<'_>, address: &Address) -> Result<Plan, Problem> {
    let name = address.file_name().to_owned();
    choice::check_name(&name)?;
    let mut file = Wanted {
        role: Role::Model,
        format: format_of(&name).unwrap_or("gguf").to_owned(),
        name,
        address: address.clone(),
        announced: Announced::Nothing,
        size_bytes: None,
        etag: None,
        gate: None,
    };
    let validator = measure(session, &mut file, None)?;
    let version = match (file.announced, validator) {
        (Announced::Sha256(digest), _) => digest.to_string(),
        (_, Some(validator)) => validator,
        (_, None) => format!("{} bytes", file.size_bytes.unwrap_or(0)),
    };
    let (license, credential, quantisations) = (None, None, Vec::new());
    Ok(Plan { files: vec![file], parameters: Map::new(), version, license, credential, quantisations })
}
