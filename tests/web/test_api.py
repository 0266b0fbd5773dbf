"""REST: who may, what comes back, and what bad input gets."""

import asyncio
import io
import wave
from typing import Any

import httpx
import numpy as np
import pytest

from tests.web.conftest import ORIGIN, PROXIED
from web.app import Guarded


def is_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def sound(seconds: float = 1.0, channels: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.zeros(int(16_000 * seconds) * channels, "<i2").tobytes())
    return out.getvalue()


async def started(agent: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await agent.post("/api/calls", json={"mode": "sample", **wanted})
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


@pytest.mark.parametrize(
    "path", ["/api/session", "/api/status", "/api/calls", "/api/calls/x", "/api/calls/x/events", "/api/calls/x/audio", "/api/contacts"]
)
async def test_a_stranger_reads_nothing(stranger: httpx.AsyncClient, path: str) -> None:
    """Without a session every path of the API answers 401."""
    is_problem(await stranger.get(path), 401)


async def test_a_sign_in_link_works_once(app: Guarded, stranger: httpx.AsyncClient) -> None:
    """The second use of a sign-in link is refused."""
    token = await app.app.state.doors.sign_in_token()
    assert (await stranger.get(f"/sign-in?token={token}")).status_code == 303
    stranger.cookies.clear()
    assert (await stranger.get(f"/sign-in?token={token}")).status_code == 403


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": ""}, {"origin": "null"}])
async def test_another_site_changes_nothing(agent: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """A POST from another origin, or from none, is refused even with the session's cookie."""
    is_problem(await agent.post("/api/calls", json={"mode": "sample"}, headers=headers), 403)


async def test_another_host_name_is_refused(agent: httpx.AsyncClient) -> None:
    """A name that somebody pointed at this computer (DNS rebinding) reaches nothing."""
    is_problem(await agent.get("/api/session", headers={"host": "evil.example"}), 421)


async def test_a_call_from_start_to_deletion(agent: httpx.AsyncClient) -> None:
    """A call starts, is listed, ends with a summary, gets its outcome, is exported and deleted."""
    call = (await started(agent, contact={"name": "Marcus"}))["id"]
    assert [row["id"] for row in (await agent.get("/api/calls?q=marc")).json()["calls"]] == [call]
    ended = (await agent.post(f"/api/calls/{call}/end", json={})).json()
    assert ended["state"] == "ended"
    assert ended["summary"] is not None
    assert (await agent.post(f"/api/calls/{call}/outcome", json={"outcome": "lost"})).json()["outcome"] == "lost"
    events = (await agent.get(f"/api/calls/{call}/events")).json()
    assert [event["n"] for event in events["events"]] == list(range(1, events["last"] + 1))
    for kind, begins in (("json", "{"), ("md", "# Call with Marcus"), ("vtt", "WEBVTT")):
        assert (await agent.get(f"/api/calls/{call}/export?format={kind}")).text.startswith(begins)
    assert (await agent.delete(f"/api/calls/{call}")).status_code == 204
    is_problem(await agent.get(f"/api/calls/{call}"), 404)


async def test_an_ended_call_takes_no_media(agent: httpx.AsyncClient) -> None:
    """An offer for a call that has ended is a conflict, said in words."""
    call = (await started(agent))["id"]
    await agent.post(f"/api/calls/{call}/end", json={})
    is_problem(await agent.post(f"/api/calls/{call}/legs", json={"sdp": "v=0", "tracks": {"0": "agent"}}), 409)


@pytest.mark.parametrize("sdp", ["", "garbage", "v=0\r\n" * 2000, "v=0\r\nm=video 9 RTP/AVP 96\r\na=mid:0\r\n", "\0\1\2"])
async def test_a_garbage_offer_is_refused(agent: httpx.AsyncClient, sdp: str) -> None:
    """An offer that is none is refused, and the call it was for goes on."""
    call = (await started(agent))["id"]
    is_problem(await agent.post(f"/api/calls/{call}/legs", json={"sdp": sdp, "tracks": {"0": "agent"}}), 422)
    assert (await agent.get(f"/api/calls/{call}")).json()["state"] == "live"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/nothing", 404), ("GET", "/nothing", 404), ("DELETE", "/api/calls/unknown", 404), ("PUT", "/api/calls", 405),
     ("POST", "/api/calls/unknown/end", 404), ("GET", "/api/calls/unknown/audio", 404), ("GET", "/api/contacts/unknown", 404),
     ("GET", "/api/calls?limit=0", 422), ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404), ("GET", "/sample/..%2f..%2fsettings.py", 404)],
)  # fmt: skip
async def test_what_does_not_exist_is_a_problem(agent: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    """Unknown ids, paths and methods give problem details."""
    is_problem(await agent.request(method, path), status)


async def test_a_body_that_is_no_json(agent: httpx.AsyncClient) -> None:
    """A body that cannot be read is a problem, not a failure."""
    is_problem(await agent.post("/api/calls", content=b"{", headers={"content-type": "application/json"}), 422)


async def test_a_long_body_is_refused(agent: httpx.AsyncClient) -> None:
    """A body over the limit is refused when its length is announced."""
    is_problem(await agent.post("/api/calls", content=b"x" * 300_000), 413)


async def test_an_unannounced_long_body_is_refused(agent: httpx.AsyncClient) -> None:
    """A body over the limit is refused when it comes in chunks of no announced length."""

    async def chunks():  # type: ignore[no-untyped-def]  # an upload
        for _ in range(40):
            yield b" " * 10_000

    is_problem(await agent.post("/api/calls", content=chunks(), headers={"content-type": "application/json"}), 413)


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\0\0\0\0WAVE", sound(0.0), sound(0.2, channels=3)])
async def test_an_upload_that_is_no_recording(agent: httpx.AsyncClient, app: Guarded, content: bytes) -> None:
    """A file that is no recording of one or two speakers is refused and not kept."""
    is_problem(await agent.post("/api/replays", files={"file": ("x.wav", content)}), 422)
    assert not list((app.app.state.calls.store.folder / "audio").iterdir())


async def test_an_oversized_upload(agent: httpx.AsyncClient) -> None:
    """A recording over the set limit is refused."""
    is_problem(await agent.post("/api/replays", files={"file": ("x.wav", sound(40))}), 413)


async def test_a_replay_is_a_call(agent: httpx.AsyncClient, app: Guarded) -> None:
    """An uploaded recording runs as a call to its end, and the upload does not stay."""
    answer = await agent.post("/api/replays", files={"file": ("x.wav", sound(1))}, data={"pace": "0"})
    assert answer.status_code == 202, answer.text
    for _ in range(100):
        view = (await agent.get(f"/api/calls/{answer.json()['id']}")).json()
        if view["state"] == "ended" and view["summary"]:
            break
        await asyncio.sleep(0.05)
    assert view["state"] == "ended"
    await asyncio.sleep(0.05)
    assert not list((app.app.state.calls.store.folder / "audio").iterdir())


async def test_consent_cannot_jump(agent: httpx.AsyncClient) -> None:
    """A change of consent that is not possible is a conflict."""
    call = (await started(agent, mode="browser"))["id"]
    is_problem(await agent.post(f"/api/calls/{call}/consent", json={"state": "revoked"}), 409)


async def test_an_experiment_without_calls_claims_nothing(agent: httpx.AsyncClient) -> None:
    """The report of an experiment has five strategies and no claim before there is data."""
    report = (await agent.get("/api/experiments/spring")).json()
    assert [arm["verdict"] for arm in report["arms"]] == ["too_few"] * 5
    assert report["says"].startswith("No claim yet")


async def test_the_api_is_described(stranger: httpx.AsyncClient) -> None:
    """The OpenAPI description is served and names the paths."""
    paths = (await stranger.get("/api/openapi.json")).json()["paths"]
    assert {"/api/calls", "/api/calls/{call}/legs", "/api/replays"} <= set(paths)


async def test_a_prospects_link_opens_no_api(agent: httpx.AsyncClient) -> None:
    """With a seat's cookie alone no path of the API answers but the one that names its call."""
    call = (await started(agent, mode="browser"))["id"]
    url = (await agent.post(f"/api/calls/{call}/link")).json()["url"]
    assert url.startswith(ORIGIN + "/join/")
    agent.cookies.clear()
    assert (await agent.get(url)).status_code == 200
    assert (await agent.get("/api/seat")).json() == {"call": call, "room": False}
    for path in (f"/api/calls/{call}", f"/api/calls/{call}/events", "/api/session"):
        is_problem(await agent.get(path), 401)
    is_problem(await agent.post(f"/api/calls/{call}/end", json={}), 401)


async def test_a_link_leads_where_the_browser_is(agent: httpx.AsyncClient) -> None:
    """Behind a proxy with TLS the request itself comes by http; the prospect's link is https all the same."""
    call = (await started(agent, mode="browser"))["id"]
    proxied = {"host": PROXIED.removeprefix("https://"), "origin": PROXIED}
    url = (await agent.post(f"/api/calls/{call}/link", headers=proxied)).json()["url"]
    assert url.startswith(PROXIED + "/join/")


async def test_cookies_of_an_https_name_are_secure(agent: httpx.AsyncClient, app: Guarded) -> None:
    """Behind a proxy with TLS a browser never sends them in the clear; on this machine's own http they still come."""
    call = (await started(agent, mode="browser"))["id"]
    url = (await agent.post(f"/api/calls/{call}/link")).json()["url"]
    proxied = {"host": PROXIED.removeprefix("https://")}
    for headers, secure in ((proxied, True), ({}, False)):
        signed_in = await agent.get(f"/sign-in?token={await app.app.state.doors.sign_in_token()}", headers=headers)
        seated = await agent.get(url.removeprefix(ORIGIN), headers=headers)
        for answer in (signed_in, seated):
            assert ("; secure" in answer.headers["set-cookie"].lower()) is secure


async def test_a_link_dies_with_its_call(agent: httpx.AsyncClient) -> None:
    """After the call neither the link nor the cookie that it gave leads anywhere."""
    call = (await started(agent, mode="browser"))["id"]
    url = (await agent.post(f"/api/calls/{call}/link")).json()["url"]
    assert (await agent.get(url)).status_code == 200
    await agent.post(f"/api/calls/{call}/end", json={})
    assert (await agent.get(url)).status_code == 404
    is_problem(await agent.get("/api/seat"), 401)
