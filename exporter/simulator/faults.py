"""Switches that make the simulated API server misbehave as real ones do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Answer:
    """An answer that waits for the next `times` requests that fit; "" fits every resource or verb."""

    code: int
    times: int
    resource: str
    verb: str
    retry_after: int | None


@dataclass(slots=True)
class Faults:
    """What is wrong with the API server just now; nothing, unless a test says so."""

    refuse_watch_list: Literal["422", "500-event", "ignore"] | None = None
    """422: the feature is off; 500-event: HTTP 200, then one ERROR line, as with an old etcd; ignore: the server
    is too old to know the option and answers as a plain watch, without the end mark."""
    stalled: bool = False
    """All watches stay open and say nothing, as behind a dead network; what happens meanwhile is sent afterwards."""
    answers: list[Answer] = field(default_factory=list)

    def answer_next(
        self, code: int, *, times: int = 1, resource: str = "", verb: str = "", retry_after: int | None = None
    ) -> None:
        """Answer the next `times` requests with this HTTP status; 429 and 503 say Retry-After 1 s by default.

        `resource` is a plural (pods, replicasets, jobs), `verb` list or watch.
        """
        if retry_after is None and code in (429, 503):
            retry_after = 1
        self.answers.append(Answer(code, times, resource, verb, retry_after))

    def take(self, resource: str, verb: str) -> Answer | None:
        """The answer prepared for such a request, if any; it is used up by one."""
        for answer in self.answers:
            if answer.resource in ("", resource) and answer.verb in ("", verb):
                answer.times -= 1
                if answer.times <= 0:
                    self.answers.remove(answer)
                return answer
        return None
