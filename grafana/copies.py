"""A second set of the dashboards in one Grafana: with uids, titles, tags and links of its own."""

import re
from typing import Any

Board = dict[str, Any]


def told_apart(boards: dict[str, Board], suffix: str, titled: str = "") -> dict[str, Board]:
    """The dashboards by the names of their files, all with a suffix; with an empty one as they are.

    In titles it is `titled`, if that is given. The chart does the same for
    `monitoring.dashboards.suffix`.
    """
    if not suffix:
        return boards
    own = re.compile(rf"\bd/({'|'.join(board['uid'] for board in boards.values())})(?![\w-])")

    def followed(value: Any) -> Any:
        match value:
            case dict():
                return {key: followed(inner) for key, inner in value.items()}
            case list():
                return [followed(inner) for inner in value]
            case str():
                return own.sub(rf"d/\1-{suffix}", value)
        return value

    made = {}
    for name, board in boards.items():
        copy = followed(board)
        copy["uid"] += f"-{suffix}"
        copy["title"] += f" ({titled or suffix})"
        # By tags they find one another, in the list at the top.
        for tagged in (copy, *copy["links"]):
            tagged["tags"] = [f"{tag}-{suffix}" for tag in tagged["tags"]]
        made[name.replace(".json", f"-{suffix}.json")] = copy
    return made
