//! Keys: made, told, ended.

use std::path::Path;

use guard::{Guard, KeyRecord, NewKey, Scopes};

use crate::event::keys::Key;
use crate::job::keys::{Create, Keys};
use crate::{Event, Failure};

/// Does what was asked; the last event.
pub(crate) fn run(home: &Path, keys: Keys, now_unix_ms: u64) -> Result<Event, Failure> {
    let guard = Guard::open(home)?;
    match keys {
        Keys::Create(create) => {
            let (key, secret) = guard.create_key(&new_key(create, now_unix_ms)?, now_unix_ms)?;
            Ok(Event::KeyCreated { key: told(key), secret: secret.expose().to_owned() })
        }
        Keys::List => Ok(Event::Keys { keys: guard.keys()?.into_iter().map(told).collect() }),
        Keys::Revoke { key } => Ok(Event::KeyRevoked(told(guard.revoke(&key, now_unix_ms)?))),
    }
}

fn new_key(create: Create, now_unix_ms: u64) -> Result<NewKey, Failure> {
    let Create { name, scopes, lasts_ms, limits } = create;
    let expires_unix_ms = lasts_ms.map(|lasts| now_unix_ms.saturating_add(lasts));
    Ok(NewKey { name, scopes: Scopes::parse(&scopes)?, expires_unix_ms, limits })
}

fn told(key: KeyRecord) -> Key {
    Key {
        id: key.id,
        name: key.name,
        scopes: key.scopes.to_string(),
        limits: key.limits,
        created_ms: key.created_unix_ms,
        expires_ms: key.expires_unix_ms,
        revoked_ms: key.revoked_unix_ms,
        last_used_ms: key.last_used_unix_ms,
    }
}
