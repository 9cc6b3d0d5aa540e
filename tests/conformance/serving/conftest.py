"""The stack under test: a file of JSON, written by the test that started the stack, says where it is and what it must answer."""

import json
import os
import struct
from pathlib import Path

import pytest
from customers import Stack


@pytest.fixture(scope="session")
def stack() -> Stack:
    described = json.loads(Path(os.environ["HOLDFAST_CONFORMANCE_STACK"]).read_text())
    bits = [int(text, 16) for text in described["probability_bits"]]
    return Stack(
        http=described["http"],
        grpc=described["grpc"],
        model=described["model"],
        version=described["version"],
        customers=described["customers"],
        bits=bits,
        labels=[
            struct.unpack("<d", struct.pack("<Q", value))[0] >= described["threshold"]
            for value in bits
        ],
    )
