//! The chat message: report → the custom-notification form of Amazon Q Developer in chat
//! applications, which shows it in Slack or Microsoft Teams and drops any other form
//! (<https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>).

use serde_json::{Map, Value, json};

use super::{
    Keys, Report,
    notice::{self, Message},
};
use crate::{run::Impact, text};

/// The message, for a standard topic. All messages with one `thread` are shown in one thread.
pub(crate) fn message(report: &Report, thread: &str) -> Message {
    let subject = notice::subject(report);
    Message {
        body: body(report, &subject, thread),
        subject,
        attributes: notice::attributes(report),
        fifo: None,
    }
}

/// The body of the message, under the subject of the notice.
fn body(report: &Report, subject: &str, thread: &str) -> String {
    let title = escaped(subject);
    let steps: Vec<_> = report.next_steps.iter().map(|step| step_of(report, step)).collect();
    let mut content = Map::new();
    content.insert("textType".into(), "client-markdown".into());
    content.insert("title".into(), title.clone().into());
    content.insert("description".into(), escaped(&report.message).into());
    if !steps.is_empty() {
        content.insert("nextSteps".into(), steps.into());
    }
    let message = json!({
        "version": "1.0",
        "source": "custom",
        "content": content,
        "metadata": {
            "threadId": thread,
            "summary": title,
            "eventType": report.outcome.as_str(),
            "additionalContext": context(report),
        },
    });
    text::visible(message.to_string())
}

/// The runbook's address is the deployer's own, and stays a link.
fn step_of(report: &Report, step: &str) -> String {
    match &report.runbook {
        Some(url) if *step == super::steps::runbook(url) => step.to_owned(),
        Some(_) | None => escaped(step),
    }
}

/// Texts to look at, beside the message.
fn context(report: &Report) -> Map<String, Value> {
    [
        (
            "customKeyStoreId",
            report.custom_key_store_id.as_ref().map(ToString::to_string),
        ),
        ("keys", report.keys.map(Keys::as_str).map(str::to_owned)),
        ("connectionState", report.connection_state.clone()),
        ("account", report.account.clone()),
        ("region", report.region.clone()),
        ("trigger", Some(report.trigger.kind.as_str().to_owned())),
        ("dryRun", Some(report.dry_run.to_string())),
        ("requestId", report.request_id.clone()),
        ("lastUsedKeys", report.impact.as_ref().and_then(last_used)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), escaped(&value?).into())))
    .collect()
}

/// The five keys that were used most recently.
fn last_used(impact: &Impact) -> Option<String> {
    let keys = impact
        .found
        .as_ref()?
        .top
        .iter()
        .filter(|key| key.last_used.is_some())
        .take(5);
    let keys: Vec<_> = keys
        .map(|key| {
            let name = key.aliases.first().unwrap_or(&key.key_id);
            let at = key.last_used.as_deref().unwrap_or_default();
            format!("{name} ({} {at})", key.operation.as_deref().unwrap_or("used"))
        })
        .collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}

/// Text in which nothing is a mention, a link or a mark of the chat's own language: Slack reads
/// `<!channel>`, `<@U1>` and `<https://x|y>`, Teams `[y](https://x)` and `<at>`, and both make
/// links of addresses. Our own words have none of these marks, so whole texts are escaped.
fn escaped(text: &str) -> String {
    let text = text.replace("://", ": //");
    let letters: Vec<char> = text.chars().collect();
    let mut shown = String::with_capacity(text.len() + 16);
    for (index, c) in letters.iter().enumerate() {
        let is_in_a_name = || {
            let before = index.checked_sub(1).and_then(|before| letters.get(before));
            let after = letters.get(index + 1);
            before.is_some_and(|c| c.is_alphanumeric()) && after.is_some_and(|c| c.is_alphabetic())
        };
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '@' => shown.push_str("(at)"),
            '[' => shown.push('('),
            ']' => shown.push(')'),
            '`' | '*' | '~' => shown.push('\''),
            // A name such as evil.example becomes a link too.
            '.' if is_in_a_name() => shown.push_str(" . "),
            c => shown.push(*c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_makes_no_mention_and_no_link() {
        for hostile in [
            "<!channel> wake up",
            "<@U123> <#C1>",
            "<https://evil.example|AWS>",
            "[AWS](https://evil.example)",
            "@here <at>all</at>",
            "see www.evil.example or http://evil.example",
            "aws-login1.com/reset",
            "`code` *bold* ~gone~",
        ] {
            let shown = escaped(hostile);
            for mark in ["<", ">", "@", "[", "]", "://", "evil.", "1.com", "`", "*", "~"] {
                assert!(!shown.contains(mark), "{mark} in {shown}");
            }
        }
    }

    #[test]
    fn our_own_commands_stay_as_they_are() {
        let command = "Verify it: aws kms describe-custom-key-stores --region us-east-1 --custom-key-store-id cks-1";
        assert_eq!(escaped(command), command);
    }
}
