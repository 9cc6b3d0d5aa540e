"""tritonclient over HTTP: binary tensors, its default, and JSON."""

import numpy as np
import pytest
from customers import KEY, Stack
from tritonclient import http
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(stack: Stack):
    with http.InferenceServerClient(stack.http) as client:
        yield client


def tensor(
    name: str, datatype: str, values: np.ndarray, binary: bool = True
) -> http.InferInput:
    made = http.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def inputs(client, stack: Stack, binary: bool = True) -> list[http.InferInput]:
    """Every input of the model, as its metadata describes them."""
    metadata = client.get_model_metadata(stack.model)
    return [
        tensor(
            entry["name"],
            entry["datatype"],
            stack.column(entry["name"], entry["datatype"]),
            binary,
        )
        for entry in metadata["inputs"]
    ]


def check(stack: Stack, result: http.InferResult) -> None:
    stack.check(result.as_numpy("probability"), result.as_numpy("label"))


def test_health_tells_the_server_and_every_model(client, stack):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(stack.model)
    assert client.is_model_ready(stack.model, stack.version)
    assert not client.is_model_ready(stack.model, "999")
    assert not client.is_model_ready("no such/model")


def test_metadata_describes_server_and_model(client, stack):
    server = client.get_server_metadata()
    assert server["name"] == "holdfast"
    assert "binary_tensor_data" in server["extensions"]
    for version in ("", stack.version):
        model = client.get_model_metadata(stack.model, version)
        assert model["versions"] == [stack.version]
        datatypes = {entry["name"]: entry["datatype"] for entry in model["inputs"]}
        assert datatypes["Credit_Limit"] == "FP64"
        assert datatypes["Gender"] == "BYTES"
        assert datatypes[KEY] == "INT64"
        assert [entry["name"] for entry in model["outputs"]] == ["probability", "label"]


def test_the_index_lists_the_champion(client, stack):
    (champion,) = client.get_model_repository_index()
    assert (champion["name"], champion["version"], champion["state"]) == (
        stack.model,
        stack.version,
        "READY",
    )


def test_binary_tensors_give_the_bits(client, stack):
    result = client.infer(stack.model, inputs(client, stack), request_id="triton-1")
    check(stack, result)
    answer = result.get_response()
    assert (answer["model_version"], answer["id"]) == (stack.version, "triton-1")
    assert answer["outputs"][0]["parameters"]["binary_data_size"] == 8 * len(
        stack.customers
    )
    assert answer["parameters"]["generation"] == 1


def test_json_gives_the_same_bits(client, stack):
    known = [
        entry
        for entry in inputs(client, stack, binary=False)
        if stack.complete(entry.name())
    ]
    outputs = [
        http.InferRequestedOutput(name, binary_data=False)
        for name in ("probability", "label")
    ]
    by_json = client.infer(stack.model, known, outputs=outputs)
    assert all("data" in output for output in by_json.get_response()["outputs"])
    known = [entry for entry in inputs(client, stack) if stack.complete(entry.name())]
    by_bytes = client.infer(stack.model, known)
    ours = by_json.as_numpy("probability").view(np.uint64).tolist()
    assert ours == by_bytes.as_numpy("probability").view(np.uint64).tolist()


def test_json_has_no_nan(client, stack):
    missing = tensor("Customer_Age", "FP64", np.array([np.nan]), binary=False)
    with pytest.raises(InferenceServerException, match="not valid JSON") as raised:
        client.infer(stack.model, [missing])
    assert raised.value.status() == "400"


def test_inputs_and_outputs_may_be_of_both_kinds_at_once(client, stack):
    mixed = [
        tensor(
            entry.name(),
            entry.datatype(),
            stack.column(entry.name(), entry.datatype()),
            place % 2 == 0,
        )
        if stack.complete(entry.name())
        else entry
        for place, entry in enumerate(inputs(client, stack))
    ]
    outputs = [
        http.InferRequestedOutput("label", binary_data=True),
        http.InferRequestedOutput("probability", binary_data=False),
    ]
    check(stack, client.infer(stack.model, mixed, stack.version, outputs=outputs))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_requests_and_answers_may_be_compressed(client, stack, algorithm):
    result = client.infer(
        stack.model,
        inputs(client, stack),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    check(stack, result)


def test_requests_may_be_in_flight_together(stack):
    with http.InferenceServerClient(stack.http, concurrency=4) as client:
        waiting = [
            client.async_infer(stack.model, inputs(client, stack)) for _ in range(8)
        ]
        for request in waiting:
            check(stack, request.get_result())


def test_whole_numbers_may_be_integers_and_columns_may_have_two_dimensions(
    client, stack
):
    changed = []
    for entry in inputs(client, stack):
        values = stack.column(entry.name(), entry.datatype())
        datatype = entry.datatype()
        if datatype == "FP64" and np.array_equal(values, np.floor(values)):
            datatype, values = "INT32", values.astype(np.int32)
        changed.append(tensor(entry.name(), datatype, values.reshape(-1, 1)))
    assert any(entry.datatype() == "INT32" for entry in changed)
    check(stack, client.infer(stack.model, changed))


def test_failures_have_a_status_and_name_the_field(client, stack):
    everything = inputs(client, stack)
    with pytest.raises(InferenceServerException, match="no such model") as raised:
        client.infer("no such model", everything)
    assert raised.value.status() == "404"
    with pytest.raises(InferenceServerException, match="999") as raised:
        client.infer(stack.model, everything, model_version="999")
    assert raised.value.status() == "404"
    with pytest.raises(InferenceServerException, match="Credit_Limit") as raised:
        client.infer(
            stack.model,
            [entry for entry in everything if entry.name() != "Credit_Limit"],
        )
    assert raised.value.status() == "400"
    wrong = [tensor("Credit_Limit", "BYTES", np.array(["much"], dtype=np.object_))]
    with pytest.raises(InferenceServerException, match="datatype") as raised:
        client.infer(stack.model, wrong)
    assert raised.value.status() == "400"
    with pytest.raises(
        InferenceServerException, match="nothing at this path"
    ) as raised:
        client.load_model(stack.model)
    assert raised.value.status() == "404"
