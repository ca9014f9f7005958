"""Run as a script: a training worker that does what the file ``plan`` in the project's root says.

Plans: ``promote``, ``reject`` (one that began anew), ``wait`` (trains until it is ended), ``silent`` (ends without a
result), ``garbage``. What it was told is in ``.worker.json`` there, with all runs in their order.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from tailora_adapters.store import Store


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--changed-file-list", type=Path)
    parser.add_argument("--parent-pid", type=int)
    parser.add_argument("--seconds")
    parser.add_argument("--method")
    parser.add_argument("--set", action="append")
    parser.add_argument("--learning-rate")
    parser.add_argument("--for", dest="purpose", default="completion")
    arguments = parser.parse_args()
    plan = (arguments.root / "plan").read_text()
    files = arguments.changed_file_list.read_text().split()
    record = arguments.root / ".worker.json"
    runs = json.loads(record.read_text())["runs"] if record.exists() else []
    run = {"pid": os.getpid(), "nice": os.nice(0), "parent": arguments.parent_pid, "files": files}
    run |= {"method": [arguments.method, arguments.set, arguments.learning_rate]}
    run |= {
        "seconds": arguments.seconds,
        "runs": [*runs, "repair" if arguments.purpose == "repair" else ",".join(files)],
    }
    record.write_text(json.dumps(run))
    say(event="progress", stage="training", fraction=0.5, message=f"step 1 on {','.join(files)}")
    if plan == "wait":
        signal.pause()
    if plan == "silent":
        sys.exit(3)
    if plan == "garbage":
        print("not json")
        print("[1]")
        print("x" * 3_000_000)
    say(event="progress", stage="gating", fraction=0.9, message="comparing")
    if plan == "reject":
        store = Store().project(arguments.root)
        store.part(arguments.purpose).note_retrain_tried()
        say(event="done", decision="rejected", version="4", reason="worse", gate=None)
        return
    gate = {"decision": "promoted", "reason": "better", "checks": [], "figures": {"base_nll": 2.0}}
    say(event="done", decision="promoted", version="4", reason="better", gate=gate)


main()
