"""A Debian of one release in a folder, and a machine that runs in it: processes, mounts and network of its own, which end together, whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parents[2]
WORK = CHECKOUT / "build" / "deb-check"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
APT = ["apt-get", "-o", "Dpkg::Use-Pty=0", "--quiet", "--yes"]
# Debian asks this program before it starts a service.
NO_SERVICES = "#!/bin/sh\nexit 101\n"


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-4000:]}"
    return result


def mirror() -> str:
    """$DEB_MIRROR, else where this machine's own Debian comes from."""
    named = os.environ.get("DEB_MIRROR")
    return named or run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]).stdout.split()[0]


class Root:
    """An unpacked Debian in a folder of its own. No process is left in it between two calls."""

    def __init__(self, name: str, archive: Path) -> None:
        self.path = WORK / name
        self.remove()
        self.path.mkdir(parents=True)
        run(["tar", "-x", "--numeric-owner", "-f", str(archive), "-C", str(self.path)])

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self.path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def run(self, *command: str, network: bool = True) -> str:
        """As root, with mounts and processes that end with it."""
        script = 'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" && exec chroot "$0" "$@"'
        apart = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", *([] if network else ["--net"])]
        if network:
            shutil.copyfile("/etc/resolv.conf", self.path / "etc" / "resolv.conf")
        return run(["setpriv", "--pdeathsig", "KILL", *apart, "sh", "-c", script, str(self.path), *command], env=ENVIRONMENT).stdout

    def install(self, *packages: str) -> None:
        self.write("/usr/sbin/policy-rc.d", NO_SERVICES, 0o755)
        self.run(*APT, "install", "--no-install-recommends", *packages)
        (self.path / "usr/sbin/policy-rc.d").unlink()

    def pack(self, archive: Path) -> None:
        run(["tar", "-c", "--numeric-owner", "-f", str(archive) + ".new", "-C", str(self.path), "."])
        os.rename(str(archive) + ".new", archive)


def base(release: str) -> Path:
    """The archive of a minimal RELEASE with apt; made once a day."""
    archive = WORK / f"base-{release}.tar"
    if not archive.exists() or time.time() - archive.stat().st_mtime > 86400:
        WORK.mkdir(parents=True, exist_ok=True)
        run(["mmdebstrap", "--quiet", "--variant=apt", "--format=tar", release, str(archive) + ".new", mirror()], env=os.environ | {"TMPDIR": str(WORK)})
        os.rename(str(archive) + ".new", archive)
    return archive


class Machine:
    """ROOT as a machine that is on: nothing but the loopback network, and processes of its own."""

    def __init__(self, root: Root) -> None:
        self.root = root
        # Its first process collects those whose parents ended.
        script = """
            mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" && ip link set lo up && hostname server &&
            exec chroot "$0" bash -c 'echo on; while :; do sleep 3600 & wait $!; done'
        """
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c", script, str(root.path)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None and self._process.stdout.readline() == "on\n"
        first = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()[0]
        # The folder by its own name: nothing of this is ever to happen to the machine that the tests run on.
        self._inside = ["nsenter", "--target", first, "--mount", "--pid", "--net", "--ipc", "--uts", "chroot", str(root.path)]

    def off(self) -> None:
        """The end of its first process is the end of all."""
        self._process.kill()
        self._process.wait()

    def start(self, command: list[str], output: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen([*self._inside, *command], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True)

    def run(self, *command: str) -> str:
        return run([*self._inside, *command], env=ENVIRONMENT).stdout

    def shell(self, script: str) -> str:
        """A line as an administrator types it, in root's home."""
        return self.run("bash", "-c", "cd && set -e -o pipefail\n" + script)

    def sql(self, statement: str, database: str = "waybill") -> str:
        return self.run("runuser", "-u", "postgres", "--", "psql", "-X", "-A", "-t", "-d", database, "-c", statement).strip()
