#!/usr/bin/python3
"""spamass-milter and spamd: the score in fields, or refused."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

def mail(text):
    return ("From: Alice <alice@example.org>\r\nTo: <x@example.net>\r\n"
            "Subject: lunch\r\nMessage-ID: <s1@example.org>\r\nDate: " +
            time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()) +
            f"\r\n\r\n{text}\r\n").encode()


@test
def ham_and_spam():
    with SpamAssassin() as spam, Filtered({"spam": spam}) as gw:
        taken(gw.one(data=mail("Shall we have lunch at noon?")))
        found = gw.delivered()[2]
        status = [f for f in found if f.startswith(b"X-Spam-Status:")]
        equal(len(status), 1, f"{found}")
        match(status[0], "X-Spam-Status: No", "status")
        # The Received field that it makes up of our macros can be read.
        assert b"UNPARSEABLE_RELAY" not in status[0], status[0]
        refused(gw.one(data=mail(GTUBE["reject"])), 550)
        with gw.client(helo="client.example") as c:
            for n in range(2):
                taken(c.mail("a@example.org", "x@example.net",
                             mail("Shall we?")))
                equal(c.mail("a@example.org", "x@example.net",
                             mail(GTUBE["reject"]))[0], 550, "spam")
        gw.mx.wait(3)
        equal(gw.of_filter("spam")["failures"], 0, "failures")


main()
