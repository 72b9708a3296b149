//! What goes wrong × with which call × in how much time: each cell of the table is a test with the
//! real binary over real sockets. `cargo test --test faults` runs them and prints what was seen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a test fails where it cannot go on, and a process runs in real time"
)]

mod support;

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use emulator::{
    fault::{Fault, Times},
    kms::State,
    runtime_api::Reported,
};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use support::{ID, Stage, error_of, event};

/// Seconds that the invocations have. With 60 s, 44.5 s are for the work (src/budget.rs), and two
/// thirds of that for a `Disconnect` which is not answered; with 10 s it is 7 s, and with 3 s it is
/// 2.1 s.
const DEADLINES: [u64; 3] = [60, 10, 3];

/// How an invocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// `DISCONNECTED`, and the notice arrives.
    Disconnected,
    /// `NOT_VERIFIED`: error `NotVerified`.
    NotVerified,
    /// One of the two above, as the jitter has it: the faults last about as long as the budget.
    DisconnectedOrNotVerified,
    /// `FAILED` with this error.
    Failed(&'static str),
    /// `DISCONNECTED`, and the notice was not confirmed: error `NotificationFailed`.
    NotNotified,
}

use Ends::{Disconnected, DisconnectedOrNotVerified, Failed, NotNotified, NotVerified};

impl Ends {
    fn takes(self, outcome: &str, error: Option<&str>) -> bool {
        match self {
            Self::Disconnected => (outcome, error) == ("DISCONNECTED", None),
            Self::NotVerified => (outcome, error) == ("NOT_VERIFIED", Some("NotVerified")),
            Self::DisconnectedOrNotVerified => {
                Self::Disconnected.takes(outcome, error) || Self::NotVerified.takes(outcome, error)
            }
            Self::Failed(kind) => (outcome, error) == ("FAILED", Some(kind)),
            Self::NotNotified => (outcome, error) == ("DISCONNECTED", Some("NotificationFailed")),
        }
    }
}

/// What is expected of one invocation.
#[derive(Debug, Clone)]
struct Cell {
    ends: Ends,
    /// How often the call at fault is made.
    calls: RangeInclusive<usize>,
    /// The latest moment of the report, in seconds from the event.
    by: u64,
}

fn cell(ends: Ends, calls: RangeInclusive<usize>, by: u64) -> Cell {
    Cell { ends, calls, by }
}

/// The same end with each deadline, with these calls and by these moments.
fn each(ends: Ends, calls: [RangeInclusive<usize>; 3], by: [u64; 3]) -> [Cell; 3] {
    let [long, middle, short] = calls;
    [
        cell(ends, long, by[0]),
        cell(ends, middle, by[1]),
        cell(ends, short, by[2]),
    ]
}

/// The same with any deadline, without a long wait.
fn soon(ends: Ends, calls: RangeInclusive<usize>) -> [Cell; 3] {
    [5, 5, 3].map(|by| cell(ends, calls.clone(), by))
}

type Script = Vec<(Fault, Times)>;

struct Row {
    operation: &'static str,
    fault: &'static str,
    script: Script,
    cells: [Cell; 3],
}

fn always(fault: Fault) -> Script {
    vec![(fault, Times::Always)]
}

fn once(fault: Fault) -> Script {
    vec![(fault, Times::Next(1))]
}

fn code(status: u16, code: &'static str) -> Fault {
    Fault::Error { status, code }
}

fn states(states: &[(&'static str, u32)]) -> Script {
    let script = states.iter();
    script
        .map(|(state, reads)| (Fault::State(state), Times::Next(*reads)))
        .collect()
}

const ACCEPTED_WITHOUT_EFFECT: Fault = Fault::Raw(200, "{}");
const NO_STATE: Fault = Fault::Raw(
    200,
    r#"{"CustomKeyStores":[{"CustomKeyStoreId":"cks-1234567890abcdef0"}]}"#,
);

/// What can go wrong with any call.
fn common(denied: &'static str, not_found: &'static str) -> Vec<(&'static str, Script)> {
    vec![
        ("throttled once", once(Fault::THROTTLED)),
        (
            "throttled for 10 s",
            vec![(Fault::THROTTLED, Times::For(Duration::from_secs(10)))],
        ),
        ("throttled for ever", always(Fault::THROTTLED)),
        ("500", always(code(500, "InternalFailure"))),
        ("503", always(code(503, "ServiceUnavailable"))),
        ("KMSInternalException", always(code(500, "KMSInternalException"))),
        (
            "DependencyTimeoutException",
            always(code(500, "DependencyTimeoutException")),
        ),
        ("access denied", always(code(403, denied))),
        ("expired token", always(code(400, "ExpiredTokenException"))),
        ("not found", always(code(400, not_found))),
        ("connection refused", always(Fault::Refuse)),
        ("reset before the request is read", once(Fault::Reset)),
        ("reset before the answer, once", once(Fault::Lost)),
        ("reset before the answer", always(Fault::Lost)),
        ("reset in the middle of the answer", always(Fault::Broken)),
        ("no answer, once", once(Fault::Hang)),
        ("no answer", always(Fault::Hang)),
        ("an answer of a byte a second", always(Fault::Drip)),
        (
            "an answer that is malformed",
            always(Fault::Mangled("{\"CustomKeyStores\":[{")),
        ),
        ("an answer that is empty", always(Fault::Mangled(""))),
    ]
}

/// `Disconnect` is at fault. KMS carries out what it accepts at once.
fn disconnect() -> Vec<Row> {
    let operation = "DisconnectCustomKeyStore";
    let out_of_reach = |calls| each(Failed("KmsUnavailable"), calls, [34, 8, 3]);
    let unanswered = || out_of_reach([6..=60, 3..=25, 2..=12]);
    let expected = |fault: &str| match fault {
        "throttled once" | "reset before the request is read" | "reset before the answer, once" => {
            soon(Disconnected, 2..=2)
        }
        // An attempt has 3 s, and with the last deadline a run has not as much for the act.
        "no answer, once" => [
            cell(Disconnected, 2..=2, 5),
            cell(Disconnected, 2..=2, 5),
            cell(Failed("KmsUnavailable"), 1..=1, 3),
        ],
        "throttled for 10 s" => [
            cell(Disconnected, 5..=40, 18),
            cell(Failed("KmsUnavailable"), 3..=25, 8),
            cell(Failed("KmsUnavailable"), 2..=12, 3),
        ],
        "throttled for ever" | "500" | "503" | "KMSInternalException" | "DependencyTimeoutException" => unanswered(),
        // Only the first connection reaches the service.
        "connection refused" => out_of_reach([1..=1, 1..=1, 1..=1]),
        "access denied" | "expired token" => soon(Failed("AccessDenied"), 1..=1),
        "not found" => soon(Failed("KeyStoreNotFound"), 1..=1),
        // Carried out, and discovered by the read after every third request.
        "reset before the answer" | "reset in the middle of the answer" => soon(Disconnected, 1..=3),
        "no answer" => out_of_reach([6..=12, 1..=3, 1..=1]),
        // The answer is `{}`: what accepts a disconnect has no body to read.
        "an answer of a byte a second" | "an answer that is malformed" | "an answer that is empty" => {
            soon(Disconnected, 1..=1)
        }
        other => panic!("no expectation for {other}"),
    };
    let mut rows = rows(
        operation,
        common("AccessDeniedException", "CustomKeyStoreNotFoundException"),
        expected,
    );
    let not_carried_out = |calls| each(NotVerified, calls, [46, 8, 3]);
    rows.push(Row {
        operation,
        fault: "InvalidState of a store that is CONNECTED",
        script: always(code(400, "CustomKeyStoreInvalidStateException")),
        cells: not_carried_out([2..=10, 1..=5, 1..=3]),
    });
    rows.push(Row {
        operation,
        fault: "accepted without effect",
        script: always(ACCEPTED_WITHOUT_EFFECT),
        cells: not_carried_out([2..=10, 1..=5, 1..=3]),
    });
    rows
}

/// `Describe` is at fault: the store is disconnected, and that cannot be read.
fn describe() -> Vec<Row> {
    let operation = "DescribeCustomKeyStores";
    let unread = |calls| each(NotVerified, calls, [46, 8, 3]);
    let expected = |fault: &str| match fault {
        "throttled once" | "reset before the request is read" | "reset before the answer, once" => {
            soon(Disconnected, 2..=2)
        }
        "no answer, once" => [
            cell(Disconnected, 2..=2, 5),
            cell(Disconnected, 2..=2, 5),
            cell(NotVerified, 1..=1, 3),
        ],
        "throttled for 10 s" => [
            cell(Disconnected, 5..=40, 30),
            cell(NotVerified, 4..=20, 8),
            cell(NotVerified, 2..=9, 3),
        ],
        "throttled for ever"
        | "500"
        | "503"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "not found"
        | "reset before the answer"
        | "reset in the middle of the answer" => unread([8..=60, 4..=20, 2..=9]),
        "connection refused" => unread([1..=1, 1..=1, 1..=1]),
        "access denied" | "expired token" => soon(NotVerified, 1..=1),
        "no answer" | "an answer of a byte a second" => unread([5..=14, 2..=4, 1..=2]),
        "an answer that is malformed" | "an answer that is empty" => unread([8..=60, 3..=20, 2..=9]),
        other => panic!("no expectation for {other}"),
    };
    let mut rows = rows(
        operation,
        common("AccessDeniedException", "CustomKeyStoreNotFoundException"),
        expected,
    );
    let more = [
        (
            "InvalidState",
            always(code(400, "CustomKeyStoreInvalidStateException")),
            soon(NotVerified, 1..=1),
        ),
        ("200 without a state", always(NO_STATE), unread([8..=60, 3..=20, 2..=9])),
        (
            "a state that nobody knows",
            always(Fault::State("PAUSED")),
            unread([8..=60, 3..=20, 2..=9]),
        ),
        (
            "stale CONNECTED for 2 reads",
            states(&[("CONNECTED", 2)]),
            [
                cell(Disconnected, 3..=3, 8),
                cell(Disconnected, 3..=3, 8),
                cell(Disconnected, 3..=3, 3),
            ],
        ),
        (
            "stale CONNECTED for 5 reads",
            states(&[("CONNECTED", 5)]),
            [
                cell(Disconnected, 6..=6, 46),
                cell(DisconnectedOrNotVerified, 3..=8, 8),
                cell(DisconnectedOrNotVerified, 3..=8, 3),
            ],
        ),
        (
            "CONNECTED again after DISCONNECTING",
            states(&[("DISCONNECTING", 2), ("CONNECTED", 3)]),
            [
                cell(Disconnected, 6..=6, 46),
                cell(DisconnectedOrNotVerified, 3..=8, 8),
                cell(DisconnectedOrNotVerified, 3..=8, 3),
            ],
        ),
    ];
    rows.extend(more.map(|(fault, script, cells)| Row {
        operation,
        fault,
        script,
        cells,
    }));
    rows
}

/// `Publish` is at fault: the run reads `DISCONNECTED`, but cannot publish it.
fn publish() -> Vec<Row> {
    let operation = "Publish";
    // A notice is retried for 30 s (src/budget.rs), or for the time that the deadline leaves.
    let untold = |calls| each(NotNotified, calls, [33, 10, 3]);
    let expected = |fault: &str| match fault {
        "throttled once" | "reset before the request is read" | "reset before the answer, once" => {
            soon(Disconnected, 2..=2)
        }
        "no answer, once" => [
            cell(Disconnected, 2..=2, 5),
            cell(Disconnected, 2..=2, 5),
            cell(NotNotified, 1..=1, 3),
        ],
        "throttled for 10 s" => [
            cell(Disconnected, 6..=40, 28),
            cell(NotNotified, 4..=30, 10),
            cell(NotNotified, 2..=15, 3),
        ],
        "throttled for ever"
        | "500"
        | "503"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "reset before the answer"
        | "reset in the middle of the answer"
        | "an answer that is malformed"
        | "an answer that is empty" => untold([8..=60, 4..=30, 2..=15]),
        "connection refused" => untold([1..=1, 1..=1, 1..=1]),
        "access denied" | "expired token" | "not found" => soon(NotNotified, 1..=1),
        "no answer" | "an answer of a byte a second" => untold([6..=12, 2..=5, 1..=2]),
        other => panic!("no expectation for {other}"),
    };
    let mut faults = common("AuthorizationError", "NotFound");
    // SNS answers in XML.
    for (fault, script) in &mut faults {
        if *fault == "an answer that is malformed" {
            *script = always(Fault::Mangled("<PublishResponse><PublishResult><Mess"));
        }
    }
    let mut rows = rows(operation, faults, expected);
    let more = [
        (
            "KMSInvalidState",
            always(code(400, "KMSInvalidState")),
            soon(NotNotified, 1..=1),
        ),
        (
            "KMSAccessDenied",
            always(code(400, "KMSAccessDenied")),
            soon(NotNotified, 1..=1),
        ),
        // The SDK does not take this code for throttling, so each request is one.
        (
            "KMSThrottling once",
            once(code(400, "KMSThrottling")),
            soon(Disconnected, 2..=2),
        ),
        (
            "KMSThrottling for ever",
            always(code(400, "KMSThrottling")),
            untold([8..=60, 5..=30, 2..=15]),
        ),
    ];
    rows.extend(more.map(|(fault, script, cells)| Row {
        operation,
        fault,
        script,
        cells,
    }));
    rows
}

fn rows(
    operation: &'static str,
    faults: Vec<(&'static str, Script)>,
    expected: impl Fn(&str) -> [Cell; 3],
) -> Vec<Row> {
    let rows = faults.into_iter();
    rows.map(|(fault, script)| Row {
        operation,
        fault,
        script,
        cells: expected(fault),
    })
    .collect()
}

/// What was seen of one cell.
struct Seen {
    outcome: String,
    error: Option<String>,
    calls: usize,
    took: Duration,
}

fn run(operation: &str, script: &Script, cell: &Cell, deadline: Duration) -> Seen {
    let stage = Stage::new();
    stage.started();
    for (fault, times) in script {
        stage.emulator.fault(operation, fault.clone(), *times);
    }
    let begun = Instant::now();
    let reported = stage.invoke_within(&event(), deadline);
    let took = begun.elapsed();
    let summary = the_one_summary(&stage);
    let error = match &reported {
        Reported::Response(_) => None,
        Reported::Error(error) => Some(error_of(error).0),
        Reported::InitError(..) => panic!("{reported:?}"),
    };
    let seen = Seen {
        outcome: summary["outcome"].as_str().unwrap().to_owned(),
        error,
        calls: stage.count(operation),
        took,
    };
    assert!(
        cell.ends.takes(&seen.outcome, seen.error.as_deref()),
        "expected {:?}, found {} {:?}: {summary}",
        cell.ends,
        seen.outcome,
        seen.error
    );
    assert!(
        cell.calls.contains(&seen.calls),
        "{} calls, expected {:?}",
        seen.calls,
        cell.calls
    );
    assert!(took < deadline, "{took:?} of {deadline:?}");
    assert!(
        took < Duration::from_secs(cell.by),
        "{took:?}, expected by {} s",
        cell.by
    );
    is_honest(&stage, &summary);
    is_told(&stage, &summary, cell.ends, operation);
    goes_on(&stage, script);
    seen
}

/// One summary line an invocation, whatever happens.
fn the_one_summary(stage: &Stage) -> Value {
    let summaries = stage.function.summaries();
    assert_eq!(summaries.len(), 1, "{summaries:?}");
    summaries[0].clone()
}

/// The report says only what was read, and never denies a change.
fn is_honest(stage: &Stage, summary: &Value) {
    let changed = stage.emulator.state(ID) == Some(State::Disconnected);
    let message = summary["message"].as_str().unwrap();
    match summary["outcome"].as_str().unwrap() {
        "DISCONNECTED" => {
            assert!(changed, "it is not: {summary}");
            assert_eq!(summary["connectionState"], "DISCONNECTED");
        }
        "FAILED" => assert!(!changed || message.contains("It is not known whether"), "{summary}"),
        "NOT_VERIFIED" => {
            let lower = message.to_lowercase();
            assert!(
                lower.contains("not verified as disconnected") || lower.contains("still disconnecting"),
                "{summary}"
            );
        }
        other => panic!("{other}"),
    }
    if message.contains("no longer work") {
        assert!(changed, "{summary}");
    }
    assert!(summary["disconnectCalls"].as_u64().unwrap() >= 1, "{summary}");
}

/// Where SNS answers, the outcome arrives, and no notice says more than the log.
fn is_told(stage: &Stage, summary: &Value, ends: Ends, operation: &str) {
    let notices = stage.notices();
    let finals: Vec<_> = notices.iter().filter(|notice| notice["final"] == true).collect();
    if ends == NotNotified {
        let lines = stage.function.lines_for_people();
        assert!(lines.iter().any(|line| line.contains("could not be sent")), "{lines:?}");
    } else {
        assert!(!finals.is_empty(), "{notices:?}");
    }
    assert!(
        operation == "Publish" || finals.len() == 1,
        "one final notice: {notices:?}"
    );
    assert!(
        finals.iter().all(|notice| notice["outcome"] == summary["outcome"]),
        "{notices:?}"
    );
}

/// What comes after the faults, Lambda's retry for instance, works in the same process.
fn goes_on(stage: &Stage, script: &Script) {
    if script.iter().any(|(fault, _)| matches!(fault, Fault::Refuse)) {
        return; // nothing listens there any more
    }
    stage.emulator.no_faults();
    let report = stage.report(&event());
    assert_eq!(report["connectionState"], "DISCONNECTED");
}

type Table = BTreeMap<(usize, usize), Seen>;

fn print(rows: &[(&'static str, &'static str)], table: &Table) {
    println!("\ncalls of the operation at fault, and when the invocation ended, by its deadline");
    println!("{:<68}{:<36}{:<36}3 s", "operation: fault", "60 s", "10 s");
    for (row, (operation, fault)) in rows.iter().enumerate() {
        let name = format!("{operation}: {fault}");
        let shown: Vec<_> = (0..DEADLINES.len())
            .map(|column| {
                table.get(&(row, column)).map_or_else(String::new, |seen| {
                    let ended = seen.error.as_deref().unwrap_or(&seen.outcome);
                    format!("{ended} {}× {:.1} s", seen.calls, seen.took.as_secs_f64())
                })
            })
            .collect();
        println!("{name:<68}{:<36}{:<36}{}", shown[0], shown[1], shown[2]);
    }
    println!(
        "{} cells of {} are as the table says",
        table.len(),
        rows.len() * DEADLINES.len()
    );
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tests mostly wait, so many run at once.
    arguments.test_threads.get_or_insert(40);
    let rows = [disconnect(), describe(), publish()].into_iter().flatten();
    let table = Arc::new(Mutex::new(Table::new()));
    let (mut trials, mut names) = (Vec::new(), Vec::new());
    for (number, row) in rows.enumerate() {
        names.push((row.operation, row.fault));
        for (column, (cell, seconds)) in row.cells.into_iter().zip(DEADLINES).enumerate() {
            let (table, script, operation) = (Arc::clone(&table), row.script.clone(), row.operation);
            let name = format!("{operation}: {}, within {seconds} s", row.fault);
            trials.push(Trial::test(name, move || {
                let seen = run(operation, &script, &cell, Duration::from_secs(seconds));
                table.lock().unwrap().insert((number, column), seen);
                Ok(())
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        print(&names, &table.lock().unwrap());
    }
    conclusion.exit_code()
}
