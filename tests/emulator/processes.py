# SPDX-License-Identifier: Apache-2.0
"""The processes of a sandbox: the runtime and the extensions, each in a process group of its own."""
import os
import signal
import subprocess

EXTENSIONS = "/opt/extensions"

# What an extension does not get of the function's environment, beside names with a leading `_`.
RUNTIME_ONLY = ("AWS_EXECUTION_ENV", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
                "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")


class Process:
    """A program that `on_end(process)` is called for when it ends, from a thread of its own."""

    def __init__(self, name, command, environment):
        self.name = name
        self.popen = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                      start_new_session=True)
        self.pid = self.popen.pid

    def watch(self, on_end):
        self.popen.wait()
        on_end(self)

    def is_running(self):
        return self.popen.poll() is None

    def signal_group(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


class Programs:
    """What runs in a sandbox, and with which environment."""

    def __init__(self, api_address, bootstrap, handler, extension_variables):
        self.bootstrap = bootstrap
        self.handler = handler
        self.extension_variables = extension_variables
        self.environment = {
            "AWS_LAMBDA_FUNCTION_NAME": "test_function", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda",
            "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST", "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime", "TZ": ":UTC",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", **os.environ,
            "AWS_LAMBDA_RUNTIME_API": api_address}

    def start_extensions(self):
        environment = {name: value for name, value in self.environment.items()
                       if name not in RUNTIME_ONLY and not name.startswith("_")}
        environment |= self.extension_variables
        names = sorted(os.listdir(EXTENSIONS)) if os.path.isdir(EXTENSIONS) else []
        return [Process(name, [os.path.join(EXTENSIONS, name)], environment) for name in names]

    def start_runtime(self):
        return Process("runtime", [self.bootstrap], self.environment | {"_HANDLER": self.handler})


def freeze(processes):
    for process in processes:
        process.signal_group(signal.SIGSTOP)


def thaw(processes):
    for process in processes:
        process.signal_group(signal.SIGCONT)


def kill(processes):
    for process in processes:
        process.signal_group(signal.SIGKILL)
    for process in processes:
        process.popen.wait()
