"""What the peers in Python share: reading the workload's files and the command line."""

import itertools
import json
import os
import signal
import subprocess
import sys


def command_line():
    """The verb, and every `--name value` after it."""
    verb, rest = sys.argv[1], sys.argv[2:]
    return verb, {rest[i].removeprefix("--"): rest[i + 1] for i in range(0, len(rest), 2)}


def records(folder, name):
    """The objects of one of the workload's files of JSON lines."""
    with open(os.path.join(folder, name), encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def state_of(steps):
    """What the fields of a case hold after its steps."""
    return dict(itertools.chain.from_iterable(step["set"].items() for step in steps))


def ids_of(path):
    """The ids of a file, one a line."""
    with open(path, encoding="ascii") as lines:
        return [line.strip() for line in lines if line.strip()]


def say(value):
    """Prints one line of JSON."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def until_told(child):
    """Says `ready`, ends the child when this process is asked to end, and waits for it."""

    def end(*_):
        child.terminate()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print("ready", flush=True)
    child.wait()


def apt_install(programs):
    """Installs with apt the programs that are missing: {program: package}."""
    from shutil import which

    packages = [package for program, package in programs.items() if which(program) is None]
    if packages:
        subprocess.run(["apt-get", "update", "-q"], check=True)
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], check=True
        )
