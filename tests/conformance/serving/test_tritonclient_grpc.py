"""tritonclient over gRPC, which always sends raw contents."""

import queue

import numpy as np
import pytest
from customers import KEY, Stack
from tritonclient import grpc
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(stack: Stack):
    with grpc.InferenceServerClient(stack.grpc) as client:
        yield client


def tensor(name: str, datatype: str, values: np.ndarray) -> grpc.InferInput:
    made = grpc.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def inputs(client, stack: Stack) -> list[grpc.InferInput]:
    """Every input of the model, as its metadata describes them."""
    metadata = client.get_model_metadata(stack.model)
    return [
        tensor(entry.name, entry.datatype, stack.column(entry.name, entry.datatype))
        for entry in metadata.inputs
    ]


def check(stack: Stack, result: grpc.InferResult) -> None:
    stack.check(result.as_numpy("probability"), result.as_numpy("label"))


def test_health_tells_the_server_and_every_model(client, stack):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(stack.model)
    assert client.is_model_ready(stack.model, stack.version)
    assert not client.is_model_ready(stack.model, "999")
    assert not client.is_model_ready("no such model")


def test_metadata_describes_server_and_model(client, stack):
    assert client.get_server_metadata().name == "holdfast"
    model = client.get_model_metadata(stack.model, stack.version)
    datatypes = {entry.name: entry.datatype for entry in model.inputs}
    assert (datatypes["Credit_Limit"], datatypes["Gender"], datatypes[KEY]) == (
        "FP64",
        "BYTES",
        "INT64",
    )
    assert [entry.name for entry in model.outputs] == ["probability", "label"]


def test_the_index_lists_the_champion(client, stack):
    (champion,) = client.get_model_repository_index().models
    assert (champion.name, champion.version, champion.state) == (
        stack.model,
        stack.version,
        "READY",
    )


def test_raw_contents_give_the_bits(client, stack):
    result = client.infer(stack.model, inputs(client, stack), request_id="triton-2")
    check(stack, result)
    answer = result.get_response()
    assert (answer.model_version, answer.id) == (stack.version, "triton-2")
    assert answer.parameters["generation"].uint64_param == 1


def test_outputs_may_be_chosen(client, stack):
    wanted = [grpc.InferRequestedOutput("label")]
    result = client.infer(
        stack.model, inputs(client, stack), stack.version, outputs=wanted
    )
    assert result.as_numpy("probability") is None
    assert [bool(label) for label in result.as_numpy("label")] == stack.labels


def test_requests_may_be_in_flight_together(client, stack):
    answers = queue.Queue()
    for _ in range(8):
        client.async_infer(
            stack.model,
            inputs(client, stack),
            callback=lambda result, error: answers.put((result, error)),
        )
    for _ in range(8):
        result, error = answers.get(timeout=60)
        assert error is None
        check(stack, result)


def test_failures_have_a_code_and_name_the_field(client, stack):
    everything = inputs(client, stack)
    with pytest.raises(InferenceServerException, match="no such model") as raised:
        client.infer("no such model", everything)
    assert raised.value.status() == "StatusCode.NOT_FOUND"
    with pytest.raises(
        InferenceServerException, match="inputs.Credit_Limits"
    ) as raised:
        client.infer(stack.model, [tensor("Credit_Limits", "FP64", np.array([1.0]))])
    assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
    with pytest.raises(InferenceServerException) as raised:
        client.load_model(stack.model)
    assert raised.value.status() == "StatusCode.UNIMPLEMENTED"
