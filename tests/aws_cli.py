"""Holds the emulator to a client that nobody here wrote: the AWS CLI.

The CLI builds its requests and reads the answers by AWS's own service models. Run as
`python3 tests/aws_cli.py EMULATOR`, with `aws` on the PATH.
"""

import json
import os
import subprocess
import sys
import time

CLOUD_HSM = "cks-1234567890abcdef0"
EXTERNAL = "cks-9876543210fedcba9"
TOPIC = "arn:aws:sns:us-east-1:123456789012:key-store-notices"

# The members that AWS documents for an entry, by type of key store:
# https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeCustomKeyStores.html
COMMON = {"CustomKeyStoreId", "CustomKeyStoreName", "CustomKeyStoreType", "ConnectionState", "CreationDate"}
ENTRY = {
    "AWS_CLOUDHSM": COMMON | {"CloudHsmClusterId", "TrustAnchorCertificate"},
    "EXTERNAL_KEY_STORE": COMMON | {"XksProxyConfiguration"},
}

passed = 0


def aws(url, *arguments):
    """Runs the CLI; gives whether it failed, its parsed output and what it said of an error."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    done = subprocess.run(["aws", *arguments], env=environment, capture_output=True, text=True, timeout=60)
    # Version 1 exits with 255 for an error of the service and version 2 with 254.
    return bool(done.returncode), json.loads(done.stdout or "null"), done.stderr


def check(name, found, expected):
    global passed
    if found != expected:
        sys.exit(f"{name}: found {found!r}, expected {expected!r}")
    passed += 1
    print(f"ok: {name}")


def state(url, key_store):
    failed, out, error = aws(url, "kms", "describe-custom-key-stores", "--custom-key-store-id", key_store)
    if failed:
        sys.exit(f"describe failed: {error}")
    return out["CustomKeyStores"][0]["ConnectionState"]


def wait_for(url, key_store, wanted):
    until = time.monotonic() + 20
    while state(url, key_store) != wanted:
        if time.monotonic() > until:
            sys.exit(f"{key_store} did not become {wanted}")


def kms(url):
    failed, out, _ = aws(url, "kms", "describe-custom-key-stores")
    entries = {entry["CustomKeyStoreType"]: entry for entry in out["CustomKeyStores"]}
    check("describe lists both stores", (failed, sorted(entries)), (False, sorted(ENTRY)))
    for kind, members in ENTRY.items():
        check(f"an entry of {kind} has the documented members", set(entries[kind]), members)
    check("the store is CONNECTED at first", state(url, CLOUD_HSM), "CONNECTED")

    disconnect = ("kms", "disconnect-custom-key-store", "--custom-key-store-id", CLOUD_HSM)
    failed, out, _ = aws(url, *disconnect)
    check("disconnect is accepted with an empty answer", (failed, out), (False, None))
    check("then it is DISCONNECTING", state(url, CLOUD_HSM), "DISCONNECTING")
    failed, _, error = aws(url, *disconnect)
    check("disconnect is rejected in DISCONNECTING", failed, True)
    check("by its name", "(CustomKeyStoreInvalidStateException)" in error, True)
    wait_for(url, CLOUD_HSM, "DISCONNECTED")
    failed, _, _ = aws(url, *disconnect)
    check("disconnect is rejected in DISCONNECTED", failed, True)

    connect = ("kms", "connect-custom-key-store", "--custom-key-store-id", CLOUD_HSM)
    check("connect is accepted in DISCONNECTED", aws(url, *connect)[0], False)
    check("then it is CONNECTING", state(url, CLOUD_HSM), "CONNECTING")
    check("connect is accepted in CONNECTING", aws(url, *connect)[0], False)
    check("disconnect is accepted in CONNECTING", aws(url, *disconnect)[0], False)
    check("connect is rejected in DISCONNECTING", aws(url, *connect)[0], True)
    wait_for(url, CLOUD_HSM, "DISCONNECTED")
    aws(url, *connect)
    wait_for(url, CLOUD_HSM, "CONNECTED")
    check("connect is accepted in CONNECTED", aws(url, *connect)[0], False)
    check("and changes nothing", state(url, CLOUD_HSM), "CONNECTED")

    failed, out, _ = aws(url, "kms", "describe-custom-key-stores", "--custom-key-store-name", "archive-xks")
    check("describe finds by name", out["CustomKeyStores"][0]["CustomKeyStoreId"], EXTERNAL)
    failed, out, _ = aws(url, "kms", "describe-custom-key-stores", "--page-size", "1")
    check("describe pages", len(out["CustomKeyStores"]), 2)
    failed, _, error = aws(url, "kms", "describe-custom-key-stores", "--custom-key-store-id", "cks-none")
    check("an unknown ID is an error", (failed, "(CustomKeyStoreNotFoundException)" in error), (True, True))
    failed, out, _ = aws(
        url, "kms", "create-custom-key-store", "--custom-key-store-name", "new",
        "--cloud-hsm-cluster-id", "cluster-1a23b4cdefg", "--key-store-password", "password",
        "--trust-anchor-certificate", "certificate",
    )  # fmt: skip
    check("a new store is DISCONNECTED", state(url, out["CustomKeyStoreId"]), "DISCONNECTED")


# https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html
METADATA = {"KeyId", "Arn", "AWSAccountId", "CreationDate", "KeyState", "Origin", "CustomKeyStoreId", "KeyManager"}


def keys(url):
    failed, out, error = aws(url, "kms", "list-keys", "--page-size", "2")
    check("list-keys pages", (failed, [set(key) for key in out["Keys"]]), (False, [{"KeyId", "KeyArn"}] * 3))
    failed, out, error = aws(url, "kms", "list-aliases")
    names = {alias["AliasName"]: alias["TargetKeyId"] for alias in out["Aliases"]}
    check("list-aliases gives their keys", sorted(names), ["alias/archive", "alias/aws/s3", "alias/payments"])
    key = names["alias/payments"]
    failed, out, error = aws(url, "kms", "describe-key", "--key-id", key)
    check("describe-key has the documented members", METADATA <= set(out["KeyMetadata"]), True)
    check("and names the key store", out["KeyMetadata"]["CustomKeyStoreId"], CLOUD_HSM)
    failed, out, error = aws(url, "kms", "describe-key", "--key-id", names["alias/archive"])
    check("an external key has its configuration", "XksKeyConfiguration" in out["KeyMetadata"], True)
    failed, out, error = aws(url, "kms", "get-key-last-usage", "--key-id", key)
    check("get-key-last-usage gives the last use", (failed, out["KeyLastUsage"]["Operation"]), (False, "Decrypt"))
    check("since when uses are recorded", {"KeyCreationDate", "TrackingStartDate"} <= set(out), True)
    failed, _, error = aws(url, "kms", "get-key-last-usage", "--key-id", "alias/payments")
    check("it takes no alias", failed, True)
    aws(url, "kms", "disconnect-custom-key-store", "--custom-key-store-id", EXTERNAL)
    failed, out, error = aws(url, "kms", "describe-key", "--key-id", names["alias/archive"])
    check("a key of a store that is not connected is Unavailable", out["KeyMetadata"]["KeyState"], "Unavailable")


def sns(url):
    attributes = '{"outcome":{"DataType":"String","StringValue":"DISCONNECTED"}}'
    publish = ("sns", "publish", "--topic-arn", TOPIC, "--message", "m", "--message-attributes", attributes)
    failed, out, _ = aws(url, *publish, "--subject", "s")
    check("publish gives a message ID", (failed, list(out)), (False, ["MessageId"]))
    failed, _, error = aws(url, *publish, "--subject", "s" * 100)
    check("a subject of 100 characters is refused", (failed, "(InvalidParameter)" in error), (True, True))
    failed, out, _ = aws(url, "sns", "get-topic-attributes", "--topic-arn", TOPIC)
    check("the topic tells its attributes", out["Attributes"]["TopicArn"], TOPIC)
    failed, _, error = aws(url, "sns", "get-topic-attributes", "--topic-arn", TOPIC + "x")
    check("an unknown topic is an error", (failed, "(NotFound)" in error), (True, True))


def main():
    emulator = subprocess.Popen([sys.argv[1], "--transition", "4"], stdout=subprocess.PIPE, text=True)
    try:
        url = emulator.stdout.readline().strip()
        keys(url)
        kms(url)
        sns(url)
    finally:
        emulator.terminate()
        emulator.wait()
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
