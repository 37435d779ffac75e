# SPDX-License-Identifier: Apache-2.0
"""The errors of the AppConfig Data API in the shapes in which the service sends them."""
import json

from fake_http import Answer

TOKEN_PARAMETER = "ConfigurationToken"


def error(status, name, members):
    """The type stands in a header with a trailing colon; the members are capitalised."""
    body = json.dumps(members).encode()
    return Answer(status, {"Content-Type": "application/json", "x-amzn-RequestId":
                           "7c6d0b3e-5f0e-4f4c-9a55-0d7c5f0f1a2b",
                           "x-amzn-errortype": f"{name}:"}, body)


def bad_token(message, problem):
    return error(400, "BadRequestException", {
        "Message": message, "Reason": "InvalidParameters",
        "Details": {"InvalidParameters": {TOKEN_PARAMETER: {"Problem": problem}}}})


def bad_request(message):
    return error(400, "BadRequestException", {"Message": message})


def not_found(kind, name):
    """`kind`: Application, Environment, ConfigurationProfile, Deployment or Configuration."""
    parts = dict(zip(("ApplicationIdentifier", "EnvironmentIdentifier",
                      "ConfigurationProfileIdentifier"), name.split(":")))
    return error(404, "ResourceNotFoundException",
                 {"Message": f"{kind} not found", "ResourceType": kind, "ReferencedBy": parts})


def html(status, text):
    return Answer(status, {"Content-Type": "text/html"},
                  f"<html><body><h1>{status} {text}</h1></body></html>".encode())


def denied(operation, name):
    action = {"start": "StartConfigurationSession", "get": "GetLatestConfiguration"}[operation]
    return error(403, "AccessDeniedException", {
        "Message": f"User: arn:aws:sts::111122223333:assumed-role/app/i-0 is not authorized to "
                   f"perform: appconfig:{action} on resource: {name}"})


# What Fault(error=...) may name: a function of the operation and the configuration's name.
NAMED = {
    "throttled": lambda operation, name: error(
        429, "ThrottlingException", {"Message": "Rate exceeded"}),
    "throttled_text": lambda operation, name: Answer(
        429, {"Content-Type": "text/plain"}, b"Rate exceeded"),
    "internal": lambda operation, name: error(
        500, "InternalServerException", {"Message": "Internal server error"}),
    "internal_empty": lambda operation, name: error(500, "InternalServerException", {}),
    "bad_gateway": lambda operation, name: html(502, "Bad Gateway"),
    "unavailable": lambda operation, name: html(503, "Service Unavailable"),
    "gateway_timeout": lambda operation, name: html(504, "Gateway Timeout"),
    "denied": denied,
    "expired_credentials": lambda operation, name: error(
        403, "ExpiredTokenException",
        {"message": "The security token included in the request is expired"}),
    "bad_request": lambda operation, name: bad_request("Invalid request"),
    "too_early": lambda operation, name: bad_token("Request too early", "PollIntervalNotSatisfied"),
    "corrupted": lambda operation, name: bad_token("Token not valid", "Corrupted"),
    "expired": lambda operation, name: bad_token("Configuration token has expired", "Expired"),
    "no_application": lambda operation, name: not_found("Application", name),
    "no_environment": lambda operation, name: not_found("Environment", name),
    "no_profile": lambda operation, name: not_found("ConfigurationProfile", name),
    "no_deployment": lambda operation, name: not_found("Deployment", name),
}
