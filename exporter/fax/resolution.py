"""What a fax's resolution is called: by its name in the trade, or in dots per inch."""

from typing import Final, NamedTuple

_METRES_IN_AN_INCH: Final = 0.0254

_NAMES: Final = {3850: "standard", 7700: "fine", 15400: "superfine"}
"""By their pixels per metre down the page."""


class Resolution(NamedTuple):
    """What both ends agreed on, in dots per inch across and down the page."""

    name: str | None
    """standard, fine or superfine; None for others."""
    dpi_x: int
    dpi_y: int

    @property
    def word(self) -> str:
        """One word for it: its name, or 300x300dpi."""
        return self.name or f"{self.dpi_x}x{self.dpi_y}dpi"


def named_resolution(resolution: tuple[int, int]) -> Resolution:
    """The name of so many pixels per metre, x and y."""
    x, y = resolution
    return Resolution(_NAMES.get(y), round(x * _METRES_IN_AN_INCH), round(y * _METRES_IN_AN_INCH))
