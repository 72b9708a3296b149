//! The configuration: environment variables → [`Config`]. A public interface; README.md documents it.

use std::{collections::BTreeSet, fmt};

use crate::{
    guard::AllowList,
    ids::{KeyStoreId, TopicArn},
    text,
};

/// What the function was deployed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `ALLOWED_KEY_STORE_IDS`: comma-separated IDs, or `*` alone. Required.
    pub allowed: AllowList,
    /// `TOPIC_ARN`: the topic of the notices. Required.
    pub topic: TopicArn,
    /// `DRY_RUN`: `true` makes every run a dry run. Default `false`.
    pub dry_run: bool,
    /// `AWS_REGION`: the function's own Region, which Lambda sets. KMS is called here.
    pub region: String,
}

impl Config {
    /// Reads the configuration through `lookup`, which answers for one variable's name.
    ///
    /// # Errors
    /// [`InvalidConfiguration`] with every fault, not just the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidConfiguration> {
        let mut faults = Vec::new();
        let allowed = check(&mut faults, "ALLOWED_KEY_STORE_IDS", &lookup, allow_list);
        let topic = check(&mut faults, "TOPIC_ARN", &lookup, topic_arn);
        let dry_run = check(&mut faults, "DRY_RUN", &lookup, dry_run);
        // The SDK's own order.
        let is_set = |name: &&str| lookup(name).is_some();
        let name = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find(is_set);
        let region = check(&mut faults, name.unwrap_or("AWS_REGION"), &lookup, region);
        match (allowed, topic, dry_run, region) {
            (Some(allowed), Some(topic), Some(dry_run), Some(region)) => Ok(Self {
                allowed,
                topic,
                dry_run,
                region,
            }),
            (_, topic, _, region) => Err(InvalidConfiguration { faults, topic, region }),
        }
    }
}

/// The function was deployed with settings that it cannot work with, so it does nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidConfiguration {
    /// Every fault, in the order of the documentation; never empty.
    pub faults: Vec<Fault>,
    /// Where it can be reported: the topic, if that variable was good.
    pub topic: Option<TopicArn>,
    /// The function's Region, if that variable was good.
    pub region: Option<String>,
}

impl fmt::Display for InvalidConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the function's environment is faulty, so no event is acted on: ")?;
        for (index, fault) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

/// One variable that does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {}, expected {expected}", found(.held.as_deref(), .why))]
pub struct Fault {
    /// The variable's name.
    pub variable: &'static str,
    /// What it held; absent if it was not set.
    pub held: Option<String>,
    /// What is wrong with that, in a few words.
    pub why: String,
    /// What it should hold.
    pub expected: &'static str,
}

/// A topic's ARN has at most some 330 characters, and a list of the ten key stores of an account 260.
const HELD_SHOWN: usize = 1024;

fn found(held: Option<&str>, why: &str) -> String {
    match held {
        None => "is not set".into(),
        Some(held) => format!("is {}: {why}", text::quote_to(HELD_SHOWN, held)),
    }
}

/// What is wrong with a variable's value, and what is expected instead.
type Wrong = (String, &'static str);

fn check<T>(
    faults: &mut Vec<Fault>,
    variable: &'static str,
    lookup: impl Fn(&str) -> Option<String>,
    parse: impl Fn(Option<&str>) -> Result<T, Wrong>,
) -> Option<T> {
    let held = lookup(variable);
    match parse(held.as_deref()) {
        Ok(value) => Some(value),
        Err((why, expected)) => {
            faults.push(Fault {
                variable,
                held,
                why,
                expected,
            });
            None
        }
    }
}

fn allow_list(held: Option<&str>) -> Result<AllowList, Wrong> {
    const EXPECTED: &str =
        "custom key store IDs separated by commas, such as cks-1234567890abcdef0, or * alone for any";
    let wrong = |why: String| (why, EXPECTED);
    let held = held.unwrap_or_default().trim();
    if held == "*" {
        return Ok(AllowList::Any);
    }
    if held.is_empty() {
        return Err(wrong("names no key store".into()));
    }
    let mut ids = BTreeSet::new();
    let mut faults = Vec::new();
    for entry in held.split(',').map(str::trim) {
        match entry.parse::<KeyStoreId>() {
            Ok(_) if entry == "*" => faults.push("* stands beside other entries".into()),
            Ok(id) => {
                ids.insert(id);
            }
            Err(why) => faults.push(format!("the entry {} {why}", text::quote(entry))),
        }
    }
    if faults.is_empty() {
        Ok(AllowList::These(ids))
    } else {
        Err(wrong(faults.join(", ")))
    }
}

fn topic_arn(held: Option<&str>) -> Result<TopicArn, Wrong> {
    held.unwrap_or_default().trim().parse().map_err(|why| {
        (
            format!("it {why}"),
            "the ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:key-store-notices",
        )
    })
}

fn dry_run(held: Option<&str>) -> Result<bool, Wrong> {
    match held {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(("it is neither".into(), "true or false")),
    }
}

fn region(held: Option<&str>) -> Result<String, Wrong> {
    match held {
        Some(region) if !region.is_empty() => Ok(region.to_owned()),
        _ => Err((
            "it is empty".into(),
            "the Region's code, such as us-east-1 (Lambda sets it; set it yourself when you run the function elsewhere)",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] = [
        ("ALLOWED_KEY_STORE_IDS", "cks-1, cks-2,cks-1"),
        ("TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:t"),
        ("AWS_REGION", "us-east-1"),
    ];

    fn config(changes: &[(&str, Option<&str>)]) -> Result<Config, InvalidConfiguration> {
        Config::from_lookup(|name| {
            changes
                .iter()
                .find(|(changed, _)| *changed == name)
                .map_or_else(
                    || GOOD.iter().find(|(good, _)| *good == name).map(|(_, value)| *value),
                    |(_, value)| *value,
                )
                .map(str::to_owned)
        })
    }

    #[test]
    fn ids_are_listed_with_commas_and_spaces_and_dry_run_is_off_unless_said() {
        let config = config(&[]).unwrap();
        let ids = ["cks-1", "cks-2"].map(|id| id.parse().unwrap());
        assert_eq!(config.allowed, AllowList::These(BTreeSet::from(ids)));
        assert!(!config.dry_run);
    }

    #[test]
    fn a_star_allows_any_only_when_it_stands_alone() {
        let star = |value| config(&[("ALLOWED_KEY_STORE_IDS", Some(value))]);
        assert_eq!(star("*").unwrap().allowed, AllowList::Any);
        assert!(star("cks-1,*").unwrap_err().to_string().contains("* stands beside"));
    }

    #[test]
    fn each_bad_entry_of_the_allow_list_is_told() {
        let message = config(&[("ALLOWED_KEY_STORE_IDS", Some("cks 1,cks-2,,*"))])
            .unwrap_err()
            .to_string();
        for part in [
            "the entry \"cks 1\" holds a space",
            "the entry \"\" is empty",
            "* stands beside other entries",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        assert!(!message.contains("\"cks-2\""), "{message}");
    }

    #[test]
    fn what_a_variable_held_is_told_whole() {
        let arn = format!("arn:aws:sqs:us-east-1:123456789012:{}", "n".repeat(256));
        let message = config(&[("TOPIC_ARN", Some(&arn))]).unwrap_err().to_string();
        assert!(message.contains(&format!("\"{arn}\"")), "{message}");
    }

    #[test]
    fn the_region_is_found_where_the_sdk_finds_it() {
        let region = |changes: &[(&str, Option<&str>)]| config(changes).unwrap().region;
        let default = ("AWS_DEFAULT_REGION", Some("eu-west-1"));
        assert_eq!(region(&[default]), "us-east-1", "AWS_REGION comes first");
        assert_eq!(region(&[("AWS_REGION", None), default]), "eu-west-1");
        let empty = [("AWS_REGION", None), ("AWS_DEFAULT_REGION", Some(""))];
        let message = config(&empty).unwrap_err().to_string();
        assert!(message.contains("AWS_DEFAULT_REGION is \"\""), "{message}");
    }

    #[test]
    fn dry_run_is_true_or_false_and_nothing_else() {
        let dry_run = |value| config(&[("DRY_RUN", Some(value))]).map(|config| config.dry_run);
        assert_eq!(dry_run("true"), Ok(true));
        assert_eq!(dry_run("false"), Ok(false));
        for bad in ["TRUE", "1", "yes", "", " true"] {
            let message = dry_run(bad).unwrap_err().to_string();
            assert!(message.contains("DRY_RUN"), "{message}");
            assert!(message.contains("expected true or false"), "{message}");
        }
    }

    #[test]
    fn all_faults_are_told_in_one_message_with_what_was_found_and_what_is_expected() {
        let message = config(&[
            ("ALLOWED_KEY_STORE_IDS", None),
            ("TOPIC_ARN", Some("notices")),
            ("DRY_RUN", Some("yes")),
            ("AWS_REGION", None),
        ])
        .unwrap_err()
        .to_string();
        for part in [
            "ALLOWED_KEY_STORE_IDS is not set, expected custom key store IDs",
            "TOPIC_ARN is \"notices\": it is not the ARN of an SNS topic, expected the ARN",
            "DRY_RUN is \"yes\": it is neither, expected true or false",
            "AWS_REGION is not set",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    #[test]
    fn an_allow_list_that_names_nothing_or_holds_a_bad_entry_is_a_fault() {
        for bad in ["", " ", ",", "cks-1,", "cks 1", &"c".repeat(65)] {
            let error = config(&[("ALLOWED_KEY_STORE_IDS", Some(bad))]).unwrap_err();
            assert_eq!(error.faults.len(), 1, "{bad:?}");
            assert!(error.topic.is_some(), "the topic is known, so it can be reported");
        }
    }
}
