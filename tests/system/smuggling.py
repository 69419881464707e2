#!/usr/bin/python3
"""Matrix S: the only end of DATA is CRLF.CRLF. Whatever stands around a
lone dot, at most one message comes out, and what is not clean is refused."""
import contextlib
import itertools
import os
import ssl
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from matrix import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
match for domain { "example.net" } action out
limit rate-per-source 100000/1m
limit connections-per-source 1000
limit errors 1000
limit soft-errors 1000
limit text-line 128K
'''
# The rest is in the fixture.
LIMIT_LINES = "limit text-line 128K\n"


def finish(c):
    """No more will come, and everybody knows."""
    if isinstance(c.sock, ssl.SSLSocket):
        with contextlib.suppress(OSError):  # it may wait for our answer
            c.sock.settimeout(0.01)
            c.sock.unwrap()
        c.sock.settimeout(DEADLINE)
    c.sock.shutdown(socket.SHUT_WR)


def play(gw, name, pieces, split=0, client=None):
    """Sends it; returns the code for the first message, or None when the
    gateway (rightly) still waits for its end."""
    c = client or gw.client(helo="client.example")
    c.want("MAIL FROM:<a@b.example>", 250)
    c.want("RCPT TO:<x@example.net>", 250)
    c.want("DATA", 354)
    content = b"".join(pieces)
    at, clean = expect(content)
    if at is None and pieces[-1].endswith(FORGED):
        pieces = pieces + [b".\r\n"]  # the true end, after all
        at, clean = expect(content + b".\r\n")
    try:
        for p in pieces:
            for i in range(0, len(p), split or len(p)):
                c.send(p[i:i + (split or len(p))])
        if at is None:
            finish(c)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it had seen enough
    code = c.reply()[0]
    if at is None:
        assert code in (0, 421), f"{name}: answered {code} without an end"
    elif clean:
        equal(code, 250, name)
    else:
        equal(code, 550, name)
    c.close()
    return at, clean


def run(gw, mx, cases, split):
    accepted = 0
    for n, ((ln, left), (rn, right)) in enumerate(cases):
        name = f"{ln} . {rn} split {split}"
        at, clean = play(gw, name, content_of(left, right, f"s{n}"), split)
        accepted += at is not None and clean
    return accepted


@test
def matrix_in_one_segment():
    mx = MX()
    cases = list(itertools.product(LEFT.items(), RIGHT.items()))
    equal(len(cases), 266, "cases")
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        accepted = run(gw, mx, cases, 0)
        mx.wait(accepted)
        gw.wait_empty()
        # One message a case at most, and nothing of ours is bare.
        seen = {}
        for mail in mx.mails():
            add(seen, token_of(mail.data))
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", mail.data), \
                mail.data[-100:]
            equal(mail.sender, "a@b.example", "whose mail it is")
        equal([t for t, n in seen.items()
               if t not in (None, "forged") and n > 1], [], "twice")
        equal(len(mx.mails()), accepted, "mails")
    mx.close()


def judged(gw, accepted):
    """Nothing but whole mails of ours came out, each once."""
    gw.mx.wait(accepted)
    gw.wait_empty()
    seen = {}
    for mail in gw.mx.mails():
        add(seen, token_of(mail.data))
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", mail.data), \
            mail.data[-100:]
        equal(mail.sender, "a@b.example", "whose mail it is")
    equal([t for t, n in seen.items() if t not in (None, "forged") and n > 1],
          [], "twice")
    equal(len(gw.mx.mails()), accepted, "mails")


@test
def matrix_under_tls():
    """In one record, and (without the long ones) with a record for each
    byte."""
    with Secured(conf=LIMIT_LINES) as gw:
        ctx, accepted, n = context(), 0, 0
        session = None
        for split in (0, 1):
            for (ln, left), (rn, right) in itertools.product(LEFT.items(),
                                                             RIGHT.items()):
                if split and ln not in ("CRLF", "LF", "CR", "CRCRLF"):
                    continue
                with gw.tls(ctx=ctx, session=session) as c:
                    session = c.sock.session
                    at, clean = play(gw, f"{ln} . {rn} split {split} TLS",
                                     content_of(left, right, f"t{n}"), split,
                                     c)
                accepted += at is not None and clean
                n += 1
        judged(gw, accepted)


def chunks(c, content, size):
    """By BDAT, in chunks of so many octets; the last reply."""
    c.want("MAIL FROM:<a@b.example>", 250)
    c.want("RCPT TO:<x@example.net>", 250)
    parts = [content[i:i + size] for i in range(0, len(content), size)]
    for p in parts[:-1]:
        c.send(b"BDAT %d\r\n" % len(p) + p)
        got = c.reply()
        if got[0] != 250:
            return got
    return c.cmd(b"BDAT %d LAST\r\n" % len(parts[-1]) + parts[-1])


@test
def matrix_by_bdat():
    """There a dot means nothing, and neither does what follows it: all of
    it is the mail's content, which is clean or refused. (CR at the end is
    bare, too.)"""
    with Secured(conf=LIMIT_LINES) as gw:
        accepted, n = [], 0
        for (ln, left), (rn, right) in itertools.product(LEFT.items(),
                                                         RIGHT.items()):
            content = b"".join(content_of(left, right, f"b{n}"))
            dirty = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", content)
            c = gw.plain() if n % 2 else gw.tls()
            name = f"{ln} . {rn} by BDAT"
            got = chunks(c, content, (7 if len(content) < 1000 else 70000)
                         if n % 3 else len(content))
            equal(got[0], 550 if dirty else 250, f"{name}: {got}")
            if not dirty:
                accepted.append(content)
            c.close()
            n += 1
        judged(gw, len(accepted))
        found = [m.data for m in gw.mx.mails()]
        for content in accepted:
            want = content if content.endswith(b"\r\n") else \
                content + b"\r\n"
            equal(sum(d.endswith(b"\r\n" + want) for d in found) >= 1, True,
                  want[-80:])


@test
def subset_split_at_every_byte():
    mx = MX()
    cases = [c for c in itertools.product(LEFT.items(), RIGHT.items())
             if c[0][0] in ("CRLF", "LF", "CR", "CRCRLF", "start", "CRLF NUL",
                            "LFCR")]
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        accepted = run(gw, mx, cases, 1)
        mx.wait(accepted)
        gw.wait_empty()
    mx.close()


@test
def boundaries_of_buffers():
    """The end of DATA across every likely buffer boundary."""
    mx = MX()
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        n = 0
        for size in (4096, 8192, 16384, 65536):
            for off in range(-5, 2):
                c = gw.client(helo="client.example")
                c.want("MAIL FROM:<a@b.example>", 250)
                c.want("RCPT TO:<x@example.net>", 250)
                c.want("DATA", 354)
                head = b"X-Token: b\r\n\r\n"
                line = b"y" * 62 + b"\r\n"
                body = head + line * (size // len(line) + 1)
                body = body[:size + off - 2] + b"\r\n"
                body = body.replace(b"\r\r\n", b"z\r\n")
                c.send(body[:size + off])
                c.send(body[size + off:] + b".\r\nQUIT\r\n")
                queued_id(c.reply())
                equal(c.reply()[0], 221, "QUIT")
                n += 1
                mail = mx.wait(n)[-1]
                assert mail.data.endswith(body), (size, off)
    mx.close()


@test
def dots():
    """Unstuffed once on the way in, stuffed once on the way out."""
    mx = MX()
    body = b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\n x.\r\n.. x\r\n"            b"\r\n.\r\n"
    with Gateway(CONF, {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        queued_id(c.mail("a@b.example", "x@example.net", body))
        assert mx.wait()[0].data.endswith(body)
        # An empty message, the dot directly behind 354.
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send(".\r\n")
        queued_id(c.reply())
        match(mx.wait(2)[1].data, "Received: ", "the empty message")
    mx.close()


@test
def bare_newlines_from_the_excepted():
    """bare-newline reject except T: normalised to CRLF, for T alone."""
    mx = MX()
    conf = 'table old { "$old" }\nbare-newline reject except old\n' + CONF
    old = own_address(5)
    with Gateway(conf, {"hop": mx.hop, "old": old}) as gw:
        content = b"X-Token: bare\n\nline one\nline two\r\n.\r\n"
        c = gw.client(source=old, helo="client.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send(content)
        queued_id(c.reply())
        assert mx.wait()[0].data.endswith(
            b"X-Token: bare\r\n\r\nline one\r\nline two\r\n")
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send(content)
        match(c.reply(), r"^\(550, '5\.5\.2", "everybody else")
        c.ended()
    mx.close()


main()
