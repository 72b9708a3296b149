//! The function accepts every example in the documents, and every link has a target.

use std::{
    fs,
    path::{Path, PathBuf},
};

use disconnect_custom_key_store::{
    event::{self, Request},
    ids::AccountRegion,
    schema,
};
use serde_json::{Value, json};

const TRIGGERS: &str = include_str!("../../docs/triggers.md");
const REPORT: &str = include_str!("../../docs/report.md");
const PROMISES: &str = include_str!("../../docs/promises.md");
const MULTI_ACCOUNT: &str = include_str!("../../docs/multi-account.md");
const HARDENING: &str = include_str!("../../docs/hardening.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents, by their path.
fn documents() -> Vec<(PathBuf, String)> {
    let pages = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let of_root = [
        "README.md",
        "SECURITY.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "tests/README.md",
    ];
    pages
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain(of_root.map(|name| root().join(name)))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

fn event_file(stem: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(stem);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The JSON blocks of a document, with the heading under which each is.
fn blocks_of(document: &str) -> Vec<(String, Value)> {
    let mut heading = "";
    let mut block: Option<String> = None;
    let mut found = Vec::new();
    for line in document.lines() {
        match (&mut block, line) {
            (None, "```json") => block = Some(String::new()),
            (Some(text), "```") => {
                found.push((heading.to_owned(), serde_json::from_str(text).unwrap()));
                block = None;
            }
            (Some(text), line) => text.push_str(line),
            (None, line) if line.starts_with('#') => heading = line.trim_start_matches(['#', ' ']),
            (None, _) => {}
        }
    }
    found
}

/// Whether an EventBridge pattern of exact values matches: every leaf is a list that holds the
/// value, or asks that there is none.
fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Array(allowed) if *allowed == [json!({ "exists": false })] => event.is_null(),
        Value::Array(allowed) if *allowed == [json!({ "exists": true })] => !event.is_null(),
        Value::Array(allowed) => match event {
            Value::Array(values) => values.iter().any(|value| allowed.contains(value)),
            value => allowed.contains(value),
        },
        Value::Object(fields) => fields.iter().all(|(name, inner)| match (name.as_str(), inner) {
            ("$or", Value::Array(any)) => any.iter().any(|one| matches(one, event)),
            _ => matches(inner, &event[name]),
        }),
        _ => panic!("an EventBridge pattern has a list at every leaf"),
    }
}

/// A table's row, a line with a link or an address, and what is in a block of code cannot be
/// wrapped.
#[test]
fn prose_wraps_at_100_columns() {
    let is_long = |line: &str| line.chars().count() > 100 && !line.contains('|') && !line.contains("://");
    for (page, text) in documents() {
        let mut in_code = false;
        for line in text.lines() {
            in_code ^= line.trim_start().starts_with("```");
            assert!(
                in_code || line.starts_with("> ") || !is_long(line),
                "{}: {line}",
                page.display()
            );
        }
    }
    for file in rust_files(&root().join("src")) {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let is_comment = line.trim_start().starts_with("//");
            assert!(!is_comment || !is_long(line), "{}: {line}", file.display());
        }
    }
}

/// The files of Rust in a folder and below it.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files.filter(is_rust).collect()
}

#[test]
fn every_documented_payload_is_accepted() {
    let mut accepted = 0;
    for (page, text) in documents() {
        for (heading, block) in blocks_of(&text) {
            if block.get("CustomKeyStoreId").is_some_and(Value::is_string) {
                let event = event::read(&block.to_string().as_str().into(), &AccountRegion::default());
                assert!(
                    matches!(event.request, Request::Disconnect { .. }),
                    "{}, {heading}: {event:?}",
                    page.display()
                );
                accepted += 1;
            }
        }
    }
    assert!(accepted >= 5, "{accepted} payloads");
}

#[test]
fn every_documented_rule_matches_its_event_alone() {
    let mut rules = 0;
    for (heading, pattern) in blocks_of(TRIGGERS) {
        let (meant, neighbours) = match heading.as_str() {
            "Custom events on an EventBridge bus" => ("eventbridge-custom.json", vec!["cloudtrail-connect.json"]),
            "CloudWatch alarms" => (
                "alarm-eventbridge-single-metric.json",
                vec!["alarm-eventbridge-ok.json"],
            ),
            "CloudTrail: keep a store disconnected" => (
                "cloudtrail-connect.json",
                vec!["cloudtrail-disconnect.json", "cloudtrail-connect-no-key-store.json"],
            ),
            _ => continue,
        };
        assert!(matches(&pattern, &event_file(meant)), "{heading}");
        for neighbour in neighbours {
            assert!(!matches(&pattern, &event_file(neighbour)), "{heading}: {neighbour}");
        }
        rules += 1;
    }
    assert_eq!(rules, 3);
}

#[test]
fn the_documented_report_is_an_outcome() {
    let validator = jsonschema::validator_for(&schema::outcome()).unwrap();
    let reports: Vec<_> = blocks_of(REPORT)
        .into_iter()
        .filter(|(heading, _)| heading == "Outcomes")
        .collect();
    assert_eq!(reports.len(), 1);
    validator.validate(&reports[0].1).unwrap();
}

/// The rule for an account whose switch is pulled from a central one: the function gets the
/// event's detail, so that a trial is a dry run and a misspelt one is refused.
#[test]
fn rule_for_a_central_account_works_and_acts_on_no_trial() {
    let quoted = |begin: &str, end: char| {
        let (_, rest) = MULTI_ACCOUNT.split_once(begin).expect(begin);
        rest.split(end).next().unwrap().to_owned()
    };
    let rule: Value = serde_json::from_str(&quoted("--event-pattern '", '\'')).unwrap();
    assert_eq!(quoted("\"InputPath\": \"\\$.", '"'), "detail");
    let entries: Value = serde_json::from_str(&quoted("put-events --entries '", '\'')).unwrap();
    let detail: Value = serde_json::from_str(entries[0]["Detail"].as_str().unwrap()).unwrap();

    let mut central = event_file("eventbridge-custom.json");
    central["source"] = entries[0]["Source"].clone();
    central["detail-type"] = entries[0]["DetailType"].clone();
    central["detail"] = detail.clone();
    assert!(!matches(&rule, &central), "not for the account's own events");
    central["account"] = "444455556666".into();
    assert!(matches(&rule, &central));
    let own = AccountRegion {
        account: Some("123456789012".into()),
        region: Some("us-east-1".into()),
    };
    let read = |event: &Value| event::read(&event.to_string().as_str().into(), &own).request;
    // The envelope by itself would be refused, which is why the rule has an InputPath.
    assert!(matches!(read(&central), Request::Refuse { .. }));
    assert!(matches!(read(&detail), Request::Disconnect { dry_run: false, .. }));
    for (spelling, is_one) in [
        ("DryRun", true),
        ("dryRun", true),
        ("dry_run", false),
        ("Dryrun", false),
    ] {
        let mut trial = detail.clone();
        trial[spelling] = true.into();
        let request = read(&trial);
        let acts = matches!(request, Request::Disconnect { dry_run: false, .. });
        let is_dry_run = matches!(request, Request::Disconnect { dry_run: true, .. });
        assert_eq!((acts, is_dry_run), (false, is_one), "{spelling}");
    }
    let mut small = central.clone();
    small["detail"] = json!({ "customKeyStoreId": detail["CustomKeyStoreId"] });
    assert!(matches(&rule, &small), "both spellings");
    // Whoever may put the event cannot pass it off as one of AWS.
    for forged in ["cloudtrail-connect.json", "alarm-sns-single-metric.json"] {
        let mut forged = event_file(forged);
        let mut sent = central.clone();
        sent["detail"] = forged.clone();
        assert!(!matches(&rule, &sent), "{forged}");
        forged["CustomKeyStoreId"] = detail["CustomKeyStoreId"].clone();
        assert!(matches!(read(&forged), Request::Refuse { .. }), "{forged}");
    }
}

/// The policy denies tampering to all but the named roles, and fits. It allows the switch itself
/// and KMS's disconnect.
#[test]
fn service_control_policy_denies_tampering_not_the_switch() {
    let blocks = blocks_of(HARDENING);
    let (_, policy) = blocks
        .iter()
        .find(|(heading, _)| heading == "Tamper protection")
        .unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let mut actions = Vec::new();
    for statement in statements {
        assert_eq!(statement["Effect"], "Deny");
        // Nobody in a member account leaves the organization, and this policy with it.
        let for_everybody = statement["Action"] == json!(["organizations:LeaveOrganization"]);
        assert!(
            for_everybody || statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"].is_array(),
            "{statement}"
        );
        let listed = |name: &str| {
            statement[name]
                .as_array()
                .unwrap()
                .iter()
                .map(|word| word.as_str().unwrap())
        };
        for action in listed("Action") {
            // The trail is not part of the stack, so the reader must add its ARN.
            let service = action.split(':').next().unwrap();
            let covers = |resource: &str| resource == "*" || resource.starts_with(&format!("arn:aws:{service}:"));
            assert!(service == "cloudtrail" || listed("Resource").any(covers), "{action}");
            actions.push(action);
        }
    }
    // Each of these alone disables the switch or its notices, or undoes a disconnect.
    for denied in [
        "lambda:DeleteFunction*",
        "lambda:PutFunction*",
        "lambda:PutRuntimeManagementConfig",
        "cloudwatch:PutAlarmMuteRule",
        "sns:AddPermission",
        "sqs:AddPermission",
        "sqs:RemovePermission",
        "organizations:LeaveOrganization",
        "lambda:RemovePermission",
        "lambda:UpdateFunction*",
        "events:DeleteRule",
        "events:DisableRule",
        "events:PutRule",
        "events:PutTargets",
        "events:RemoveTargets",
        "scheduler:DeleteSchedule",
        "scheduler:UpdateSchedule",
        "sns:DeleteTopic",
        "cloudwatch:DeleteAlarms",
        "cloudformation:DeleteStack",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:UpdateStack",
        "cloudtrail:StopLogging",
        "iam:AttachRolePolicy",
        "iam:DeleteRole*",
        "iam:DetachRolePolicy",
        "iam:PutRole*",
        "iam:UpdateAssumeRolePolicy",
        "kms:ConnectCustomKeyStore",
    ] {
        assert!(actions.contains(&denied), "{denied}");
    }
    for needed in ["kms:Disconnect", "kms:Describe", "lambda:Invoke", "sns:Publish"] {
        assert!(!actions.iter().any(|action| action.starts_with(needed)), "{needed}");
    }
    // An organisation takes no longer one
    // (docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html).
    assert!(
        policy.to_string().len() <= 5120,
        "{} characters",
        policy.to_string().len()
    );
}

#[test]
fn every_linked_file_and_heading_is_there() {
    let mut links_seen = 0;
    for (path, document) in documents() {
        let links = document.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let text = if file.is_empty() {
                document.clone()
            } else {
                let target = path.parent().unwrap().join(file);
                assert!(target.exists(), "{link} in {}", path.display());
                fs::read_to_string(&target).unwrap_or_default()
            };
            let mut anchors = text.lines().filter(|line| line.starts_with('#')).map(anchor_of);
            assert!(
                anchor.is_empty() || anchors.any(|found| found == anchor),
                "{link} in {}",
                path.display()
            );
            links_seen += 1;
        }
    }
    assert!(links_seen > 80, "{links_seen} links");
}

/// Each page says in its first line for whom it is.
#[test]
fn every_page_begins_with_for_whom_it_is() {
    for (path, document) in documents() {
        if path.parent().unwrap().ends_with("docs") {
            let first = document
                .lines()
                .find(|line| !line.is_empty() && !line.starts_with('#'))
                .unwrap();
            assert!(first.starts_with("For "), "{}: {first}", path.display());
        }
    }
}

/// The tests that the architecture and the promises name are there.
#[test]
fn every_test_that_the_architecture_names_exists() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, section) = page.split_once("## Invariants").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut named = 0;
    let sources = sources();
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let held_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for name in held_by
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| !name.contains(['.', '/', ' ']))
        {
            assert!(sources.contains(&format!("fn {name}(")), "{name}");
            named += 1;
        }
    }
    assert!(named >= 10, "{named} tests are named");
}

/// All of the code, tests included.
fn sources() -> String {
    let folders = ["src", "tests"].map(|folder| rust_files(&root().join(folder)));
    let files = folders.into_iter().flatten();
    files.map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// The anchor that a renderer gives a heading.
fn anchor_of(heading: &str) -> String {
    let words = heading.trim_start_matches(['#', ' ']).to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Each row is one promise, and names a test or a test helper in the file that it links.
#[test]
fn every_promise_names_what_holds_it() {
    let mut rows = 0;
    for row in PROMISES.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let held_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let links = held_by.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let tests: String = links
            .map(|link| fs::read_to_string(root().join("docs").join(link)).unwrap())
            .collect();
        assert!(
            tests.contains("#[test]") || tests.contains("Trial::test") || tests.contains("#[tokio::test"),
            "{row}"
        );
        for name in held_by.split('`').skip(1).step_by(2) {
            assert!(tests.contains(&format!("fn {name}(")), "{name}");
        }
        rows += 1;
    }
    assert!(rows >= 15, "{rows} promises");
}

/// The kill path stays minimal: only the handler, which chooses between a run and a drill, imports
/// the drill.
#[test]
fn only_the_handler_imports_the_drill() {
    let source = root().join("src");
    let imports = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("drill::");
    let mut found: Vec<_> = rust_files(&source)
        .into_iter()
        .filter(imports)
        .map(|path| path.strip_prefix(&source).unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, [PathBuf::from("handler.rs")]);
}
