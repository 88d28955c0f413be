"""Anthropic's Python client against a running server: messages, streams, tools, thinking, counts, errors."""

import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

import anthropic
import pydantic
from cells import BASE, CHAT, KEY, LIGHT, LIGHT_CALL, LIGHT_SCHEMA, SUM, TOOLS, feature, holds, main, raises, same

client = anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0)
# The same tools as Anthropic's clients send them.
FUNCTIONS = [one["function"] for one in TOOLS]
THEIRS = [
    {"name": one["name"], "description": one["description"], "input_schema": one["parameters"]} for one in FUNCTIONS
]
HOME = "You control a home."
# Newer clients leave it to who asks to send this along.
BEST = {"extra_body": {"temperature": 0}}


def ask(**more):
    return client.messages.create(**{"model": CHAT, "max_tokens": 100, "messages": SUM, **BEST, **more})


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


@feature("message")
def message():
    answer = ask()
    same((answer.type, answer.role, text(answer), answer.stop_reason), ("message", "assistant", "7.", "end_turn"))
    holds(answer.usage.input_tokens + answer.usage.cache_read_input_tokens > 5, answer.usage)
    same(answer.usage.output_tokens, 2)
    holds(answer._request_id, "the answer has no request id")


@feature("system and history")
def history():
    messages = [*SUM, {"role": "assistant", "content": "7."}, {"role": "user", "content": "And what is 8 + 8?"}]
    blocks = [{"type": "text", "text": "You answer.", "cache_control": {"type": "ephemeral"}}]
    for system in ("You answer.", blocks):
        holds("16" in text(ask(messages=messages, system=system)), "the last question is not answered")


@feature("stream")
def stream():
    with client.messages.stream(model=CHAT, max_tokens=100, messages=SUM, **BEST) as events:
        kinds = [event.type for event in events]
        final = events.get_final_message()
    same((text(final), final.stop_reason, final.usage.output_tokens), ("7.", "end_turn", 2))
    same((kinds[0], kinds[-1]), ("message_start", "message_stop"))
    whole = ask()
    same(
        final.usage.input_tokens + final.usage.cache_read_input_tokens,
        whole.usage.input_tokens + whole.usage.cache_read_input_tokens,
    )


@feature("raw stream")
def raw_stream():
    kinds = [event.type for event in ask(stream=True)]
    same(kinds[:2], ["message_start", "content_block_start"])
    same(kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])


@feature("stop sequences")
def stops():
    story = [{"role": "user", "content": "Tell me a story about a cat and a boat."}]
    answer = ask(messages=story, stop_sequences=["boat"])
    same((answer.stop_reason, answer.stop_sequence), ("stop_sequence", "boat"))
    holds("boat" not in text(answer), text(answer))


@feature("max tokens")
def length():
    story = [{"role": "user", "content": "Tell me a story about a cat and a boat."}]
    answer = ask(messages=story, max_tokens=5)
    same((answer.stop_reason, answer.usage.output_tokens), ("max_tokens", 5))


@feature("tools")
def tools():
    answer = ask(messages=LIGHT, tools=THEIRS, system=HOME)
    same(answer.stop_reason, "tool_use")
    call = next(block for block in answer.content if block.type == "tool_use")
    same((call.name, call.input), ("set_light", LIGHT_CALL))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": '{"result": "done"}'}]}
    told = ask(
        messages=[*LIGHT, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}],
        tools=THEIRS,
        system=HOME,
    )
    holds("kitchen" in text(told), told)


@feature("tools streamed")
def tools_streamed():
    asked = {"model": CHAT, "max_tokens": 100, "messages": LIGHT, "tools": THEIRS, "system": HOME, **BEST}
    with client.messages.stream(**asked) as events:
        pieces = [event.partial_json for event in events if event.type == "input_json"]
        final = events.get_final_message()
    call = next(block for block in final.content if block.type == "tool_use")
    same((call.name, call.input), ("set_light", LIGHT_CALL))
    holds("".join(pieces), pieces)


@feature("tool choice")
def choice():
    answer = ask(tools=THEIRS, tool_choice={"type": "tool", "name": "set_light"}, system=HOME)
    call = next(block for block in answer.content if block.type == "tool_use")
    same((call.name, set(call.input)), ("set_light", {"room", "state"}))
    none = ask(messages=LIGHT, tools=THEIRS, tool_choice={"type": "none"}, system=HOME)
    holds(all(block.type == "text" for block in none.content), none)


class Pet(pydantic.BaseModel):
    """A pet."""

    is_small: bool
    legs: int


@feature("schema")
def schema():
    answer = client.messages.parse(model=CHAT, max_tokens=100, messages=SUM, **BEST, output_format=Pet)
    holds(isinstance(answer.parsed_output, Pet), answer)


@feature("thinking is accepted")
def thinking():
    for wanted in ({"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}, {"type": "disabled"}):
        same(text(ask(thinking=wanted, max_tokens=2000)), "7.")


@feature("count tokens")
def count():
    asked = {"model": CHAT, "messages": LIGHT, "tools": THEIRS, "system": HOME}
    counted = client.messages.count_tokens(**asked).input_tokens
    usage = ask(messages=LIGHT, tools=THEIRS, system=HOME).usage
    same(counted, usage.input_tokens + usage.cache_read_input_tokens)
    return f"{counted} tokens"


@feature("volatile header keeps the prefix")
def prefix():
    body = "You help people at home and answer briefly. " * 12
    asked = lambda n: ask(
        max_tokens=1,
        system=[
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2.1.{n}; cch={n}f;"},
            {"type": "text", "text": body},
        ],
    ).usage
    asked(1)
    second = asked(2)
    holds(second.cache_read_input_tokens > second.input_tokens, second)
    return f"{second.cache_read_input_tokens} of {second.cache_read_input_tokens + second.input_tokens} tokens"


@feature("async")
async def in_parallel():
    import asyncio

    side = anthropic.AsyncAnthropic(base_url=BASE, api_key=KEY, max_retries=0)
    one = lambda: side.messages.create(model=CHAT, max_tokens=100, messages=SUM, **BEST)
    same([text(answer) for answer in await asyncio.gather(*(one() for _ in range(3)))], ["7."] * 3)


@feature("errors")
def errors():
    missing = raises(anthropic.NotFoundError, lambda: ask(model="none"))
    same(missing.body["error"]["type"], "not_found_error")
    wrong = raises(anthropic.BadRequestError, lambda: ask(extra_body={"temperature": 3}))
    holds("temperature" in wrong.message, wrong.message)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    absent = raises(
        anthropic.InternalServerError, lambda: ask(messages=[{"role": "user", "content": [picture]}])
    )
    same(absent.status_code, 501)


main("anthropic", "anthropic")
