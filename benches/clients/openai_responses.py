"""OpenAI's Python client against a running server: responses, and conversations that go on where they were."""

import json
import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

import openai
import pydantic
from cells import CHAT, KEY, LIGHT_CALL, OPENAI, TOOLS, feature, holds, main, raises, same

client = openai.OpenAI(base_url=OPENAI, api_key=KEY, max_retries=0)
SUM, LIGHT, HOME = "What is 3 + 4?", "Turn on the light in the kitchen.", "You control a home."
# The same tools as responses take them: flat.
FLAT = [{"type": "function", "strict": True, **one["function"]} for one in TOOLS]


def ask(**more):
    return client.responses.create(**{"model": CHAT, "input": SUM, "temperature": 0, **more})


@feature("response")
def response():
    answer = ask(metadata={"a": "b"})
    same((answer.status, answer.output_text, answer.metadata), ("completed", "7.", {"a": "b"}))
    usage = answer.usage
    same((usage.output_tokens, usage.total_tokens), (2, usage.input_tokens + usage.output_tokens))


@feature("stream")
def stream():
    with client.responses.stream(model=CHAT, input=SUM, temperature=0) as events:
        kinds, numbers = zip(*((event.type, event.sequence_number) for event in events))
        final = events.get_final_response()
    same(final.output_text, "7.")
    same((kinds[0], kinds[1], kinds[-1]), ("response.created", "response.in_progress", "response.completed"))
    same(list(numbers), list(range(len(numbers))))


@feature("conversation")
def conversation():
    first = ask()
    second = ask(input="And what is 8 + 8?", previous_response_id=first.id)
    holds("16" in second.output_text, second.output_text)
    holds(second.usage.input_tokens > first.usage.input_tokens, second.usage)


@feature("items and instructions")
def items():
    said = [
        {"role": "developer", "content": "You answer."},
        {"role": "user", "content": [{"type": "input_text", "text": SUM}]},
        {"role": "assistant", "content": "7."},
        {"role": "user", "content": "And what is 8 + 8?"},
    ]
    holds("16" in ask(input=said, instructions="Be brief.").output_text, "the last question is not answered")


@feature("tools")
def tools():
    answer = ask(input=LIGHT, tools=FLAT, instructions=HOME)
    call = next(item for item in answer.output if item.type == "function_call")
    same((call.name, json.loads(call.arguments)), ("set_light", LIGHT_CALL))
    result = [{"type": "function_call_output", "call_id": call.call_id, "output": '{"result": "done"}'}]
    told = ask(input=result, previous_response_id=answer.id, tools=FLAT, instructions=HOME)
    holds("kitchen" in told.output_text, told.output_text)
    by_hand = [{"role": "user", "content": LIGHT}, *answer.output, *result]
    same(ask(input=by_hand, tools=FLAT, instructions=HOME).output_text, told.output_text)


@feature("tools streamed")
def tools_streamed():
    asked = {"model": CHAT, "input": LIGHT, "temperature": 0, "tools": FLAT, "instructions": HOME}
    with client.responses.stream(**asked) as events:
        deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
        final = events.get_final_response()
    call = next(item for item in final.output if item.type == "function_call")
    same((call.name, json.loads("".join(deltas))), ("set_light", LIGHT_CALL))


@feature("tools required")
def required():
    answer = ask(tools=FLAT, tool_choice="required", parallel_tool_calls=False)
    calls = [item for item in answer.output if item.type == "function_call"]
    same(len(calls), 1)
    named = ask(tools=FLAT, tool_choice={"type": "function", "name": "get_temperature"})
    same(named.output[0].name, "get_temperature")


class Pet(pydantic.BaseModel):
    """A pet."""

    is_small: bool
    legs: int


@feature("schema")
def schema():
    answer = client.responses.parse(model=CHAT, input=SUM, temperature=0, text_format=Pet)
    holds(isinstance(answer.output_parsed, Pet), answer)


@feature("logprobs")
def logprobs():
    answer = ask(include=["message.output_text.logprobs"], top_logprobs=3)
    tokens = answer.output[0].content[0].logprobs
    holds("".join(token.token for token in tokens).startswith("7"), tokens)
    same(len(tokens[0].top_logprobs), 3)


@feature("kept and taken away")
def kept():
    made = ask()
    same(client.responses.retrieve(made.id).output_text, made.output_text)
    listed = list(client.responses.input_items.list(made.id))
    same(listed[0].content[0].text, SUM)
    client.responses.delete(made.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(made.id))
    unkept = ask(store=False)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(unkept.id))


@feature("length")
def length():
    answer = ask(input="Tell me a story about a cat and a boat.", max_output_tokens=5)
    same((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))


@feature("async")
async def in_parallel():
    import asyncio

    side = openai.AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0)
    one = lambda: side.responses.create(model=CHAT, input=SUM, temperature=0)
    same([answer.output_text for answer in await asyncio.gather(*(one() for _ in range(3)))], ["7."] * 3)


@feature("errors")
def errors():
    raises(openai.NotFoundError, lambda: ask(model="none"))
    wrong = raises(openai.BadRequestError, lambda: ask(truncation="auto"))
    same(wrong.param, "truncation")
    raises(openai.BadRequestError, lambda: ask(background=True))
    raises(openai.NotFoundError, lambda: ask(previous_response_id="resp_none"))
    theirs = raises(openai.BadRequestError, lambda: ask(tools=[{"type": "web_search"}]))
    same(theirs.param, "tools[0].type")


main("openai responses", "openai")
