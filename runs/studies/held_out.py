"""Do the agents hold where nothing was trained or tuned? Another pool, other regime levels, a shorter dwell, a trace.

``python -m runs.studies.held_out DIR [--trace FILE]`` takes the agents and the chosen mixes of every training seed in DIR as
they are, runs them in each held-out world on evaluation seeds, and writes `held_out.json` there: a table per world.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from envs.load_balancing.config import LoadBalancingConfig, Trace
from envs.load_balancing.stories import HELD_OUT
from hierarchy.evaluation import evaluate_worlds
from hierarchy.evidence import results
from runs.studies.options import balancing, study_of

NAME = "held_out.json"


def worlds(trained: LoadBalancingConfig, trace: Path | None) -> dict[str, LoadBalancingConfig]:
    """The held-out worlds by name, made from the one trained in; that of a recording only if there is one.

    A pool of another size than the one trained on is left out: only some agents act in it.
    """
    variants = {name: variant(trained) for name, variant in HELD_OUT.items()}
    found = {name: world for name, world in variants.items() if world.pool.n_servers == trained.pool.n_servers}
    if trace is not None:
        found["trace"] = replace(trained, workload=replace(trained.workload, arrivals=Trace(path=str(trace))))
    return found


if __name__ == "__main__":
    options, config = study_of("held_out", __doc__)
    held_out = {name: replace(config, env=env) for name, env in worlds(balancing(config), options.trace).items()}
    tables = {}
    for name, table in evaluate_worlds(held_out, options.folder):
        tables[name] = table
        print(f"\n{name}\n\n{results.markdown(table)}\n\ngap_closed: {table['gap_closed']}", flush=True)
        for arm, difference in table["comparisons"].items():
            low, high = difference["ci95"]
            print(f"{arm}: {difference['difference']:+.4f} ({low:+.4f} to {high:+.4f})")
    results.write_json({name: tables[name] for name in held_out}, options.folder / NAME)
