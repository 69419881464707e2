#!/usr/bin/python3
"""clamav-milter: a virus is refused, set aside, dropped; clamd gone."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

from filtered import *  # noqa: E402,F401,F403
from realmilters import *  # noqa: E402,F401,F403

def mail(text):
    return (f"From: <a@b.example>\r\nTo: <x@example.net>\r\nSubject: t\r\n"
            f"\r\n{text}\r\n").encode()


@test
def refuses():
    with ClamAv() as clam, Filtered({"clam": clam}) as gw:
        taken(gw.one(data=mail("clean")))
        found = gw.delivered()[2]
        equal(names(found)[-2:], ["X-Virus-Scanned", "X-Virus-Status"],
              "its fields, at the end")
        equal(gw.one(data=mail(EICAR)),
              (550, "5.7.1 virus Local.Eicar.UNOFFICIAL found"), "refused")
        with gw.client(helo="client.example") as c:
            for n in range(3):
                equal(c.mail("a@b.example", "x@example.net",
                             mail(EICAR))[0], 550, "virus")
                taken(c.mail("a@b.example", "x@example.net", mail("clean")))
            # Far into a large one.
            equal(c.mail("a@b.example", "x@example.net", mail(
                ("0123456789" * 7 + "\r\n") * 20000 + EICAR))[0], 550, "far")
        gw.mx.wait(4)
        gw.wait_empty()
        equal(len(gw.mx.mails()), 4, "mails")


@test
def clamd_is_gone():
    """451 after the dot, and others let pass when they may."""
    for policy in ("tempfail", "accept"):
        with ClamAv() as clam:
            with Filtered({"clam": (clam, f"on-failure {policy}")}) as gw:
                clam.end(clam.clamd)
                clam.procs.remove(clam.clamd)
                # It says so itself: that is no failure of the filter.
                got = gw.one(data=mail("clean"))
                equal(got[0], 451, f"{policy}: {got}")
                equal(gw.of_filter("clam")["failures"], 0, "failures")
                clam.end(clam.procs[-1])
                got = gw.outcome(data=mail("clean"))
                equal(got[0], {"tempfail": 451, "accept": 250}[policy],
                      f"{policy}, without the filter: {got}")


@test
def sets_aside_and_drops():
    with ClamAv("Quarantine") as clam, Filtered({"clam": clam}) as gw:
        mid = taken(gw.one(data=mail(EICAR)))
        q = gw.quarantined()
        equal([(m["id"], m["filter"]) for m in q], [(mid, "clam")], "held")
        equal(q[0]["reason"], "quarantined by clamav-milter", "reason")
        # Still infected when it is asked again; released all the same.
        gw.json("quarantine", "rescan", mid)
        wait_until(lambda: gw.of_filter("clam")["verdicts"].get(
            "quarantine", 0) == 2, "asked again")
        gw.wait_log(rf" queue quarantined (?=.*msg={mid})", count=2)
        equal(len(gw.quarantined()), 1, "held again")
        gw.json("quarantine", "release", mid)
        assert EICAR.encode() in gw.mx.wait()[0].data
    with ClamAv("Blackhole") as clam, Filtered({"clam": clam}) as gw:
        mid = taken(gw.one(data=mail(EICAR)))
        gw.wait_log(rf"discarded .*msg={mid}|msg={mid}.*discarded")
        taken(gw.one(data=mail("clean")))
        gw.mx.wait()
        equal(len(gw.mx.mails()), 1, "mails")


main()
