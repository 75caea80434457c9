"""Frames as arguments and results of a process pool, without pickling them: ``python examples/process_pool.py``."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd

import colonnade as cn


def mean_of(snapshot, carrier):
    """Read one frame that all tasks share: nobody copies it."""
    flights = snapshot.to_pandas()
    return carrier, float(flights.loc[flights["carrier"] == carrier, "delay"].mean())


def late_only(flights, minutes):
    """Take a frame and give one back: plain pandas, as ever."""
    return flights[flights["delay"] > minutes]


def main():
    """One frame for many tasks is shared; frames that are passed on once go by reference."""
    random = np.random.default_rng(1)
    flights = pd.DataFrame(
        {
            "carrier": pd.Categorical(random.choice(["AA", "B6", "UA"], 1_000_000)),
            "delay": random.exponential(10.0, 1_000_000),
        }
    )
    with cn.by_reference(), ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        with cn.share(flights) as shared:
            for carrier, mean in pool.map(mean_of, [shared] * 3, ["AA", "B6", "UA"]):
                print(f"{carrier}: {mean:.1f} minutes late")
        late = pool.submit(late_only, flights, 30.0).result()
        print(f"{len(late):,} of {len(flights):,} flights were more than half an hour late")


if __name__ == "__main__":
    main()
