//! The commands of a report, ready to paste. A command holds nothing that a shell would interpret,
//! whatever the event said: IDs and Regions have a form, and a name is in a command only if it is
//! made of letters, digits and a few marks.

use crate::{
    ids::{AccountRegion, KeyStoreId},
    run::Origin,
};

/// What the reader puts an ID in place of.
const KEY_STORE_ID: &str = "KEY_STORE_ID";

/// The commands for the account and Region of a key store.
#[derive(Clone, Copy)]
pub(super) struct Commands<'a> {
    origin: &'a Origin,
    account: Option<&'a str>,
    region: Option<&'a str>,
}

impl<'a> Commands<'a> {
    /// In the account and Region of the run.
    pub(super) fn of(origin: &'a Origin) -> Self {
        Self {
            origin,
            account: origin.account.as_deref(),
            region: origin.region.as_deref(),
        }
    }

    /// In another account or Region, from which the event is.
    pub(super) fn at(self, place: &'a AccountRegion) -> Self {
        Self {
            account: place.account.as_deref(),
            region: place.region.as_deref(),
            ..self
        }
    }

    /// Disconnects the key store of the event, if that names one, or one whose ID the reader must
    /// find.
    pub(super) fn disconnect(&self) -> String {
        self.kms("disconnect", "store", Some(self.id().unwrap_or(KEY_STORE_ID)))
    }

    /// Disconnects a key store whose ID the reader must find.
    pub(super) fn disconnect_another(&self) -> String {
        self.kms("disconnect", "store", Some(KEY_STORE_ID))
    }

    pub(super) fn connect(&self) -> String {
        self.kms("connect", "store", self.id())
    }

    /// Reads the key store, or all if the event names none.
    pub(super) fn read(&self) -> String {
        self.kms("describe", "stores", self.id())
    }

    /// Reads all key stores.
    pub(super) fn list(&self) -> String {
        self.kms("describe", "stores", None)
    }

    fn kms(&self, verb: &str, what: &str, id: Option<&str>) -> String {
        let id = id.map(|id| format!(" --custom-key-store-id {id}")).unwrap_or_default();
        format!("aws kms {verb}-custom-key-{what}{}{id}", self.region())
    }

    /// Looks up in CloudTrail who made a call. CloudTrail keeps calls for 90 days.
    pub(super) fn who_called(&self, call: &str) -> String {
        format!(
            "aws cloudtrail lookup-events{} --lookup-attributes AttributeKey=EventName,AttributeValue={call}",
            self.region()
        )
    }

    /// The rules that call this function.
    pub(super) fn rules(&self) -> String {
        let function = self.origin.function.arn.as_deref().filter(|arn| is_safe_arn(arn));
        let function = function.unwrap_or("FUNCTION_ARN");
        format!(
            "aws events list-rule-names-by-target{} --target-arn {function}",
            self.region()
        )
    }

    /// All rules: one may call the function through a topic.
    pub(super) fn all_rules(&self) -> String {
        format!("aws events list-rules{}", self.region())
    }

    /// Disables a rule whose name the reader must find.
    pub(super) fn disable_rule(&self) -> String {
        format!("aws events disable-rule{} --name RULE_NAME", self.region())
    }

    /// Disables a key whose ID the reader must find.
    pub(super) fn disable_key(&self) -> String {
        format!("aws kms disable-key{} --key-id KEY_ID", self.region())
    }

    /// Disables the actions of the alarm, if its name is fit for a command.
    pub(super) fn disable_alarm_actions(&self) -> Option<String> {
        let name = self.origin.trigger.name.as_deref().filter(|name| is_safe(name))?;
        let region = self.region();
        Some(format!(
            "aws cloudwatch disable-alarm-actions{region} --alarm-names {name}"
        ))
    }

    /// The account in which they work.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.filter(|account| is_safe(account))
    }

    fn id(&self) -> Option<&str> {
        self.origin.key_store_id.as_ref().map(KeyStoreId::as_str)
    }

    fn region(&self) -> String {
        let region = self.region.filter(|region| is_safe(region));
        region.map(|region| format!(" --region {region}")).unwrap_or_default()
    }
}

/// True if a shell reads it as one plain word, and chat shows it unchanged: chat takes a dot apart,
/// so that it makes no link. The name of an alarm has at most 255 characters.
fn is_safe(word: &str) -> bool {
    (1..=255).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_/-".contains(&b))
        && !word.starts_with('-')
}

/// The same for an ARN, which has colons too.
fn is_safe_arn(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.split(':').all(|part| part.is_empty() || is_safe(part))
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
        assert!(is_safe_arn(
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:switch-Function"
        ));
        for arn in ["switch-Function", "arn:aws:lambda:x;id", "arn:aws:lambda:$(id)"] {
            assert!(!is_safe_arn(arn), "{arn}");
        }
    }
}
