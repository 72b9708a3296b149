//! Every wait has a budget. Time is paused here, so a wait of fifteen minutes takes no time.

use std::time::Duration;

use crate::double::{Scripted, Step, accepted, invocation, kms_error, published, published_after, state};
use disconnect_custom_key_store::{
    budget::{ATTEMPT_LIMIT, Budget},
    error::Error,
    handler::handle,
    report::Report,
};
use tokio::time::Instant;

const DEADLINES: [Duration; 4] = [
    Duration::from_secs(900),
    Duration::from_secs(60),
    Duration::from_secs(10),
    Duration::from_secs(3),
];

/// Runs the plain event and holds it to its deadline.
async fn run(script: &Scripted, timeout: Duration) -> (Result<Report, Error>, Duration) {
    let begun = Instant::now();
    let ended = handle(&script.app(), invocation(timeout)).await;
    let took = begun.elapsed();
    assert!(took < timeout, "{took:?} of {timeout:?}");
    (ended, took)
}

fn error_type(ended: Result<Report, Error>) -> &'static str {
    ended.expect_err("an error").error_type.as_str()
}

#[tokio::test(start_paused = true)]
async fn silent_kms_is_reported_before_any_deadline() {
    for timeout in DEADLINES {
        let script = Scripted::new(|operation, _| match operation {
            "Publish" => published(),
            _ => Step::Hang,
        });
        let (ended, _) = run(&script, timeout).await;
        assert_eq!(error_type(ended), "KmsUnavailable");
        let notices = script.notices();
        assert_eq!(notices.len(), 1);
        assert_eq!(notices[0]["outcome"], "FAILED");
        assert_eq!(notices[0]["error"]["code"], "Timeout");
        let message = notices[0]["message"].as_str().unwrap();
        assert!(
            message.contains("not known whether"),
            "it may have been carried out: {message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn time_is_held_back_for_a_slow_sns() {
    for (timeout, slow) in [(900, 2500), (60, 2500), (10, 2000), (3, 500)] {
        let script = Scripted::new(move |operation, _| match operation {
            "Publish" => published_after(Duration::from_millis(slow)),
            _ => Step::Hang,
        });
        let (ended, _) = run(&script, Duration::from_secs(timeout)).await;
        assert_eq!(error_type(ended), "KmsUnavailable");
        let waited = script.times("Publish")[0].elapsed();
        assert!(
            waited >= Duration::from_millis(slow),
            "given up after {waited:?} of {timeout} s"
        );
        assert_eq!(script.count("Publish"), 1, "and it was taken");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_describe_is_not_verified_before_any_deadline() {
    for timeout in DEADLINES {
        let script = Scripted::new(|operation, _| match operation {
            "Publish" => published(),
            "DisconnectCustomKeyStore" => accepted(),
            _ => Step::Hang,
        });
        let (ended, _) = run(&script, timeout).await;
        assert_eq!(error_type(ended), "NotVerified");
        assert_eq!(script.count("DisconnectCustomKeyStore"), 1);
        let last = script.notices().pop().unwrap();
        assert_eq!(
            (&last["outcome"], &last["final"]),
            (&"NOT_VERIFIED".into(), &true.into())
        );
        let message = last["message"].as_str().unwrap();
        assert!(message.contains("It is not known whether its keys work"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_sns_does_not_hold_up_the_disconnect() {
    for timeout in DEADLINES {
        let script = Scripted::new(|operation, before| match operation {
            "Publish" => Step::Hang,
            "DisconnectCustomKeyStore" => accepted(),
            _ if before == 0 => state("DISCONNECTING"),
            _ => state("DISCONNECTED"),
        });
        let (ended, _) = run(&script, timeout).await;
        let error = ended.unwrap_err();
        assert_eq!(error.error_type.as_str(), "NotificationFailed");
        assert!(error.to_string().contains("\"outcome\":\"DISCONNECTED\""), "{error}");
        let reads = script.times("DescribeCustomKeyStores");
        let (paused, longest) = (reads[1] - reads[0], Duration::from_millis(502));
        assert!(paused <= longest, "the early notice delays no read: {paused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_sns_does_not_hold_up_the_next_request() {
    let script = Scripted::new(|operation, before| match operation {
        "Publish" => Step::Hang,
        "DisconnectCustomKeyStore" => accepted(),
        _ if before < 3 => state("CONNECTED"),
        _ => state("DISCONNECTED"),
    });
    let (ended, _) = run(&script, Duration::from_secs(60)).await;
    assert_eq!(error_type(ended), "NotificationFailed");
    let asked = script.times("DisconnectCustomKeyStore");
    let paused = asked[1] - asked[0];
    assert!(paused < Duration::from_secs(2), "{paused:?}");
}

/// The store may be disconnected while the early notice is still on its way.
#[tokio::test(start_paused = true)]
async fn last_notice_comes_after_the_early_one() {
    let slow = Duration::from_secs(2);
    let script = Scripted::new(move |operation, before| match operation {
        "Publish" if before == 0 => published_after(slow),
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ if before == 0 => state("DISCONNECTING"),
        _ => state("DISCONNECTED"),
    });
    let (ended, _) = run(&script, Duration::from_secs(60)).await;
    assert_eq!(ended.unwrap().outcome.as_str(), "DISCONNECTED");
    let notices = script.notices();
    let outcomes: Vec<_> = notices.iter().map(|notice| &notice["outcome"]).collect();
    assert_eq!(outcomes, ["DISCONNECTING", "DISCONNECTED"]);
    // A minute after the start, at noon.
    let early = notices[0]["message"].as_str().unwrap();
    assert!(early.contains("another notice should follow by 12:01 UTC"), "{early}");
    let sent = script.times("Publish");
    assert!(sent[1] - sent[0] >= slow, "{:?}", sent[1] - sent[0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_answering_at_all_still_ends_before_any_deadline() {
    for timeout in DEADLINES {
        let (ended, _) = run(&Scripted::new(|_, _| Step::Hang), timeout).await;
        assert_eq!(error_type(ended), "KmsUnavailable");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_disconnects_is_read_until_the_budget_ends() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTING"),
    });
    let (ended, took) = run(&script, Duration::from_secs(900)).await;
    assert_eq!(error_type(ended), "NotVerified");
    assert!(took > Duration::from_secs(880), "it used its budget: {took:?}");
    assert_eq!(script.count("DisconnectCustomKeyStore"), 1);
    assert_eq!(script.count("Publish"), 2, "one early, one final");
}

#[tokio::test(start_paused = true)]
async fn reads_come_at_once_and_then_rarer() {
    let script = Scripted::new(|operation, before| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ if before < 80 => state("DISCONNECTING"),
        _ => state("DISCONNECTED"),
    });
    let (ended, took) = run(&script, Duration::from_secs(900)).await;
    assert_eq!(ended.unwrap().outcome.as_str(), "DISCONNECTED");
    let asked = script.times("DisconnectCustomKeyStore")[0];
    let reads = script.times("DescribeCustomKeyStores");
    assert_eq!(reads[0] - asked, Duration::ZERO, "the first read is at once");
    let pauses: Vec<_> = reads.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The tokio clock ticks in milliseconds and rounds a pause up.
    let (shortest, longest) = (Duration::from_millis(250), Duration::from_millis(7_002));
    assert!(
        pauses.iter().all(|pause| (shortest..=longest).contains(pause)),
        "{pauses:?}"
    );
    assert!(
        pauses.iter().any(|pause| *pause != pauses[0]),
        "there is jitter: {pauses:?}"
    );
    assert!(took > Duration::from_secs(100), "the pauses grow: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn throttling_while_polling_is_waited_out() {
    let script = Scripted::new(|operation, before| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ if before < 60 => kms_error("ThrottlingException"),
        _ => state("DISCONNECTED"),
    });
    let (ended, _) = run(&script, Duration::from_secs(900)).await;
    let report = ended.unwrap();
    assert_eq!((report.outcome.as_str(), report.disconnect_calls), ("DISCONNECTED", 1));
    let told: Vec<_> = script
        .notices()
        .iter()
        .map(|notice| notice["outcome"].clone())
        .collect();
    assert_eq!(
        told,
        ["DISCONNECTING", "DISCONNECTED"],
        "somebody knows early that it is not verified"
    );
}

#[tokio::test(start_paused = true)]
async fn a_throttled_disconnect_is_asked_for_again() {
    let script = Scripted::new(|operation, before| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" if before < 12 => kms_error("ThrottlingException"),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTED"),
    });
    let (ended, _) = run(&script, Duration::from_secs(900)).await;
    assert_eq!(ended.unwrap().outcome.as_str(), "DISCONNECTED");
}

#[tokio::test(start_paused = true)]
async fn endless_throttling_is_reported_after_two_minutes() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => kms_error("ThrottlingException"),
        _ => state("CONNECTED"),
    });
    let (ended, took) = run(&script, Duration::from_secs(900)).await;
    assert_eq!(error_type(ended), "KmsUnavailable");
    let (least, most) = (Duration::from_secs(110), Duration::from_secs(130));
    assert!((least..most).contains(&took), "{took:?}");
    let notice = script.notices().pop().unwrap();
    assert_eq!(notice["error"]["code"], "ThrottlingException");
    assert_eq!(notice["connectionState"], "CONNECTED");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_within_the_attempt_is_waited_for() {
    let script = Scripted::new(|operation, _| match operation {
        "Publish" => published(),
        "DisconnectCustomKeyStore" => Step::Later(Duration::from_millis(2500), 200, "{}".into()),
        _ => state("DISCONNECTED"),
    });
    let (ended, _) = run(&script, Duration::from_secs(60)).await;
    assert_eq!(ended.unwrap().outcome.as_str(), "DISCONNECTED");
    assert_eq!(script.count("DisconnectCustomKeyStore"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_fails_at_first_is_tried_until_it_is_taken() {
    let script = Scripted::new(|operation, before| match operation {
        "Publish" if before < 8 => Step::Answer(503, String::new()),
        "Publish" => published(),
        "DisconnectCustomKeyStore" => accepted(),
        _ => state("DISCONNECTED"),
    });
    let (ended, _) = run(&script, Duration::from_secs(900)).await;
    assert_eq!(ended.unwrap().outcome.as_str(), "DISCONNECTED");
}

/// A read can use up the time for the requests. A third of the time is reserved for the work after
/// them.
#[tokio::test(start_paused = true)]
async fn no_request_is_sent_without_time_for_its_answer() {
    for seconds in 3..60 {
        let script = Scripted::new(|operation, _| match operation {
            "Publish" => published(),
            "DisconnectCustomKeyStore" => Step::Answer(500, String::new()),
            _ => Step::Hang,
        });
        let begun = Instant::now();
        let (ended, _) = run(&script, Duration::from_secs(seconds)).await;
        assert_eq!(error_type(ended), "KmsUnavailable");
        let asked = script.times("DisconnectCustomKeyStore");
        let last = *asked.last().unwrap() - begun;
        let work = Budget::new(begun, begun + Duration::from_secs(seconds)).work_until - begun;
        // Two thirds of it are for the requests, and an eighth of these, at most an attempt's 3 s,
        // for the last answer.
        let requests = work * 2 / 3;
        let answer = (requests / 8).min(ATTEMPT_LIMIT);
        // The tokio clock ticks in milliseconds and rounds a pause up.
        let latest = requests.saturating_sub(answer) + Duration::from_millis(1);
        assert!(last <= latest, "{last:?}, {latest:?} of {seconds} s");
        assert_eq!(script.notices().pop().unwrap()["disconnectCalls"], asked.len());
    }
}
