"""What the scripts beside this folder share: a feature is a function that fails when the client does not get what it
asks for; each becomes one line of JSON, {client, version, feature, ok, note}.

Started as `SCRIPT BASE KEY [FEATURE ...]`, where BASE is the address of a running server and KEY what it is asked
with. The server has the model `starter`, an encoder called `encoder`, and an image model called `painter`.

Scripts are called as the packages that they try, so each begins by taking its own folder from the path.
"""

import asyncio
import importlib.metadata
import inspect
import json
import os
import pathlib
import signal
import sys
import time
import traceback
import urllib.request

BASE, KEY = sys.argv[1].rstrip("/"), sys.argv[2]
OPENAI = BASE + "/v1"
CHAT, ENCODER, PAINTER = "starter", "encoder", "painter"
# A picture and a mask for it.
DRAWN = pathlib.Path(__file__).resolve().parents[3] / "fixtures/draw"
PATIENCE_S = 120
FEATURES = []

# What the model in the box answers alike whenever it takes the best token.
SUM = [{"role": "user", "content": "What is 3 + 4?"}]
LIGHT = [{"role": "user", "content": "Turn on the light in the kitchen."}]
ROOMS = {"type": "string", "enum": ["kitchen", "bedroom"]}
STATES = {"type": "string", "enum": ["on", "off"]}
LIGHT_SCHEMA = {
    "type": "object",
    "properties": {"room": ROOMS, "state": STATES},
    "required": ["room", "state"],
    "additionalProperties": False,
}
LIGHT_CALL = {"room": "kitchen", "state": "on"}


def tool(name, description, schema):
    """A tool as OpenAI's clients send it."""
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


SET_LIGHT = tool("set_light", "Turns a light on or off.", LIGHT_SCHEMA)
GET_TEMPERATURE = tool(
    "get_temperature",
    "Tells how warm a room is.",
    {"type": "object", "properties": {"room": ROOMS}, "required": ["room"], "additionalProperties": False},
)
TOOLS = [SET_LIGHT, GET_TEMPERATURE]


def feature(name):
    """Marks a function that tries a feature. What it returns is the note."""

    def mark(function):
        FEATURES.append((name, function))
        return function

    return mark


def same(found, expected):
    """Fails, with both, when they are not equal."""
    assert found == expected, f"{found!r}, not {expected!r}"


def holds(condition, said):
    """Fails with what was said instead."""
    assert condition, f"{said!r}"


def raises(kind, function):
    """The exception of this class that the function raises."""
    try:
        answer = function()
    except kind as error:
        return error
    raise AssertionError(f"{answer!r}, not {kind.__name__}")


def metric(name):
    """A figure of the server."""
    request = urllib.request.Request(BASE + "/metrics", headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " "))


def comes_to(name, wanted, patience_s=10):
    """Fails when a figure of the server does not become what is wanted."""
    end = time.monotonic() + patience_s
    while metric(name) != wanted:
        assert time.monotonic() < end, f"{name} is {metric(name)}, not {wanted}"
        time.sleep(0.02)


def out_of_patience(*_):
    raise TimeoutError(f"no answer within {PATIENCE_S} s")


def attempt(function):
    signal.signal(signal.SIGALRM, out_of_patience)
    signal.alarm(PATIENCE_S)
    try:
        if inspect.iscoroutinefunction(function):
            return True, asyncio.run(function()) or ""
        return True, function() or ""
    # A feature that fails must not end the others, whatever it raises.
    except BaseException as error:  # noqa: BLE001
        if isinstance(error, KeyboardInterrupt):
            raise
        place = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(place) if frame.filename == os.path.abspath(sys.argv[0])), "?")
        return False, f"line {line}: {type(error).__name__}: {error}"[:600]
    finally:
        signal.alarm(0)


def main(client, package):
    """Tries all features, or those that are named."""
    version = importlib.metadata.version(package)
    wanted = sys.argv[3:]
    n_failed = 0
    for name, function in FEATURES:
        if wanted and name not in wanted:
            continue
        ok, note = attempt(function)
        n_failed += not ok
        cell = {"client": client, "version": version, "feature": name, "ok": ok, "note": str(note)}
        print(json.dumps(cell), flush=True)
    sys.exit(1 if n_failed else 0)
