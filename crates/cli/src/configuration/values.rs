//! Values as people write them, each checked where it is read, so that a mistake is told with its line.

use std::fmt;

use app::doors::Hosts;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::terminal::units;

/// A number of bytes: `"8GB"`, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bytes(pub u64);

/// Milliseconds: `"8s"`, `"2m"`; an hour at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Duration(pub u64);

/// A whole number between two others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Within<const LEAST: usize, const MOST: usize>(pub usize);

/// A name by which clients call a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostName(pub String);

/// A web page's origin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin(pub String);

/// The milliseconds of a grace that a person wrote.
pub fn grace_ms(text: &str) -> Result<u64, String> {
    const MOST_MS: u64 = 3_600_000;
    match units::parse_duration_ms(text)? {
        ms if ms > MOST_MS => Err(format!("`{text}` is too long: an hour at most")),
        ms => Ok(ms),
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, such as \"2GB\"")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Bytes, E> {
        u64::try_from(value).map(Bytes).map_err(|_| E::custom(format!("{value} is less than nothing")))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Bytes, E> {
        units::parse_bytes(value).map(Bytes).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        grace_ms(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<'de, const LEAST: usize, const MOST: usize> Deserialize<'de> for Within<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match usize::try_from(number) {
            Ok(number) if (LEAST..=MOST).contains(&number) => Ok(Self(number)),
            _ => Err(de::Error::custom(format!("{number} is not between {LEAST} and {MOST}"))),
        }
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Hosts::default().with_host(&name).map_err(de::Error::custom)?;
        Ok(Self(name))
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let origin = String::deserialize(deserializer)?;
        Hosts::default().with_origin(&origin).map_err(de::Error::custom)?;
        Ok(Self(origin))
    }
}
