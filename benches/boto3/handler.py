"""What a person would write in Python: the peer that the benchmark measures against."""

import json
import os

import boto3

kms = boto3.client("kms")
sns = boto3.client("sns")


def handler(event, context):
    key_store = event["CustomKeyStoreId"]
    kms.disconnect_custom_key_store(CustomKeyStoreId=key_store)
    answer = kms.describe_custom_key_stores(CustomKeyStoreId=key_store)
    state = answer["CustomKeyStores"][0]["ConnectionState"]
    report = {"customKeyStoreId": key_store, "connectionState": state}
    sns.publish(TopicArn=os.environ["TOPIC_ARN"], Subject=f"{key_store} is {state}", Message=json.dumps(report))
    return report
