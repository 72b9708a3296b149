//! The procedure's walks through the states, against sequences of modelled answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails where it cannot go on, and a process runs in real time"
)]

#[path = "support/app.rs"]
mod app;

use std::time::Duration;

use app::{ID, Scripted, TOPIC, accepted, config, invocation, kms_error, published, state};
use aws_sdk_kms::{
    operation::{
        describe_custom_key_stores::DescribeCustomKeyStoresOutput,
        disconnect_custom_key_store::{DisconnectCustomKeyStoreError, DisconnectCustomKeyStoreOutput},
    },
    types::{ConnectionStateType, CustomKeyStoresListEntry, error::CustomKeyStoreInvalidStateException},
};
use aws_sdk_sns::operation::publish::PublishOutput;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use disconnect_custom_key_store::{App, error::Error, handler::handle, refusals::Refusals, report::Report};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(900);

fn disconnect_accepted() -> Rule {
    mock!(aws_sdk_kms::Client::disconnect_custom_key_store)
        .match_requests(|request| request.custom_key_store_id() == Some(ID))
        .then_output(|| DisconnectCustomKeyStoreOutput::builder().build())
}

fn disconnect_rejected() -> Rule {
    mock!(aws_sdk_kms::Client::disconnect_custom_key_store).then_error(|| {
        DisconnectCustomKeyStoreError::CustomKeyStoreInvalidStateException(
            CustomKeyStoreInvalidStateException::builder()
                .meta(
                    aws_sdk_kms::error::ErrorMetadata::builder()
                        .code("CustomKeyStoreInvalidStateException")
                        .build(),
                )
                .build(),
        )
    })
}

fn reads(state: ConnectionStateType, times: usize) -> Rule {
    mock!(aws_sdk_kms::Client::describe_custom_key_stores)
        .match_requests(|request| {
            request.custom_key_store_id() == Some(ID) && request.custom_key_store_name().is_none()
        })
        .sequence()
        .output(move || {
            let entry = CustomKeyStoresListEntry::builder()
                .custom_key_store_id(ID)
                .connection_state(state.clone())
                .build();
            DescribeCustomKeyStoresOutput::builder()
                .custom_key_stores(entry)
                .build()
        })
        .times(times)
        .build()
}

fn publishes() -> Rule {
    mock!(aws_sdk_sns::Client::publish)
        .match_requests(|request| request.topic_arn() == Some(TOPIC))
        .sequence()
        .output(|| PublishOutput::builder().message_id("m-1").build())
        .repeatedly()
        .build()
}

/// Runs the plain event against these answers of KMS, in this order and no others.
async fn walk(kms: &[Rule]) -> (Result<Report, Error>, usize) {
    let publish = publishes();
    let app = App {
        config: config(&[]),
        kms: mock_client!(aws_sdk_kms, RuleMode::Sequential, kms),
        sns: mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&publish]),
        refusals: Refusals::default(),
    };
    let ended = handle(&app, invocation(TIMEOUT)).await;
    for rule in kms {
        assert!(rule.num_calls() > 0, "every answer was asked for");
    }
    (ended, publish.num_calls())
}

fn told(ended: Result<Report, Error>) -> (&'static str, u32, u32) {
    let report = ended.unwrap();
    (report.outcome.as_str(), report.disconnect_calls, report.describe_calls)
}

#[tokio::test(start_paused = true)]
async fn accepted_and_read_back_is_disconnected() {
    let (ended, notices) = walk(&[disconnect_accepted(), reads(ConnectionStateType::Disconnected, 1)]).await;
    assert_eq!((told(ended), notices), (("DISCONNECTED", 1, 1), 1));
}

#[tokio::test(start_paused = true)]
async fn rejected_and_read_twice_is_already_disconnected() {
    let (ended, notices) = walk(&[disconnect_rejected(), reads(ConnectionStateType::Disconnected, 2)]).await;
    assert_eq!((told(ended), notices), (("ALREADY_DISCONNECTED", 1, 2), 1));
}

#[tokio::test(start_paused = true)]
async fn rejected_because_it_is_disconnecting_is_waited_for() {
    let (ended, notices) = walk(&[
        disconnect_rejected(),
        reads(ConnectionStateType::Disconnecting, 5),
        reads(ConnectionStateType::Disconnected, 1),
    ])
    .await;
    assert_eq!((told(ended), notices), (("DISCONNECTED", 1, 6), 2));
}

#[tokio::test(start_paused = true)]
async fn one_or_two_stale_reads_are_not_a_reconnect() {
    for stale in [
        ConnectionStateType::Connected,
        ConnectionStateType::Connecting,
        ConnectionStateType::Failed,
    ] {
        let (ended, notices) = walk(&[
            disconnect_accepted(),
            reads(stale, 2),
            reads(ConnectionStateType::Disconnecting, 2),
            reads(ConnectionStateType::Disconnected, 1),
        ])
        .await;
        assert_eq!((told(ended), notices), (("DISCONNECTED", 1, 5), 2));
    }
}

#[tokio::test(start_paused = true)]
async fn connected_again_for_three_reads_is_disconnected_again() {
    let (ended, notices) = walk(&[
        disconnect_accepted(),
        reads(ConnectionStateType::Disconnecting, 1),
        reads(ConnectionStateType::Connected, 3),
        disconnect_accepted(),
        reads(ConnectionStateType::Connecting, 3),
        disconnect_rejected(),
        reads(ConnectionStateType::Disconnected, 1),
    ])
    .await;
    assert_eq!((told(ended), notices), (("DISCONNECTED", 3, 8), 2));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_this_version_does_not_know_is_not_success() {
    let (ended, _) = walk(&[
        disconnect_accepted(),
        reads(ConnectionStateType::from("HIBERNATING"), 3),
        reads(ConnectionStateType::Disconnected, 1),
    ])
    .await;
    assert_eq!(told(ended), ("DISCONNECTED", 1, 4));
}

/// A mock without a rule panics inside the SDK call.
#[tokio::test(start_paused = true)]
async fn a_panic_is_reported_like_any_other_failure_and_the_next_invocation_works() {
    let publish = publishes();
    let once = [disconnect_accepted(), reads(ConnectionStateType::Disconnecting, 1)];
    let mut app = App {
        config: config(&[]),
        kms: mock_client!(aws_sdk_kms, RuleMode::Sequential, &once),
        sns: mock_client!(aws_sdk_sns, RuleMode::MatchAny, [&publish]),
        refusals: Refusals::default(),
    };
    let error = handle(&app, invocation(TIMEOUT)).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "InternalError");
    let message = error.to_string();
    assert!(message.contains("panic"), "{message}");
    assert!(
        message.contains("the state last read is DISCONNECTING"),
        "what was done is told: {message}"
    );
    assert!(message.contains("KMS accepted a request"), "{message}");
    assert!(!message.contains("was not disconnected"), "{message}");
    assert_eq!(publish.num_calls(), 2, "the early notice and the failure's");

    let again = [disconnect_rejected(), reads(ConnectionStateType::Disconnected, 2)];
    app.kms = mock_client!(aws_sdk_kms, RuleMode::Sequential, &again);
    assert_eq!(told(handle(&app, invocation(TIMEOUT)).await).0, "ALREADY_DISCONNECTED");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_notice_is_a_failed_notice_and_does_not_hide_what_was_done() {
    let kms = [disconnect_accepted(), reads(ConnectionStateType::Disconnected, 1)];
    let none: [&Rule; 0] = [];
    let app = App {
        config: config(&[]),
        kms: mock_client!(aws_sdk_kms, RuleMode::Sequential, &kms),
        sns: mock_client!(aws_sdk_sns, RuleMode::MatchAny, none),
        refusals: Refusals::default(),
    };
    let error = handle(&app, invocation(TIMEOUT)).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "NotificationFailed");
    assert!(error.to_string().contains("\"outcome\":\"DISCONNECTED\""), "{error}");
}

/// Runs the plain event against a script of HTTP answers.
async fn scripted(script: &Scripted) -> Result<Report, Error> {
    handle(&script.app(), invocation(TIMEOUT)).await
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_denied_ends_the_verification_at_once() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => kms_error("AccessDeniedException"),
    });
    let error = scripted(&script).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "NotVerified");
    let notice = script.notices().pop().unwrap();
    assert_eq!(
        (&notice["outcome"], &notice["final"]),
        (&Value::from("NOT_VERIFIED"), &Value::from(true))
    );
    assert_eq!(notice["error"]["code"], "AccessDeniedException");
    let advice = notice["error"]["advice"].as_str().unwrap();
    assert!(advice.contains("kms:DescribeCustomKeyStores"), "{advice}");
    assert_eq!(script.seen().len(), 3, "one of each call");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_no_read_finds_after_kms_has_accepted_is_looked_for_until_one_does() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", _) => accepted(),
        (_, 0..6) => kms_error("CustomKeyStoreNotFoundException"),
        _ => state("DISCONNECTED"),
    });
    assert_eq!(told(scripted(&script).await), ("DISCONNECTED", 1, 7));
}

#[tokio::test(start_paused = true)]
async fn rejection_after_an_acceptance_is_not_verified() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0) => accepted(),
        ("DisconnectCustomKeyStore", _) => kms_error("AccessDeniedException"),
        _ => state("CONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap_err().error_type.as_str(), "NotVerified");
    let notice = script.notices().pop().unwrap();
    assert_eq!(
        (&notice["outcome"], &notice["severity"], &notice["connectionState"]),
        (
            &Value::from("NOT_VERIFIED"),
            &Value::from("CRITICAL"),
            &Value::from("CONNECTED")
        )
    );
    assert_eq!(notice["error"]["code"], "AccessDeniedException");
}

#[tokio::test(start_paused = true)]
async fn a_reconnected_store_is_asked_for_until_kms_is_not_too_busy_to_disconnect_it_again() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 1) => kms_error("ThrottlingException"),
        ("DisconnectCustomKeyStore", _) => accepted(),
        (_, 0..6) => state("CONNECTED"),
        _ => state("DISCONNECTED"),
    });
    assert_eq!(told(scripted(&script).await), ("DISCONNECTED", 3, 7));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_connected_is_never_said_to_be_unusable() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("CONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap_err().error_type.as_str(), "NotVerified");
    assert!(
        script.count("DisconnectCustomKeyStore") > 10,
        "it is asked for again and again"
    );
    for notice in script.notices() {
        let message = notice["message"].as_str().unwrap();
        assert!(
            message.contains("Treat its keys as usable until DISCONNECTED is read"),
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_kms_without_the_store_or_its_state_is_no_read_back() {
    for body in [
        "{\"CustomKeyStores\":[]}",
        "{}",
        "{\"CustomKeyStores\":[{\"CustomKeyStoreId\":\"cks-other\",\"ConnectionState\":\"DISCONNECTED\"}]}",
    ] {
        let script = Scripted::new(move |operation, _| match operation {
            "Publish" => published(),
            "DisconnectCustomKeyStore" => accepted(),
            _ => app::Step::Answer(200, body.into()),
        });
        assert_eq!(
            scripted(&script).await.unwrap_err().error_type.as_str(),
            "NotVerified",
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_without_an_answer_is_looked_up_before_it_is_called_a_failure() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => app::Step::Hang,
        _ => state("DISCONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap().outcome.as_str(), "DISCONNECTED");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_that_cannot_read_the_store_fails_as_the_run_would() {
    for (code, kind) in [
        ("AccessDeniedException", "AccessDenied"),
        ("CustomKeyStoreNotFoundException", "KeyStoreNotFound"),
    ] {
        let script = Scripted::new(move |operation, _| match operation {
            "Publish" => published(),
            _ => kms_error(code),
        });
        let mut drill = invocation(TIMEOUT);
        drill.payload = format!(r#"{{"CustomKeyStoreId":"{ID}","DryRun":true}}"#)
            .as_str()
            .into();
        let error = handle(&script.app(), drill).await.unwrap_err();
        assert_eq!(error.error_type.as_str(), kind);
        assert_eq!(script.count("DisconnectCustomKeyStore"), 0);
        let notice = script.notices().pop().unwrap();
        assert_eq!(
            (&notice["outcome"], &notice["dryRun"]),
            (&Value::from("FAILED"), &Value::from(true))
        );
        assert!(!notice["findings"].as_array().unwrap().is_empty());
    }
}

/// A throttled request was not carried out, so a store that is disconnected then was so before.
#[tokio::test(start_paused = true)]
async fn rejected_after_throttling_is_already_disconnected() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0..=4) => kms_error("ThrottlingException"),
        ("DisconnectCustomKeyStore", _) => kms_error("CustomKeyStoreInvalidStateException"),
        _ => state("DISCONNECTED"),
    });
    let report = scripted(&script).await.unwrap();
    assert_eq!(
        (report.outcome.as_str(), report.disconnect_calls, report.describe_calls),
        ("ALREADY_DISCONNECTED", 6, 2)
    );
}

/// The first request was carried out and its answer lost: the second is rejected because of the first.
#[tokio::test(start_paused = true)]
async fn rejected_after_a_request_without_an_answer_is_disconnected_by_this_run() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0) => app::Step::Answer(500, String::new()),
        ("DisconnectCustomKeyStore", _) => kms_error("CustomKeyStoreInvalidStateException"),
        _ => state("DISCONNECTED"),
    });
    let report = scripted(&script).await.unwrap();
    assert_eq!(
        (report.outcome.as_str(), report.disconnect_calls, report.describe_calls),
        ("DISCONNECTED", 2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn throttled_for_ever_is_already_disconnected_only_if_it_was_so_before() {
    for (first, expected) in [
        ("DISCONNECTED", "ALREADY_DISCONNECTED"),
        ("DISCONNECTING", "DISCONNECTED"),
    ] {
        let script = Scripted::new(move |operation, before| match operation {
            "Publish" => published(),
            "DisconnectCustomKeyStore" => kms_error("ThrottlingException"),
            _ if before == 0 => state(first),
            _ => state("DISCONNECTED"),
        });
        assert_eq!(scripted(&script).await.unwrap().outcome.as_str(), expected);
    }
}

/// With every third request the state is read, so nobody waits two minutes for what has happened.
#[tokio::test(start_paused = true)]
async fn what_was_carried_out_without_an_answer_is_found_with_the_third_request() {
    for under_way in ["DISCONNECTED", "DISCONNECTING"] {
        let script = Scripted::new(move |operation, before| match (operation, before) {
            ("Publish", _) => published(),
            ("DisconnectCustomKeyStore", _) => app::Step::Answer(500, String::new()),
            (_, 0) => state(under_way),
            _ => state("DISCONNECTED"),
        });
        let report = scripted(&script).await.unwrap();
        assert_eq!((report.outcome.as_str(), report.disconnect_calls), ("DISCONNECTED", 3));
    }
}

/// Then a definite error comes. It does not say what became of the request before it, so the state is read.
#[tokio::test(start_paused = true)]
async fn a_definite_error_after_a_request_without_an_answer_is_looked_up_first() {
    for (read, expected) in [("DISCONNECTING", None), ("CONNECTED", Some("AccessDenied"))] {
        let script = Scripted::new(move |operation, before| match (operation, before) {
            ("Publish", _) => published(),
            ("DisconnectCustomKeyStore", 0) => app::Step::Answer(500, String::new()),
            ("DisconnectCustomKeyStore", _) => kms_error("AccessDeniedException"),
            (_, 0) => state(read),
            _ => state("DISCONNECTED"),
        });
        let ended = scripted(&script).await;
        assert_eq!(ended.err().map(|error| error.error_type.as_str()), expected, "{read}");
        assert_eq!(script.count("DisconnectCustomKeyStore"), 2);
        if expected.is_some() {
            let message = script.notices().pop().unwrap()["message"].to_string();
            assert!(message.contains("not known whether"), "{message}");
        }
    }
}

/// However long the pauses are by then, the last read is a few seconds before the budget's end.
#[tokio::test(start_paused = true)]
async fn the_last_read_comes_just_before_the_end() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTING"),
    });
    let begun = tokio::time::Instant::now();
    assert!(scripted(&script).await.is_err());
    let last = *script.times("DescribeCustomKeyStores").last().unwrap() - begun;
    // 900 s less 0.5 s to return, 15 s for the notice and 3 s for the read (src/budget.rs, src/retry.rs).
    let expected = Duration::from_millis(881_500);
    assert!(
        last >= expected && last < expected + Duration::from_millis(10),
        "{last:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn denied_disconnect_is_reported_with_the_state_read_once() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => kms_error("AccessDeniedException"),
        _ => state("CONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap_err().error_type.as_str(), "AccessDenied");
    let message = script.notices().pop().unwrap()["message"].to_string();
    assert!(message.contains("was not disconnected"), "{message}");
    assert!(message.contains("the state last read is CONNECTED"), "{message}");
    let asked: Vec<_> = script.seen().into_iter().map(|seen| seen.operation).collect();
    assert_eq!(
        asked,
        ["DisconnectCustomKeyStore", "DescribeCustomKeyStores", "Publish"]
    );
}

/// A throttled read is no reason to wake somebody twice.
#[tokio::test(start_paused = true)]
async fn a_first_look_without_an_answer_is_repeated_for_two_seconds_before_anybody_is_told() {
    for (unanswered, notices) in [(1, 1), (2, 1), (9, 2)] {
        let script = Scripted::new(move |operation, before| match operation {
            "Publish" => published(),
            "DisconnectCustomKeyStore" => accepted(),
            _ if before < unanswered => kms_error("ThrottlingException"),
            _ => state("DISCONNECTED"),
        });
        let begun = tokio::time::Instant::now();
        assert_eq!(scripted(&script).await.unwrap().outcome.as_str(), "DISCONNECTED");
        assert_eq!(script.count("Publish"), notices, "{unanswered} reads without an answer");
        let told = script.times("Publish")[0] - begun;
        assert!(told < Duration::from_millis(2100), "{told:?}");
    }
}

/// The time for the first look is a part of what is left, so that a short run still tells.
#[tokio::test(start_paused = true)]
async fn a_read_that_succeeds_and_contradicts_is_told_at_once() {
    let script = Scripted::new(|operation, before| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ if before == 0 => state("CONNECTED"),
        _ => state("DISCONNECTED"),
    });
    let begun = tokio::time::Instant::now();
    assert_eq!(scripted(&script).await.unwrap().outcome.as_str(), "DISCONNECTED");
    assert_eq!(script.times("Publish")[0] - begun, Duration::ZERO);
}

/// The form that was published, parsed.
fn published_forms(script: &Scripted) -> Vec<std::collections::HashMap<String, String>> {
    let seen = script.seen().into_iter().filter(|seen| seen.operation == "Publish");
    seen.map(|seen| form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect())
        .collect()
}

fn disconnecting_once() -> Scripted {
    Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", _) => accepted(),
        (_, 0) => state("DISCONNECTING"),
        _ => state("DISCONNECTED"),
    })
}

#[tokio::test(start_paused = true)]
async fn a_fifo_topic_gets_group_and_deduplication_and_a_standard_one_neither() {
    let fifo = "arn:aws:sns:us-east-1:123456789012:notices.fifo";
    for (topic, is_fifo) in [(TOPIC, false), (fifo, true)] {
        let script = disconnecting_once();
        let app = App {
            config: config(&[("TOPIC_ARN", topic)]),
            ..script.app()
        };
        handle(&app, invocation(TIMEOUT)).await.unwrap();
        let mut nameless = invocation(TIMEOUT);
        nameless.payload = "{}".into();
        assert!(handle(&app, nameless).await.is_err());
        let forms = published_forms(&script);
        let field = |name: &str| forms.iter().map(|form| form.get(name).cloned()).collect::<Vec<_>>();
        assert_eq!(field("TopicArn"), vec![Some(topic.to_owned()); 3]);
        if is_fifo {
            let request = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
            let ids = ["DISCONNECTING-early", "DISCONNECTED-final", "REFUSED-final"];
            assert_eq!(
                field("MessageGroupId"),
                [ID, ID, "none"].map(|group| Some(group.to_owned()))
            );
            assert_eq!(
                field("MessageDeduplicationId"),
                ids.map(|id| Some(format!("{request}-{id}")))
            );
        } else {
            assert_eq!(field("MessageGroupId"), vec![None; 3]);
            assert_eq!(field("MessageDeduplicationId"), vec![None; 3]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_carries_the_attributes_for_filter_policies_and_leaves_out_an_absent_key_store() {
    let script = disconnecting_once();
    handle(&script.app(), invocation(TIMEOUT)).await.unwrap();
    let mut nameless = invocation(TIMEOUT);
    nameless.payload = "{}".into();
    assert!(handle(&script.app(), nameless).await.is_err());
    let told: Vec<_> = published_forms(&script)
        .into_iter()
        .map(|form| {
            let value = |wanted: &str| {
                let entry = (1..=4).find(|n| {
                    form.get(&format!("MessageAttributes.entry.{n}.Name"))
                        .is_some_and(|name| name == wanted)
                })?;
                assert_eq!(
                    form[&format!("MessageAttributes.entry.{entry}.Value.DataType")],
                    "String"
                );
                form.get(&format!("MessageAttributes.entry.{entry}.Value.StringValue"))
                    .cloned()
            };
            ["outcome", "severity", "trigger", "customKeyStoreId"].map(|name| value(name).unwrap_or_default())
        })
        .collect();
    assert_eq!(
        told,
        [
            ["DISCONNECTING", "WARNING", "direct", ID],
            ["DISCONNECTED", "INFO", "direct", ID],
            ["REFUSED", "ERROR", "direct", ""],
        ]
    );
}

/// The last try comes just before the end, and a publish without a message ID is no publish.
#[tokio::test(start_paused = true)]
async fn a_publish_that_is_never_confirmed_is_tried_for_thirty_seconds() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => app::Step::Answer(200, "<PublishResponse><PublishResult/></PublishResponse>".into()),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTED"),
    });
    let begun = tokio::time::Instant::now();
    assert_eq!(
        scripted(&script).await.unwrap_err().error_type.as_str(),
        "NotificationFailed"
    );
    let last = *script.times("Publish").last().unwrap() - begun;
    let expected = Duration::from_secs(27);
    assert!(
        last >= expected && last < expected + Duration::from_millis(10),
        "{last:?}"
    );
}

/// Any state that this version does not know, and none at all, is not the wanted one.
#[tokio::test(start_paused = true)]
async fn a_state_that_nobody_knows_is_told_as_it_stands_and_breaks_the_row_of_contradictions() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", _) => accepted(),
        (_, 0 | 1 | 3 | 4) => state("CONNECTED"),
        (_, 2 | 5) => state("PAUSED"),
        _ => state("DISCONNECTED"),
    });
    let report = scripted(&script).await.unwrap();
    assert_eq!(
        (report.outcome.as_str(), report.disconnect_calls, report.describe_calls),
        ("DISCONNECTED", 1, 7)
    );
}
