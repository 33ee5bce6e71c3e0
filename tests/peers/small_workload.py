"""A workload small enough to check the peers by, and what both ends must read after it.

    small_workload.py make CASES CHANGES FOLDER
    small_workload.py compare FOLDER day|first READ
"""

import json
import os
import random
import sys

from workload import records, state_of

SEED = 20_260_101
WORDS = "低保 危房 救济 医保 养老 身份证 户口本 已受理 已办结 补材料 村委会 镇上 现场 核实 同意 退回".split()
# One in so many changes is a new case.
NEW = 4


def text(dice, words):
    return "".join(dice.choice(WORDS) for _ in range(words))


def steps(dice):
    """Seven steps by both sides, as a case has before it is decided."""
    sides = ("node", "node", "hub", "hub", "node", "hub", "node")
    first = {"kind": text(dice, 1), "name": text(dice, 1), "state": "submitted"}
    rest = [{f"note.{n}": text(dice, dice.randint(2, 12)), "state": f"step {n}"} for n in range(1, 7)]
    return [{"by": side, "set": fields} for side, fields in zip(sides, [first, *rest])]


def write(folder, name, lines):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def make(cases, changes, folder):
    os.makedirs(folder)
    dice = random.Random(SEED)
    ids = [f"{dice.getrandbits(128):032x}" for _ in range(cases)]
    write(folder, "initial.jsonl", [{"id": case, "steps": steps(dice)} for case in ids])
    # No case is changed at both ends: some peers keep one record whole and drop the other.
    chosen = dice.sample(ids, 2 * changes)
    for name, mine in (("up.jsonl", chosen[:changes]), ("down.jsonl", chosen[changes:])):
        lines = []
        for n, case in enumerate(mine):
            new = n % NEW == NEW - 1
            case = f"{dice.getrandbits(128):032x}" if new else case
            lines.append({"id": case, "new": new, "set": {"state": "again", "note.7": text(dice, 8)}})
            ids += [case] if new else []
        write(folder, name, lines)
    write(folder, "meta.json", [{"cases": cases, "up": changes, "down": changes, "seed": SEED}])
    with open(os.path.join(folder, "ids"), "w", encoding="ascii") as out:
        out.write("".join(case + "\n" for case in ids))


def compare(folder, kind, read):
    expected = {r["id"]: state_of(r["steps"]) for r in records(folder, "initial.jsonl")}
    if kind == "day":
        for name in ("up.jsonl", "down.jsonl"):
            for record in records(folder, name):
                expected.setdefault(record["id"], {}).update(record["set"])
    got = {}
    for record in records(os.path.dirname(read), os.path.basename(read)):
        got[record["id"]] = record["state"]
    wrong = [case for case, state in expected.items() if got.get(case) != state]
    # What nobody wrote must not be there either.
    wrong += [case for case, state in got.items() if case not in expected and state is not None]
    if wrong:
        print(f"{len(wrong)} of {len(expected)} cases differ, the first {wrong[0]}", file=sys.stderr)
        sys.exit(1)


if sys.argv[1] == "make":
    make(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
else:
    compare(*sys.argv[2:])
