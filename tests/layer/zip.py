#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is in build/layer/shmconf-layer-ARCH.zip, and that it works from wherever it is unpacked.

Usage: tests/layer/zip.py ARCH...

Then mistakes are planted into the unpacked layer, each of which must be found.
"""
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSUMERS = ROOT / "tests" / "integration" / "consumers"
SIZE_MAX = {"extensions/shmconfd": 1 << 20, "bin/shmcat": 384 << 10}
ZIP_MAX = {"x86_64": 704 << 10, "arm64": 768 << 10}  # what docs/building.md says, and a little more
MACHINE = {"x86_64": "X86-64", "arm64": "AArch64"}
OTHERS = ["THIRD_PARTY_NOTICES", "share/doc/shmconf/LICENSE", "share/doc/shmconf/LICENSE-MIT",
          "include/shmconf-single.h", "lib/pkgconfig/shmconf.pc",
          "lib/cmake/shmconf/shmconf-config.cmake",
          "lib/cmake/shmconf/shmconf-config-version.cmake"]
# A sentence of each licence, under the name of what it is for.
NOTICES = {"curl": "Daniel Stenberg", "mbedtls": "Apache License", "c-ares": "M.I.T",
           "liburing": "Jens Axboe", "cjson": "Dave Gamble", "musl": "Rich Felker"}


def output(*command, **options):
    return subprocess.run([*map(str, command)], check=True, text=True, capture_output=True,
                          timeout=60, **options).stdout


def wrong_archive(archive, arch):
    if archive.stat().st_size > ZIP_MAX[arch]:
        yield f"{archive.name}: {archive.stat().st_size} bytes, more than {ZIP_MAX[arch]}"


def unpack(archive, tree):
    """As Lambda does: with the modes that the archive names."""
    with zipfile.ZipFile(archive) as layer:
        for member in layer.infolist():
            layer.extract(member, tree)
            os.chmod(tree / member.filename, stat.S_IMODE(member.external_attr >> 16))


def wrong_files(tree):
    headers = [path.relative_to(ROOT).as_posix() for path in (ROOT / "include").rglob("*.h")]
    expected = {*headers, *OTHERS, *SIZE_MAX}
    found = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    for name in expected ^ found:
        yield f"{name}: {'missing' if name in expected else 'unexpected'}"
    for name in expected & found:
        mode = stat.S_IMODE((tree / name).stat().st_mode)
        if mode != (0o755 if name in SIZE_MAX else 0o644):
            yield f"{name}: mode {mode:o}"


def wrong_programs(tree, arch):
    for name, size_max in SIZE_MAX.items():
        path = tree / name
        if not path.exists():
            continue
        if path.stat().st_size > size_max:
            yield f"{name}: {path.stat().st_size} bytes, more than {size_max}"
        elf = output("readelf", "-hldW", path)
        if MACHINE[arch] not in elf:
            yield f"{name}: not for {arch}"
        yield from (f"{name}: not static: {word}" for word in ("INTERP", "NEEDED") if word in elf)
        if re.search(r"GNU_STACK .* RWE", elf):
            yield f"{name}: its stack is executable"


def wrong_notices(tree):
    path = tree / "THIRD_PARTY_NOTICES"
    text = path.read_text() if path.exists() else ""
    parts = dict(re.findall(r"^---- (\S+) .*? ----\n(.*?)(?=^---- |\Z)", text, re.M | re.S))
    for name, words in NOTICES.items():
        if words not in parts.get(name, ""):
            yield f"THIRD_PARTY_NOTICES: nothing of {name}"
    for patch in (ROOT / "tools/layer/patches").iterdir():
        if f"patches/{patch.name} of shmconf" not in text:
            yield f"THIRD_PARTY_NOTICES: no word of {patch.name}"


def wrong_consumers(tree, scratch):
    """Programs against the headers, found in both ways, with nothing installed."""
    region = scratch / "region"
    region.mkdir(exist_ok=True)
    build = scratch / "build"
    shutil.rmtree(build, ignore_errors=True)
    try:
        flags = output("pkg-config", "--cflags", "--define-variable=none=none", "shmconf",
                       env={**os.environ, "PKG_CONFIG_LIBDIR": str(tree / "lib/pkgconfig")})
        subprocess.run(f"cc {flags.strip()} '{CONSUMERS}/consumer.c' -o '{scratch}/consumer'",
                       shell=True, check=True, capture_output=True, timeout=60)
        output("cmake", "-G", "Ninja", "-S", CONSUMERS / "find_package", "-B", build,
               f"-DCMAKE_PREFIX_PATH={tree}")
        output("cmake", "--build", build)
        for program in (scratch / "consumer", build / "consumer_c", build / "consumer_cxx"):
            said = output(program, env={**os.environ, "SHMCONF_DIR": str(region)})
            if not said.startswith("enter: nothing was published yet"):
                yield f"{program.name}: {said}"
    except subprocess.CalledProcessError as error:
        yield f"consumers: {error} {error.stderr}"


def problems(archive, tree, arch, scratch):
    return [*wrong_archive(archive, arch), *wrong_files(tree), *wrong_programs(tree, arch),
            *wrong_notices(tree), *wrong_consumers(tree, scratch)]


def replace(path, old, new):
    text = path.read_text()
    assert re.search(old, text), f"{path} has no {old}"
    path.write_text(re.sub(old, new, text))


def zip_beside(tree):
    return tree.with_suffix(".zip")


def store(tree, archive):
    """As tools/layer/zip.py, without compression."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as layer:
        for path in filter(Path.is_file, tree.rglob("*")):
            layer.write(path, path.relative_to(tree))


PLANTED = {
    "not executable": lambda tree: (tree / "extensions/shmconfd").chmod(0o644),
    "a dynamic program": lambda tree: shutil.copy("/bin/true", tree / "bin/shmcat"),
    "a program too large": lambda tree: os.truncate(tree / "extensions/shmconfd", 3 << 20),
    "a zip that is not compressed": lambda tree: store(tree, zip_beside(tree)),
    "a header is missing": lambda tree: (tree / "include/shmconf/reader.h").unlink(),
    "a file of ours": lambda tree: (tree / "lib/libcurl.a").touch(),
    "changes are not named": lambda tree: replace(
        tree / "THIRD_PARTY_NOTICES", "mbedtls.patch", "another.patch"),
    "a licence is missing": lambda tree: replace(tree / "THIRD_PARTY_NOTICES", "Rich Felker", "x"),
    "a prefix that cannot be moved": lambda tree: replace(
        tree / "lib/pkgconfig/shmconf.pc", r"\$\{pcfiledir\}/\.\./\.\.", "/opt"),
}


def main():
    if len(sys.argv) < 2 or sys.argv[1] == "--help":
        print(__doc__.strip())
        return 0
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for arch in reversed(sys.argv[1:]):
            archive = ROOT / f"build/layer/shmconf-layer-{arch}.zip"
            unpack(archive, scratch / f"opt {arch}")
            found = problems(archive, scratch / f"opt {arch}", arch, scratch)
            failures += len(found)
            print(f"{archive.name}: {archive.stat().st_size} bytes", *found or ["ok"], sep="\n  ")
        for mistake, plant in PLANTED.items():
            tree = scratch / "planted"
            shutil.copytree(scratch / f"opt {arch}", tree)
            shutil.copy(archive, zip_beside(tree))
            plant(tree)
            found = problems(zip_beside(tree), tree, arch, scratch)
            shutil.rmtree(tree)
            failures += not found
            print(f"planted {mistake}: {found[0][:100] if found else 'FAILED: not found'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
