"""Comments on pull requests: short enough for GitHub, whatever the changes are."""

from __future__ import annotations

import pytest

from amp_exp_async.manifests.markdown import MAX_LENGTH, MarkdownChange, render_markdown


def make_changes(count: int, key_length: int, lines: int) -> list[MarkdownChange]:
    details = [f"- field_{number}: {'x' * 40}" for number in range(lines)]
    return [
        MarkdownChange("edit", f"flags/{number:06}{'k' * key_length}", " in project 1", details)
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "key_length", "lines"), [(1500, 10, 1), (900, 10, 30), (1, 10, 5000), (3, 10, 800)])
def test_details_are_left_out_before_changes(count: int, key_length: int, lines: int) -> None:
    """A comment fits and names each change once; it says how many details are missing, and how to see them."""
    changes = make_changes(count, key_length, lines)
    text = render_markdown("amp-exp plan", "Flags", changes, ["! warning"])
    assert len(text) <= MAX_LENGTH < 65_536
    assert [text.count(change.name) for change in changes] == [1] * count
    left_out = count - text.count("```diff") + 1
    noun = "change" if left_out == 1 else "changes"
    assert f"**The details of {left_out} {noun} are left out,**" in text
    assert "without `--markdown`" in text
    assert text.endswith("**Warnings**\n\n```diff\n! warning\n```\n")


@pytest.mark.parametrize("warnings", [0, 20_000])
def test_endless_changes(warnings: int) -> None:
    """If not even the names fit, the comment says how many changes and warnings are missing."""
    text = render_markdown("amp-exp plan", "Flags", make_changes(20_000, 60, 1), ["! a warning"] * warnings)
    assert len(text) <= MAX_LENGTH
    shown = text.count("flags/")
    assert f"\nand {20_000 - shown} more\n" in text
    assert shown > 400
    assert ("more\n```" in text) == bool(warnings)


def test_everything_that_fits() -> None:
    """Without need, nothing is left out, and the comment can be found by its hidden marker."""
    text = render_markdown("amp-exp plan", "Flags: 2 to edit", make_changes(2, 3, 3), [])
    assert text.startswith("<!-- amp-exp plan -->\n### Flags: 2 to edit\n")
    assert (text.count("```diff"), "left out" in text) == (2, False)
