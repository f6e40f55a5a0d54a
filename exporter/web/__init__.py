"""What is served over HTTP, and to whom. Nothing here asks a PBX anything."""

from exporter.web.routes import application
from exporter.web.server import Server
from exporter.web.views import target_view

__all__ = ["Server", "application", "target_view"]
