//! The guard: lets through only key stores on the allow-list.
//!
//! It is the only fence there is. IAM cannot scope the custom key store actions to one store: they
//! take no resource but `*`
//! (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html>).

use std::{collections::BTreeSet, fmt::Write as _};

use sha2::{Digest as _, Sha256};

use crate::ids::KeyStoreId;

/// The key stores that may be disconnected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowList {
    /// Every key store of the account and Region (`*`).
    Any,
    /// These and no others; never empty.
    These(BTreeSet<KeyStoreId>),
}

/// A key store that has passed the guard. Only [`AllowList::clear`] makes one,
/// and the procedure takes nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(KeyStoreId);

impl Target {
    /// The ID that was cleared.
    #[must_use]
    pub fn id(&self) -> &KeyStoreId {
        &self.0
    }
}

impl AllowList {
    /// The SHA-256 digest of the sorted IDs, joined by commas, in hexadecimal: it shows in a filed
    /// report which list was in force.
    #[must_use]
    pub fn sha256(&self) -> String {
        let list = match self {
            Self::Any => "*".to_owned(),
            Self::These(ids) => ids.iter().map(KeyStoreId::as_str).collect::<Vec<_>>().join(","),
        };
        let digest = Sha256::digest(list);
        digest.iter().fold(String::with_capacity(64), |mut digits, byte| {
            // Writing to a String does not fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    }

    /// Clears a key store for disconnection. IDs are compared to the letter.
    ///
    /// # Errors
    /// [`NotAllowed`] if the ID is not on the list.
    pub fn clear(&self, id: &KeyStoreId) -> Result<Target, NotAllowed> {
        match self {
            Self::Any => Ok(Target(id.clone())),
            Self::These(ids) if ids.contains(id) => Ok(Target(id.clone())),
            Self::These(_) => Err(NotAllowed(id.clone())),
        }
    }
}

/// The event names a key store that this function may not disconnect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("custom key store {0} is not in ALLOWED_KEY_STORE_IDS")]
pub struct NotAllowed(pub KeyStoreId);

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> KeyStoreId {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_listed_id_is_cleared_and_case_counts() {
        let list = AllowList::These(BTreeSet::from([id("cks-1"), id("cks-2"), id("cks-1A")]));
        assert_eq!(list.clear(&id("cks-2")).unwrap().id(), &id("cks-2"));
        for stranger in ["cks-3", "cks-11", "cks-1a", "cks-12"] {
            assert_eq!(list.clear(&id(stranger)), Err(NotAllowed(id(stranger))));
        }
    }

    /// `printf cks-1,cks-2 | sha256sum`
    #[test]
    fn digest_is_that_of_the_sorted_ids() {
        let list = AllowList::These(BTreeSet::from([id("cks-2"), id("cks-1")]));
        let expected = "1048a71c5a2906ab9f6c8e0381f25d74dee9646e33ed5b22bd88bae4df78b7e9";
        assert_eq!(list.sha256(), expected);
    }

    #[test]
    fn a_star_clears_any_id() {
        assert_eq!(AllowList::Any.clear(&id("cks-9")).unwrap().id(), &id("cks-9"));
    }
}
