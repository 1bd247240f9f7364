"""/admin/v1/models: what operators see of the models, and what they do to them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.accounts.audit import AuditLog
from server.core import Task
from server.errors import DatabaseUnavailable, ModelUnavailable
from server.models.config.catalog import Missing
from server.models.config.spec import WhisperModel
from server.models.slot import Begun
from server.models.standing import Loading, Phase

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio


def answered(answer: "httpx.Response") -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def refused(answer: "httpx.Response") -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


async def test_every_model_is_listed_with_all_that_an_operator_wants_to_know(office: "Office") -> None:
    listing = answered(await office.admin.get("/admin/v1/models"))
    assert listing["object"] == "list"
    assert [model["id"] for model in listing["data"]] == [f"fake-{task}" for task in Task]
    speech = next(model for model in listing["data"] if model["id"] == "fake-speech")
    assert speech["names"] == ["everything", "fake-speech"]
    assert (speech["engine"], speech["tasks"], speech["load"]) == ("fake", ["speech"], "eager")
    assert (speech["state"], speech["reason"], speech["refusal"], speech["loading"]) == ("ready", None, None, None)
    assert (speech["running"], speech["waiting"], speech["places"]) == (0, 0, 1)
    assert speech["memory"]["held"] == {"host": 3 << 20, "gpus": {"0": 5 << 20}}
    assert (speech["missing"], speech["fetch"]) == ([], None)
    assert listing["memory"] == {
        "budget": {"host": 1 << 30, "gpus": {"0": 1 << 30}},
        "held": {"front end": {"host": 7 << 20, "gpus": {}}},
        "reported": {"front end": {"host": 6 << 20, "gpus": {}}},
    }
    assert answered(await office.admin.get("/admin/v1/models/fake-speech")) == speech
    assert refused(await office.admin.get("/admin/v1/models/none"))[:2] == (404, "model_not_found")


async def test_a_load_under_way_is_shown_to_operators_and_users(office: "Office") -> None:
    office.fake.registry.loading["fake-image"] = Loading(Phase.START, 2.51)
    loading = {"phase": "starting", "seconds": 2.5}
    shown = answered(await office.admin.get("/admin/v1/models/fake-image"))
    assert (shown["state"], shown["loading"]) == ("loading", loading)
    async with office.fake.client(key=await office.key("inference")) as client:
        model = (await client.get("/v1/models/everything")).json()
    assert model["models"]["image"]["loading"] == loading
    assert "loading" not in model["models"]["chat"]


async def test_why_a_model_failed_is_said_in_full(office: "Office") -> None:
    office.fake.registry.failed["fake-chat"] = "The weights are not readable."
    shown = answered(await office.admin.get("/admin/v1/models/fake-chat"))
    assert (shown["state"], shown["reason"]) == ("failed", "The weights are not readable.")


async def test_what_is_not_installed_is_listed_with_what_brings_it(office: "Office") -> None:
    root = office.fake.services.settings.models_dir
    spec = WhisperModel(name="ears", engine="whisper", path="ears", fetch="scripts/models")
    elsewhere = Path("/srv/more/model.bin")
    office.fake.catalog.missing.append(Missing(spec, (root.resolve() / "ears/model.bin", elsewhere)))
    last = answered(await office.admin.get("/admin/v1/models"))["data"][-1]
    assert (last["id"], last["state"], last["fetch"]) == ("ears", "not_installed", "scripts/models")
    assert (last["missing"], last["names"]) == (["ears/model.bin", str(elsewhere)], [])
    for act in ("load", "unload", "probe"):
        assert refused(await office.admin.post(f"/admin/v1/models/ears/{act}"))[0] == 404


async def acts(office: "Office") -> list[tuple[str, str, str, dict[str, Any]]]:
    """What the audit log has of models, the newest first."""
    listing = answered(await office.admin.get("/admin/v1/audit"))["data"]
    return [
        (act["actor"], act["action"], act["target"], act["details"])
        for act in listing
        if act["action"].startswith("model.")
    ]


async def test_a_model_is_unloaded_loaded_and_probed_and_that_is_written_down(office: "Office") -> None:
    url = "/admin/v1/models/fake-chat"
    gone = answered(await office.admin.post(f"{url}/unload", json={"grace": 5, "wait": 30}))
    assert (gone["id"], gone["state"], gone["memory"]["held"]["host"]) == ("fake-chat", "unloaded", 0)
    assert refused(await office.admin.post(f"{url}/probe"))[:2] == (409, "conflict")
    assert answered(await office.admin.post(f"{url}/load", json={"wait": 60}))["state"] == "ready"
    probed = answered(await office.admin.post(f"{url}/probe", json={}))
    assert (probed["model"], probed["passed"], probed["reason"], probed["seconds"]) == ("fake-chat", True, None, 0.25)
    assert probed["checks"] == [{"task": "chat", "asked": "What is the capital of Japan?", "answered": "Tokyo"}]
    assert await acts(office) == [
        (office.admin_id, "model.probe", "fake-chat", {"passed": True}),
        (office.admin_id, "model.load", "fake-chat", {}),
        (office.admin_id, "model.unload", "fake-chat", {"grace": 5.0}),
    ]


async def test_a_probe_that_fails_is_an_answer(office: "Office") -> None:
    office.fake.registry.failed["fake-chat"] = "The model's probe failed: asked 'Japan?' it said '!!!!'."
    probed = answered(await office.admin.post("/admin/v1/models/fake-chat/probe"))
    assert (probed["passed"], probed["checks"]) == (False, [])
    assert probed["reason"] == "The model's probe failed: asked 'Japan?' it said '!!!!'."
    assert (await acts(office))[0][3] == {"passed": False}


async def test_what_is_refused_is_not_written_down(office: "Office") -> None:
    engine = office.fake.engines[Task.SPEECH]
    engine._running = 1
    refusal = refused(await office.admin.post("/admin/v1/models/fake-speech/unload"))
    assert refusal == (409, "conflict", "The model `fake-speech` is in use.")
    engine._running = 0
    assert refused(await office.admin.post("/admin/v1/models/none/load"))[0] == 404
    assert await acts(office) == []


@pytest.mark.parametrize("act", ["load", "unload"])
async def test_what_cant_be_written_down_is_not_done(
    office: "Office", monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    if act == "load":
        office.fake.registry.unloaded.add("fake-chat")

    async def full(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(AuditLog, "add", full)
    answer = await office.admin.post(f"/admin/v1/models/fake-chat/{act}")
    assert answer.status_code == 503
    assert ("fake-chat" in office.fake.registry.unloaded) == (act == "load"), "it is as it was"


async def test_a_load_that_fails_while_it_is_waited_for_is_an_error(
    office: "Office", monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fails(Begun):
        async def outcome(self, within: float) -> ModelUnavailable | None:
            assert within == 9
            return ModelUnavailable("The weights are not readable.")

    monkeypatch.setattr(office.fake.registry, "begin_load", lambda name: Fails())
    answer = await office.admin.post("/admin/v1/models/fake-chat/load", json={"wait": 9})
    assert refused(answer) == (503, "model_unavailable", "The weights are not readable.")
    assert [act[1] for act in await acts(office)] == ["model.load"], "it was begun"
    assert answered(await office.admin.post("/admin/v1/models/fake-chat/load"))["id"] == "fake-chat"


@pytest.mark.parametrize(
    ("act", "body", "param"),
    [
        ("load", {"wait": -1}, "wait"),
        ("load", {"wait": 601}, "wait"),
        ("load", {"grace": 1}, "grace"),
        ("unload", {"grace": "soon"}, "grace"),
        ("probe", {"prompt": "Hi"}, "prompt"),
    ],
)
async def test_wrong_bodies_are_refused(office: "Office", act: str, body: dict[str, Any], param: str) -> None:
    answer = await office.admin.post(f"/admin/v1/models/fake-chat/{act}", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_models_are_for_operators_only(office: "Office") -> None:
    async with office.fake.client(key=await office.key("inference", "usage")) as client:
        for method, path in (("GET", ""), ("POST", "/fake-chat/unload")):
            answer = await client.request(method, f"/admin/v1/models{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    assert not office.fake.registry.unloaded


async def test_names_with_slashes_and_colons_are_found(office: "Office") -> None:
    model = office.fake.catalog.models[0].model_copy(update={"name": "org/name:7b"})
    office.fake.catalog.models = (model, *office.fake.catalog.models)
    engines = dict(office.fake.registry.engines)
    office.fake.registry.engines = engines | {"org/name:7b": office.fake.engines[Task.CHAT]}
    assert answered(await office.admin.get("/admin/v1/models/org/name:7b"))["id"] == "org/name:7b"
    unloaded = answered(await office.admin.post("/admin/v1/models/org%2Fname:7b/unload"))
    assert (unloaded["id"], unloaded["state"]) == ("org/name:7b", "unloaded")
