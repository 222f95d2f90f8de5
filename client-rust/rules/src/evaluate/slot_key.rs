//! A slot's key in JSON; parts that are empty may be left out.

use serde::{Deserialize, Serialize};

use crate::slot_key::SlotKey;

/// A [`SlotKey`] that owns its parts.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Key {
    #[serde(skip_serializing_if = "String::is_empty")]
    protocol: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    server_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    security: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    authority: String,
}

impl Key {
    pub(super) fn borrowed(&self) -> SlotKey<'_> {
        SlotKey {
            protocol: &self.protocol,
            address: &self.address,
            server_name: &self.server_name,
            security: &self.security,
            authority: &self.authority,
        }
    }
}

impl From<SlotKey<'_>> for Key {
    fn from(key: SlotKey<'_>) -> Self {
        Self {
            protocol: key.protocol.to_owned(),
            address: key.address.to_owned(),
            server_name: key.server_name.to_owned(),
            security: key.security.to_owned(),
            authority: key.authority.to_owned(),
        }
    }
}
