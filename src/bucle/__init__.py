"""bucle: from `git push` to a monitored model in production, and back."""

__version__ = "0.1.0"
