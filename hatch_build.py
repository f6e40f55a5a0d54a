"""Where the project is, which the tree does not know: whoever builds a release says it."""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ProjectUrls(MetadataHookInterface):
    """The URLs of PROJECT_URL; without that variable there are none."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds them. A wheel that is built from an sdist has the sdist's."""
        home = os.environ.get("PROJECT_URL", "").rstrip("/")
        metadata["urls"] = (
            {"Homepage": home, "Source": home, "Issues": f"{home}/issues"} if home else {}
        )
