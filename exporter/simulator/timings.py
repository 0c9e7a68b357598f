"""How slow a cluster is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """How slow the cluster is; all in virtual seconds."""

    bind: float = 0.3
    """From creation to the scheduler's decision."""
    sandbox: float = 0.8
    sync: float = 1.0
    """Between two looks of the kubelet at a pod; stages take fractions of it."""
    back_off: float = 10.0
    """The first pause before a restart; each next one is twice as long."""
    back_off_max: float = 300.0
    kill: float = 1.0
    """From a probe's verdict to the end of the container."""

    def pause(self, number: int) -> float:
        """Seconds of a back-off, given how many in a row it makes."""
        return float(min(self.back_off * 2 ** (number - 1), self.back_off_max))


def go_duration(seconds: float) -> str:
    """As Go prints a duration of whole seconds: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
