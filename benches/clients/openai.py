"""OpenAI's Python client against a running server: what it offers for chat, completions and embeddings."""

import base64
import io
import json
import math
import pathlib
import struct
import sys

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

import openai
import pydantic
from PIL import Image, ImageOps
from cells import (
    CHAT, DRAWN, ENCODER, KEY, LIGHT, LIGHT_CALL, LIGHT_SCHEMA, OPENAI, PAINTER, SUM, TOOLS, comes_to, feature, holds, main,
    raises, same,
)

client = openai.OpenAI(base_url=OPENAI, api_key=KEY, max_retries=0)
STORY = "Once upon a time there was a"


def ask(**more):
    return client.chat.completions.create(**{"model": CHAT, "messages": SUM, "temperature": 0, **more})


def complete(prompt, **more):
    return client.completions.create(**{"model": CHAT, "prompt": prompt, "temperature": 0, "max_tokens": 12, **more})


@feature("models")
def models():
    ids = [model.id for model in client.models.list()]
    holds(CHAT in ids, ids)
    same(client.models.retrieve(CHAT).id, CHAT)


@feature("chat")
def chat():
    answer = ask()
    message, usage = answer.choices[0].message, answer.usage
    same((message.role, message.content, answer.choices[0].finish_reason), ("assistant", "7.", "stop"))
    same(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    holds(usage.prompt_tokens > 5 and usage.completion_tokens == 2, usage)


@feature("system and history")
def history():
    messages = [*SUM, {"role": "assistant", "content": "7."}, {"role": "user", "content": "And what is 8 + 8?"}]
    with_developer = [{"role": "developer", "content": "You answer."}, *messages]
    holds("16" in ask(messages=messages).choices[0].message.content, "the last question is not answered")
    holds("16" in ask(messages=with_developer).choices[0].message.content, "not behind a developer's message")


@feature("stream")
def stream():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    same(text, "7.")
    same(chunks[0].choices[0].delta.role, "assistant")
    same([chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1], "stop")
    same((chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 2))
    same({chunk.id for chunk in chunks}, {chunks[0].id})
    holds(all(chunk.usage is None for chunk in ask(stream=True)), "usage that nobody asked for")


@feature("stream helper")
def stream_helper():
    kinds = []
    with client.chat.completions.stream(model=CHAT, messages=SUM, temperature=0) as events:
        kinds.extend(event.type for event in events)
        same(events.get_final_completion().choices[0].message.content, "7.")
    holds("content.delta" in kinds and "content.done" in kinds, kinds)


@feature("async")
async def in_parallel():
    import asyncio

    async with openai.AsyncOpenAI(base_url=OPENAI, api_key=KEY, max_retries=0) as other:
        ask_one = lambda: other.chat.completions.create(model=CHAT, messages=SUM, temperature=0)
        answers = await asyncio.gather(*(ask_one() for _ in range(4)))
        same([answer.choices[0].message.content for answer in answers], ["7."] * 4)
        told = await other.chat.completions.create(model=CHAT, messages=SUM, temperature=0, stream=True)
        same("".join([chunk.choices[0].delta.content or "" async for chunk in told]), "7.")


@feature("tools")
def tools():
    answer = ask(messages=LIGHT, tools=TOOLS)
    message = answer.choices[0].message
    holds(message.tool_calls, message)
    call = message.tool_calls[0]
    same((call.function.name, json.loads(call.function.arguments)), ("set_light", LIGHT_CALL))
    same((answer.choices[0].finish_reason, message.content), ("tool_calls", None))
    result = {"role": "tool", "tool_call_id": call.id, "content": json.dumps({"result": "done"})}
    told = ask(messages=[*LIGHT, message, result], tools=TOOLS).choices[0].message
    holds(told.content and not told.tool_calls, told)
    refused = ask(messages=LIGHT, tools=TOOLS, tool_choice="none").choices[0].message
    holds(not refused.tool_calls, refused)


@feature("tools required")
def required():
    message = ask(tools=TOOLS, tool_choice="required").choices[0].message
    holds(message.tool_calls and message.tool_calls[0].function.name in ("set_light", "get_temperature"), message)
    named = {"type": "function", "function": {"name": "get_temperature"}}
    message = ask(messages=LIGHT, tools=TOOLS, tool_choice=named).choices[0].message
    same([call.function.name for call in message.tool_calls or []][:1], ["get_temperature"])
    holds(json.loads(message.tool_calls[0].function.arguments)["room"] in ("kitchen", "bedroom"), message)
    one = ask(messages=LIGHT, tools=TOOLS, tool_choice="required", parallel_tool_calls=False).choices[0].message
    same(len(one.tool_calls or []), 1)


@feature("tools streamed")
def tools_streamed():
    with client.chat.completions.stream(model=CHAT, messages=LIGHT, tools=TOOLS, temperature=0) as events:
        done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
        message = events.get_final_completion().choices[0].message
    same([(event.name, json.loads(event.arguments)) for event in done], [("set_light", LIGHT_CALL)])
    same(json.loads(message.tool_calls[0].function.arguments), LIGHT_CALL)


@feature("schema")
def schema():
    form = {"type": "json_schema", "json_schema": {"name": "light", "schema": LIGHT_SCHEMA, "strict": True}}
    for temperature in (0, 2):
        content = ask(messages=LIGHT, response_format=form, temperature=temperature, seed=1).choices[0].message.content
        found = json.loads(content)
        same(set(found), {"room", "state"})
        holds(found["room"] in ("kitchen", "bedroom") and found["state"] in ("on", "off"), found)
    chunks = ask(messages=LIGHT, response_format=form, stream=True)
    same(set(json.loads("".join(chunk.choices[0].delta.content or "" for chunk in chunks))), {"room", "state"})


@feature("schema parsed")
def parsed():
    class Pet(pydantic.BaseModel):
        is_small: bool
        legs: int = pydantic.Field(ge=0, le=9)

    answer = client.chat.completions.parse(model=CHAT, messages=SUM, response_format=Pet, max_tokens=600, temperature=1, seed=1)
    pet = answer.choices[0].message.parsed
    holds(isinstance(pet, Pet) and 0 <= pet.legs <= 9, answer)
    call = client.chat.completions.parse(
        model=CHAT, messages=SUM, tools=[openai.pydantic_function_tool(Pet)], tool_choice="required", temperature=0
    )
    holds(isinstance(call.choices[0].message.tool_calls[0].function.parsed_arguments, Pet), call)


@feature("json object")
def json_object():
    answer = ask(messages=LIGHT, response_format={"type": "json_object"}, max_tokens=300)
    holds(isinstance(json.loads(answer.choices[0].message.content), dict), answer)


@feature("embeddings")
def embeddings():
    answer = client.embeddings.create(model=ENCODER, input=["the cat sleeps .", "the dog"])
    same([one.index for one in answer.data], [0, 1])
    first, second = (one.embedding for one in answer.data)
    holds(len(first) == len(second) and first != second, (len(first), len(second)))
    for vector in (first, second):
        holds(abs(math.hypot(*vector) - 1) < 1e-4, math.hypot(*vector))
    written = client.embeddings.create(model=ENCODER, input="the cat sleeps .", encoding_format="float").data[0].embedding
    holds(max(abs(a - b) for a, b in zip(first, written)) < 1e-6, "floats and base64 are different vectors")
    short = client.embeddings.create(model=ENCODER, input="the cat", dimensions=8).data[0].embedding
    same(len(short), 8)
    tokens = client.embeddings.create(model=ENCODER, input=[[2, 4, 5, 3], [2, 4, 6, 3]])
    same(len(tokens.data), 2)
    return f"{len(first)} numbers"


@feature("logprobs")
def logprobs():
    answer = ask(logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    same(b"".join(bytes(token.bytes) for token in tokens).decode(), "7.")
    for token in tokens:
        others = [other.logprob for other in token.top_logprobs]
        same(len(others), 3)
        same(others, sorted(others, reverse=True))
        same(token.top_logprobs[0].token, token.token)
        holds(sum(map(math.exp, others)) < 1 + 1e-4 and token.logprob <= 0, others)
    chunks = list(ask(logprobs=True, top_logprobs=2, stream=True))
    told = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    same([token.token for token in told], [token.token for token in tokens])


@feature("n")
def several():
    answer = complete(STORY, n=3, temperature=1.5, max_tokens=30, seed=5)
    same([choice.index for choice in answer.choices], [0, 1, 2])
    same(len({choice.text for choice in answer.choices}), 3)
    same(answer.usage.completion_tokens <= 90, True)
    chunks = list(ask(n=2, stream=True))
    for index in (0, 1):
        pieces = [c.delta.content or "" for chunk in chunks for c in chunk.choices if c.index == index]
        same("".join(pieces), "7.")


@feature("seed")
def seed():
    texts = [complete(STORY, temperature=1.5, max_tokens=30, seed=seed).choices[0].text for seed in (7, 7, 8)]
    same(texts[0], texts[1])
    holds(texts[1] != texts[2], texts)


@feature("stop")
def stop():
    whole = complete(STORY, max_tokens=60).choices[0]
    word = whole.text.split()[3]
    answer = complete(STORY, max_tokens=60, stop=[word, "never"]).choices[0]
    same((answer.text, answer.finish_reason), (whole.text[: whole.text.index(word)], "stop"))
    chunks = complete(STORY, max_tokens=60, stop=word, stream=True)
    same("".join(chunk.choices[0].text for chunk in chunks), answer.text)


@feature("settings")
def settings():
    """Each field changes the answer."""
    usual = complete(STORY, max_tokens=40).choices[0].text
    same(complete(STORY, max_tokens=40).choices[0].text, usual)
    same(complete(STORY, max_tokens=5).choices[0].finish_reason, "length")
    hot = dict(temperature=1.5, max_tokens=40, seed=3)
    for more in ({"frequency_penalty": 2}, {"presence_penalty": 2}):
        holds(complete(STORY, max_tokens=40, **more).choices[0].text != usual, more)
    holds(complete(STORY, **hot).choices[0].text != usual, "temperature")
    same(complete(STORY, **{**hot, "top_p": 0.01}).choices[0].text, usual)
    same(complete(STORY, **hot, extra_body={"top_k": 1}).choices[0].text, usual)
    same(complete(STORY, **hot, extra_body={"min_p": 1.0}).choices[0].text, usual)
    first = ask(logprobs=True, top_logprobs=2).choices[0].message.content
    biased = ask(logit_bias={str(id): 30 for id in range(300, 340)}, max_completion_tokens=3).choices[0]
    holds(biased.message.content != first, biased)


@feature("completions")
def completions():
    answer = complete([STORY, "The cat"])
    same([choice.index for choice in answer.choices], [0, 1])
    alone = [complete(prompt).choices[0].text for prompt in (STORY, "The cat")]
    same([choice.text for choice in answer.choices], alone)
    same("".join(chunk.choices[0].text for chunk in complete(STORY, stream=True)), alone[0])


@feature("echo")
def echo():
    answer = complete(STORY, max_tokens=0, echo=True, logprobs=2)
    choice, told = answer.choices[0], answer.choices[0].logprobs
    same((choice.text, "".join(told.tokens)), (STORY, STORY))
    n = answer.usage.prompt_tokens
    same((len(told.tokens), len(told.token_logprobs), len(told.top_logprobs), len(told.text_offset)), (n, n, n, n))
    same((told.token_logprobs[0], told.top_logprobs[0], told.text_offset[0]), (None, None, 0))
    for token, offset in zip(told.tokens, told.text_offset):
        same(STORY[offset : offset + len(token)], token)
    holds(all(number <= 0 for number in told.token_logprobs[1:]), told.token_logprobs)
    longer = complete(STORY, max_tokens=3, echo=True, logprobs=1).choices[0]
    same(len(longer.logprobs.tokens), n + 3)
    for one, other in zip(longer.logprobs.token_logprobs[1:n], told.token_logprobs[1:]):
        holds(abs(one - other) < 1e-3, (one, other))


@feature("token ids")
def token_ids():
    ids = [300, 301, 302]
    answer = complete(ids, echo=True, logprobs=1, max_tokens=4)
    same(answer.usage.prompt_tokens, 3)
    lists = complete([ids, ids[:2]], echo=True, max_tokens=4)
    same(lists.choices[0].text, answer.choices[0].text)
    same(lists.usage.prompt_tokens, 5)
    error = raises(openai.BadRequestError, lambda: complete([1 << 30]))
    holds("1073741824" in str(error), error)


def png(encoded):
    """A PNG's bytes and sides."""
    data = base64.b64decode(encoded)
    same(data[:4], b"\x89PNG")
    return data, struct.unpack(">II", data[16:24])


@feature("images")
def images():
    body = {"model": PAINTER, "prompt": "a red cat", "size": "48x32", "extra_body": {"seed": 7, "steps": 3}}
    answer = client.images.generate(n=2, **body)
    first, second = (png(one.b64_json) for one in answer.data)
    same((first[1], second[1], first == second), ((48, 32), (48, 32), False))
    same(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)
    again = client.images.generate(response_format="url", **body)
    same(again.data[0].url, "data:image/png;base64," + answer.data[0].b64_json)


@feature("images streamed")
def images_streamed():
    body = {"model": PAINTER, "prompt": "a red cat", "size": "48x32", "extra_body": {"seed": 7, "steps": 4}}
    events = list(client.images.generate(stream=True, partial_images=2, **body))
    same([event.type.rsplit(".", 1)[1] for event in events], ["partial_image", "partial_image", "completed"])
    same([event.partial_image_index for event in events[:2]], [0, 1])
    same(events[-1].b64_json, client.images.generate(**body).data[0].b64_json)
    holds(events[-1].usage.output_tokens > 0 and png(events[0].b64_json)[1] == (24, 16), events[0])


@feature("images edited")
def images_edited():
    photo, white = (DRAWN / name for name in ("photo.png", "mask.png"))
    body = {"model": PAINTER, "prompt": "a red cat", "size": "40x24", "extra_body": {"seed": 7, "steps": 4}}
    whole = client.images.edit(image=photo.open("rb"), **body)
    same(png(whole.data[0].b64_json)[1], (40, 24))
    clear = io.BytesIO()
    mask = Image.open(white).convert("L")
    picture = Image.new("RGBA", mask.size)
    picture.putalpha(ImageOps.invert(mask))
    picture.save(clear, "PNG")
    part = client.images.edit(image=photo.open("rb"), mask=("mask.png", clear.getvalue()), **body)
    old, new = Image.open(photo).convert("RGB"), Image.open(io.BytesIO(png(part.data[0].b64_json)[0]))
    holds(part.data[0].b64_json != whole.data[0].b64_json and new.size == old.size, new.size)
    events = list(client.images.edit(image=photo.open("rb"), stream=True, partial_images=1, **body))
    same([event.type for event in events], ["image_edit.partial_image", "image_edit.completed"])
    error = raises(openai.BadRequestError, lambda: client.images.edit(image=("a.png", b"GIF89a"), **body))
    same(error.param, "image")


@feature("errors")
def errors():
    error = raises(openai.NotFoundError, lambda: ask(model="nobody"))
    same((error.status_code, error.code), (404, "model_not_found"))
    holds("nobody" in error.message, error.message)
    error = raises(openai.BadRequestError, lambda: ask(temperature=-1))
    same((error.param, error.type), ("temperature", "invalid_request_error"))
    error = raises(openai.BadRequestError, lambda: ask(messages=[{"role": "user", "content": "far " * 3000}]))
    holds("too many" in error.message and error.code == "prompt_too_long", error.message)
    error = raises(openai.BadRequestError, lambda: list(ask(messages=[], stream=True)))
    same(error.param, "messages")
    error = raises(openai.BadRequestError, lambda: client.images.generate(prompt="a house", model=CHAT))
    same((error.status_code, error.code), (400, "wrong_task"))
    error = raises(openai.BadRequestError, lambda: client.images.generate(prompt="a house", model=PAINTER, style="vivid"))
    same(error.param, "style")
    error = raises(openai.InternalServerError, lambda: client.audio.speech.create(input="a", model="b", voice="c"))
    same(error.status_code, 501)
    picture = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    error = raises(openai.InternalServerError, lambda: ask(messages=[{"role": "user", "content": picture}]))
    same(error.status_code, 501)


@feature("headers")
def headers():
    raw = client.chat.completions.with_raw_response.create(model=CHAT, messages=SUM, temperature=0)
    same(raw.parse().choices[0].message.content, "7.")
    holds(raw.headers["x-request-id"].startswith("req_") and raw.headers["content-type"] == "application/json", raw.headers)
    own = ask(extra_headers={"x-request-id": "my-own.name_1"})
    same(own._request_id, "my-own.name_1")
    error = raises(openai.NotFoundError, lambda: ask(model="nobody"))
    holds(error.request_id, error.response.headers)
    with client.chat.completions.with_streaming_response.create(model=CHAT, messages=SUM, stream=True) as told:
        same(told.headers["content-type"].split(";")[0], "text/event-stream")
        same([line for line in told.iter_lines() if line][-1], "data: [DONE]")


@feature("abort")
def abort():
    told = complete(STORY, max_tokens=480, stream=True, temperature=1.5, logit_bias={str(id): -100 for id in range(3)})
    next(iter(told))
    told.close()
    comes_to("hearth_answers_running", 0)
    same(ask().choices[0].message.content, "7.")


main("openai (Python)", "openai")
