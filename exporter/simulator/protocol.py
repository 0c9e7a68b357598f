"""Reading a list or watch request as an API server does, and the answers to those that it refuses."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import msgspec
from aiohttp import web

from exporter.simulator.resources import META_VERSION, PARTIAL_KIND, SELECTORS, Json, Resource, failure

LIST_FORM, SINGLE_FORM = f"{PARTIAL_KIND}List", PARTIAL_KIND


class RefusedError(Exception):
    """The request is answered by a Status. `retry_after` is in seconds, None for no such header."""

    def __init__(self, status: Json, retry_after: int | None = None) -> None:
        super().__init__(status["message"])
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Question:
    """A list or watch request, understood. `revision` None: none was given. Times are in seconds."""

    resource: Resource
    namespace: str
    watch: bool
    partial: bool
    revision: int | None
    limit: int
    token: str
    timeout: float | None
    bookmarks: bool
    initial_events: bool

    @property
    def verb(self) -> str:
        """As RBAC calls it."""
        return "watch" if self.watch else "list"


def read(request: web.Request, resource: Resource) -> Question:
    """Understand a request or raise RefusedError with 400, 406 or 422."""
    query = request.query
    for name in ("fieldSelector", "labelSelector"):
        if query.get(name) and query[name] != SELECTORS.get(resource):
            raise RefusedError(failure(400, "BadRequest", f"{name} is not supported by this simulation"))
    watch = query.get("watch") in ("1", "true")
    initial_events = query.get("sendInitialEvents") == "true"
    if initial_events and query.get("resourceVersionMatch") != "NotOlderThan":
        raise RefusedError(invalid("resourceVersionMatch is required when sendInitialEvents is set"))
    return Question(
        resource=resource,
        namespace=request.match_info.get("namespace", ""),
        watch=watch,
        partial=_wants_partial(request.headers.get("Accept", ""), watch=watch),
        revision=_number(query.get("resourceVersion"), "resourceVersion"),
        limit=_number(query.get("limit"), "limit") or 0,
        token=query.get("continue", ""),
        timeout=_number(query.get("timeoutSeconds"), "timeoutSeconds"),
        bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
        initial_events=initial_events,
    )


def _number(text: str | None, name: str) -> int | None:
    if not text:
        return None
    if not text.isdigit():
        raise RefusedError(failure(400, "BadRequest", f'{name}: Invalid value: "{text}": must be a number'))
    return int(text)


def _wants_partial(accept: str, *, watch: bool) -> bool:
    """Whether the first acceptable form is metadata only. A list has the List form, a watch the single one."""
    for clause in accept.split(",") if accept else ["*/*"]:
        media, _, text = clause.strip().partition(";")
        parameters = dict(p.strip().partition("=")[::2] for p in text.split(";") if p)
        if media not in ("application/json", "application/*", "*/*"):
            continue
        form = parameters.get("as")
        if form is None:
            return False
        if f"{parameters.get('g')}/{parameters.get('v')}" == META_VERSION and form in (LIST_FORM, SINGLE_FORM):
            if form != (SINGLE_FORM if watch else LIST_FORM):
                raise RefusedError(failure(406, "NotAcceptable", _unacceptable(form)))
            return True
    supported = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    message = f"only the following media types are accepted: {supported}"
    raise RefusedError(failure(406, "NotAcceptable", message))


def _unacceptable(form: str) -> str:
    if form == LIST_FORM:
        return f"you requested {form}, but the requested object is not a list"
    return f"you requested {form}, but the requested object is a list"


def invalid(why: str) -> Json:
    """422: the options contradict each other or the server's features."""
    return failure(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: {why}')


def refusal(resource: Resource, verb: str, code: int) -> Json:
    """The Status with which a server in trouble answers, in the words of a real one."""
    user = "system:serviceaccount:monitoring:pod-exporter"
    where = f'"{resource.plural}" in API group "{resource.group}" at the cluster scope'
    texts = {
        401: ("Unauthorized", "Unauthorized"),
        403: ("Forbidden", f'{resource.plural} is forbidden: User "{user}" cannot {verb} resource {where}'),
        429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
        500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
        503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    }
    reason, message = texts.get(code, ("Unknown", "an error on the server has prevented the request from succeeding"))
    return failure(code, reason, message)


class Token(msgspec.Struct, frozen=True):
    """What a continue token holds: continue after `start` in the list as it was at `rv`, -1 for as it is now."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"

    def text(self) -> str:
        """The opaque form that clients hand back."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> Token:
        """The inverse of `text`; RefusedError with 400 if it is not one."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return msgspec.json.decode(raw, type=cls)
        except (binascii.Error, msgspec.DecodeError, ValueError) as error:
            raise RefusedError(failure(400, "BadRequest", "continue key is not valid")) from error
