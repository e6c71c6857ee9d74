"""Arms that are told the regime: a mix for each, found on selection seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envs.core.arrays import Array, FloatArray
from envs.core.simplex import simplex_grid
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.fixed import FIXED_BEST
from hierarchy.arms.found import Chosen, Found
from hierarchy.arms.running import Batch
from hierarchy.arms.search import N_SWEEPS, best_by_regime, regime_table
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.arms.tables import DelayedTable, RegimeTable
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held, Pair


def _batch(selection: Selection) -> Batch:
    return selection.batch(range(selection.config.ablation.n_table_seeds))


def scan(selection: Selection, found: Mapping[str, Any]) -> FloatArray:
    """The mix of a grid that is best in the windows of each regime ``(n_regimes, k)``."""
    grid = simplex_grid(selection.spec.n_terms, selection.config.ablation.grid_points)
    return best_by_regime(grid, selection.windows(Held, grid, _batch(selection)), len(selection.spec.regimes))


def n_scan_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the scan."""
    n_mixes = len(simplex_grid(spec.n_terms, config.ablation.grid_points))
    return n_mixes * Selection.steps_per_candidate(config, config.ablation.n_table_seeds)


SCAN = Found("scan", scan, n_scan_steps, kept=False)


def find_table(selection: Selection, found: Mapping[str, Any]) -> FloatArray:
    """A mix per regime ``(n_regimes, k)``."""
    grid = simplex_grid(selection.spec.n_terms, selection.config.ablation.table_points)

    def score(tables: FloatArray) -> FloatArray:
        return selection.scores(RegimeTable, tables, _batch(selection)).objective

    best: Chosen = found[FIXED_BEST.name]
    return regime_table(score, grid, best.mix(selection.spec.terms), found[SCAN.name])


def n_table_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of all sweeps, and of the choice between what they found."""
    n_mixes = len(simplex_grid(spec.n_terms, config.ablation.table_points))
    n_candidates = N_SWEEPS * len(spec.regimes) * (n_mixes + 1) + N_SWEEPS + 2
    return n_candidates * Selection.steps_per_candidate(config, config.ablation.n_table_seeds)


def has_its_regimes(table: Array, spec: WorldSpec) -> bool:
    """A table for other regimes says nothing."""
    return len(table) == len(spec.regimes)


TABLE = Found("table", find_table, n_table_steps, needs=(SCAN, FIXED_BEST), fits=has_its_regimes)


def wants_oracles(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """Tables take long to find, so they must be asked for; a world without regimes has nothing that could be told."""
    return config.ablation.oracles and len(spec.regimes) > 0


def start_oracle(start: Start) -> Pair:
    """Told the regime now."""
    return start.pair(RegimeTable(start.found[TABLE.name]))


def start_delayed(start: Start) -> Pair:
    """Told the regime of the last window."""
    return start.pair(DelayedTable(start.found[TABLE.name], start.simulation.world.oracle))


ORACLE = Arm("oracle", start_oracle, wants_oracles, needs=(TABLE,), knows="the regime now")
DELAYED = Arm("oracle", start_delayed, wants_oracles, needs=(TABLE,), knows="the last regime")
