"""What the peer programs of `cargo xtask bench` share: the options that each is started with, and the line of JSON
that each ends with. Hearth's programs do the same through `testkit::bench`.

Measures nothing but memory.
"""

import argparse
import json


def options(words):
    """The options of this process; `words` are the names of what stands before them."""
    parser = argparse.ArgumentParser()
    for word in words:
        parser.add_argument(word)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder")
    parser.add_argument("--hearth")
    return parser.parse_args()


def memory_mb(figure="VmHWM", process="self"):
    """A figure of a process's memory, in MB (2^20 bytes); None where the system does not tell."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(figure))
    except (OSError, StopIteration):
        return None


def peak_memory_mb():
    """The most memory that this process ever had, in MB (2^20 bytes); None where the system does not tell."""
    return memory_mb()


def median(values):
    """The middle one; the upper one of the two in the middle."""
    return sorted(values)[len(values) // 2]


def finish(facts, figures, series=None):
    """Prints what was found: the last thing that a program does."""
    figures = {name: value for name, value in figures.items() if value is not None}
    facts = {name: str(value) for name, value in facts.items()}
    print(json.dumps({"facts": facts, "figures": figures, "series": series or {}}), flush=True)
