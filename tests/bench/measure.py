"""The measurements, one after the other, of one subject in a fresh process.

CPU is the process's own, read by the kernel's clock of that process, so what the stand-in and the driver use is not in
it, and neither is waiting for a busy machine. Wall times and latencies are as a client of this process sees them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from itertools import count
from math import isnan, nan
from statistics import median, quantiles
from threading import Event
from typing import NamedTuple

from tests.bench.subjects import Poller, StandIn, Subject, Updates, marked

SYNC = 600.0
"""Seconds that a subject may take to know all pods."""
CATCH_UP = 60.0
"""Seconds that a subject may need, after the last update was sent, to show it."""
REST = 0.3
"""Seconds in which a subject does nothing: then it has handled what was sent."""
SCRAPE_INTERVAL = 5.0
_LAG_FAMILY = "pod_exporter_loop_lag_seconds"
_LAG = re.compile(rb"^pod_exporter_loop_lag_seconds (\S+)$", re.MULTILINE)
_EVENTS = re.compile(
    rb"^(?:pod_exporter|baseline)_watch_events_total(?:\{.*resource=\"pods\".*\})? (\S+)$", re.MULTILINE
)


@dataclass(frozen=True)
class Plan:
    """How much of each is done."""

    paced: int = 3000
    """Updates at `pace`."""
    pace: float = 150.0
    full: int = 20_000
    """Updates as fast as they are taken."""
    fresh_rate: float = 1000.0
    fresh_seconds: float = 25.0
    marks_per_second: int = 20
    repeats: int = 3
    """Scrapes of each kind, and parts in which updates come; the median counts."""
    poll: float = 0.01
    """Seconds between two looks at the marker."""
    settle: float = 1.0
    """Seconds without work before memory is read."""
    passive: float = 0.0
    """Seconds for which updates of a real cluster are waited for, instead of having the stand-in make some."""


class Scrape(NamedTuple):
    """Medians of some scrapes."""

    cpu: float
    seconds: float
    size: int


class Part(NamedTuple):
    """Some updates: CPU of each, how many a second, CPU of the plain scrape that followed."""

    cpu: float
    rate: float
    scrape: float


_NONE = Scrape(nan, nan, 0)


@dataclass
class Figures:
    """What was measured: seconds, MiB, bytes. NaN: not measured."""

    pods: int = 0
    series: int = 0
    sync_cpu: float = nan
    sync_seconds: float = nan
    memory: float = nan
    memory_collected: float = nan
    memory_at_last: float = nan
    memory_peak: float = nan
    paced_cpu: float = nan
    """A pod update, seconds."""
    stirred_cpu: float = nan
    """A plain scrape after a part of these updates: what they have changed is rendered then."""
    full_cpu: float = nan
    full_rate: float = nan
    """Updates a second that it took at full speed."""
    fresh_rate: float = nan
    """Updates a second during the latencies below."""
    sent_rate: float = nan
    """Updates a second that were sent in fact: the stand-in may be slower than asked to be."""
    fresh_p50: float = nan
    fresh_p99: float = nan
    fresh_worst: float = nan
    samples: int = 0
    fresh_waited: float = nan
    """Share of that time for which it waited for a core that others had: what a busy machine adds to latencies."""
    busy_plain: float = nan
    """The longest plain scrape meanwhile, as its client sees it."""
    busy_gzip: float = nan
    cut: int = 0
    """Scrapes meanwhile that got no whole answer."""
    lag: float = nan
    plain: Scrape = _NONE
    gzip: Scrape = _NONE


def measure(subject: Subject, source: StandIn | None, plan: Plan, say: Callable[[str], None]) -> Figures:
    """Measure all of one subject that has just been started."""
    figures = Figures()
    at_rest(subject, source, plan, figures, say)
    if source is None:
        say(f"{plan.passive:.0f} s of whatever the cluster does")
        _passive(subject, plan.passive, figures)
    else:
        _with_updates(subject, source, plan, figures, say)
    figures.memory_at_last = subject.process.memory()
    figures.memory_peak = subject.process.memory("VmHWM")
    return figures


def at_rest(subject: Subject, source: StandIn | None, plan: Plan, figures: Figures, say: Callable[[str], None]) -> None:
    """Measure what needs no updates: the start, memory, scrapes."""
    say("the first complete scrape")
    _sync(subject, figures)
    if source is not None and figures.pods != source.pods:
        raise RuntimeError(f"the first scrape has {figures.pods} pods of {source.pods}")
    _lag(subject, figures)
    _memory(subject, figures, plan.settle)
    say("scrapes")
    figures.plain = _scrapes(subject, plan.repeats, compressed=False)
    figures.gzip = _scrapes(subject, plan.repeats, compressed=True)


def _with_updates(subject: Subject, source: StandIn, plan: Plan, figures: Figures, say: Callable[[str], None]) -> None:
    say(f"{plan.paced} updates at {plan.pace:.0f}/s")
    parts = [_updates(subject, source, plan.paced // plan.repeats, plan.pace) for _ in range(plan.repeats)]
    figures.paced_cpu = median(part.cpu for part in parts)
    figures.stirred_cpu = median(part.scrape for part in parts)
    say(f"{plan.full} updates at full speed")
    parts = [_updates(subject, source, plan.full // plan.repeats, 0.0) for _ in range(plan.repeats)]
    figures.full_cpu, figures.full_rate = median(part.cpu for part in parts), median(part.rate for part in parts)
    _lag(subject, figures)
    say(f"latencies at {plan.fresh_rate:.0f}/s")
    fresh(subject, source, plan, figures)


def _sync(subject: Subject, figures: Figures) -> None:
    subject.wait(SYNC)
    answer = subject.scrape()
    figures.sync_cpu = subject.process.cpu
    figures.sync_seconds = time.monotonic() - subject.process.began
    lines = answer.body.splitlines()
    figures.series = sum(line.startswith(b"pod_") and not line.startswith(b"pod_exporter_") for line in lines)
    figures.pods = sum(line.startswith(b"pod_info{") for line in lines)


def _memory(subject: Subject, figures: Figures, settle: float) -> None:
    time.sleep(settle)
    figures.memory = figures.memory_collected = subject.process.memory()
    if subject.kind == "baseline":  # the product has collected before it said that it is ready
        subject.process.collect(settle)
        figures.memory_collected = subject.process.memory()


def _scrapes(subject: Subject, count: int, *, compressed: bool) -> Scrape:
    found = []
    for _ in range(count):
        before = subject.process.cpu
        answer = subject.scrape(gzip=compressed)
        found.append((subject.process.cpu - before, answer.seconds, len(answer.body)))
    cpus, seconds, sizes = zip(*found, strict=True)
    return Scrape(median(cpus), median(seconds), sizes[0])


def _updates(subject: Subject, source: StandIn, count: int, rate: float) -> Part:
    """Have it handle some updates and, when it has come to rest, scrape it: the last one must be there."""
    cpu, began = subject.process.cpu, time.monotonic()
    last, _ = source.update(count, rate, mark=count).marks[-1]
    used, ended = _rest(subject)
    answer = subject.scrape()
    scrape = subject.process.cpu - used
    if (shown := marked(answer.body)) != last:
        raise RuntimeError(f"the {subject.kind} shows {shown} updates of the marker, {last} were sent")
    return Part((used - cpu) / count, count / (ended - began), scrape)


def _rest(subject: Subject) -> tuple[float, float]:
    """Wait until it does nothing any more; give the CPU that it had used by then, and the moment."""
    used, at = subject.process.cpu, time.monotonic()
    deadline = at + CATCH_UP
    while (now := time.monotonic()) - at < REST:
        subject.process.check()
        if now > deadline:
            raise RuntimeError(f"the {subject.kind} still worked {CATCH_UP:.0f} s after the last update was sent")
        time.sleep(0.02)
        before, used = used, subject.process.cpu
        at = time.monotonic() if used - before > 0.001 else at
    return used, at


def fresh(subject: Subject, source: StandIn, plan: Plan, figures: Figures) -> None:
    """Measure how soon updates are in scrapes, while all is scraped every five seconds."""
    with _poller(subject) as poller:
        _fresh(subject, source, poller, plan, figures)


def _fresh(subject: Subject, source: StandIn, poller: Poller, plan: Plan, figures: Figures) -> None:
    """From the sending of a mark to the end of the first poll that shows it: up to one pause between polls too much.

    Marks are sent by their own clock, whether or not the one before has been seen: a stop of the subject delays all
    marks in it, not just one.
    """
    every = max(1, round(plan.fresh_rate / plan.marks_per_second))
    stop = Event()
    began, waited = time.monotonic(), subject.process.waited
    with ThreadPoolExecutor(2) as threads:
        scraping = threads.submit(_scrape_regularly, subject, figures, stop)
        sending = threads.submit(source.update, int(plan.fresh_rate * plan.fresh_seconds), plan.fresh_rate, every)
        try:
            seen = _poll(subject, poller, plan.poll, sending)
        finally:
            stop.set()
        scraping.result()
    figures.fresh_waited = (subject.process.waited - waited) / (time.monotonic() - began)
    shown = iter(seen)
    number, at = next(shown)
    latencies = []
    for mark, sent in sending.result().marks:
        while number < mark:
            number, at = next(shown)
        latencies.append(at - sent)
    figures.sent_rate = len(latencies) * every / sending.result().seconds
    figures.fresh_rate, figures.samples = plan.fresh_rate, len(latencies)
    figures.fresh_p50, figures.fresh_p99 = median(latencies), quantiles(latencies, n=100)[98]
    figures.fresh_worst = max(latencies)


def _poll(subject: Subject, poller: Poller, pause: float, sending: Future[Updates]) -> list[tuple[int, float]]:
    """Give the marker's number and the moment of each poll that found a new one, until the last one is there."""
    seen: list[tuple[int, float]] = [(0, 0.0)]
    deadline = time.monotonic() + SYNC
    while not (sending.done() and seen[-1][0] >= sending.result().marks[-1][0]):
        subject.process.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"the {subject.kind} never caught up")
        if (number := poller.mark()) > seen[-1][0]:
            seen.append((number, time.monotonic()))
        time.sleep(pause)
    return seen


def _scrape_regularly(subject: Subject, figures: Figures, stop: Event) -> None:
    """Compressed and plain by turns, as two servers would."""
    for turn in count():
        if stop.wait(SCRAPE_INTERVAL):
            return
        compressed = turn % 2 == 0
        try:
            seconds = subject.scrape(gzip=compressed).seconds
        except (OSError, HTTPException):
            figures.cut += 1
            continue
        if compressed:
            figures.busy_gzip = _longer(figures.busy_gzip, seconds)
        else:
            figures.busy_plain = _longer(figures.busy_plain, seconds)
        _lag(subject, figures)


def _passive(subject: Subject, seconds: float, figures: Figures) -> None:
    """Watch a real cluster change by itself; CPU of an update then holds that of doing nothing, too."""
    events, cpu, began = _events(subject), subject.process.cpu, time.monotonic()
    time.sleep(seconds)
    used, lasted = subject.process.cpu - cpu, time.monotonic() - began
    count = _events(subject) - events
    figures.fresh_rate = count / lasted
    if count >= 100:
        figures.paced_cpu = used / count


def _events(subject: Subject) -> float:
    return sum(float(number) for number in _EVENTS.findall(subject.scrape().body))


def _lag(subject: Subject, figures: Figures) -> None:
    """Keep the longest stop that the subject knows of; what it tells covers 10 s."""
    if found := _LAG.search(subject.own(_LAG_FAMILY)):
        figures.lag = _longer(figures.lag, float(found[1]))


def _longer(known: float, new: float) -> float:
    return new if isnan(known) else max(known, new)


@contextmanager
def _poller(subject: Subject) -> Iterator[Poller]:
    poller = Poller(subject)
    try:
        yield poller
    finally:
        poller.close()
