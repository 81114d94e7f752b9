"""How values and exceptions stand in what a checker says: as in every other message."""

from harness.wording import named, shown

__all__ = ["named", "shown"]
