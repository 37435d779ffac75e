# SPDX-License-Identifier: Apache-2.0
"""One execution environment of Lambda: init, invocations one after the other, reset, shutdown.

What runs in it speaks to Lambda through the methods in the middle, which api.py gives to HTTP: the
Runtime API and the Extensions API. One lock, one condition; whoever waits for something waits for
the condition.
"""
import collections
import json
import signal
import threading
import time
import uuid

import processes

SHUTDOWN_S = 2.0
RUNTIME_SHARE = 0.15  # of it, that the runtime has to end after SIGTERM

Invocation = collections.namedtuple("Invocation", "id payload deadline_ms")


class Refused(Exception):
    """The client broke a rule of the API."""
    type = "Refused"


class Waiting(Refused):
    """It asks while it waits for an event already, perhaps on a connection that is lost."""
    type = "Extension.InvalidExtensionState"


class Gone(Exception):
    """The process whom the answer was for belongs to an environment that is no more."""


class Agent:
    """What asks for events: the runtime, or an extension after it has registered."""

    def __init__(self, name, events):
        self.name = name
        self.events = events
        self.id = str(uuid.uuid4())
        self.queue = collections.deque()
        self.is_parked = False


class Sandbox:
    def __init__(self, programs, timeout_s, freezes, say):
        self.programs = programs
        self.timeout_s = timeout_s
        self.freezes = freezes
        self.say = say
        self.changed = threading.Condition()
        self.one_at_a_time = threading.Lock()
        self.inits = 0
        self.refusals = 0
        self.clear()

    def clear(self):
        self.is_up = False      # has been through init
        self.is_frozen = False
        self.is_ending = False  # what ends now does so because it was told to
        self.runtime = None     # the Agent
        self.extensions = {}    # the Agents by their id
        self.running = []       # the Processes
        self.invocation = None
        self.answer = None      # (is an error, bytes)
        self.crash = None

    def state(self):
        with self.changed:
            return {"up": self.is_up, "frozen": self.is_frozen, "inits": self.inits,
                    "refusals": self.refusals,
                    "processes": {process.name: process.pid for process in self.running}}

    def wait(self, condition, seconds):
        """Whether `condition()` came true in time; a crash ends the wait. Needs the lock."""
        self.changed.wait_for(lambda: self.crash or condition(), seconds)
        return not self.crash and condition()

    # ---- What the processes ask for ---------------------------------------------------------------

    def refuse(self, why):
        self.refusals += 1
        self.say(f"REFUSED {why}")
        raise Refused(why)

    def register(self, name, events):
        with self.changed:
            if not any(process.name == name for process in self.running):
                self.refuse(f"{name} is no extension here")
            if self.runtime or any(agent.name == name for agent in self.extensions.values()):
                self.refuse(f"{name} registers too late or twice")
            if not set(events) <= {"INVOKE", "SHUTDOWN"}:
                self.refuse(f"{name} registers for {events}")
            agent = Agent(name, events)
            self.extensions[agent.id] = agent
            self.changed.notify_all()
            return agent

    def extension_event(self, identifier):
        """Waits for the next event of an extension: its JSON."""
        with self.changed:
            agent = self.extensions.get(identifier)
            if not agent:
                self.refuse(f"next with the identifier {identifier}")
            return self.next_of(agent)

    def next_invocation(self):
        with self.changed:
            if not self.runtime:
                self.refuse("the runtime asks before the extensions have registered")
            return self.next_of(self.runtime)

    def next_of(self, agent):
        if agent.is_parked:
            self.say(f"WAITING {agent.name} asks again")
            raise Waiting(f"State transition from Ready to Ready failed for {agent.name}")
        agent.is_parked = True
        self.changed.notify_all()
        self.changed.wait_for(lambda: agent.queue or not self.has(agent))
        if not agent.queue:
            raise Gone
        agent.is_parked = False
        return agent.queue.popleft()

    def has(self, agent):
        return agent is self.runtime or agent.id in self.extensions

    def respond(self, identifier, body, is_error):
        with self.changed:
            if not self.invocation or identifier != self.invocation.id or self.answer:
                self.refuse(f"an answer to {identifier}, which nobody waits for")
            self.answer = (is_error, body)
            self.changed.notify_all()

    def init_failed(self, who, body):
        with self.changed:
            self.crash = f"{who} says that init failed: {body[:500]!r}"
            self.changed.notify_all()

    def ended(self, process):
        with self.changed:
            if process in self.running and not self.is_ending and not self.crash:
                self.crash = f"{process.name} ended with {process.popen.returncode}"
            self.changed.notify_all()

    # ---- Init, invoke -------------------------------------------------------------------------

    def start(self, process):
        self.running.append(process)
        threading.Thread(target=process.watch, args=(self.ended,), daemon=True).start()

    def init(self):
        """The runtime starts when every extension has registered; init ends when all have asked."""
        self.clear()
        self.inits += 1
        self.say(f"INIT {self.inits}")
        for process in self.programs.start_extensions():
            self.start(process)
        if not self.wait(lambda: len(self.extensions) == len(self.running), self.timeout_s):
            return False
        self.runtime = Agent("runtime", ["INVOKE"])
        self.start(self.programs.start_runtime())
        self.is_up = self.wait(self.all_parked, self.timeout_s)
        return self.is_up

    def agents(self):
        return [self.runtime, *self.extensions.values()]

    def all_parked(self):
        """Nobody has anything to do. Who did not subscribe to INVOKE is not waited for."""
        return all(agent.is_parked and not agent.queue for agent in self.agents()
                   if agent is self.runtime or "INVOKE" in agent.events or not self.is_up)

    def invoke(self, payload, answer):
        """Calls answer(status, body) as soon as there is one, and returns when all is quiet again."""
        with self.one_at_a_time, self.changed:
            if self.is_frozen:
                processes.thaw(self.running)
                self.is_frozen = False
            if not (self.is_up or self.init()) or self.crash:
                answer(502, self.failure())
                ok = False
            else:
                ok = self.deliver(payload, answer) and self.wait(self.all_parked, self.left())
            if not ok:
                self.reset("Timeout" if not self.crash else "ReleaseFail")
            elif self.freezes:
                processes.freeze(self.running)
                self.is_frozen = True

    def left(self):
        return max(0, self.invocation.deadline_ms / 1000 - time.time())

    def failure(self):
        return json.dumps({"errorType": "Sandbox.Failure", "errorMessage": self.crash or
                           f"Task timed out after {self.timeout_s} s"}).encode()

    def deliver(self, payload, answer):
        deadline_ms = int((time.time() + self.timeout_s) * 1000)
        self.invocation = Invocation(str(uuid.uuid4()), payload, deadline_ms)
        self.answer = None
        event = {"eventType": "INVOKE", "deadlineMs": deadline_ms, "requestId": self.invocation.id,
                 "invokedFunctionArn": "arn:aws:lambda:us-east-1:012345678912:function:f"}
        for agent in self.extensions.values():
            if "INVOKE" in agent.events:
                agent.queue.append(json.dumps(event))
        self.runtime.queue.append(self.invocation)
        self.changed.notify_all()
        if not self.wait(lambda: self.answer, self.left()) and not self.answer:
            answer(502 if self.crash else 200, self.failure())
            return False
        answer(200, self.answer[1])
        return True

    # ---- Reset, shutdown ------------------------------------------------------------------------

    def reset(self, reason):
        """SIGTERM to the runtime, SHUTDOWN to the extensions, and SIGKILL when the time is over."""
        self.say(f"RESET {reason}: {self.crash}")
        begin = time.monotonic()
        self.is_ending = True
        runtime = [process for process in self.running if process.name == "runtime"]
        others = [process for process in self.running if process.name != "runtime"]
        if others:
            for process in runtime:
                process.popen.send_signal(signal.SIGTERM)
            self.wait_end(runtime, begin + SHUTDOWN_S * RUNTIME_SHARE)
        processes.kill(runtime)
        event = {"eventType": "SHUTDOWN", "shutdownReason": reason,
                 "deadlineMs": int((time.time() + begin + SHUTDOWN_S - time.monotonic()) * 1000)}
        told = []
        for agent in self.extensions.values():
            if "SHUTDOWN" in agent.events:
                told.append(agent.name)
                agent.queue.append(json.dumps(event))
        self.changed.notify_all()
        self.wait_end([process for process in others if process.name in told], begin + SHUTDOWN_S)
        late = [process.name for process in others if process.is_running()]
        processes.kill(others)
        for process in others:
            self.say(f"ENDED {process.name} {process.popen.returncode}")
        self.say(f"SHUTDOWN took {time.monotonic() - begin:.3f} s; killed: {late or 'none'}")
        self.clear()
        self.changed.notify_all()

    def wait_end(self, ending, end):
        self.changed.wait_for(lambda: not any(process.is_running() for process in ending),
                              max(0, end - time.monotonic()))

    def shut_down(self):
        with self.one_at_a_time, self.changed:
            if self.is_frozen:
                processes.thaw(self.running)
            if self.running:
                self.reset("SandboxTerminated")
