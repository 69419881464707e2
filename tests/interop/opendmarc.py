#!/usr/bin/python3
"""opendmarc: what it finds, refuses and has set aside; behind opendkim."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

def mail(domain):
    return (f"From: <a@{domain}>\r\nTo: <x@example.net>\r\nSubject: t\r\n"
            "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <d1@{domain}>\r\n\r\nhello\r\n").encode()


@test
def policies():
    with OpenDmarc() as dmarc, Filtered({"dmarc": dmarc}) as gw:
        taken(gw.one(data=mail("none.example")))
        found = gw.delivered()[2]
        # Both were put at index 0, above our own.
        equal(sorted(names(found)[:2]),
              ["Authentication-Results", "DMARC-Filter"], "the top")
        equal(names(found)[2], "Received", "then ours")
        if not dmarc.names:
            raise Skip("no mount namespace: it cannot ask our name server")
        refused(gw.one(data=mail("example.org")), 550,
                "rejected by DMARC policy for example.org")
        mid = taken(gw.one(data=mail("example.com")))
        q = gw.quarantined()
        equal([(m["id"], m["filter"]) for m in q], [(mid, "dmarc")], "held")
        match(q[0]["reason"], "(?i)dmarc", "reason")


@test
def behind_opendkim():
    """In a row it sees the result of the other, and lets pass what the
    policy alone would refuse."""
    text = mail("example.org")
    with OpenDkim("s") as signer, Filtered({"dkim": signer}) as gw:
        taken(gw.one(data=text))
        data = gw.mx.wait()[0].data
    with OpenDkim("v", key=signer.key) as dkim, OpenDmarc() as dmarc:
        with Filtered({"dkim": dkim, "dmarc": dmarc}) as gw:
            taken(gw.one(data=data))
            found = gw.delivered()[2]
            both = b"\n".join(f for f in found
                              if f.startswith(b"Authentication-Results"))
            match(both, "dkim=pass", "dkim")
            match(both, "dmarc=pass" if dmarc.names else "dmarc=", "dmarc")
            if dmarc.names:
                refused(gw.one(data=data.replace(b"hello", b"hell0")), 550,
                        "DMARC")


main()
