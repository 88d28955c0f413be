"""LangChain's OpenAI package against a running server."""

import math
import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

import langchain_openai
import openai
import pydantic
from cells import CHAT, ENCODER, KEY, LIGHT_CALL, OPENAI, TOOLS, feature, holds, main, raises, same
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

WHERE = {"base_url": OPENAI, "api_key": KEY, "max_retries": 0}
SUM, LIGHT = "What is 3 + 4?", "Turn on the light in the kitchen."
chat_model = langchain_openai.ChatOpenAI(model=CHAT, temperature=0, **WHERE)


class Pet(pydantic.BaseModel):
    """A pet."""

    is_small: bool
    legs: int = pydantic.Field(ge=0, le=9)


@feature("chat")
def chat():
    answer = chat_model.invoke(SUM)
    same((answer.content, answer.usage_metadata["output_tokens"]), ("7.", 2))
    same([answer.content for answer in chat_model.batch([SUM, SUM])], ["7.", "7."])


@feature("system and history")
def history():
    said = [SystemMessage("You answer."), HumanMessage(SUM), AIMessage("7."), HumanMessage("And what is 8 + 8?")]
    holds("16" in chat_model.invoke(said).content, "the last question is not answered")


@feature("stream")
def stream():
    chunks = list(chat_model.stream(SUM, stream_usage=True))
    same("".join(chunk.content for chunk in chunks), "7.")
    holds(any(chunk.usage_metadata for chunk in chunks), chunks)


@feature("async")
async def in_parallel():
    same((await chat_model.ainvoke(SUM)).content, "7.")
    same("".join([chunk.content async for chunk in chat_model.astream(SUM)]), "7.")


@feature("tools")
def tools():
    bound = chat_model.bind_tools(TOOLS)
    answer = bound.invoke(LIGHT)
    holds(answer.tool_calls, answer)
    call = answer.tool_calls[0]
    same((call["name"], call["args"]), ("set_light", LIGHT_CALL))
    told = bound.invoke([HumanMessage(LIGHT), answer, ToolMessage('{"result": "done"}', tool_call_id=call["id"])])
    holds(told.content, told)


@feature("tools required")
def required():
    answer = chat_model.bind_tools(TOOLS, tool_choice="required").invoke(SUM)
    holds(answer.tool_calls and answer.tool_calls[0]["name"] in ("set_light", "get_temperature"), answer)
    answer = chat_model.bind_tools(TOOLS, tool_choice="get_temperature").invoke(LIGHT)
    same([call["name"] for call in answer.tool_calls][:1], ["get_temperature"])


@feature("tools streamed")
def tools_streamed():
    whole = None
    for chunk in chat_model.bind_tools(TOOLS).stream(LIGHT):
        whole = chunk if whole is None else whole + chunk
    same([(call["name"], call["args"]) for call in whole.tool_calls], [("set_light", LIGHT_CALL)])


@feature("schema")
def schema():
    hot = langchain_openai.ChatOpenAI(model=CHAT, temperature=1.5, seed=1, max_tokens=200, **WHERE)
    for method in ("json_schema", "function_calling"):
        pet = hot.with_structured_output(Pet, method=method).invoke(SUM)
        holds(isinstance(pet, Pet) and 0 <= pet.legs <= 9, (method, pet))


@feature("json object")
def json_object():
    found = chat_model.with_structured_output(None, method="json_mode").invoke(LIGHT)
    holds(isinstance(found, dict), found)


@feature("embeddings")
def embeddings():
    # Without the setting it counts tokens with OpenAI's vocabulary, which it would fetch.
    encoder = langchain_openai.OpenAIEmbeddings(model=ENCODER, check_embedding_ctx_length=False, **WHERE)
    first, second = encoder.embed_documents(["the cat", "the dog"])
    holds(first != second and abs(math.hypot(*first) - 1) < 1e-4, math.hypot(*first))
    same(encoder.embed_query("the cat"), first)


@feature("logprobs")
def logprobs():
    answer = chat_model.bind(logprobs=True, top_logprobs=2).invoke(SUM)
    same("".join(token["token"] for token in answer.response_metadata["logprobs"]["content"]), "7.")


@feature("completions")
def completions():
    model = langchain_openai.OpenAI(model=CHAT, temperature=0, max_tokens=8, **WHERE)
    whole = model.invoke("Once upon a time there was a")
    holds(whole.strip(), whole)
    same("".join(model.stream("Once upon a time there was a")), whole)


@feature("errors")
def errors():
    wrong = langchain_openai.ChatOpenAI(model="nobody", **WHERE)
    same(raises(openai.NotFoundError, lambda: wrong.invoke(SUM)).code, "model_not_found")


main("langchain-openai", "langchain-openai")
