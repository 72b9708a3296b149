//! What every invocation is handled with: the configuration and the clients.

use aws_config::{Region, SdkConfig};

use crate::{
    config::{Config, Endpoints},
    ids::TopicArn,
    report::Refusals,
};

/// What every invocation is handled with.
#[derive(Debug, Clone)]
pub struct App {
    /// What the function was deployed with.
    pub config: Config,
    /// KMS in the function's Region.
    pub kms: aws_sdk_kms::Client,
    /// SNS in the topic's Region.
    pub sns: aws_sdk_sns::Client,
    /// Where chat messages go, if there is a chat.
    pub chat: Option<Chat>,
    /// The refusals that were published: the one thing that an invocation leaves for the next.
    pub refusals: Refusals,
}

/// Where chat messages go.
#[derive(Debug, Clone)]
pub struct Chat {
    /// SNS in the chat topic's Region.
    pub sns: aws_sdk_sns::Client,
    /// The chat topic.
    pub topic: TopicArn,
}

impl Chat {
    /// The chat of a topic.
    #[must_use]
    pub fn new(sdk: &SdkConfig, topic: TopicArn, endpoints: &Endpoints) -> Self {
        Self {
            sns: sns_client(sdk, &topic, endpoints),
            topic,
        }
    }
}

impl App {
    /// Builds the clients from one SDK configuration.
    #[must_use]
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        let mut kms = aws_sdk_kms::config::Builder::from(sdk);
        if let Some(endpoint) = &config.endpoints.kms {
            kms = kms.endpoint_url(endpoint);
        }
        Self {
            kms: aws_sdk_kms::Client::from_conf(kms.build()),
            sns: sns_client(sdk, &config.topic, &config.endpoints),
            chat: config
                .chat_topic
                .clone()
                .map(|topic| Chat::new(sdk, topic, &config.endpoints)),
            refusals: Refusals::default(),
            config,
        }
    }
}

/// SNS takes a `Publish` only in the topic's own Region.
pub(crate) fn sns_client(sdk: &SdkConfig, topic: &TopicArn, endpoints: &Endpoints) -> aws_sdk_sns::Client {
    let region = Region::new(topic.region().to_owned());
    let mut sns = aws_sdk_sns::config::Builder::from(sdk).region(region);
    if let Some(endpoint) = &endpoints.sns {
        sns = sns.endpoint_url(endpoint);
    }
    aws_sdk_sns::Client::from_conf(sns.build())
}
