//! Custom key stores as KMS keeps them: the state machine, and its JSON 1.1 protocol.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::Refused;

/// Marks what must never leave the function: no log line and no notice may hold it.
pub const SECRET: &str = "SECRET-b7e1";

/// The connection state of a key store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `CONNECTED`
    Connected,
    /// `CONNECTING`
    Connecting,
    /// `FAILED`
    Failed,
    /// `DISCONNECTING`
    Disconnecting,
    /// `DISCONNECTED`
    Disconnected,
}

impl State {
    /// The state as AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Failed => "FAILED",
            Self::Disconnecting => "DISCONNECTING",
            Self::Disconnected => "DISCONNECTED",
        }
    }
}

/// A custom key store.
#[derive(Debug, Clone)]
pub struct KeyStore {
    /// Its ID.
    pub id: String,
    /// Its friendly name.
    pub name: String,
    /// True for an external key store, false for a CloudHSM key store.
    pub external: bool,
    /// How long a connect or a disconnect of it takes.
    pub transition: Duration,
    state: State,
    since: Instant,
}

impl KeyStore {
    /// A connected CloudHSM key store that disconnects at once.
    pub fn cloud_hsm(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            external: false,
            transition: Duration::ZERO,
            state: State::Connected,
            since: Instant::now(),
        }
    }

    /// A connected external key store that disconnects at once.
    pub fn external(id: &str, name: &str) -> Self {
        Self {
            external: true,
            ..Self::cloud_hsm(id, name)
        }
    }

    /// The same, in another state.
    #[must_use]
    pub fn in_state(self, state: State) -> Self {
        Self {
            state,
            since: Instant::now(),
            ..self
        }
    }

    /// The same, with transitions that take time.
    #[must_use]
    pub fn taking(self, transition: Duration) -> Self {
        Self { transition, ..self }
    }

    /// Its state by now.
    pub fn state(&self) -> State {
        let over = self.since.elapsed() >= self.transition;
        match self.state {
            State::Disconnecting if over => State::Disconnected,
            State::Connecting if over => State::Connected,
            state => state,
        }
    }

    fn go(&mut self, state: State) {
        self.state = state;
        self.since = Instant::now();
    }

    fn entry(&self, state: Option<&str>) -> Value {
        let mut entry = json!({
            "CustomKeyStoreId": self.id,
            "CustomKeyStoreName": self.name,
            "ConnectionState": state.unwrap_or_else(|| self.state().as_str()),
            "CreationDate": 1_499_288_695.918,
        });
        let fields = entry.as_object_mut().expect("an object");
        if self.external {
            fields.insert("CustomKeyStoreType".into(), "EXTERNAL_KEY_STORE".into());
            fields.insert(
                "XksProxyConfiguration".into(),
                json!({
                    "Connectivity": "PUBLIC_ENDPOINT",
                    "AccessKeyId": format!("{SECRET}-ACCESSKEYID"),
                    "UriEndpoint": format!("https://{SECRET}.example.com"),
                    "UriPath": format!("/{SECRET}/kms/xks/v1"),
                }),
            );
        } else {
            fields.insert("CustomKeyStoreType".into(), "AWS_CLOUDHSM".into());
            fields.insert("CloudHsmClusterId".into(), "cluster-1a23b4cdefg".into());
            fields.insert(
                "TrustAnchorCertificate".into(),
                format!("-----BEGIN CERTIFICATE-----{SECRET}-----END CERTIFICATE-----").into(),
            );
        }
        if self.state() == State::Failed {
            fields.insert("ConnectionErrorCode".into(), "INVALID_CREDENTIALS".into());
        }
        entry
    }
}

/// A KMS key.
#[derive(Debug, Clone, Default)]
pub struct Key {
    /// Its ID, or its ARN if it is asked for by that.
    pub id: String,
    /// The custom key store that it is in, if it is in one.
    pub store: Option<String>,
    /// Its aliases.
    pub aliases: Vec<String>,
    /// Its key state while its store is connected; `Enabled` if this is empty.
    pub state: String,
    /// When it was last used, in seconds since 1970, and for what.
    pub last_used: Option<(u64, String)>,
    /// When it was created; KMS records uses since [`TRACKED`].
    pub created: u64,
    /// True if its key policy denies `DescribeKey` and `GetKeyLastUsage`.
    pub is_denied: bool,
}

/// When KMS began to record uses: 2026-04-01.
pub const TRACKED: u64 = 1_775_001_600;

impl Key {
    /// A key in a store, or in none.
    pub fn new(id: &str, store: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            store: store.map(str::to_owned),
            ..Self::default()
        }
    }
}

/// What KMS holds.
#[derive(Debug, Default)]
pub(crate) struct Kms {
    pub(crate) key_stores: BTreeMap<String, KeyStore>,
    pub(crate) keys: BTreeMap<String, Key>,
    created: u32,
}

impl Kms {
    /// Carries out one operation. `state` is what a fault makes `DescribeCustomKeyStores` say.
    pub(crate) fn call(&mut self, operation: &str, body: &[u8], state: Option<&str>) -> Result<Value, Refused> {
        let request: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| Refused::kms("SerializationException", "not a JSON object"))?;
        match operation {
            "DescribeCustomKeyStores" => self.describe(&Request::new(request, DESCRIBE)?, state),
            "DisconnectCustomKeyStore" => self.disconnect(&Request::new(request, &["CustomKeyStoreId"])?),
            "ConnectCustomKeyStore" => self.connect(&Request::new(request, &["CustomKeyStoreId"])?),
            "CreateCustomKeyStore" => self.create(&Request::new(request, CREATE)?),
            "ListKeys" => self.list_keys(&Request::new(request, &["Limit", "Marker"])?),
            "ListAliases" => self.list_aliases(&Request::new(request, &["KeyId", "Limit", "Marker"])?),
            "GetKeyLastUsage" => self.last_usage(&Request::new(request, &["KeyId"])?),
            "DescribeKey" => self.describe_key(&Request::new(request, &["KeyId", "GrantTokens"])?),
            other => Err(Refused::kms("UnknownOperationException", other)),
        }
    }

    fn describe(&self, request: &Request, state: Option<&str>) -> Result<Value, Refused> {
        let id = request.text("CustomKeyStoreId", 64)?;
        let name = request.text("CustomKeyStoreName", 256)?;
        let found: Vec<&KeyStore> = match (id, name) {
            (Some(_), Some(_)) => return Err(Refused::kms("ValidationException", "an ID and a name")),
            (None, None) => return self.page(request, state),
            (Some(id), None) => self.key_stores.get(id).into_iter().collect(),
            (None, Some(name)) => self.key_stores.values().filter(|store| store.name == name).collect(),
        };
        if found.is_empty() {
            return Err(not_found());
        }
        let entries: Vec<_> = found.iter().map(|store| store.entry(state)).collect();
        Ok(json!({ "CustomKeyStores": entries, "Truncated": false }))
    }

    fn page(&self, request: &Request, state: Option<&str>) -> Result<Value, Refused> {
        let limit = request.number("Limit")?.unwrap_or(1000);
        let marker = request.text("Marker", 1024)?.unwrap_or_default();
        if !marker.is_empty() && !self.key_stores.contains_key(marker) {
            return Err(Refused::kms(
                "InvalidMarkerException",
                "the marker is not one that KMS gave",
            ));
        }
        let mut rest = self.key_stores.range(marker.to_owned()..);
        let entries: Vec<_> = rest.by_ref().take(limit).map(|(_, store)| store.entry(state)).collect();
        Ok(match rest.next() {
            Some((next, _)) => json!({ "CustomKeyStores": entries, "Truncated": true, "NextMarker": next }),
            None => json!({ "CustomKeyStores": entries, "Truncated": false }),
        })
    }

    /// Rejected in `DISCONNECTING` and `DISCONNECTED`, and in no other state.
    fn disconnect(&mut self, request: &Request) -> Result<Value, Refused> {
        let store = self.store(request)?;
        match store.state() {
            State::Connected | State::Connecting | State::Failed => {
                store.go(State::Disconnecting);
                Ok(json!({}))
            }
            State::Disconnecting | State::Disconnected => Err(invalid_state()),
        }
    }

    /// Rejected in `DISCONNECTING` and `FAILED`, and in no other state
    /// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_ConnectCustomKeyStore.html>).
    fn connect(&mut self, request: &Request) -> Result<Value, Refused> {
        let store = self.store(request)?;
        match store.state() {
            State::Disconnected => {
                store.go(State::Connecting);
                Ok(json!({}))
            }
            State::Connected | State::Connecting => Ok(json!({})),
            State::Failed | State::Disconnecting => Err(invalid_state()),
        }
    }

    fn create(&mut self, request: &Request) -> Result<Value, Refused> {
        let name = request.required("CustomKeyStoreName", 256)?;
        if self.key_stores.values().any(|store| store.name == name) {
            return Err(Refused::kms("CustomKeyStoreNameInUseException", "the name is in use"));
        }
        self.created += 1;
        let id = format!("cks-{:017x}", self.created);
        let store = match request.text("CustomKeyStoreType", 64)? {
            None | Some("AWS_CLOUDHSM") => KeyStore::cloud_hsm(&id, name),
            Some("EXTERNAL_KEY_STORE") => KeyStore::external(&id, name),
            Some(_) => return Err(Refused::kms("ValidationException", "CustomKeyStoreType")),
        };
        self.key_stores.insert(id.clone(), store.in_state(State::Disconnected));
        Ok(json!({ "CustomKeyStoreId": id }))
    }

    fn describe_key(&self, request: &Request) -> Result<Value, Refused> {
        let key = self.key(request)?;
        let mut metadata = json!({
            "AWSAccountId": crate::ACCOUNT, "KeyId": key.id, "Arn": arn(&key.id), "CreationDate": key.created,
            "Description": "", "KeyManager": "CUSTOMER", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false, "Enabled": true,
            "KeyState": if key.state.is_empty() { "Enabled" } else { &key.state }, "Origin": "AWS_KMS",
        });
        if let Some(id) = &key.store {
            let store = self.key_stores.get(id);
            metadata["CustomKeyStoreId"] = id.as_str().into();
            metadata["Origin"] = "AWS_CLOUDHSM".into();
            if store.is_some_and(|store| store.external) {
                metadata["Origin"] = "EXTERNAL_KEY_STORE".into();
                metadata["XksKeyConfiguration"] = json!({ "Id": format!("{SECRET}-external-key") });
            }
            if store.map(KeyStore::state) != Some(State::Connected) {
                metadata["KeyState"] = "Unavailable".into();
            }
        }
        Ok(json!({ "KeyMetadata": metadata }))
    }

    /// The last successful use; an empty object if there was none since KMS records uses.
    fn last_usage(&self, request: &Request) -> Result<Value, Refused> {
        let key = self.key(request)?;
        let usage = match &key.last_used {
            Some((at, operation)) => json!({
                "Operation": operation, "Timestamp": at, "CloudTrailEventId": "e-1", "KmsRequestId": "r-1",
            }),
            None => json!({}),
        };
        Ok(json!({
            "KeyId": key.id, "KeyLastUsage": usage, "KeyCreationDate": key.created,
            "TrackingStartDate": key.created.max(TRACKED),
        }))
    }

    /// Keys by ID or ARN. An alias is not accepted by every operation, and by none here.
    fn key(&self, request: &Request) -> Result<&Key, Refused> {
        let id = request.required("KeyId", 2048)?;
        let short = id.rsplit('/').next().unwrap_or(id);
        let key = self.keys.get(id).or_else(|| self.keys.get(short));
        match key {
            None => Err(Refused::kms("NotFoundException", id)),
            Some(key) if key.is_denied => Err(Refused::kms("AccessDeniedException", "the key policy denies it")),
            Some(key) => Ok(key),
        }
    }

    fn list_keys(&self, request: &Request) -> Result<Value, Refused> {
        let limit = request.number("Limit")?.unwrap_or(100);
        let marker = request.text("Marker", 1024)?.unwrap_or_default();
        let mut rest = self.keys.range(marker.to_owned()..);
        let keys: Vec<_> = rest
            .by_ref()
            .take(limit)
            .map(|(id, _)| json!({ "KeyId": id, "KeyArn": arn(id) }))
            .collect();
        Ok(match rest.next() {
            Some((next, _)) => json!({ "Keys": keys, "Truncated": true, "NextMarker": next }),
            None => json!({ "Keys": keys, "Truncated": false }),
        })
    }

    fn list_aliases(&self, request: &Request) -> Result<Value, Refused> {
        let limit = request.number("Limit")?.unwrap_or(50);
        if limit > 100 {
            return Err(Refused::kms("ValidationException", "Limit"));
        }
        let marker = request.text("Marker", 1024)?.unwrap_or_default();
        let all = self
            .keys
            .values()
            .flat_map(|key| key.aliases.iter().map(move |alias| (alias, key)));
        let mut rest = all.skip(marker.parse().unwrap_or_default());
        let aliases: Vec<_> = rest
            .by_ref()
            .take(limit)
            .map(|(alias, key)| {
                json!({
                    "AliasName": alias, "AliasArn": format!("arn:aws:kms:us-east-1:{}:{alias}", crate::ACCOUNT),
                    "TargetKeyId": key.id, "CreationDate": key.created, "LastUpdatedDate": key.created,
                })
            })
            .collect();
        let next = marker.parse().unwrap_or(0_usize) + aliases.len();
        Ok(match rest.next() {
            Some(_) => json!({ "Aliases": aliases, "Truncated": true, "NextMarker": next.to_string() }),
            None => json!({ "Aliases": aliases, "Truncated": false }),
        })
    }

    fn store(&mut self, request: &Request) -> Result<&mut KeyStore, Refused> {
        let id = request.required("CustomKeyStoreId", 64)?;
        self.key_stores.get_mut(id).ok_or_else(not_found)
    }
}

const DESCRIBE: &[&str] = &["CustomKeyStoreId", "CustomKeyStoreName", "Limit", "Marker"];
const CREATE: &[&str] = &[
    "CustomKeyStoreName",
    "CustomKeyStoreType",
    "CloudHsmClusterId",
    "TrustAnchorCertificate",
    "KeyStorePassword",
    "XksProxyUriEndpoint",
    "XksProxyUriPath",
    "XksProxyConnectivity",
    "XksProxyVpcEndpointServiceName",
    "XksProxyAuthenticationCredential",
];

/// A request whose members are all in the operation's model.
struct Request(Map<String, Value>);

impl Request {
    fn new(fields: Map<String, Value>, known: &[&str]) -> Result<Self, Refused> {
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(Refused::kms("SerializationException", unknown)),
            None => Ok(Self(fields)),
        }
    }

    fn text(&self, name: &str, longest: usize) -> Result<Option<&str>, Refused> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=longest).contains(&text.chars().count()) => Ok(Some(text)),
            Some(Value::String(_)) => Err(Refused::kms("ValidationException", name)),
            Some(_) => Err(Refused::kms("SerializationException", name)),
        }
    }

    fn required(&self, name: &str, longest: usize) -> Result<&str, Refused> {
        self.text(name, longest)?
            .ok_or_else(|| Refused::kms("ValidationException", name))
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Refused> {
        match self.0.get(name).map(Value::as_u64) {
            None => Ok(None),
            Some(Some(number @ 1..=1000)) => Ok(usize::try_from(number).ok()),
            Some(_) => Err(Refused::kms("ValidationException", name)),
        }
    }
}

fn arn(key: &str) -> String {
    format!("arn:aws:kms:us-east-1:{}:key/{key}", crate::ACCOUNT)
}

fn not_found() -> Refused {
    Refused::kms("CustomKeyStoreNotFoundException", "the custom key store does not exist")
}

fn invalid_state() -> Refused {
    Refused::kms(
        "CustomKeyStoreInvalidStateException",
        "the connection state of the custom key store does not allow it",
    )
}
