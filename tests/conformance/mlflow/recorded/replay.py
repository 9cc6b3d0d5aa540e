"""What MLflow's client 3.17.2 sent to a real `mlflow server`, sent again, and every answer held against that server's.

`exchanges.jsonl` is the recording: one exchange a line, in order, with the headers that matter; of binary bodies it has the length and the first bytes. The
server under test (HOLDFAST_CONFORMANCE_MLFLOW) must be fresh, so that ids of experiments are the same numbers. Ids of runs and of logged models, tokens
of pages and moments are the server's own, and are translated or left out. The alias `champion`, which cannot be set here, is sent under another name.
"""

import base64
import http.client
import json
import os
import pathlib
import re
import urllib.parse

RECORDING = pathlib.Path(__file__).parent / "exchanges.jsonl"
# The server's own: moments, sizes of files whose blanks the recording has not kept, names that it makes up.
OWN = re.compile(
    r"\.(start_time|end_time|creation_time|last_update_time|creation_timestamp|last_updated_timestamp|creation_timestamp_ms|"
    r"last_updated_timestamp_ms|timestamp|file_size|run_name|next_page_token)$"
)
# Where Holdfast differs, and why that is meant.
MEANT = [
    # There is one workspace, which has no name.
    r"\.workspace: missing",
    # Files go through the server, and there is no gateway for language models.
    r"\.features_enabled\.gateway: True, ours False",
    r"\.presigned_upload_(run|model)_id_supported: True, ours False",
    # Infinity stays what it is.
    r"\.data\.metrics\[infm\]\.value: 1\.7976931348623157e\+308, ours 'Infinity'",
    # A new run has no outputs yet, which is said.
    r"^runs/create \.run\.outputs: more",
    # Versions say which logged model they are of, and logged models their versions.
    r"\.model_id: more",
    r"\.info\.registrations: more",
    # A version has its aliases wherever it is shown.
    r"\.registered_model\.latest_versions\[0\]\.aliases: more",
]


def test_every_answer_is_as_recorded():
    found, times = [], {}
    server = Server(os.environ["HOLDFAST_CONFORMANCE_MLFLOW"])
    for line in RECORDING.read_text().splitlines():
        exchange = json.loads(line.replace("champion", "favourite"))
        where = exchange["path"].partition("?")[0].partition("/mlflow/")[2]
        for difference in server.differences(exchange):
            told = f"{where} {difference}"
            meant = [rule for rule in MEANT if re.search(rule, told)]
            times.update(dict.fromkeys(meant, True))
            if not meant:
                found.append(f"{exchange['step']}: {told}")
    assert not found, "\n".join(found)
    assert len(times) == len(MEANT), f"no more so: {set(MEANT) - set(times)}"


class Server:
    def __init__(self, url):
        self.connection = http.client.HTTPConnection(
            urllib.parse.urlparse(url).netloc, timeout=120
        )
        self.ours, self.tokens = {}, {}

    def differences(self, exchange):
        recorded, status = exchange["answer"], exchange["status"]
        answer, body = self.send(exchange)
        if answer.status != status:
            yield f"status {status}, ours {answer.status}: {body[:300]}"
        for name, value in exchange["headers"].items():
            if answer.getheader(name) != value:
                yield f"header {name}: {value}, ours {answer.getheader(name)}"
        if isinstance(recorded, dict) and "binary_len" in recorded:
            if len(body) != recorded["binary_len"]:
                yield f"{recorded['binary_len']} bytes, ours {len(body)}"
            if not body.startswith(base64.b64decode(recorded["head_b64"])):
                yield "other bytes"
        elif isinstance(recorded, str):
            text = self.translated(body.decode(), back=True)
            if text != recorded:
                yield f"text {recorded[:100]!r}, ours {text[:100]!r}"
        else:
            answered = json.loads(body)
            self.learn(recorded, answered)
            answered = json.loads(self.translated(json.dumps(answered), back=True))
            yield from compared("", recorded, answered)

    def send(self, exchange):
        headers = {"content-type": exchange.get("content_type", "application/json")}
        body = exchange.get("body")
        if isinstance(body, dict) and "binary_len" in body:
            head = base64.b64decode(body["head_b64"])
            body = head.ljust(body["binary_len"], b"\0")
        elif body is not None:
            if isinstance(body, dict) and "page_token" in body:
                body["page_token"] = self.tokens[body["page_token"]]
            text = body if isinstance(body, str) else json.dumps(body)
            body = self.translated(text).encode()
        path = self.translated(exchange["path"])
        self.connection.request(exchange["method"], path, body, headers)
        answer = self.connection.getresponse()
        return answer, answer.read()

    def translated(self, text, back=False):
        for theirs, ours in self.ours.items():
            text = text.replace(ours, theirs) if back else text.replace(theirs, ours)
        return text

    def learn(self, recorded, answered):
        """Which of their ids and tokens are ours."""
        if isinstance(recorded, dict) and isinstance(answered, dict):
            for key in recorded.keys() & answered.keys():
                theirs, ours = recorded[key], answered[key]
                if key == "next_page_token":
                    self.tokens[theirs] = ours
                elif key in {"run_id", "model_id"} and theirs:
                    self.ours.setdefault(theirs, ours)
                self.learn(theirs, ours)
        elif isinstance(recorded, list) and isinstance(answered, list):
            for theirs, ours in zip(recorded, answered, strict=False):
                self.learn(theirs, ours)


def compared(at, recorded, answered):
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in sorted(recorded.keys() | answered.keys()):
            place = f"{at}.{key}"
            if key not in answered:
                yield f"{place}: missing, was {recorded[key]!r}"
            elif key not in recorded:
                yield f"{place}: more, {answered[key]!r}"
            elif not OWN.search(place):
                yield from compared(place, recorded[key], answered[key])
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            yield f"{at}: {len(recorded)} items, ours {len(answered)}: {recorded!r}, ours {answered!r}"
            return
        # Lists of keyed things have no order on the wire.
        keyed = all(isinstance(one, dict) and "key" in one for one in recorded)
        if keyed:
            recorded = sorted(recorded, key=lambda one: one["key"])
            answered = sorted(answered, key=lambda one: str(one.get("key")))
        for index, (theirs, ours) in enumerate(zip(recorded, answered, strict=True)):
            place = f"{at}[{theirs['key'] if keyed else index}]"
            if keyed and theirs["key"] == "mlflow.runName" == ours["key"]:
                continue
            yield from compared(place, theirs, ours)
    elif recorded != answered and not same_json(recorded, answered):
        yield f"{at}: {recorded!r}, ours {answered!r}"


def same_json(one, other):
    """Whether both are texts of the same JSON."""
    try:
        return json.loads(one) == json.loads(other)
    except (TypeError, ValueError):
        return False
