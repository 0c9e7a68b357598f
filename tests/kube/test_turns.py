from __future__ import annotations

import asyncio

from exporter.kube.turns import SLICE, Turns


async def turns_of_the_loop(seconds_per_step: float, steps: int) -> int:
    """Count how often another task runs while `steps` steps of work are done."""
    now, others = 0.0, 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    turns = Turns(clock=lambda: now)
    for _ in range(steps):
        now += seconds_per_step
        await turns.offer()
    task.cancel()
    return others


async def test_the_loop_turns_once_for_each_slice() -> None:
    assert SLICE == 0.01
    assert await turns_of_the_loop(0.001, 100) == 10 - 1 + 1


async def test_short_work_is_not_interrupted() -> None:
    assert await turns_of_the_loop(0.0001, 50) == 0


async def test_a_long_step_gives_the_loop_its_turn_at_once() -> None:
    assert await turns_of_the_loop(0.5, 3) == 3
