"""Runs the README's section "Run it locally" unchanged, each block in a terminal of its own.

`python3 tests/local.py`, with `cargo` and `cargo-lambda` on the PATH. Only the emulator's port is another, a free one.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent


def check(name, condition, found=""):
    if not condition:
        sys.exit(f"FAILED: {name}: {found}")
    print(f"ok: {name}", flush=True)


def blocks():
    section = (ROOT / "README.md").read_text().split("\n## Run it locally\n")[1].split("\n## ")[0]
    text = section.replace("4566", str(free_port()))
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def until(what, seconds, attempt):
    end = time.monotonic() + seconds
    while not (found := attempt()):
        if time.monotonic() > end:
            sys.exit(f"FAILED: {what} within {seconds} s")
        time.sleep(0.5)
    return found


def main():
    emulator, function, event = blocks()
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        started = []

        def terminal(commands):
            output = log.open("a")
            started.append(
                subprocess.Popen(["bash", "-c", commands], cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
            )

        try:
            terminal(emulator)
            until("the emulator's address", 300, lambda: "http://127.0.0.1:" in log.read_text())
            terminal(function)

            def invoked():
                done = subprocess.run(["bash", "-c", event], cwd=ROOT, capture_output=True, text=True, timeout=300)
                return done.stdout if done.returncode == 0 else None

            report = json.loads(until("an answer of the function", 600, invoked))
            check("the event disconnects", report["outcome"] == "DISCONNECTED", report)
            calls = [line for line in log.read_text().splitlines() if line.startswith("DisconnectCustomKeyStore ")]
            check("the emulator prints the call", len(calls) == 1 and calls[0].endswith(": OK"), calls)
        except BaseException:
            print(log.read_text(), file=sys.stderr)
            raise
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(20)
    print("2 passed, 0 failed")


if __name__ == "__main__":
    main()
