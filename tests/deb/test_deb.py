"""The package on Debian 12 and 13: built in each, installed as docs/install.md says, upgraded and downgraded under load, removed. `make deb-check`."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from machine import CHECKOUT, WORK, Machine, Root, base, run

RELEASES = os.environ.get("DEB_RELEASES", "bookworm trixie").split()
# A commit, as the build that is upgraded over; without it, the same tree as an older version with other views.
PREVIOUS = os.environ.get("DEB_PREVIOUS", "")
# 1: packages and servers of the last run are good enough, for work on the tests.
REUSE = os.environ.get("DEB_REUSE") == "1"
INSTALL = (CHECKOUT / "docs" / "install.md").read_text()
SAMPLE = CHECKOUT / "tests" / "samples" / "crossborderly" / "parcel.delivered.json"
UNITS = ["waybill-webhook.socket", "waybill-webhook.service", "waybill-status.socket", "waybill-status.service", "waybill-prune.timer"]
# A server that has Apache and PostgreSQL.
SERVER = ["apache2", "ca-certificates", "curl", "openssl", "postgresql", "sudo", "systemd"]
SITE = """
<VirtualHost *:443>
    ServerName shop.example
    SSLEngine on
    SSLCertificateFile /etc/ssl/shop.pem
    SSLCertificateKeyFile /etc/ssl/shop.key
</VirtualHost>
"""


def blocks(heading: str) -> list[str]:
    """The commands of a section of docs/install.md, as written."""
    section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", INSTALL, re.MULTILINE | re.DOTALL)
    assert section is not None
    return re.findall(r"^```sh\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)


# ---- building ----


def source_tree(target: Path, version: str, commit: str = "") -> None:
    target.mkdir(parents=True)
    if commit:
        run(["sh", "-c", 'git -C "$0" archive "$1" | tar -x -C "$2"', str(CHECKOUT), commit, str(target)])
        if not (target / "debian").exists():
            shutil.copytree(CHECKOUT / "debian", target / "debian")
    else:
        excluded = ["--exclude=./build", "--exclude=./var", "--exclude-vcs", "--exclude=*.fcgi", "--exclude=__pycache__"]
        run(["sh", "-c", 'tree=$1; shift; cd "$0" && tar -c "$@" . | tar -x -C "$tree"', str(CHECKOUT), str(target), *excluded])
    changelog = target / "debian" / "changelog"
    changelog.write_text(re.sub(r"\(.*?\)", f"({version})", changelog.read_text(), count=1))


def with_other_views(tree: Path) -> None:
    for file in (tree / "schema" / "views").iterdir():
        file.write_text(file.read_text() + "-- As it was before.\n")


def current_version() -> str:
    return run(["dpkg-parsechangelog", "-l", str(CHECKOUT / "debian" / "changelog"), "-S", "Version"]).stdout.strip()


class Packages:
    """Both builds of one release."""

    def __init__(self, release: str) -> None:
        self.folder = WORK / release
        self.versions = {"current": current_version(), "previous": "0.0.9"}
        if REUSE and self.folder.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        root = Root(f"build-{release}", base(release))
        try:
            self._build(root)
        finally:
            root.remove()

    def _build(self, root: Root) -> None:
        source_tree(root.path / "src" / "current", self.versions["current"])
        source_tree(root.path / "src" / "previous", self.versions["previous"], PREVIOUS)
        if not PREVIOUS:
            with_other_views(root.path / "src" / "previous")
        root.run("apt-get", "--quiet", "update")
        root.install("build-essential", "lintian")
        root.run("sh", "-c", "cd /src/current && apt-get --quiet --yes --no-install-recommends build-dep .")
        for name, profile in (("previous", "nocheck"), ("current", "")):
            root.run("env", f"DEB_BUILD_OPTIONS={profile}", "sh", "-c", f"cd /src/{name} && dpkg-buildpackage --build=binary --no-sign", network=False)
            for path in (root.path / "src").glob("waybill_*.deb"):
                assert path.name.startswith(f"waybill_{self.versions[name]}_")
                if name == "current":
                    root.run("sh", "-c", "lintian --fail-on error,warning /src/waybill_*.changes")
                shutil.copy(path, self.folder)
            for path in (root.path / "src").glob("waybill*_*"):
                path.unlink()

    def file(self, name: str) -> Path:
        (path,) = self.folder.glob(f"waybill_{self.versions[name]}_*.deb")
        return path


def server_archive(release: str, package: Path) -> Path:
    """A server that has Apache and PostgreSQL; what PACKAGE depends on lies in apt's cache, for the machine has no network."""
    archive = WORK / f"server-{release}.tar"
    if REUSE and archive.exists():
        return archive
    root = Root(f"make-{release}", base(release))
    try:
        root.run("apt-get", "--quiet", "update")
        root.install(*SERVER)
        shutil.copy(package, root.path / "root")
        root.run("sh", "-c", "apt-get --quiet --yes --download-only install /root/waybill_*.deb")
        (root.path / "root" / package.name).unlink()
        root.pack(archive)
    finally:
        root.remove()
    return archive


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def packages(release: str) -> Packages:
    return Packages(release)


@pytest.fixture(scope="module")
def archive(release: str, packages: Packages) -> Iterator[Path]:
    made = server_archive(release, packages.file("current"))
    yield made
    if not REUSE:
        made.unlink()


@pytest.fixture
def machine(release: str, archive: Path) -> Iterator[Machine]:
    root = Root(f"server-{release}", archive)
    try:
        one = Machine(root)
        try:
            make_server(one)
            yield one
        finally:
            one.off()
    finally:
        root.remove()


def make_server(machine: Machine) -> None:
    """Apache with a certificate for shop.example, and PostgreSQL, both running."""
    # Where apt has dpkg look for it.
    machine.shell("dpkg-divert --local --rename --divert /usr/bin/systemctl.real --add /usr/bin/systemctl")
    machine.root.write("/usr/bin/systemctl", (CHECKOUT / "tests" / "deb" / "systemctl").read_text(), 0o755)
    machine.root.write("/etc/hosts", "127.0.0.1 localhost server shop.example\n")
    # Nobody is there to say yes.
    machine.root.write("/etc/apt/apt.conf.d/90yes", 'APT::Get::Assume-Yes "true";\n')
    machine.root.write("/etc/apache2/sites-available/shop.conf", SITE)
    machine.shell("""
        mkdir -p /run/systemd/system
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=shop.example -addext subjectAltName=DNS:shop.example \\
            -keyout /etc/ssl/shop.key -out /etc/ssl/shop.pem
        cp /etc/ssl/shop.pem /usr/local/share/ca-certificates/shop.crt
        update-ca-certificates
        a2enmod --quiet ssl
        a2ensite --quiet shop
        systemctl restart apache2
        install -d -m 2775 -o postgres -g postgres /run/postgresql
        pg_ctlcluster --skip-systemctl-redirect "$(pg_lsclusters -h | cut -d ' ' -f 1)" main start
    """)


def copy_package(machine: Machine, package: Path) -> None:
    for old in (machine.root.path / "root").glob("waybill_*.deb"):
        old.unlink()
    shutil.copy(package, machine.root.path / "root")


# ---- as written ----


def six_commands(machine: Machine, package: Path) -> None:
    copy_package(machine, package)
    for command in blocks("Six commands"):
        machine.shell(command)


def post_sample(machine: Machine, event_id: str) -> tuple[int, dict[str, object]]:
    """What CrossBorderly's test button sends, signed with the secret of docs/install.md."""
    body = SAMPLE.read_text().replace("evt_abc124xyz", event_id)
    (secret,) = re.findall(r'secret = "(.*)"', "".join(blocks("Six commands")))
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    machine.root.write("/root/event.json", body)
    answer = machine.shell(f"""curl -s -w '\\n%{{http_code}}' -H 'X-CrossBorderly-Signature: sha256={signature}' --data-binary @event.json \\
        https://shop.example/webhooks/crossborderly""")
    text, _, status = answer.rpartition("\n")
    return int(status), json.loads(text)


def responders(machine: Machine) -> str:
    return machine.shell("grep -lE '/[a-z]+[.]fcgi' /proc/[0-9]*/cmdline 2>/dev/null || true")


def test_six_commands(machine: Machine, packages: Packages) -> None:
    commands = blocks("Six commands")
    assert sum(len(re.findall(r"^sudo ", command, re.MULTILINE)) for command in commands) == 6
    # "Nothing runs yet"
    copy_package(machine, packages.file("current"))
    machine.shell(commands[0])
    assert not machine.shell("ls -A /etc/waybill /var/lib/waybill /run/waybill 2>/dev/null || true")
    assert not responders(machine) and not machine.shell("ls /etc/apache2/*-enabled | grep waybill || true")
    for unit in UNITS:
        assert machine.shell(f"systemctl is-enabled {unit} || true") == "disabled\n", unit
    machine.shell("systemctl restart apache2")

    for command in commands[1:]:
        machine.shell(command)
    assert post_sample(machine, "evt_first") == (200, {"received": True, "outcome": "applied", "delivery": machine.sql("SELECT delivery_id FROM waybill.deliveries")})
    assert machine.sql("SELECT status FROM waybill.orders") == "delivered"
    for mount in ("webhooks", "status"):
        assert machine.shell(f"curl -s https://shop.example/{mount}/readyz") == '{"status":"ok"}'
    assert machine.run("waybill", "--version") == f"waybill {packages.versions['current']}\n"
    for unit in UNITS[:-1]:
        assert machine.run("systemctl", "is-enabled", unit) == "enabled\n", unit
    assert len(responders(machine).splitlines()) == 2
    # Nobody but the web server may speak FastCGI to the responders, nor read the configuration.
    assert machine.shell("stat -c '%U:%G %a' /run/waybill/webhook.sock /etc/waybill/waybill.conf /var/lib/waybill") == (
        "root:www-data 660\nroot:waybill 640\nwaybill:waybill 700\n")
    for command in blocks("The first event"):
        machine.shell(command)
    assert machine.sql("SELECT count(*) > 0 FROM waybill.orders WHERE NOT live") == "t"
    machine.shell("sudo waybill check && ls /usr/share/man/man1/waybill.1.gz /usr/share/waybill/schema/{migrations/0001_*,functions/read_orders,views/waybill.orders}.sql /usr/share/bash-completion/completions/waybill")


# ---- upgrade, and back ----


class Load:
    """Parcel lives through the web server, one simulate after the other, until it is told to stop."""

    SCRIPT = """
        cd; rm -f stop
        while [ ! -e stop ]; do waybill simulate crossborderly --live --lives 3 --json --url https://shop.example/webhooks || echo FAILED; done
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._path = machine.root.path / "root" / "load"
        self._output = open(self._path, "w")
        self._process = machine.start(["bash", "-c", self.SCRIPT], self._output)

    def more(self) -> None:
        """Waits until further answers have come."""
        before = self._path.stat().st_size
        deadline = time.monotonic() + 120
        while self._path.stat().st_size <= before + 10:
            assert time.monotonic() < deadline and self._process.poll() is None, self._path.read_text()[-2000:]
            time.sleep(0.05)

    def end(self) -> dict[str, int]:
        """How many answers of each kind."""
        (self._machine.root.path / "root" / "stop").touch()
        assert self._process.wait(120) == 0
        self._output.close()
        text = self._path.read_text()
        assert "FAILED" not in text, text[-2000:]
        counts: dict[str, int] = {}
        for answers in re.findall(r'"answers":(\{[^}]*\})', text):
            for outcome, count in json.loads(answers).items():
                counts[outcome] = counts.get(outcome, 0) + count
        return counts


@contextmanager
def load(machine: Machine) -> Iterator[Load]:
    one = Load(machine)
    try:
        yield one
    finally:
        one.end()


def responder(machine: Machine) -> tuple[str, str]:
    """The process of webhook.fcgi, and the socket that it has."""
    return machine.shell("cat /run/systemd/system/waybill-webhook.service.pid").strip(), machine.shell("stat -c %i /run/waybill/webhook.sock").strip()


def schema(machine: Machine) -> str:
    return machine.sql("SELECT string_agg(digest::text, ' ' ORDER BY name) FROM waybill_data.schema_files")


def test_upgrade_and_back_under_load(machine: Machine, packages: Packages) -> None:
    six_commands(machine, packages.file("previous"))
    assert post_sample(machine, "evt_before")[0] == 200
    old_schema, before = schema(machine), responder(machine)
    upgrade = "".join(blocks("Upgrade, and back"))
    with load(machine) as traffic:
        for name in ("current", "previous", "current"):
            traffic.more()
            machine.shell("rm -f /run/systemd/system/calls")
            copy_package(machine, packages.file(name))
            if name == "current":
                said = machine.shell(upgrade)
            else:
                said = machine.shell("sudo apt-get install --allow-downgrades ./waybill_*.deb")
            traffic.more()
            after = responder(machine)
            assert after[0] != before[0] and after[1] == before[1], said
            assert "(deleted)" not in machine.shell(f"readlink /proc/{after[0]}/exe")
            assert machine.run("waybill", "--version") == f"waybill {packages.versions[name]}\n"
            assert not re.findall(r"^.*\b(?:stop|restart)\b.*\.socket.*$", machine.shell("cat /run/systemd/system/calls"), re.MULTILINE)
            assert schema(machine) != old_schema
            before = after
    counts = traffic.end()
    # What was answered is there, once, and nothing else but the event from before.
    assert set(counts) == {"applied"} and counts["applied"] > 0
    assert machine.sql("SELECT count(*), sum(times_received), count(*) FILTER (WHERE outcome = 'applied') FROM waybill.deliveries") == "|".join(
        [str(counts["applied"] + 1)] * 3)


# ---- the end ----


def test_remove_and_purge(machine: Machine, packages: Packages) -> None:
    six_commands(machine, packages.file("current"))
    assert post_sample(machine, "evt_kept")[0] == 200
    machine.shell("sudo apt-get remove waybill")
    assert not responders(machine) and not machine.shell("ls -A /run/waybill")
    assert not machine.shell("ls /etc/apache2/*-enabled | grep waybill || true")
    machine.shell("systemctl restart apache2")
    assert machine.shell("ls /etc/waybill") == "waybill.conf\n"
    assert not machine.shell("ls -A /var/lib/waybill/spool")
    # It comes back as it was.
    machine.shell(blocks("Six commands")[0] + "sudo systemctl enable --now waybill-webhook waybill-status\nsudo a2enmod waybill\nsudo systemctl restart apache2")
    assert post_sample(machine, "evt_back")[0] == 200
    # With the database away, a webhook is acknowledged by the spool: that outlives even a purge.
    machine.shell('pg_ctlcluster --skip-systemctl-redirect "$(pg_lsclusters -h | cut -d " " -f 1)" main stop -m immediate || true')
    assert post_sample(machine, "evt_spooled")[1]["outcome"] == "spooled"
    assert "it stays there" in machine.shell("sudo apt-get purge waybill")
    assert not machine.shell("ls -d /etc/waybill /etc/*/*/*waybill* 2>/dev/null || true")
    assert "events.sqlite3" in machine.shell("ls /var/lib/waybill/spool")
    machine.shell('pg_ctlcluster --skip-systemctl-redirect "$(pg_lsclusters -h | cut -d " " -f 1)" main start')
    assert machine.sql("SELECT count(*) FROM waybill.deliveries") == "2"
    machine.shell("systemctl restart apache2")
