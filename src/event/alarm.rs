//! CloudWatch alarms, in the three forms that reach a function. An alarm acts only in the state
//! `ALARM`.

use serde_json::Value;

use super::{
    Context, Ignored, OWN_NAMESPACE, Trigger, TriggerType,
    draft::{Draft, Fault, Wants},
    fields::{
        Named, Object, alarm_ids, alarm_message_ids, as_text, items, place, place_part, resource, text_at, text_of,
    },
};
use crate::{ids::AccountRegion, text};

/// What the three shapes have in common.
struct Alarm {
    name: Option<String>,
    arn: Option<String>,
    state: Option<String>,
    reason: Option<String>,
    /// The reason why its actions are held back, if they are.
    held_back: Option<String>,
    /// True if it is about one contributor of a grouped alarm.
    is_of_contributor: bool,
    /// The expressions of its metrics.
    expressions: Vec<Expression>,
    /// True if one of its metrics is not an expression. A composite alarm has no metrics.
    has_metrics: bool,
    /// True if one of its metrics is the function's own.
    watches_the_function: bool,
    /// The IDs at the places where an alarm of this shape names key stores.
    ids: Vec<Value>,
    /// The accounts of its metrics, if the event has them. An alarm may watch another account's
    /// metrics.
    accounts: Vec<String>,
}

/// An alarm through EventBridge: `detail` has it.
pub(super) fn from_eventbridge(envelope: &Object, context: &Context<'_>) -> Draft {
    let nothing = Value::Null;
    let detail = envelope.get("detail").unwrap_or(&nothing);
    let arn = resource(envelope).or_else(|| text_of(envelope, "id"));
    let mut alarm = Alarm::of_configuration(detail, arn);
    alarm.is_of_contributor |=
        envelope.get("detail-type").and_then(Value::as_str) == Some("CloudWatch Alarm Contributor State Change");
    alarm.read(detail.as_object(), context)
}

/// True if CloudWatch invoked the function as an alarm's action.
pub(super) fn is_action(envelope: &Object) -> bool {
    envelope.contains_key("alarmData") && text_of(envelope, "source").as_deref() == Some("aws.cloudwatch")
}

/// An alarm whose action is the function itself: `alarmData` has it.
pub(super) fn from_action(envelope: &Object, context: &Context<'_>) -> Draft {
    let nothing = Value::Null;
    let data = envelope.get("alarmData").unwrap_or(&nothing);
    Alarm::of_configuration(data, text_of(envelope, "alarmArn"))
        .read(data.as_object(), context)
        .of_envelope(envelope)
        .only_from(&place(envelope, "accountId", "region"), context.own)
}

/// True if an SNS message is an alarm's.
pub(super) fn is_message(message: &Object) -> bool {
    message.contains_key("AlarmName") && message.contains_key("NewStateValue")
}

/// An alarm through SNS: other names, and dimensions as a list. `Region` is a display name there
/// ("US East (N. Virginia)"), so the Region is taken from the ARN.
pub(super) fn from_message(message: &Object, context: &Context<'_>) -> Draft {
    let nothing = Value::Null;
    let trigger = message.get("Trigger").unwrap_or(&nothing);
    let metrics = items(trigger, "/Metrics");
    let has = |name: &str| message.get(name).is_some_and(|value| !value.is_null());
    let alarm = Alarm {
        name: text_of(message, "AlarmName"),
        arn: text_of(message, "AlarmArn"),
        state: text_of(message, "NewStateValue"),
        reason: text_of(message, "NewStateReason"),
        held_back: None,
        is_of_contributor: has("AlarmContributorAttributes") || has("AlarmContributorId"),
        expressions: expressions(metrics, "Expression", "ReturnData"),
        watches_the_function: is_own(trigger.get("Namespace"))
            || metrics
                .iter()
                .any(|metric| is_own(metric.pointer("/MetricStat/Metric/Namespace"))),
        ids: alarm_message_ids(message),
        has_metrics: trigger.get("MetricName").is_some()
            || metrics.iter().any(|metric| metric.get("MetricStat").is_some()),
        accounts: metrics
            .iter()
            .filter_map(|metric| place_part(metric.get("AccountId")))
            .collect(),
    };
    let from = AccountRegion {
        account: place_part(message.get("AWSAccountId")),
        region: None,
    };
    alarm.read(Some(message), context).only_from(&from, context.own)
}

impl Alarm {
    /// The shape that EventBridge and direct actions share.
    fn of_configuration(data: &Value, arn: Option<String>) -> Self {
        let metrics = items(data, "/configuration/metrics");
        let contributor = data.get("alarmContributor");
        Self {
            name: data.get("alarmName").and_then(as_text),
            arn,
            state: text_at(data, "/state/value"),
            reason: text_at(data, "/state/reason"),
            held_back: held_back(data),
            is_of_contributor: contributor.is_some_and(|it| !it.is_null()),
            expressions: expressions(metrics, "expression", "returnData"),
            watches_the_function: metrics
                .iter()
                .any(|metric| is_own(metric.pointer("/metricStat/metric/namespace"))),
            ids: alarm_ids(data),
            has_metrics: metrics.iter().any(|metric| metric.get("metricStat").is_some()),
            accounts: metrics
                .iter()
                .filter_map(|metric| place_part(metric.get("accountId")))
                .collect(),
        }
    }

    /// `holder` is the object that has the alarm.
    fn read(&self, holder: Option<&Object>, context: &Context<'_>) -> Draft {
        let trigger = Trigger {
            name: self.name.clone(),
            id: self.arn.clone(),
            ..Trigger::of(TriggerType::Alarm)
        };
        let taken_for = if self.is_of_contributor {
            "a contributor of a CloudWatch alarm"
        } else {
            "a CloudWatch alarm"
        };
        let of_arn = AccountRegion::of_arn(self.arn.as_deref().unwrap_or_default());
        let draft = Draft::new(trigger, taken_for, self.wants(context))
            .because(self.reason.clone())
            .only_from(&of_arn, context.own);
        match holder {
            Some(holder) => draft.without_persons_fields(holder, "in the alarm"),
            None => draft,
        }
    }

    fn wants(&self, context: &Context<'_>) -> Wants {
        let nothing = |why: String| Wants::Ignore(Ignored::AsksForNothing(why));
        match self.state.as_deref() {
            Some("ALARM") => {}
            Some(state @ ("OK" | "INSUFFICIENT_DATA")) => {
                return nothing(format!("the alarm is {state}, and only ALARM is acted on"));
            }
            state => {
                let found = state.map_or_else(|| "no state".into(), text::quote);
                return Wants::Refuse(Fault::new(
                    format!("it has {found} where ALARM, OK or INSUFFICIENT_DATA must be"),
                    "Forward the alarm whole, without an input transformer",
                ));
            }
        }
        if let Some(why) = &self.held_back {
            return Wants::Ignore(Ignored::Muted(why.clone()));
        }
        if self.is_grouped() && !self.is_of_contributor {
            return nothing(
                "it is the alarm itself of a grouped Metrics Insights alarm, whose contributors name the key stores and act"
                    .into(),
            );
        }
        self.act(context)
    }

    fn act(&self, context: &Context<'_>) -> Wants {
        let is_own = |expression: &Expression| expression.text.contains(OWN_NAMESPACE);
        if self.watches_the_function || self.expressions.iter().any(is_own) {
            return Wants::Refuse(Fault::new(
                format!("it watches a metric of this function itself (namespace {OWN_NAMESPACE})"),
                "Let this alarm notify people, and not the function. An alarm on a metric of the key store \
                 (namespace AWS/KMS) can disconnect it",
            ));
        }
        let key_store = match Named::of(&self.ids) {
            Named::One(key_store) => key_store,
            Named::Faulty(wrong) => {
                return Wants::Refuse(Fault::new(
                    wrong,
                    "Have one alarm for each key store, on a metric with the dimension CustomKeyStoreId",
                ));
            }
            Named::None => return Wants::Refuse(self.names_none(context)),
        };
        let own = AccountRegion {
            region: None,
            ..context.own.clone()
        };
        let mut places = self.accounts.iter().map(|account| AccountRegion {
            account: Some(account.clone()),
            region: None,
        });
        if let Some(strange) = places.find(|place| own.differs_from(place).is_some()) {
            let fault = Fault::new(
                "it watches a metric of another account than this function's",
                "Deploy the function where the key store is, with an alarm there",
            );
            return Wants::Refuse(fault.elsewhere_at(&strange, context.own));
        }
        Wants::Disconnect {
            key_store,
            dry_run: false,
        }
    }

    /// Advises a constant Input only for an alarm without a place for an ID. A contributor has such
    /// a place, and a constant Input would disconnect the same store for every contributor.
    fn names_none(&self, context: &Context<'_>) -> Fault {
        if self.is_of_contributor || self.is_grouped() {
            return Fault::new(
                "its attributes have no CustomKeyStoreId",
                "Group the alarm's query by CustomKeyStoreId: GROUP BY CustomKeyStoreId",
            );
        }
        if self.expressions.iter().any(Expression::is_grouped) {
            return Fault::new(
                "none of its metrics has a dimension CustomKeyStoreId",
                "Let the alarm watch the query itself, with GROUP BY CustomKeyStoreId",
            );
        }
        let wrong = if self.has_metrics {
            "none of its metrics has a dimension CustomKeyStoreId"
        } else {
            "none of its metrics has a dimension CustomKeyStoreId (a composite alarm has no metrics)"
        };
        // Somebody may paste the Input into a shell, in quotes.
        let is_plain = |name: &&str| name.chars().all(|c| c.is_alphanumeric() || " _-/.:".contains(c));
        let name = self.name.as_deref().filter(is_plain).unwrap_or("NAME");
        let input = context.example.trim_end_matches('}');
        let reason = Value::from(format!("alarm {}", text::cut(name, 64)));
        Fault::new(
            wrong,
            format!(
                "Send this alarm through an EventBridge rule whose target has the constant Input {input}, \"Reason\": \
                 {reason}}}, with your key store's ID in place of KEY_STORE_ID"
            ),
        )
    }

    /// A Metrics Insights query with `GROUP BY` has a state for each contributor
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-alarms.html>).
    /// One that only another expression uses gives the alarm no contributors.
    fn is_grouped(&self) -> bool {
        let mut watched = self.expressions.iter().filter(|expression| expression.is_watched);
        watched.any(Expression::is_grouped)
    }
}

/// An expression of an alarm: metric math, or a query of Metrics Insights.
struct Expression {
    text: String,
    /// False if only other expressions use its result.
    is_watched: bool,
}

impl Expression {
    fn is_grouped(&self) -> bool {
        let upper = self.text.to_ascii_uppercase();
        let words = upper.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.windows(2).any(|pair| pair == ["GROUP", "BY"])
    }
}

fn expressions(metrics: &[Value], name: &str, is_watched: &str) -> Vec<Expression> {
    let expression = |metric: &Value| {
        Some(Expression {
            text: metric.get(name).and_then(as_text)?,
            is_watched: metric.get(is_watched) != Some(&Value::Bool(false)),
        })
    };
    metrics.iter().filter_map(expression).collect()
}

fn is_own(namespace: Option<&Value>) -> bool {
    namespace.is_some_and(|namespace| namespace == OWN_NAMESPACE)
}

/// Why CloudWatch holds the alarm's actions back: a mute rule
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-mute-rules.html>) or a
/// suppressor alarm. EventBridge gets the event all the same.
fn held_back(data: &Value) -> Option<String> {
    let is_said = |value: &&Value| !value.is_null() && value.as_str() != Some("");
    if let Some(mute) = data.get("muteDetail").filter(is_said) {
        let by = text_at(mute, "/mutedByArn").unwrap_or_else(|| "a mute rule".into());
        let end =
            text_at(mute, "/muteWindowEnd").map_or_else(String::new, |end| format!(" until {}", text::quote(&end)));
        return Some(format!("the alarm is muted by {}{end}", text::quote_to(256, &by)));
    }
    let suppressor = data.pointer("/state/actionsSuppressedBy").filter(is_said)?;
    let by = suppressor
        .as_str()
        .map_or_else(|| suppressor.to_string(), str::to_owned);
    Some(format!("the alarm's actions are suppressed by {}", text::quote(&by)))
}
