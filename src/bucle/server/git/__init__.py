"""The git face: clone, fetch and push over smart HTTP at `/git/PROJECT.git`, served by git's own `http-backend`."""

from bucle.server.git.routes import ROUTES

__all__ = ["ROUTES"]
