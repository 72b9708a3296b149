//! The next steps of a report: one action in each, the most urgent first. A step that has a command
//! ends with it.

use super::commands::Commands;
use crate::{
    aws::{Cause, ConnectionState, KeyStoreType},
    event::TriggerType,
    outcome::{Failure, NotVerified, Outcome, Refusal, Stage},
    run::{Origin, Progress},
};

/// The most steps of a report.
pub(super) const MOST: usize = 6;
/// How many findings of a dry run have a step each; two less if the function observes.
const FINDINGS: usize = 3;

/// The steps, and `runbook` as the last one if it is set.
pub(super) fn steps(origin: &Origin, progress: &Progress, stage: Stage<'_>, runbook: Option<&str>) -> Vec<String> {
    let advice = Advice {
        origin,
        progress,
        commands: Commands::of(origin),
    };
    let mut steps = match stage {
        Stage::Early => advice.meanwhile(),
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
    commands: Commands<'a>,
}

impl Advice<'_> {
    /// What to do if this run does not report again.
    fn meanwhile(&self) -> Vec<String> {
        let by = self.origin.by_its_end();
        vec![
            format!(
                "If no other notice comes {by}, read ConnectionState: {}",
                self.commands.read()
            ),
            self.by_hand_if("it is not DISCONNECTED or DISCONNECTING then"),
        ]
    }

    fn after(&self, outcome: &Outcome) -> Vec<String> {
        match outcome {
            Outcome::Ignored(_) => Vec::new(),
            Outcome::Disconnected => self.after_the_cut(None),
            // An earlier run of the reconnect guard has disconnected it.
            Outcome::AlreadyDisconnected if self.origin.trigger.kind == TriggerType::CloudTrail => {
                self.after_the_cut(None)
            }
            Outcome::AlreadyDisconnected => {
                let who = "who disconnected it, which may have been an earlier run of this event";
                self.after_the_cut(Some(self.who(who, "DisconnectCustomKeyStore")))
            }
            Outcome::DryRun { has_findings } => self.after_dry_run(*has_findings),
            Outcome::NotVerified(doubt) => self.after_doubt(doubt),
            Outcome::Refused(refusal) => self.after_refusal(refusal),
            Outcome::Failed(failure) => self.after_failure(failure),
        }
    }

    /// The step that undoes it comes last.
    fn after_the_cut(&self, who: Option<String>) -> Vec<String> {
        let mut steps = Vec::new();
        if self.origin.trigger.kind == TriggerType::CloudTrail {
            steps.push(self.who(CONNECTED, "ConnectCustomKeyStore"));
        }
        steps.extend(self.stop_the_trigger());
        steps.push(DATA.into());
        steps.push(format!(
            "Confirm that ConnectionState is DISCONNECTED: {}",
            self.commands.read()
        ));
        steps.extend(who);
        steps.push(self.reconnect());
        steps
    }

    fn after_dry_run(&self, has_findings: bool) -> Vec<String> {
        let mut steps = Vec::new();
        if self.origin.is_observing {
            steps.push(self.by_hand_now());
            steps.push(
                "This function only observes. If it is meant to act, set DRY_RUN to false (the stack's parameter DryRun)"
                    .into(),
            );
        }
        if has_findings {
            let findings = self.progress.findings.as_deref().unwrap_or_default();
            let most = FINDINGS - 2 * usize::from(self.origin.is_observing);
            let shown = findings.iter().take(most);
            steps.extend(shown.map(|finding| format!("Resolve this finding: {finding}")));
            if findings.len() > most {
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
        let mut steps = vec![self.by_hand(), self.read_until_disconnected(), DATA.into()];
        if self.progress.is_invalid_state && !self.progress.is_accepted {
            steps.push(self.without_a_disconnect());
        } else if let Some(ConnectionState::Connected | ConnectionState::Connecting) = self.progress.state() {
            steps.push(self.who("whether somebody connected it", "ConnectCustomKeyStore"));
        }
        steps.push(self.again(doubt));
        steps
    }

    fn after_doubt_under_way(&self, doubt: &NotVerified) -> Vec<String> {
        let until = if self.progress.state() == Some(&ConnectionState::Disconnected) {
            "once more. DISCONNECTED again confirms it"
        } else {
            "until it is DISCONNECTED"
        };
        let mut steps = vec![
            format!("Read ConnectionState {until}: {}", self.commands.read()),
            self.by_hand_if_connected(),
        ];
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
                "Then correct the cause, because a retry may end the same way: {}",
                error.advice()
            )
        } else if self.origin.trigger.kind == TriggerType::Direct {
            format!("If you invoked the function and waited for its answer, invoke it again. Otherwise, {AGAIN}")
        } else {
            format!("Wait for the next notice: {AGAIN}")
        }
    }

    fn after_refusal(&self, refusal: &Refusal) -> Vec<String> {
        match refusal {
            Refusal::Event(invalid) if self.origin.is_trial => vec![invalid.instead.clone()],
            Refusal::Event(invalid) => {
                let commands = match &invalid.elsewhere {
                    Some(place) => self.commands.at(place),
                    None => self.commands,
                };
                let there = Advice { commands, ..*self };
                let (by_hand, instead) = (there.by_hand_now(), invalid.instead.clone());
                match self.origin.trigger.kind {
                    // Most of them come from a person, who can send the right event.
                    TriggerType::Direct | TriggerType::Unrecognised => vec![instead, by_hand],
                    TriggerType::EventBridge
                    | TriggerType::Schedule
                    | TriggerType::Alarm
                    | TriggerType::CloudTrail => vec![by_hand, instead],
                }
            }
            Refusal::Guard(_) if self.origin.is_trial => vec![
                "Compare the ID with ALLOWED_KEY_STORE_IDS (the stack's parameter AllowedKeyStoreIds): a real run would be refused too"
                    .into(),
                "Correct the ID or the list, and repeat the dry run".into(),
            ],
            Refusal::Guard(_) => {
                let observed = if self.origin.is_observing { ", and set DRY_RUN to false," } else { "" };
                vec![
                    format!("Find out whether this is the key store that you mean: {}", self.commands.read()),
                    self.by_hand_now(),
                    format!(
                        "If the function is meant to disconnect it, add the ID to ALLOWED_KEY_STORE_IDS (the stack's parameter \
                         AllowedKeyStoreIds){observed} later, in a reviewed deployment"
                    ),
                ]
            }
        }
    }

    fn after_failure(&self, failure: &Failure) -> Vec<String> {
        match failure {
            Failure::Call(error) => self.after_failed_call(error.cause, &error.advice()),
            Failure::Panic(_) if self.origin.dry_run => vec![self.by_hand_now(), LOG_LINE.into()],
            Failure::Panic(_) => self.until_disconnected(LOG_LINE.into()),
            Failure::Configuration(_) => vec![
                self.find_the_id(),
                self.by_hand_if_any(),
                "Correct the environment variables that the field error.message names, and run a dry run".into(),
            ],
            Failure::NotHandedOver(_) => vec![
                self.find_the_id(),
                self.by_hand_if_any(),
                "Invoke the function again without a client context (--client-context)".into(),
            ],
        }
    }

    fn after_failed_call(&self, cause: Cause, advice: &str) -> Vec<String> {
        if cause == Cause::NotFound && self.progress.unanswered == 0 {
            let mut steps = vec![self.find_the_id()];
            if !self.origin.is_trial {
                steps.push(self.another_by_hand(NOW));
            }
            steps.push("Send the event again with the right ID".into());
            return steps;
        }
        if self.origin.is_trial {
            return vec![
                format!("Correct the cause, and repeat the dry run: {advice}"),
                self.by_hand_now(),
            ];
        }
        if self.origin.dry_run {
            return vec![self.by_hand_now(), format!("Correct the cause: {advice}")];
        }
        self.until_disconnected(format!("Then correct the cause: {advice}"))
    }

    /// The store is disconnected and read by hand, and then `correct` follows.
    fn until_disconnected(&self, correct: String) -> Vec<String> {
        if self.origin.key_store_id.is_none() {
            return vec![self.find_the_id(), self.by_hand_if_any(), correct];
        }
        let first = if self.progress.is_under_way() {
            [self.read_until_disconnected(), self.by_hand_if_connected()]
        } else {
            [self.by_hand(), self.read_until_disconnected()]
        };
        first.into_iter().chain([DATA.into(), correct]).collect()
    }

    /// Where the command of a disconnect works.
    fn with_a_role(&self) -> String {
        let account = self.commands.account();
        let account = account
            .map(|account| format!(" in account {account}"))
            .unwrap_or_default();
        format!("{account}, with a role that has kms:DisconnectCustomKeyStore")
    }

    fn by_hand(&self) -> String {
        format!(
            "Disconnect it by hand{}: {}",
            self.with_a_role(),
            self.commands.disconnect()
        )
    }

    fn by_hand_if(&self, needed: &str) -> String {
        format!(
            "If {needed}, disconnect it by hand{}: {}",
            self.with_a_role(),
            self.commands.disconnect()
        )
    }

    fn by_hand_if_connected(&self) -> String {
        self.by_hand_if("it becomes CONNECTED or FAILED")
    }

    fn by_hand_now(&self) -> String {
        if self.origin.key_store_id.is_none() {
            return self.another_by_hand(NOW);
        }
        let role = self.with_a_role();
        format!("{NOW}, {ALTHOUGH}, do it by hand{role}: {}", self.commands.disconnect())
    }

    /// The step for a store whose ID the reader must find.
    fn another_by_hand(&self, needed: &str) -> String {
        format!(
            "{needed}, {ALTHOUGH}, do it by hand{}, and with its ID in place of KEY_STORE_ID: {}",
            self.with_a_role(),
            self.commands.disconnect_another()
        )
    }

    /// Where no event was read, nobody knows whether one asked for a disconnect.
    fn by_hand_if_any(&self) -> String {
        self.another_by_hand("This notice does not know whether a key store must be disconnected now. If one must")
    }

    fn find_the_id(&self) -> String {
        format!("Find the ID, in this account and Region: {}", self.commands.list())
    }

    /// KMS answers so if the store is already disconnected or disconnecting.
    fn read_until_disconnected(&self) -> String {
        format!(
            "Read ConnectionState until it is DISCONNECTED, also after the answer CustomKeyStoreInvalidStateException: {}",
            self.commands.read()
        )
    }

    /// The last resort, for a store that KMS does not disconnect.
    fn without_a_disconnect(&self) -> String {
        let other = match self.progress.key_store.as_ref().and_then(|store| store.kind.as_ref()) {
            Some(KeyStoreType::ExternalKeyStore) => "block KMS at the proxy of the external key manager, or ",
            Some(KeyStoreType::AwsCloudHsm | KeyStoreType::Unknown(_)) | None => "",
        };
        format!(
            "If KMS rejects that too and the store is still not DISCONNECTED or DISCONNECTING, {other}disable each of its keys: {}",
            self.commands.disable_key()
        )
    }

    /// A trigger that disconnected a store by mistake disconnects it again when it is connected
    /// again.
    fn stop_the_trigger(&self) -> Option<String> {
        let first = |what: &str| format!("If this was a mistake, first {what}, or it disconnects the store again");
        let rule = |which: &str| {
            format!(
                "{}. Enable it after the incident. Find its name with {} or with {} and disable it: {}",
                first(&format!("disable {which}")),
                self.commands.rules(),
                self.commands.all_rules(),
                self.commands.disable_rule()
            )
        };
        match self.origin.trigger.kind {
            TriggerType::Unrecognised => None,
            TriggerType::Direct => Some(first(
                "find what sent the event (a person, a rule, a schedule, an SNS topic) and stop it",
            )),
            TriggerType::Schedule => Some(first("disable the schedule")),
            // A rule gets an alarm's events also if its actions are disabled.
            TriggerType::Alarm if self.origin.trigger.is_by_rule => Some(rule("the rule that forwards the alarm")),
            TriggerType::Alarm => {
                let disable = first("disable the actions of the alarm");
                let silenced = "This silences its pager too, until you enable them again";
                Some(match self.commands.disable_alarm_actions() {
                    Some(command) => format!("{disable}. {silenced}: {command}"),
                    None => format!("{disable}. {silenced}"),
                })
            }
            TriggerType::EventBridge => Some(rule("the rule that forwards this event")),
            TriggerType::CloudTrail => Some(rule("the rule of the reconnect guard")),
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
                "The connection needs an active HSM and the kmsuser password that KMS knows, and takes up to 20 minutes"
            }
            Some(KeyStoreType::ExternalKeyStore) => {
                "The connection needs a proxy that answers and knows KMS's credential, and takes about five minutes"
            }
            Some(KeyStoreType::Unknown(_)) | None => {
                "The connection needs a working cluster or proxy, and takes up to 20 minutes"
            }
        };
        format!(
            "Reconnect it only when the owner of its keys agrees, with a role that has kms:ConnectCustomKeyStore. If a rule \
             disconnects stores that are connected again (the reconnect guard), disable it first. {takes}: {}",
            self.commands.connect()
        )
    }

    /// The step that finds out who made a call.
    fn who(&self, what: &str, call: &str) -> String {
        format!(
            "Find out {what}. CloudTrail shows that some minutes late; a call with an errorCode changed nothing: {}",
            self.commands.who_called(call)
        )
    }
}

/// The condition of a step for a store that the function did not try to disconnect.
const NOW: &str = "If the key store must be disconnected now";

/// The price of it, where somebody has yet to decide.
const ALTHOUGH: &str = "although databases that are encrypted with its keys can be lost";

/// Somebody has undone a disconnect.
const CONNECTED: &str = "whether the caller in the field reason connected the store, and was allowed to. If not, inform your \
                         security team now: its keys may have worked in between";

/// A panic is nothing that an operator can correct.
const LOG_LINE: &str =
    "Then give the log line of this run to the team that maintains the function: a panic is a fault of the function";

/// What is lost without its key, and when
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.Encryption.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ReplicaDescription.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ArchivalSummary.html>).
const DATA: &str = "Tell the owners of the databases that are encrypted with its keys. With the disconnect, RDS read replicas, their \
                    sources, and Aurora clusters with cross-Region replicas are lost: only a backup restores them. After 20 hours, a \
                    replica of a DynamoDB global table leaves its table. After seven days, the other RDS databases are lost, and \
                    DynamoDB archives the other tables";

/// Lambda waits one minute before the second run and two before the third, and a run takes at most
/// 15.
const AGAIN: &str = "Lambda runs the event up to two more times, and each run reports. If no notice comes within 20 minutes, read \
                     ConnectionState yourself";
