"""python3 tests/record corpus|run|compare …: what a program makes of a corpus of webhooks, and whether another one makes the same of it (README.md)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random

import corpus
import record
import runs
import waybill_stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="record", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("corpus", help="write the corpus")
    made.add_argument("form", choices=("small", "full"))
    made.add_argument("file", type=Path)
    for name, text in (("run", "write the record of a checkout's program"), ("compare", "compare a checkout's program with a record")):
        command = commands.add_parser(name, help=text)
        command.add_argument("checkout", type=Path)
        command.add_argument("folder", type=Path, help="of the record; corpus.jsonl is beside it or in it")
        command.add_argument("--mode", choices=runs.MODES, default="one")
        command.add_argument("--seed", default="", help="send in another order")
        command.add_argument("--corpus", type=Path)
        command.add_argument("--keep", type=Path, help="write what was found here, too" if name == "compare" else argparse.SUPPRESS)
        command.add_argument("--without", action="append", default=[], metavar="KIND", help="leave this kind out" if name == "compare" else argparse.SUPPRESS)
        command.add_argument("--most", type=int, default=10, help="lines shown a kind" if name == "compare" else argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command == "corpus":
        corpus.write_corpus(arguments.file, {"small": corpus.small, "full": corpus.full}[arguments.form]())
        return 0
    waybill_stack.CHECKOUT = arguments.checkout.resolve()
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    file = arguments.corpus or next(path for path in (arguments.folder / "corpus.jsonl", arguments.folder.parent / "corpus.jsonl") if path.exists())
    events = corpus.read_corpus(file)
    if arguments.seed:
        Random(arguments.seed).shuffle(events)
    different = False
    expected = None if arguments.command == "run" else record.read(arguments.folder)
    for stage, found in runs.records(events, arguments.mode):
        print(f"{stage}: " + ", ".join(f"{kind} {len(lines)}" for kind, lines in found.items()), flush=True)
        if expected is None:
            record.write(found, arguments.folder)
            expected = found
        else:
            if arguments.keep:
                record.write(found, arguments.keep / stage)
            kinds = {kind: lines for kind, lines in expected.items() if kind not in (*arguments.without, "corpus")}
            lines = record.differences(kinds, found, arguments.most)
            print("\n".join(lines) or f"{stage}: no difference", flush=True)
            different = different or bool(lines)
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
