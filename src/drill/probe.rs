//! The permission probe: one request to disconnect a key store that does not exist. IAM policies,
//! boundaries, service control policies and endpoint policies let the request through, or deny it;
//! nothing else of AWS shows that.
//!
//! It assumes that KMS authorises a request before it looks the ID up. AWS does not document the
//! order for this operation; `docs/drill.md` has the command that shows it. Each probe leaves one
//! failed call in CloudTrail.

use std::collections::BTreeSet;

use aws_sdk_kms::{Client, operation::RequestId as _};
use tokio::time::Instant;

use crate::{
    aws::{Cause, Operation, call_once},
    run::{Drill, DryRun, Permission},
};

/// An ID that no key store has. It is written here, and the request takes no other.
const NOBODYS: &str = "cks-00000000000000000";

/// Makes the probe, once, in a dry run. `listing` is what the self-check found: a store with that
/// ID must not exist. Gives the proof, and a finding if it is not `ALLOWED`.
pub(super) async fn probe(
    kms: &Client,
    _: DryRun,
    listing: Option<&BTreeSet<String>>,
    until: Instant,
) -> (Drill, Option<String>) {
    match listing {
        None => return left_out("the key stores could not be listed first"),
        Some(listing) if listing.contains(NOBODYS) => return left_out("a key store has the ID that it would use"),
        Some(_) => {}
    }
    let request = kms.disconnect_custom_key_store().custom_key_store_id(NOBODYS).send();
    match call_once(Operation::DisconnectCustomKeyStore, until, request).await {
        // No other answer proves it, such as a proxy's own NotFound.
        Err(error) if error.code == "CustomKeyStoreNotFoundException" => {
            (proof(Permission::Allowed, error.aws_request_id), None)
        }
        Err(error) if error.cause == Cause::Denied && error.code.starts_with("AccessDenied") => {
            let finding = format!(
                "The role is not allowed to disconnect key stores: {}. Advice: {}.",
                error.message,
                error.advice()
            );
            (proof(Permission::Denied, error.aws_request_id), Some(finding))
        }
        Err(error) => {
            let finding = format!(
                "The permission probe is inconclusive, so it is not proved that the role is allowed to disconnect: {error}. Advice: \
                 repeat the dry run."
            );
            (proof(Permission::Unknown, error.aws_request_id), Some(finding))
        }
        Ok(answer) => {
            let finding = format!(
                "The permission probe is inconclusive: KMS accepted a disconnect of {NOBODYS}, which is not among its \
                 key stores. Advice: look the request up in CloudTrail."
            );
            (
                proof(Permission::Unknown, answer.request_id().map(str::to_owned)),
                Some(finding),
            )
        }
    }
}

fn proof(permission: Permission, probe_request_id: Option<String>) -> Drill {
    Drill {
        permission,
        probe_request_id,
    }
}

fn left_out(why: &str) -> (Drill, Option<String>) {
    let finding = format!(
        "The permission probe was left out, because {why}, so it is not proved that the role is allowed to disconnect. Advice: \
         repeat the dry run."
    );
    (proof(Permission::Unknown, None), Some(finding))
}
