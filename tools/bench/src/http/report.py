# SPDX-License-Identifier: Apache-2.0
"""The figures as a table and as JSON."""
import json
import platform
from dataclasses import asdict
from pathlib import Path
from statistics import median

from cases import OURS, PEERS, Case

TITLES = {"epoll": "shmconfd, epoll", "io_uring": "shmconfd, io_uring", "nginx": "nginx",
          "lighttpd": "lighttpd"}
COMPARED = ("requests_per_s", "p50_us", "p99_us", "cpu_us")
# Held to the faster peer: figure, what it is called, whether more is better.
BUDGET_CASE = Case("1k", "64")
BUDGETS = (("requests_per_s", "requests/s", True), ("p99_us", "p99", False),
           ("cpu_us", "CPU per request", False))
SPREAD_MAX = 0.25  # rounds that differ by more say nothing of speed

LEGEND = """\
Medians of the rounds, and of the rounds' ratios. CPU us: of the server, per request. Busy: its
share of its core; when that is not nearly all, wrk or another program was the limit, and CPU us
compares better than requests/s. Spread: of the rounds' requests/s. Latency begins when a connection
is open."""
LEGEND_NGINX = """\
On kept connections nginx says Connection: keep-alive, which cannot be turned off: 24 bytes more."""


def look_at_machine(cores, programs):
    info = Path("/proc/cpuinfo").read_text()
    cpu = next((line.partition(": ")[2] for line in info.split("\n")
                if line.startswith("model name")), "unknown")
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    return {"cpu": cpu, "cores": cores, "kernel": f"{platform.release()} {platform.machine()}",
            "tcp": control.read_text().strip() if control.exists() else "unknown",
            "programs": programs}


def middle(runs, figure):
    return median(getattr(run, figure) for run in runs)


def ratio(ours, theirs, figure):
    """The median of the rounds' ratios: what disturbs a whole round is in both."""
    return median(getattr(our, figure) / getattr(their, figure) if getattr(their, figure) else 0.0
                  for our, their in zip(ours, theirs))


def pairs(by_server):
    return [(our, peer) for our in OURS for peer in PEERS if our in by_server and peer in by_server]


def spread(runs):
    """By how much the rounds differ, of their median."""
    rates = [run.requests_per_s for run in runs]
    return (max(rates) - min(rates)) / median(rates)


def budgets(options, runs):
    """
    (server, what, the ratio to the better peer, whether it is met: None when the rounds differ too
    much to tell). None at all when this is no measurement.
    """
    by_server = runs.get(BUDGET_CASE)
    if not by_server or options.quick:
        return
    for our in OURS:
        for figure, name, more_is_better in BUDGETS:
            ratios = [ratio(by_server[our], by_server[peer], figure)
                      for peer in PEERS if our in by_server and peer in by_server]
            if len(ratios) == len(PEERS):
                worst = min(ratios) if more_is_better else max(ratios)
                is_met = worst >= 1 if more_is_better else worst <= 1
                noise = max(spread(by_server[word]) for word in (our, *PEERS))
                is_decided = figure == "cpu_us" or noise <= SPREAD_MAX
                yield our, name, worst, is_met if is_decided else None


def print_case(case, by_server):
    yield ""
    yield (f"{case.title:<46}{'requests/s':>12}{'p50 us':>10}{'p99 us':>10}{'CPU us':>10}"
           f"{'busy':>8}{'spread':>8}")
    for word, runs in by_server.items():
        yield (f"  {TITLES[word]:<44}{middle(runs, 'requests_per_s'):>12.0f}"
               f"{middle(runs, 'p50_us'):>10.0f}{middle(runs, 'p99_us'):>10.0f}"
               f"{middle(runs, 'cpu_us'):>10.2f}{middle(runs, 'busy'):>8.0%}{spread(runs):>8.0%}")
    for our, peer in pairs(by_server):
        values = [f"{ratio(by_server[our], by_server[peer], figure):.2f}x" for figure in COMPARED]
        yield (f"  {f'{our} : {peer}':<44}{values[0]:>12}{values[1]:>10}{values[2]:>10}"
               f"{values[3]:>10}")


def as_text(machine, options, runs, missing):
    lines = [f"cpu          {machine['cpu']}; {machine['cores']}",
             f"kernel       {machine['kernel']}, TCP {machine['tcp']}",
             f"programs     {', '.join(machine['programs'])}",
             f"rounds       {options.rounds} of {options.seconds} s"]
    lines += [f"{TITLES[word]}: {reason}" for word, reason in missing.items()]
    for case, by_server in runs.items():
        lines += print_case(case, by_server)
    lines.append("")
    verdicts = {True: "ok", False: "MISSED", None: "the rounds differ too much to tell"}
    for our, name, value, is_met in budgets(options, runs):
        lines.append(f"{our}, {BUDGET_CASE.title}, {name}: {value:.2f}x the better peer: "
                     + verdicts[is_met])
    lines.append(LEGEND)
    if any("nginx" in by_server and case.keep_alive for case, by_server in runs.items()):
        lines.append(LEGEND_NGINX)
    return "\n".join(lines)


def as_json(machine, options, runs, missing):
    def case_of(case, by_server):
        return {
            "body": len(case.payload), "connections": case.connections,
            "keep_alive": case.keep_alive,
            "servers": {word: {**{figure: middle(found, figure) for figure in (*COMPARED, "busy")},
                               "runs": [asdict(run) for run in found]}
                        for word, found in by_server.items()},
            "ratios": [{"server": our, "peer": peer,
                        **{figure: ratio(by_server[our], by_server[peer], figure)
                           for figure in COMPARED}} for our, peer in pairs(by_server)]}
    return json.dumps({
        **machine, "rounds": options.rounds, "seconds": options.seconds, "missing": missing,
        "cases": [case_of(case, by_server) for case, by_server in runs.items()],
        "budgets": [{"server": our, "what": name, "ratio": value, "is_met": is_met}
                    for our, name, value, is_met in budgets(options, runs)]}, indent=2)
