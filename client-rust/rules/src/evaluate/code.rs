//! The codes of gRPC by their names.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codes::Code;

/// A code that JSON carries by its name.
#[derive(Clone, Copy)]
pub(crate) struct CodeName(pub(crate) Code);

const NAMES: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Serialize for CodeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(NAMES[self.0 as usize])
    }
}

impl<'de> Deserialize<'de> for CodeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        (0..)
            .zip(NAMES)
            .find(|(_, known)| **known == name)
            .map_or_else(
                || Err(D::Error::custom(format!("{name:?} is none of {NAMES:?}"))),
                |(code, _)| Ok(Self(code)),
            )
    }
}
