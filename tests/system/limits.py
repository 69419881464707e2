#!/usr/bin/python3
"""Every limit on both sides of it, every timeout with short times."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

BASE = '''
action drop discard
match for domain { "example.net" } action drop
'''


def gateway(conf=""):
    return Gateway(BASE + conf)


def transaction(c, data, params=""):
    """The reply at the dot, or the first that refused."""
    for line in (f"MAIL FROM:<a@b.example>{params}",
                 "RCPT TO:<x@example.net>", "DATA"):
        got = c.cmd(line)
        if got[0] not in (250, 354):
            return got
    c.send(stuff(data) + b".\r\n")
    return c.reply()


@test
def message_size():
    with gateway("limit message-size 100000\n") as gw:
        c = gw.client(helo="client.example")
        match(c.cmd("EHLO client.example")[1], "(?m)^SIZE 100000$", "EHLO")
        c.want("MAIL FROM:<a@b.example> SIZE=100000", 250)
        c.want("RSET", 250)
        match(c.cmd("MAIL FROM:<a@b.example> SIZE=100001"),
              r"\(552, '5\.3\.4", "announced too big")
        head = b"Subject: s\r\n\r\n"
        line = b"z" * 78 + b"\r\n"
        body = head + line * 1200
        exact = body + b"y" * (100000 - len(body) - 2) + b"\r\n"
        equal(len(exact), 100000, "size")
        queued_id(transaction(c, exact))
        # Dots that are stuffed on the way do not count.
        dots = (head + b".\r\n" * 34000)[:99998] + b"\r\n"
        dots = re.sub(rb"\r?\r\n$", b"\r\n", dots)
        equal(transaction(c, dots)[0], 250, "dots")
        match(transaction(c, exact[:-2] + b"y\r\n"), r"\(552, '5\.3\.4",
              "one too many")
        queued_id(transaction(c, exact))


@test
def refused_content_has_an_end_too():
    """Whatever it was refused for: at twice the size patience ends."""
    for name, piece in (("bare LF", b"abc\ndef\r\n" * 8000),
                        ("header", b"X: " + b"a" * 70000 + b"\r\n"),
                        ("long line", b"\r\n" + b"a" * 70000)):
        with gateway("limit message-size 100K\n") as gw:
            c = gw.client(helo="client.example")
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            c.want("DATA", 354)
            sent = 0
            try:
                while sent < 64 << 20:
                    c.send(piece)
                    sent += len(piece)
            except OSError:
                pass
            assert sent < 64 << 20, f"{name}: it never ended"
            gw.wait_log("disconnect.*reason=size")


@test
def recipients():
    with gateway("limit recipients 100\n") as gw:
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        for i in range(100):
            c.want(f"RCPT TO:<x{i}@example.net>", 250)
        match(c.cmd("RCPT TO:<one-more@example.net>"), r"\(452, '4\.5\.3",
              "one too many")
        c.want("DATA", 354)
        c.send(letter("r") + b".\r\n")
        queued_id(c.reply())
        gw.wait_log("accepted.*nrcpt=100")


@test
def the_same_recipient_twice_is_one():
    mx = MX()
    with Gateway('action out relay to "$hop"\nmatch action out\n',
                 {"hop": mx.hop}) as gw:
        c = gw.client(helo="client.example")
        queued_id(c.mail("a@b.example", ["x@example.net"] * 5, letter("d")))
        equal(mx.wait()[0].rcpts, ["x@example.net"], "recipients")
    mx.close()


@test
def command_lines():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        c.want("NOOP " + "x" * (2048 - 7), 250)
        match(c.cmd("NOOP " + "x" * (2048 - 6)), r"\(500, '5\.5\.\d",
              "2,049 octets")
        c.want("NOOP", 250)  # the rest of the line was swallowed
        c.want("NOOP " + "x" * 60000, 500)
        c.want("NOOP", 250)
        try:
            c.send("NOOP " + "x" * 80000)  # no end in sight
        except OSError:
            pass  # it had enough before all was sent
        equal(c.reply()[0] in (421, 500), True, "an endless line")
        c.ended()


@test
def text_lines():
    with gateway("limit message-size 10M\n") as gw:
        c = gw.client(helo="client.example")
        for n in (998, 999, 1000, 65534):
            data = b"Subject: l\r\n\r\n" + b"x" * n + b"\r\n"
            queued_id(transaction(c, data))
        data = b"Subject: l\r\n\r\n" + b"x" * 65537 + b"\r\n"
        equal(transaction(c, data)[0] // 100, 5, "a line over the limit")
        queued_id(transaction(c, letter("after")))


@test
def header_limits():
    with gateway("limit header-size 10000\nlimit header-field 2000\n"
                 "limit header-fields 20\n") as gw:
        c = gw.client(helo="client.example")
        fields = b"".join(b"X-%d: y\r\n" % i for i in range(15))
        queued_id(transaction(c, fields + b"\r\nbody\r\n"))
        for name, head in (
                ("fields", b"".join(b"X-%d: y\r\n" % i for i in range(40))),
                ("field", b"X: " + b"y" * 900 + b"\r\n" +
                 (b" " + b"y" * 900 + b"\r\n") * 2),
                ("size", b"".join(b"X-%d: %s\r\n" % (i, b"y" * 900)
                                  for i in range(15)))):
            code, text = transaction(c, head + b"\r\nbody\r\n")
            assert code in (552, 554), f"{name}: {code} {text}"
        queued_id(transaction(c, letter("after")))


@test
def hops():
    received = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    with gateway("limit hops 30\n") as gw:
        c = gw.client(helo="client.example")
        queued_id(transaction(c, received * 30 + b"\r\nx\r\n"))
        match(transaction(c, received * 31 + b"\r\nx\r\n"),
              r"\(554, '5\.4\.6", "31 hops")
        # Only fields count, not the body.
        queued_id(transaction(c, b"\r\n" + received * 40))


@test
def errors_soft_and_hard():
    with gateway("limit errors 5\nlimit soft-errors 3\n"
                 "limit error-delay 0s\n") as gw:
        c = gw.client(helo="client.example")
        for _ in range(4):
            equal(c.cmd("BANANA")[0], 500, "an error")
        code = c.cmd("BANANA")[0]
        if code == 500:
            code = c.reply()[0]
        equal(code, 421, "the last")
        c.ended()
        # Successes do not count, below the limit one stays.
        c = gw.client(helo="client.example")
        for _ in range(4):
            equal(c.cmd("BANANA")[0], 500, "an error")
        for _ in range(10):
            c.want("RSET", 250)


@test
def errors_are_slowed_down():
    with gateway("limit soft-errors 2\nlimit error-delay 1s\n") as gw:
        c = gw.client(helo="client.example")
        c.want("BANANA", 500)
        start = time.monotonic()
        c.want("BANANA", 500)
        c.want("BANANA", 500)
        assert time.monotonic() - start >= 0.9, "no delay was seen"


@test
def junk_commands():
    with gateway("limit junk-commands 10\n") as gw:
        c = gw.client(helo="client.example")
        codes = []
        for _ in range(30):
            codes.append(c.cmd("NOOP")[0])
            if codes[-1] != 250:
                break
        equal(codes[-1], 421, "the end")
        assert 9 <= codes.count(250) <= 11, codes
        c.ended()


@test
def messages_per_connection():
    with gateway("limit messages-per-connection 3\n") as gw:
        c = gw.client(helo="client.example")
        for i in range(3):
            queued_id(transaction(c, letter(f"m{i}")))
        equal(c.cmd("MAIL FROM:<a@b.example>")[0], 421, "the fourth")
        c.ended()


@test
def connections_in_all():
    with gateway("limit connections 4\nworkers smtpd 1 delivery 1\n") as gw:
        first = [gw.client(helo="client.example") for _ in range(4)]
        over = gw.client()
        match(over.greeting, r"\(421, '4\.3\.2", "the fifth")
        over.ended()
        first.pop().want("QUIT", 221)
        gw.wait_log("disconnect")
        wait_until(lambda: gw.client().greeting[0] == 220, "a free place")


@test
def command_timeout():
    with gateway("limit command-timeout 1s\n") as gw:
        start = time.monotonic()
        c = gw.client()  # an EHLO may be too late itself
        match(c.reply(), r"\(421, '4\.4\.2", "silence")
        c.ended()
        assert time.monotonic() - start >= 0.9, "too early"
        # A deadline for the whole command, not for each octet.
        c = gw.client()
        try:
            for octet in "NOOP" + "x" * 1000:
                c.send(octet)
                if select.select([c.sock], [], [], 0.1)[0]:
                    break
            else:
                raise AssertionError("the drip went on")
        except OSError:
            pass
        match(c.reply(), r"\(421, '4\.4\.2", "one octet at a time")


@test
def data_timeout():
    with gateway("limit data-timeout 1s\nlimit command-timeout 60s\n") as gw:
        c = gw.client(helo="client.example")
        c.want("MAIL FROM:<a@b.example>", 250)
        c.want("RCPT TO:<x@example.net>", 250)
        c.want("DATA", 354)
        c.send("Subject: half\r\n")
        match(c.reply(), r"\(421, '4\.4\.2", "silence in DATA")
        c.ended()


@test
def data_rate_and_total():
    for conf in ("limit data-rate 1000000\nlimit data-grace 1s\n",
                 "limit data-total 1s\n"):
        with gateway(conf) as gw:
            c = gw.client(helo="client.example")
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            start = time.monotonic()  # the gateway's begins with its 354
            c.want("DATA", 354)
            try:
                while time.monotonic() - start < DEADLINE:
                    c.send("drip\r\n")
                    if select.select([c.sock], [], [], 0.1)[0]:
                        break
            except OSError:
                pass
            match(c.reply(), r"\(421, '4\.4\.2", conf)
            assert time.monotonic() - start >= 0.9, "too early"


@test
def who_does_not_read_is_dropped():
    with gateway("limit write-timeout 1s\nlimit junk-commands 1000000\n"
                 "limit command-timeout 60s\n") as gw:
        c = gw.client(helo="client.example")
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        try:
            for _ in range(200000):
                c.send("HELP\r\n" * 500)
        except (ConnectionResetError, BrokenPipeError):
            pass
        match(gw.wait_log("disconnect"), "reason=write-timeout", "why")
        gw.client(helo="other.example").want("NOOP", 250)


@test
def message_limits_hold_per_listener():
    gw = Gateway(BASE, {"listen_options": " max-size 70000"})
    with gw:
        c = gw.client(helo="client.example")
        match(c.cmd("EHLO x.example")[1], "(?m)^SIZE 70000$", "EHLO")


main()
