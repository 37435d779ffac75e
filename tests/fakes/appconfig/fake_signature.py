# SPDX-License-Identifier: Apache-2.0
"""Holds the signature of a request against botocore's own signer, as the service does."""
import calendar
import hashlib
import hmac
import re
import time
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

SERVICE = "appconfig"
SKEW_MAX_S = 300
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/, ]+)/(\d{8})/([^/, ]+)/([^/, ]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})\Z")


class Refused(Exception):
    """Not let in: what the service answers, and which rule was broken."""

    def __init__(self, breach, error, message, status=403):
        super().__init__(message)
        self.breach = breach
        self.error = error
        self.message = message
        self.status = status


def bad_signature(message):
    return Refused("signature", "InvalidSignatureException", message)


def canonical_query(query):
    """The service decodes a query and escapes it itself; a '+' in it is a space there."""
    pairs = [tuple(map(urllib.parse.unquote_plus, pair.partition("=")[::2]))
             for pair in query.split("&") if pair]
    return "&".join(sorted(f"{urllib.parse.quote(name, safe='-_.~')}="
                           f"{urllib.parse.quote(value, safe='-_.~')}" for name, value in pairs))


def stamp(seconds):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def check_age(date, now):
    """`date` is the text of X-Amz-Date, `now` the service's time in seconds."""
    try:
        signed = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise Refused("signature", "IncompleteSignatureException",
                      "Date must be in ISO-8601 'basic format'.") from None
    if now - signed > SKEW_MAX_S:
        raise Refused("skew", "InvalidSignatureException",
                      f"Signature expired: {date} is now earlier than {stamp(now - SKEW_MAX_S)} "
                      f"({stamp(now)} - 5 min.)")
    if signed - now > SKEW_MAX_S:
        raise Refused("skew", "InvalidSignatureException",
                      f"Signature not yet current: {date} is still later than "
                      f"{stamp(now + SKEW_MAX_S)} ({stamp(now)} + 5 min.)")


def check_signed_names(names, request):
    if names != sorted(names):
        raise bad_signature("SignedHeaders must be sorted.")
    present = [name.lower() for name, _ in request.headers]
    needed = {"host"} | {name for name in present if name.startswith("x-amz-")}
    missing = sorted(needed - set(names)) + sorted(set(names) - set(present))
    if missing:
        raise bad_signature(f"'{missing[0]}' must be a 'SignedHeader' in the AWS Credential.")


def check(request, keys, region, now):
    """Raises Refused unless one of `keys`, {id: (secret, session token)}, has signed the request."""
    text = request.header("Authorization")
    if not text:
        raise Refused("signature", "MissingAuthenticationTokenException",
                      "Missing Authentication Token")
    match = AUTHORIZATION.match(text)
    date = request.header("X-Amz-Date")
    if not match or not date:
        raise Refused("signature", "IncompleteSignatureException",
                      "Authorization header is malformed or has no 'X-Amz-Date'.", 400)
    key, day, signed_region, service, names, signature = match.groups()
    names = names.split(";")
    if key not in keys:
        raise Refused("credentials", "UnrecognizedClientException",
                      "The security token included in the request is invalid.")
    secret, session_token = keys[key]
    if request.header("X-Amz-Security-Token") != session_token:
        raise Refused("credentials", "UnrecognizedClientException",
                      "The security token included in the request is invalid.")
    check_age(date, now)
    check_signed_names(names, request)
    if service != SERVICE:
        raise bad_signature(f"Credential should be scoped to correct service: '{SERVICE}'. ")
    if signed_region != region:
        raise bad_signature("Credential should be scoped to a valid region. ")
    if day != date[:8]:
        raise bad_signature("Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                            "version of date from HTTP.")
    content = request.header("X-Amz-Content-Sha256")
    if content not in (None, hashlib.sha256(request.body).hexdigest()):
        raise bad_signature("The value passed in for x-amz-content-sha256 does not match.")

    headers = HTTPHeaders()
    for name, value in request.headers:
        if name.lower() in names:
            headers[name] = value
    canonical = AWSRequest(method=request.method, headers=headers, data=request.body or None,
                           url=f"http://{request.header('Host')}{request.path}?"
                               f"{canonical_query(request.query)}")
    canonical.context["timestamp"] = date
    signer = SigV4Auth(Credentials(key, secret, session_token), service, signed_region)
    to_sign = signer.string_to_sign(canonical, signer.canonical_request(canonical))
    if not hmac.compare_digest(signer.signature(to_sign, canonical), signature):
        raise bad_signature("The request signature we calculated does not match the signature you "
                            "provided. Check your AWS Secret Access Key and signing method. "
                            "Consult the service documentation for details.")
