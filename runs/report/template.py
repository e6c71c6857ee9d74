"""The one page that all reports are: text, tables and pictures that need no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hierarchy.plots import Picture
from runs.report.section import Section

TEMPLATE = Path(__file__).with_name("template.html.jinja")


def rendered(
    name: str,
    summary: str,
    sections: Sequence[Section],
    pictures: Sequence[Picture],
    how: str,
    settings: Mapping[str, Any],
    **arms: object,
) -> str:
    """A page: what it is called and of, tables, pictures, how it was made; and a comparison of ``arms`` if there is one."""
    from jinja2 import Environment, StrictUndefined

    shown = [
        {"title": one.title, "text": one.text, "data": base64.b64encode(one.path.read_bytes()).decode()} for one in pictures
    ]
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        name=name,
        summary=summary,
        sections=sections,
        pictures=shown,
        how=how,
        settings=json.dumps(settings, indent=1),
        compared=bool(arms),
        **arms,
    )
