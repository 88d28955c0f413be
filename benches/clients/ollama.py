"""Ollama's Python client against a running server: chat, generate, streams, structure, tools, thinking, vectors, models."""

import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

import json

import ollama
from cells import BASE, CHAT, ENCODER, KEY, LIGHT, LIGHT_CALL, LIGHT_SCHEMA, SUM, TOOLS, feature, holds, main, raises, same

client = ollama.Client(host=BASE, headers={"Authorization": f"Bearer {KEY}"}, timeout=120)
GREEDY = {"temperature": 0, "num_predict": 60}
BEGIN = "Once upon a time"
FULL = f"{CHAT}:latest"


def chat(**more):
    return client.chat(**{"model": CHAT, "messages": SUM, "options": GREEDY, **more})


def raw(options=None, **more):
    return client.generate(**{"model": CHAT, "prompt": BEGIN, "raw": True, "options": {**GREEDY, "num_predict": 12, **(options or {})}, **more})


@feature("chat")
def chat_whole():
    told = chat()
    same((told.message.role, told.message.content, told.done, told.done_reason), ("assistant", "7.", True, "stop"))
    holds(told.total_duration > 0 and told.prompt_eval_count > 3 and told.eval_count == 2 and told.created_at, told)


@feature("chat stream")
def chat_stream():
    pieces = list(chat(stream=True))
    same("".join(piece.message.content for piece in pieces), "7.")
    holds(pieces[-1].done and not any(piece.done for piece in pieces[:-1]), pieces)
    return f"{len(pieces)} pieces"


@feature("generate")
def generate():
    told = raw()
    holds(told.response and told.done_reason == "length" and told.eval_count == 12, told)
    pieces = list(raw(stream=True))
    same("".join(piece.response for piece in pieces), told.response)
    same(client.generate(CHAT, SUM[0]["content"], options=GREEDY).response, "7.")


@feature("options")
def options():
    def text(**more):
        return raw(more).response

    usual = text()
    holds(text(temperature=2.0, top_k=0, seed=1) != text(temperature=2.0, top_k=0, seed=2), "the seed changes nothing")
    same(text(temperature=2.0, top_k=1, seed=3), usual)
    holds(text(repeat_penalty=50.0, num_predict=100) != text(num_predict=100), "the penalty changes nothing")
    same(raw({"num_ctx": raw().prompt_eval_count + 3}).eval_count, 3)
    spread = dict(temperature=2.0, top_k=0, seed=1)
    holds(text(**spread, mirostat=2, mirostat_tau=0.1) != text(**spread), "mirostat changes nothing")
    error = raises(ollama.ResponseError, lambda: raw({"mirostat": 3}))
    holds(error.status_code == 400 and "mirostat" in error.error, error.error)


@feature("probabilities")
def logprobs():
    told = raw(logprobs=True, top_logprobs=3)
    same([len(token.top_logprobs) for token in told.logprobs], [3] * 12)
    holds(all(token.logprob <= 0 for token in told.logprobs), told.logprobs)


@feature("json")
def json_format():
    told = chat(format="json", options={"temperature": 0, "num_predict": 300})
    holds(isinstance(json.loads(told.message.content), dict), told.message.content)


@feature("json schema")
def json_schema():
    told = chat(messages=LIGHT, format=LIGHT_SCHEMA, options={"temperature": 0, "num_predict": 300})
    read = json.loads(told.message.content)
    same(set(read), {"room", "state"})
    return told.message.content


@feature("tools")
def tools():
    told = chat(messages=LIGHT, tools=TOOLS)
    holds(told.message.tool_calls, told.message)
    call = told.message.tool_calls[0].function
    same((call.name, call.arguments), ("set_light", LIGHT_CALL))
    result = {"role": "tool", "tool_name": "set_light", "content": '{"ok": true}'}
    said = chat(messages=[*LIGHT, told.message, result], tools=TOOLS)
    holds(said.message.content, said.message)
    return said.message.content


@feature("tools stream")
def tools_stream():
    calls = [call for piece in chat(messages=LIGHT, tools=TOOLS, stream=True) for call in piece.message.tool_calls or []]
    same([(call.function.name, call.function.arguments) for call in calls], [("set_light", LIGHT_CALL)])


@feature("thinking")
def think():
    abilities = client.show(CHAT).capabilities
    if "thinking" in abilities:
        return repr(chat(think=True).message.thinking)
    error = raises(ollama.ResponseError, lambda: chat(think=True))
    holds(error.status_code == 400 and "thinking" in error.error, error.error)
    same(chat(think=False).message.content, "7.")
    return "refused for a model that does not think"


@feature("keep_alive and ps")
def keep_alive():
    same(client.generate(CHAT, keep_alive="10m").done_reason, "load")
    model = next(model for model in client.ps().models if model.model == FULL)
    holds(model.expires_at and model.size > 0 and model.context_length > 0, model)
    same(client.generate(CHAT, keep_alive=0).done_reason, "unload")
    holds(FULL not in [model.model for model in client.ps().models], client.ps())


@feature("embed")
def embed():
    told = client.embed(ENCODER, input=["the cat", "the dog"])
    holds(len(told.embeddings) == 2 and told.embeddings[0] != told.embeddings[1], told)
    same(client.embed(ENCODER, input="the cat", dimensions=3).embeddings[0].__len__(), 3)
    older = client.embeddings(ENCODER, "the cat").embedding
    same(list(older), list(told.embeddings[0]))
    error = raises(ollama.ResponseError, lambda: client.embed(CHAT, input="a text"))
    same(error.status_code, 400)


@feature("list and show")
def models():
    model = next(model for model in client.list().models if model.model == FULL)
    holds(model.size > 0 and model.details.format == "gguf" and model.details.quantization_level, model)
    told = client.show(CHAT)
    holds(told.template and told.modelfile and "completion" in told.capabilities, told.capabilities)
    same(told.modelinfo["general.architecture"], told.details.family)
    return f"{model.details.parameter_size}, {model.details.quantization_level}"


@feature("copy and delete")
def copy():
    same(client.copy(CHAT, "client:copy").status, "success")
    holds("client:copy" in [model.model for model in client.list().models], client.list())
    same(client.delete("client:copy").status, "success")
    same(raises(ollama.ResponseError, lambda: client.delete("client:copy")).status_code, 404)


@feature("create")
def create():
    statuses = list(client.create("client:made", from_=CHAT, system="Be brief.", parameters={"num_predict": 3}, stream=True))
    same(statuses[-1].status, "success")
    holds(client.generate("client:made", BEGIN, raw=True).eval_count <= 3, "its parameters have no effect")
    client.delete("client:made")


@feature("blobs")
def blobs():
    weights = pathlib.Path(__file__).resolve().parents[2] / "assets" / "starter.gguf"
    digest = client.create_blob(weights)
    same(client.create("client:blob", files={"model.gguf": digest}, stream=False).status, "success")
    same(raw(model="client:blob").response, raw().response)
    client.delete("client:blob")
    digest = client.create_blob(__file__)
    wrong = raises(ollama.ResponseError, lambda: client.create("client:no", files={"model.gguf": digest}, stream=False))
    holds(400 <= wrong.status_code, wrong.error)
    return wrong.error


@feature("errors")
def errors():
    error = raises(ollama.ResponseError, lambda: chat(model="no-such-model"))
    same(error.status_code, 404)
    error = raises(ollama.ResponseError, lambda: list(chat(model="no-such-model", stream=True)))
    same(error.status_code, 404)
    return error.error


main("ollama (Python)", "ollama")
