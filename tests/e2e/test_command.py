"""The command waybill: what holds for every subcommand, and the rows that actions leave."""

from __future__ import annotations

import errno
import os
import pty
import pwd
import re
import select
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

import waybill_client as client
from waiting import wait_until
from waybill_stack import CHECKOUT, Row, Stack

PROGRAM = str(CHECKOUT / os.environ.get("BUILD", "build") / "waybill")
OVERVIEW_ROW = re.compile(r"^  ([a-z]+) +\S", re.MULTILINE)


def waybill_here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Where no stack is needed."""
    return subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


COMMANDS = OVERVIEW_ROW.findall(waybill_here("help").stdout.split("Examples:")[0])


def test_the_overview_lists_the_commands() -> None:
    assert {"migrate", "check", "rebuild", "spool", "help"} <= set(COMMANDS)
    assert waybill_here("--help").stdout == waybill_here("help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_page(command: str) -> None:
    page = waybill_here("help", command)
    assert page.returncode == 0 and page.stderr == ""
    assert page.stdout == waybill_here(command, "--help").stdout
    assert page.stdout.startswith(f"Usage: waybill {command}")
    assert "\nExamples:\n  " in page.stdout and f"waybill {command}" in page.stdout.split("Examples:")[1]
    # In a terminal of the usual width; an example may be longer.
    assert [line for line in page.stdout.split("Examples:")[0].splitlines() if len(line) > 80] == []


def test_the_manual_says_what_the_pages_say() -> None:
    """The same commands, and the same options of each."""
    parts = waybill_here("help", "--mdoc").stdout.split(".Ss waybill ")[1:]
    assert [part.split()[0] for part in parts] == COMMANDS
    for command, part in zip(COMMANDS, parts):
        page = waybill_here("help", command).stdout.split("Examples:")[0]
        options = re.findall(r"^  --(\S+)", page, re.MULTILINE)
        assert re.findall(r"^\.It Fl -(\S+)", part, re.MULTILINE) == options and options[-1] == "help"
        # What begins with a dot would be an instruction.
        assert set(re.findall(r"^\.(\S+)", part, re.MULTILINE)) <= {"Pp", "Bl", "It", "El", "Bd", "Ed"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_what_it_does_not_know(command: str) -> None:
    for arguments in (["--colour"], ["--help=x"], ["too"] * 5):
        result = waybill_here(command, *arguments)
        assert (result.returncode, result.stdout) == (2, ""), result
        assert result.stderr


@pytest.mark.parametrize("arguments", [[], ["conquer"], ["--colour"], ["--dsn"], ["help", "conquer"], ["check", "--dsn", "x"]], ids=" ".join)
def test_a_wrong_use_is_2(arguments: list[str]) -> None:
    result = waybill_here(*arguments)
    assert (result.returncode, result.stdout) == (2, ""), result
    assert "waybill" in result.stderr


def test_what_cannot_be_written_is_a_failure() -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([PROGRAM, "help"], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1 and "standard output" in result.stderr


# ---- the rows of actions ----


def actions(stack: Stack, command: str) -> list[Row]:
    return stack.audit("SELECT * FROM waybill_audit.actions WHERE command = %s ORDER BY action_id", command)


def os_user(stack: Stack) -> str:
    return pwd.getpwuid(stack.pgdata.stat().st_uid).pw_name


def test_an_action_leaves_a_row(stack: Stack) -> None:
    stack.sender("crossborderly").deliver(client.status_changed(client.uid("CB"), "IN_TRANSIT"))
    before = actions(stack, "rebuild")
    dsn = stack.env["WAYBILL_DSN"]
    assert stack.waybill("rebuild", "--dsn", dsn, WAYBILL_DSN="host=/nowhere").returncode == 0
    (row,) = actions(stack, "rebuild")[len(before):]
    assert row["done"] is True and row["started_at"] <= row["ended_at"]
    assert (row["database_user"], row["arguments"]) == ("waybill_owner", "")
    assert row["os_user"].split(" ")[0] == os_user(stack) and row["host"] and row["release"]
    assert row["counts"]["orders"] >= 1 and row["counts"]["orders"] == sum(count for name, count in row["counts"].items() if name != "orders")


def everything(terminal: int) -> str:
    """What is written to it until nobody has it open."""
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError as gone:
        assert gone.errno == errno.EIO
    finally:
        os.close(terminal)
    return shown.decode()


def test_a_terminal_shows_how_far_it_is(stack: Stack) -> None:
    """A bar that is gone in the end; elsewhere there is none."""
    stack.sender("crossborderly").deliver(client.status_changed(client.uid("CB"), "IN_TRANSIT"))
    quiet = stack.waybill("rebuild")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    terminal, end = os.openpty()
    environment = os.environ | {"WAYBILL_CONFIG": str(stack.config), "WAYBILL_DSN": stack.env["WAYBILL_DSN"]}
    with subprocess.Popen([stack.program("waybill"), "rebuild"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=end,
                          text=True, **stack.owner) as process:
        os.close(end)
        shown = everything(terminal)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and told.startswith("rebuilt "), told
    assert re.fullmatch(r"(\r\[#* *\] \d+/\d+)+\r\x1b\[K", shown), shown


def test_without_the_row_nothing_is_done(stack: Stack) -> None:
    """Who may not leave it is no administrator."""
    dsn = stack.env["WAYBILL_AUDIT_DSN"]
    for arguments in (["rebuild"], ["spool", "--drain"]):
        result = stack.waybill(*arguments, "--dsn", dsn)
        assert result.returncode == 1 and "permission denied" in result.stderr, result


def test_no_secret_is_in_the_rows(stack: Stack) -> None:
    rows = stack.audit("SELECT to_jsonb(a)::text AS text FROM waybill_audit.actions a")
    assert not [row for row in rows if "password" in row["text"] or any(secret in row["text"] for secret in client.SECRETS)]


# ---- completion ----


class Bash:
    """Runs the function that bash calls."""

    def complete(self, *words: str) -> set[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        ask = f"{waybill_here('completion').stdout}\nCOMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}; _waybill; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return set(subprocess.run(["bash", "-c", ask], capture_output=True, text=True, timeout=60, check=True).stdout.split())

    def close(self) -> None:
        pass


class Zsh:
    """An interactive one on a terminal, with the file in its $fpath: what it would offer at Tab goes to a file, and Ctrl-X writes a line that ends it."""

    SETUP = r"""
PS1= RPS1= HISTFILE= LISTMAX=0; unset zle_bracketed_paste; unsetopt automenu beep
fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u
bindkey -e; bindkey '\C-i' complete-word
compadd () {
    local -a offered
    case " $* " in
    # Only sorts out what matches.
    *' -O '*|*' -A '*|*' -D '*) ;;
    *) builtin compadd -O offered "$@"; print -rl -- $offered >> offered ;;
    esac
    builtin compadd "$@"
}
tell () { print END >> offered; zle kill-whole-line }
zle -N tell; bindkey '\C-x' tell
print READY >> offered
"""

    def __init__(self, folder: Path) -> None:
        (folder / "_waybill").write_text(waybill_here("completion", "zsh").stdout)
        (folder / "setup").write_text(self.SETUP)
        self.offered = folder / "offered"
        self.terminal, inside = pty.openpty()
        self.shell = subprocess.Popen(["zsh", "-f", "-i"], cwd=folder, env={"PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8"},
                                      stdin=inside, stdout=inside, stderr=inside, start_new_session=True)
        os.close(inside)
        self.shown = b""
        self._type("source ./setup\r", "READY")

    def _type(self, keys: str, end: str) -> list[str]:
        os.write(self.terminal, keys.encode())

        def has_ended() -> bool:
            # Whoever does not read from a terminal stops the one who writes there.
            while select.select([self.terminal], [], [], 0)[0]:
                self.shown += os.read(self.terminal, 4096)
            return self.offered.exists() and self.offered.read_text().endswith(end + "\n")

        wait_until(has_ended, f"zsh says {end}")
        lines = self.offered.read_text().split()[:-1]
        self.offered.unlink()
        return lines

    def complete(self, *words: str) -> set[str]:
        return set(self._type(" ".join(words) + "\t\x18", "END"))

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self.terminal)


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bash | Zsh]:
    one = Bash() if request.param == "bash" else Zsh(tmp_path_factory.mktemp("zsh"))
    yield one
    one.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_completion_knows_every_option(shell: Bash | Zsh, command: str) -> None:
    options = set(re.findall(r"^  (--[a-z-]+)", waybill_here("help", command).stdout, re.MULTILINE))
    assert shell.complete("waybill", command, "--") == options


def test_the_completion_knows_commands_and_choices(shell: Bash | Zsh) -> None:
    assert shell.complete("waybill", "re") == {"replay", "rebuild"}
    assert shell.complete("waybill", "--") == {"--help", "--version"}
    assert shell.complete("waybill", "help", "re") == {"replay", "rebuild"}
    assert shell.complete("waybill", "completion", "z") == {"zsh"}
    assert shell.complete("waybill", "token", "--scope", "") == {"tracking", "full"}
    assert shell.complete("waybill", "deliveries", "--json", "--outcome", "q") == {"quarantined"}


def test_completion_for_another_shell() -> None:
    result = waybill_here("completion", "fish")
    assert (result.returncode, result.stdout) == (2, "") and "bash or zsh" in result.stderr
