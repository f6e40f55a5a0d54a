"""HTTP: who may see what, and what there is to see. Nothing here asks a PBX anything."""

from exporter.web.auth import TooManyWaiting, Verifier, may_see
from exporter.web.page import (
    CONTENT_SECURITY_POLICY,
    MOST_SECTIONS,
    MOST_SESSIONS,
    OPERATIONS,
    REASONS,
    STATES,
    STATIC,
    TRANSPORTS,
    look,
    render,
)
from exporter.web.views import (
    EndedView,
    ResolutionView,
    SessionView,
    TargetView,
    session_views,
    shown,
    target_view,
)

__all__ = [
    "CONTENT_SECURITY_POLICY",
    "MOST_SECTIONS",
    "MOST_SESSIONS",
    "OPERATIONS",
    "REASONS",
    "STATES",
    "STATIC",
    "TRANSPORTS",
    "EndedView",
    "ResolutionView",
    "SessionView",
    "TargetView",
    "TooManyWaiting",
    "Verifier",
    "look",
    "may_see",
    "render",
    "session_views",
    "shown",
    "target_view",
]
