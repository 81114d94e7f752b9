"""Stub replaced below."""

from __future__ import annotations

from typing import Any

import click

from harness.option import Option


def values_of(option: Option, context: click.Context, incomplete: str) -> list[Any]:
    """Choices only, for now."""
    return [
        click.shell_completion.CompletionItem(c) for c in option.choices if c.startswith(incomplete)
    ]
