# SPDX-License-Identifier: Apache-2.0
# Not validated: neither `terraform validate` nor an apply has been run on this file. ../cdk is tested.
# From this folder, after ./tools/layer/build x86_64:  terraform init && terraform apply
terraform {
  required_providers {
    aws     = { source = "hashicorp/aws" }
    archive = { source = "hashicorp/archive" }
  }
}

locals {
  layer = "${path.module}/../../../build/layer/shmconf-layer-x86_64.zip"
}

resource "aws_appconfig_application" "shop" {
  name = "Shop"
}

resource "aws_appconfig_environment" "prod" {
  application_id = aws_appconfig_application.shop.id
  name           = "Prod"
}

resource "aws_appconfig_configuration_profile" "users" {
  application_id = aws_appconfig_application.shop.id
  name           = "Users"
  location_uri   = "hosted"
}

resource "aws_appconfig_hosted_configuration_version" "users" {
  application_id           = aws_appconfig_application.shop.id
  configuration_profile_id = aws_appconfig_configuration_profile.users.configuration_profile_id
  content_type             = "application/json"
  content                  = jsonencode([{ username = "alice" }, { username = "bob" }])
}

resource "aws_appconfig_deployment" "users" {
  application_id           = aws_appconfig_application.shop.id
  environment_id           = aws_appconfig_environment.prod.environment_id
  configuration_profile_id = aws_appconfig_configuration_profile.users.configuration_profile_id
  configuration_version    = aws_appconfig_hosted_configuration_version.users.version_number
  deployment_strategy_id   = "AppConfig.AllAtOnce"
}

resource "aws_lambda_layer_version" "shmconf" {
  layer_name               = "shmconf-x86-64"
  filename                 = local.layer
  source_code_hash         = filebase64sha256(local.layer)
  compatible_architectures = ["x86_64"]
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"]
    resources = ["${aws_appconfig_environment.prod.arn}/configuration/*"]
  }
}

resource "aws_iam_role" "function" {
  name               = "shmconf-example"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_iam_role_policy" "read" {
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.read.json
}

data "archive_file" "handler" {
  type        = "zip"
  source_file = "${path.module}/../lambda-python/handler.py"
  output_path = "${path.module}/handler.zip"
}

resource "aws_lambda_function" "users" {
  function_name    = "shmconf-example"
  role             = aws_iam_role.function.arn
  architectures    = ["x86_64"]
  runtime          = "python3.13"
  handler          = "handler.handler"
  filename         = data.archive_file.handler.output_path
  source_code_hash = data.archive_file.handler.output_base64sha256
  layers           = [aws_lambda_layer_version.shmconf.arn]
  timeout          = 10

  environment {
    variables = {
      APP_NAME                              = "Shop"
      ENV_NAME                              = "Prod"
      PROFILE_NAME                          = "Users"
      AWS_APPCONFIG_EXTENSION_PREFETCH_LIST = "Shop:Prod:Users"
    }
  }
}
