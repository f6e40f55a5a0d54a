"""HTTP: who may see what, and what there is to see. Nothing here asks a PBX anything."""

from exporter.web.auth import TooManyWaiting, Verifier, may_see
from exporter.web.page import (
    CONTENT_SECURITY_POLICY,
    MAX_SECTIONS,
    MAX_SESSIONS,
    OPERATIONS,
    REASONS,
    STATES,
    STATIC,
    TRANSPORTS,
    look,
    render,
)
from exporter.web.routes import application
from exporter.web.server import Server
from exporter.web.views import (
    EndedView,
    ResolutionView,
    SessionView,
    TargetView,
    session_views,
    target_view,
    visible,
)

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "MAX_SECTIONS",
    "MAX_SESSIONS",
    "OPERATIONS",
    "REASONS",
    "STATES",
    "STATIC",
    "TRANSPORTS",
    "EndedView",
    "ResolutionView",
    "Server",
    "SessionView",
    "TargetView",
    "TooManyWaiting",
    "Verifier",
    "application",
    "look",
    "may_see",
    "render",
    "session_views",
    "target_view",
    "visible",
]
