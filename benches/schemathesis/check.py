"""schemathesis over `/openapi.json` of a running server: requests that fit its description and requests that do not.

Started as `check.py BASE KEY`. Prints a line of JSON for each promise, as the scripts of `benches/clients` do: no status
from 500 on but where the description lists 501, answers that match the description, and wrong data refused. What
was sent and answered stands in what schemathesis prints, which goes to stderr.
"""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BASE, KEY = sys.argv[1].rstrip("/"), sys.argv[2]
CHECKS = [
    "only_documented_errors",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]
# Which promise a failure breaks, by its class; every other one is an answer that does not match.
PROMISES = {"CustomFailure": "no server error", "AcceptedNegativeData": "wrong data refused"}
MATCH = "answers match"
# These ask other machines, which are not to be asked for what a machine makes up.
OUTSIDE = "^/api/(pull|push)$"
# Routes of which some requests have to have been right, or the run tells nothing.
REACHED = [
    "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/images/generations",
    "POST /sdapi/v1/txt2img",
]


def report(folder):
    """What schemathesis found."""
    path = pathlib.Path(folder, "report.json")
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(pathlib.Path(__file__).parent)}
    words = [
        pathlib.Path(sys.executable).with_name("schemathesis"), "run", BASE + "/openapi.json", "--seed", "1",
        "--phases", "coverage,fuzzing", "--max-examples", "30", "--exclude-path-regex", OUTSIDE, "--checks", ",".join(CHECKS), "--no-shrink",
        "--continue-on-failure", "--request-timeout", "60", "--header", f"Authorization: Bearer {KEY}",
        "--report", "json", "--report-json-path", path, "--output-sanitize", "false",
    ]
    subprocess.run(words, cwd=folder, env=environment, stdout=sys.stderr, check=False)
    return json.loads(path.read_text(encoding="utf-8"))


def unreached(rates):
    """Routes that no right request came through to."""
    accepted = lambda route: sum(phase["accepted"] for phase in rates.get(route, {}).values())
    return [route for route in REACHED if not accepted(route)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        found = report(folder)
    wrong = {MATCH: [], **{promise: [] for promise in PROMISES.values()}}
    for failure in found["failures"]:
        routes = ", ".join(failure["operations"])
        wrong[PROMISES.get(failure["type"], MATCH)].append(f"{failure['title']}: {routes}")
    wrong[MATCH] += [f"no request was right: {route}" for route in unreached(found["valid_rates"])]
    tested, selected = found["operations"]["tested"], found["operations"]["selected"]
    if found["errors"] or not tested or tested != selected:
        wrong[MATCH].append(f"{tested} of {selected} routes, {found['errors']}"[:400])
    note = f"{tested} routes, {found['test_cases']['generated']} requests"
    for promise, problems in wrong.items():
        cell = {
            "client": "schemathesis",
            "version": importlib.metadata.version("schemathesis"),
            "feature": promise,
            "ok": not problems,
            "note": "; ".join([*problems, note]),
        }
        print(json.dumps(cell), flush=True)
    sys.exit(1 if any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
