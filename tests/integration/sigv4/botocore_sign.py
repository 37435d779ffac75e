#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""botocore's signer as a program that reads and writes the lines of sign.c."""
import sys
import time
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def sign(line):
    (key_id, secret, session_token, region, service, when, method, host, path, query, token,
     content_type, body) = [None if field == "-" else bytes.fromhex(field)
                            for field in line.rstrip("\n").split("\t")]
    text = query.decode()
    if token is not None:
        text += "&" if text else ""
        text += "configuration_token=" + urllib.parse.quote(token, safe="-_.~")
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(when)))
    headers = {"Host": host.decode(), "X-Amz-Date": date}
    if content_type:
        headers["Content-Type"] = content_type.decode()
    if session_token:
        headers["X-Amz-Security-Token"] = session_token.decode()
    # The Host above counts, not that of the URL.
    request = AWSRequest(method=method.decode(), data=body, headers=headers,
                         url=f"http://localhost{path.decode()}?{text}")
    request.context["timestamp"] = date
    credentials = Credentials(key_id.decode(), secret.decode(),
                              session_token.decode() if session_token else None)
    signer = SigV4Auth(credentials, service.decode(), region.decode())
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    names = signer.signed_headers(signer.headers_to_sign(request))
    authorization = (f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
                     f"SignedHeaders={names}, Signature={signature}")
    return "\t".join(text.encode().hex() for text in (authorization, date, canonical))


for one in sys.stdin:
    print(sign(one))
