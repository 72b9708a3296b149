//! What to do next: one action a text, in the order of that hour, with commands that are ready to paste. A command holds
//! nothing that a shell would interpret, whatever the event said: IDs and Regions have a form, and a name is in a
//! command only if it is made of letters, digits and a few marks.

use super::Stage;
use crate::{
    aws::{Cause, ConnectionState, KeyStoreType},
    event::TriggerType,
    ids::KeyStoreId,
    outcome::{Failure, NotVerified, Outcome, Refusal},
    run::{Origin, Progress},
    text,
};

/// The most steps of a report.
pub(super) const MOST: usize = 6;

/// The steps, and `runbook` as the last one if it is set.
pub(super) fn steps(origin: &Origin, progress: &Progress, stage: Stage<'_>, runbook: Option<&str>) -> Vec<String> {
    let hands = Hands { origin, progress };
    let mut steps = match stage {
        Stage::Early => Vec::new(),
        Stage::Final(outcome) => hands.after(outcome),
    };
    steps.truncate(MOST - usize::from(runbook.is_some()));
    steps.extend(runbook.map(self::runbook));
    steps
}

/// The step that is the runbook's address.
pub(super) fn runbook(url: &str) -> String {
    format!("Follow the runbook: {url}")
}

/// Somebody's hands, in the account and Region of the run.
struct Hands<'a> {
    origin: &'a Origin,
    progress: &'a Progress,
}

impl Hands<'_> {
    fn after(&self, outcome: &Outcome) -> Vec<String> {
        match outcome {
            Outcome::Ignored(_) => Vec::new(),
            Outcome::Disconnected | Outcome::AlreadyDisconnected => self.after_the_cut(),
            Outcome::DryRun { has_findings } => self.after_dry_run(*has_findings),
            Outcome::NotVerified(doubt) => self.after_doubt(doubt),
            Outcome::Refused(refusal) => self.after_refusal(refusal),
            Outcome::Failed(failure) => self.after_failure(failure),
        }
    }

    fn after_the_cut(&self) -> Vec<String> {
        // What cannot wait comes first.
        let mut steps: Vec<_> = self.stop_the_trigger().into_iter().collect();
        steps.extend([
            DATA.into(),
            self.reconnect(),
            format!("Verify it yourself: {}", self.read()),
        ]);
        steps
    }

    fn after_dry_run(&self, has_findings: bool) -> Vec<String> {
        let mut steps = Vec::new();
        if self.origin.is_observing {
            steps.push(format!(
                "If the key store must be disconnected now, act by hand, because this function only observes: {}",
                self.cut()
            ));
        }
        if has_findings {
            steps.push("Correct what the field findings lists, and repeat the dry run".into());
        }
        steps
    }

    /// The store may be connected: then the hands come first.
    fn after_doubt(&self, doubt: &NotVerified) -> Vec<String> {
        let denied = doubt.error.as_ref().filter(|error| error.cause == Cause::Denied);
        let again = if let Some(error) = denied {
            format!(
                "Then correct the cause, because a retry ends the same way: {}",
                error.advice()
            )
        } else if self.origin.trigger.kind == TriggerType::Direct {
            "If you invoked it by hand, invoke it again. Lambda retries an asynchronous event twice, and each run reports".into()
        } else {
            "Wait for the next notice. Lambda retries an asynchronous event twice, and each run reports".into()
        };
        if doubt.is_under_way {
            let read = if self.progress.state() == Some(&ConnectionState::Disconnected) {
                "Read the state once more. DISCONNECTED again confirms it"
            } else {
                "If it becomes CONNECTED or FAILED, disconnect it by hand. Read the state until it is DISCONNECTED"
            };
            let mut steps = vec![format!("{read}: {}", self.read())];
            steps.extend(self.stop_the_trigger());
            steps.extend([DATA.into(), again]);
            return steps;
        }
        let mut steps = vec![
            format!("Disconnect it by hand, with a role that may: {}", self.cut()),
            format!("Read the state until it is DISCONNECTED: {}", self.read()),
        ];
        if let Some(ConnectionState::Connected | ConnectionState::Connecting) = self.progress.state() {
            steps.push(format!(
                "Find out whether somebody connects it. CloudTrail shows that some minutes late: {}",
                self.who_connects()
            ));
        }
        steps.push(again);
        steps
    }

    fn after_refusal(&self, refusal: &Refusal) -> Vec<String> {
        let by_hand = || {
            let store = self.origin.key_store_id.is_some();
            let which = if store {
                ""
            } else {
                ", with its ID in place of KEY_STORE_ID"
            };
            format!(
                "If the key store must be disconnected now, act by hand{which}: {}",
                self.cut()
            )
        };
        match refusal {
            Refusal::Event(invalid) if self.origin.dry_run => vec![sentence(&invalid.instead)],
            Refusal::Event(invalid) => vec![sentence(&invalid.instead), by_hand()],
            Refusal::Guard(_) if self.origin.dry_run => {
                vec![
                    "Compare the ID with ALLOWED_KEY_STORE_IDS (the stack's parameter AllowedKeyStoreIds): a real run would be refused too"
                        .into(),
                ]
            }
            Refusal::Guard(_) => vec![
                "Compare the ID with the key store that you mean: this function may not disconnect this one".into(),
                by_hand(),
                "If the function is meant to disconnect it, add the ID to ALLOWED_KEY_STORE_IDS (the stack's parameter \
                 AllowedKeyStoreIds) later, in a reviewed deployment".into(),
            ],
        }
    }

    fn after_failure(&self, failure: &Failure) -> Vec<String> {
        let correct = match failure {
            Failure::Panic(_) => "Then report the log line of this run, because this is a fault of the function".into(),
            Failure::Call(_) | Failure::Configuration(_) | Failure::NotHandedOver(_) => {
                format!("Then correct the cause: {}", failure.advice())
            }
        };
        match failure {
            Failure::Call(error) if error.cause == Cause::NotFound => vec![
                format!(
                    "Find the right ID, in this account and Region: {}",
                    self.kms("describe-custom-key-stores", None)
                ),
                "Send the event again with that ID".into(),
            ],
            Failure::Call(_) | Failure::Panic(_) if self.origin.dry_run => vec![
                format!("Correct the cause, and repeat the dry run: {}", failure.advice()),
                format!(
                    "If the key store must be disconnected before that, act by hand: {}",
                    self.cut()
                ),
            ],
            Failure::Call(_) | Failure::Panic(_) if self.progress.is_under_way() => {
                vec![
                    format!("Read the state until it is DISCONNECTED: {}", self.read()),
                    correct,
                ]
            }
            Failure::Call(_) | Failure::Panic(_) => vec![
                format!("Disconnect it by hand, with a role that may: {}", self.cut()),
                format!("Read the state until it is DISCONNECTED: {}", self.read()),
                correct,
            ],
            Failure::Configuration(_) => vec![
                format!("{BY_HAND_IF_ANY}: {}", self.cut()),
                "Correct the environment variables that the field error.message names, and run a dry run".into(),
            ],
            Failure::NotHandedOver(_) => vec![
                format!("{BY_HAND_IF_ANY}: {}", self.cut()),
                "Invoke the function again without a client context (--client-context)".into(),
            ],
        }
    }

    /// What disconnected a store by mistake does it again when the store is connected again.
    fn stop_the_trigger(&self) -> Option<String> {
        let first = "If this was a mistake, stop the trigger first, or it disconnects the store again";
        let name = self.origin.trigger.name.as_deref().unwrap_or_default();
        match self.origin.trigger.kind {
            TriggerType::Direct | TriggerType::Unrecognised => None,
            TriggerType::Alarm if is_safe(name) => Some(format!(
                "{first}. Disable the rule that forwards the alarm (aws events disable-rule), and all of the alarm's own \
                 actions: aws cloudwatch disable-alarm-actions{} --alarm-names {name}",
                self.region()
            )),
            TriggerType::Alarm => Some(format!(
                "{first}: the rule that forwards the alarm, and the alarm's own actions"
            )),
            TriggerType::EventBridge => Some(format!("{first}: the rule that forwards this event")),
            TriggerType::Schedule => Some(format!("{first}: the schedule")),
            TriggerType::CloudTrail => Some(format!("{first}: the rule of the reconnect guard")),
        }
    }

    /// How the store is connected again, and what that takes: up to 20 minutes with CloudHSM
    /// (<https://docs.aws.amazon.com/kms/latest/developerguide/connect-keystore.html>), about five with an external
    /// key manager (<https://docs.aws.amazon.com/kms/latest/developerguide/xks-connect-disconnect.html>).
    fn reconnect(&self) -> String {
        let kind = self.progress.key_store.as_ref().and_then(|store| store.kind.as_ref());
        let takes = match kind {
            Some(KeyStoreType::AwsCloudHsm) => {
                "It needs an active HSM and the kmsuser password that KMS knows, and takes up to 20 minutes"
            }
            Some(KeyStoreType::ExternalKeyStore) => {
                "It needs a proxy that answers and knows KMS's credential, and takes about five minutes"
            }
            Some(KeyStoreType::Unknown(_)) | None => "It needs a working cluster or proxy, and takes up to 20 minutes",
        };
        format!(
            "Reconnect once its keys may be used again, with a role that has kms:ConnectCustomKeyStore. If the stack has a reconnect \
             guard, disable its rule first. {takes}: {}",
            self.kms("connect-custom-key-store", self.id())
        )
    }

    fn cut(&self) -> String {
        self.kms("disconnect-custom-key-store", Some(self.id().unwrap_or("KEY_STORE_ID")))
    }

    fn read(&self) -> String {
        self.kms("describe-custom-key-stores", self.id())
    }

    fn who_connects(&self) -> String {
        format!(
            "aws cloudtrail lookup-events{} --lookup-attributes AttributeKey=EventName,AttributeValue=ConnectCustomKeyStore",
            self.region()
        )
    }

    fn kms(&self, command: &str, id: Option<&str>) -> String {
        let id = id.map(|id| format!(" --custom-key-store-id {id}")).unwrap_or_default();
        format!("aws kms {command}{}{id}", self.region())
    }

    fn id(&self) -> Option<&str> {
        self.origin.key_store_id.as_ref().map(KeyStoreId::as_str)
    }

    fn region(&self) -> String {
        let region = self.origin.region.as_deref().filter(|region| is_safe(region));
        region.map(|region| format!(" --region {region}")).unwrap_or_default()
    }
}

/// Where no event was read, nobody knows whether one asked for a disconnect.
const BY_HAND_IF_ANY: &str = "If a key store must be disconnected now, which this notice does not know, act by hand, with its ID in \
                              place of KEY_STORE_ID";

/// What is lost without its key, and when
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ArchivalSummary.html>).
const DATA: &str = "Tell the owners of databases encrypted with its keys now. RDS instances that cannot be stopped (read replicas and their \
                    sources, Aurora clusters with cross-Region replicas) are lost at once; other RDS databases, and DynamoDB \
                    tables, have seven days";

/// True if a shell reads it as one plain word, and chat shows it unchanged: chat takes a dot apart, lest it make a link. The
/// name of an alarm has at most 255 characters.
fn is_safe(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_/-".contains(&b))
        && !word.starts_with('-')
}

/// An advice as a step: it begins with a capital, and is not longer than a notice can carry.
fn sentence(advice: &str) -> String {
    text::cut(advice, 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_word_is_put_into_a_command() {
        for word in ["XksProxyErrorsHigh", "us-east-1", "a-b/c_d"] {
            assert!(is_safe(word), "{word}");
        }
        for word in [
            "", "a b", "a.b", "a;b", "$(x)", "`x`", "-x", "a'b", "é", "a\nb", "a*", "~",
        ] {
            assert!(!is_safe(word), "{word}");
        }
    }
}
