"""Pages and bad lines of one session, from counts that Asterisk sets back to 0 in the middle of it.

Each reader turns one reading into what it adds, by the table in its docstring.
"""

from dataclasses import dataclass

from exporter.fax import Transport


@dataclass(slots=True)
class PageReader:
    """The pages of one session.

    The count starts again at 0 once, when a fax begun as audio switches to T.38. A session that is
    just switching is listed with no transport, and none ever switches back.

    | transport                 | reading        | adds                        |
    |---------------------------|----------------|-----------------------------|
    | T.38, and G.711 until now | any            | all of it                   |
    | any other                 | above the last | the difference              |
    | any other                 | no higher      | nothing; the last one stays |

    A reading can fall without a switch: the completion event says 0 when the call dropped, though
    pages went through.
    """

    last: int = 0
    """The most pages read by the present transport."""
    before_switch: int = 0
    """Pages by G.711 before the switch to T.38."""
    transport: Transport = Transport.NONE
    """T.38 once that was seen; until then the last one that was not NONE."""

    @property
    def total(self) -> int:
        """Pages of the whole session, by both transports."""
        return self.before_switch + self.last

    def read(self, value: int, transport: Transport) -> int:
        """The pages that a reading adds."""
        if transport is not self.transport:
            if self.switches(transport):
                self.before_switch = self.last
                self.last = 0
            if transport is not Transport.NONE and self.transport is not Transport.T38:
                self.transport = transport
        added = max(0, value - self.last)
        self.last += added
        return added

    def switches(self, transport: Transport) -> bool:
        """Whether a reading by `transport` is the first after the switch to T.38."""
        return self.transport is Transport.G711 and transport is Transport.T38


@dataclass(slots=True)
class BadLineReader:
    """The bad lines of one session.

    A reading counts the page under way only. Asterisk sets it back to 0 when the next page begins,
    a moment after it has counted the page as done; and after the last page it stays.

    | pages done | reading    | what happened                                   | adds           |
    |------------|------------|-------------------------------------------------|----------------|
    | as before  | no smaller | the page goes on                                | the difference |
    | as before  | smaller    | the last reading was of this page: it was       | all of it      |
    |            |            | rejected, and begins again                      |                |
    | as before  | smaller    | the last reading may be of the page before: the | all of it      |
    |            |            | next one began, and only now it shows           |                |
    | 1 more     | smaller    | the next page began                             | all of it      |
    | 1 more     | no smaller | this was the last page; or the next one began,  | the difference |
    |            |            | and has as many lines already: then some are    |                |
    |            |            | owed                                            |                |
    | 2 or more  | any        | a whole page went by unseen                     | all of it      |

    Owed lines are those of the page just done, in the last row but one. If another page is done, or
    the reading grows, the next page had begun, and they are counted. If the reading falls, it had
    not: what was read was the page just done, all of which is counted.
    """

    page: int = 0
    """Pages done at the last reading."""
    last: int = 0
    owed: int = 0
    of_this_page: bool = True
    """Whether the last reading is known to be of the page under way, not of the one just done."""

    @classmethod
    def starting_at(cls, page: int, value: int) -> "BadLineReader":
        """One that counts only what comes after this reading."""
        return cls(page, value)

    def read(self, page: int, value: int) -> tuple[int, bool]:
        """The bad lines that a reading adds, and whether it tells of a rejected page. `page`: pages
        done, no fewer than at the last reading."""
        advance, growth = page - self.page, value - self.last
        added, rejected = 0, False
        if advance > 0 or growth > 0:
            added = self.settle()
        if advance > 1:
            added += value
            self.of_this_page = False
        elif growth < 0:
            added += value
            rejected = advance == 0 and self.of_this_page
            self.owed = 0
            self.of_this_page = True
        else:
            added += growth
            if advance:
                self.owed = self.last
                self.of_this_page = False
        if value == 0:
            self.of_this_page = True
        self.page, self.last = page, value
        return added, rejected

    def settle(self) -> int:
        """The lines owed, now that another page is known to have followed."""
        owed, self.owed = self.owed, 0
        if owed:
            self.of_this_page = True
        return owed
