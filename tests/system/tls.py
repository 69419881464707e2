#!/usr/bin/python3
"""TLS of the listeners as clients and attackers see it: STARTTLS and what may
stand behind it, what is forgotten, handshakes that fail, stall or flood, and
the end of a connection."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
import random  # noqa: E402
import ssl  # noqa: E402

INJECTED = b"RSET\r\nMAIL FROM:<forged@evil.example>\r\n" \
           b"RCPT TO:<x@example.net>\r\n"
WITHOUT = {"mx": "$pkis", "bare": ""}


def rest_of(sock):
    """All bytes until the other side ends, or resets."""
    found = b""
    while True:
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return found
        if not more:
            return found
        found += more


def only_records(data):
    """TLS records and nothing else; their types."""
    types = []
    while data:
        assert data[0] in (20, 21, 22, 23) and data[1:2] == b"\3", data[:80]
        size = int.from_bytes(data[3:5], "big")
        types.append(data[0])
        data = data[5 + size:]
    return types


def works(gw, listener="mx"):
    """A mail by TLS, as ever."""
    with gw.tls(listener) as c:
        queued_id(c.mail("a@b.example", "x@example.net", letter("works")))


def give_time(gw):
    """To who shakes hands from now on: on a busy machine, too, he shall."""
    gw.conf_text = gw.conf_text.replace("handshake-timeout 1s",
                                        "handshake-timeout 1m")
    gw.write_conf()
    gw.ctl("reload", check=0)


def s_client(gw, *more, listener="mx", stdin=b"QUIT\r\n"):
    """What openssl s_client says."""
    args = [] if listener.startswith("smtps") else ["-starttls", "smtp"]
    p = subprocess.run(
        ["openssl", "s_client", "-connect",
         f"{gw.address}:{gw.ports[listener]}", "-crlf", *args, *more],
        input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=DEADLINE)
    return p.stdout.decode("utf-8", "replace")


# --- doors ---

@test
def doors_that_are_left():
    """Who came to one that is no more behind a restart in place is told to
    come back; but nobody hears a word in the clear who expects TLS."""
    with Secured() as gw:
        queue, = gw.role_pids("queue")
        smtpds = gw.role_pids("smtpd")
        gw.set_conf("".join(
            line for line in gw.conf_text.splitlines(True)
            if not re.search(rf"port ({gw.ports['mx']}|{gw.ports['smtps']}) ",
                             line)))
        mark = gw.mark()
        # Those of before let nobody in any more, and the next are not there
        # until the queue has ended.
        os.kill(queue, signal.SIGSTOP)
        os.kill(gw.proc.pid, signal.SIGUSR2)
        wait_gone(smtpds)
        mx, smtps = (socket.create_connection((gw.address, gw.ports[lst]),
                                              timeout=DEADLINE)
                     for lst in ("mx", "smtps"))
        os.kill(queue, signal.SIGCONT)
        gw.wait_log(r" ready ", since=mark, alive=True)
        match(rest_of(mx), rb"^421 4\.3\.2 [^\r\n]*\r\n$", "in the clear")
        equal(rest_of(smtps), b"", "before TLS")
        mx.close()
        smtps.close()


# --- STARTTLS ---

@test
def starttls_and_smtps():
    with Secured() as gw:
        c = gw.plain()
        assert "STARTTLS" in c.words(), "offered"
        c.starttls(context(gw.ca), "mx.test.example")
        words = c.words()
        assert "STARTTLS" not in words and "PIPELINING" in words, words
        queued_id(c.mail("a@b.example", "x@example.net", letter("t")))
        c.want("QUIT", 221)
        c.ended()
        with gw.connect("smtps", ctx=context(gw.ca),
                        name="mx.test.example") as c:
            match(c.greeting, r"\(220, 'mx\.test\.example", "greeting")
            assert "STARTTLS" not in c.words(), "not under smtps"
            equal(c.cmd("STARTTLS")[0], 503, "STARTTLS under smtps")
            c.want("QUIT", 221)
            c.ended()
        equal(gw.stats()["smtpd.tls_handshakes"], 2, "handshakes")
        # Verification on: names and chain are right.
        for lst in ("mx", "smtps"):
            line = s_client(gw, "-CAfile", gw.ca.root, "-verify_return_error",
                            "-verify_hostname", "mx.test.example",
                            listener=lst)
            match(line, r"Verify return code: 0 \(ok\)", lst)


@test
def where_starttls_may_stand():
    with Secured(listeners=WITHOUT) as gw:
        with gw.plain("bare") as c:
            assert "STARTTLS" not in c.words(), "not offered"
            equal(c.cmd("STARTTLS")[0], 502, "not offered")
        with gw.plain() as c:
            match(c.cmd("STARTTLS now"), r"\(501, '5\.5\.[24]", "argument")
            c.want("MAIL FROM:<a@b.example>", 250)
            match(c.cmd("STARTTLS"), r"\(503, '5\.5\.1", "in a transaction")
            c.want("RSET", 250)
            c.starttls()
            equal(c.cmd("STARTTLS")[0], 503, "twice, before EHLO")
            c.want("EHLO client.example", 250)
            match(c.cmd("STARTTLS"), r"\(503, '5\.5\.1", "twice")
            c.want("NOOP", 250)
        # HELO, or nothing at all, said before: RFC 3207 wants EHLO only
        # where it is advertised.
        with gw.connect() as c:
            c.want("HELO client.example", 250)
            c.starttls(helo="client.example")
        works(gw)


@test
def what_is_forgotten():
    with Secured() as gw:
        with gw.plain() as c:
            c.want("EHLO before.example", 250)
            c.starttls()
            match(c.cmd("MAIL FROM:<a@b.example>"), r"\(503, '5\.5\.1",
                  "MAIL before EHLO")
            match(c.cmd("RCPT TO:<x@example.net>"), r"\(503, '5\.5\.1",
                  "RCPT before EHLO")
            c.want("EHLO after.example", 250)
            equal(c.cmd("RCPT TO:<x@example.net>")[0], 503, "RCPT")
            queued_id(c.mail("a@b.example", "x@example.net", letter("t")))
        got = gw.delivered().data
        assert b"after.example" in got and b"before.example" not in got, got


@test
def tls_required():
    with Secured() as gw:
        with gw.connect("submission") as c:
            for line in ("MAIL FROM:<a@b.example>", "VRFY x", "RCPT TO:<a>",
                         "DATA", "AUTH PLAIN", "MAIL FROM:bad syntax"):
                match(c.cmd(line), r"\(530, '5\.7\.0", line)
            c.want("NOOP", 250)
            c.want("RSET", 250)
            c.want("HELP", 214)
            assert "AUTH" not in c.words(), "AUTH in the clear"
            match(c.cmd("MAIL FROM:<a@b.example>"), r"\(530, '5\.7\.0", "EHLO")
            c.starttls(helo="client.example")
            assert "AUTH" in c.words(), "AUTH under TLS"
            c.want("MAIL FROM:<a@b.example>", 250)
        with gw.connect("submission") as c:
            c.want("QUIT", 221)


# --- what is pipelined behind STARTTLS ---

@test
def injection_in_one_segment():
    """T-1: nothing of it is looked at, and the session ends."""
    with Secured() as gw:
        for tail in (INJECTED, b"N", b"\r\n", hello(), INJECTED + hello(),
                     b"\0" * 70000):
            c = gw.plain()
            try:
                c.send(b"STARTTLS\r\n" + tail)
            except (BrokenPipeError, ConnectionResetError):
                pass
            got = rest_of(c.sock)
            assert not re.search(rb"(?m)^2(50|21)", got), got
            c.close()
        equal(gw.stats()["smtpd.tls_handshakes"], 0, "handshakes")
        gw.wait_log("starttls-injection")
        works(gw)
        equal(len(gw.mx.wait(1)), 1, "mails")
        assert not gw.log_has("forged@evil"), "it was looked at"


@test
def injection_in_pieces():
    """Each in a segment of its own, and behind the answer: then it is no
    handshake, and nothing in the clear comes back."""
    with Secured() as gw:
        for first in (b"STARTTLS\r", b"STARTTLS\r\n"):
            c = gw.plain()
            c.send(first)
            try:
                c.send((b"STARTTLS\r\n" + INJECTED)[len(first):])
            except (BrokenPipeError, ConnectionResetError):
                pass
            got = rest_of(c.sock)
            assert not re.search(rb"(?m)^2(50|21)", got), got
        c = gw.plain()
        c.want("STARTTLS", 220)
        c.send(INJECTED)
        only_records(rest_of(c.sock))
        gw.wait_stat("smtpd.tls_failed", 1)
        # Half a command in the clear, the other half by TLS, is none.
        c = gw.plain()
        c.want("STARTTLS", 220)
        peer = TlsPeer(c.sock).handshake()
        peer.send(b"EHLO x.example\r\n")
        match(peer.recv(), rb"^250-", "EHLO")
        peer.send(b"RSET\r\nMA")
        peer.send(b"IL FROM:<a@b.example>\r\n")
        got = b""
        while got.count(b"\r\n") < 2:
            got += peer.recv()
        match(got, rb"^250 [^\n]*\n250 [^\n]*\n$", "both")
        assert not gw.log_has("forged@evil"), "it was looked at"


@test
def nothing_but_records_after_the_switch():
    with Secured() as gw:
        c = gw.plain()
        c.want("STARTTLS", 220)
        raw = []

        class Tap:
            sendall = c.sock.sendall

            @staticmethod
            def recv(n):
                raw.append(c.sock.recv(n))
                return raw[-1]
        peer = TlsPeer(Tap).handshake(pieces=7)
        peer.send(b"EHLO client.example\r\n")
        peer.recv()
        peer.send(b"QUIT\r\n")
        while peer.recv():
            pass
        raw.append(rest_of(c.sock))
        assert 23 in only_records(b"".join(raw)), "application data"


@test
def commands_split_and_joined_in_records():
    """The borders of records mean nothing."""
    text = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n" \
           b"RCPT TO:<x@example.net>\r\nDATA\r\nX-Token: r\r\n\r\n.." \
           b"dot\r\n.\r\nQUIT\r\n"
    with Secured() as gw:
        for n, size in enumerate((1, 5, len(text))):
            c = gw.connect("smtps", greet=False) if n % 2 else gw.plain()
            if n % 2:
                c.greeting = c.reply()
            else:
                c.starttls()
            for i in range(0, len(text), size):
                c.send(text[i:i + size])
            for code in (250, 250, 250, 354, 250, 221):
                equal(c.reply()[0], code, f"records of {size}")
            c.ended()
            assert gw.delivered(n + 1).data.endswith(b"\r\n\r\n.dot\r\n")


# --- handshakes that come to nothing ---

@test
def old_versions_and_ciphers():
    cases = [context(low="TLSv1", high="TLSv1"),
             context(low="TLSv1", high="TLSv1_1"),
             # No forward secrecy, no encryption worth the name, and the
             # certificate is ECDSA.
             context(high="TLSv1_2", ciphers="AES128-SHA:@SECLEVEL=0"),
             context(high="TLSv1_2", ciphers="ECDHE-RSA-AES128-GCM-SHA256"),
             context(high="TLSv1_2", ciphers="ADH-AES256-SHA:@SECLEVEL=0"),
             context(high="TLSv1_2", ciphers="eNULL:@SECLEVEL=0")]
    with Secured() as gw:
        for n, ctx in enumerate(cases):
            for lst in ("mx", "smtps"):
                try:
                    gw.tls(lst, ctx=ctx)
                    raise AssertionError(f"case {n} on {lst} succeeded")
                except (ssl.SSLError, ConnectionResetError):
                    pass
        gw.wait_stat("smtpd.tls_failed", 2 * len(cases))
        match(gw.wait_log(r"smtpd tls-failed .*why="), r"client=127\.",
              "the log")
        for high in ("TLSv1_2", "TLSv1_3"):
            gw.tls(ctx=context(low=high, high=high)).close()
        works(gw)


@test
def garbage_instead_of_a_handshake():
    rnd = random.Random(6)
    whole = hello()
    cases = [b"EHLO x.example\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70000,
             b"\x80\x2e\x01\0\x02" + b"\0" * 60,  # SSLv2
             b"\x15\x03\x01\0\x02\x02\x28", b"\x17\x03\x03\0\x01x",
             # A hello that says it is 16 MB long.
             b"\x16\x03\x01\x40\0\x01\xff\xff\xff" + b"\3" * 16380,
             whole[:9] + b"\xff\xff" + whole[11:],
             rnd.randbytes(3000)]
    for _ in range(40):
        b = bytearray(whole)
        for _ in range(rnd.randrange(1, 12)):
            b[rnd.randrange(5, len(b))] = rnd.randrange(256)
        cases.append(bytes(b))
    with Secured(conf="limit handshake-timeout 1s\n") as gw:
        for n, data in enumerate(cases):
            c = gw.connect("smtps" if n % 2 else "mx", greet=False) \
                if not n % 2 else TlsClient(gw.address, gw.ports["smtps"],
                                            greet=False)
            if not n % 2:
                c.reply()
                c.want("STARTTLS", 220)
            try:
                c.send(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has seen enough
            only_records(rest_of(c.sock))
            c.close()
        gw.wait_stat("smtpd.tls_half_open", 0)
        give_time(gw)
        works(gw)


@test
def records_that_are_none():
    """After a good handshake: too long, broken, of an unknown kind."""
    with Secured() as gw:
        for data in (b"\x17\x03\x03\x49\0" + b"x" * 0x4900,
                     b"\x17\x03\x03\0\x20" + b"y" * 32,
                     b"\x63\x03\x03\0\x01z", b"NOOP\r\n",
                     b"\x17\x03\x03\0\0" * 100):
            c = gw.plain()
            c.want("STARTTLS", 220)
            peer = TlsPeer(c.sock).handshake()
            peer.send(b"EHLO client.example\r\n")
            peer.recv()
            try:
                c.send(data)
                c.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has seen enough, and reset the connection
            only_records(rest_of(c.sock))
            c.close()
        works(gw)


@test
def stalls_in_the_handshake():
    """Each of them is given its time, no more; others do not feel it."""
    whole = hello()
    with Secured(conf="limit handshake-timeout 1s\n"
                 "workers smtpd 1 delivery 1\n") as gw:
        stalled = []
        for cut in (0, 1, 5, 6, 100, len(whole) - 1, len(whole)):
            for lst in ("mx", "smtps"):
                c = TlsClient(gw.address, gw.ports[lst], greet=False)
                if lst == "mx":
                    c.reply()
                    c.want("STARTTLS", 220)
                try:
                    c.send(whole[:cut])
                except (BrokenPipeError, ConnectionResetError):
                    pass  # we came too late
                stalled.append(c)
        give_time(gw)
        works(gw)
        for c in stalled:
            only_records(rest_of(c.sock))
            c.close()
        gw.wait_stat("smtpd.tls_half_open", 0)


@test
def half_open_handshakes_are_bounded():
    with Secured(conf="limit handshakes 3\nworkers smtpd 1 delivery 1\n",
                 ) as gw:
        held = []
        for _ in range(3):
            c = gw.plain()
            c.want("STARTTLS", 220)
            held.append(c)
        gw.wait_stat("smtpd.tls_half_open", 3)
        with gw.plain() as c:
            match(c.cmd("STARTTLS"), r"\(454, '4\.7\.0", "the fourth")
            c.want("NOOP", 250)  # it may go on as it was
            c.want("MAIL FROM:<a@b.example>", 250)
        c = TlsClient(gw.address, gw.ports["smtps"], greet=False)
        equal(rest_of(c.sock), b"", "smtps: closed")
        # Who is through does not count.
        peer = TlsPeer(held[0].sock).handshake()
        peer.send(b"EHLO client.example\r\n")
        match(peer.recv(), b"^250-", "EHLO")
        wait_until(lambda: gw.stats()["smtpd.tls_half_open"] == 2, "two")
        works(gw)
        held[1].reset()
        held[2].close()
        gw.wait_stat("smtpd.tls_half_open", 0)
        assert gw.stats()["smtpd.tls_refused"] == 2, gw.stats()


@test
def a_name_that_is_none():
    """T-9: the first certificate, and no harm."""
    name = "a" * 60 + "." + "b" * 60 + "." + "c" * 60 + ".example"
    whole = TlsPeer(None, name=name).step()[1]
    assert whole.count(name.encode()) == 1
    with Secured() as gw:
        for bad in (b"\0" * len(name), b"\\" * len(name),
                    (b"a\0b." * 60)[:len(name)], (b"127.0.0.1 " * 30)[
                        :len(name)], (b"x\r\ny=1 " * 40)[:len(name)],
                    b"\xff" * len(name), b"." * len(name)):
            c = gw.plain()
            c.want("STARTTLS", 220)
            c.send(whole.replace(name.encode(), bad))
            first = c.sock.recv(1)
            assert first in (b"\x16", b"\x15"), (bad[:8], first)
            c.close()
        for line in gw.log_has(r"\btls\b"):
            assert "\0" not in line and "\xff" not in line, line
        works(gw)


# --- in the middle, and at the end ---

def talk(*args):
    """An s_client whose letters at the start of a line mean something."""
    return subprocess.Popen(
        ["openssl", "s_client", "-starttls", "smtp", *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


def until(p, pattern):
    """Reads what it says up to that."""
    got = b""
    while not re.search(pattern, got):
        if not select.select([p.stdout], [], [], DEADLINE)[0]:
            raise AssertionError(f"no {pattern} in {got[-300:]}")
        more = os.read(p.stdout.fileno(), 65536)
        if not more:
            return got, True
        got += more
    return got, False


@test
def renegotiation_and_key_updates():
    with Secured() as gw:
        to = ["-connect", f"{gw.address}:{gw.ports['mx']}"]
        p = talk(*to, "-tls1_2")
        until(p, rb"250 [^\n]*\n")
        p.stdin.write(b"R\n")
        p.stdin.flush()
        got, _ = until(p, rb"(?i)no renegotiation|handshake failure|closed")
        p.kill()
        p.wait()
        # Key updates are of TLS 1.3, and cost the server little.
        p = talk(*to, "-tls1_3")
        until(p, rb"250 [^\n]*\n")
        for _ in range(100):
            p.stdin.write(b"K\n")
            p.stdin.flush()
            if until(p, rb"KEYUPDATE")[1]:
                break
        else:
            p.stdin.write(b"NOOP\r\n")
            p.stdin.flush()
            until(p, rb"250 2\.0\.0")
        p.kill()
        p.wait()
        works(gw)


@test
def ends_without_goodbye():
    """A FIN that nobody signed ends the session, never the content."""
    with Secured() as gw:
        for lst in ("mx", "smtps"):
            c = gw.tls(lst)
            c.want("MAIL FROM:<a@b.example>", 250)
            c.want("RCPT TO:<x@example.net>", 250)
            c.want("DATA", 354)
            c.send(letter("cut"))
            sock = socket.socket(fileno=os.dup(c.sock.fileno()))
            sock.settimeout(DEADLINE)
            sock.shutdown(socket.SHUT_WR)
            only_records(rest_of(sock))
            sock.close()
            c.close()
        c = gw.tls()
        c.reset()
        # Our own end is signed: TlsClient would complain.
        c = gw.tls()
        c.want("QUIT", 221)
        c.ended()
        # Goodbye from the other side, in the middle of nothing.
        c = gw.plain()
        c.want("STARTTLS", 220)
        peer = TlsPeer(c.sock).handshake()
        try:
            peer.tls.unwrap()
        except Exception:
            pass
        c.sock.sendall(peer.outer.read())
        only_records(rest_of(c.sock))
        works(gw)
        gw.mx.wait(1)
        gw.wait_empty()
        equal([token_of(m.data) for m in gw.mx.mails()], ["works"], "mails")


@test
def a_thousand_at_once():
    """All of them get through, on one worker with RSA, and a session in
    progress is answered meanwhile."""
    count = 100 if SANITIZED else 1000
    cert = Ca().cert("mx.test.example", kind="rsa")
    with Secured(pkis={"mx": cert}, conf="limit handshakes 2000 "
                 "handshake-timeout 5m\nworkers smtpd 1 delivery 1\n") as gw:
        mine = gw.tls()
        peers = []
        for n in range(count):
            c = TlsClient(gw.address, gw.ports["smtps"], greet=False,
                          source=own_address(2 + n % 5))
            p = TlsPeer(c.sock)
            c.sock.sendall(p.step()[1])
            peers.append((c, p))
        # All hellos are on their way, and no answer was read by us.
        queued_id(mine.mail("a@b.example", "x@example.net", letter("t")))
        equal(gw.stats()["smtpd.tls_handshakes"], 1, "through before it")
        for c, p in peers:
            p.handshake()
            match(p.recv(), rb"^220 ", "greeting")
            c.close()
        gw.wait_stat("smtpd.tls_handshakes", count + 1)
        equal(gw.stats()["smtpd.tls_failed"], 0, "failed")


main()
