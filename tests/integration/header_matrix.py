#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""include/ in every language standard and compiler: not one warning, and the programs run.

header_matrix.py [--quick] [--c COMPILER --cxx COMPILER] [--runner COMMAND]

--quick   gcc with C99, C11 and C++17 only; otherwise gcc, clang and musl-gcc with every standard
--c, --cxx, --runner   another pair of compilers and what runs their programs (cross-compilation)
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-qual", "-Werror"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
CXX_WARNINGS = ["-Wold-style-cast", "-Wzero-as-null-pointer-constant"]
GXX_WARNINGS = ["-Wuseless-cast"]

C_STANDARDS = ["c99", "gnu99", "c11", "c17"]
CXX_STANDARDS = ["c++11", "c++17", "c++20"]

# Name, sources, definitions. Each is built as C and as C++, and run.
PROGRAMS = [
    ("first", ["first.c"], []),
    ("last", ["last.c"], []),
    ("two units", ["unit_a.c", "unit_b.c"], []),
    ("every function", ["every_function.c"], []),
    ("every function outside Linux", ["every_function.c"], ["-U__linux__"]),
]

# shmconf_request in a program must find nobody: no daemon listens on a privileged port.
CLOSED_PORT = ("SHMCONF_HTTP_PORT", "1")


class Compiler:
    def __init__(self, command, language, extra=(), runner=()):
        self.command = command
        self.language = language  # "c" or "c++"
        self.flags = WARNINGS + (C_WARNINGS if language == "c" else CXX_WARNINGS) + list(extra)
        self.runner = list(runner)


def kernel_headers_for_musl():
    """musl-gcc looks for no header outside musl; the kernel's are the system's."""
    triplet = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True)
    return ["-idirafter", "/usr/include", "-idirafter", f"/usr/include/{triplet.stdout.strip()}"]


def compilers(arguments):
    runner = shlex.split(arguments.runner)
    if arguments.c:
        return [Compiler(arguments.c, "c", runner=runner),
                Compiler(arguments.cxx, "c++", GXX_WARNINGS, runner)]
    found = [Compiler("gcc", "c"), Compiler("g++", "c++", GXX_WARNINGS)]
    if arguments.quick:
        return found
    for command, language in (("clang", "c"), ("clang++", "c++"), ("musl-gcc", "c")):
        if shutil.which(command):
            extra = kernel_headers_for_musl() if command == "musl-gcc" else []
            found.append(Compiler(command, language, extra))
        else:
            skipped_case(f"header_matrix: there is no {command}")
    return found


def skipped_case(reason):
    print(f"SKIP {reason}")
    if os.environ.get("SHMCONF_SKIP_LOG"):
        with open(os.environ["SHMCONF_SKIP_LOG"], "a", encoding="utf-8") as log:
            log.write(reason + "\n")


def run(command, **options):
    """The command's output when it fails, else nothing."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=120, check=False, **options)
    if done.returncode == 0:
        return ""
    return f"$ {shlex.join(map(str, command))}\n{done.stdout}exit status {done.returncode}\n"


def build_and_run(compiler, standard, level, program, directory):
    _, sources, definitions = program
    # An unknown name and an empty root: what is tested is that the calls answer.
    root = directory / "root"
    root.mkdir()
    built = directory / "program"
    command = [compiler.command, "-x", compiler.language, f"-std={standard}", level,
               *compiler.flags, *definitions, f"-I{INCLUDE}"]
    command += [str(HERE / "header" / source) for source in sources]
    environment = {**os.environ, "SHMCONF_DIR": str(root), CLOSED_PORT[0]: CLOSED_PORT[1]}
    return (run([*command, "-o", str(built), "-pthread"])
            or run([*compiler.runner, str(built)], env=environment))


def compile_alone(compiler, standard, header):
    """A header that needs another one includes it; -x c or c++ and no main file: no #pragma warning."""
    command = [compiler.command, "-x", compiler.language, f"-std={standard}", "-fsyntax-only",
               *compiler.flags, f"-I{INCLUDE}", "-include", str(header), "/dev/null"]
    return run(command)


def every_function_is_called(_):
    """What unsupported.h answers with -ENOTSUP is what is public."""
    public = re.findall(r"SHMCONF_API[^;{]*?\b(shmconf_\w+)\(",
                        (INCLUDE / "shmconf" / "unsupported.h").read_text(encoding="utf-8"))
    called = (HERE / "header" / "every_function.c").read_text(encoding="utf-8")
    missing = [name for name in public if not re.search(rf"\b{name}\(", called)]
    if not public or missing:
        return f"not called: {' '.join(missing) or 'no public function found'}\n"
    return ""


def cases(arguments):
    """Pairs of a description and a function that takes an empty directory and returns an output."""
    yield "every_function.c calls every public function", every_function_is_called
    # cxx.h is part of shmconf.h and says so.
    headers = sorted(header for header in INCLUDE.rglob("*.h") if header.name != "cxx.h")
    levels = ["-O2"] if arguments.quick else ["-O0", "-O2"]
    for compiler in compilers(arguments):
        standards = C_STANDARDS if compiler.language == "c" else CXX_STANDARDS
        if arguments.quick:
            standards = [s for s in standards if s in ("c99", "c11", "c++17")]
        for standard in standards:
            for level in levels:
                for program in PROGRAMS:
                    yield (f"{compiler.command} -std={standard} {level}: {program[0]}",
                           lambda directory, c=compiler, s=standard, o=level, p=program:
                           build_and_run(c, s, o, p, directory))
            for header in headers:
                yield (f"{compiler.command} -std={standard}: {header.relative_to(INCLUDE)} alone",
                       lambda directory, c=compiler, s=standard, h=header: compile_alone(c, s, h))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--c", default="")
    parser.add_argument("--cxx", default="")
    parser.add_argument("--runner", default="")
    arguments = parser.parse_args()

    failures = 0
    with tempfile.TemporaryDirectory(prefix="shmconf-header-") as scratch, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        started = []
        for number, (name, case) in enumerate(cases(arguments)):
            directory = pathlib.Path(scratch) / str(number)
            directory.mkdir()
            started.append((name, pool.submit(case, directory)))
        for name, result in started:
            output = result.result()
            if output:
                failures += 1
                print(f"{name}\n{output}")
    print(f"{len(started)} combinations, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
