"""What llama.cpp answers to prompts given as ids: the likeliest token each time.

Reads JSON from stdin, {"model": path, "n_tokens": how many, "prompts": [[id, ...], ...]}, and prints a JSON list of lists
of ids. Nothing is added to a prompt and nothing ends an answer early.
"""

import json
import sys

import numpy
from llama_cpp import Llama


def answer(model, prompt, n_tokens):
    model.reset()
    model.eval(prompt)
    tokens = []
    for _ in range(n_tokens):
        scores = numpy.asarray(model.scores[model.n_tokens - 1])
        tokens.append(int(scores.argmax()))
        if len(tokens) < n_tokens:
            model.eval(tokens[-1:])
    return tokens


wanted = json.load(sys.stdin)
longest = max(len(prompt) for prompt in wanted["prompts"]) + wanted["n_tokens"]
model = Llama(wanted["model"], n_ctx=longest + 8, n_threads=2, n_threads_batch=2, logits_all=True, verbose=False)
print(json.dumps([answer(model, prompt, wanted["n_tokens"]) for prompt in wanted["prompts"]]))
