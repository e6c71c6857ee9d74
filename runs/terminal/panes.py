"""What a terminal shows of a controller: its state as text, pane by pane."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

EIGHTHS = " ▏▎▍▌▋▊▉█"
LINES = "▁▂▃▄▅▆▇█"
LEVELS = {"info": "green", "warning": "yellow", "error": "bold red"}
MOST_WEIGHT = 256
LONGEST_NAME = 16
"""Letters of a server's name that are shown."""
OTHERS = 20
"""Width of the columns of health and requests in flight."""
State = Mapping[str, Any]


def clean(text: object) -> str:
    """One line that a terminal shows as it is."""
    return "".join(one if one.isprintable() else "?" for one in str(text))


def bar(share: float, width: int) -> str:
    """A bar of so many cells, filled up to a share in [0, 1], to an eighth of a cell."""
    n = round(8 * width * min(max(share, 0.0), 1.0))
    full = "█" * (n // 8)
    return (full + EIGHTHS[n % 8] * (n % 8 > 0)).ljust(width)


def spark(values: Sequence[float | None], width: int) -> str:
    """The last values, so many as fit, between the least and the largest of them."""
    shown = [value for value in values if value is not None][-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    top = len(LINES) - 1
    return "".join(LINES[round(top * (value - low) / (high - low)) if high > low else 0] for value in shown)


def age(seconds: float | None) -> str:
    """How long ago, or for how long."""
    if seconds is None:
        return "never"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def number(value: float | None, digits: int = 3) -> str:
    """With so many significant digits; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    size = 0 if value == 0 else math.floor(math.log10(abs(value)))
    return f"{value:,.{max(digits - 1 - size, 0)}f}"


def title(state: State) -> Text:
    """Whose pair, and whether it does anything."""
    mode = (
        ("  writes weights ", "black on green")
        if state["applies"]
        else (" decides only, writes nothing ", "black on yellow")
    )
    return Text.assemble((" metabalance ", "bold"), mode, f"  {clean(state['pair'])}", no_wrap=True, overflow="ellipsis")


def status(state: State) -> Text:
    """Whether it steers, and how old what it knows is."""
    why = state["unready_because"]
    ready = (f" NOT READY: {clean(why)}", "bold red") if why else (" ready", "bold green")
    last = state["last"]
    step = "" if last is None else f"step {last['step']}, {age(state['step_age_s'])} ago"
    restarts = state["n_restarts"]
    parts = [step, f"HAProxy {age(state['look_age_s'])}", f"log {age(state['log_age_s'])}"]
    parts += [*[f"restarts {restarts}"] * bool(restarts), f"up {age(state['up_s'])}"]
    return Text.assemble(ready, ("   " + " · ".join(part for part in parts if part), ""), no_wrap=True, overflow="ellipsis")


def servers(state: State, width: int) -> Table:
    """Health, weights by backend, and requests in flight of every server."""
    backends = list(dict.fromkeys(state["backends"]))
    table = Table(box=None, padding=(0, 1), header_style="bold", expand=False)
    name_width = min(max(6, *map(len, state["servers"])), LONGEST_NAME)
    table.add_column("server", no_wrap=True, max_width=name_width)
    table.add_column("health", no_wrap=True)
    cells = max((width - name_width - 2 - OTHERS) // max(len(backends), 1) - 6, 0)  # a weight and spaces come off
    for name in backends:
        table.add_column(clean(name), no_wrap=True, max_width=max(cells + 4, 8))
    table.add_column("in flight", justify="right", no_wrap=True)
    last = state["last"]
    if last is None:
        return table
    weights = last["weights"]
    for s, name in enumerate(state["servers"]):
        of_server = [None if weights is None else weights[state["backends"].index(backend)][s] for backend in backends]
        flows = [row[s] for row in state["n_flows"]]
        table.add_row(
            clean(name),
            _health(state["up"][s], state["untouchable"][s]),
            *(_weight(weight, cells) for weight in of_server),
            " + ".join(map(str, flows)),
        )
    return table


def _health(is_up: bool, is_out: bool) -> Text:
    if not is_up:
        return Text("maint" if is_out else "DOWN", "yellow" if is_out else "bold red")
    return Text("drain", "yellow") if is_out else Text("up", "green")


def _weight(weight: int | None, cells: int) -> Text:
    if weight is None:
        return Text("?", "yellow")
    return Text.assemble((f"{weight:>3} ", "bold" if weight else "yellow"), (bar(weight / MOST_WEIGHT, cells), "cyan"))


def mix(state: State, width: int) -> Table:
    """The weights of the terms as bars."""
    table = Table.grid(padding=(0, 1))
    context = state.get("context") or {}
    names = max(map(len, context), default=0)
    for term, weight in context.items():
        line = Text.assemble((bar(weight, max(width - names - 7, 3)), "magenta"))
        table.add_row(clean(term), Text(f"{weight:.2f}", "bold"), line)
    return table


def window(state: State, width: int) -> Text:
    """The objective of the last window, those before as a line, and what it is made of."""
    found = state.get("window")
    if found is None:
        return Text("no window has ended yet", "dim")
    objective = f"{clean(state['objective'])} {number(found['objective'])} {clean(state['unit'])} "
    line = spark(state["objectives"], max(width - len(objective), 0))
    on_time = ", ".join(f"{clean(name)} {_percent(share)}" for name, share in found["on_time"].items())
    late = ", ".join(f"{clean(name)} {number(ms)}" for name, ms in found["p95_ms"].items())
    rate, busy = number(found["arrival_rate_hz"]), _percent(found["utilisation"])
    cost = f"{number(found['cost_usd_per_h'])} $/h, {number(found['servers_on'])} on, {busy} busy, {rate}/s"
    rows = [f"on time  {on_time}", f"p95 ms   {late}", f"servers  {cost}"]
    return Text.assemble(
        (objective, "bold"), (line, "green"), *(f"\n{row}" for row in rows), no_wrap=True, overflow="ellipsis"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def decisions(state: State, height: int) -> Text:
    """The last steps, newest first; those in which nothing was in the way say so."""
    recent = list(reversed(state["recent"]))[: max(height, 1)]
    width = max((len(str(one["step"])) for one in recent), default=0)
    lines = []
    for one in recent:
        rules = ", ".join(f"{clean(rule)} {n}" for rule, n in one["rules"].items())
        said = f"held: {clean(one['held_because'])}" if one["held_because"] else rules
        style = LEVELS.get(one["level"], "") if said else "dim"
        when, took = clean(one["at"])[11:19], f"{one['took_ms']:>6.1f} ms"
        lines.append(
            Text.assemble((when, "dim"), f" {one['step']:>{width}} ", (took, "dim"), "  ", (said or "as decided", style))
        )
    return Text("\n").join(lines)
