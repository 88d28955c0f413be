"""Sixty-four clients in a closed loop against a server, for `cargo xtask bench --peer llama.cpp --case serve`: `hearth`,
llama.cpp's `server`, or without any server its `batched` decode.

Each client sends a prompt of 128 tokens, reads 64 tokens as they come, and begins again with another prompt. Counted is
what comes within the time behind a warm-up. The server is a process of its own, and its memory is its own; the clients
are one thread on plain sockets. Any answer that is not whole fails the run.
"""

import asyncio
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time

import measuring

USERS, PROMPT, ANSWER = 64, 128, 64
SECONDS = 300
# The first answers come while caches fill; a tenth of the time, and no less than one answer of each client.
WARM_SHARE = 0.1
START_S = 120
TEXTS = pathlib.Path(__file__).parents[1] / "lm-eval/data/stories.jsonl"


def prompts(path, n):
    """Texts of so many tokens each, no two alike, of words that the vocabulary has learned."""
    import llama_cpp

    vocabulary = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    words = [word for line in TEXTS.open(encoding="utf-8") for word in json.loads(line)["text"].split()]
    count = lambda text: len(vocabulary.tokenize(text.encode(), add_bos=False, special=False))
    found = []
    while len(found) < n:
        text = random.choice(words)
        while count(text) < PROMPT:
            text += " " + random.choice(words)
        if count(text) == PROMPT:
            found.append(text)
    return found


class Client:
    """Asks one server, and remembers when what came."""

    def __init__(self, address, model, texts):
        self.address, self.model, self.texts = address, model, texts
        self.firsts, self.betweens, self.n_tokens, self.n_answers, self.problems = [], [], 0.0, 0, []
        self.counts_from = self.ends = None

    async def keep_asking(self):
        while time.perf_counter() < self.ends:
            try:
                await self.ask()
            # Whatever goes wrong is what is being looked for.
            except Exception as error:  # noqa: BLE001
                self.problems.append(f"{type(error).__name__}: {error}"[:300])
                await asyncio.sleep(0.1)

    async def ask(self):
        body = {
            "model": self.model, "prompt": random.choice(self.texts), "max_tokens": ANSWER, "temperature": 0,
            "stream": True, "logit_bias": {"0": -100, "1": -100, "2": -100},
        }
        body = json.dumps(body).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {self.address[0]}:{self.address[1]}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        begun = time.perf_counter()
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(head.encode() + body)
            status = await reader.readline()
            assert b" 200 " in status, status + await reader.read()
            times, end = [], None
            async for line in reader:
                if not line.startswith(b"data: {"):
                    continue
                chunk, now = json.loads(line[6:]), time.perf_counter()
                choice = chunk["choices"][0]
                if choice["text"]:
                    times.append(now)
                end = choice["finish_reason"] or end
            assert end == "length" and times, f"it ended with {end}"
            self.count(begun, times)
        finally:
            writer.close()

    def count(self, begun, times):
        """Counts of an answer what came within the time; a piece of text is now and then of several tokens."""
        counts = [self.counts_from <= at <= self.ends for at in times]
        self.n_tokens += ANSWER * sum(counts) / len(times)
        self.n_answers += counts[-1]
        if counts[0]:
            self.firsts.append(times[0] - begun)
        self.betweens += [now - last for last, now, is_in in zip(times, times[1:], counts[1:]) if is_in]


def quantile(values, share):
    """The value below which so many lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def load(address, model, texts, seconds, process):
    """The figures of so many seconds."""
    clients = [Client(address, model, texts) for _ in range(USERS)]
    begun = time.perf_counter()
    for client in clients:
        client.counts_from = begun + WARM_SHARE * seconds
        client.ends = client.counts_from + seconds
    asking = [asyncio.create_task(client.keep_asking()) for client in clients]
    await asyncio.sleep(WARM_SHARE * seconds)
    at_start = measuring.memory_mb("VmRSS", process)
    await asyncio.sleep(seconds)
    at_end = measuring.memory_mb("VmRSS", process)
    await asyncio.wait(asking, timeout=120)
    for task in asking:
        task.cancel()
    problems = [problem for client in clients for problem in client.problems]
    assert not problems, f"{len(problems)} answers were not whole, the first: {problems[0]}"
    firsts = [first for client in clients for first in client.firsts]
    betweens = [between for client in clients for between in client.betweens]
    counts = [client.n_answers for client in clients]
    assert firsts and betweens, "no answer began within the time"
    return {
        "tokens_per_second": sum(client.n_tokens for client in clients) / seconds,
        "first_p50_ms": 1e3 * quantile(firsts, 0.5),
        "first_p95_ms": 1e3 * quantile(firsts, 0.95),
        "between_p50_ms": 1e3 * quantile(betweens, 0.5),
        "between_p99_ms": 1e3 * quantile(betweens, 0.99),
        "answers": sum(counts),
        "answers_of_the_least_served": min(counts),
        "answers_of_the_most_served": max(counts),
        "memory_start_mb": at_start,
        "memory_end_mb": at_end,
        "memory_mb": measuring.memory_mb("VmHWM", process),
    }


def listens(address, process):
    """Waits until the server takes connections."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended"
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(address) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the server does not listen")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(options, home):
    """Starts the server that is wanted; its process, its address and the model's name there."""
    port = free_port()
    environment = {**os.environ, "HEARTH_HOME": home, "HEARTH_THREADS": str(options.threads)}
    if options.what == "hearth":
        words = [options.hearth, "import", options.model, "--name", "measured"]
        subprocess.run(words, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        words = [options.hearth, "serve", "--port", str(port)]
    else:
        words = [
            sys.executable, "-m", "llama_cpp.server", "--model", options.model, "--model_alias", "measured",
            "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "512", "--verbose", "False",
            "--n_threads", str(options.threads), "--n_threads_batch", str(options.threads),
            # Else every request would end the one before it.
            "--interrupt_requests", "False",
        ]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, ("127.0.0.1", port), "measured"


def batched(options, seconds):
    """Tokens a second of all prompts and then all answers in lock-step, over and over."""
    import llama_cpp_speed

    program = llama_cpp_speed.Program(options.model, options.threads, USERS, PROMPT + ANSWER)
    n_tokens, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        program.forget()
        last = []
        for user in range(USERS):
            program.decode(program.prompt(PROMPT, user))
            last.append(program.likeliest(PROMPT - 1))
        for step in range(ANSWER - 1):
            program.decode([(last[user], PROMPT + step, user, True) for user in range(USERS)])
            last = [program.likeliest(user) for user in range(USERS)]
        n_tokens += USERS * ANSWER
    figures = {"tokens_per_second": n_tokens / (time.perf_counter() - begun)}
    return {**figures, "memory_mb": measuring.peak_memory_mb()}


def main():
    options = measuring.options(["model", "what"])
    random.seed(options.seed)
    seconds = options.steps or SECONDS
    if options.what == "batched":
        measuring.finish({"users": USERS}, batched(options, seconds))
        return
    with tempfile.TemporaryDirectory() as home:
        process, address, model = serve(options, home)
        try:
            listens(address, process)
            texts = prompts(options.model, 4 * USERS)
            figures = asyncio.run(load(address, model, texts, seconds, process.pid))
        finally:
            process.terminate()
            process.wait(60)
    measuring.finish({"users": USERS, "seconds": seconds}, figures)


if __name__ == "__main__":
    main()
