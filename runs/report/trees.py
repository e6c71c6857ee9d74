"""The upper agent as a tree, for a page: how near it is, and what it says."""

from __future__ import annotations

from hierarchy.arms.distilled import TREE
from hierarchy.evidence.results import Results
from hierarchy.explaining.tree import Tree, trees_of
from runs.report.section import Section

TITLE = "The upper agent as a tree"
TEXT = (
    "The arm distilled: a decision tree in place of the upper agent, fitted to what that sets on selection seeds; features "
    "are in the units of their names, context/... is the mix that was in force. R² is the share of the mixes' variance that "
    "the tree explains on selection seeds that it was not fitted to, all terms together, L1 the mean distance of its "
    "mixes to the agent's, summed over terms: 0 is the same, 2 the opposite."
)


def sections(results: Results) -> list[Section]:
    """The trees of all training seeds; none where none was fitted."""
    of_seeds = zip(results["training_seeds"], trees_of(results["found"].get(TREE.name)), strict=False)
    trees = [(seed, tree) for seed, tree in of_seeds if tree is not None]
    if not trees:
        return []
    rows = [["training seed", "R²", "L1", "leaves", "windows", "held-out windows"]]
    listings = []
    for seed, tree in trees:
        rows.append([str(seed), *_cells(tree)])
        listings.append(f"training seed {seed}:\n{tree.listing()}")
    return [Section(TITLE, TEXT, rows, listing="\n\n".join(listings))]


def _cells(tree: Tree) -> list[str]:
    r2 = "- (one mix)" if tree.r2 is None else f"{tree.r2:.3f}"
    return [r2, f"{tree.l1:.3f}", str(tree.n_leaves), f"{tree.n_windows[0]:,}", f"{tree.n_held_out:,}"]
