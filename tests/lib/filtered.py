"""Gateways with filters, and what tests want to know of them."""
import re

from fakemilter import *  # noqa: F401,F403
from postern import (MX, Gateway, equal, letter, match, queued_id,
                     wait_until)


LIMITS = "limit rate-per-source 1000000/1s connections-per-source 10000\n" \
         "limit errors 10000 soft-errors 10000\n"


class Filtered(Gateway):
    """A gateway whose listener has filters, and a next hop that keeps all.

    filters: {name: Filter, or (Filter or list of them, "options")}. chosen:
    the set, all of them in a row when None. relay=False: conf has the rules.
    """

    def __init__(self, filters, chosen=None, conf="", listener="", relay=True,
                 mx=None, before="", **kw):
        self.filters, lines = {}, []
        for name, f in filters.items():
            found, opts = f if isinstance(f, tuple) else (f, "")
            found = found if isinstance(found, list) else [found]
            self.filters[name] = found
            lines.append(f"milter {name} " + " ".join(
                f'socket "{getattr(s, "spec", s)}"' for s in found) +
                f" {opts}")
        self.mx = MX(**mx or {})
        if chosen is None:
            chosen = "{ " + ", ".join(filters) + " }"
        chosen = f" milters {chosen}" if chosen else ""
        text = LIMITS + before + "\n".join(lines) + "\n" \
            f"listen on $own_address port $own_port{chosen} {listener}\n" \
            f'listen on socket "$dir/control/submit.sock"{chosen}\n'
        if relay:
            text += f'action out relay to "{self.mx.hop}"\n' \
                    'match for domain { "example.net" } action out\n'
        super().__init__(text + conf.replace("$hop", self.mx.hop),
                         listen=False, **kw)

    def __exit__(self, kind, value, tb):
        super().__exit__(kind, value, tb)
        self.mx.close()
        for found in self.filters.values():
            for f in found:
                if kind is not None and hasattr(f, "show"):
                    f.show()
                if not hasattr(f, "close"):
                    continue
                f.close()
                if kind is None:
                    f.fair()

    def one(self, token="t", rcpts=("x@example.net",), data=None,
            sender="s@client.example", params="", helo="client.example"):
        """One mail in a session of its own; the last reply."""
        with self.client(helo=helo) as c:
            found = c.mail(sender, list(rcpts), data or letter(token), params)
            c.want("QUIT", 221)
            return found

    def outcome(self, client=None, data=None):
        """A mail, as far as it gets: the reply that refuses it (the greeting,
        too), or the last."""
        c = client or self.client()
        got = c.greeting or (220, "")
        if got[0] == 421:
            c.close()
            return got
        for line in (*(["EHLO client.example"] if client is None else []),
                     "MAIL FROM:<s@client.example>",
                     "RCPT TO:<x@example.net>", "DATA",
                     (data or letter("t")) + b".\r\n"):
            got = c.cmd(line)
            if got[0] // 100 not in (2, 3):
                break
        if client is None:
            c.close()
        return got

    def delivered(self, count=1):
        """The mail that came as number count (for where each is waited for
        before the next is handed in): (sender, recipients, fields, body)."""
        mail = self.mx.wait(count)[count - 1]
        found, body = split(mail.data)
        return mail.sender, mail.rcpts, found, body

    def events(self, mid):
        """The trace of a mail, events of one name alone when given."""
        return self.json("trace", mid)

    def of_filter(self, name):
        for m in self.json("show", "milters"):
            if m["name"] == name:
                return m
        raise AssertionError(f"show milters has no {name}")

    def quarantined(self):
        return self.json("quarantine", "list")

    def wait_filter(self, name, condition, what):
        wait_until(lambda: condition(self.of_filter(name)), f"{name}: {what}")


def split(data):
    """Fields (as they are, without the last CRLF), and the body."""
    found, rest = [], data
    while rest and not rest.startswith(b"\r\n"):
        m = re.match(rb"[^\r\n:]+:.*?\r\n(?=[^ \t]|$)", rest, re.S)
        if not m:
            break
        found.append(m.group(0)[:-2])
        rest = rest[m.end():]
    return found, rest[2:] if rest.startswith(b"\r\n") else rest


def names(found):
    return [f.split(b":", 1)[0].decode() for f in found]


def refused(answer, code, text=""):
    """A reply with this code, an enhanced one of its class, and text."""
    equal(answer[0], code, f"{answer}")
    match(answer[1], rf"^{code // 100}\.\d+\.\d+ ", "enhanced code")
    if text:
        match(answer[1], text, "text")


def taken(answer):
    return queued_id(answer)


def unchanged(data, sent):
    """All that was sent lies below what we add, to the byte."""
    equal(data[-len(sent):], sent, "the mail as it was sent")
    match(data[:-len(sent)], r"^b'Received: ", "our own field")
    equal(len(split(data[:-len(sent)])[0]), 1, "fields above it")
