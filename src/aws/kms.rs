//! The two KMS calls of a real run: ask for a disconnect, and read a key store back.

use std::fmt;

use aws_sdk_kms::{Client, operation::RequestId, types::CustomKeyStoresListEntry};
use tokio::time::Instant;

use super::{
    call::call,
    error::{CallError, Cause, Operation},
    http::Unsent,
};
use crate::{ids::KeyStoreId, text};

/// What of a key store may leave the function. `DescribeCustomKeyStores` also gives the proxy's
/// URI and access key ID and the cluster's certificate; they are dropped here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStore {
    /// Its friendly name.
    pub name: Option<String>,
    /// Its type.
    pub kind: Option<KeyStoreType>,
    /// Its connection state as last read.
    pub state: ConnectionState,
}

/// `CustomKeyStoreType` of `DescribeCustomKeyStores`
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_CustomKeyStoresListEntry.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStoreType {
    /// Its keys are in a CloudHSM cluster.
    AwsCloudHsm,
    /// Its keys are in an external key manager behind a proxy.
    ExternalKeyStore,
    /// A type that this version does not know.
    Unknown(String),
}

impl KeyStoreType {
    /// The type as AWS spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::AwsCloudHsm => "AWS_CLOUDHSM",
            Self::ExternalKeyStore => "EXTERNAL_KEY_STORE",
            Self::Unknown(other) => other,
        }
    }

    fn from_wire(kind: &str) -> Self {
        match kind {
            "AWS_CLOUDHSM" => Self::AwsCloudHsm,
            "EXTERNAL_KEY_STORE" => Self::ExternalKeyStore,
            other => Self::Unknown(text::cut(other, 64)),
        }
    }
}

/// `ConnectionState` of `DescribeCustomKeyStores`
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_CustomKeyStoresListEntry.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// Its keys can be used.
    Connected,
    /// A connect is in progress.
    Connecting,
    /// A connect failed; a disconnect must come before the next.
    Failed,
    /// A disconnect is in progress. AWS makes its keys unusable right away.
    Disconnecting,
    /// No key in it can be used. The one state that is success.
    Disconnected,
    /// A state that this version does not know, or none if the answer has none. Never success.
    Unknown(Option<String>),
}

impl ConnectionState {
    /// The state as AWS spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Failed => "FAILED",
            Self::Disconnecting => "DISCONNECTING",
            Self::Disconnected => "DISCONNECTED",
            Self::Unknown(Some(other)) => other,
            Self::Unknown(None) => "not given",
        }
    }

    fn from_wire(state: &str) -> Self {
        match state {
            "CONNECTED" => Self::Connected,
            "CONNECTING" => Self::Connecting,
            "FAILED" => Self::Failed,
            "DISCONNECTING" => Self::Disconnecting,
            "DISCONNECTED" => Self::Disconnected,
            other => Self::Unknown(Some(text::cut(other, 64))),
        }
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// KMS's answer to a disconnect request. Neither variant is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It accepted the request.
    Accepted,
    /// `CustomKeyStoreInvalidStateException`: KMS rejects the request in `DISCONNECTING` and
    /// `DISCONNECTED` and in no other state, so this means "read the state".
    InvalidState,
}

/// The result of a call, and AWS's ID of its request.
#[derive(Debug)]
pub(crate) struct Answered<T> {
    pub(crate) result: Result<T, CallError>,
    pub(crate) aws_request_id: Option<String>,
}

impl<T> Answered<T> {
    fn of<O: RequestId>(called: Result<O, CallError>, result: impl FnOnce(&O) -> Result<T, CallError>) -> Self {
        match called {
            Ok(answer) => Self {
                result: result(&answer),
                aws_request_id: answer.request_id().map(str::to_owned),
            },
            Err(error) => Self {
                aws_request_id: error.aws_request_id.clone(),
                result: Err(error),
            },
        }
    }
}

/// Asks KMS to disconnect the key store. Every failure but `CustomKeyStoreInvalidStateException` is
/// a [`CallError`].
pub(crate) async fn disconnect(kms: &Client, id: &KeyStoreId, until: Instant) -> Answered<Answer> {
    let unsent = Unsent::default();
    let request = || {
        let unsent = unsent.clone();
        kms.disconnect_custom_key_store()
            .custom_key_store_id(id.as_str())
            .customize()
            .mutate_request(move |request| request.add_extension(unsent.clone()))
            .send()
    };
    let called = call(Operation::DisconnectCustomKeyStore, until, request).await;
    let called = called.map_err(|error| if unsent.is_known() { error.of_unsent() } else { error });
    let answered = Answered::of(called, |_| Ok(Answer::Accepted));
    Answered {
        result: match answered.result {
            Err(error) if error.cause == Cause::InvalidState => Ok(Answer::InvalidState),
            result => result,
        },
        ..answered
    }
}

/// Reads one key store. It is a [`CallError`] if the call failed or the answer does not hold this
/// key store.
pub(crate) async fn read(kms: &Client, id: &KeyStoreId, until: Instant) -> Answered<KeyStore> {
    let operation = Operation::DescribeCustomKeyStores;
    let request = || kms.describe_custom_key_stores().custom_key_store_id(id.as_str()).send();
    let called = call(operation, until, request).await;
    Answered::of(called, |answer| {
        answer
            .custom_key_stores()
            .iter()
            .find(|entry| entry.custom_key_store_id() == Some(id.as_str()))
            .map(key_store)
            .ok_or_else(|| CallError::unusable(operation, "the answer does not hold the key store that was asked for"))
    })
}

fn key_store(entry: &CustomKeyStoresListEntry) -> KeyStore {
    KeyStore {
        name: entry.custom_key_store_name().map(|name| text::cut(name, 256)),
        kind: entry
            .custom_key_store_type()
            .map(|kind| KeyStoreType::from_wire(kind.as_str())),
        state: entry.connection_state().map_or_else(
            || ConnectionState::Unknown(None),
            |state| ConnectionState::from_wire(state.as_str()),
        ),
    }
}
