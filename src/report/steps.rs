//! What to do next: one action a text, the most urgent first, with commands that are ready to
//! paste. A command holds nothing that a shell would interpret, whatever the event said: IDs and
//! Regions have a form, and a name is in a command only if it is made of letters, digits and a few
//! marks.

use crate::{
    aws::{Cause, ConnectionState, KeyStoreType},
    event::TriggerType,
    ids::KeyStoreId,
    outcome::{Failure, NotVerified, Outcome, Refusal, Stage},
    run::{Origin, Progress},
};

/// The most steps of a report.
pub(super) const MOST: usize = 6;
/// How many findings of a dry run have a step each.
const FINDINGS: usize = 2;

/// The steps, and `runbook` as the last one if it is set.
pub(super) fn steps(origin: &Origin, progress: &Progress, stage: Stage<'_>, runbook: Option<&str>) -> Vec<String> {
    let advice = Advice {
        origin,
        progress,
        has_runbook: runbook.is_some(),
    };
    let mut steps = match stage {
        Stage::Early => Vec::new(),
        Stage::Final(outcome) => advice.after(outcome),
    };
    steps.truncate(MOST - usize::from(runbook.is_some()));
    steps.extend(runbook.map(self::runbook));
    steps
}

/// The step that is the runbook's address.
pub(super) fn runbook(url: &str) -> String {
    format!("Follow the runbook: {url}")
}

/// The steps for the account and Region of a run.
struct Advice<'a> {
    origin: &'a Origin,
    progress: &'a Progress,
    /// True if a runbook is the last step. Then there is room for one step less, and the runbook
    /// has the rest.
    has_runbook: bool,
}

impl Advice<'_> {
    fn after(&self, outcome: &Outcome) -> Vec<String> {
        match outcome {
            Outcome::Ignored(_) => Vec::new(),
            Outcome::Disconnected => self.after_the_cut(None),
            Outcome::AlreadyDisconnected => {
                self.after_the_cut(Some(self.who("who disconnected it", "DisconnectCustomKeyStore")))
            }
            Outcome::DryRun { has_findings } => self.after_dry_run(*has_findings),
            Outcome::NotVerified(doubt) => self.after_doubt(doubt),
            Outcome::Refused(refusal) => self.after_refusal(refusal),
            Outcome::Failed(failure) => self.after_failure(failure),
        }
    }

    /// The step that undoes it comes last.
    fn after_the_cut(&self, who: Option<String>) -> Vec<String> {
        let mut steps = self.stop_the_trigger();
        steps.push(DATA.into());
        steps.push(format!(
            "Check yourself that ConnectionState is DISCONNECTED: {}",
            self.read()
        ));
        steps.extend(who);
        steps.push(self.reconnect());
        steps
    }

    fn after_dry_run(&self, has_findings: bool) -> Vec<String> {
        let mut steps = Vec::new();
        if self.origin.is_observing {
            steps.push(format!(
                "If the key store must be disconnected now, do it by hand, because this function only observes: {}",
                self.cut()
            ));
        }
        if has_findings {
            let findings = self.progress.findings.as_deref().unwrap_or_default();
            let shown = findings.iter().take(FINDINGS);
            steps.extend(shown.map(|finding| format!("Resolve this finding: {finding}")));
            if findings.len() > FINDINGS {
                steps.push("Resolve the other findings, which are in the field findings".into());
            }
            steps.push("Then repeat the dry run".into());
        }
        steps
    }

    /// A store that may be connected is disconnected first.
    fn after_doubt(&self, doubt: &NotVerified) -> Vec<String> {
        if doubt.is_under_way {
            return self.after_doubt_under_way(doubt);
        }
        let mut steps = vec![self.by_hand(), self.read_until_disconnected()];
        if let Some(ConnectionState::Connected | ConnectionState::Connecting) = self.progress.state() {
            steps.push(self.who("whether somebody connected it", "ConnectCustomKeyStore"));
        }
        steps.push(self.again(doubt));
        steps
    }

    fn after_doubt_under_way(&self, doubt: &NotVerified) -> Vec<String> {
        let mut steps = if self.progress.state() == Some(&ConnectionState::Disconnected) {
            vec![format!(
                "Read ConnectionState once more. DISCONNECTED again confirms it: {}",
                self.read()
            )]
        } else {
            vec![
                format!("Read ConnectionState until it is DISCONNECTED: {}", self.read()),
                self.by_hand_if_connected(),
            ]
        };
        steps.extend(self.stop_the_trigger());
        steps.extend([DATA.into(), self.again(doubt)]);
        steps
    }

    /// What becomes of the run that was not verified.
    fn again(&self, doubt: &NotVerified) -> String {
        let lasting = doubt.error.as_ref().filter(|error| match error.cause {
            Cause::Denied | Cause::NoCredentials | Cause::NotSent => true,
            Cause::NotFound
            | Cause::InvalidState
            | Cause::Throttled
            | Cause::Unreachable
            | Cause::Unavailable
            | Cause::Other => false,
        });
        if let Some(error) = lasting {
            format!(
                "Then correct the cause, because a retry ends the same way: {}",
                error.advice()
            )
        } else if self.origin.trigger.kind == TriggerType::Direct {
            "If you waited for the answer of aws lambda invoke, invoke the function again. If not, wait: Lambda runs the event \
             up to two more times, and each run reports"
                .into()
        } else {
            "Wait for the next notice. Lambda runs the event up to two more times, and each run reports".into()
        }
    }

    fn after_refusal(&self, refusal: &Refusal) -> Vec<String> {
        match refusal {
            Refusal::Event(invalid) if self.origin.is_trial => vec![invalid.instead.clone()],
            Refusal::Event(invalid) => vec![invalid.instead.clone(), self.by_hand_now()],
            Refusal::Guard(_) if self.origin.is_trial => vec![
                "Compare the ID with ALLOWED_KEY_STORE_IDS (the stack's parameter AllowedKeyStoreIds): a real run would be refused too"
                    .into(),
                "Correct the ID or the list, and repeat the dry run".into(),
            ],
            Refusal::Guard(_) => vec![
                format!("Find out whether this is the key store that you mean: {}", self.read()),
                self.by_hand_now(),
                "If the function is meant to disconnect it, add the ID to ALLOWED_KEY_STORE_IDS (the stack's parameter \
                 AllowedKeyStoreIds) later, in a reviewed deployment".into(),
            ],
        }
    }

    fn after_failure(&self, failure: &Failure) -> Vec<String> {
        match failure {
            Failure::Call(error) => self.after_failed_call(error.cause, &error.advice()),
            Failure::Panic(_) if self.origin.dry_run => vec![self.by_hand_now(), LOG_LINE.into()],
            Failure::Panic(_) => self.until_disconnected(LOG_LINE.into()),
            Failure::Configuration(_) => vec![
                self.by_hand_if_any(),
                "Correct the environment variables that the field error.message names, and run a dry run".into(),
            ],
            Failure::NotHandedOver(_) => vec![
                self.by_hand_if_any(),
                "Invoke the function again without a client context (--client-context)".into(),
            ],
        }
    }

    fn after_failed_call(&self, cause: Cause, advice: &str) -> Vec<String> {
        if cause == Cause::NotFound && self.progress.unanswered == 0 {
            return vec![
                format!(
                    "Find the right ID, in this account and Region: {}",
                    self.kms("describe-custom-key-stores", None)
                ),
                "Send the event again with that ID".into(),
            ];
        }
        if self.origin.dry_run {
            let again = if self.origin.is_trial {
                ", and repeat the dry run"
            } else {
                ""
            };
            return vec![format!("Correct the cause{again}: {advice}"), self.by_hand_now()];
        }
        self.until_disconnected(format!("Then correct the cause: {advice}"))
    }

    /// The store is disconnected and read by hand, and then `correct` follows.
    fn until_disconnected(&self, correct: String) -> Vec<String> {
        if self.id().is_none() {
            return vec![self.by_hand_if_any(), correct];
        }
        if self.progress.is_under_way() {
            return vec![self.read_until_disconnected(), self.by_hand_if_connected(), correct];
        }
        vec![self.by_hand(), self.read_until_disconnected(), correct]
    }

    fn by_hand(&self) -> String {
        let account = self.origin.account.as_deref().filter(|account| is_safe(account));
        let account = account
            .map(|account| format!(" in account {account}"))
            .unwrap_or_default();
        format!(
            "Disconnect it by hand{account}, with a role that has kms:DisconnectCustomKeyStore: {}",
            self.cut()
        )
    }

    fn by_hand_if_connected(&self) -> String {
        format!(
            "If it becomes CONNECTED or FAILED, disconnect it by hand: {}",
            self.cut()
        )
    }

    fn by_hand_now(&self) -> String {
        let which = if self.id().is_some() {
            ""
        } else {
            ", with its ID in place of KEY_STORE_ID"
        };
        format!(
            "If the key store must be disconnected now, do it by hand{which}: {}",
            self.cut()
        )
    }

    /// Where no event was read, nobody knows whether one asked for a disconnect.
    fn by_hand_if_any(&self) -> String {
        format!(
            "This notice does not know whether a key store must be disconnected now. If one must be, do it by hand, with its ID \
             in place of KEY_STORE_ID: {}",
            self.cut()
        )
    }

    /// KMS answers so if the store is already disconnected or disconnecting.
    fn read_until_disconnected(&self) -> String {
        format!(
            "Read ConnectionState until it is DISCONNECTED, also after the answer CustomKeyStoreInvalidStateException: {}",
            self.read()
        )
    }

    /// A trigger that disconnected a store by mistake disconnects it again when it is connected
    /// again.
    fn stop_the_trigger(&self) -> Vec<String> {
        let first = |what: &str| format!("If this was a mistake, first {what}, or it disconnects the store again");
        let region = self.region();
        let find = format!("(aws events list-rules{region}) and disable it");
        let disable = format!("aws events disable-rule{region} --name RULE_NAME");
        let rule = |which: &str| vec![format!("{}: {disable}", first(&format!("{which} {find}")))];
        let name = self.origin.trigger.name.as_deref().unwrap_or_default();
        match self.origin.trigger.kind {
            TriggerType::Unrecognised => Vec::new(),
            TriggerType::Direct => {
                vec![first(
                    "find what sent the event (a person, a rule, a schedule, an SNS topic) and stop it",
                )]
            }
            TriggerType::Alarm if is_safe(name) => {
                let actions = format!(
                    "{}: aws cloudwatch disable-alarm-actions{region} --alarm-names {name}",
                    first("disable the actions of the alarm, its pager's too"),
                );
                let rule = format!("Then find the rule that forwards the alarm {find}: {disable}");
                if self.has_runbook {
                    vec![actions]
                } else {
                    vec![actions, rule]
                }
            }
            TriggerType::Alarm => rule("disable the actions of the alarm, find the rule that forwards it"),
            TriggerType::EventBridge => rule("find the rule that forwards this event"),
            TriggerType::Schedule => vec![first("disable the schedule")],
            TriggerType::CloudTrail => rule("find the rule of the reconnect guard"),
        }
    }

    /// How the store is connected again, and what that takes: up to 20 minutes with CloudHSM
    /// (<https://docs.aws.amazon.com/kms/latest/developerguide/connect-keystore.html>), about five
    /// with an external key manager
    /// (<https://docs.aws.amazon.com/kms/latest/developerguide/xks-connect-disconnect.html>).
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
            "Reconnect it only when the owner of its keys agrees, with a role that has kms:ConnectCustomKeyStore. If the stack has a \
             reconnect guard, disable its rule first. {takes}: {}",
            self.kms("connect-custom-key-store", self.id())
        )
    }

    fn cut(&self) -> String {
        self.kms("disconnect-custom-key-store", Some(self.id().unwrap_or("KEY_STORE_ID")))
    }

    fn read(&self) -> String {
        self.kms("describe-custom-key-stores", self.id())
    }

    /// Who made a call, by CloudTrail, which keeps it for 90 days.
    fn who(&self, what: &str, call: &str) -> String {
        format!(
            "Find out {what}. CloudTrail shows that some minutes late: aws cloudtrail lookup-events{} \
             --lookup-attributes AttributeKey=EventName,AttributeValue={call}",
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

/// A panic is nothing that an operator can correct.
const LOG_LINE: &str =
    "Then give the log line of this run to the team that maintains the function: a panic is a fault of the function";

/// What is lost without its key, and when
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ReplicaDescription.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ArchivalSummary.html>).
const DATA: &str = "Tell the owners of databases encrypted with its keys now. RDS read replicas, their sources, and Aurora clusters \
                    with cross-Region replicas are lost at once. Replicas of DynamoDB global tables leave their table after 20 \
                    hours. Other RDS databases and DynamoDB tables have seven days";

/// True if a shell reads it as one plain word, and chat shows it unchanged: chat takes a dot apart,
/// so that it makes no link. The name of an alarm has at most 255 characters.
fn is_safe(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_/-".contains(&b))
        && !word.starts_with('-')
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
