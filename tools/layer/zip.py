#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a folder into a zip that depends on names, contents and modes alone.

Usage: tools/layer/zip.py FOLDER ZIP
CMake's and Info-ZIP's archives have the times of access and the owner in them as well.
"""
import sys
import zipfile
from pathlib import Path


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip())
        return 0 if sys.argv[1:] == ["--help"] else 2
    folder = Path(sys.argv[1])
    with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED, compresslevel=9) as layer:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (2026, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix: the modes count
            member.external_attr = (0o100000 | path.stat().st_mode & 0o777) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            layer.writestr(member, path.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
