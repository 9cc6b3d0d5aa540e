"""Customers as columns of numpy, and the answers that they must get, to the bit."""

from dataclasses import dataclass

import numpy as np

KEY = "CLIENTNUM"

REQUIRED = (
    "Total_Relationship_Count",
    "Credit_Limit",
    "Total_Revolving_Bal",
    "Total_Amt_Chng_Q4_Q1",
    "Total_Trans_Amt",
    "Total_Trans_Ct",
    "Total_Ct_Chng_Q4_Q1",
    "Avg_Utilization_Ratio",
)


@dataclass(frozen=True)
class Stack:
    """Where the stack is, what it serves, and what it must answer about some customers."""

    http: str
    grpc: str
    model: str
    version: str
    # As REST takes them; optional values may be absent.
    customers: list[dict]
    # Of the probabilities, in the order of the customers.
    bits: list[int]
    labels: list[bool]

    def column(self, name: str, datatype: str) -> np.ndarray:
        """One feature of all customers: NaN or an empty text where it is missing."""
        values = [customer.get(name) for customer in self.customers]
        if datatype == "BYTES":
            return np.array(
                ["" if value is None else value for value in values], dtype=np.object_
            )
        kind = {"FP64": np.float64, "INT64": np.int64, "INT32": np.int32}[datatype]
        return np.array(
            [np.nan if value is None else value for value in values], dtype=kind
        )

    def complete(self, name: str) -> bool:
        """Whether no customer lacks the feature."""
        return all(customer.get(name) is not None for customer in self.customers)

    def check(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        """The answers must be the expected ones, bit for bit."""
        assert probabilities.dtype == np.float64
        assert probabilities.view(np.uint64).tolist() == self.bits
        assert [bool(label) for label in labels] == self.labels


def bits(probabilities: np.ndarray) -> list[int]:
    """The bits of 64-bit floats."""
    return np.asarray(probabilities, dtype=np.float64).view(np.uint64).tolist()
