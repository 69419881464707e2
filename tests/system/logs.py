#!/usr/bin/python3
"""Both formats of the log, and clients that would like to write in it."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action drop discard
match for domain { "example.net" } action drop
limit errors 1000
limit soft-errors 1000
'''
TEXT = re.compile(r"^\S+ \S+ posternd\[\d+\]: [a-z]+ [a-z_-]+"
                  r"( [a-z_0-9.-]+=(\"([^\"\\]|\\.)*\"|[^ \"]*))*$")
# What the parent says to who started it, before there is a log.
STARTUP = re.compile(r"^(posternd: |/\S+:\d+: warning: )")
HOSTILE = (b'EHLO a"b\r\n', b"EHLO a=b\\c\r\n", b"EHLO x\x1b[31m\r\n",
           b"EHLO client=6.6.6.6\r\n", b"NOOP %s%n%x\r\n",
           b'MAIL FROM:<"a b\\" client=6.6.6.6"@x.example>\r\n', b"RSET\r\n",
           "EHLO \u2028\r\n".encode(), b"EHLO \xff\xfe\r\n",
           b"RCPT TO:<x\x07@example.net>\r\n",
           b'RCPT TO:<"x y z"@no.example>\r\n')


def session(gw):
    c = gw.client(helo="client.example")
    queued_id(c.mail("s@client.example", "x@example.net", letter("l")))
    c.want("MAIL FROM:<a@b.example>", 250)
    c.want("RCPT TO:<x@no.example>", 550)
    c.want("RSET", 250)
    for line in HOSTILE:
        if c.cmd(line)[0] == 0:
            c = gw.client(helo="client.example")
    c.cmd("QUIT")
    gw.wait_log("accepted")
    gw.wait_log("reject")
    gw.wait_log("disconnect")


@test
def text():
    with Gateway(CONF) as gw:
        session(gw)
        equal(gw.stop(), 0, "exit")
        for line in gw.lines:
            if not STARTUP.match(line):
                assert TEXT.match(line), f"not a log line: {line!r}"
        assert not gw.log_has("\x1b"), "an escape"
        for line in gw.log_has(" (connect|reject|disconnect) "):
            match(line, r"client=127\.", "whose")
            assert not re.search(r" client=6\.6\.6\.6( |$)",
                                 re.sub(r'"([^"\\]|\\.)*"', "", line)), line
        gw.remove()


@test
def json_lines():
    with Gateway("log format json\n" + CONF) as gw:
        session(gw)
        equal(gw.stop(), 0, "exit")
        events = []
        for line in gw.lines:
            if line.startswith("{"):
                try:
                    events.append(json.loads(line))
                except ValueError as e:
                    raise AssertionError(f"{e}: {line}") from e
            else:
                assert STARTUP.match(line), f"not JSON: {line!r}"
        names = {e["event"] for e in events}
        for n in ("connect", "accepted", "reject", "disconnect"):
            assert n in names, f"no {n} in {names}"
        for e in events:
            for k in ("time", "role", "event"):
                assert k in e, f"no {k} in {e}"
            match(e["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "time")
            if "client" in e:
                match(e["client"], r"^127\.", "client")
        acc = [e for e in events if e["event"] == "accepted"][0]
        for k in ("msg", "session", "from", "nrcpt", "size", "ms"):
            assert k in acc, f"no {k} in {acc}"
        gw.remove()


main()
