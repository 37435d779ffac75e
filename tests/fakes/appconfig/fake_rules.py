# SPDX-License-Identifier: Apache-2.0
"""The service's own rules: what it answers to a call that is well formed and signed."""
import base64
import json
import os
import re

import fake_answers as answers
from fake_http import Answer
from fake_model import DAY_S, INTERVAL_MEMBER, Session, Token

SUGGESTED_INTERVAL_S = 60


class Rules:
    """Methods of Fake, which has the state. All are called under its lock."""

    def answer(self, operation, request, parsed, fault, name):
        if fault.error:
            return answers.NAMED[fault.error](operation, name or "unknown")
        if fault.status:
            return Answer(fault.status, fault.headers or {"Content-Type": "application/json"},
                          fault.body or b"")
        if fault.is_instead():
            return Answer(500)
        if operation == "start":
            answer = self.start_session(request, parsed)
        else:
            answer = self.get_latest(parsed)
        if fault.body_is is not None:
            answer.body = fault.body_is
        return answer

    def missing(self, name):
        """The answer for a configuration that is not there, or None."""
        stored = self.stored.get(name)
        if stored and stored.content is not None:
            return None
        parts = name.split(":")
        known = [existing.split(":") for existing in self.stored]
        if stored or all(re.fullmatch(r"[a-z0-9]{4,7}", part) for part in parts):
            return answers.not_found("Deployment", name)
        if parts[0] not in (one[0] for one in known):
            return answers.not_found("Application", name)
        if (parts[0], parts[-1]) not in ((one[0], one[-1]) for one in known):
            return answers.not_found("ConfigurationProfile", name)
        return answers.not_found("Environment", name)

    def make_token(self, session, length):
        while True:
            text = base64.b64encode(os.urandom(length * 3 // 4 - 1)).decode()
            if "+" in text and "/" in text:
                break
        self.tokens[text] = Token(session, self.clock.now())
        return text

    def start_session(self, request, parsed):
        if isinstance(parsed, Answer):
            self.breach("request", json.loads(parsed.body)["Message"])
            return parsed
        missing = self.missing(parsed)
        if missing:
            return missing
        self.by_name[parsed].billed_starts += 1
        promised = json.loads(request.body).get(INTERVAL_MEMBER)
        token = self.make_token(Session(parsed, promised), min(self.token_length, 836))
        return Answer(201, {"Content-Type": "application/json"},
                      json.dumps({"InitialConfigurationToken": token},
                                 separators=(",", ":")).encode())

    def is_too_fast(self):
        if self.rate_max is None:
            return False
        now = self.clock.now()
        while self.polls and now - self.polls[0] > 1:
            self.polls.popleft()
        self.polls.append(now)
        return len(self.polls) > self.rate_max

    def get_latest(self, token):
        if not isinstance(token, Token):
            self.breach("token", "a token that was never given")
            return answers.NAMED["corrupted"]("get", None)
        session, now = token.session, self.clock.now()
        if token.spent:
            self.breach("token", f"a token of {session.name} was used twice, now at {now:.3f}; "
                                 f"before: {'; '.join(token.uses)}")
            return answers.NAMED["corrupted"]("get", None)
        if now - token.issued_at >= DAY_S:
            return answers.NAMED["expired"]("get", None)
        if session.polled_at is not None and now - session.polled_at < session.interval_s:
            self.breach("early", f"{session.name} was polled after {now - session.polled_at:.3f} s,"
                                 f" {session.interval_s} s were announced")
            return answers.NAMED["too_early"]("get", None)
        if self.is_too_fast():
            return answers.NAMED["throttled"]("get", None)
        missing = self.missing(session.name)
        if missing:
            return missing
        return self.next_answer(token, session, now)

    def next_answer(self, token, session, now):
        token.spent = True
        session.polled_at = now
        session.interval_s = self.poll_interval_s if self.poll_interval_s is not None else \
            session.promised_s or SUGGESTED_INTERVAL_S
        stored, calls = self.stored[session.name], self.by_name[session.name]
        calls.billed_gets += 1
        headers = {"Content-Type": stored.content_type,
                   "Next-Poll-Configuration-Token": self.make_token(session, self.token_length),
                   "Next-Poll-Interval-In-Seconds": str(session.interval_s)}
        if session.seen is stored.version:
            return Answer(200, headers)
        session.seen = stored.version
        calls.received += 1 if stored.content else 0
        if stored.label:
            headers["Version-Label"] = stored.label
        return Answer(200, headers, stored.content)
