"""The command line program `llm` against a running server, which it knows from its file of further OpenAI models."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

from cells import CHAT, KEY, OPENAI, PATIENCE_S, feature, holds, main, same

FOLDER = tempfile.TemporaryDirectory()
MODEL = f"""\
- model_id: {CHAT}
  model_name: {CHAT}
  api_base: {OPENAI}
  api_key_name: hearth
  supports_schema: true
  supports_tools: true
- model_id: {CHAT}-raw
  model_name: {CHAT}
  api_base: {OPENAI}
  api_key_name: hearth
  completion: true
"""
TOOL = '''
def set_light(room: str, state: str) -> str:
    "Turns a light on or off."
    return "done"
'''
pathlib.Path(FOLDER.name, "extra-openai-models.yaml").write_text(MODEL)
pathlib.Path(FOLDER.name, "keys.json").write_text(json.dumps({"hearth": KEY}))


def llm(*words):
    """What the program prints."""
    program = pathlib.Path(sys.executable).with_name("llm")
    environment = {**os.environ, "LLM_USER_PATH": FOLDER.name}
    done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    holds(done.returncode == 0, done.stderr)
    return done.stdout.strip(), done.stderr


def ask(*words):
    return llm("-m", CHAT, "-o", "temperature", "0", *words)


@feature("models")
def models():
    holds(f"OpenAI Chat: {CHAT}" in llm("models")[0], llm("models")[0])


@feature("chat")
def chat():
    told, usage = ask("--no-stream", "-u", "What is 3 + 4?")
    same(told, "7.")
    holds("2 output" in usage, usage)


@feature("stream")
def stream():
    same(ask("What is 3 + 4?")[0], "7.")


@feature("system and history")
def history():
    same(ask("-s", "You answer.", "What is 3 + 4?")[0], "7.")
    holds("16" in ask("-c", "And what is 8 + 8?")[0], "the conversation does not go on")


@feature("schema")
def schema():
    # No text that may be of any length: so small a model finds no end of it.
    rooms, schema = ["kitchen", "hall"], {"type": "object", "additionalProperties": False, "required": ["room", "is_on"]}
    schema["properties"] = {"room": {"enum": rooms}, "is_on": {"type": "boolean"}}
    found = json.loads(ask("--schema", json.dumps(schema), "-o", "max_tokens", "100", "Turn on the light.")[0])
    same(set(found), {"room", "is_on"})
    holds(found["room"] in rooms and isinstance(found["is_on"], bool), found)


@feature("tools")
def tools():
    _, talk = ask("--functions", TOOL, "--td", "Turn on the light in the kitchen.")
    holds("set_light" in talk and "kitchen" in talk, talk)


@feature("completions")
def completions():
    told, _ = llm("-m", f"{CHAT}-raw", "-o", "temperature", "0", "-o", "max_tokens", "8", "Once upon a time there was a")
    holds(told, told)


@feature("errors")
def errors():
    program = pathlib.Path(sys.executable).with_name("llm")
    environment = {**os.environ, "LLM_USER_PATH": FOLDER.name}
    words = [program, "-m", CHAT, "-o", "max_tokens", "5", "far " * 3000]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    holds(done.returncode != 0 and "too many" in done.stderr, done.stderr)


main("llm", "llm")
