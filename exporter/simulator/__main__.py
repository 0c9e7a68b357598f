"""`python -m exporter.simulator`: the demo cluster by hand, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import sys

from exporter.simulator.demo import demo
from exporter.simulator.simulation import Simulation


async def _serve(port: int, speed: float, seed: int, pods: int) -> None:
    simulation = Simulation(seed=seed, speed=speed, scenario=demo)
    if pods:
        simulation.populate(pods, workloads=max(1, pods // 20))
    await simulation.start(port)
    sys.stdout.write(f"{simulation.url}\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await simulation.stop()


def main() -> None:
    """Parse the command line, print the address and serve."""
    parser = argparse.ArgumentParser(prog="python -m exporter.simulator", description="a simulated Kubernetes cluster")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds per real second")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal histories")
    parser.add_argument("--pods", type=int, default=0, help="quiet pods besides the demo's")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve(arguments.port, arguments.speed, arguments.seed, arguments.pods))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
