"""The configuration of the documentation site. CONTRIBUTING.md says how to build it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import amp_exp_async

project = "amp_exp_async"
version = release = amp_exp_async.__version__
copyright = "the amp_exp_async maintainers"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["generate.py", "generate_stubs.py", "stub_hook.py"]

html_theme = "furo"
html_title = f"amp_exp_async {release}"
pygments_dark_style = "monokai"
html_static_path = ["_static"]
html_css_files = ["charts.css"]

# Docstrings write code in single backticks, as the editors that show them understand it.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
maximum_signature_line_length = 100

nitpicky = True
nitpick_ignore_regex = [
    # The inventories of other projects are on the network, which the build does not need.
    (r"py:.*", r"(aiohttp|asyncio|collections\.abc|datetime|io|logging|os|pathlib|ssl|types|typing)\..*|SSLContext"),
    (r"py:.*", r"(Tracer|Meter)Provider"),
    # Type variables, and classes that are not public but appear in signatures.
    (r"py:.*", r".*\.(T|\w+_co|ModelT)"),
    (r"py:.*", r".*\.(Transport|Collection|ApiVersion|FlagRef|SourceLocation|Unset\.UNSET|_\w+)|Telemetry"),
    (r"py:.*", r".*\.(Flag|Experiment|BetaExperiment)(Create|Edit)Arguments"),
    # The blocking resources: the page of resources says how they differ from the async ones.
    (r"py:.*", r"amp_exp_async\.sync\.resources\.\w+"),
]

# Sections of docstrings besides those of the Google style.
napoleon_custom_sections = [
    ("Raises while it is read", "Raises"),
    ("Raises while it is iterated or awaited", "Raises"),
]


def prepare_docstring(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Write a docstring as napoleon reads it."""
    if what in {"property", "attribute"} and lines:
        lines[0] = lines[0].replace(": ", " – ", 1)  # noqa: RUF001 - otherwise the text before the colon is a type
    lines[:] = [line for entry in lines for line in split_names(entry)]


def split_names(line: str) -> Iterator[str]:
    """Yield an entry for each name of `name, other: description`, which napoleon takes for one name."""
    match = re.fullmatch(r"( {4})(\w+(?:, \w+)+)(: .*)", line)
    if match is None:
        yield line
        return
    indent, names, description = match.groups()
    for name in names.split(", "):
        yield f"{indent}{name}{description}"


def setup(app: Any) -> None:
    """Prepare docstrings before napoleon reads them."""
    app.connect("autodoc-process-docstring", prepare_docstring, priority=400)
