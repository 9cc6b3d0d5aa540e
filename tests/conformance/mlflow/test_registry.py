"""Registered models, their versions, aliases, tags and stages."""

import os

import mlflow
import pytest


@pytest.fixture
def model(client, name):
    client.create_registered_model(name, tags={"of": name}, description="made here")
    return name


@pytest.fixture
def source(client, run):
    """Files of a run, and the run."""
    client.log_text(run.info.run_id, "flavors: {}", "model/MLmodel")
    return f"{run.info.artifact_uri}/model", run.info.run_id


def test_a_model_has_a_name_of_its_own(client, model, name, refused):
    found = client.get_registered_model(model)
    assert (found.name, found.description, found.tags) == (
        name,
        "made here",
        {"of": name},
    )
    assert found.creation_timestamp > 1_600_000_000_000
    assert found.latest_versions == []
    assert refused(client.create_registered_model, name) == "RESOURCE_ALREADY_EXISTS"
    assert refused(client.create_registered_model, "") == "INVALID_PARAMETER_VALUE"
    assert refused(client.create_registered_model, "a/b") == "INVALID_PARAMETER_VALUE"


def test_what_is_not_there_is_not_found(client, model, name, refused):
    missing = f"{name}-missing"
    for call in [
        lambda: client.get_registered_model(missing),
        lambda: client.update_registered_model(missing, "x"),
        lambda: client.rename_registered_model(missing, f"{name}-new"),
        lambda: client.delete_registered_model(missing),
        lambda: client.set_registered_model_tag(missing, "k", "v"),
        lambda: client.get_model_version(model, "9"),
        lambda: client.update_model_version(model, "9", "x"),
        lambda: client.delete_model_version(model, "9"),
        lambda: client.get_model_version_download_uri(model, "9"),
        lambda: client.set_model_version_tag(model, "9", "k", "v"),
        lambda: client.set_registered_model_alias(model, "best", "9"),
        lambda: client.get_model_version_by_alias(missing, "best"),
    ]:
        assert refused(call) == "RESOURCE_DOES_NOT_EXIST"
    assert (
        refused(client.get_model_version_by_alias, model, "best")
        == "INVALID_PARAMETER_VALUE"
    )


def test_versions_count_up_and_never_back(client, model, source, refused):
    uri, run_id = source
    versions = [
        client.create_model_version(
            model, uri, run_id, tags={"k": str(i)}, description=f"v{i}"
        )
        for i in (1, 2)
    ]
    assert [v.version for v in versions] == ["1", "2"] or [
        v.version for v in versions
    ] == [1, 2]
    found = client.get_model_version(model, "1")
    assert (found.name, found.run_id, found.source, found.status) == (
        model,
        run_id,
        uri,
        "READY",
    )
    assert (found.description, found.tags, found.current_stage) == (
        "v1",
        {"k": "1"},
        "None",
    )
    assert client.get_model_version_download_uri(model, "1") == uri
    client.update_model_version(model, "1", "better")
    assert client.get_model_version(model, "1").description == "better"
    client.delete_model_version(model, "2")
    assert refused(client.get_model_version, model, "2") == "RESOURCE_DOES_NOT_EXIST"


def test_aliases_point(client, model, source, refused):
    uri, run_id = source
    for _ in range(2):
        client.create_model_version(model, uri, run_id)
    client.set_registered_model_alias(model, "best", "1")
    client.set_registered_model_alias(model, "best", "2")
    client.set_registered_model_alias(model, "other", "2")
    assert str(client.get_model_version_by_alias(model, "best").version) == "2"
    assert sorted(client.get_model_version(model, "2").aliases) == ["best", "other"]
    aliases = client.get_registered_model(model).aliases
    assert {k: str(v) for k, v in aliases.items()} == {"best": "2", "other": "2"}
    client.delete_registered_model_alias(model, "best")
    assert (
        refused(client.get_model_version_by_alias, model, "best")
        == "INVALID_PARAMETER_VALUE"
    )
    for bad in ["latest", "v1", "a b", ""]:
        assert (
            refused(client.set_registered_model_alias, model, bad, "1")
            == "INVALID_PARAMETER_VALUE"
        ), bad


def test_tags_come_and_go(client, model, source):
    uri, run_id = source
    client.create_model_version(model, uri, run_id)
    client.set_registered_model_tag(model, "k", "v")
    client.set_model_version_tag(model, "1", "k", "w" * 3000)
    assert client.get_registered_model(model).tags["k"] == "v"
    assert client.get_model_version(model, "1").tags["k"] == "w" * 3000
    client.delete_registered_model_tag(model, "k")
    client.delete_model_version_tag(model, "1", "k")
    assert "k" not in client.get_registered_model(model).tags
    assert client.get_model_version(model, "1").tags == {}


def test_a_model_is_renamed_and_deleted(client, model, source, refused):
    uri, run_id = source
    client.create_model_version(model, uri, run_id)
    client.rename_registered_model(model, f"{model}-new")
    assert refused(client.get_registered_model, model) == "RESOURCE_DOES_NOT_EXIST"
    assert client.get_model_version(f"{model}-new", "1").name == f"{model}-new"
    client.update_registered_model(f"{model}-new", description="other")
    assert client.get_registered_model(f"{model}-new").description == "other"
    client.delete_registered_model(f"{model}-new")
    assert (
        refused(client.get_registered_model, f"{model}-new")
        == "RESOURCE_DOES_NOT_EXIST"
    )


def test_models_are_searched(client, name, refused):
    for letter in "abc":
        client.create_registered_model(f"{name}-{letter}", tags={"letter": letter})

    def letters(filter_string, **kwargs):
        found = client.search_registered_models(filter_string, **kwargs)
        return "".join(m.name[-1] for m in found)

    assert letters(f"name LIKE '{name}-%'") == "abc"
    assert letters(f"name ILIKE '{name.upper()}-%'", order_by=["name DESC"]) == "cba"
    assert letters(f"name = '{name}-b'") == "b"
    assert letters(f"name LIKE '{name}%' AND tags.letter = 'c'") == "c"
    assert letters(f"name LIKE '{name}%' AND tag.`letter` != 'c'") == "ab"
    page = client.search_registered_models(f"name LIKE '{name}%'", max_results=2)
    rest = client.search_registered_models(
        f"name LIKE '{name}%'", max_results=2, page_token=page.token
    )
    assert [m.name[-1] for m in page] + [m.name[-1] for m in rest] == ["a", "b", "c"]
    for bad in ["name > 'a'", "colour = 'red'", "name = a", "version_number = 1"]:
        assert (
            refused(client.search_registered_models, bad) == "INVALID_PARAMETER_VALUE"
        ), bad


def test_versions_are_searched(client, model, source, refused):
    uri, run_id = source
    for number in range(1, 4):
        client.create_model_version(model, uri, run_id, tags={"n": str(number)})

    def numbers(filter_string, **kwargs):
        return "".join(
            str(v.version)
            for v in client.search_model_versions(filter_string, **kwargs)
        )

    assert sorted(numbers(f"name = '{model}'")) == ["1", "2", "3"]
    assert numbers(f"name = '{model}'", order_by=["version_number ASC"]) == "123"
    assert numbers(f"name = '{model}'", order_by=["version_number DESC"]) == "321"
    assert (
        numbers(
            f"run_id = '{run_id}' AND version_number > 1",
            order_by=["version_number ASC"],
        )
        == "23"
    )
    assert numbers(f"run_id IN ('{run_id}') AND version_number = 1") == "1"
    assert numbers(f"source_path = '{uri}' AND tags.n = '2'") == "2"
    assert (
        numbers(
            f"name LIKE '{model[:-1]}%' AND tags.n != '2'",
            order_by=["version_number ASC"],
        )
        == "13"
    )
    for bad in ["version_number = 'one'", "colour = 'red'", "name IN"]:
        assert (
            refused(client.search_model_versions, bad) == "INVALID_PARAMETER_VALUE"
        ), bad


@pytest.mark.filterwarnings("ignore")
def test_stages_are_labels(client, model, source, refused):
    uri, run_id = source
    for _ in range(2):
        client.create_model_version(model, uri, run_id)
    client.transition_model_version_stage(model, "1", "Production")
    assert client.get_model_version(model, "1").current_stage == "Production"
    client.transition_model_version_stage(
        model, "2", "production", archive_existing_versions=True
    )
    assert client.get_model_version(model, "1").current_stage == "Archived"
    latest = client.get_latest_versions(model, ["Production"])
    assert [str(v.version) for v in latest] == ["2"]
    assert (
        refused(client.transition_model_version_stage, model, "1", "Nowhere")
        == "INVALID_PARAMETER_VALUE"
    )


def test_a_version_is_copied(client, model, source, name):
    uri, run_id = source
    client.create_model_version(model, uri, run_id)
    client.set_model_version_tag(model, "1", "k", "v")
    copy = client.copy_model_version(f"models:/{model}/1", f"{name}-copy")
    assert (copy.name, str(copy.version)) == (f"{name}-copy", "1")
    assert copy.run_id == run_id
    local = mlflow.artifacts.download_artifacts(
        f"models:/{name}-copy/1", dst_path="copied"
    )
    assert os.path.exists(os.path.join(local, "MLmodel"))


def test_sources_are_checked(client, model, run, refused):
    for bad in [
        "/etc",
        "file:///etc",
        f"{run.info.artifact_uri}/../../../other",
        "models:/none/1",
    ]:
        code = refused(client.create_model_version, model, bad)
        assert code in {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}, bad


def test_tags_given_with_the_version_are_kept(client, model, source):
    uri, run_id = source
    made = client.create_model_version(model, uri, run_id, tags={"a": "1"})
    assert made.tags == {"a": "1"}


@pytest.mark.holdfast
def test_the_alias_champion_shows_the_champion_log(client, refused):
    champion, version = os.environ["HOLDFAST_CONFORMANCE_CHAMPION"].split("/")
    assert (
        str(client.get_model_version_by_alias(champion, "champion").version) == version
    )
    assert "champion" in client.get_model_version(champion, version).aliases
    assert str(client.get_registered_model(champion).aliases["champion"]) == version
    assert refused(
        client.set_registered_model_alias, champion, "champion", version
    ) in {
        "INVALID_STATE",
        "PERMISSION_DENIED",
    }
    assert refused(client.delete_registered_model_alias, champion, "champion") in {
        "INVALID_STATE",
        "PERMISSION_DENIED",
    }
    assert refused(client.delete_model_version, champion, version) in {
        "INVALID_STATE",
        "PERMISSION_DENIED",
    }
    assert (
        str(client.get_model_version_by_alias(champion, "champion").version) == version
    )
