# The packaged template as one CloudFormation stack, so that resources and permissions cannot drift from what the project tests.
# Make the template first, in the unpacked release archive, with a bucket of the stack's Region:
#
#   sam package --s3-bucket BUCKET --output-template-file packaged.yaml
#   aws s3 cp packaged.yaml s3://BUCKET/packaged-VERSION.yaml
#
# With another VERSION each time: Terraform compares the address of the template, and not what is there.
#
# It is longer than the 51,200 bytes that CloudFormation takes in a request, so it is read from the bucket.
#
# This example has not been validated: nothing in the project's checks runs Terraform.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "allowed_key_store_ids" {
  description = "The IDs of the key stores that may be disconnected."
  type        = list(string)

  validation {
    condition     = alltrue([for id in var.allowed_key_store_ids : can(regex("^cks-[0-9A-Za-z]{1,60}$", id))])
    error_message = "Each ID is cks- and 1 to 60 letters or digits, such as cks-1234567890abcdef0."
  }
}

variable "notice_email" {
  description = "The address that receives the notices. AWS sends it a request for confirmation."
  type        = string
}

variable "template_url" {
  description = "The address of the packaged template, such as https://BUCKET.s3.REGION.amazonaws.com/packaged-0.2.0.yaml. A new template needs a new address."
  type        = string
}

variable "drill_key_store_id" {
  description = "The key store of the drills. It must be among the allowed ones."
  type        = string
}

resource "aws_cloudformation_stack" "switch" {
  name         = "disconnect-custom-key-store"
  template_url = var.template_url
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]

  parameters = {
    AllowedKeyStoreIds      = join(",", var.allowed_key_store_ids)
    NoticeEmail             = var.notice_email
    DrillScheduleExpression = "cron(0 9 ? * MON,THU *)"
    DrillKeyStoreId         = var.drill_key_store_id
  }
}

output "dry_run_command" {
  description = "Changes nothing. Run it right after applying."
  value       = aws_cloudformation_stack.switch.outputs["DryRunCommand"]
}

output "break_glass_command" {
  description = "Disconnects, and waits until that is verified."
  value       = aws_cloudformation_stack.switch.outputs["BreakGlassCommand"]
}
