"""The predecessor's server as its users run it, its logging stubbed out.

FastAPI validates eight columns, pandas makes seven features of them, a scikit-learn
pipeline scales and XGBoost scores. MODEL_DIR has `pipeline.pkl`.
"""

import datetime
import os
import pathlib
import pickle

import pandas
from fastapi import FastAPI
from predecessor import features
from pydantic import BaseModel

PIPELINE = pickle.loads(
    pathlib.Path(os.environ["MODEL_DIR"], "pipeline.pkl").read_bytes()
)

app = FastAPI()


class Customer(BaseModel):
    Total_Relationship_Count: int
    Credit_Limit: float
    Total_Revolving_Bal: float
    Total_Amt_Chng_Q4_Q1: float
    Total_Trans_Amt: float
    Total_Trans_Ct: int
    Total_Ct_Chng_Q4_Q1: float
    Avg_Utilization_Ratio: float


class Batch(BaseModel):
    records: list[Customer]


class Predictions(BaseModel):
    predictions: list[float]
    model_version: str
    timestamp: str
    num_samples: int


def log(table, predictions):
    """Where the predecessor puts a JSON object into S3."""


def answer(records):
    table = pandas.DataFrame([record.model_dump() for record in records])
    predictions = [float(label) for label in PIPELINE.predict(features(table))]
    log(table, predictions)
    return Predictions(
        predictions=predictions,
        model_version="1",
        timestamp=datetime.datetime.now(datetime.UTC).isoformat(),
        num_samples=len(predictions),
    )


@app.post("/predict")
def predict(record: Customer) -> Predictions:
    return answer([record])


@app.post("/predict_batch")
def predict_batch(batch: Batch) -> Predictions:
    return answer(batch.records)
