"""What moved the mix, for a page and for the terminal."""

from __future__ import annotations

from pathlib import Path

from hierarchy.explaining.moves import N_KEPT, Move, Part, load_moves, size
from runs.report.section import Section

N_SHOWN = 10
"""Windows on the page: those in which the mix moved most."""
TITLE = "What moved the mix"
TEXT = (
    "The windows of the first episode in which the mix moved most, and the measurements that moved it: their values in the "
    "last two windows, and their shares in the change of every weight ({terms}) by integrated gradients. Shares of all "
    "measurements add up to the change; context/... is the mix that was in force. Any window: metabalance explain DIR "
    "--window N."
)


def mix_text(mix: list[float]) -> str:
    """Weights."""
    return " ".join(f"{weight:.2f}" for weight in mix)


def share_text(share: list[float]) -> str:
    """Changes of weights."""
    return " ".join(f"{one:+.3f}" for one in share)


def values_text(part: Part) -> str:
    """The values of a measurement before and after."""
    return f"{part['before']:,.4g} to {part['after']:,.4g}"


def sections(folder: Path) -> list[Section]:
    """The largest moves that a folder's recordings tell of; none where the mix never moved."""
    moves = load_moves(folder)
    if moves is None or not moves["windows"]:
        return []
    largest = sorted(moves["windows"], key=lambda move: -size(move))[:N_SHOWN]
    headings = ["window", "mix before", "mix after", *(f"measurement {place + 1}" for place in range(N_KEPT)), "all others"]
    return [Section(TITLE, TEXT.format(terms=", ".join(moves["terms"])), [headings, *map(_row, largest)])]


def _row(move: Move) -> list[str]:
    parts = [f"{part['name']} {values_text(part)}: {share_text(part['share'])}" for part in move["parts"]]
    parts += ["-"] * (N_KEPT - len(parts))
    return [str(move["window"]), mix_text(move["before"]), mix_text(move["after"]), *parts, share_text(move["rest"])]


def rows_of(move: Move, terms: list[str]) -> list[list[str]]:
    """One move: a row a measurement below headings, then all others and the change that they add up to."""
    rows = [["measurement", "before", "after", *terms]]
    for part in move["parts"]:
        values = [f"{part[when]:,.4g}" for when in ("before", "after")]
        rows.append([part["name"], *values, *(f"{one:+.4f}" for one in part["share"])])
    rows.append(["all others", "", "", *(f"{one:+.4f}" for one in move["rest"])])
    change = [after - before for before, after in zip(move["before"], move["after"], strict=True)]
    rows.append(["together", mix_text(move["before"]), mix_text(move["after"]), *(f"{one:+.4f}" for one in change)])
    return rows
