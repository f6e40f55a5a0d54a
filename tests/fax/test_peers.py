"""Peers: the far end of a channel, by the channel's name."""

import pytest

from exporter.fax import peer_of

PEERS = {
    # Names as each technology makes them, in one version of Asterisk or another.
    "PJSIP/trunk-berlin-0000001a": "PJSIP/trunk-berlin",
    "PJSIP/trunk-beef-0000001a": "PJSIP/trunk-beef",
    "PJSIP/anonymous-00000001": "PJSIP/anonymous",
    "SIP/trunk-0000a194": "SIP/trunk",
    "SIP/10.0.0.5-0000abcd": "SIP/10.0.0.5",
    "IAX2/peer-1234": "IAX2/peer",
    "IAX2/host.example:4569-1234": "IAX2/host.example:4569",
    "DAHDI/i1/5551234-2": "DAHDI/i1",
    "DAHDI/1-1": "DAHDI/1",
    "DAHDI/pseudo-1293": "DAHDI/pseudo",
    "Zap/4-1": "Zap/4",
    "CAPI/ISDN1/5551234-1f": "CAPI/ISDN1",
    "mISDN/1-u17": "mISDN/1",
    "mISDN/2-u170": "mISDN/2",
    "MGCP/aaln/1@gateway-1": "MGCP/aaln/1@gateway",
    "Skinny/100@phone-3": "Skinny/100@phone",
    "Unistim/100@phone-0x55d0c0ff": "Unistim/100@phone",
    "SCCP/1001-00000007": "SCCP/1001",
    "OOH323/peer-12": "OOH323/peer",
    "H323/ip$10.0.0.5:1720/12345": "H323/ip$10.0.0.5:1720",
    "Motif/bob@example.org-9af3": "Motif/bob@example.org",
    "Dongle/dongle0-0100000001": "Dongle/dongle0",
    "Quectel/quectel0-0100000001": "Quectel/quectel0",
    "Mobile/phone-7d2a": "Mobile/phone",
    "Khomp/B0C1-0.0": "Khomp/B0C1",
    "vpb/1-1": "vpb/1",
    "Console/dsp": "Console/dsp",
    "AudioSocket/10.0.0.5:9092-40325ec2-5efd-4bd3-805f-53576e581d13": "AudioSocket/10.0.0.5:9092",
    "UnicastRTP/10.0.0.5:5004-0x7f83a8001f70": "UnicastRTP/10.0.0.5:5004",
    "WebSocket/media-0x7f83a8001f70": "WebSocket/media",
    "MulticastRTP/0x7f83a8001f70": "",
    "mISDN/tmp3-u17": "",
    "Snoop/1795630849.12-0000002a": "",
    # A Local channel: its context, and never what was dialled.
    "Local/recv@fax-00000003;2": "Local/fax",
    "Local/0305550000@faxes-0000002a;1": "Local/faxes",
    "Local/+49 30/5550000@from-internal-0000002a;2": "Local/from-internal",
    "Local/bob@example.org@faxes-0000002a;1": "Local/faxes",
    "Local/0305550000@faxes-2a3f;1<ZOMBIE>": "Local/faxes",
    "Local/0305550000@faxes-7b2a,1": "Local/faxes",
    "Local/0305550000-0000002a;1": "",
    # What is moved.
    "PJSIP/trunk-0000001a<ZOMBIE>": "PJSIP/trunk",
    "SIP/trunk-0000a194<MASQ>": "SIP/trunk",
    "SIP/trunk-0000a194<MASQ><ZOMBIE>": "SIP/trunk",
    "AsyncGoto/PJSIP/trunk-0000001a": "PJSIP/trunk",
    "AsyncGoto/PJSIP/trunk-0000001a<ZOMBIE>": "PJSIP/trunk",
    "AsyncGoto/Local/0305550000@faxes-0000002a;2": "Local/faxes",
    "Surrogate/PJSIP/trunk-0000001a": "PJSIP/trunk",
    "Bridge/SIP/trunk-0000a194": "SIP/trunk",
    "Parked/SIP/trunk-0000a194": "SIP/trunk",
    "Transfered/SIP/trunk-0000a194": "SIP/trunk",
    "AsyncGoto/Bridge/SIP/trunk-0000a194": "SIP/trunk",
    # What a label cannot hold, and what it can.
    "PJSIP/a\n\x1b[31m-00000001": "PJSIP/a??[31m",
    "PJSIP/a\u202eb\u2028c-00000001": "PJSIP/a?b?c",
    "PJSIP/büro-00000001": "PJSIP/büro",
    "PJSIP/bäro-00000001": "PJSIP/bäro",
    "PJSIP/東京 支店-00000001": "PJSIP/東京 支店",
    "": "",
    "nonsense": "",
    "PJSIP/": "",
    "PJSIP/-00000001": "",
    "/trunk-00000001": "",
    "AsyncGoto/": "",
    "AsyncGoto/nonsense": "AsyncGoto/nonsense",
}


@pytest.mark.parametrize(("channel", "peer"), PEERS.items())
def test_a_peer_is_technology_and_endpoint_without_the_serial(channel: str, peer: str) -> None:
    assert peer_of(channel) == peer
