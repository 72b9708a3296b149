//! SNS topics: they keep what was published, and refuse what SNS refuses. Query protocol, XML
//! answers.

use std::collections::BTreeMap;

use crate::Refused;

/// Message body and attributes together, in bytes.
const LARGEST: usize = 262_144;

/// A message as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The subject.
    pub subject: String,
    /// The body.
    pub body: String,
    /// Message attributes of the types String and Number.
    pub attributes: BTreeMap<String, String>,
    /// The group, on FIFO topics.
    pub group: Option<String>,
    /// The deduplication ID, on FIFO topics.
    pub deduplication: Option<String>,
}

/// What SNS holds.
#[derive(Debug, Default)]
pub(crate) struct Sns {
    /// By ARN.
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) published: Vec<Message>,
}

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    /// The KMS key that encrypts it.
    pub(crate) key: Option<String>,
    pub(crate) subscriptions: u32,
}

/// The parameters of a Query request.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    pub(crate) fn action(&self) -> &str {
        self.get("Action").unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Sns {
    /// Carries out one operation and gives the inside of its XML answer.
    pub(crate) fn call(&mut self, parameters: &Parameters, region: &str) -> Result<String, Refused> {
        let topic = parameters
            .get("TopicArn")
            .ok_or_else(|| Refused::sns(400, "InvalidParameter", "TopicArn"))?;
        // SNS takes calls only for topics of the Region that is called.
        if topic.split(':').nth(3) != Some(region) {
            return Err(Refused::sns(400, "InvalidParameter", "Invalid parameter: TopicArn"));
        }
        let found = self
            .topics
            .get(topic)
            .ok_or_else(|| Refused::sns(404, "NotFound", "Topic does not exist"))?;
        match parameters.action() {
            "GetTopicAttributes" => Ok(attributes(topic, found)),
            "Publish" => {
                let message = message(topic, parameters)?;
                self.published.push(message);
                Ok(format!(
                    "<MessageId>{:08}-0000-4000-8000-000000000000</MessageId>",
                    self.published.len()
                ))
            }
            other => Err(Refused::sns(400, "InvalidAction", other)),
        }
    }
}

fn attributes(arn: &str, topic: &Topic) -> String {
    let entry = |name: &str, value: &str| format!("<entry><key>{name}</key><value>{value}</value></entry>");
    let key = topic
        .key
        .as_ref()
        .map(|key| entry("KmsMasterKeyId", key))
        .unwrap_or_default();
    let subscriptions = entry("SubscriptionsConfirmed", &topic.subscriptions.to_string());
    format!(
        "<Attributes>{}{subscriptions}{key}</Attributes>",
        entry("TopicArn", arn)
    )
}

fn message(topic: &str, parameters: &Parameters) -> Result<Message, Refused> {
    let message = Message {
        topic: topic.to_owned(),
        subject: parameters.get("Subject").unwrap_or_default().to_owned(),
        body: parameters.get("Message").unwrap_or_default().to_owned(),
        attributes: message_attributes(parameters)?,
        group: parameters.get("MessageGroupId").map(str::to_owned),
        deduplication: parameters.get("MessageDeduplicationId").map(str::to_owned),
    };
    match forbidden(&message, parameters) {
        None => Ok(message),
        Some(what) => Err(Refused::sns(400, "InvalidParameter", what)),
    }
}

fn forbidden(message: &Message, parameters: &Parameters) -> Option<&'static str> {
    let in_id = |c: char| c.is_ascii_graphic();
    let fifo = message.topic.strip_suffix(".fifo").is_some();
    let attributes: usize = message
        .attributes
        .iter()
        .map(|(name, value)| name.len() + "String".len() + value.len())
        .sum();
    if message.subject.is_empty() || message.subject.len() >= 100 {
        Some("Subject")
    } else if !message.subject.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        Some("Subject: line breaks, control characters or other than ASCII")
    } else if message.body.is_empty() {
        Some("Empty message")
    } else if message.body.len() + attributes > LARGEST {
        Some("Message too long")
    } else if parameters.get("MessageStructure").is_some() {
        Some("MessageStructure: the attributes would be lost")
    } else if fifo != (message.group.is_some() && message.deduplication.is_some()) {
        Some("MessageGroupId and MessageDeduplicationId belong to FIFO topics, and there they are needed")
    } else if [&message.group, &message.deduplication]
        .into_iter()
        .flatten()
        .any(|id| id.is_empty() || id.len() > 128 || !id.chars().all(in_id))
    {
        Some("MessageGroupId or MessageDeduplicationId")
    } else {
        None
    }
}

fn message_attributes(parameters: &Parameters) -> Result<BTreeMap<String, String>, Refused> {
    let mut attributes = BTreeMap::new();
    for index in 1.. {
        let field = |name| format!("MessageAttributes.entry.{index}.{name}");
        let Some(name) = parameters.get(&field("Name")) else {
            break;
        };
        let value = parameters.get(&field("Value.StringValue")).unwrap_or_default();
        let is_valid = match parameters.get(&field("Value.DataType")) {
            Some("String") => !value.is_empty(),
            Some("Number") => value.parse::<f64>().is_ok(),
            Some(_) | None => false,
        };
        if !is_valid {
            return Err(Refused::sns(400, "ParameterValueInvalid", name));
        }
        attributes.insert(name.to_owned(), value.to_owned());
    }
    Ok(attributes)
}
