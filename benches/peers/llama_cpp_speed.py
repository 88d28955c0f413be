"""llama.cpp's side of `cargo xtask bench --peer llama.cpp`: tokens a second of a prompt and of answers, one and several
at once, and the most memory that was taken.

Through the low-level functions of the package, so that Python's share of a step is small; prompts are random tokens, and
the next token is the likeliest one.
"""

import ctypes
import random
import time

import llama_cpp
import measuring
import numpy

PROMPT, SHORT_PROMPT, START_PROMPT, ANSWER, CONTEXT = 512, 32, 16, 64, 4096


class Program:
    def __init__(self, path, threads, n_users, n_tokens=128):
        llama_cpp.llama_backend_init()
        self.quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self.quiet, ctypes.c_void_p(0))
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        assert self.model, "llama.cpp does not load the model"
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = max(1024, n_tokens * n_users)
        params.n_batch = params.n_ubatch = 512
        params.n_seq_max = n_users
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        assert self.context, "llama.cpp makes no context"
        vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocabulary = llama_cpp.llama_vocab_n_tokens(vocabulary)
        self.batch = llama_cpp.llama_batch_init(max(512, n_users * SHORT_PROMPT), 0, 1)

    def forget(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def decode(self, rows):
        """Computes rows of (token, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for index, (token, position, sequence, is_wanted) in enumerate(rows):
            batch.token[index] = token
            batch.pos[index] = position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
            batch.logits[index] = is_wanted
        assert llama_cpp.llama_decode(self.context, batch) == 0, "llama.cpp does not decode"

    def likeliest(self, row):
        logits = llama_cpp.llama_get_logits_ith(self.context, row)
        return int(numpy.ctypeslib.as_array(logits, shape=(self.n_vocabulary,)).argmax())

    def prompt(self, n_tokens, sequence=0):
        tokens = [random.randrange(self.n_vocabulary) for _ in range(n_tokens)]
        return [(token, place, sequence, place == n_tokens - 1) for place, token in enumerate(tokens)]

    def first(self, n_prompt):
        """Seconds until the first token behind a prompt."""
        self.forget()
        rows = self.prompt(n_prompt)
        begun = time.perf_counter()
        self.decode(rows)
        self.likeliest(n_prompt - 1)
        return time.perf_counter() - begun

    def fill(self):
        """Seconds to fill the context with a prompt, in pieces of as many tokens as are computed at once."""
        self.forget()
        rows = self.prompt(CONTEXT)
        begun = time.perf_counter()
        for start in range(0, CONTEXT, PROMPT):
            self.decode(rows[start:start + PROMPT])
        return time.perf_counter() - begun

    def answers(self, n_users):
        """Tokens a second of several answers together, behind their prompts."""
        self.forget()
        rows = [row for user in range(n_users) for row in self.prompt(SHORT_PROMPT, user)]
        self.decode(rows)
        last = [self.likeliest((user + 1) * SHORT_PROMPT - 1) for user in range(n_users)]
        begun = time.perf_counter()
        for step in range(ANSWER):
            self.decode([(last[user], SHORT_PROMPT + step, user, True) for user in range(n_users)])
            last = [self.likeliest(user) for user in range(n_users)]
        return n_users * ANSWER / (time.perf_counter() - begun)


def main():
    begun = time.perf_counter()
    options = measuring.options(["model", "what"])
    random.seed(options.seed)
    wanted = options.what.split(",")
    n_users = max([int(what) for what in wanted if what.isdigit()], default=1)
    n_tokens = CONTEXT if "filled" in wanted else 128
    program = Program(options.model, options.threads, n_users, n_tokens)
    figures = {}
    for what in wanted:
        if what == "start":
            program.first(START_PROMPT)
            figures["start_ms"] = 1e3 * (time.perf_counter() - begun)
        elif what == "filled":
            figures["filled_seconds"] = program.fill()
        elif what == "prompt":
            program.first(SHORT_PROMPT)
            seconds = measuring.median([program.first(PROMPT) for _ in range(options.steps or 3)])
            figures["prompt_tokens_per_second"] = PROMPT / seconds
        else:
            users = 1 if what == "alone" else int(what)
            figures[f"tokens_per_second_{users}"] = program.answers(users)
    figures["memory_mb"] = measuring.peak_memory_mb()
    system = llama_cpp.llama_print_system_info().decode()
    names = [part.split("=")[0].strip() for part in system.split("|") if part.strip().endswith("= 1")]
    measuring.finish({"program": f"llama.cpp ({llama_cpp.__version__})", "has": " ".join(names)}, figures)


if __name__ == "__main__":
    main()
