"""The kserve client, which reads the JSON of health answers, over REST and gRPC."""

import asyncio
import uuid

import grpc
import httpx
import numpy as np
import pytest
from customers import KEY, Stack
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)
from kserve.protocol.infer_type import RequestedOutput


def datatypes(stack: Stack) -> dict[str, str]:
    """The kserve client asks for no metadata itself."""
    answer = httpx.get(f"http://{stack.http}/v2/models/{stack.model}")
    return {entry["name"]: entry["datatype"] for entry in answer.json()["inputs"]}


def request(stack: Stack, binary: bool, names=None, **more) -> InferRequest:
    inputs = []
    for name, datatype in datatypes(stack).items():
        if names is not None and name not in names:
            continue
        values = stack.column(name, datatype)
        made = InferInput(name, list(values.shape), datatype)
        made.set_data_from_numpy(values, binary_data=binary)
        inputs.append(made)
    return InferRequest(model_name=stack.model, infer_inputs=inputs, **more)


def complete(stack: Stack) -> set[str]:
    return {name for name in datatypes(stack) if stack.complete(name)}


def rest(stack: Stack, use):
    async def run():
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:
            return await use(client, f"http://{stack.http}")

    return asyncio.run(run())


def over_grpc(stack: Stack, use):
    async def run():
        async with InferenceGRPCClient(stack.grpc, retries=0) as client:
            return await use(client)

    return asyncio.run(run())


def numpy_of(response, name: str) -> np.ndarray:
    return response.get_output_by_name(name).as_numpy()


def check(stack: Stack, response) -> None:
    stack.check(numpy_of(response, "probability"), numpy_of(response, "label"))


def test_rest_health_is_read_from_the_json(stack):
    async def use(client, url):
        assert await client.is_server_live(url) is True
        assert await client.is_server_ready(url) is True
        assert await client.is_model_ready(url, stack.model) is True
        assert await client.is_model_ready(url, "other") is False

    rest(stack, use)


@pytest.mark.parametrize("wanted", ["nothing said", "binary", "one of each"])
def test_rest_with_binary_tensors_gives_the_bits(stack, wanted):
    more = {
        "nothing said": {},
        "binary": {"parameters": {"binary_data_output": True}},
        "one of each": {
            "request_outputs": [
                RequestedOutput("probability", parameters={"binary_data": True}),
                RequestedOutput("label", parameters={"binary_data": False}),
            ]
        },
    }[wanted]

    async def use(client, url):
        named = str(uuid.uuid4())
        response = await client.infer(
            url, request(stack, True, request_id=named, **more), stack.model
        )
        check(stack, response)
        assert response.id == named

    rest(stack, use)


def test_rest_with_json_writes_null_for_nan_and_gives_the_bits(stack):
    async def use(client, url):
        check(stack, await client.infer(url, request(stack, False), stack.model))

    rest(stack, use)


def test_rest_failures_name_the_field(stack):
    async def use(client, url):
        with pytest.raises(httpx.HTTPStatusError, match="Credit_Limit") as raised:
            await client.infer(
                url,
                request(stack, False, complete(stack) - {"Credit_Limit"}),
                stack.model,
            )
        assert raised.value.response.status_code == 400

    rest(stack, use)


def test_grpc_health(stack):
    async def use(client):
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready(stack.model)
        assert not await client.is_model_ready("other")

    over_grpc(stack, use)


@pytest.mark.parametrize(
    "binary", [True, False], ids=["raw contents", "typed contents"]
)
def test_grpc_gives_the_bits(stack, binary):
    async def use(client):
        response = await client.infer(request(stack, binary, request_id="kserve-1"))
        check(stack, response)
        assert (response.id, response.model_version) == ("kserve-1", stack.version)

    over_grpc(stack, use)


def test_grpc_failures_have_a_code(stack):
    async def use(client):
        with pytest.raises(grpc.aio.AioRpcError, match="Credit_Limit") as raised:
            await client.infer(
                request(stack, True, complete(stack) - {"Credit_Limit", KEY})
            )
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT

    over_grpc(stack, use)
