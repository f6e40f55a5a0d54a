"""Events of class call that Asterisk sends all day and that the exporter must ignore."""

from typing import Final

_CHANNEL: Final = (
    "Channel: PJSIP/trunk-berlin-0000001a\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
    "CallerIDNum: 5551234\r\nCallerIDName: <unknown>\r\nLanguage: en\r\nContext: fax\r\n"
    "Exten: recv\r\nPriority: 2\r\nUniqueid: 1700000000.1\r\nLinkedid: 1700000000.1\r\n"
)


UNWANTED: Final = [
    f"Event: {name}\r\nPrivilege: call,all\r\n{_CHANNEL}{rest}\r\n".encode()
    for name, rest in (
        ("Newexten", "Application: Set\r\nAppData: FAXOPT(ecm)=no\r\n"),
        ("VarSet", "Variable: X\r\nValue: Event: SendFAX\r\n"),
        ("RTCPSent", "PT: 200(SR)\r\nReportCount: 1\r\nSentNTP: 1700000000.5\r\n"),
        ("Newstate", ""),
        ("FAXStatus", "Status: FAX Transmission In Progress\r\nLocalStationID: \r\n"),
        ("DialBegin", "DialString: trunk-berlin/5551234\r\n"),
        ("SendFAXes", "PagesTransferred: 9\r\n"),
        ("Hangup", "Cause: 16\r\nCause-txt: Normal Clearing\r\n"),
    )
]
