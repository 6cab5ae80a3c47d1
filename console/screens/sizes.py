"""The widths and heights at which screens and forms take another shape, as classes for console.tcss."""

WIDTHS = [(0, "-narrow"), (100, "-normal"), (140, "-wide")]
HEIGHTS = [(0, "-low"), (24, "-short"), (30, "-tall")]
