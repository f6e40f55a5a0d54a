"""The secret of a target, read from its file again before each login."""

import asyncio

from exporter.polling import troubles
from exporter.polling.notices import Notices
from exporter.polling.troubles import Lack
from exporter.settings import AmiSettings


async def with_secret_of_now(settings: AmiSettings, notices: Notices) -> AmiSettings:
    """The settings with the secret that its file holds now, which may be another than at the last
    login. If it cannot be read, that is noted, and the last one is used: nothing is lost by trying,
    and a file that is replaced can be away for a moment."""
    file = settings.secret_file
    if file is None:
        return settings
    try:
        settings = await asyncio.to_thread(settings.with_secret_of_now)
    except ValueError as error:
        notices.begin(troubles.no_secret(file, error))
    else:
        notices.end(Lack.SECRET, "the file of the secret can be read again")
    return settings
