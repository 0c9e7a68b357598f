from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.typing import EventDict

from exporter.errors import AccessError
from exporter.kube.access import Access
from exporter.kube.backoff import Backoff
from exporter.kube.connection import Connection
from exporter.kube.limits import WITHOUT_BOOKMARKS
from exporter.kube.reflector import Reflector
from exporter.kube.resources import EVENTS, JOBS, PODS, REPLICASETS
from exporter.objects import Applied, Change, Job, ReplicaSet
from exporter.vitals import RELIST_REASONS, RESTART_REASONS, WatchVitals
from tests.kube.conftest import QUICK, Follow, write_kubeconfig
from tests.kube.scripted import (
    Step,
    added,
    answer,
    bookmark,
    deleted,
    dropped,
    end_mark,
    error,
    line,
    modified,
    page,
    pod,
    refused,
    serving,
    silent,
    status,
    stream,
)

NO_WATCH_LIST = refused(422, "the feature is off")


class TestWatch:
    @pytest.fixture
    def start(self) -> Step:
        return stream(added("a", 3), end_mark(5))

    async def test_a_clean_end_goes_on_from_the_last_version(self, follow: Follow, start: Step) -> None:
        story = await follow(start, stream(modified("a", 8), deleted("a", 11)), stream(bookmark(20)))
        assert story.asked == ["stream", "watch@5", "watch@11", "watch@20"]
        assert story.told == "*a =a +a -a"
        assert story.pauses == []
        assert story.vitals.restarts == Counter(end=3)

    async def test_a_clean_end_without_a_line_goes_on_from_the_same_version(self, follow: Follow, start: Step) -> None:
        story = await follow(start, stream(), stream())
        assert story.asked == ["stream", "watch@5", "watch@5", "watch@5"]

    async def test_ends_that_come_at_once_are_followed_by_growing_pauses(self, follow: Follow, start: Step) -> None:
        story = await follow(start, stream(), stream(), limits=replace(QUICK, brief=5.0))
        assert story.pauses == [0.8, 1.6, 3.2]

    @pytest.mark.parametrize("half", [modified("a", 9)[:-1], modified("a", 9)[:40]])
    @pytest.mark.parametrize("end", ["cut", "clean"])
    async def test_half_a_line_is_dropped_and_asked_for_again(
        self, follow: Follow, start: Step, half: bytes, end: str
    ) -> None:
        story = await follow(start, stream(modified("a", 8), half, end=end), stream(modified("a", 9)))
        assert story.asked == ["stream", "watch@5", "watch@8", "watch@9"]
        assert story.told == "*a =a +a +a"
        assert story.vitals.restarts["connection"] == 1

    async def test_a_line_may_come_in_many_pieces(self, follow: Follow, start: Step) -> None:
        text = modified("a", 8) + deleted("a", 9)
        pieces = [text[at : at + 1] for at in range(len(text))]
        story = await follow(start, stream(*pieces))
        assert story.told == "*a =a +a -a"

    @pytest.mark.parametrize(
        "expired", [refused(410), stream(error(410, "too old resource version"))], ids=["status", "ERROR"]
    )
    async def test_an_expired_version_is_followed_by_a_complete_list(
        self, follow: Follow, start: Step, expired: Step
    ) -> None:
        story = await follow(start, expired, stream(added("b"), end_mark(9)))
        assert story.asked == ["stream", "watch@5", "stream", "watch@9"]
        assert story.told == "*a =a *b =b"
        assert story.vitals.relists == Counter(expired=1)
        assert story.vitals.restarts == Counter(expired=1, end=2)

    async def test_a_line_without_a_version_makes_us_list_again(self, follow: Follow, start: Step) -> None:
        nowhere = line("MODIFIED", {"metadata": {"name": "a", "uid": "uid-a"}})
        story = await follow(start, stream(nowhere), stream(end_mark(9)))
        assert story.asked == ["stream", "watch@5", "stream", "watch@9"]

    async def test_a_stream_without_a_byte_is_given_up(self, follow: Follow, start: Step) -> None:
        story = await follow(start, stream(modified("a", 8), end="hang"))
        assert story.asked == ["stream", "watch@5", "watch@8"]
        assert story.vitals.restarts["silence"] == 1

    async def test_a_request_without_an_answer_is_given_up(self, follow: Follow, start: Step) -> None:
        story = await follow(start, silent())
        assert story.vitals.restarts["silence"] == 1

    async def test_a_timeout_is_drawn_between_five_and_ten_minutes(self, follow: Follow) -> None:
        limits = replace(QUICK, timeout=(300, 600))
        seconds = [int((await follow(limits=limits)).server.requests[0].query["timeoutSeconds"]) for _ in range(8)]
        assert all(300 <= chosen <= 600 for chosen in seconds)
        assert len(set(seconds)) > 1


class TestSilenceLimit:
    """Quick limits: 0.3 s at first, 0.15 s once two periodic bookmarks have come."""

    @staticmethod
    def start(*more: bytes) -> Step:
        return stream(end_mark(5), *more, 0.22, modified("late", 9), end="hang")

    async def test_it_is_the_timeout_and_slack_at_first(self, follow: Follow) -> None:
        story = await follow(self.start(bookmark(6)))
        assert story.told == "= +late"

    async def test_it_is_shorter_after_two_periodic_bookmarks(self, follow: Follow) -> None:
        story = await follow(self.start(bookmark(6), bookmark(7)))
        assert story.told == "="
        assert story.asked == ["stream", "watch@7"]


class TestFailures:
    @pytest.mark.parametrize(
        ("failure", "why"),
        [
            (refused(500), "server"),
            (refused(404), "server"),
            (answer(status=302, Location="http://127.0.0.1:1/elsewhere"), "server"),
            (stream(error(500, "etcd is away")), "server"),
            (dropped(), "connection"),
            (refused(403), "forbidden"),
            (refused(503), "throttled"),
            (stream(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":7}}}\n'), "protocol"),
            (stream(b'{"type":"ERROR","object":{"code":"x"}}\n'), "protocol"),
            (stream(b'{"type":"ERROR","object":{"code"\n'), "protocol"),
        ],
    )
    async def test_each_failure_is_counted_and_retried_after_a_pause(
        self, follow: Follow, failure: Step, why: str
    ) -> None:
        story = await follow(stream(end_mark(5)), failure, stream(added("late", 6)))
        assert story.told == "= +late"
        assert story.asked == ["stream", "watch@5", "watch@5", "watch@6"]
        assert story.pauses == [0.8]
        assert story.vitals.restarts == Counter({"end": 2, why: 1})
        assert set(story.vitals.restarts) <= set(RESTART_REASONS)

    async def test_pauses_grow_while_failures_follow_each_other(self, follow: Follow) -> None:
        story = await follow(*[refused(500) for _ in range(7)])
        assert story.pauses == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]

    async def test_an_expired_version_does_not_wait_for_failures_before_it(self, follow: Follow) -> None:
        """The API server was away and is back: each second until the list is one of which causes stay unknown."""
        away = [dropped() for _ in range(5)]
        story = await follow(stream(end_mark(5)), *away, refused(410), stream(end_mark(9)))
        assert story.pauses == [0.8, 1.6, 3.2, 6.4, 12.8, 0.8]

    async def test_expiries_in_a_row_are_each_paid_for_by_a_longer_pause(self, follow: Follow) -> None:
        story = await follow(*[step for _ in range(3) for step in (stream(end_mark(5)), refused(410))])
        assert story.pauses == [0.8, 1.6, 3.2]

    async def test_a_connection_that_lived_long_enough_ends_the_row_of_failures(self, follow: Follow) -> None:
        backoff = Backoff(healthy=0.05, uniform=lambda _low, high: high)
        story = await follow(refused(500), refused(500), stream(end_mark(5), 0.1, error(500)), backoff=backoff)
        assert story.pauses == [0.8, 1.6, 0.8]

    @pytest.mark.parametrize(
        "slow_down",
        [
            refused(429, Retry_After="7"),
            refused(503, Retry_After="Sat, 05 Dec 2026 10:00:07 GMT"),
            answer(status(429, seconds=7), 429),
            stream(error(429, seconds=7)),
        ],
        ids=["seconds", "date", "details", "ERROR"],
    )
    async def test_a_pause_that_the_server_asks_for_is_added(self, follow: Follow, slow_down: Step) -> None:
        story = await follow(stream(end_mark(5)), slow_down)
        assert story.pauses == [7.8]
        assert story.vitals.restarts["throttled"] == 1

    async def test_pods_that_may_not_be_read_stay_unsynced_until_they_may(
        self, follow: Follow, logged: list[EventDict]
    ) -> None:
        story = await follow(refused(403), refused(403), refused(403))
        assert not story.vitals.synced
        assert story.vitals.enabled
        assert story.pauses == [0.8, 1.6, 3.2]
        assert [entry["reason"] for entry in logged if entry["log_level"] == "warning"] == ["forbidden"]

    @pytest.mark.parametrize("resource", [REPLICASETS, JOBS])
    async def test_owners_that_may_not_be_read_turn_the_feature_off_and_are_tried_rarely(
        self, follow: Follow, logged: list[EventDict], resource: object
    ) -> None:
        story = await follow(refused(403), refused(403), resource=resource, limits=replace(QUICK, forbidden=600.0))
        assert story.pauses == [600.0, 600.0]
        assert not story.vitals.enabled
        assert len([entry for entry in logged if entry["log_level"] == "warning"]) == 1

    async def test_a_later_grant_turns_the_feature_on_again(self, follow: Follow) -> None:
        story = await follow(refused(403), dropped(), stream(end_mark(5)), resource=JOBS)
        assert story.vitals.enabled
        assert story.vitals.synced

    async def test_a_failure_is_said_once_with_its_end(self, follow: Follow, logged: list[EventDict]) -> None:
        await follow(refused(500, "x" * 999), refused(500), dropped(), stream(end_mark(5)))
        said = [(entry["log_level"], entry.get("reason", entry.get("after"))) for entry in logged]
        assert said == [("warning", "server"), ("warning", "connection"), ("info", "connection"), ("info", None)]
        assert all(len(str(value)) <= 200 for entry in logged for value in entry.values())

    async def test_a_sink_that_raises_does_not_end_it_and_its_text_is_not_logged(
        self, follow: Follow, logged: list[EventDict]
    ) -> None:
        heard: list[Change] = []

        def sink(change: Change) -> None:
            heard.append(change)
            if len(heard) == 2:
                raise LookupError("secret")

        story = await follow(stream(end_mark(5), added("a", 6), added("b", 7)), stream(added("b", 7)), sink=sink)
        assert story.asked == ["stream", "watch@6", "watch@7"]
        assert "LookupError at test_reflector.py" in str(logged)
        assert "secret" not in str(logged)


class TestPoison:
    BAD = line("MODIFIED", pod("bad", 8, status={"containerStatuses": [{"name": "c", "restartCount": "3"}]}))

    async def test_a_line_that_cannot_be_decoded_is_skipped_and_its_version_kept(self, follow: Follow) -> None:
        story = await follow(stream(end_mark(5), self.BAD), stream(self.BAD, added("a", 9)))
        assert story.asked == ["stream", "watch@8", "watch@9"]
        assert story.told == "= +a"
        assert story.vitals.decode_errors == 2

    async def test_a_line_that_is_no_json_is_skipped_and_the_version_before_it_kept(self, follow: Follow) -> None:
        story = await follow(stream(end_mark(5), added("a", 7), b"oops\n"), stream(b'{"type":"FOO"}\n', b"[]\n"))
        assert story.asked == ["stream", "watch@7", "watch@7"]
        assert story.vitals.decode_errors == 3

    async def test_bad_utf_8_is_skipped_and_its_version_kept(self, follow: Follow) -> None:
        bad = added("b", 8, spec={"nodeName": "?"}).replace(b"?", b"\xff")
        story = await follow(stream(end_mark(5), added("c", 7), bad))
        assert story.told == "= +c"
        assert story.asked == ["stream", "watch@8"]

    async def test_a_poison_object_in_a_watch_list_is_not_taken_for_gone(self, follow: Follow) -> None:
        bad = self.BAD.replace(b"MODIFIED", b"ADDED")
        story = await follow(stream(added("a"), bad, end_mark(9)))
        assert story.told == "*a =a,bad"

    async def test_a_poison_deletion_in_a_watch_list_is_a_deletion(self, follow: Follow) -> None:
        story = await follow(stream(added("bad"), self.BAD.replace(b"MODIFIED", b"DELETED"), end_mark(9)))
        assert story.told == "*bad ="

    async def test_a_deletion_that_cannot_be_read_is_told_by_its_uid(self, follow: Follow) -> None:
        story = await follow(stream(end_mark(5), added("bad", 7), self.BAD.replace(b"MODIFIED", b"DELETED")))
        assert story.told == "= +bad ?uid-bad"
        assert story.asked == ["stream", "watch@8"]
        assert story.vitals.events["DELETED"] == story.vitals.decode_errors == 1

    async def test_a_deletion_of_which_not_even_the_uid_can_be_read_is_skipped(self, follow: Follow) -> None:
        story = await follow(stream(end_mark(5), line("DELETED", {"metadata": None}), added("a", 9)))
        assert story.told == "= +a"

    async def test_unicode_line_ends_inside_a_string_are_no_line_ends(self, follow: Follow) -> None:
        text = json.dumps({"type": "ADDED", "object": pod("a", 8, kind="\x85\u2028")}, ensure_ascii=False)
        story = await follow(stream(end_mark(5), text.encode() + b"\n"))
        assert story.told == "= +a"

    async def test_a_line_of_33_mib_is_read(self, follow: Follow) -> None:
        big = added("big", 8, spec={"nodeName": "n", "noise": "x" * (33 * 2**20)})
        pieces = [big[at : at + 2**20] for at in range(0, len(big), 2**20)]
        story = await follow(stream(end_mark(5), *pieces, added("a", 9)))
        assert story.told == "= +big +a"

    async def test_null_lists_are_absent_lists(self, follow: Follow) -> None:
        nulls = {"spec": {"containers": None}, "status": {"conditions": None, "containerStatuses": None}}
        story = await follow(stream(end_mark(5), added("a", 8, **nulls)))
        assert story.told == "= +a"
        assert story.vitals.decode_errors == 0


class TestVitals:
    async def test_events_are_counted_by_type(self, follow: Follow) -> None:
        story = await follow(
            stream(added("a"), modified("a", 2), end_mark(5), added("b", 6), bookmark(7), deleted("b", 8), error(500)),
        )
        assert story.vitals.events == Counter(LISTED=2, BOOKMARK=2, ADDED=1, DELETED=1, ERROR=1)

    async def test_a_namespace_is_unsynced_until_its_list_is_complete(self, follow: Follow) -> None:
        incomplete = await follow(stream(added("a"), end="cut"), namespace="demo")
        assert incomplete.vitals.unsynced == {"demo"}
        complete = await follow(stream(end_mark(5)), namespace="demo")
        assert complete.vitals.unsynced == set()
        assert complete.server.requests[0].path == "/api/v1/namespaces/demo/pods"

    async def test_the_last_contact_is_that_of_any_byte(self, follow: Follow) -> None:
        assert (await follow(stream(end="cut"))).vitals.last_contact == {"": 1000.0}
        assert (await follow(refused(500), dropped(), silent())).vitals.last_contact == {}

    async def test_relists_have_known_reasons(self, follow: Follow) -> None:
        story = await follow(stream(end_mark(5)), refused(410), stream(added("a"), end="cut"), stream(end_mark(7)))
        assert set(story.vitals.relists) == set(RELIST_REASONS)


class TestOwners:
    @pytest.mark.parametrize(("resource", "kind"), [(REPLICASETS, ReplicaSet), (JOBS, Job)])
    async def test_they_come_as_their_kind_and_without_spec(self, follow: Follow, resource: object, kind: type) -> None:
        story = await follow(NO_WATCH_LIST, page([pod("a")], 5), stream(added("b", 6)), resource=resource)
        objects = [change.object for change in story.changes if isinstance(change, Applied)]
        assert [type(item) for item in objects] == [kind, kind]
        accepted = [request.headers["Accept"].split(";")[1] for request in story.server.requests]
        assert accepted[1:3] == ["as=PartialObjectMetadataList", "as=PartialObjectMetadata"]


class TestLoop:
    async def test_the_loop_gets_its_turn_within_a_page(self, follow: Follow) -> None:
        pods = [pod(f"p{number}") for number in range(60)]
        assert await self.longest_stop(follow, NO_WATCH_LIST, page(pods, 5)) < 0.1

    async def test_the_loop_gets_its_turn_within_one_chunk_of_a_watch(self, follow: Follow) -> None:
        lines = b"".join(added(f"p{number}", number + 6) for number in range(60))
        assert await self.longest_stop(follow, stream(end_mark(5), lines)) < 0.1

    @staticmethod
    async def longest_stop(follow: Follow, *steps: Step) -> float:
        """Let each change take 5 ms and give the longest time in which the loop did not turn."""
        longest, turned = 0.0, time.perf_counter()

        async def turn() -> None:
            nonlocal longest, turned
            while True:
                longest, turned = max(longest, time.perf_counter() - turned), time.perf_counter()
                await asyncio.sleep(0)

        heard: list[Change] = []

        def work(change: Change) -> None:
            heard.append(change)
            time.sleep(0.005)

        watcher = asyncio.create_task(turn())
        await follow(*steps, sink=work)
        watcher.cancel()
        assert len(heard) == 61
        return longest


async def test_cancelling_it_closes_its_stream(tmp_path: Path) -> None:
    async with serving() as server:
        kubeconfig = write_kubeconfig(tmp_path / "config", server.url)
        connection = Connection(lambda: Access(kubeconfig))
        task = asyncio.create_task(Reflector(connection, PODS, "", print, WatchVitals("pods")).run())
        await server.done.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await server.left.wait()
        await connection.close()


async def test_no_server_at_all_is_waited_for(tmp_path: Path) -> None:
    vitals, pauses = WatchVitals("pods"), list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    kubeconfig = write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    connection = Connection(lambda: Access(kubeconfig))
    with pytest.raises(asyncio.CancelledError):
        await Reflector(connection, PODS, "", print, vitals, sleep=pause).run()
    assert vitals.restarts == Counter(connection=3)
    assert vitals.last_contact == {}
    await connection.close()


async def test_missing_credentials_are_waited_for(logged: list[EventDict]) -> None:
    async def stop(_: float) -> None:
        raise asyncio.CancelledError

    def load() -> Access:
        raise AccessError("kubeconfig: log in anew")

    vitals = WatchVitals("pods")
    with pytest.raises(asyncio.CancelledError):
        await Reflector(Connection(load), PODS, "", print, vitals, sleep=stop).run()
    assert vitals.restarts == Counter(unauthorized=1)
    assert logged[0]["error"] == "kubeconfig: log in anew"


def event(name: str, version: int, count: int = 1) -> dict[str, object]:
    """An Event's JSON, with what the API server sends besides."""
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "demo", "uid": f"uid-{name}", "resourceVersion": str(version)},
        "involvedObject": {"kind": "Pod", "namespace": "demo", "name": "web-0", "uid": "u", "apiVersion": "v1"},
        "reason": "Unhealthy",
        "message": "Liveness probe failed: ",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2026-11-22T21:06:52Z",
        "lastTimestamp": None,
        "eventTime": "2026-11-22T21:06:52.123456Z",
        "series": {"count": count, "lastObservedTime": "2026-11-22T21:06:52.123456Z"},
        "type": "Warning",
    }


LONG = replace(QUICK, timeout=(300, 300))
EVENT_LIST = page([event("e", 3)], 5)


class TestEvents:
    """They have no watch cache: lists come in pages, no bookmark ever comes, and a quiet watch must stay young."""

    RENEWING = replace(QUICK, timeout=(1, 1), renewal=0.95, brief=0.01)

    async def test_they_come_in_pages_and_are_selected_by_the_server(self, follow: Follow) -> None:
        more = stream(line("MODIFIED", event("e", 7, 2)), line("DELETED", event("e", 8)))
        story = await follow(
            page([event("d", 2)], 5, "next"), page([event("e", 3)], 5), more, resource=EVENTS, limits=LONG
        )
        assert story.asked == ["list", "list>next", "watch@5", "watch@8"]
        assert story.told == "*d *e =d,e +e -e"
        assert {r.query["fieldSelector"] for r in story.server.requests} == {"involvedObject.kind=Pod"}
        assert story.vitals.decode_errors == 0

    async def test_a_quiet_watch_goes_on_from_a_younger_version(self, follow: Follow) -> None:
        """The second answer is that of the list that asks where the collection stands."""
        quiet = stream(0.3)
        story = await follow(EVENT_LIST, quiet, page([event("e", 3)], 90), resource=EVENTS, limits=self.RENEWING)
        assert story.asked == ["list", "watch@5", "list", "watch@90"]
        assert story.server.requests[2].query["limit"] == "1"
        assert story.told == "*e =e"

    async def test_a_line_after_the_renewal_is_younger_still(self, follow: Follow) -> None:
        busy = stream(0.3, line("ADDED", event("f", 95)))
        story = await follow(EVENT_LIST, busy, page([], 90), resource=EVENTS, limits=self.RENEWING)
        assert story.asked == ["list", "watch@5", "list", "watch@95"]

    async def test_a_watch_that_breaks_does_not_adopt_the_renewal(self, follow: Follow) -> None:
        """What was on its way between the two versions would be lost."""
        story = await follow(EVENT_LIST, stream(0.3, end="cut"), page([], 90), resource=EVENTS, limits=self.RENEWING)
        assert story.asked == ["list", "watch@5", "list", "watch@5"]

    async def test_a_renewal_that_fails_changes_nothing(self, follow: Follow) -> None:
        story = await follow(EVENT_LIST, stream(0.3), refused(500, "no"), resource=EVENTS, limits=self.RENEWING)
        assert story.asked == ["list", "watch@5", "list", "watch@5"]

    async def test_an_end_at_once_and_empty_means_that_the_version_is_too_old(self, follow: Follow) -> None:
        story = await follow(EVENT_LIST, stream(), EVENT_LIST, resource=EVENTS, limits=replace(LONG, brief=5.0))
        assert story.asked == ["list", "watch@5", "list", "watch@5"]
        assert story.vitals.restarts == Counter(expired=1)
        assert story.vitals.relists == Counter(expired=1)
        assert story.pauses == [0.8], "lists of Events are dear: not at once again"

    async def test_a_renewal_that_comes_late_is_not_adopted(self, follow: Follow) -> None:
        """The watch may have ended before the list was made, and what came between is in no watch."""
        late = stream(0.4, json.dumps({"metadata": {"resourceVersion": "90"}, "items": []}).encode())
        limits = replace(self.RENEWING, renewal=0.6, page=1.0)
        story = await follow(EVENT_LIST, stream(0.9), late, resource=EVENTS, limits=limits)
        assert story.asked == ["list", "watch@5", "list", "watch@5"]

    async def test_pods_never_renew(self, follow: Follow) -> None:
        story = await follow(stream(added("a", 3), end_mark(5), 0.3), stream(), limits=self.RENEWING)
        assert story.asked == ["stream", "watch@5", "watch@5"]

    async def test_a_watch_of_events_is_shorter_than_etcds_compaction_interval(self) -> None:
        assert WITHOUT_BOOKMARKS.timeout[1] + WITHOUT_BOOKMARKS.slack < 300
