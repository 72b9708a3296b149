//! Runs the procedure against sequences of modelled answers.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::double::{
    CHAT, ID, Scripted, Step, TOPIC, accepted, config, invocation, kms_error, published, rejected, state,
};
use disconnect_custom_key_store::{
    app::App, budget::ACT_LIMIT, error::Error, handler::handle, report::Report, run::Invocation,
};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(900);

/// Runs the plain event against these answers of KMS, in this order and no others. Gives the result
/// and the number of notices.
async fn walk(answers: &[Step]) -> (Result<Report, Error>, usize) {
    let (answers, asked) = (answers.to_vec(), AtomicUsize::new(0));
    let count = answers.len();
    let script = Scripted::new(move |operation, _| {
        if operation == "Publish" {
            return published();
        }
        let number = asked.fetch_add(1, Ordering::Relaxed);
        answers.get(number).expect("no more is asked").clone()
    });
    let ended = handle(&script.app(), invocation(TIMEOUT)).await;
    let published = script.count("Publish");
    assert_eq!(script.seen().len() - published, count, "every answer was asked for");
    (ended, published)
}

/// The same state so many times.
fn reads(state_read: &str, times: usize) -> Vec<Step> {
    vec![state(state_read); times]
}

fn outcome_and_calls(ended: Result<Report, Error>) -> (&'static str, u32, u32) {
    let report = ended.unwrap();
    (report.outcome.as_str(), report.disconnect_calls, report.describe_calls)
}

#[tokio::test(start_paused = true)]
async fn accepted_and_read_is_disconnected() {
    let (ended, notices) = walk(&[accepted(), state("DISCONNECTED")]).await;
    assert_eq!((outcome_and_calls(ended), notices), (("DISCONNECTED", 1, 1), 1));
}

#[tokio::test(start_paused = true)]
async fn rejected_and_read_twice_is_already_disconnected() {
    let (ended, notices) = walk(&[vec![rejected()], reads("DISCONNECTED", 2)].concat()).await;
    assert_eq!((outcome_and_calls(ended), notices), (("ALREADY_DISCONNECTED", 1, 2), 1));
}

/// KMS is eventually consistent: right after a connect, its rejection and a read can both be stale.
#[tokio::test(start_paused = true)]
async fn second_read_comes_a_second_later_and_may_contradict() {
    let answers = [
        vec![rejected(), state("DISCONNECTED")],
        reads("CONNECTED", 3),
        vec![accepted(), state("DISCONNECTED")],
    ];
    let begun = tokio::time::Instant::now();
    let (ended, notices) = walk(&answers.concat()).await;
    assert_eq!((outcome_and_calls(ended), notices), (("DISCONNECTED", 2, 5), 2));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

/// Without an acceptance, `DISCONNECTED` must be read twice in a row, whatever was read before.
#[tokio::test(start_paused = true)]
async fn one_read_never_confirms_a_rejection() {
    for between in ["CONNECTED", "CONNECTING", "FAILED", "HIBERNATING"] {
        let answers = [
            vec![rejected(), state(between), state("DISCONNECTED"), state(between)],
            reads("DISCONNECTED", 2),
        ];
        let (ended, _) = walk(&answers.concat()).await;
        assert_eq!(outcome_and_calls(ended), ("DISCONNECTED", 1, 5), "{between}");
    }
}

#[tokio::test(start_paused = true)]
async fn second_read_that_fails_is_repeated_without_an_early_notice() {
    let answers = [
        vec![rejected(), state("DISCONNECTED")],
        vec![kms_error("ThrottlingException"); 3],
        vec![state("DISCONNECTED")],
    ];
    let begun = tokio::time::Instant::now();
    let (ended, notices) = walk(&answers.concat()).await;
    assert_eq!((outcome_and_calls(ended), notices), (("ALREADY_DISCONNECTED", 1, 5), 1));
    assert!(
        begun.elapsed() > Duration::from_millis(1700),
        "a second, and three pauses"
    );
}

/// The run ends between the two reads.
#[tokio::test(start_paused = true)]
async fn disconnected_read_once_is_not_verified_and_says_so() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => rejected(),
        _ => state("DISCONNECTED"),
    });
    let ended = handle(&script.app(), invocation(Duration::from_secs(1))).await;
    assert_eq!(ended.unwrap_err().error_type.as_str(), "NotVerified");
    let notice = script.notices().pop().unwrap();
    assert_eq!(
        (&notice["outcome"], &notice["severity"], &notice["describeCalls"]),
        (&"NOT_VERIFIED".into(), &"WARNING".into(), &1.into())
    );
    assert!(notice["message"].as_str().unwrap().contains("read once"), "{notice}");
}

/// What KMS says of the request and what it says of the state contradict each other to the end.
#[tokio::test(start_paused = true)]
async fn rejection_that_no_read_bears_out_is_reported() {
    let script = Scripted::new(|operation, count| match (operation, count) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", _) => rejected(),
        (_, 0) => state("DISCONNECTED"),
        _ => state("CONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap_err().error_type.as_str(), "NotVerified");
    let notice = script.notices().pop().unwrap();
    let message = notice["message"].as_str().unwrap();
    for words in [
        "KMS rejects the request to disconnect it, as for a store that is already disconnecting or disconnected",
        "the state last read is CONNECTED; DISCONNECTED was read before that, and not confirmed",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert!(
        notice["nextSteps"].to_string().contains("aws kms disable-key"),
        "{notice}"
    );
}

#[tokio::test(start_paused = true)]
async fn later_denial_without_an_acceptance_is_a_failure() {
    let script = Scripted::new(|operation, count| match (operation, count) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0) => rejected(),
        ("DisconnectCustomKeyStore", _) => kms_error("AccessDeniedException"),
        _ => state("CONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap_err().error_type.as_str(), "AccessDenied");
    assert_eq!(script.notices().pop().unwrap()["outcome"], "FAILED");
}

/// A store that was disconnecting is confirmed by one read, also if one between was stale.
#[tokio::test(start_paused = true)]
async fn one_stale_read_does_not_undo_disconnecting() {
    let answers = [
        rejected(),
        state("DISCONNECTING"),
        state("CONNECTED"),
        state("DISCONNECTED"),
    ];
    let (ended, _) = walk(&answers).await;
    assert_eq!(outcome_and_calls(ended), ("DISCONNECTED", 1, 3));
}

#[tokio::test(start_paused = true)]
async fn report_names_the_function_that_was_invoked() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTED"),
    });
    let mut event = invocation(TIMEOUT);
    event.function_arn = "arn:aws:lambda:us-east-1:123456789012:function:switch:live".into();
    let detail = format!(r#"{{"source":"com.example","detail-type":"x","detail":{{"CustomKeyStoreId":"{ID}"}}}}"#);
    event.payload = detail.as_str().into();
    let report = handle(&script.app(), event).await.unwrap();
    assert_eq!(report.function_name.as_deref(), Some("switch"));
    let target = "--target-arn arn:aws:lambda:us-east-1:123456789012:function:switch:live ";
    assert!(report.next_steps[0].contains(target), "{:?}", report.next_steps);
}

#[tokio::test(start_paused = true)]
async fn rejected_because_it_is_disconnecting_is_waited_for() {
    let answers = [vec![rejected()], reads("DISCONNECTING", 5), reads("DISCONNECTED", 1)];
    let (ended, notices) = walk(&answers.concat()).await;
    assert_eq!((outcome_and_calls(ended), notices), (("DISCONNECTED", 1, 6), 2));
}

#[tokio::test(start_paused = true)]
async fn one_or_two_stale_reads_are_not_a_reconnect() {
    for stale in ["CONNECTED", "CONNECTING", "FAILED"] {
        let answers = [
            vec![accepted()],
            reads(stale, 2),
            reads("DISCONNECTING", 2),
            reads("DISCONNECTED", 1),
        ];
        let (ended, notices) = walk(&answers.concat()).await;
        assert_eq!((outcome_and_calls(ended), notices), (("DISCONNECTED", 1, 5), 2));
    }
}

#[tokio::test(start_paused = true)]
async fn connected_again_for_three_reads_is_disconnected_again() {
    let answers = [
        vec![accepted(), state("DISCONNECTING")],
        reads("CONNECTED", 3),
        vec![accepted()],
        reads("CONNECTING", 3),
        vec![rejected(), state("DISCONNECTED")],
    ];
    let (ended, notices) = walk(&answers.concat()).await;
    assert_eq!((outcome_and_calls(ended), notices), (("DISCONNECTED", 3, 8), 2));
}

#[tokio::test(start_paused = true)]
async fn unknown_state_is_not_success() {
    let answers = [vec![accepted()], reads("HIBERNATING", 3), reads("DISCONNECTED", 1)];
    let (ended, _) = walk(&answers.concat()).await;
    assert_eq!(outcome_and_calls(ended), ("DISCONNECTED", 1, 4));
}

#[tokio::test(start_paused = true)]
async fn panic_is_reported_and_the_next_invocation_works() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0) => accepted(),
        ("DisconnectCustomKeyStore", _) => rejected(),
        (_, 0) => state("DISCONNECTING"),
        (_, 1) => Step::Panic,
        _ => state("DISCONNECTED"),
    });
    let app = script.app();
    let error = handle(&app, invocation(TIMEOUT)).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "InternalError");
    let message = error.to_string();
    assert!(message.contains("panic"), "{message}");
    assert!(
        message.contains("AWS makes its keys unusable right away"),
        "what was read is reported: {message}"
    );
    assert!(message.contains("KMS accepted a request"), "{message}");
    assert!(!message.contains("NOT disconnected"), "{message}");
    assert_eq!(script.count("Publish"), 2, "the early notice and the failure's");
    assert_eq!(
        outcome_and_calls(handle(&app, invocation(TIMEOUT)).await).0,
        "ALREADY_DISCONNECTED"
    );
}

#[tokio::test(start_paused = true)]
async fn panic_in_the_notice_does_not_hide_the_outcome() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => Step::Panic,
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTED"),
    });
    let error = scripted(&script).await.unwrap_err();
    assert_eq!(error.error_type.as_str(), "NotificationFailed");
    assert!(error.to_string().contains("\"outcome\":\"DISCONNECTED\""), "{error}");
}

/// Another run's disconnect is in progress, and KMS rejects this one: nothing was accepted.
#[tokio::test(start_paused = true)]
async fn accepted_is_said_only_of_what_kms_accepted() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => rejected(),
        _ => state("DISCONNECTING"),
    });
    assert!(scripted(&script).await.is_err());
    assert_eq!(script.notices().len(), 2, "early and final");
    for notice in script.notices() {
        assert!(
            !notice["message"].as_str().unwrap().contains("KMS accepted"),
            "{notice}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_repeat_is_not_called_a_failed_read() {
    let answers = [
        vec![accepted()],
        reads("CONNECTED", 3),
        vec![kms_error("AccessDeniedException")],
    ];
    let (ended, _) = walk(&answers.concat()).await;
    let message = ended.unwrap_err().message;
    assert!(message.contains("a repeated request failed"), "{message}");
    assert!(!message.contains("could not be read"), "{message}");
}

/// A run without the permission may find the store disconnected. Its report must not contradict
/// that.
#[tokio::test(start_paused = true)]
async fn denied_disconnect_does_not_deny_a_disconnected_store() {
    let (ended, _) = walk(&[kms_error("AccessDeniedException"), state("DISCONNECTED")]).await;
    let error = ended.unwrap_err();
    assert_eq!(error.error_type.as_str(), "AccessDenied");
    let message = error.message;
    assert!(message.contains("This run did not disconnect"), "{message}");
    assert!(!message.contains("NOT disconnected"), "{message}");
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
async fn store_not_found_after_acceptance_is_read_again() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", _) => accepted(),
        (_, 0..6) => kms_error("CustomKeyStoreNotFoundException"),
        _ => state("DISCONNECTED"),
    });
    assert_eq!(outcome_and_calls(scripted(&script).await), ("DISCONNECTED", 1, 7));
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
async fn throttled_repeat_of_the_disconnect_is_retried() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 1) => kms_error("ThrottlingException"),
        ("DisconnectCustomKeyStore", _) => accepted(),
        // After three of them, the request is made, and after one more it is made again.
        (_, 0..4) => state("CONNECTED"),
        _ => state("DISCONNECTED"),
    });
    assert_eq!(outcome_and_calls(scripted(&script).await), ("DISCONNECTED", 3, 5));
}

#[tokio::test(start_paused = true)]
async fn connected_store_is_never_called_unusable() {
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
    assert_eq!(script.notices().len(), 2, "early and final");
    for notice in script.notices() {
        let message = notice["message"].as_str().unwrap();
        assert!(
            message.contains("CONNECTED") && message.contains("While it is CONNECTED, its keys work."),
            "{message}"
        );
        assert!(!message.contains("DISCONNECTED was read"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn answer_without_store_or_state_does_not_verify() {
    for body in [
        "{\"CustomKeyStores\":[]}",
        "{}",
        "{\"CustomKeyStores\":[{\"CustomKeyStoreId\":\"cks-other\",\"ConnectionState\":\"DISCONNECTED\"}]}",
    ] {
        let script = Scripted::new(move |operation, _| match operation {
            "Publish" => published(),
            "DisconnectCustomKeyStore" => accepted(),
            _ => Step::Answer(200, body.into()),
        });
        assert_eq!(
            scripted(&script).await.unwrap_err().error_type.as_str(),
            "NotVerified",
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn unanswered_disconnect_is_read_before_it_is_a_failure() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => Step::Hang,
        _ => state("DISCONNECTED"),
    });
    assert_eq!(scripted(&script).await.unwrap().outcome.as_str(), "DISCONNECTED");
}

/// The plain event as a dry run.
fn drill(timeout: Duration) -> Invocation {
    let payload = format!(r#"{{"CustomKeyStoreId":"{ID}","DryRun":true}}"#);
    Invocation {
        payload: payload.as_str().into(),
        ..invocation(timeout)
    }
}

#[tokio::test(start_paused = true)]
async fn dry_run_that_cannot_read_the_store_fails() {
    for (code, kind) in [
        ("AccessDeniedException", "AccessDenied"),
        ("CustomKeyStoreNotFoundException", "KeyStoreNotFound"),
    ] {
        let script = Scripted::new(move |operation, _| match operation {
            "Publish" => published(),
            _ => kms_error(code),
        });
        let error = handle(&script.app(), drill(TIMEOUT)).await.unwrap_err();
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

/// The probe needs a listing that shows that no store has its ID.
#[tokio::test(start_paused = true)]
async fn probe_is_left_out_if_the_listing_is_not_whole() {
    for (listing, why) in [
        ("{}", "the answer has no list of key stores"),
        (r#"{"CustomKeyStores":[],"Truncated":true}"#, "the list is cut off"),
    ] {
        let script = Scripted::by_body(move |operation, body, _| match operation {
            "Publish" => published(),
            "DescribeCustomKeyStores" if body.contains(ID) => state("CONNECTED"),
            "DescribeCustomKeyStores" => Step::Answer(200, listing.into()),
            _ => kms_error("AccessDeniedException"),
        });
        let report = handle(&script.app(), drill(TIMEOUT)).await.unwrap();
        assert_eq!(script.count("DisconnectCustomKeyStore"), 0, "{listing}");
        let findings = report.findings.concat();
        assert!(
            findings.contains("probe was left out") && findings.contains(why),
            "{findings}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn impact_of_a_listing_that_is_cut_off_is_not_complete() {
    for (operation, listing) in [
        ("ListKeys", r#"{"Keys":[],"Truncated":true}"#),
        ("ListKeys", r#"{"Keys":[],"Truncated":true,"NextMarker":"again"}"#),
        ("ListAliases", r#"{"Aliases":[],"Truncated":true}"#),
    ] {
        let script = Scripted::by_body(move |asked, body, _| match asked {
            "Publish" => published(),
            "DescribeCustomKeyStores" if body.contains(ID) => state("CONNECTED"),
            "DescribeCustomKeyStores" => Step::Answer(200, r#"{"CustomKeyStores":[]}"#.into()),
            "ListKeys" | "ListAliases" if asked == operation => Step::Answer(200, listing.into()),
            "ListKeys" => Step::Answer(200, r#"{"Keys":[]}"#.into()),
            "ListAliases" => Step::Answer(200, r#"{"Aliases":[]}"#.into()),
            _ => kms_error("CustomKeyStoreNotFoundException"),
        });
        let impact = handle(&script.app(), drill(TIMEOUT)).await.unwrap().impact.unwrap();
        assert_eq!(
            (impact.complete, impact.gaps.len()),
            (false, 1),
            "{listing}: {:?}",
            impact.gaps
        );
    }
}

/// A drill that hangs would keep the function from a real event.
#[tokio::test(start_paused = true)]
async fn dry_run_waits_for_its_read_as_long_as_a_run_asks() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        _ => kms_error("KMSInternalException"),
    });
    let begun = tokio::time::Instant::now();
    let error = handle(&script.app(), drill(Duration::from_secs(900)))
        .await
        .unwrap_err();
    assert_eq!(error.error_type.as_str(), "KmsUnavailable");
    let took = begun.elapsed();
    assert!((ACT_LIMIT * 9 / 10..ACT_LIMIT * 11 / 10).contains(&took), "{took:?}");
}

/// A throttled request was not carried out, so the store was already disconnected before this run.
#[tokio::test(start_paused = true)]
async fn rejected_after_throttling_is_already_disconnected() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0..=4) => kms_error("ThrottlingException"),
        ("DisconnectCustomKeyStore", _) => rejected(),
        _ => state("DISCONNECTED"),
    });
    let report = scripted(&script).await.unwrap();
    assert_eq!(
        (report.outcome.as_str(), report.disconnect_calls, report.describe_calls),
        ("ALREADY_DISCONNECTED", 6, 2)
    );
}

/// The first request was carried out and its answer lost: the second is rejected because of the
/// first.
#[tokio::test(start_paused = true)]
async fn rejection_after_a_lost_answer_is_disconnected() {
    let script = Scripted::new(|operation, before| match (operation, before) {
        ("Publish", _) => published(),
        ("DisconnectCustomKeyStore", 0) => Step::Answer(500, String::new()),
        ("DisconnectCustomKeyStore", _) => rejected(),
        _ => state("DISCONNECTED"),
    });
    let report = scripted(&script).await.unwrap();
    assert_eq!(
        (report.outcome.as_str(), report.disconnect_calls, report.describe_calls),
        ("DISCONNECTED", 2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn throttled_run_claims_only_what_it_read() {
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
async fn unanswered_disconnect_is_found_by_the_third_request() {
    for under_way in ["DISCONNECTED", "DISCONNECTING"] {
        let script = Scripted::new(move |operation, before| match (operation, before) {
            ("Publish", _) => published(),
            ("DisconnectCustomKeyStore", _) => Step::Answer(500, String::new()),
            (_, 0) => state(under_way),
            _ => state("DISCONNECTED"),
        });
        let report = scripted(&script).await.unwrap();
        assert_eq!((report.outcome.as_str(), report.disconnect_calls), ("DISCONNECTED", 3));
    }
}

/// A definite error follows a lost answer. It says nothing about the first request, so the state is
/// read.
#[tokio::test(start_paused = true)]
async fn rejection_after_a_lost_answer_is_read_first() {
    for (read, expected) in [("DISCONNECTING", None), ("CONNECTED", Some("AccessDenied"))] {
        let script = Scripted::new(move |operation, before| match (operation, before) {
            ("Publish", _) => published(),
            ("DisconnectCustomKeyStore", 0) => Step::Answer(500, String::new()),
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
    // 900 s less 0.5 s to return, 15 s for the notice and 3 s for the read (src/budget.rs).
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
    assert!(message.contains("is NOT disconnected"), "{message}");
    assert!(message.contains("Its keys still work."), "{message}");
    let asked: Vec<_> = script.seen().into_iter().map(|seen| seen.operation).collect();
    assert_eq!(
        asked,
        ["DisconnectCustomKeyStore", "DescribeCustomKeyStores", "Publish"]
    );
}

/// One or two throttled reads do not cause an early notice.
#[tokio::test(start_paused = true)]
async fn unanswered_first_look_is_repeated_before_the_early_notice() {
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

/// It may be stale, and is said as what it is.
#[tokio::test(start_paused = true)]
async fn contradicting_first_read_is_reported_at_once() {
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
async fn only_a_fifo_topic_gets_group_and_deduplication() {
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
async fn notice_attributes_leave_out_an_absent_key_store() {
    let script = disconnecting_once();
    handle(&script.app(), invocation(TIMEOUT)).await.unwrap();
    let mut nameless = invocation(TIMEOUT);
    nameless.payload = "{}".into();
    assert!(handle(&script.app(), nameless).await.is_err());
    let told: Vec<_> = published_forms(&script)
        .into_iter()
        .map(|form| {
            let value = |wanted: &str| {
                let entry = (1..=7).find(|n| {
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

/// The last try comes just before the end. An answer without a message ID does not confirm a
/// publish.
#[tokio::test(start_paused = true)]
async fn unconfirmed_publish_is_retried_for_thirty_seconds() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => Step::Answer(200, "<PublishResponse><PublishResult/></PublishResponse>".into()),
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

/// What is read last is reported as KMS names it.
#[tokio::test(start_paused = true)]
async fn unknown_state_is_reported_verbatim() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("PAUSED"),
    });
    assert_eq!(scripted(&script).await.unwrap_err().error_type.as_str(), "NotVerified");
    let notice = script.notices().pop().unwrap();
    assert_eq!(
        (&notice["connectionState"], &notice["keys"]),
        (&"PAUSED".into(), &"UNKNOWN".into())
    );
    assert_eq!(notice["severity"], "CRITICAL");
}

/// An unknown state neither contradicts nor confirms: the row of contradicting reads begins anew.
#[tokio::test(start_paused = true)]
async fn unknown_state_breaks_the_row_of_contradictions() {
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

/// The chat message comes after the notice; early and final are one thread.
#[tokio::test(start_paused = true)]
async fn chat_follows_each_notice_in_one_thread() {
    let script = disconnecting_once();
    handle(&script.app_with_chat(), invocation(TIMEOUT)).await.unwrap();
    let chat: Vec<_> = script.published_to(CHAT).into_iter().map(|(_, body)| body).collect();
    let events: Vec<_> = chat.iter().map(|body| body["metadata"]["eventType"].clone()).collect();
    assert_eq!(events, ["DISCONNECTING", "DISCONNECTED"]);
    for body in &chat {
        assert_eq!((&body["version"], &body["source"]), (&"1.0".into(), &"custom".into()));
        assert_eq!(body["content"]["textType"], "client-markdown");
        assert_eq!(body["metadata"]["threadId"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
        assert!(
            body["content"]["description"]
                .as_str()
                .unwrap()
                .contains("payments-hsm"),
            "{body}"
        );
    }
    let topics: Vec<_> = published_forms(&script)
        .iter()
        .map(|form| form["TopicArn"].clone())
        .collect();
    assert_eq!(topics, [TOPIC, CHAT, TOPIC, CHAT]);
}

/// A chat that hangs delays neither the reads nor the outcome, and changes neither.
#[tokio::test(start_paused = true)]
async fn hanging_chat_delays_no_read_and_changes_nothing() {
    let run = async |chat_hangs: bool| {
        let script = Scripted::by_body(move |operation, body, before| match operation {
            "Publish" if chat_hangs && body.contains("%3Achat&") => Step::Hang,
            "Publish" => published(),
            "DisconnectCustomKeyStore" => accepted(),
            _ if before < 3 => state("DISCONNECTING"),
            _ => state("DISCONNECTED"),
        });
        let begun = tokio::time::Instant::now();
        let report = handle(&script.app_with_chat(), invocation(TIMEOUT)).await.unwrap();
        let reads = script.times("DescribeCustomKeyStores");
        (report.outcome, *reads.last().unwrap() - begun, begun.elapsed())
    };
    let (outcome, last_read, whole) = run(true).await;
    assert_eq!(outcome.as_str(), "DISCONNECTED");
    // Four reads with the pauses of a chat that answers, at most 0.5 + 0.7 + 0.98 s, and at the end
    // 5 s for the chat.
    assert!(last_read < Duration::from_millis(2200), "{last_read:?}");
    assert!(whole < Duration::from_millis(7300), "{whole:?}");
    assert_eq!(run(false).await.0.as_str(), "DISCONNECTED");
}

/// The chat message waits 5 s for the notice, whether there is much time left or 15 s, and half of
/// the time if there is less.
#[tokio::test(start_paused = true)]
async fn hanging_topic_of_the_notice_does_not_keep_the_chat_from_its_message() {
    let seconds = Duration::from_secs;
    for (last, timeout, least, most) in [
        ("DISCONNECTED", TIMEOUT, seconds(5), seconds(9)),
        ("DISCONNECTING", TIMEOUT, seconds(5), seconds(9)),
        ("DISCONNECTING", seconds(10), seconds(1), seconds(2)),
    ] {
        let script = Scripted::by_body(move |operation, body, _| match operation {
            "Publish" if body.contains("%3Achat&") => published(),
            "Publish" => Step::Hang,
            "DisconnectCustomKeyStore" => accepted(),
            _ => state(last),
        });
        let begun = tokio::time::Instant::now();
        handle(&script.app_with_chat(), invocation(timeout)).await.unwrap_err();
        assert!(begun.elapsed() < timeout, "{:?}", begun.elapsed());
        let sent = script.published_to(CHAT);
        let sent = sent
            .iter()
            .rfind(|(_, body)| body["metadata"]["eventType"] != "DISCONNECTING");
        let (at, _) = sent.expect("the last chat message");
        let read = *script.times("DescribeCustomKeyStores").last().unwrap();
        let waited = *at - read;
        assert!(waited >= least && waited < most, "{last}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn text_from_an_event_makes_no_mention_and_no_link_in_chat() {
    let script = disconnecting_once();
    let mut hostile = invocation(TIMEOUT);
    let reason = "<!channel> <https://evil.example|click> @here [x](https://evil.example)";
    hostile.payload = serde_json::json!({ "CustomKeyStoreId": ID, "Reason": reason })
        .to_string()
        .as_str()
        .into();
    handle(&script.app_with_chat(), hostile).await.unwrap();
    let chat = script.published_to(CHAT);
    assert_eq!(chat.len(), 2, "early and final");
    for (_, body) in chat {
        let text = body.to_string();
        for mark in ["<!", "https://", "@here", "](", "evil.example"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
    }
}
