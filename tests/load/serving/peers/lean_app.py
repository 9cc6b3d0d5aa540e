"""The leanest server that Python allows: bare ASGI and LightGBM, no validation, no log.

MODEL_DIR has `lean.txt`. orjson reads and writes, one thread scores.
"""

import operator
import os
import pathlib

import lightgbm
import numpy as np
import orjson
from predecessor import REQUIRED

BOOSTER = lightgbm.Booster(model_file=pathlib.Path(os.environ["MODEL_DIR"], "lean.txt"))
VALUES = operator.itemgetter(*REQUIRED)
HEADERS = [(b"content-type", b"application/json")]


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    asked = orjson.loads(body)
    records = asked["records"] if scope["path"] == "/predict_batch" else [asked]
    rows = np.array([VALUES(record) for record in records], dtype=np.float64)
    scores = BOOSTER.predict(rows, num_threads=1)
    answer = orjson.dumps(
        {"probabilities": scores.tolist(), "predictions": (scores >= 0.5).tolist()}
    )
    headers = [*HEADERS, (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
