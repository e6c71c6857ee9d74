"""Pictures of an experiment or a study, made from what its folder holds."""

from hierarchy.plots.drawing import draw
from hierarchy.plots.figure import Labels, Picture

__all__ = ["Labels", "Picture", "draw"]
