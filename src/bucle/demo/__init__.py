"""The demo: the whole loop on a year of flights, through the CLI, HTTP and git alone; it emits no event itself."""

from bucle.demo.outcome import Missing, Outcome, StepShown
from bucle.demo.story import Options, clear, tell

__all__ = ["Missing", "Options", "Outcome", "StepShown", "clear", "tell"]
