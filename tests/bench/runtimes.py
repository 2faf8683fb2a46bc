"""What the peers in Node and PHP need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from common import CHECKOUT, HERE, BenchError, run, say

# Connections of each of Express's workers, and php-fpm's processes.
POOL = 8 * (os.cpu_count() or 1)


def find_php_fpm() -> str | None:
    """With the extension for PostgreSQL."""
    for program in sorted(Path("/usr/sbin").glob("php-fpm*"), reverse=True):
        if "pgsql" in run([str(program), "-m"], 30).split():
            return str(program)
    return None


def install_node_modules() -> Path | None:
    """Express and pg, exactly as the lock file names them, into the build folder."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    folder = CHECKOUT / os.environ.get("BUILD", "build") / "bench"
    lock, installed = HERE / "peers" / "package-lock.json", folder / "node_modules" / "installed-lock.json"
    if installed.exists() and installed.read_bytes() == lock.read_bytes():
        return folder / "node_modules"
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / "peers" / name, folder / name)
    try:
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], 300, cwd=folder)
    except (BenchError, subprocess.SubprocessError) as failure:
        say(f"npm cannot install Express and pg: {failure}")
        return None
    shutil.copyfile(lock, installed)
    return folder / "node_modules"
