#!/usr/bin/python3
"""Local ways on the wire: LMTP over TCP and Unix sockets, with a reply for
each recipient, and SMTP over a Unix socket."""
import os
import shutil
import sys
import tempfile
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from dsn import *  # noqa: E402,F401,F403
from outward import *  # noqa: E402,F401,F403

CONF = 'match for domain { "example.net" } action box\nqueue retry $retry\n'


class Local(Gateway):
    """way: the words of the action, $hop in them."""

    def __init__(self, mx, way, conf="", retry="1h"):
        self.mx = mx
        super().__init__(f"action box {way}\n" + CONF + conf,
                         {"hop": mx.hop, "retry": retry, "path": mx.address,
                          "where": f"{mx.port}@{mx.address}"})

    def send(self, *rcpts, token="t", data=None, params=""):
        with self.client(helo="client.example") as c:
            return queued_id(c.mail("", rcpts or ("x@example.net",),
                                    data or letter(token), params))

    def goes(self, event, pattern="", **kw):
        got, line = self.fate(self.send(**kw))
        match(got, f"^({event})$", line)
        match(line, pattern, "the line")


class Folder:
    """For a socket that everybody may go through to."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-lmtp-")
        os.chmod(self.dir, 0o755)
        self.path = f"{self.dir}/sock"

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.dir)


def every_way():
    """(MX, words): each way to say it."""
    for way in ('lmtp "inet:$where"', 'lmtp "$hop"', 'relay to "$hop"'):
        yield MX(lmtp=True), way
    for way in ('lmtp "unix:$path"', 'lmtp "$hop"', 'relay to "$hop"'):
        with Folder() as path:
            yield MX(lmtp=True, unix=path), way


@test
def each_way_to_say_it():
    for mx, way in every_way():
        with Local(mx, way) as gw:
            gw.goes("delivered")
            mail = mx.wait()[0]
            equal(mail.rcpts, ["x@example.net"], way)
            equal(len(mx.said("lhlo")), 1, f"{way}: LHLO")
            equal(mx.said("ehlo") + mx.said("helo"), [], f"{way}: EHLO")
            gw.wait_empty()
        mx.close()


@test
def smtp_over_a_unix_socket():
    with Folder() as path:
        mx = MX(unix=path)
        with Local(mx, 'relay to "$hop"') as gw:
            gw.goes("delivered")
            equal(len(mx.wait()), 1, "mails")
            equal(len(mx.said("ehlo")), 1, "EHLO")
        mx.close()


ANSWERS = {"good": "250 2.1.5 kept", "full": "452 4.2.2 mailbox full",
           "gone": "550 5.1.1 no such user", "big": "552 5.2.3 too big",
           "odd": "250 2.0.0 ok"}
FATES = {"good": "delivered", "odd": "delivered", "full": "deferred",
         "gone": "bounced", "big": "bounced"}


def named(answers):
    return lambda r: Reply(answers[r.split("@")[0]])


@test
def a_reply_for_each():
    for path in (None, "unix"):
        with Folder() as sock:
            mx = MX(lmtp=True, unix=sock if path else None,
                    faults={"dot": named(ANSWERS)})
            with Local(mx, 'lmtp "$hop"') as gw:
                mid = gw.send(*[f"{n}@example.net" for n in ANSWERS])
                for name, event in FATES.items():
                    got, line = gw.fate(mid, f"{name}@example.net")
                    equal(got, event, line)
                    match(line, ANSWERS[name].split(" ", 1)[1], "reply")
                equal(sorted(mx.wait()[0].rcpts),
                      ["good@example.net", "odd@example.net"], "kept for")
                mx.faults.clear()
                gw.ctl("flush", "all", check=0)
                equal(mx.wait(2)[1].rcpts, ["full@example.net"], "later")
            mx.close()


@test
def refused_at_rcpt_and_at_the_end():
    """The replies behind the dot are of those that RCPT took, in their
    order."""
    mx = MX(lmtp=True, faults={
        "rcpt": lambda a: Reply("550 5.1.1 no") if "no" in a else None,
        "dot": named(ANSWERS)})
    with Local(mx, 'lmtp "$hop"') as gw:
        mid = gw.send("full@example.net", "no1@example.net",
                      "good@example.net", "no2@example.net",
                      "gone@example.net")
        for name, event in (("no1", "bounced"), ("no2", "bounced"),
                            ("full", "deferred"), ("good", "delivered"),
                            ("gone", "bounced")):
            equal(gw.fate(mid, f"{name}@example.net")[0], event, name)
    mx.close()


@test
def all_refused():
    """No body for nobody, whatever DATA says."""
    for answer in ("354 but go on", "503 5.5.1 nobody"):
        mx = MX(lmtp=True, faults={"rcpt": Reply("550 5.1.1 no"),
                                   "data": Reply(answer)})
        with Local(mx, 'lmtp "$hop"') as gw:
            mid = gw.send("a@example.net", "b@example.net")
            for name in "ab":
                equal(gw.fate(mid, f"{name}@example.net")[0], "bounced", name)
            equal([m.data for m in mx.mails() if m.data], [], "content")
        mx.close()


@test
def the_replies_stop():
    """Those that came hold; the others are tried again."""
    for how in (Drop(), Drop(b"250 2.1"), Reset(), Raw(b"nonsense\r\n"),
                Reply("421 4.3.2 bye")):
        mx = MX(lmtp=True, faults={"dot": [Reply("250 2.1.5 one"), how]})
        with Local(mx, 'lmtp "$hop"') as gw:
            mid = gw.send("a@example.net", "b@example.net", "c@example.net")
            equal(gw.fate(mid, "a@example.net")[0], "delivered", "a")
            for name in "bc":
                equal(gw.fate(mid, f"{name}@example.net")[0], "deferred",
                      f"{name} {how}")
        mx.close()
    mx = MX(lmtp=True, faults={"dot": [Reply("250 2.1.5 one"), Stall()]})
    # All that comes before it may take its time.
    with Local(mx, 'lmtp "$hop"', "deliver data-end-timeout 4s\n") as gw:
        mid = gw.send("a@example.net", "b@example.net")
        equal(gw.fate(mid, "a@example.net")[0], "delivered", "a")
        equal(gw.fate(mid, "b@example.net")[0], "deferred", "b")
    mx.close()


@test
def more_replies_than_recipients():
    """What comes on top is not the reply to anything that follows."""
    mx = MX(lmtp=True, faults={"dot": [Raw(b"250 2.1.5 a\r\n"
                                           b"550 5.1.1 whose?\r\n")]})
    with Local(mx, 'lmtp "$hop"', "workers delivery 1\n") as gw:
        gw.goes("delivered")
        gw.goes("delivered")
        mx.wait(2)
    mx.close()


@test
def connections_are_reused():
    for unix in (False, True):
        with Folder() as path:
            mx = MX(lmtp=True, unix=path if unix else None)
            with Local(mx, 'lmtp "$hop"', "workers delivery 1\n") as gw:
                for n in range(10):
                    # Its connection is free again before the next comes.
                    gw.goes("delivered", token=f"r{n}")
                    mx.of(f"r{n}")
                gw.wait_empty()
                assert mx.total <= 3, f"{mx.total} connections"
            mx.close()


@test
def a_socket_that_is_not_there():
    with Folder() as path:
        mx = MX(lmtp=True, unix=path)
        mx.close()
        os.unlink(path)
        with Local(mx, 'lmtp "unix:$path"') as gw:
            gw.goes("deferred", r"4\.4\.1|4\.\d\.\d")
            # A file that nobody listens at, or that is none.
            open(path, "w").close()
            gw.goes("deferred")
            os.unlink(path)
            again = MX(lmtp=True, unix=path)
            gw.ctl("flush", "all", check=0)
            again.wait(2)
            gw.wait_empty()
            again.close()


@test
def a_socket_that_we_may_not_use():
    if not ROOT:
        raise Skip("root may use all, others need it to try")
    with Folder() as path:
        mx = MX(lmtp=True, unix=path)
        os.chmod(path, 0o600)
        with Local(mx, 'lmtp "unix:$path"') as gw:
            gw.goes("deferred", r"(?i)permission|4\.\d\.\d")
            equal(mx.total, 0, "connections")
            os.chmod(path, 0o666)
            gw.ctl("flush", "all", check=0)
            mx.wait()
        mx.close()


@test
def words_of_lhlo():
    """What is offered is used, as over SMTP."""
    mx = MX(lmtp=True, extensions=("SIZE 1000000", "8BITMIME", "CHUNKING",
                                   "PIPELINING", "SMTPUTF8", "DSN"))
    with Local(mx, 'lmtp "$hop"') as gw:
        data = "X-Token: u\r\n\r\n\u00e4\r\n".encode()
        with gw.client(helo="client.example") as c:
            queued_id(c.mail("", ("\u00fc@example.net", "b@example.net"), data,
                             " SMTPUTF8 BODY=8BITMIME"))
        mail = mx.wait()[0]
        match(mail.params, "SMTPUTF8", "MAIL")
        match(mail.params, "SIZE=", "MAIL")
        assert mail.data.endswith(data), mail.data
        equal(mail.rcpts, ["\u00fc@example.net", "b@example.net"], "rcpts")
    mx.close()


@test
def large_and_dots():
    for extensions in (("PIPELINING",), ("CHUNKING", "PIPELINING"), ()):
        mx = MX(lmtp=True, extensions=extensions)
        with Local(mx, 'lmtp "$hop"') as gw:
            data = b"X-Token: d\r\n\r\n.\r\n..\r\n" + b"0123456789\r\n" * 200000
            gw.send("a@example.net", "b@example.net", data=data)
            assert mx.wait()[0].data.endswith(data), "content"
        mx.close()


@test
def success_is_told_as_delivered():
    """A mailbox is the end: NOTIFY=SUCCESS is answered here."""
    mx, back = MX(lmtp=True), MX(address=own_address(2))
    conf = f'action back relay to "{back.hop}"\n' \
        'match for domain { "client.example" } action back\n'
    with Local(mx, 'lmtp "$hop"', conf) as gw:
        with gw.client(helo="client.example") as c:
            c.want("MAIL FROM:<luke@client.example>", 250)
            c.want("RCPT TO:<x@example.net> NOTIFY=SUCCESS", 250)
            c.want("DATA", 354)
            c.send(letter("s") + b".\r\n")
            queued_id(c.reply())
        match(back.wait()[0].data, rb"(?mi)^Action: delivered", "report")
    mx.close()
    back.close()


@test
def tls_where_it_is_offered():
    mx = MX(lmtp=True, tls=ca().cert("hub.example"))
    with Sending("tls require", hub=mx, scheme="lmtp") as gw:
        gw.goes("delivered")
        equal(mx.wait()[0].tls.sni, "hub.example", "SNI")
        equal(len(mx.said("lhlo")), 2, "LHLO again")
        mx.nothing_in_clear()


main()
