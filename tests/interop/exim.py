#!/usr/bin/python3
"""Debian's Exim as a client: it sends by BDAT where CHUNKING is offered (the
Postfix of Debian does not), and by STARTTLS."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from realclients import *  # noqa: E402,F401,F403


def body_of(data):
    return data.split(b"\r\n\r\n", 1)[1]


def bodies():
    dots = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n"
    yield "dots", dots
    for size in (100, 8191, 8192, 8193, 100000, 3 << 20):
        yield f"{size}", letter(f"b{size}", size)
    yield "8bit", "Subject: ü\r\n\r\nGrüße ‥\r\n".encode()


@test
def by_bdat():
    with Secured() as gw:
        for transport in ("hosts_avoid_tls = *", "hosts_require_tls = *\n"
                          f"  tls_verify_certificates = {gw.ca.root}\n"
                          "  tls_try_verify_hosts = *"):
            with EximClient(gw.address, gw.ports["mx"], transport) as exim:
                base = len(gw.mx.mails())
                for n, (name, data) in enumerate(bodies(), 1):
                    code, out, log = exim.send(data)
                    equal(code, 0, f"{name}: {out} {log}")
                    match(log.strip().split("\n")[-2] + log, r" => x@", name)
                    mail = gw.mx.wait(base + n)[base + n - 1]
                    equal(body_of(mail.data), body_of(data), name)
                match(log, r" K C=\"250-? .*queued as", "by BDAT")
        wait_until(lambda: gw.stats()["smtpd.bdat"] >= 2 * len(list(
            bodies())), "mails by BDAT")


@test
def refused_at_rcpt():
    """The whole group is pipelined: RCPT refused, and the octets of BDAT
    with it."""
    with Secured(relay=False, conf='action out relay to "$hop"\n'
                 'match for rcpt { "x@example.net" } action out\n') as gw:
        with EximClient(gw.address, gw.ports["mx"]) as exim:
            _, _, log = exim.send(letter("r", 20000), rcpts=(
                "x@example.net", "no@example.net"))
            match(log, r"(?s)(=> x@example.*\*\* no@|\*\* no@.*=> x@)", "log")
            equal(gw.delivered().rcpts, ["x@example.net"], "recipients")
            _, _, log = exim.send(letter("r", 20000),
                                  rcpts=("no@example.net",))
            match(log, r"\*\* no@example.net", "log")
            _, _, log = exim.send(letter("again"))
            equal(token_of(gw.delivered(2).data), "again", "afterwards")


main()
