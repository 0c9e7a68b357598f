"""The list and watch protocol, as real API servers speak it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from exporter.simulator import Simulation, demo
from exporter.simulator.samples import app, template
from exporter.simulator.workloads import Deployment, bare_pod

PODS = "/api/v1/pods"
LIST_META = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
WATCH_META = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
WATCH_LIST = {
    "watch": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


@asynccontextmanager
async def cluster(pods: int = 0, **options: Any) -> AsyncIterator[tuple[Simulation, aiohttp.ClientSession]]:
    """A served simulation with quiet pods, and a client."""
    async with Simulation(**options) as sim, aiohttp.ClientSession(sim.url) as session:
        if pods:
            sim.populate(pods)
        yield sim, session


async def listed(session: aiohttp.ClientSession, path: str = PODS, **query: str) -> Any:
    async with session.get(path, params=query) as response:
        return response.status, await response.json()


async def heard(response: aiohttp.ClientResponse, number: int) -> list[Any]:
    async with asyncio.timeout(5):
        return [json.loads(await response.content.readline()) for _ in range(number)]


def touch(sim: Simulation) -> None:
    """Change one pod, so that watches have something to say."""
    sim.cluster.kubelet.turn(next(iter(sim.cluster.pods.values())))


async def test_a_list_has_items_without_kind_and_the_current_resource_version() -> None:
    async with cluster(3) as (sim, session):
        status, body = await listed(session)
        assert status == 200
        assert (body["kind"], body["apiVersion"]) == ("PodList", "v1")
        assert body["metadata"] == {"resourceVersion": str(sim.store.revision)}
        assert [set(item) for item in body["items"]] == [{"metadata", "spec", "status"}] * 3


async def test_pages_show_the_state_of_the_first_page_to_the_end() -> None:
    async with cluster(5) as (sim, session):
        _, first = await listed(session, limit="2")
        assert first["metadata"]["remainingItemCount"] == 3
        sim.populate(4)
        names = [item["metadata"]["name"] for item in first["items"]]
        page = first
        while token := page["metadata"].get("continue"):
            _, page = await listed(session, **{"limit": "2", "continue": token})
            assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
            names += [item["metadata"]["name"] for item in page["items"]]
        assert names == sorted(names)
        assert len(set(names)) == 5


async def test_a_continue_token_expires_with_compaction_and_offers_an_inconsistent_rest() -> None:
    async with cluster(5) as (sim, session):
        _, first = await listed(session, limit="2")
        sim.store.compact()
        status, body = await listed(session, **{"limit": "2", "continue": first["metadata"]["continue"]})
        assert (status, body["kind"], body["code"], body["reason"]) == (410, "Status", 410, "Expired")
        status, rest = await listed(session, **{"continue": body["metadata"]["continue"]})
        assert (status, len(rest["items"])) == (200, 3)


async def test_a_continue_token_expires_with_age() -> None:
    async with cluster(3) as (sim, session):
        _, first = await listed(session, limit="2")
        sim.server.lists.token_seconds = 0.0
        status, _ = await listed(session, **{"continue": first["metadata"]["continue"]})
        assert status == 410


async def test_a_token_that_is_none_is_a_bad_request() -> None:
    async with cluster(1) as (_, session):
        assert (await listed(session, **{"continue": "!!"}))[0] == 400


async def test_a_list_of_the_future_times_out() -> None:
    async with cluster(1) as (_, session):
        status, body = await listed(session, resourceVersion="999999")
        assert (status, body["reason"]) == (504, "Timeout")


async def test_selectors_are_refused_rather_than_ignored() -> None:
    async with cluster() as (_, session):
        assert (await listed(session, fieldSelector="spec.nodeName=node-1"))[0] == 400


async def test_a_watch_list_sends_everything_then_the_end_mark_then_changes() -> None:
    async with cluster(3) as (sim, session), session.get(PODS, params=WATCH_LIST) as response:
        lines = await heard(response, 4)
        touch(sim)
        lines += await heard(response, 1)
    assert [line["type"] for line in lines] == ["ADDED"] * 3 + ["BOOKMARK", "MODIFIED"]
    mark = lines[3]["object"]
    assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert (mark["kind"], mark["spec"], mark["status"]) == ("Pod", {"containers": None}, {})
    assert int(lines[4]["object"]["metadata"]["resourceVersion"]) > int(mark["metadata"]["resourceVersion"])


@pytest.mark.parametrize(("group", "plural", "kind"), [("apps", "replicasets", "ReplicaSet"), ("batch", "jobs", "Job")])
async def test_owners_are_served_metadata_only_in_lists_and_watches(group: str, plural: str, kind: str) -> None:
    path = f"/apis/{group}/v1/{plural}"
    async with cluster() as (sim, session):
        Deployment(sim.cluster, "demo", "web", template(app()))
        async with session.get(path, headers=LIST_META) as response:
            body = await response.json()
            assert body["kind"] == "PartialObjectMetadataList"
            assert len(body["items"]) == (kind == "ReplicaSet")
            for item in body["items"]:
                assert item["kind"] == "PartialObjectMetadata"
                assert set(item) == {"kind", "apiVersion", "metadata"}
                assert item["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
        async with session.get(path, params=WATCH_LIST, headers=WATCH_META) as response:
            lines = await heard(response, len(body["items"]) + 1)
            assert {line["object"]["kind"] for line in lines} == {"PartialObjectMetadata"}


@pytest.mark.parametrize(("query", "headers"), [({"watch": "true"}, LIST_META), ({}, WATCH_META)])
async def test_the_wrong_metadata_form_is_not_acceptable(query: dict[str, str], headers: dict[str, str]) -> None:
    async with cluster(1) as (_, session), session.get(PODS, params=query, headers=headers) as response:
        assert response.status == 406
        assert (await response.json())["reason"] == "NotAcceptable"


async def test_protobuf_alone_is_not_acceptable_but_with_json_behind_it_is() -> None:
    proto = "application/vnd.kubernetes.protobuf"
    async with cluster(1) as (_, session):
        async with session.get(PODS, headers={"Accept": proto}) as response:
            assert response.status == 406
        async with session.get(PODS, headers={"Accept": f"{proto},application/json"}) as response:
            assert response.status == 200


async def test_a_watch_goes_on_from_its_resource_version_without_gap_or_repetition() -> None:
    async with cluster(2) as (sim, session):
        since = sim.store.revision
        touch(sim)
        async with session.get(PODS, params={"watch": "true", "resourceVersion": str(since)}) as response:
            touch(sim)
            touch(sim)
            lines = await heard(response, 3)
        assert [int(line["object"]["metadata"]["resourceVersion"]) for line in lines] == [since + n for n in (1, 2, 3)]


async def test_a_watch_without_resource_version_starts_with_what_is_there() -> None:
    async with cluster(2) as (_, session), session.get(PODS, params={"watch": "true"}) as response:
        assert [line["type"] for line in await heard(response, 2)] == ["ADDED", "ADDED"]


async def test_a_watch_of_one_namespace_hears_of_no_other() -> None:
    async with cluster(2) as (sim, session):
        bare_pod(sim.cluster, "demo", "nginx-pod", template(app()))
        query = {"watch": "true", "resourceVersion": str(sim.store.revision)}
        async with session.get("/api/v1/namespaces/demo/pods", params=query) as response:
            touch(sim)
            sim.advance(0.5)
            (line,) = await heard(response, 1)
        assert line["object"]["metadata"]["namespace"] == "demo"
        assert len((await listed(session, "/api/v1/namespaces/demo/pods"))[1]["items"]) == 1


@pytest.mark.parametrize("forget", ["compaction", "overflow"])
async def test_a_watch_from_too_old_a_version_is_200_and_an_error_event_410(forget: str) -> None:
    async with cluster(3, history=2) as (sim, session):
        old = sim.store.revision - 2
        if forget == "compaction":
            sim.store.compact()
        else:
            old -= 1
        async with session.get(PODS, params={"watch": "true", "resourceVersion": str(old)}) as response:
            assert response.status == 200
            (line,) = await heard(response, 1)
            assert await response.content.read() == b""
        assert line["type"] == "ERROR"
        assert (line["object"]["kind"], line["object"]["code"]) == ("Status", 410)
        assert line["object"]["reason"] == "Expired"


async def test_bookmarks_come_periodically_only_to_those_who_asked() -> None:
    async with cluster(1, bookmark_interval=0.05) as (sim, session):
        query = {"watch": "true", "resourceVersion": str(sim.store.revision), "timeoutSeconds": "1"}
        async with session.get(PODS, params=query) as response:
            silent = await response.content.read()
        async with session.get(PODS, params={**query, "allowWatchBookmarks": "true"}) as response:
            lines = await heard(response, 3)
    assert silent == b""
    assert {line["type"] for line in lines} == {"BOOKMARK"}
    assert "annotations" not in lines[0]["object"]["metadata"]


async def test_timeout_seconds_ends_the_stream_cleanly() -> None:
    async with cluster(1) as (_, session):
        began = asyncio.get_running_loop().time()
        async with session.get(PODS, params={**WATCH_LIST, "timeoutSeconds": "1"}) as response:
            body = await response.content.read()
        assert 0.9 < asyncio.get_running_loop().time() - began < 3
        assert len(body.splitlines()) == 2


async def test_a_cut_breaks_the_stream_and_a_clean_one_ends_it() -> None:
    async with cluster(1) as (sim, session):
        async with session.get(PODS, params=WATCH_LIST) as response:
            await heard(response, 2)
            assert sim.server.cut_watches() == 1
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
        async with session.get(PODS, params=WATCH_LIST) as response:
            await heard(response, 2)
            sim.server.cut_watches("pods", clean=True)
            assert await response.content.read() == b""


async def test_open_watches_can_be_failed_with_an_error_event() -> None:
    async with cluster(1) as (sim, session), session.get(PODS, params=WATCH_LIST) as response:
        await heard(response, 2)
        sim.server.fail_watches(500, "InternalError", "etcdserver: no leader")
        (line,) = await heard(response, 1)
        assert (line["type"], line["object"]["code"]) == ("ERROR", 500)
        assert await response.content.read() == b""


async def test_a_refused_watch_list_is_422_or_an_error_event_500_or_ignored() -> None:
    async with cluster(1) as (sim, session):
        sim.faults.refuse_watch_list = "422"
        async with session.get(PODS, params=WATCH_LIST) as response:
            assert response.status == 422
            assert (await response.json())["reason"] == "Invalid"
        sim.faults.refuse_watch_list = "500-event"
        async with session.get(PODS, params=WATCH_LIST) as response:
            assert response.status == 200
            (line,) = await heard(response, 1)
            assert (line["type"], line["object"]["code"]) == ("ERROR", 500)
            assert await response.content.read() == b""
        sim.faults.refuse_watch_list = "ignore"
        async with session.get(PODS, params={**WATCH_LIST, "timeoutSeconds": "1"}) as response:
            lines = (await response.content.read()).splitlines()
            assert b"initial-events-end" not in b"".join(lines)
            assert json.loads(lines[0])["type"] == "ADDED"


async def test_prepared_answers_are_given_once_to_the_requests_that_fit() -> None:
    async with cluster(1) as (sim, session):
        sim.faults.answer_next(429, times=2, resource="pods")
        sim.faults.answer_next(403, verb="watch")
        async with session.get(PODS) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert (await listed(session, "/apis/batch/v1/jobs"))[0] == 200
        assert (await listed(session))[0] == 429
        assert (await listed(session))[0] == 200
        assert (await listed(session, watch="true"))[0] == 403
        for code, reason in ((401, "Unauthorized"), (500, "InternalError"), (503, "ServiceUnavailable")):
            sim.faults.answer_next(code)
            status, body = await listed(session)
            assert (status, body["code"], body["reason"]) == (code, code, reason)


async def test_a_stalled_watch_is_silent_and_loses_nothing() -> None:
    async with cluster(1) as (sim, session), session.get(PODS, params=WATCH_LIST) as response:
        await heard(response, 2)
        sim.faults.stalled = True
        touch(sim)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await response.content.readline()
        sim.faults.stalled = False
        assert [line["type"] for line in await heard(response, 1)] == ["MODIFIED"]


async def test_the_date_header_is_virtual_time() -> None:
    async with cluster(start=1_795_381_620.0) as (sim, session):
        sim.advance(3600)
        async with session.get("/version") as response:
            assert parsedate_to_datetime(response.headers["Date"]).timestamp() == 1_795_381_620.0 + 3600
            assert (await response.json())["minor"] == "36"
        async with session.get("/readyz") as response:
            assert await response.text() == "ok"


async def test_what_is_not_there_is_a_status_404() -> None:
    async with cluster() as (_, session):
        status, body = await listed(session, "/api/v1/secrets")
        assert (status, body["kind"], body["reason"]) == (404, "Status", "NotFound")


async def test_closed_clients_leave_no_watch_behind() -> None:
    async with cluster(1) as (sim, session):
        async with session.get(PODS, params=WATCH_LIST) as response:
            await heard(response, 2)
            assert [question.timeout for question in sim.server.open_watches] == [None]
            response.close()
        async with asyncio.timeout(5):
            while sim.server.open_watches:  # noqa: ASYNC110 - only the server knows when it has noticed
                await asyncio.sleep(0.01)


async def test_a_running_simulation_streams_as_time_passes() -> None:
    async with cluster(speed=50.0, scenario=demo) as (sim, session), session.get(PODS, params=WATCH_LIST) as response:
        before = sim.now
        lines = await heard(response, 100)
        assert sim.now > before
        assert {"ADDED", "MODIFIED"} <= {line["type"] for line in lines}


async def test_a_stopped_server_comes_back_on_the_same_port() -> None:
    async with cluster(1) as (sim, session):
        url = sim.url
        await sim.server.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(PODS)
        await sim.server.start()
        assert sim.url == url
        assert (await listed(session))[0] == 200
