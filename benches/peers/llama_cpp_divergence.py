"""How far llama.cpp's next tokens with one file lie from those with another, over a text: what `hearth quantize --text` says of
Hearth.

    python llama_cpp_divergence.py MASTER.gguf OTHER.gguf TEXT [TOKENS]

Prints JSON: the tokens, the mean Kullback-Leibler divergence in nats, and the share of tokens after which both hold the same
one for the likeliest. Windows of 256 tokens begin anew, as Hearth's do; the first so many tokens count.
"""

import json
import sys

import numpy
from llama_cpp import Llama

WINDOW = 256


def open_model(path):
    return Llama(path, n_ctx=WINDOW, n_batch=WINDOW, n_ubatch=WINDOW, n_threads=2, n_threads_batch=2, logits_all=True, verbose=False)


def log_probabilities(model, tokens):
    model.reset()
    model.eval(tokens)
    scores = numpy.asarray(model.scores[: len(tokens)], dtype=numpy.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - numpy.log(numpy.exp(scores).sum(axis=1, keepdims=True))


master, other = open_model(sys.argv[1]), open_model(sys.argv[2])
n_tokens = int(sys.argv[4]) if len(sys.argv) > 4 else 10240
tokens = master.tokenize(open(sys.argv[3], "rb").read(), add_bos=False, special=False)[:n_tokens]
divergence = n_same = 0
for start in range(0, len(tokens), WINDOW):
    part = tokens[start : start + WINDOW]
    old, new = log_probabilities(master, part), log_probabilities(other, part)
    divergence += (numpy.exp(old) * (old - new)).sum()
    n_same += int((old.argmax(axis=1) == new.argmax(axis=1)).sum())
print(json.dumps({"tokens": len(tokens), "divergence": divergence / len(tokens), "same": n_same / len(tokens)}))
