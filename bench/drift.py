"""Drift detection, simulated through its own code: how often quiet inputs page, how soon a shift is seen.

    python bench/drift.py [--worlds 20] [--seed 20260408] [--rows 100 1000] [--kind quiet ...]

A world is a training frame of 90 days and 30 inputs, profiled as for a deployment; then 30 days without a change, each a window
of the prediction log; then three days on which three inputs lie 0.25 deviations higher. `false_pages_per_month` is 1.
Intervals: normal for means, Wilson's for shares, 95 %. The seed is not one of the tests' own.
"""

import argparse
import math
import time

import numpy as np
import polars as pl

from bucle.data import Profile, profile_values
from bucle.monitoring import MonitorSpec, Reference
from bucle.monitoring.drifting import judge_inputs
from bucle.monitoring.training import profile_training

INPUTS, TRAINING, QUIET, SHIFTED, SHIFT = 30, 90, 30, 3, 0.25
DAY_US = 86_400_000_000
KINDS = {
    "the same every day": (0.0, 0.0, "normal"),
    "heavy-tailed values (t3), the same every day": (0.0, 0.0, "heavy"),
    "days differ (sd 0.15 of a value)": (0.15, 0.0, "normal"),
    "days differ and resemble those before (0.5)": (0.15, 0.5, "normal"),
    "days differ and resemble those before (0.9)": (0.15, 0.9, "normal"),
    "days differ, heavy-tailed (t3), resemble those before (0.5)": (0.3, 0.5, "heavy days"),
}
MONITOR = MonitorSpec("watch", "bench")


class World:
    """Inputs whose values have deviation 1 within a day; the level of days moves as the kind says."""

    def __init__(self, generator: np.random.Generator, rows: int, between: float, memory: float, form: str) -> None:
        self.generator, self.rows, self.form = generator, rows, form
        self.between, self.memory = between, memory
        self.level = generator.normal(size=INPUTS)

    def day(self, shift: float = 0.0) -> np.ndarray:
        generator = self.generator
        moved = (
            generator.standard_t(3, size=INPUTS) / math.sqrt(3) if self.form == "heavy days" else generator.normal(size=INPUTS)
        )
        self.level = self.memory * self.level + math.sqrt(1 - self.memory**2) * moved
        size = (self.rows, INPUTS)
        values = generator.standard_t(3, size=size) / math.sqrt(3) if self.form == "heavy" else generator.normal(size=size)
        values = values + self.between * self.level
        values[:, :SHIFTED] += shift
        return values

    def window(self, reference: Reference, shift: float = 0.0) -> Profile:
        """Count a day as a window of the prediction log is counted."""
        rows = self.day(shift)
        columns = zip(reference.columns, rows.T.tolist(), strict=True)
        return Profile(len(rows), {column.name: profile_values(values, column.profile) for column, values in columns})

    def train(self) -> Reference:
        table = pl.DataFrame(np.concatenate([self.day() for _ in range(TRAINING)]), schema=[f"x{n}" for n in range(INPUTS)])
        moments = pl.Series(np.repeat(np.arange(TRAINING) * DAY_US, self.rows))
        return profile_training(table, moments, DAY_US, MONITOR.false_pages_per_month)


def live(world: World) -> tuple[int, int | None]:
    """Return the days on which something paged while nothing changed, and the day on which a shift was seen."""
    reference, state, pages = world.train(), {}, 0
    for _ in range(QUIET):
        reports, state = judge_inputs(reference, MONITOR, state, world.window(reference))
        pages += any(report.drifted for report in reports)
    for day in range(1, 4):
        reports, state = judge_inputs(reference, MONITOR, state, world.window(reference, SHIFT))
        if any(report.drifted for report in reports[:SHIFTED]):
            return pages, day
    return pages, None


def mean(values: list[int]) -> str:
    middle, error = float(np.mean(values)), 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{middle:5.2f} [{max(0.0, middle - error):4.2f}, {middle + error:4.2f}]"


def wilson(hits: int, trials: int) -> str:
    z, share = 1.959964, hits / trials
    centre, spread = share + z * z / (2 * trials), z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    low, high = (centre - spread) / (1 + z * z / trials), (centre + spread) / (1 + z * z / trials)
    return f"{100 * share:5.1f} % [{100 * max(0.0, low):4.1f}, {100 * high:5.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20260408)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--kinds", type=int, default=len(KINDS), help="how many of the kinds of world")
    given = parser.parse_args()
    began = time.process_time()
    print(f"{given.worlds} worlds each, seed {given.seed}, {INPUTS} inputs, one false page a month allowed\n")
    print(f"{'':60} {'rows/day':>8}  {'alert-days in 30 quiet':>23}   {'shift of 0.25 seen in 3 days':>28}  {'in 2':>20}")
    for name, (between, memory, form) in list(KINDS.items())[: given.kinds]:
        for rows in given.rows:
            worlds = [World(np.random.default_rng([given.seed, n]), rows, between, memory, form) for n in range(given.worlds)]
            results = [live(world) for world in worlds]
            seen = [day for _, day in results if day is not None]
            quiet, soon = mean([pages for pages, _ in results]), sum(day <= 2 for day in seen)
            print(
                f"{name:60} {rows:8}  {quiet:>23}   {wilson(len(seen), len(results)):>28}  {wilson(soon, len(results)):>20}",
                flush=True,
            )
    print(f"\n{time.process_time() - began:.0f} CPU s")


if __name__ == "__main__":
    main()
