"""LiteLLM against a running server, as a provider of OpenAI's dialect."""

import asyncio
import json
import os
import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")
# It would ask the network for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
import pydantic
from cells import CHAT, ENCODER, KEY, LIGHT, LIGHT_CALL, OPENAI, SUM, TOOLS, feature, holds, main, raises, same

litellm.telemetry = False
litellm.suppress_debug_info = True
WHERE = {"api_base": OPENAI, "api_key": KEY, "max_retries": 0}


def ask(**more):
    return litellm.completion(**{"model": f"openai/{CHAT}", "messages": SUM, "temperature": 0, **WHERE, **more})


@feature("chat")
def chat():
    answer = ask()
    same((answer.choices[0].message.content, answer.choices[0].finish_reason), ("7.", "stop"))
    same(answer.usage.completion_tokens, 2)


@feature("stream")
def stream():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), "7.")
    same(litellm.stream_chunk_builder(chunks).choices[0].message.content, "7.")


@feature("async")
async def in_parallel():
    ask_one = lambda: litellm.acompletion(model=f"openai/{CHAT}", messages=SUM, temperature=0, **WHERE)
    answers = await asyncio.gather(*(ask_one() for _ in range(3)))
    same([answer.choices[0].message.content for answer in answers], ["7."] * 3)


@feature("tools")
def tools():
    call = ask(messages=LIGHT, tools=TOOLS).choices[0].message.tool_calls[0].function
    same((call.name, json.loads(call.arguments)), ("set_light", LIGHT_CALL))


@feature("tools required")
def required():
    message = ask(tools=TOOLS, tool_choice="required").choices[0].message
    holds(message.tool_calls[0].function.name in ("set_light", "get_temperature"), message)


@feature("schema")
def schema():
    class Pet(pydantic.BaseModel):
        is_small: bool
        legs: int = pydantic.Field(ge=0, le=9)

    answer = ask(response_format=Pet, max_tokens=60, temperature=1.5)
    holds(0 <= Pet.model_validate_json(answer.choices[0].message.content).legs <= 9, answer)


@feature("embeddings")
def embeddings():
    answer = litellm.embedding(model=f"openai/{ENCODER}", input=["the cat", "the dog"], **WHERE)
    holds(len(answer.data) == 2 and answer.data[0]["embedding"] != answer.data[1]["embedding"], answer)


@feature("completions")
def completions():
    answer = litellm.text_completion(
        model=f"text-completion-openai/{CHAT}", prompt="Once upon a time there", max_tokens=8, temperature=0, **WHERE
    )
    holds(answer.choices[0].text.strip(), answer)


@feature("logprobs")
def logprobs():
    tokens = ask(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    same("".join(token.token for token in tokens), "7.")


@feature("errors")
def errors():
    holds("nobody" in str(raises(litellm.NotFoundError, lambda: ask(model="openai/nobody"))), "the name is not told")
    raises(litellm.BadRequestError, lambda: ask(temperature=-1))


main("litellm", "litellm")
