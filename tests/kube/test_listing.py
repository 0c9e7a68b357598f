from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from exporter.objects import Listed, Pod
from tests.kube.conftest import QUICK, Follow
from tests.kube.scripted import (
    DATE_UNIX,
    Step,
    added,
    answer,
    bookmark,
    deleted,
    dropped,
    end_mark,
    error,
    modified,
    page,
    pod,
    refused,
    silent,
    stream,
)

NO_WATCH_LIST = refused(422, "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
OLD_ETCD = "etcd does not support a required storage feature RequestWatchProgress"


class TestWatchList:
    async def test_objects_before_the_end_mark_are_listed_and_those_after_it_are_not(self, follow: Follow) -> None:
        story = await follow(stream(added("a", 3), added("b", 5), end_mark(7), added("c", 8), modified("a", 9)))
        assert story.told == "*a *b =a,b +c +a"

    async def test_it_asks_for_the_most_recent_state_with_bookmarks(self, follow: Follow) -> None:
        story = await follow()
        query = story.server.requests[0].query
        assert query.pop("timeoutSeconds") == "0"
        assert query == {
            "watch": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
        }

    async def test_a_pod_deleted_before_the_end_mark_is_not_in_the_list(self, follow: Follow) -> None:
        story = await follow(stream(added("a"), added("b"), deleted("a", 4), end_mark(5)))
        assert story.told == "*a *b -a =b"

    async def test_a_pod_changed_before_the_end_mark_is_still_listed(self, follow: Follow) -> None:
        story = await follow(stream(added("a"), modified("a", 4), modified("b", 5), end_mark(6)))
        assert story.told == "*a *a *b =a,b"

    async def test_an_empty_cluster_is_a_complete_list(self, follow: Follow) -> None:
        story = await follow(stream(end_mark(5)))
        assert story.changes == [Listed(Pod, "", frozenset(), DATE_UNIX)]
        assert story.vitals.synced

    async def test_a_stream_cut_before_the_end_mark_is_begun_again(self, follow: Follow) -> None:
        story = await follow(stream(added("a"), end="cut"), stream(added("b"), end_mark(5)))
        assert story.told == "*a *b =b"
        assert story.vitals.relists == Counter(interrupted=1)
        assert story.asked == ["stream", "stream", "watch@5"]

    @pytest.mark.parametrize(
        "refusal",
        [
            pytest.param(refused(400, "unknown parameter"), id="400"),
            pytest.param(NO_WATCH_LIST, id="422"),
            pytest.param(stream(error(400)), id="ERROR 400"),
            pytest.param(stream(error(422)), id="ERROR 422"),
            pytest.param(stream(error(500, OLD_ETCD)), id="ERROR 500 by an old etcd"),
            pytest.param(stream(error(500, "x" * 300 + OLD_ETCD)), id="ERROR 500 with a long text"),
            pytest.param(refused(500, OLD_ETCD), id="500 by an old etcd"),
            pytest.param(stream(added("a"), bookmark(3)), id="bookmark without the mark"),
            pytest.param(stream(end="hang"), id="silence"),
            pytest.param(stream(added("a"), end="hang"), id="silence after an object"),
            pytest.param(silent(), id="no answer"),
            pytest.param(stream(added("a")), id="end without the mark"),
        ],
    )
    async def test_after_each_kind_of_refusal_the_list_comes_in_pages(self, follow: Follow, refusal: Step) -> None:
        story = await follow(refusal, page([pod("b")], 9))
        assert story.asked == ["stream", "list", "watch@9"]
        assert story.told.removeprefix("*a ") == "*b =b"
        assert story.pauses == []
        assert story.vitals.relists == Counter()

    async def test_a_refusal_is_remembered(self, follow: Follow) -> None:
        story = await follow(NO_WATCH_LIST, page([], 5), refused(410), page([], 9))
        assert story.asked == ["stream", "list", "watch@5", "list", "watch@9"]

    async def test_a_refusal_is_forgotten_in_time(self, follow: Follow) -> None:
        limits = replace(QUICK, watch_list_again=0.02)
        story = await follow(NO_WATCH_LIST, page([], 5), stream(0.05, error(410)), stream(end_mark(9)), limits=limits)
        assert story.asked == ["stream", "list", "watch@5", "stream", "watch@9"]

    @pytest.mark.parametrize("code", [401, 403, 404, 410, 429, 500, 503])
    async def test_other_errors_are_no_refusal(self, follow: Follow, code: int) -> None:
        story = await follow(refused(code, "no"), stream(error(code, "no")), stream(end_mark(5)))
        assert story.asked == ["stream", "stream", "stream", "watch@5"]


class TestPages:
    async def test_items_are_told_as_pages_arrive_and_the_list_at_the_end(self, follow: Follow) -> None:
        story = await follow(NO_WATCH_LIST, page([pod("a"), pod("b")], 5, "t1"), page([pod("c")], 5))
        assert story.told == "*a *b *c =a,b,c"
        assert story.asked == ["stream", "list", "list>t1", "watch@5"]

    async def test_a_page_has_500_items_of_the_most_recent_state(self, follow: Follow) -> None:
        story = await follow(NO_WATCH_LIST, page([], 5))
        assert story.server.requests[1].query == {"limit": "500"}

    async def test_null_items_are_an_empty_page(self, follow: Follow) -> None:
        story = await follow(NO_WATCH_LIST, page(None, 5))
        assert story.told == "="

    async def test_the_servers_time_is_that_of_the_first_page(self, follow: Follow) -> None:
        later = {"Date": "Sat, 05 Dec 2026 11:00:00 GMT"}
        story = await follow(NO_WATCH_LIST, page([], 5, "t1"), page([], 5, **later))
        assert story.changes == [Listed(Pod, "", frozenset(), DATE_UNIX)]

    @pytest.mark.parametrize("date", ["", "now"])
    async def test_without_a_date_the_time_is_our_own(self, follow: Follow, date: str) -> None:
        story = await follow(NO_WATCH_LIST, page([], 5, Date=date))
        assert story.changes == [Listed(Pod, "", frozenset(), 1000.0)]

    async def test_an_expired_token_begins_the_list_again_and_forgets_its_uids(self, follow: Follow) -> None:
        story = await follow(
            NO_WATCH_LIST, page([pod("a")], 5, "t1"), refused(410, "token expired"), page([pod("b")], 9)
        )
        assert story.told == "*a *b =b"
        assert story.asked == ["stream", "list", "list>t1", "list", "watch@9"]
        assert story.vitals.relists == Counter(interrupted=1)
        assert story.vitals.restarts == Counter(expired=1)

    async def test_a_malformed_token_begins_the_list_again(self, follow: Follow) -> None:
        story = await follow(NO_WATCH_LIST, page([], 5, "t1"), refused(400), page([], 9))
        assert story.asked == ["stream", "list", "list>t1", "list", "watch@9"]

    @pytest.mark.parametrize(
        "failure",
        [refused(429), refused(500), refused(401), dropped(), silent(), answer(b"<html>"), answer(b"{}")],
        ids=["429", "500", "401", "dropped", "silent", "no JSON", "no list"],
    )
    async def test_a_page_that_fails_is_asked_for_again_and_the_earlier_ones_are_not(
        self, follow: Follow, failure: Step
    ) -> None:
        story = await follow(NO_WATCH_LIST, page([pod("a")], 5, "t1"), failure, page([pod("b")], 5))
        assert story.asked == ["stream", "list", "list>t1", "list>t1", "watch@5"]
        assert story.told == "*a *b =a,b"
        assert story.vitals.relists == Counter()

    async def test_one_poison_item_costs_only_itself_and_is_not_taken_for_gone(self, follow: Follow) -> None:
        bad = pod("bad", status={"containerStatuses": [{"name": "c", "restartCount": "three"}]})
        story = await follow(NO_WATCH_LIST, page([pod("a"), bad, pod("b")], 5))
        assert story.told == "*a *b =a,b,bad"
        assert story.vitals.decode_errors == 1
        assert story.vitals.events == Counter(LISTED=2)
