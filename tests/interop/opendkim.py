#!/usr/bin/python3
"""opendkim: signs, verifies, and what it signed stays whole."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

HEAD = (b"From: Alice <alice@example.org>\r\nTo: <x@example.net>\r\n"
        b"Subject:  two  spaces\r\n\tand a fold\r\n"
        b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
        b"Message-ID: <rt.1@example.org>\r\n")
MAIL = HEAD + b"\r\nHello  world.\r\nline 2 \r\n\r\n\r\n"


def signed(gw, data=MAIL, n=1):
    """As it comes out of a gateway that signs, without our Received."""
    taken(gw.one(data=data, sender="alice@example.org"))
    got = gw.mx.wait(n)[n - 1].data
    found, _ = split(got)
    equal(names(found)[:2], ["DKIM-Signature", "Received"], "the top")
    head = found[0] + b"\r\n"
    # It was put at index 0, above our own field, which it does not cover.
    return head + got[len(head) + len(found[1]) + 2:]


def results(found):
    return [f.decode() for f in found
            if f.startswith(b"Authentication-Results:")]


@test
def signs_and_verifies():
    with OpenDkim("s") as signer, Filtered({"dkim": signer}) as one:
        with OpenDkim("v", key=signer.key) as judge, \
                Filtered({"dkim": judge}) as two:
            text = signed(one)
            tries = [
                (text, "dkim=pass"),
                (text.replace(b"world", b"w0rld"), "dkim=fail"),
                (text.replace(b"Subject:  two", b"Subject:  tw0"),
                 "dkim=fail"),
                # relaxed: folding is nobody's business
                (text.replace(b"spaces\r\n\tand", b"spaces and"),
                 "dkim=pass"),
                (MAIL, "dkim=none")]
            for n, (data, want) in enumerate(tries):
                taken(two.one(data=data, sender="alice@example.org"))
                found = two.delivered(n + 1)[2]
                match(results(found) or "dkim=none", want, f"mail {n}")


@test
def a_signature_made_before_us_holds_behind_us():
    """Through a row of filters, with simple canonicalisation: no byte of
    field or body may be another."""
    with OpenDkim("s", more="Canonicalization simple/simple") as signer:
        with Filtered({"dkim": signer}) as one:
            odd = HEAD + b"X-Odd:   three\r\n \t fold \r\nX-None:x\r\n" + \
                b"\r\n.dot\r\n..\r\n \r\n\ttab \r\n" + b"z" * 900 + b"\r\n"
            mails = [signed(one, MAIL, 1),
                     signed(one, odd, 2),
                     signed(one, odd + b"long line\r\n" * 60000, 3)]
        with PyMilter() as py, PyMilter("quiet") as quiet:
            with Filtered({"py": py, "quiet": quiet, "fake": Filter()},
                          "{ py, { quiet, fake } }") as gw:
                for n, data in enumerate(mails):
                    taken(gw.one(data=data))
                    unchanged(gw.mx.wait(n + 1)[n].data, data)
                through = [m.data for m in gw.mx.mails()]
        with OpenDkim("v", key=signer.key) as judge:
            with Filtered({"dkim": judge}) as gw:
                for n, data in enumerate(through):
                    taken(gw.one(data=data))
                    match(results(gw.delivered(n + 1)[2])[0], "dkim=pass",
                          f"mail {n}")


@test
def forged_and_old_results_go():
    """It takes away what claims to be ours, by index, and old signatures."""
    with OpenDkim("v") as judge, Filtered({"dkim": judge}) as gw:
        ours = b"Authentication-Results: mx.test.example; dkim=pass\r\n"
        data = ours + b"X-A: 1\r\n" + ours + \
            b"Authentication-Results: other.example; spf=pass\r\n" + MAIL
        taken(gw.one(data=data))
        found = gw.delivered()[2]
        equal([r for r in results(found) if "dkim=pass" in r], [], "forged")
        assert any("other.example" in r for r in results(found)), found
    with OpenDkim("s", more="RemoveOldSignatures yes") as signer, \
            Filtered({"dkim": signer}) as gw:
        once = signed(gw)
        old = split(once)[0][0] + b"\r\n"
        taken(gw.one(data=old + b"X-A: 1\r\n" + once,
                     sender="alice@example.org"))
        found = gw.delivered(2)[2]
        equal(names(found).count("DKIM-Signature"), 1, f"{found}")
        equal(names(found)[:3], ["DKIM-Signature", "Received", "X-A"], "top")


main()
