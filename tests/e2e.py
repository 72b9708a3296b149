"""Deploys the template to a local cloud and drives it through real service paths.

`python3 tests/e2e.py EMULATOR MINISTACK`, after `sam build`, with `sam` and `aws` on the PATH. MINISTACK
is an AWS emulator that runs the built function as a process; it has no custom key stores, so the
function's KMS endpoint is EMULATOR. Nothing here needs an account or Docker, and nothing runs on afterwards.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
from botocore.config import Config
from pages import LOCAL, Pages
from ports import free_port
from samcli.yamlhelper import yaml_dump, yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
STACK = "disconnect-custom-key-store"
ACCOUNT, REGION = "123456789012", "us-east-1"
PAYMENTS = "cks-1234567890abcdef0"  # a CloudHSM key store
ARCHIVE = "cks-9876543210fedcba9"  # an external one, which only the schedule cuts off
SOURCE = "com.example.security"
PREFIX = "Xks"
TRANSITION = 3  # seconds that a connect or a disconnect takes

passed = 0


def check(name, condition, found=""):
    global passed
    if not condition:
        sys.exit(f"FAILED: {name}: {found}")
    passed += 1
    print(f"ok: {name}", flush=True)


def until(what, seconds, attempt):
    """Calls `attempt` until it gives something, and gives that."""
    end = time.monotonic() + seconds
    while True:
        found = attempt()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what} within {seconds} s")
        time.sleep(0.2)


class Cloud:
    """The two emulators, and clients for both."""

    def __init__(self, emulator, ministack, folder):
        self.folder = folder
        self.log = folder / "kms.log"
        self.kms_process = subprocess.Popen(
            [emulator, "--transition", str(TRANSITION)], stdout=self.log.open("w"), cwd=folder
        )
        self.kms_url = until("the emulator's address", 10, lambda: self.log.read_text().split("\n")[0])
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "AWS_ENDPOINT_URL": self.url,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "CLOUDTRAIL_RECORDING": "1",
        }
        self.process = subprocess.Popen(
            [ministack], env=environment, cwd=folder, stdout=(folder / "ministack.log").open("w"), stderr=subprocess.STDOUT
        )
        until("ministack's health", 60, self.healthy)
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "SAM_CLI_TELEMETRY": "0",
            "USER": "operator",
        }
        self.kms = self.client("kms", self.kms_url)
        self.sns_calls = set()

    def healthy(self):
        try:
            return urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1).status == 200
        except OSError:
            return False

    def client(self, service, url=None):
        return boto3.client(
            service,
            endpoint_url=url or self.url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",
            config=Config(read_timeout=910, retries={"max_attempts": 0}),
        )

    def stop(self):
        for process in (self.process, self.kms_process):
            process.terminate()
            process.wait(20)
        # ministack leaves the functions running that it keeps warm; they were started from our folder.
        for link in pathlib.Path("/proc").glob("[0-9]*/exe"):
            try:
                if pathlib.Path(os.readlink(link)).is_relative_to(self.folder):
                    os.kill(int(link.parent.name), signal.SIGTERM)
            except OSError:
                continue  # it has ended, or is not ours to look at

    def note_sns_calls(self):
        """Remembers what the function called of SNS, by the trail, which shows the last 50 calls."""
        source = [{"AttributeKey": "EventSource", "AttributeValue": "sns.amazonaws.com"}]
        for entry in self.client("cloudtrail").lookup_events(LookupAttributes=source)["Events"]:
            record = json.loads(entry["CloudTrailEvent"])
            if f"app/{STACK}" in record["userAgent"]:
                self.sns_calls.add(f"sns:{record['requestParameters']['Action']}")

    def state(self, key_store):
        answer = self.kms.describe_custom_key_stores(CustomKeyStoreId=key_store)
        return answer["CustomKeyStores"][0]["ConnectionState"]

    def connect_again(self, key_store=PAYMENTS):
        until("DISCONNECTED", 20, lambda: self.state(key_store) == "DISCONNECTED")
        self.kms.connect_custom_key_store(CustomKeyStoreId=key_store)
        until("CONNECTED", 20, lambda: self.state(key_store) == "CONNECTED")


class Inbox:
    """A queue that is subscribed to the topic."""

    def __init__(self, cloud, topic, name, policy=None, scope=None):
        self.scheduled = []
        self.sqs = cloud.client("sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = {"RawMessageDelivery": "true"}
        if policy:
            attributes["FilterPolicy"] = json.dumps(policy)
        if scope:
            attributes["FilterPolicyScope"] = scope
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)

    def take(self):
        """All notices that are there, and no longer afterwards; those of the schedule, which comes when it
        likes, are set aside in `scheduled`."""
        notices = self.receive()
        self.scheduled += [notice for notice in notices if notice.get("customKeyStoreId") == ARCHIVE]
        return [notice for notice in notices if notice.get("customKeyStoreId") != ARCHIVE]

    def receive(self):
        taken = []
        while True:
            answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            messages = answer.get("Messages", [])
            if not messages:
                return taken
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(json.loads(message["Body"]))

    def wait_for(self, outcome, seconds=60, count=1):
        """The notices up to the one with this outcome, or up to so many of them."""
        seen = []

        def attempt():
            seen.extend(self.take())
            return sum(notice.get("outcome") == outcome and notice["final"] for notice in seen) >= count

        until(f"a notice {outcome} (seen: {seen})", seconds, attempt)
        return seen


def everything(cloud, alarm_topic):
    """The parameters that turn everything on."""
    return {
        "AllowedKeyStoreIds": f"{PAYMENTS} , {ARCHIVE}",
        "AlarmNamePrefix": PREFIX,
        "AlarmTopicArn": alarm_topic,
        "CustomEventSource": SOURCE,
        "ReconnectGuard": "true",
        "ScheduleExpression": "rate(1 minute)",
        "ScheduleKeyStoreId": ARCHIVE,
        "DrillScheduleExpression": "rate(1 minute)",
        "DrillKeyStoreId": ARCHIVE,
        "Dashboard": "true",
        "NoticeEmail": "ops@example.com",
        "Chat": "true",
        "RunbookUrl": "https://wiki.example.com/key-stores",
        "KmsEndpointUrl": cloud.kms_url,
    }


def sam_deploy(cloud, template, stack_name, parameters, capabilities=("CAPABILITY_IAM",)):
    overrides = [f'{name}="{value}"' for name, value in parameters.items()]
    how = ["--stack-name", stack_name, "--no-confirm-changeset", "--no-progressbar", "--resolve-s3", "--capabilities", *capabilities]
    command = ["sam", "deploy", "--template-file", str(template), *how, "--parameter-overrides", *overrides]
    return subprocess.run(command, cwd=ROOT, env=cloud.environment, capture_output=True, text=True, timeout=300)


def deploy(cloud, template, stack_name, parameters, capabilities=("CAPABILITY_IAM",)):
    done = sam_deploy(cloud, template, stack_name, parameters, capabilities)
    check(f"sam deploy of {stack_name}", done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:])
    return outputs_of(cloud, stack_name)


def outputs_of(cloud, stack_name):
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def shell(cloud, command):
    """Runs a command as a person would type it, and gives the JSON values that it prints."""
    done = subprocess.run(
        ["bash", "-c", command], env=cloud.environment, capture_output=True, text=True, timeout=120
    )
    check(f"exit status of: {command[:60]}…", done.returncode == 0, done.stderr)
    decoder, text, values = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].strip()
    return values


def event(stem, account=ACCOUNT):
    text = (ROOT / "events" / f"{stem}.json").read_text()
    return json.loads(text.replace("123456789012", account))


def chat_and_pager(cloud, chat, pager):
    """What has gone to the chat so far is one thread of two; the pager goes off once, and not on the drill."""
    messages = chat.receive()
    kinds = [message["metadata"]["eventType"] for message in messages if message["metadata"]["eventType"] != "DRY_RUN"]
    check("chat: early and final message", kinds == ["DISCONNECTING", "DISCONNECTED"], kinds)
    threads = {message["metadata"]["threadId"] for message in messages if message["metadata"]["eventType"] in kinds}
    check("chat: in one thread", len(threads) == 1, threads)
    shown = [message["content"]["description"] for message in messages]
    check("chat: the answer first", any(text.startswith("payments-hsm is disconnected. Its keys no longer work.") for text in shown), shown)
    paged = [notice["outcome"] for notice in pager.take()]
    check("the pager goes off for the disconnect alone", paged == ["DISCONNECTED"], paged)


def filter_policy(heading):
    """The filter policy under a heading of docs/operations.md."""
    section = (ROOT / "docs/operations.md").read_text().split(f"## {heading}\n")[1]
    return json.loads(section.split("```json\n")[1].split("```")[0])


def by_hand(cloud, outputs, inbox, selected, chat, pager):
    commands = {name: outputs[name] for name in ("DryRunCommand", "BreakGlassCommand")}
    for name, command in commands.items():
        check(f"{name} chooses no key store", '"CustomKeyStoreId":"KEY_STORE_ID"' in command, command)
        check(f"{name} names the Region", f"--region {REGION} " in command, command)
        commands[name] = command.replace("KEY_STORE_ID", PAYMENTS)
    report, _ = shell(cloud, commands["DryRunCommand"])
    check("the dry-run command reports DRY_RUN", report["outcome"] == "DRY_RUN", report)
    check("a dry run finds nothing to complain about", "findings" not in report, report)
    check("a dry run proves the permission", report["drill"]["permission"] == "ALLOWED", report)
    impact = report["impact"]
    check("a dry run says what would stop", (impact["keys"], impact["top"][0]["aliases"]) == (1, ["alias/payments"]), impact)
    check("a dry run changes nothing", cloud.state(PAYMENTS) == "CONNECTED")
    inbox.wait_for("DRY_RUN")

    report, _ = shell(cloud, commands["BreakGlassCommand"])
    check("the break-glass command reports DISCONNECTED", report["outcome"] == "DISCONNECTED", report)
    check("the store is DISCONNECTED", cloud.state(PAYMENTS) == "DISCONNECTED")
    cloud.note_sns_calls()
    notices = inbox.wait_for("DISCONNECTED")
    check("the last next step is the runbook", notices[-1]["nextSteps"][-1].endswith("https://wiki.example.com/key-stores"), notices[-1])
    told = [(notice["outcome"], notice["final"]) for notice in notices]
    check("early and final notice arrive", told == [("DISCONNECTING", False), ("DISCONNECTED", True)], told)
    chat_and_pager(cloud, chat, pager)
    chosen = [notice["outcome"] for notice in selected.take()]
    check("a filter policy on outcome selects", chosen == ["DISCONNECTED"], chosen)

    report, _ = shell(cloud, commands["BreakGlassCommand"])
    check("once more is ALREADY_DISCONNECTED", report["outcome"] == "ALREADY_DISCONNECTED", report)
    inbox.wait_for("ALREADY_DISCONNECTED")
    cloud.connect_again()


def typed(cloud, commands, folder=None, environment=None, status=0):
    """What commands print that a reader types, as they stand in a document."""
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -eu", LOCAL, *commands])],
        env=environment or cloud.environment,
        cwd=folder or cloud.folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    check(f"exit status of: {commands[-1][:60]}…", done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout + done.stderr


def runbook(cloud, outputs, inbox, pages):
    """The runbook's commands, as they stand there, from top to bottom. A failed event is waiting."""
    commands = {heading: pages.take("docs/runbook.md", heading) for heading in ("Emergency", "A false alarm", "Before", "After")}
    step_0, _, which = commands["Emergency"][:3]
    # The other store is still needed.
    commands["Emergency"] = [command.replace(f" {ARCHIVE}; do", "; do") for command in commands["Emergency"]]
    environment = {**cloud.environment, "AWS_ENDPOINT_URL_KMS": cloud.kms_url}

    def run(chapter):
        return typed(cloud, [step_0, which, *commands[chapter]], environment=environment)

    def tells(shown, outcome):
        # As JSON, or as text: ministack gives a function no log format.
        return re.search(f'outcome"?[:=] ?"{outcome}"', shown)

    shown = run("Before")
    check("runbook, Before: the drill reports", tells(shown, "DRY_RUN"), shown)
    inbox.wait_for("DRY_RUN")
    shown = run("Emergency")
    check("runbook, Emergency: account, Region and key stores are shown", f"{REGION}:{ACCOUNT}:function:" in shown and ARCHIVE in shown, shown)
    check("runbook, Emergency: it disconnects", tells(shown, "DISCONNECTED"), shown)
    check("runbook, Emergency: the report has who asked", f"arn:aws:iam::{ACCOUNT}" in shown or f"arn:aws:sts::{ACCOUNT}" in shown, shown)
    check("runbook, Emergency: by hand shows the state", re.search(r"\d\d:\d\d:\d\d DISCONNECTED", shown), shown)
    shown = run("A false alarm")
    check("runbook, A false alarm: the rules are listed, by stack and by target", shown.count(f"{STACK}-AlarmRule") == 2, shown)
    # The two asynchronous runs are over before the store is connected again.
    inbox.wait_for("ALREADY_DISCONNECTED", count=2)
    until("DISCONNECTED", 20, lambda: cloud.state(PAYMENTS) == "DISCONNECTED")
    shown = run("After")
    check("runbook, After: it is DISCONNECTED at first", shown.startswith("DISCONNECTED"), shown)
    check("runbook, After: and CONNECTED in the end", cloud.state(PAYMENTS) == "CONNECTED")
    check("runbook, After: the log tells the outcomes", tells(shown, "DISCONNECTED"), shown)
    check("runbook, After: the failed event is shown", "cks-none" in shown, shown)
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = cloud.client("sqs").get_queue_attributes(QueueUrl=outputs["FailedEventsQueueUrl"], AttributeNames=wanted)
    check("runbook, After: and is no longer in the queue", set(left["Attributes"].values()) == {"0"}, left["Attributes"])
    inbox.take()


def drill(cloud, pages):
    """The commands of the drill's page: that of the probe, and those that find what a key encrypts."""
    environment = {**cloud.environment, "AWS_ENDPOINT_URL_KMS": cloud.kms_url}
    shown = typed(cloud, pages.take("docs/drill.md", "What it proves"), environment=environment, status=255)
    check("drill: no key store has the probe's ID", "CustomKeyStoreNotFoundException" in shown, shown)
    commands = pages.take("docs/drill.md", "Data that depends on the store")
    key = re.search(r"^KEY=(\S+)$", "\n".join(commands), re.MULTILINE)[1]
    attributes = {"KmsMasterKeyId": key, "KmsDataKeyReusePeriodSeconds": "600"}
    cloud.client("sqs").create_queue(QueueName="encrypted", Attributes=attributes)
    shown = typed(cloud, commands, environment=environment)
    check("drill: the keys of a store are listed", re.search(rf"^{PAYMENTS}\tarn:aws:kms:\S+\tEnabled$", shown, re.MULTILINE), shown)
    # ministack 1.5.33 does not report the key of a volume, and has no databases.
    check("drill: the last column is the queue's seconds", f":encrypted\t{key}\t600\n" in shown, shown)
    check("drill: topics are listed", f":{STACK}-Topic" in shown, shown)


def operator(cloud):
    """Alarms and dashboard are there, and name metrics that the function writes."""
    cloudwatch = cloud.client("cloudwatch")
    written = {}
    for line in (ROOT / "src/report/metrics.rs").read_text().splitlines():
        for call in ('count("', 'milliseconds("'):
            if call in line:
                written[line.split(call)[1].split('"')[0]] = True
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    own = {(a["MetricName"], *(d["Value"] for d in a["Dimensions"])) for a in alarms if a["Namespace"] == "KeyStoreDisconnect"}
    expected = {("Invocations", "FAILED"), ("Invocations", "REFUSED"), ("Invocations", "NOT_VERIFIED"), ("NoticesFailed",), ("SelfCheckFindings",), ("MutedAlarms",), ("ChatNoticesFailed",), ("CleanDrills",)}
    check("alarms on failed, refused, not verified, notices that failed, findings and muted alarms", own == expected, (own, [a["AlarmName"] for a in alarms]))
    (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])
    kinds = [widget["type"] for widget in body["widgets"]]
    check("the dashboard has metrics and the log", kinds == ["metric"] * 4 + ["log"], kinds)
    rows = [row for widget in body["widgets"] for row in widget["properties"].get("metrics", [])]
    named = {row[1] for row in rows if row[0] == "KeyStoreDisconnect"}
    check("the dashboard's metrics are written", named and named <= set(written), (named, set(written)))
    queues = {row[3] for row in rows if row[0] == "AWS/SQS"}
    watched = {a["Dimensions"][0]["Value"] for a in alarms if a["Namespace"] == "AWS/SQS"}
    check("the dashboard shows each queue that has an alarm", queues == watched and len(queues) == 3, (queues, watched))
    check("nothing in the dashboard is left to fill in", "${" not in json.dumps(body))


def delivered(cloud, inbox, name, send, trigger):
    """Sends an event by one way, and holds state and notice to it."""
    send()
    notice = inbox.wait_for("DISCONNECTED")[-1]
    check(f"{name}: the store is DISCONNECTED", cloud.state(PAYMENTS) == "DISCONNECTED")
    check(f"{name}: the notice names the trigger", notice["trigger"]["type"] == trigger, notice["trigger"])
    cloud.connect_again()
    return notice


def asynchronous(cloud, outputs, inbox, alarm_topic):
    function, invoke = outputs["FunctionArn"], cloud.client("lambda").invoke

    def send(payload):
        return lambda: invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(payload))

    delivered(cloud, inbox, "async Invoke", send({"CustomKeyStoreId": PAYMENTS}), "direct")
    # AWS alone may put events of its own on a bus, so these two are handed to the function as AWS would.
    stems = {"alarm-eventbridge-contributor": "alarm", "alarm-eventbridge-metric-math": "alarm", "alarm-action-single-metric": "alarm", "cloudtrail-connect": "cloudtrail"}
    for stem, trigger in stems.items():
        delivered(cloud, inbox, stem, send(event(stem)), trigger)

    entry = {"Source": SOURCE, "DetailType": "Disconnect Custom Key Store", "Detail": json.dumps({"CustomKeyStoreId": PAYMENTS})}
    put = cloud.client("events").put_events
    notice = delivered(cloud, inbox, "PutEvents", lambda: put(Entries=[entry]), "eventbridge")
    check("PutEvents: by its detail-type", notice["trigger"]["name"] == "Disconnect Custom Key Store", notice)

    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=f"{PREFIX}ProxyErrorsHigh", Namespace="AWS/KMS", MetricName="XksProxyErrors", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=5, ComparisonOperator="GreaterThanThreshold", AlarmActions=[alarm_topic],
        Dimensions=[{"Name": "CustomKeyStoreId", "Value": PAYMENTS}],
    )  # fmt: skip
    alarm = {"AlarmName": f"{PREFIX}ProxyErrorsHigh", "StateValue": "ALARM", "StateReason": "The proxy answers with errors"}
    notice = delivered(cloud, inbox, "alarm through SNS", lambda: cloudwatch.set_alarm_state(**alarm), "alarm")
    check("alarm through SNS: with its reason", notice["reason"] == alarm["StateReason"], notice)


def rules(cloud):
    """The deployed patterns match the events of AWS that they are for."""
    events = cloud.client("events")
    patterns = [rule["EventPattern"] for rule in events.list_rules()["Rules"] if rule.get("EventPattern")]
    for stem, expected in {
        "alarm-eventbridge-single-metric": 1,
        "alarm-eventbridge-composite": 1,
        "alarm-eventbridge-contributor": 1,
        "alarm-eventbridge-contributor-ok": 0,
        "alarm-eventbridge-ok": 0,
        "cloudtrail-connect": 1,
        "cloudtrail-connect-failed": 0,
        "cloudtrail-disconnect": 0,
        "eventbridge-custom": 1,
        "eventbridge-security-hub-custom-action": 0,
    }.items():
        text = json.dumps(event(stem))
        matching = sum(events.test_event_pattern(EventPattern=pattern, Event=text)["Result"] for pattern in patterns)
        check(f"rules that match {stem}: {expected}", matching == expected, matching)
    for key_store, expected in {PAYMENTS: 1, ARCHIVE: 1, "cks-11111111111111111": 0}.items():
        connect = event("cloudtrail-connect")
        connect["detail"]["requestParameters"]["customKeyStoreId"] = key_store
        matching = sum(
            events.test_event_pattern(EventPattern=pattern, Event=json.dumps(connect))["Result"] for pattern in patterns
        )
        check(f"rules that match a connect of {key_store}: {expected}", matching == expected, matching)


def refusals(cloud, outputs, inbox):
    invoke = cloud.client("lambda").invoke
    payload = json.dumps({"CustomKeyStoreId": PAYMENTS, "DryRunn": True})
    answer = invoke(FunctionName=outputs["FunctionArn"], Payload=payload)
    error = json.loads(answer["Payload"].read())
    check("a misspelt field is InvalidEvent", error["errorType"] == "InvalidEvent", error)
    inbox.wait_for("REFUSED")
    check("and nothing was disconnected", cloud.state(PAYMENTS) == "CONNECTED")

    invoke(FunctionName=outputs["FunctionArn"], InvocationType="Event", Payload=json.dumps({"CustomKeyStoreId": "cks-none"}))
    sqs, queue = cloud.client("sqs"), outputs["FailedEventsQueueUrl"]
    received = until(
        "a message in the on-failure queue", 60, lambda: sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages")
    )
    body = json.loads(received[0]["Body"])
    check("a failing event ends in the on-failure queue", body["requestPayload"]["CustomKeyStoreId"] == "cks-none", body)
    check("with its error", body["responsePayload"]["errorType"] == "KeyStoreNotAllowed", body)
    refused = [notice for notice in inbox.wait_for("REFUSED") if notice["outcome"] == "REFUSED"]
    # Lambda's retries have one request ID; ministack 1.5.33 gives each a new one.
    requests = {notice["requestId"] for notice in refused}
    check("the runs of one refused event are one notice", len(refused) == len(requests), refused)


def schedule(cloud, inbox):
    def fired(reason):
        inbox.take()
        return [notice for notice in inbox.scheduled if notice["reason"].startswith(reason)]

    drill = until("the drill's notice", 150, lambda: fired("Drill of "))[0]
    check("the drill is a dry run", drill["outcome"] == "DRY_RUN", drill)
    notice = until("the schedule's notice", 150, lambda: fired("Scheduled for "))[0]
    check("the schedule cut off its key store", cloud.state(ARCHIVE) in ("DISCONNECTING", "DISCONNECTED"))
    # ministack 1.5.33 leaves the words in angle brackets, which EventBridge Scheduler fills in.
    words = {"reason": "Scheduled for <aws.scheduler.scheduled-time>", "requestedBy": "<aws.scheduler.schedule-arn>"}
    check("the schedule gives Scheduler's words to fill in", words.items() <= notice.items(), notice)


def permissions(cloud):
    """The role grants what the function was seen to call, and nothing else."""
    iam = cloud.client("iam")
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    role = next(entry["PhysicalResourceId"] for entry in resources if entry["LogicalResourceId"] == "Role")
    document = iam.get_role_policy(RoleName=role, PolicyName=STACK)["PolicyDocument"]
    document = json.loads(document) if isinstance(document, str) else document
    granted = set()
    for statement in document["Statement"]:
        actions = statement["Action"]
        granted.update([actions] if isinstance(actions, str) else actions)
    operations = ("DisconnectCustomKeyStore", "DescribeCustomKeyStores", "ListKeys", "ListAliases", "DescribeKey", "GetKeyLastUsage")
    lines = cloud.log.read_text().splitlines()
    seen = {f"kms:{name}" for name in operations for line in lines if line.startswith(f"{name} ")}
    seen.update(cloud.sns_calls)
    seen.add("sqs:SendMessage")  # Lambda's own, for the on-failure queue, where a message was found
    platform = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    check("the role grants what was called, no more and no less", granted - platform == seen, (granted, seen))


def given_up(cloud, outputs, alarm_topic):
    """What delivers to the function gives up in time and keeps what it could not deliver."""
    events, queue = cloud.client("events"), outputs["UndeliveredEventsQueueUrl"].rsplit("/", 1)[1]
    for name in [rule["Name"] for rule in events.list_rules()["Rules"] if rule["Name"].startswith(STACK)]:
        (target,) = events.list_targets_by_rule(Rule=name)["Targets"]
        check(f"{name} gives up after six hours", target["RetryPolicy"]["MaximumEventAgeInSeconds"] == 21600, target)
        check(f"{name} keeps what it could not deliver", target["DeadLetterConfig"]["Arn"].endswith(f":{queue}"), target)
    sns = cloud.client("sns")
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=alarm_topic)["Subscriptions"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    check("the topic of the alarms does too", json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].endswith(f":{queue}"), attributes)


def rejected(cloud, template):
    """What would be refused on a Friday evening is rejected when it is deployed."""
    listed = {"AllowedKeyStoreIds": PAYMENTS, "KmsEndpointUrl": cloud.kms_url, "NoticeEmail": "ops@example.com"}
    nobody = {"AllowedKeyStoreIds": PAYMENTS, "KmsEndpointUrl": cloud.kms_url}
    schedule = {"ScheduleExpression": "rate(1 day)", "ScheduleKeyStoreId": ARCHIVE}
    drill = {"DrillScheduleExpression": "rate(1 day)", "DrillKeyStoreId": ARCHIVE}
    for parameters, why in [
        (nobody, "Nobody would receive the notices"),
        ({**nobody, "Chat": "true"}, "A chat shows no alarms"),
        ({**listed, "AllowedKeyStoreIds": f"*,{PAYMENTS}"}, "must be alone"),
        ({**listed, "AllowedKeyStoreIds": f"{PAYMENTS},payments"}, "AllowedKeyStoreIds"),
        ({**listed, **schedule}, "ScheduleKeyStoreId must be among"),
        ({**listed, **drill}, "DrillKeyStoreId must be among"),
        ({**listed, "VpcSubnetIds": "subnet-1"}, "VpcSubnetIds needs VpcSecurityGroupIds"),
        ({**listed, "VpcSecurityGroupIds": "sg-1"}, "VpcSecurityGroupIds needs VpcSubnetIds"),
        ({**listed, "VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, "drills keep the"),
        ({**listed, "PermissionsBoundaryArn": "boundary"}, "PermissionsBoundaryArn"),
    ]:
        done = sam_deploy(cloud, template, f"{STACK}-rejected", parameters)
        said = done.stdout + done.stderr
        check(f"rejected, because: {why}", done.returncode != 0 and why in said, said[-3000:])


def mails(cloud, topic, inbox_name, left_out):
    """What the e-mail subscription lets through: everything but what is left out."""
    sns = cloud.client("sns")
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=f"{STACK}-any")["StackResources"]
    arn = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "EmailSubscription")
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    check("the e-mail subscription filters by the body", attributes["FilterPolicyScope"] == "MessageBody", attributes)
    inbox = Inbox(cloud, topic, inbox_name, json.loads(attributes["FilterPolicy"]), "MessageBody")
    sent = [
        {"outcome": "DRY_RUN", "severity": "INFO"},
        {"outcome": "DRY_RUN", "severity": "WARNING"},
        {"outcome": "DISCONNECTED", "severity": "INFO"},
        {"AlarmName": "FailedAlarm", "NewStateValue": "ALARM"},
    ]
    for body in sent:
        sns.publish(TopicArn=topic, Message=json.dumps(body))
    got = inbox.receive()
    check(f"{inbox_name}: the mail leaves out {left_out}", got == [body for body in sent if body not in left_out], got)


def any_key_store(cloud, template):
    """Where any key store is allowed, nothing is taken for the name of one. There is no schedule here either."""
    parameters = {"AllowedKeyStoreIds": "*", "ReconnectGuard": "true", "Dashboard": "true", "KmsEndpointUrl": cloud.kms_url, "NoticeEmail": "ops@example.com", "MailCleanDrills": "false"}
    outputs = deploy(cloud, template, f"{STACK}-any", parameters)
    (report,) = shell(cloud, outputs["DryRunCommand"].replace("KEY_STORE_ID", ARCHIVE))[:1]
    check("any key store: dry run", (report["outcome"], report["customKeyStoreId"]) == ("DRY_RUN", ARCHIVE), report)
    events = cloud.client("events")
    pattern = events.describe_rule(Name=outputs["ReconnectRuleName"])["EventPattern"]
    connect = event("cloudtrail-connect")
    connect["detail"]["requestParameters"]["customKeyStoreId"] = "cks-11111111111111111"
    matches = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(connect))["Result"]
    check("any key store: the reconnect guard minds each", matches, pattern)
    mails(cloud, outputs["TopicArn"], "armed", [{"outcome": "DRY_RUN", "severity": "INFO"}])
    check("no schedule: its queue is there all the same", "UndeliveredScheduledQueueUrl" in outputs, outputs)
    cloudwatch = cloud.client("cloudwatch")
    (name,) = [
        entry["DashboardName"]
        for entry in cloudwatch.list_dashboards()["DashboardEntries"]
        if entry["DashboardName"].startswith(f"{STACK}-any")
    ]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    rows = [row for widget in body["widgets"] for row in widget["properties"].get("metrics", [])]
    observing = deploy(cloud, template, f"{STACK}-any", {**parameters, "DryRun": "true"})
    mails(cloud, observing["TopicArn"], "observing", [])
    check("no schedule: three queues in the dashboard", len([row for row in rows if row[0] == "AWS/SQS"]) == 3, rows)


def local_template(built):
    """A template as ministack takes it: 1.5.33 knows all of its resource types but saved queries, which cfn-lint and
    `sam validate` judge alone."""
    template = yaml_parse(built.read_text())
    resources = template["Resources"]
    queries = [name for name, resource in resources.items() if resource["Type"] == "AWS::Logs::QueryDefinition"]
    check("three saved queries are left out", len(queries) == 3, queries)
    for name in queries:
        del resources[name]
    local = built.with_name("template-local.yaml")
    local.write_text(yaml_dump(template))
    return local


def unpacked(cloud):
    """The folder of the unpacked release archive."""
    (packed,) = (ROOT / "dist").glob("*-x86_64.zip")
    shutil.unpack_archive(packed, cloud.folder / "unpacked")
    (folder,) = (cloud.folder / "unpacked").iterdir()
    return folder


def parameters_of(cloud, name):
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}


def archive(cloud, folder, pages):
    """A stranger with the release archive, without Rust, by the pages alone: deploy, drill, change, upgrade and uninstall."""
    for page in folder.rglob("*.md"):
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
        dead = [link for link in links if not link.startswith("http") and not (page.parent / link).exists()]
        check(f"archive: every link of {page.name} leads somewhere", not dead, dead)
    typed(cloud, pages.take("docs/deploying.md", "From a release archive"), folder)
    local_template(folder / "template.yaml").replace(folder / "template.yaml")
    rust = [place for place in cloud.environment["PATH"].split(":") if (pathlib.Path(place) / "cargo").exists()]
    without = ":".join(place for place in cloud.environment["PATH"].split(":") if place not in rust)
    environment = {**cloud.environment, "PATH": without, "AWS_ENDPOINT_URL_KMS": cloud.kms_url}
    check("archive: there is no cargo", shutil.which("cargo", path=without) is None, without)
    name = f"{STACK}-stranger"

    def run(commands, stack=name, more=""):
        lines = [command.replace(STACK, stack) + more for command in commands]
        return typed(cloud, lines, folder, environment)

    before = pages.take("docs/deploying.md", "Before you deploy")
    shown = run(before)
    check("archive: the key store's ID is shown", f"{PAYMENTS}\tpayments-hsm\t" in shown, shown)
    deploying, drilling, drills = pages.take("docs/deploying.md", "Deploy")
    check("the README deploys like the page", pages.take("README.md", "Deploy and check") == [*before, deploying, drilling])
    run([deploying], more=f" KmsEndpointUrl={cloud.kms_url}")
    command = run([drilling]).strip()
    outputs = outputs_of(cloud, name)
    texts = zip(pages.take("docs/deploying.md", "Break glass"), ("DryRunCommand", "BreakGlassCommand"))
    same = [text.replace("NAME", outputs["FunctionName"]) == outputs[key] for text, key in texts]
    check("the page's break-glass commands are the outputs", all(same), (same, outputs))
    report, _ = shell(cloud, command.replace("KEY_STORE_ID", PAYMENTS).replace("WHO", "stranger"))
    found = (report["outcome"], report["drill"]["permission"], report["requestedBy"])
    check("archive: the function runs", found == ("DRY_RUN", "ALLOWED", "stranger"), report)
    digest = run(pages.take("docs/hardening.md", "Limits of the allow-list"), stack=STACK).split()[0]
    check("hardening: the digest is that of the report", digest == report["allowListSha256"], (digest, report))

    run([drills])
    check("the drills are scheduled", parameters_of(cloud, name)["DrillScheduleExpression"] == "cron(0 9 ? * MON,THU *)")
    schedule, no_schedule, observe, show = pages.take("docs/deploying.md", "Change a parameter")
    run([schedule])
    changed = parameters_of(cloud, name)
    found = (changed["ScheduleExpression"], changed["NoticeEmail"], changed["KmsEndpointUrl"])
    check("a parameter is changed, and the others stay", found == ("cron(0 20 ? * FRI *)", "security@example.com", cloud.kms_url), changed)
    run([no_schedule])
    run([observe])
    shown = run([show])
    check("the schedule is removed, and the others stay", "NoticeEmail\tsecurity@example.com" in shown and "FRI" not in shown, shown)
    check("the function observes", "DryRun\ttrue" in shown, shown)

    # The first command of this chapter builds for arm64, which no check does.
    _, protection = pages.take("docs/deploying.md", "Parameters")
    run([protection])
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    check("termination protection is on", stack["EnableTerminationProtection"], stack)
    run([protection.replace("--enable", "--no-enable")])
    run(pages.take("docs/operations.md", "Silence"))
    listed = cloud.client("sns").list_subscriptions_by_topic(TopicArn=outputs["TopicArn"])["Subscriptions"]
    check("a second address is subscribed", len(listed) == 2, listed)
    package, processed, names = pages.take("docs/multi-account.md", "Deploy to all")
    check("the stack's name is found", name in run([names]))
    cloud.client("s3").create_bucket(Bucket="packages")
    run([package.replace("BUCKET", "packages")])
    check("the template is packaged", "s3://packages/" in (folder / "packaged.yaml").read_text())
    run([processed])
    text = (folder / "processed.json").read_text()
    check("the processed template has no macro", "AWS::Lambda::Function" in text and "AWS::Serverless" not in text, text[:500])

    # The stack that was deployed from source, with everything on.
    was = parameters_of(cloud, STACK)
    run(pages.take("docs/deploying.md", "Upgrade"), stack=STACK)
    check("upgrade: every parameter stays", parameters_of(cloud, STACK) == was, (was, parameters_of(cloud, STACK)))
    function = outputs_of(cloud, STACK)["FunctionName"]
    code = cloud.client("lambda").get_function_configuration(FunctionName=function)["CodeSha256"]
    archived = base64.b64encode(hashlib.sha256((folder / "function.zip").read_bytes()).digest()).decode()
    check("upgrade: the function is that of the archive", code == archived, (code, archived))
    report, _ = shell(cloud, run([drilling], stack=STACK).strip().replace("KEY_STORE_ID", PAYMENTS))
    check("upgrade: the function runs", report["outcome"] == "DRY_RUN", report)

    removal = pages.take("docs/deploying.md", "Uninstall")
    run(removal)
    left = cloud.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])["StackSummaries"]
    check("uninstall: the stack is gone", name not in {entry["StackName"] for entry in left}, left)
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"{name}-")["logGroups"]
    check("uninstall: the log group is gone too", groups == [], groups)


def guided(cloud, folder):
    """`sam deploy --guided`, with the answers that the page gives: two parameters, Enter for the rest, and no signing."""
    answers = {"AllowedKeyStoreIds": ARCHIVE, "NoticeEmail": "security@example.com", "KmsEndpointUrl": cloud.kms_url}
    names = yaml_parse((folder / "template.yaml").read_text())["Parameters"]
    lines = [f"{STACK}-guided", REGION, *(answers.get(name, "") for name in names), "n", "y", "n", "n", "y", "", ""]
    command = ["sam", "deploy", "--guided", "--stack-name", f"{STACK}-guided"]
    done = subprocess.run(
        command, cwd=folder, env=cloud.environment, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=300
    )
    check("guided: it deploys", done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:])
    check("guided: it asks about signing, which the page says", "sign your code" in done.stdout, done.stdout[-3000:])
    set_to = parameters_of(cloud, f"{STACK}-guided")
    check("guided: the answers arrive", {key: set_to[key] for key in answers} == answers, set_to)


def chat_page(cloud, outputs, pages):
    """The command that connects a channel. ministack does not know the two types of Amazon Q, which cfn-lint judges alone."""
    template = yaml_parse((ROOT / "examples/chat/template.yaml").read_text())
    unknown = [name for name, resource in template["Resources"].items() if "Chatbot" in resource["Type"]]
    check("two channels are left out", len(unknown) == 2, unknown)
    slack = next(entry["Properties"] for entry in template["Resources"].values() if entry["Type"].endswith("SlackChannelConfiguration"))
    check("the channel is that of the parameter", slack["SlackChannelId"] == {"Ref": "SlackChannelId"}, slack)
    for name in unknown:
        del template["Resources"][name]
    template.pop("Outputs", None)
    (cloud.folder / "chat.yaml").write_text(yaml_dump(template))
    (command,) = pages.take("docs/operations.md", "Chat")
    command = command.replace("examples/chat/template.yaml", "chat.yaml").replace("TOPIC_ARN", outputs["ChatTopicArn"])
    typed(cloud, [command])
    check("the chat's stack is there", parameters_of(cloud, "key-store-chat")["SlackChannelId"] == "C0123456789")


def triggers_page(cloud, inbox, pages):
    """A rehearsal of an alarm, and a rule with a constant Input, by the commands of the page."""
    rehearse, constant = pages.take("docs/triggers.md", "Triggers")
    cloudwatch, events = cloud.client("cloudwatch"), cloud.client("events")
    alarm = {"AlarmName": "XksProxyErrorsHigh", "Namespace": "AWS/KMS", "MetricName": "XksProxyErrors", "Statistic": "Sum"}
    cloudwatch.put_metric_alarm(**alarm, Period=60, EvaluationPeriods=1, Threshold=5, ComparisonOperator="GreaterThanThreshold")
    typed(cloud, [rehearse])
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["XksProxyErrorsHigh"])["MetricAlarms"]
    check("rehearsal: the alarm is in ALARM", (alarm["StateValue"], alarm["StateReason"]) == ("ALARM", "Rehearsal"), alarm)
    typed(cloud, [constant])
    inbox.take()
    alarm = event("alarm-eventbridge-single-metric")
    alarm["resources"] = [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:HsmUnhealthy"]
    pattern = events.describe_rule(Name="hsm-unhealthy")["EventPattern"]
    matches = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(alarm))["Result"]
    check("constant Input: the rule matches the alarm", matches, pattern)
    # Nobody but AWS may put an event of aws.cloudwatch, so the same target is tried with another source.
    events.put_rule(Name="hsm-unhealthy", EventPattern=json.dumps({"source": ["com.example.hsm"]}))
    entry = {"Source": "com.example.hsm", "DetailType": "HSM", "Detail": "{}"}
    notice = delivered(cloud, inbox, "constant Input", lambda: events.put_events(Entries=[entry]), "direct")
    check("constant Input: the rule is who asked", notice["requestedBy"] == "rule hsm-unhealthy", notice)
    events.create_event_bus(Name="central")
    rule, central = pages.take("docs/multi-account.md", "Pull the switch from one place")
    shown = json.loads(typed(cloud, [central]))
    check("the central account's event is taken", shown["FailedEntryCount"] == 0, shown)
    typed(cloud, [rule])
    # There is no second account here, so the same target is tried with an event of this one.
    events.put_rule(Name="central-switch", EventPattern=json.dumps({"source": ["com.example.central"]}))
    inbox.take()
    (entry,) = json.loads(shlex.split(central)[-1])
    entry = {**entry, "EventBusName": "default", "Source": "com.example.central"}
    trial = {**entry, "Detail": json.dumps({**json.loads(entry["Detail"]), "DryRun": True})}
    events.put_events(Entries=[trial])
    notice = inbox.wait_for("DRY_RUN")[-1]
    check("central switch: a trial is a dry run", notice["dryRun"] and cloud.state(PAYMENTS) == "CONNECTED", notice)
    notice = delivered(cloud, inbox, "central switch", lambda: events.put_events(Entries=[entry]), "direct")
    check("central switch: the central account is who asked", notice["requestedBy"] == "444455556666", notice)


def company(cloud, template):
    """What an organization may demand of each stack arrives at the resources."""
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(VpcId=vpc, GroupName="switch", Description="switch")["GroupId"]
    parameters = {
        "AllowedKeyStoreIds": PAYMENTS,
        "NoticeEmail": "ops@example.com",
        "AlarmActionArn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:opsitem:1#CATEGORY=Security",
        "ScheduleExpression": "cron(0 20 1 1 ? 2099)",
        "ScheduleKeyStoreId": PAYMENTS,
        "DrillScheduleExpression": "cron(0 9 1 1 ? 2099)",
        "DrillKeyStoreId": PAYMENTS,
        "BreakGlassPolicyName": "break-glass",
        "PermissionsBoundaryArn": boundary,
        "VpcSubnetIds": subnet,
        "VpcSecurityGroupIds": group,
        "UseFipsEndpoint": "true",
    }
    name = f"{STACK}-company"
    outputs = deploy(cloud, template, name, parameters, ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"])
    check("company: the break-glass policy has its name", outputs["BreakGlassPolicyArn"].endswith(":policy/break-glass"), outputs)
    function = cloud.client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])
    check("company: FIPS endpoints", function["Environment"]["Variables"]["AWS_USE_FIPS_ENDPOINT"] == "true", function)
    # ministack 1.5.33 reports neither the VPC of a function nor the boundary of a role that a template makes. What hangs on the
    # VPC's condition shows that it holds, and the template itself that no role is without a boundary.
    iam = cloud.client("iam")
    role = next(e["PhysicalResourceId"] for e in cloud.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"] if e["LogicalResourceId"] == "Role")
    document = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=STACK)["PolicyDocument"])
    check("company: Lambda may make network interfaces", "ec2:CreateNetworkInterface" in document, document)
    roles = [entry["Properties"] for entry in yaml_parse(template.read_text())["Resources"].values() if entry["Type"] == "AWS::IAM::Role"]
    wanted = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    check("company: every role has the boundary", len(roles) == 2 and all(role.get("PermissionsBoundary") == wanted for role in roles), roles)


def main():
    emulator, ministack = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(emulator, ministack, pathlib.Path(folder))
        pages = Pages()
        try:
            alarm_topic = cloud.client("sns").create_topic(Name="alarms")["TopicArn"]
            template = local_template(ROOT / ".aws-sam/build/template.yaml")
            outputs = deploy(cloud, template, STACK, everything(cloud, alarm_topic))
            inbox = Inbox(cloud, outputs["TopicArn"], "inbox")
            selected = Inbox(cloud, outputs["TopicArn"], "selected", {"outcome": ["DISCONNECTED"]})
            chat = Inbox(cloud, outputs["ChatTopicArn"], "chat")
            pager = Inbox(cloud, outputs["TopicArn"], "pager", filter_policy("Pager"))
            by_hand(cloud, outputs, inbox, selected, chat, pager)
            operator(cloud)
            drill(cloud, pages)
            refusals(cloud, outputs, inbox)
            runbook(cloud, outputs, inbox, pages)
            chat_page(cloud, outputs, pages)
            rules(cloud)
            asynchronous(cloud, outputs, inbox, alarm_topic)
            schedule(cloud, inbox)
            triggers_page(cloud, inbox, pages)
            permissions(cloud)
            given_up(cloud, outputs, alarm_topic)
            rejected(cloud, template)
            any_key_store(cloud, template)
            release = unpacked(cloud)
            archive(cloud, release, pages)
            guided(cloud, release)
            company(cloud, template)
            check("every chapter of the documents with commands is tried", not pages.left, pages.left)
        finally:
            cloud.stop()
            if os.environ.get("KEEP_LOGS"):
                subprocess.run(["cp", "-r", folder, os.environ["KEEP_LOGS"]], check=False)
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
