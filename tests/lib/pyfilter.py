#!/usr/bin/python3
"""A filter on libmilter (python3-milter) that does what a mail asks for.

pyfilter.py SOCKET SEEN [quiet]

The field X-Plan holds a list in JSON of what to do at the end of the message:
["addheader", name, value], ["insheader", index, name, value], ["chgheader",
name, index, value], ["chgfrom", …], ["addrcpt", …], ["delrcpt", …],
["replacebody", line, lines, times], ["quarantine", reason], ["progress"],
["setreply", …], ["return", "REJECT"]. A local part like mail-REJECT or
rcpt-TEMPFAIL is an answer to MAIL or RCPT, a name helo-REJECT to HELO. quiet:
replies to nothing before the end, and asks for macros of its own. SEEN gets a
line of JSON for all it is told.
"""
import json
import re
import sys

import Milter

MACROS = ("i", "j", "_", "v", "{daemon_name}", "{client_addr}", "{mail_addr}",
          "{rcpt_addr}", "{rcpt_mailer}", "{auth_type}", "{msg_id}")


def verdict(text):
    m = re.search(r"-(REJECT|TEMPFAIL|DISCARD|ACCEPT)\b", text or "")
    return getattr(Milter, m.group(1)) if m else Milter.CONTINUE


class Filter(Milter.Base):
    def note(self, event, *args):
        macros = {m: self.getsymval(m) for m in MACROS
                  if self.getsymval(m) is not None}
        SEEN.write(json.dumps([event, args, macros]) + "\n")
        SEEN.flush()

    def connect(self, name, family, address):
        self.note("connect", name, family, address)
        return Milter.CONTINUE

    def hello(self, name):
        self.note("helo", name)
        return verdict(name)

    def envfrom(self, address, *args):
        self.plan, self.chunks, self.size, self.skip = [], 0, 0, False
        self.note("mail", address, *args)
        return verdict(address)

    def envrcpt(self, address, *args):
        self.note("rcpt", address, *args)
        return verdict(address)

    def data(self):
        self.note("data")
        return Milter.CONTINUE

    def header(self, name, value):
        self.note("header", name, value)
        if name == "X-Plan":
            self.plan = json.loads(value)
        if name == "X-Skip":
            self.skip = True
        return Milter.CONTINUE

    def eoh(self):
        self.note("eoh")
        return Milter.CONTINUE

    def body(self, chunk):
        self.chunks += 1
        self.size += len(chunk)
        return Milter.SKIP if self.skip else Milter.CONTINUE

    def unknown(self, line):
        self.note("unknown", line)
        return Milter.CONTINUE

    def eom(self):
        self.note("eom", self.chunks, self.size)
        result = Milter.CONTINUE
        for what, *args in self.plan:
            if what == "return":
                result = getattr(Milter, args[0])
            elif what == "insheader":
                self.addheader(args[1], args[2], args[0])
            elif what == "replacebody":
                for _ in range(args[2]):
                    self.replacebody(args[0].encode() * args[1])
            else:
                getattr(self, what)(*args)
        return result

    def abort(self):
        self.note("abort")
        return Milter.CONTINUE

    def close(self):
        return Milter.CONTINUE


class Quiet(Filter):
    """Every NR bit, spaces as they are, refused recipients, own macros."""

    def negotiate(self, opts):
        # Milter.Base.setsymlist hands on bytes, which the C side refuses.
        self._ctx.setsymlist(Milter.M_CONNECT, "j {client_addr}")
        self._ctx.setsymlist(Milter.M_ENVRCPT, "{rcpt_addr} {rcpt_mailer}")
        opts[0] = Milter.ADDHDRS | Milter.CHGBODY | Milter.SETSYMLIST
        opts[1] = Milter.P_NR_CONN | Milter.P_NR_HELO | Milter.P_NR_MAIL | \
            Milter.P_NR_RCPT | Milter.P_NR_DATA | Milter.P_NR_UNKN | \
            Milter.P_NR_HDR | Milter.P_NR_EOH | Milter.P_NR_BODY | \
            Milter.P_HDR_LEADSPC | Milter.P_RCPT_REJ
        return Milter.CONTINUE


def silent(name):
    def ask(self, *args):
        getattr(Filter, name)(self, *args)
        return Milter.NOREPLY
    return ask


for method in ("connect", "hello", "envfrom", "envrcpt", "data", "header",
               "eoh", "body", "unknown"):
    setattr(Quiet, method, silent(method))

SEEN = open(sys.argv[2], "a")
Milter.factory = Quiet if "quiet" in sys.argv else Filter
Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY |
                 Milter.ADDRCPT | Milter.DELRCPT | Milter.QUARANTINE |
                 Milter.CHGFROM | Milter.ADDRCPT_PAR | Milter.SETSYMLIST)
Milter.runmilter("pyfilter", sys.argv[1], 300)
