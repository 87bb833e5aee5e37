"""Stands before an iris model: rows with names come in, names of species go out.

POST /v1/models/iris:predict with {"instances": [{"sepal length (cm)": 5.1, ...}]} is answered {"predictions": ["setosa"]}.
"""

import argparse

from kserve import InferInput, InferRequest, Model, ModelServer, logging, model_server
from kserve.errors import InvalidInput
from kserve.model import PredictorConfig

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
SPECIES = ["setosa", "versicolor", "virginica"]


class IrisTransformer(Model):
    def __init__(self, name, predictor_config):
        super().__init__(name, predictor_config)
        self.ready = True

    def preprocess(self, payload, headers=None):
        rows = payload.get("instances", [])
        missing = {column for row in rows for column in COLUMNS if column not in row}
        if not rows or missing:
            raise InvalidInput(f"each of the instances needs {', '.join(COLUMNS)}")
        inputs = [
            InferInput(name=column, shape=[len(rows), 1], datatype="FP64", data=[float(row[column]) for row in rows])
            for column in COLUMNS
        ]
        # MLServer makes one data frame of all inputs.
        return InferRequest(model_name=self.name, infer_inputs=inputs, parameters={"content_type": "pd"})

    def postprocess(self, result, headers=None, response_headers=None):
        return {"predictions": [SPECIES[int(number)] for number in result.outputs[0].data]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    arguments, _ = parser.parse_known_args()
    logging.configure_logging()
    config = PredictorConfig(arguments.predictor_host, arguments.predictor_protocol)
    ModelServer().start([IrisTransformer(arguments.model_name, config)])
