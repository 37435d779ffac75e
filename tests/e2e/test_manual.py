# SPDX-License-Identifier: Apache-2.0
"""Man pages and completions are those that the programs print, and shells can use them."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shmcat_region import BIN, NAME, environment, running_region  # noqa: F401

TREE = Path(__file__).resolve().parents[2]
FILES = [
    ("shmcat", "--print-man-page", "docs/man/shmcat.1"),
    ("shmconfd", "--print-man-page", "docs/man/shmconfd.8"),
    ("shmcat", "--print-bash-completion", "tools/completion/shmcat.bash"),
    ("shmconfd", "--print-bash-completion", "tools/completion/shmconfd.bash"),
    ("shmcat", "--print-zsh-completion", "tools/completion/_shmcat"),
    ("shmconfd", "--print-zsh-completion", "tools/completion/_shmconfd"),
]


def printed(program, *arguments):
    return subprocess.run([BIN / program, *arguments], capture_output=True, text=True, timeout=30,
                          check=True).stdout


@pytest.mark.parametrize("program, option, path", FILES, ids=[row[2] for row in FILES])
def test_the_file_is_what_the_program_prints(program, option, path):
    assert (TREE / path).read_text(encoding="utf-8") == printed(program, option), \
        f"{path} is old: {program} {option} > {path}"


@pytest.mark.parametrize("program, page", [("shmcat", "shmcat.1"), ("shmconfd", "shmconfd.8")])
def test_the_man_page_has_every_option_and_no_mistake(program, page):
    text = (TREE / "docs/man" / page).read_text(encoding="utf-8")
    for option in re.findall(r"^ +(?:-., )?(--[a-z-]+)", printed(program, "--help"), re.M):
        assert option.replace("-", "\\-") in text, option
    if not shutil.which("groff"):
        pytest.skip("needs groff")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", TREE / "docs/man" / page],
                          capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""


def path_with_programs():
    return f"{BIN.resolve()}:{os.environ['PATH']}"


def bash(program, root, *words):
    """What bash would offer for the last word."""
    script = f"""
        source <({program} --print-bash-completion)
        COMP_WORDS=({program} "$@") COMP_CWORD=$#
        _{program} && printf '%s\\n' "${{COMPREPLY[@]}}\""""
    done = subprocess.run(["bash", "-c", script, "bash", *words], timeout=30, check=True,
                          cwd=Path(root).parent, env=environment(root, PATH=path_with_programs()),
                          capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def zsh(program, root, *words):
    script = f"""
        compadd() {{ shift; print -l -- "$@"; }}
        _files() {{ print FILES; }}
        words=({program} "$@") CURRENT=$(($# + 1))
        source <({program} --print-zsh-completion)"""
    done = subprocess.run(["zsh", "-f", "-c", script, "zsh", *words], timeout=30, check=True,
                          cwd=Path(root).parent, env=environment(root, PATH=path_with_programs()),
                          capture_output=True, text=True)
    assert done.stderr == ""
    return [word for word in done.stdout.split("\n")[:-1] if word.startswith(words[-1])]


@pytest.fixture(name="complete", params=[bash, zsh], ids=["bash", "zsh"])
def shell(request):
    if not shutil.which(request.param.__name__):
        pytest.skip(f"needs {request.param.__name__}")
    return request.param


def test_commands_options_and_names_are_completed(region, complete):
    region.publish(NAME)
    assert complete("shmcat", region.root, "ver") == ["verify"]
    assert "doctor" in complete("shmcat", region.root, "")
    assert complete("shmcat", region.root, "cat", "--w") == ["--wait"]
    assert complete("shmcat", region.root, "--json", "dump", "--ann") == ["--annotate"]
    assert complete("shmcat", region.root, "cat", "") == [NAME]
    assert complete("shmcat", region.root, "help", "fol") == ["follow"]


def arguments_of(offered, complete, cwd):
    """The arguments that the offered words become; zsh quotes by itself what compadd is given."""
    if complete is zsh:
        return offered
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {' '.join(offered)}"], timeout=30,
                          check=True, cwd=cwd, capture_output=True, text=True)
    return done.stdout.split("\n")[:-1]


def test_names_are_completed_and_not_run(region, complete, tmp_path):
    names = [NAME, "Shop:Prod:With space", "$(touch ran):Prod:Checkout", "Quo'te:Prod:Checkout",
             "`touch ran`:Prod:$HOME", "star*:Prod:;touch ran"]
    for name in names:
        region.publish(name)
    offered = complete("shmcat", region.root, "cat", "")
    assert not (tmp_path / "ran").exists()
    assert sorted(arguments_of(offered, complete, tmp_path)) == sorted(names)
    some = complete("shmcat", region.root, "status", "Sh")
    assert arguments_of(some, complete, tmp_path) == names[:2]
    if complete is bash:
        assert complete("shmcat", region.root, "cat", r"Shop:Prod:With\ s") == some[1:]


@pytest.mark.parametrize("before", [["--color", "never"], ["--color=never"], ["--dir", "ROOT"],
                                    ["--dir=ROOT"], ["--dir", "=", "ROOT", "--json"]], ids=" ".join)
def test_a_value_is_no_command_and_names_are_those_of_that_region(region, complete, before):
    region.publish(NAME)
    before = [word.replace("ROOT", str(region.root)) for word in before]
    root = "/nonexistent" if "--dir" in "".join(before) else region.root
    assert complete("shmcat", root, *before, "cat", "") == [NAME]
    assert complete("shmcat", root, "cat", *before, "") == [NAME]
    assert complete("shmcat", root, *before, "ver") == ["verify"]


@pytest.mark.parametrize("before", [["--dir", r"~/re\ gion"], ["--dir", r"ROOT/re\ gion"],
                                    ["--dir", "'ROOT/re gion'"], ["--dir", '"ROOT/re gion"'],
                                    [r"--dir=ROOT/re\ gion"]], ids=" ".join)
def test_a_directory_is_taken_as_the_shell_takes_it(region, complete, tmp_path, monkeypatch, before):
    region.publish(NAME)
    region.publisher.close()
    region.root.rename(tmp_path / "re gion")
    monkeypatch.setenv("HOME", str(tmp_path))
    before = [word.replace("ROOT", str(tmp_path)) for word in before]
    assert complete("shmcat", "/nonexistent", *before, "cat", "") == [NAME]


def test_what_stands_in_a_directory_is_not_run(region, complete, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in ("~/$(touch ran)", "'$(touch ran)'", '"`touch ran`"', r"a\$(touch ran)", "<(touch ran)"):
        for before in (["--dir", word], [f"--dir={word}"]):
            complete("shmcat", region.root, *before, "cat", "")
    assert not (tmp_path / "ran").exists()


def test_the_value_of_an_option_is_completed(region, complete):
    region.publish(NAME)
    assert complete("shmcat", region.root, "cat", "--color", "a") == ["auto", "always"]
    assert complete("shmcat", region.root, "--color", "") == ["auto", "always", "never"]
    assert complete("shmcat", region.root, "cat", "--wait", "") in ([], [""])
    offered = complete("shmcat", region.root, "--dir", "/")
    assert "--json" not in offered and (offered or complete is zsh)
    assert complete is bash or complete("shmcat", region.root, "--dir", "") == ["FILES"]


def test_settings_and_their_values_are_completed(region, complete):
    assert complete("shmconfd", region.root, "--log-l") == ["--log-level"]
    assert complete("shmconfd", region.root, "--loop", "e") == ["epoll"]
    offered = complete("shmconfd", region.root, "--dir", "")
    assert "--loop" not in offered and offered
