# SPDX-License-Identifier: Apache-2.0
"""The figures as a table and as JSON."""
import json
from dataclasses import asdict
from statistics import median

from report import look_at_machine

LEGEND = """\
Medians. Milliseconds begin before the process is spawned: registered with the Extensions API, the
last configuration readable in shared memory, first event/next, which is when Lambda may call the
handler. CPU, RSS and its anonymous part are those of that last moment. Upstream is a local nginx
over TLS 1.2 or 1.3, so no network is in it. Zip: of the program's own files; Node.js comes from
elsewhere and is not counted."""
BUDGETS = (("registered_ms", 2.0, "ms to registered"), ("rss_kb", 2560, "KB of RSS"))


def middle(starts, figure):
    values = [getattr(start, figure) for start in starts]
    return None if values[0] is None else median(values)


def shown(value, form):
    return "-" if value is None else format(value, form)


def print_case(case, programs, starts):
    yield ""
    yield (f"{case.title:<34}{'registered':>11}{'readable':>9}{'next':>8}{'CPU':>8}{'RSS':>9}"
           f"{'RssAnon':>9}")
    for program in programs:
        found = starts[program.word]
        times = "".join(f"{shown(middle(found, figure), '.2f'):>{width}}" for figure, width in
                        (("registered_ms", 11), ("readable_ms", 9), ("next_ms", 8), ("cpu_ms", 8)))
        yield (f"  {program.title:<32}{times}{middle(found, 'rss_kb'):>6.0f} KB"
               f"{middle(found, 'anonymous_kb'):>6.0f} KB")
    ours = middle(starts[programs[0].word], "next_ms")
    for program in programs[1:]:
        yield (f"  {f'{program.word} : {programs[0].word}':<51}"
               f"{middle(starts[program.word], 'next_ms') / ours:>10.1f}x")


def budgets(results):
    """What is expected of the static build: registered, and memory with 100 KB."""
    for case, by_program in results.items():
        for figure, most, name in BUDGETS:
            if "static" in by_program and case.is_for == figure:
                value = middle(by_program["static"], figure)
                yield f"static, {case.title}: {value:.2f} {name}, of {most:g}: " + (
                    "ok" if value <= most else "MISSED")


def as_text(options, programs, missing, results):
    machine = look_at_machine(options.cores, [program.version for program in programs])
    lines = [f"cpu          {machine['cpu']}; {machine['cores']}",
             f"kernel       {machine['kernel']}",
             f"programs     {', '.join(machine['programs'])}",
             f"starts       {options.rounds} of each, in turns"]
    lines += [f"{word}: {reason}" for word, reason in missing.items()]
    lines += ["", f"{'size':<34}{'program':>12}{'zip':>12}"]
    lines += [f"  {program.title:<32}{program.size / 1024:>9.0f} KB{program.zip_size / 1024:>9.0f} KB"
              for program in programs]
    for case, starts in results.items():
        lines += print_case(case, programs, starts)
    lines += ["", *budgets(results), LEGEND]
    return "\n".join(lines)


def as_json(options, programs, missing, results):
    return json.dumps({
        **look_at_machine(options.cores, [program.version for program in programs]),
        "versions": [program.version for program in programs], "rounds": options.rounds, "missing": missing,
        "programs": {program.word: {"size": program.size, "zip": program.zip_size}
                     for program in programs},
        "cases": [{"configurations": case.count, "body": case.size,
                   "programs": {word: [asdict(start) for start in starts]
                                for word, starts in by_program.items()}}
                  for case, by_program in results.items()]}, indent=2)
