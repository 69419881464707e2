#!/usr/bin/python3
"""rspamd, clamav, opendkim, opendmarc: in a row, and in a group."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

DATE = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def mail(text, domain="example.org"):
    return (f"From: Alice <alice@{domain}>\r\nTo: <x@example.net>\r\n"
            f"Subject: probe\r\nDate: {DATE}\r\n"
            f"Message-ID: <r1@{domain}>\r\n\r\n{text}\r\n").encode()


def signed(key_of):
    with Filtered({"dkim": key_of}) as gw:
        taken(gw.one(data=mail("hello")))
        return gw.mx.wait()[0].data


def walk(gw, good, dmarc):
    with gw.client(helo="client.example") as c:
        for n in range(2):
            taken(c.mail("alice@example.org", "x@example.net", good))
            found = gw.delivered(n + 1)[2]
            for name in ("X-Spamd-Result", "X-Virus-Status", "DMARC-Filter"):
                equal(names(found).count(name), 1, f"{name}: {found}")
            results = b"\n".join(f for f in found if f.startswith(
                b"Authentication-Results"))
            match(results, "dkim=pass", "opendkim's")
            match(results, "dmarc=", "opendmarc's")
            equal(split(good)[1], gw.delivered(n + 1)[3], "body")
            refused(c.mail("alice@example.org", "x@example.net",
                           mail(GTUBE["reject"], "none.example")), 554,
                    "Gtube")
            equal(c.mail("alice@example.org", "x@example.net",
                         mail(EICAR, "none.example"))[0], 550, "virus")
    for name in gw.filters:
        equal(gw.of_filter(name)["failures"], 0, name)


@test
def all_four():
    with OpenDkim("s") as signer:
        good, key = signed(signer), signer.key
    with Rspamd() as rspamd, ClamAv() as clam, OpenDmarc() as dmarc, \
            OpenDkim("v", key=key) as dkim:
        four = {"rspamd": rspamd, "clam": clam, "dkim": dkim, "dmarc": dmarc}
        for chosen in ("{ rspamd, clam, dkim, dmarc }",
                       "{ { rspamd, clam, dkim }, dmarc }"):
            gw = Filtered(four, chosen)
            # The filters outlive the gateway.
            gw.filters = {k: [Kept(f) for f in v]
                          for k, v in gw.filters.items()}
            with gw:
                walk(gw, good, dmarc)


class Kept:
    def __init__(self, f):
        self.spec = f.spec


main()
