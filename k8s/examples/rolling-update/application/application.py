"""Names an iris by its measures, with the model that MLflow says is deployed.

GET /species?sepal_length=5.1&sepal_width=3.5&petal_length=1.4&petal_width=0.2 asks the model in the Open Inference Protocol v2.
ANSWER says how it is answered: number (the model's class, version 1 of this application) or name (version 2).
"""

import json
import math
import os
import signal
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MODEL_URL = os.environ["MODEL_URL"]
ANSWER = os.environ.get("ANSWER", "number")
MODEL_TIMEOUT_SECONDS = 3
SPECIES = ["setosa", "versicolor", "virginica"]
# Parameter of a request, and the model's column.
MEASURES = {
    "sepal_length": "sepal length (cm)",
    "sepal_width": "sepal width (cm)",
    "petal_length": "petal length (cm)",
    "petal_width": "petal width (cm)",
}


def inference_request(measures):
    """One row: an input for each column, as MLServer turns them into a data frame."""
    inputs = [
        {"name": MEASURES[name], "shape": [1, 1], "datatype": "FP64", "data": [value]} for name, value in measures.items()
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def read_measures(query):
    """The four numbers of a request; ValueError with one sentence when one is missing or no number."""
    given = parse_qs(query)
    missing = [name for name in MEASURES if name not in given]
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}")
    measures = {name: float(given[name][0]) for name in MEASURES}
    if not all(math.isfinite(value) for value in measures.values()):
        raise ValueError("a measure is a number of centimetres")
    return measures


def ask_model(measures):
    """The class that the model predicts."""
    body = json.dumps(inference_request(measures)).encode()
    request = urllib.request.Request(f"{MODEL_URL}/infer", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=MODEL_TIMEOUT_SECONDS) as response:
        return int(json.load(response)["outputs"][0]["data"][0])


def check_model():
    """Raises an OSError when the model is not ready to be asked."""
    urllib.request.urlopen(f"{MODEL_URL}/ready", timeout=MODEL_TIMEOUT_SECONDS).close()


def species(number):
    return SPECIES[number] if ANSWER == "name" else number


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = urlsplit(self.path)
        if address.path == "/livez":
            self.answer(200, {"status": "alive"})
        elif address.path == "/readyz":
            self.answer_by_model(lambda: check_model() or {"status": "ready"})
        elif address.path == "/species":
            try:
                measures = read_measures(address.query)
            except ValueError as error:
                self.answer(400, {"error": str(error)})
                return
            self.answer_by_model(lambda: {"species": species(ask_model(measures))})
        else:
            self.answer(404, {"error": "ask for /species"})

    def answer_by_model(self, make_body):
        try:
            body = make_body()
        except (OSError, ValueError, LookupError, TypeError) as error:
            self.answer(502, {"error": f"the model at {MODEL_URL} does not answer as it should: {error}"})
        else:
            self.answer(200, body)

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code="-", size="-"):
        if not self.path.endswith("z"):  # Probes come every few seconds.
            super().log_request(code, size)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    # shutdown() waits for serve_forever, which this thread runs.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
