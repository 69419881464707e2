#!/usr/bin/python3
"""Mail that came by TLS: what Received, the log and filters say of it, that
it is whole, and that nothing is smuggled."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
from fakemilter import Filter  # noqa: E402


def received(data):
    """Our own field, unfolded."""
    return re.sub(rb"\r\n[ \t]+", b" ", re.match(
        rb"Received:.*?\r\n(?![ \t])", data, re.S).group(0)).decode()


@test
def words_of_received():
    """RFC 3848, RFC 6531: with what it came."""
    cases = [("plain", None, "EHLO", "", "ESMTP"),
             ("plain", None, "HELO", "", "SMTP"),
             ("tls", None, "EHLO", "", "ESMTPS"),
             ("tls", "luke", "EHLO", "", "ESMTPSA"),
             ("tls", None, "EHLO", " SMTPUTF8", "UTF8SMTPS"),
             ("tls", "leia", "EHLO", " SMTPUTF8", "UTF8SMTPSA"),
             ("plain", None, "EHLO", " SMTPUTF8", "UTF8SMTP")]
    lst = {"mx": "$pkis auth accounts"}
    with Secured(listeners=lst) as gw:
        for n, (how, user, hail, params, word) in enumerate(cases):
            c = gw.tls(auth=user) if how == "tls" else gw.plain()
            c.want(f"{hail} client.example", 250)
            mark = gw.mark()
            queued_id(c.mail("a@b.example", "x@example.net", letter("t"),
                             params))
            got = received(gw.delivered(n + 1).data)
            match(got, rf"\bwith {word}\b", f"case {n}")
            if how == "tls":
                match(got, rf"with {word} \(version=TLSv1\.3 "
                      r"cipher=TLS_AES_\w+ bits=(128|256)\)", f"case {n}")
            else:
                assert "cipher" not in got, got
            assert "luke" not in got and "leia" not in got, got
            line = gw.wait_log(r"\baccepted\b", since=mark)
            if how == "tls":
                match(line, r"tls=TLSv1\.3", "the log")
            if user:
                match(line, rf"user={user}\b", "the log")
            c.close()


@test
def log_of_the_handshake():
    with Secured() as gw:
        for high, version in (("TLSv1_2", r"TLSv1\.2"),
                              ("TLSv1_3", r"TLSv1\.3")):
            mark = gw.mark()
            with gw.tls(ctx=context(high=high), name="mx.test.example"):
                line = gw.wait_log(r"\btls session=.* version=", since=mark)
            for part in (rf"version={version}", r"cipher=\S+",
                         r"bits=\d+", r"resumed=no", r"verify=\S+",
                         r"sni=mx\.test\.example", r"client=127\.",
                         r"session=\S+"):
                match(line, part, line)
        with gw.tls() as c:
            rows = gw.json("show", "sessions")
            row = [r for r in rows if r["port"] == c.sock.getsockname()[1]]
            match(row[0]["tls"], "TLSv1.3", "show sessions")
            c.want("QUIT", 221)


@test
def filters_are_told():
    f = Filter()
    lst = {"mx": "$pkis auth accounts milters { f }",
           "smtps": "$pkis smtps auth accounts milters { f }"}
    with Secured(listeners=lst, before=f'milter f socket "{f.spec}"\n') as gw:
        for n, listener in enumerate(("mx", "smtps"), 1):
            with gw.tls(listener, auth="han") as c:
                queued_id(c.mail("a@b.example", "x@example.net", letter("t")))
                c.want("QUIT", 221)
        for n, conn in enumerate(sorted({e.conn for e in f.seen()})):
            told = {k: v for e in f.seen(conn=conn)
                    for k, v in e.macros.items()}
            equal(told["{tls_version}"], "TLSv1.3", "tls_version")
            match(told["{cipher}"], "^TLS_AES", "cipher")
            match(told["{cipher_bits}"], "^(128|256)$", "cipher_bits")
            equal((told["{auth_type}"], told["{auth_authen}"]),
                  ("PLAIN", "han"), "who")
        equal(len({e.conn for e in f.seen()}), 2, "connections")
        equal(f.violations, [], "violations")
    f.close()


@test
def what_came_before_starttls_is_not_told():
    """Filters hear the session anew: its names of before are gone."""
    f = Filter()
    lst = {"mx": "$pkis milters { f }"}
    with Secured(listeners=lst, before=f'milter f socket "{f.spec}"\n') as gw:
        with gw.plain() as c:
            c.want("EHLO before.example", 250)
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RSET", 250)
            c.starttls(helo="after.example")
            queued_id(c.mail("a@b.example", "x@example.net", letter("t")))
        last = max(e.conn for e in f.seen("eom"))
        helos = [e.payload for e in f.seen("helo", conn=last)]
        assert b"after.example" in helos[-1], helos
        told = {k: v for e in f.seen(conn=last) for k, v in e.macros.items()}
        equal(told["{tls_version}"], "TLSv1.3", "tls_version")
        equal(f.violations, [], "violations")
    f.close()


@test
def five_megabytes():
    with Secured(mx={"extensions": ("PIPELINING", "SIZE 100000000",
                                    "8BITMIME")}) as gw:
        n = 0
        for listener in ("mx", "smtps"):
            for size in (16383, 16384, 16385, 65536, 5 << 20):
                data = letter(f"t{size}", size)
                with gw.tls(listener) as c:
                    queued_id(c.mail("a@b.example", "x@example.net", data))
                    c.want("QUIT", 221)
                n += 1
                assert gw.delivered(n).data.endswith(data), size


@test
def pipelined_under_tls():
    """Ten mails in one flight, answered in order."""
    one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
    with Secured() as gw:
        with gw.tls() as c:
            for n in range(10):
                c.send(one)
                for code in (250, 250, 354):
                    equal(c.reply()[0], code, f"mail {n}")
                c.send(letter(f"p{n}") + b".\r\nRSET\r\nNOOP\r\n")
                queued_id(c.reply())
                equal((c.reply()[0], c.reply()[0]), (250, 250), "behind it")
            c.send(b"NOOP\r\n" * 50)
            for _ in range(50):
                equal(c.reply()[0], 250, "NOOP")
        equal(sorted(token_of(m.data) for m in gw.mx.wait(10)),
              [f"p{n}" for n in range(10)], "mails")


@test
def who_does_not_read():
    """A client that sends commands and reads no answers fills its own
    window, not our memory; under TLS as without."""
    with Secured(conf="limit write-timeout 2s\nlimit junk-commands 1000000\n"
                 "workers smtpd 1 delivery 1\n") as gw:
        c = gw.plain()
        c.want("STARTTLS", 220)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer = TlsPeer(c.sock).handshake()
        sent = 0
        try:
            while sent < 64 << 20:
                data = b"".join(peer.records(b"HELP\r\n" * 2000))
                c.sock.sendall(data)
                sent += len(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert sent < 64 << 20, "it read all of it"
        gw.wait_log(r"disconnect .*session=")
        with gw.tls() as other:
            other.want("NOOP", 250)


main()
