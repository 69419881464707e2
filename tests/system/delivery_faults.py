#!/usr/bin/python3
"""Every verb of a next hop with every fault, all at once: each mail has the
fate it must have, nothing is lost, and what was deferred goes when the hop is
well again."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from outward import *  # noqa: E402,F401,F403

FAULTS = {
    "stall": Stall(), "drop": Drop(), "half": Drop(b"25"),
    "reset": Reset(), "garbage": Raw(b"\0\1nonsense\r\n"),
    "line": Endless(b"250-more\r\n"), "byte": Endless(b"x"),
    "code": Raw(b"999 9.9.9 what\r\n"), "mixed": Raw(b"250-a\r\n550 b\r\n"),
    "421": Reply("421 4.3.2 going down"),
    "4xx": Reply("451 4.7.1 not now"), "5xx": Reply("554 5.7.1 never"),
}
# What leaves no doubt, and is the mail's own fault.
FOR_GOOD = ("mail", "rcpt", "data", "dot", "bdat")
WORDS = ("PIPELINING", "8BITMIME", "SIZE 52428800")
# kind: (words of MX, words of the action, scheme, moments)
SMTP = ("connect", "ehlo", "mail", "rcpt", "data", "dot", "quit")
TLS = {"starttls", "handshake"}
KINDS = {
    "clear": ({}, "", "smtp+notls", SMTP),
    "pipeless": ({"extensions": ("SIZE 52428800",)}, "", "smtp+notls", SMTP),
    "tls": ({"tls": True}, "tls require", "smtp",
            ("connect", "clear:ehlo", "starttls", "handshake", "tls:ehlo",
             "mail", "rcpt", "data", "dot", "quit")),
    "smtps": ({"tls": True, "smtps": True}, "", "smtps",
              ("handshake", "connect", "ehlo", "mail", "dot")),
    "auth": ({"tls": True, "auth": {"luke": "force"}},
             'auth creds label "hub"', "smtp+tls",
             ("tls:ehlo", "auth", "mail", "dot")),
    "login": ({"tls": True, "auth": {"luke": "force"}, "words": "LOGIN"},
              'auth creds label "hub"', "smtp+tls", ("auth", "more")),
    "bdat": ({"extensions": WORDS + ("CHUNKING",)}, "", "smtp+notls",
             ("mail", "rcpt", "chunk", "bdat", "quit")),
    "lmtp": ({"lmtp": True}, "", "lmtp",
             ("connect", "lhlo", "mail", "rcpt", "data", "dot", "quit")),
}


def possible(moment, fault):
    if moment == "handshake":
        return fault in ("stall", "drop", "half", "reset", "garbage", "byte")
    if moment == "chunk":
        return fault in ("stall", "drop", "reset")
    return True


def wanted(moment, fault, kind):
    if moment == "quit":
        return "delivered"
    if fault == "5xx" and moment in FOR_GOOD:
        return "bounced"
    if fault == "5xx" and moment in ("ehlo", "clear:ehlo", "tls:ehlo"):
        # HELO will do where nothing that EHLO offers is needed.
        return "delivered" if kind in ("clear", "pipeless", "smtps") or \
            (kind, moment) == ("tls", "tls:ehlo") else "deferred"
    if fault == "5xx" and moment in ("connect", "lhlo"):
        return "deferred|bounced"
    return "deferred"


class Matrix:
    """A next hop of its own for each moment and fault of a kind. stalls: the
    ones that are found out by their time alone; the others have time enough,
    however busy the machine."""

    def __init__(self, kind, stalls):
        self.kind, self.stalls = kind, stalls
        words, self.action, scheme, moments = KINDS[kind]
        words = dict(words)
        auth_words = words.pop("words", None)
        if words.pop("tls", False):
            words["tls"] = ca().cert("hub.example")
        words.setdefault("extensions", WORDS)
        self.cells, self.mxs = {}, {}
        for moment in moments:
            for fault, how in FAULTS.items():
                if not possible(moment, fault) or \
                        (fault == "stall" and moment != "quit") != stalls:
                    continue
                if moment == "handshake":
                    how = {"garbage": Garble(), "half": Broken(300, Drop()),
                           "stall": Broken(300, Stall())}.get(fault, how)
                mx = MX(faults={moment: how}, **words)
                mx.auth_words = auth_words or mx.auth_words
                cell = f"{moment}-{fault}".replace(":", "-")
                self.cells[cell] = (moment, fault)
                self.mxs[cell] = mx
        routes = ", ".join(
            f'"{c}.example.net" = "{scheme}://hub.example:{m.port}"'
            for c, m in self.mxs.items())
        self.conf = f"table routes {{ {routes} }}\n" \
            f"action mapped relay to routes {self.action}\n" \
            "match for domain routes action mapped\n" \
            "deliver concurrency 1 idle-timeout 0\nworkers delivery 1\n" + \
            ("" if stalls else "deliver quit-timeout 1s\n")

    def gateway(self):
        before = 'table creds { "hub" = "luke:force" }\n'
        return Sending(conf=self.conf, before=before, quick=self.stalls,
                       hub=next(iter(self.mxs.values())))

    def run(self):
        with self.gateway() as gw:
            pids = {r: gw.role_pids(r) for r in ("delivery", "queue")}
            ids = {}
            with gw.plain() as c:
                for cell in self.cells:
                    ids[cell] = queued_id(c.mail(
                        "", f"x@{cell}.example.net", letter(cell)))
            ends = {}
            for cell, (moment, fault) in self.cells.items():
                ends[cell], line = gw.fate(ids[cell])
                match(ends[cell],
                      f"^({wanted(moment, fault, self.kind)})$",
                      f"{self.kind} {cell}: {line}")
            self.check_clear()
            for mx in self.mxs.values():
                mx.faults.clear()
            # And who is well again has time to say so.
            gw.conf_text = gw.conf_text.replace(QUICK, "")
            gw.write_conf()
            gw.ctl("reload", check=0)
            for cell, event in ends.items():
                if event != "bounced":
                    self.arrives(gw, cell)
            wait_until(lambda: gw.ctl("flush", "all") and
                       gw.stats()["queue.messages"] == 0, "an empty queue")
            equal({r: gw.role_pids(r) for r in pids}, pids, "nobody died")
        for mx in self.mxs.values():
            mx.close()

    def arrives(self, gw, cell):
        def there():
            # Again: it may just have been with an agent.
            return self.mxs[cell].mails() or gw.ctl("flush", "all") is None
        wait_until(there, f"the mail of {cell}")
        mails = self.mxs[cell].mails()
        equal({token_of(m.data) for m in mails}, {cell}, "the mail")
        # Once more after an end whose reply was not heard: it may be. With
        # BDAT the end is said before anything is heard.
        most = 2 if self.kind == "bdat" or \
            self.cells[cell][0] == "dot" else 1
        assert len(mails) <= most, f"{cell}: {len(mails)} times"

    def check_clear(self):
        if self.action or self.kind == "smtps":
            for mx in self.mxs.values():
                mx.nothing_in_clear()


def add_test(kind):
    def run():
        for stalls in False, True:
            Matrix(kind, stalls).run()
    run.__name__ = kind
    test(run)


for kind_ in KINDS:
    add_test(kind_)
main()
