"""What one would run without learning, by name: rules that switch servers, and balancing rules with all servers on."""

from __future__ import annotations

from envs.core.rules import Rule
from envs.load_balancing.rules.autoscale import DEAREST, EACH, EVERYBODY, Autoscale
from envs.load_balancing.rules.balancing import BALANCING, SED_GLOBAL
from envs.load_balancing.rules.careful import Careful, CarefulShifts
from envs.load_balancing.rules.flatter import SED_FLATTER
from envs.load_balancing.rules.forecast import Forecast
from envs.load_balancing.rules.shifts import Shifts

SHIFTS = Shifts(EACH, "class", may_skip=True)
RULES: dict[str, Rule] = {
    "autoscale": Autoscale(EVERYBODY, "joint"),
    "autoscale_class": Autoscale(DEAREST, "joint"),
    "autoscale_pools": Autoscale(EACH, "class", may_skip=True),
    "autoscale_forecast": Forecast(EACH, "class", may_skip=True),
    "autoscale_shifts": SHIFTS,
    "careful_class": Careful(DEAREST, "joint"),
    "careful_pools": Careful(EACH, "class", may_skip=True),
    "careful_shifts": CarefulShifts(EACH, "class", may_skip=True),
    **BALANCING,
    "sed_flatter": SED_FLATTER,
    "sed_global": SED_GLOBAL,
}
"""The rules by name. `autoscale_class` watches the dearest class alone, `autoscale_pools` each class by itself; the
careful ones do the same under an error budget. Where there are several balancers `sed_flatter` has one number; `sed_global`
is what they would do if each saw the requests of all."""
