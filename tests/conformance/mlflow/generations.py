"""What differs between the generations of MLflow's client."""

import mlflow

GENERATION = int(mlflow.__version__.split(".")[0])


def named(name):
    """How a flavour's log_model takes the model's place: MLflow 3 says name, MLflow 2 artifact_path."""
    return {"name": name} if GENERATION >= 3 else {"artifact_path": name}
