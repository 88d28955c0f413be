"""What sentence-transformers makes of texts: one vector of length 1 each.

Reads JSON from stdin, {"model": folder, "texts": [text, ...]}, and prints a JSON list of lists of numbers. Nothing is
fetched: the model is in the folder.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

from sentence_transformers import SentenceTransformer  # noqa: E402

wanted = json.load(sys.stdin)
model = SentenceTransformer(wanted["model"], device="cpu")
vectors = model.encode(wanted["texts"], normalize_embeddings=True, show_progress_bar=False)
print(json.dumps([[float(number) for number in vector] for vector in vectors]))
