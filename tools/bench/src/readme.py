# SPDX-License-Identifier: Apache-2.0
"""Puts what a script of tools/bench printed as JSON into README.md.

    readme.py read|http|coldstart README.md < JSON

It stands between two comments of that file, which name the command.
"""
import json
import re
import sys
from statistics import median

# The rows of tools/bench/read that are shown, with their names.
READ_ROWS = {
    "load": "a plain atomic load",
    "current": "current version, unchanged",
    "enter_leave": "enter + leave",
    "invocation": "one invocation: enter, 8 reads, leave",
    "hold_drop": "hold + drop",
    "clock": "clock_gettime(MONOTONIC)",
    "lmdb_long": "LMDB get, long-lived transaction",
    "file": "open + read + close of a 6 KB file",
    "switch_mapped": "switch to a new 6 KB version",
    "switch_private": "  the same with SHMCONF_PRIVATE",
    "http": "HTTP GET to the daemon, kept-alive",
}
SERVERS = {"epoll": "shmconfd, epoll", "io_uring": "shmconfd, io_uring", "nginx": "nginx",
           "lighttpd": "lighttpd"}


class Unfit(Exception):
    """The run does not have what the README shows."""


def short(version):
    """The first two numbers of a version: "6.18" of "6.18.44-x x86_64"."""
    return re.search(r"\d+\.\d+", version).group()


def nanoseconds(row, key):
    if key not in row:
        return "-"
    least = row[key]["min"]
    return f"{least:.2f}" if least < 100 else f"{least:.0f}"


def times(row, key):
    if key not in row:
        return ""
    return f"{row[key]:.1f}" if row[key] < 10 else f"{row[key]:.0f}"


def read_block(run):
    rows = {row["key"]: row for row in run["rows"]}
    yield f"{'ns, least of many blocks':<44}{'throughput':>12}{'dependent latency':>20}" \
          f"{'x a plain load':>17}"
    for key, title in READ_ROWS.items():
        row = rows.get(key, {"missing": "no such row"})
        if "missing" in row:
            raise Unfit(f"{title}: {row['missing']}")
        yield (f"{title:<44}{nanoseconds(row, 'throughput_ns'):>12}"
               f"{nanoseconds(row, 'latency_ns'):>20}{times(row, 'ratio'):>9}"
               f"{times(row, 'latency_ratio'):>8}").rstrip()


def read_machine(run):
    compiler = run["compiler"].split()[0]
    return (f"{run['cpu']}, {run['cores']} cores, Linux {short(run['kernel'])}, {compiler} "
            f"{short(run['compiler'])}, region on {run['file_system']}.")


def http_block(run):
    for number, case in enumerate(run["cases"]):
        if number:
            yield ""
        kind = "connection" if case["keep_alive"] else "client"
        kind += "s" if case["connections"] > 1 else ""
        title = f"{case['body'] // 1024} KB, {case['connections']} {kind}"
        yield f"{title:<36}{'requests/s':>12}{'p50 us':>10}{'p99 us':>10}{'CPU us':>10}{'busy':>8}"
        for word, server in case["servers"].items():
            yield (f"  {SERVERS[word]:<34}{server['requests_per_s']:>12.0f}"
                   f"{server['p50_us']:>10.0f}{server['p99_us']:>10.0f}{server['cpu_us']:>10.2f}"
                   f"{server['busy']:>8.0%}")
        for ratio in case["ratios"]:
            yield (f"  {ratio['server'] + ' : ' + ratio['peer']:<34}"
                   f"{ratio['requests_per_s']:>11.2f}x{ratio['p50_us']:>9.2f}x"
                   f"{ratio['p99_us']:>9.2f}x{ratio['cpu_us']:>9.2f}x")


def http_machine(run):
    return (f"{run['cpu']}, {run['cores']}, Linux {short(run['kernel'])};\n"
            f"{', '.join(run['programs'])};\nmedians of {run['rounds']} rounds of "
            f"{run['seconds']} s. CPU us: of the server, per request. Busy: its share of its core.")


EXTENSIONS = {"static": "shmconfd, the layer's", "ordinary": "shmconfd, ordinary build",
              "go": "the least in Go", "node": "the least in Node.js"}


def coldstart_block(run):
    for case in run["cases"]:
        some = "configuration" if case["configurations"] == 1 else "configurations"
        title = f"{case['configurations']} {some} of {case['body'] // 1024} KB"
        yield (f"{title:<32}{'registered':>11}{'readable':>9}{'ready':>8}{'CPU ms':>8}"
               f"{'RSS':>9}{'anonymous':>11}")
        for word, starts in case["programs"].items():
            def middle(figure, starts=starts):
                values = [start[figure] for start in starts]
                return "-" if None in values else f"{median(values):.2f}"
            kilobytes = [f"{median(start[key] for start in starts):.0f} KB"
                         for key in ("rss_kb", "anonymous_kb")]
            yield (f"  {EXTENSIONS[word]:<30}{middle('registered_ms'):>11}"
                   f"{middle('readable_ms'):>9}{middle('next_ms'):>8}{middle('cpu_ms'):>8}"
                   f"{kilobytes[0]:>9}{kilobytes[1]:>11}")
        yield ""
    yield f"{'size':<32}{'program':>11}{'zip':>9}"
    for word, program in run["programs"].items():
        yield (f"  {EXTENSIONS[word]:<30}{program['size'] / 1024:>8.0f} KB"
               f"{program['zip'] / 1024:>6.0f} KB")


def coldstart_machine(run):
    return (f"{run['cpu']}, {run['cores']}, Linux {short(run['kernel'])};\n"
            f"{', '.join(run['versions'])};\nmedians of {run['rounds']} starts, in ms after the "
            "process was spawned. Ready: the first event was asked for.")


BLOCKS = {"read": (read_block, read_machine), "http": (http_block, http_machine),
          "coldstart": (coldstart_block, coldstart_machine)}


def replaced(text, which, run):
    lines, machine = BLOCKS[which]
    begin, end = f"<!-- tools/bench/{which} --readme -->\n", "<!-- until here -->\n"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise Unfit(f"has no place for it: {begin.strip()} ... {end.strip()}")
    block = "\n".join(lines(run))
    return f"{before}{begin}\n```\n{block}\n```\n\n{machine(run)}\n\n{end}{after}"


def main():
    which, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        text = replaced(text, which, json.load(sys.stdin))
    except (Unfit, ValueError, KeyError) as error:
        print(f"tools/bench/{which}: {path}: {error}", file=sys.stderr)
        return 1
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
