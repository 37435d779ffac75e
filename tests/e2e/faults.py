# SPDX-License-Identifier: Apache-2.0
"""One system call of a daemon fails, then another: tests/faults/fail_call.c."""
import itertools
import re

from daemon import BIN


class Faults:
    """What fail_call is told, and what it tells."""

    def __init__(self, path):
        self.control, self.report = path / "control", path / "report"
        self.serials = itertools.count(1)
        self.serial = 0
        self.wrapper = [BIN / "fail_call", self.control, self.report]

    def set(self, call, way=0, when="now", only=""):
        self.serial = next(self.serials)
        text = f"{self.serial} {call} {way} {when} {only}\n"
        temporary = self.control.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(self.control)

    def end(self):
        """Nothing is counted any more, and nothing fails."""
        self.set(0, 0, "never")

    def lines(self, kind):
        """What follows `kind` in the lines of the current serial."""
        text = self.report.read_text() if self.report.exists() else ""
        return re.findall(rf"^{self.serial} {kind} ?(.*)$", text, re.M)

    def failed(self):
        """The call that failed and how, once it has."""
        return (self.lines("failed") or [None])[0]
