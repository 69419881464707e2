#!/usr/bin/python3
"""postern-sendmail: what cron, scripts and mail programs do with sendmail."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from fakemx import *  # noqa: E402,F401,F403

CONF = '''
domain "test.example"
action out relay to "$hop"
match for rcpt { "nobody@example.net" } reject "550 5.1.1 no such user"
match for rcpt { "later@example.net" } tempfail "451 4.7.1 later"
match for rcpt { "bad@example.net" } reject "550 5.7.1 not you"
match for domain { "example.net", "test.example", "bücher.example" } action out
'''
# sysexits(3)
OK, USAGE, DATAERR, NOUSER, UNAVAILABLE, TEMPFAIL = 0, 64, 65, 67, 69, 75
SENDMAIL = f"{BUILD}/postern-sendmail"
TEXT = b"Subject: s\nX-Token: t\n\nbody\n"


def environment(gw, **more):
    return dict({"POSTERN_SUBMIT": gw.submit,
                 "POSTERN_SOCKET": f"{gw.dir}/not-there"}, **more)


def sendmail(gw, *args, text=TEXT, env=None, name=None, want=OK):
    argv = [name or SENDMAIL, *args]
    p = subprocess.run(argv, executable=SENDMAIL, input=text,
                       env=environment(gw) if env is None else env,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=DEADLINE)
    out, err = p.stdout.decode(), p.stderr.decode()
    equal(p.returncode, want, f"{args}: {out}{err}")
    return out, err


def up(conf=CONF, **kw):
    mx = MX(**kw)
    gw = Gateway(conf, {"hop": mx.hop})
    gw.start()
    return gw, mx


def down(gw, mx):
    gw.remove()
    mx.close()


class Sent:
    """What arrived: header fields (unfolded) and body, without the line of
    the gateway."""

    def __init__(self, mail):
        self.sender, self.rcpts = mail.sender, sorted(mail.rcpts)
        self.params = mail.params
        head, _, self.body = mail.data.partition(b"\r\n\r\n")
        self.raw = head
        lines = re.sub(rb"\r\n([ \t])", rb"\1", head).split(b"\r\n")
        self.fields = [tuple(line.split(b":", 1)) for line in lines]
        equal(self.fields[0][0], b"Received", "the gateway's line")
        self.fields = [(k.decode().lower(), v.strip().decode("utf-8"))
                       for k, v in self.fields[1:]]

    def get(self, name):
        return [v for k, v in self.fields if k == name]


def sent(mx, n):
    return Sent(mx.wait(n)[n - 1])


LOGIN = pwd.getpwuid(os.getuid()).pw_name


@test
def plain():
    gw, mx = up()
    sendmail(gw, "x@example.net", text=b"Subject: hello\n\nbody\n")
    m = sent(mx, 1)
    equal(m.sender, f"{LOGIN}@test.example", "sender")
    equal(m.rcpts, ["x@example.net"], "rcpts")
    equal(m.body, b"body\r\n", "body")
    match(m.get("from")[0], f"<{LOGIN}@test.example>$", "From")
    match(m.get("date")[0], r"^\w{3}, \d+ \w{3} \d{4} [\d:]{8} \+0000$",
          "Date")
    match(m.get("message-id")[0], r"^<[0-9A-Za-z]{16}@test\.example>$", "id")
    equal(len(m.get("subject")), 1, "Subject")
    # What is there stays.
    sendmail(gw, "-f", "me@c.example", "-F", "Not me", "x@example.net",
             text=b"From: A <a@b.example>\nDate: then\nMessage-Id: <1@b>\n\n")
    m = sent(mx, 2)
    equal(m.sender, "me@c.example", "-f")
    equal(m.fields, [("from", "A <a@b.example>"), ("date", "then"),
                     ("message-id", "<1@b>")], "all as it was")
    equal(m.body, b"", "no body")
    # No header at all, and nothing at all.
    sendmail(gw, "x@example.net", text=b"just a line")
    m = sent(mx, 3)
    equal(m.body, b"just a line\r\n", "body")
    equal([k for k, v in m.fields], ["from", "date", "message-id"], "made")
    sendmail(gw, "x@example.net", text=b"")
    equal(sent(mx, 4).body, b"", "empty")
    down(gw, mx)


@test
def names():
    gw, mx = up()
    for n, (name, want) in enumerate((
            ("Luke Skywalker", "Luke Skywalker"),
            ("Skywalker, Luke", '"Skywalker, Luke"'),
            ('a "b" c', '"a \\"b\\" c"'),
            ("x\r\nBcc: y@z", '"x  Bcc: y@z"'),
            ("", ""),
            ("Jürgen Ü", "=?UTF-8?Q?J=C3=BCrgen_=C3=9C?="))):
        sendmail(gw, "-F", name, "-f", "me@c.example", "x@example.net")
        equal(sent(mx, n + 1).get("from"),
              [f"{want} <me@c.example>".strip()], name)
    from email.header import decode_header, make_header
    long = "Ü" * 200
    sendmail(gw, "-F", long, "-f", "me@c.example", "x@example.net")
    m = sent(mx, 7)
    equal(str(make_header(decode_header(m.get("from")[0]))),
          f"{long} <me@c.example>", "many words")
    assert max(len(x) for x in m.raw.split(b"\r\n")) <= 78, m.raw
    # The environment, and nobody.
    sendmail(gw, "-f", "<>", "x@example.net",
             env=environment(gw, NAME="From Outside"))
    m = sent(mx, 8)
    equal(m.sender, "", "null sender")
    equal(m.get("from"), ["Mail Delivery System <MAILER-DAEMON@test.example>"],
          "From nobody")
    sendmail(gw, "-f", "me@c.example", "x@example.net",
             env=environment(gw, NAME="From Outside"))
    equal(sent(mx, 9).get("from"), ["From Outside <me@c.example>"], "NAME")
    down(gw, mx)


HEADER = b'''To: A <a@example.net>, "B, C" <b@example.net>,
\tgroup: c@example.net, (comment (in it)) d@example.net;, root
Cc: e@example.net (E), A@example.net, a@example.net
Bcc: f@example.net,
 g@example.net
BCC : h@example.net
Return-Path: <old@example.net>
Subject: s

Bcc: in the body
'''


@test
def recipients():
    gw, mx = up()
    sendmail(gw, "-t", "-f", "me@c.example", "-oi", text=HEADER)
    m = sent(mx, 1)
    equal(m.rcpts, ["A@example.net"] +
          [f"{c}@example.net" for c in "abcdefgh"] + ["root@test.example"],
          "all of them, once")
    equal([k for k, v in m.fields], ["from", "date", "message-id", "to", "cc",
                                     "subject"], "Bcc is gone")
    equal(m.body, b"Bcc: in the body\r\n", "body")
    assert m.get("to")[0].endswith("d@example.net;, root@test.example"), \
        m.fields
    # The command line adds.
    sendmail(gw, "-t", "y@example.net", text=b"To: x@example.net\n\n")
    equal(sent(mx, 2).rcpts, ["x@example.net", "y@example.net"], "both")
    # Without -t the header is only read by people; Bcc goes all the same.
    sendmail(gw, "y@example.net, z@example.net", "root",
             text=b"To: x@example.net\nBcc: s@example.net\n\n")
    m = sent(mx, 3)
    equal(m.rcpts, ["root@test.example", "y@example.net", "z@example.net"],
          "the command line's")
    equal((m.get("to"), m.get("bcc")), (["x@example.net"], []), "header")
    # Sent once more by somebody else.
    sendmail(gw, "-t", "-f", "me@c.example",
             text=b"Resent-To: new@example.net\nResent-Bcc: blind@example.net"
             b"\nFrom: o@b.example\nTo: old@example.net\n\nb\n")
    m = sent(mx, 4)
    equal(m.rcpts, ["blind@example.net", "new@example.net"], "Resent-")
    equal([k for k, v in m.fields],
          ["resent-from", "resent-date", "resent-message-id", "resent-to",
           "from", "to"], "fields")
    # More than the gateway takes at once.
    many = [f"u{i}@example.net" for i in range(1100)]
    sendmail(gw, "-t", text=("To: " + ",\n ".join(many) + "\n\nb\n").encode())
    wait_until(lambda: sum(len(m.rcpts) for m in mx.wait(4)[4:]) == 1100,
               "1100 recipients")
    equal(sorted(r for m in mx.wait(4)[4:] for r in m.rcpts), sorted(many),
          "each once")
    down(gw, mx)


@test
def ends():
    gw, mx = up()
    for n, (args, text, want) in enumerate((
            ((), b"S: s\n\na\n.\nb\n", b"a\r\n"),
            (("-i",), b"S: s\n\na\n.\nb\n", b"a\r\n.\r\nb\r\n"),
            (("-oi",), b"S: s\n\na\n.\n", b"a\r\n.\r\n"),
            ((), b"S: s\r\n\r\na\r\n.\r\nb\r\n", b"a\r\n"),
            ((), b"S: s\n\na\n.", b"a\r\n"),
            (("-i",), b"S: s\n\n..\n.a\n", b"..\r\n.a\r\n"),
            (("-i",), b"S: s\r\n\r\na\r\nb\nc\rd\r\r\ne\0f",
             b"a\r\nb\r\nc\r\nd\r\nef\r\n"),
            ((), b"From me Sat Jan  3 01:05:34 1996\nS: s\n\nFrom me\n",
             b"From me\r\n"),
            ((), b"S: s\n\n" + b"x" * 60000 + b"\n", b"x" * 60000 + b"\r\n"))):
        sendmail(gw, *args, "x@example.net", text=text)
        m = sent(mx, n + 1)
        equal(m.body, want, f"{args} {text[:100]}")
        equal([k for k, v in m.fields], ["from", "date", "message-id", "s"],
              f"{args} {text[:100]}")
    # A header of any size.
    big = b"".join(b"X-%d: %s\n" % (i, b"v" * 500) for i in range(100))
    sendmail(gw, "x@example.net", text=big + b"\nb\n")
    equal(len(sent(mx, 10).fields), 103, "fields")
    down(gw, mx)


@test
def beyond_ascii():
    gw, mx = up()
    sendmail(gw, "x@example.net", text="S: s\n\nä\n".encode())
    match(sent(mx, 1).params, "BODY=8BITMIME", "8 bit")
    sendmail(gw, "-t", text="To: jürgen@bücher.example\n\nb\n".encode())
    m = sent(mx, 2)
    equal(m.rcpts, ["jürgen@xn--bcher-kva.example"], "recipient")
    match(m.params, "SMTPUTF8", "declared")
    down(gw, mx)


@test
def dsn():
    gw, mx = up(extensions=("PIPELINING", "8BITMIME", "DSN"))
    sendmail(gw, "-N", "delay,failure", "-R", "hdrs", "-V", "a b+c",
             "-f", "me@c.example", "x@example.net")
    mail = mx.wait()[0]
    match(mail.params, r"RET=HDRS", "RET")
    match(mail.params, r"ENVID=a\+20b\+2Bc", "ENVID")
    match(str(mail.rcpt_params), r"NOTIFY=(DELAY,FAILURE|FAILURE,DELAY)",
          "NOTIFY")
    for bad in (("-N", "never,delay"), ("-N", "sometimes"), ("-N", ""),
                ("-R", "half"), ("-V", ""), ("-V", "ä")):
        sendmail(gw, *bad, "x@example.net", want=USAGE)
    down(gw, mx)


@test
def statuses():
    gw, mx = up()
    equal(sendmail(gw, want=USAGE)[1], "postern-sendmail: no recipients\n",
          "none")
    match(sendmail(gw, "-t", want=USAGE)[1], "no recipients", "-t")
    match(sendmail(gw, "-t", text=b"To: undisclosed-recipients:;\n\n",
                   want=USAGE)[1], "no recipients", "-t, an empty group")
    match(sendmail(gw, "nobody@example.net", want=NOUSER)[1],
          r"<nobody@example.net>: 550 5.1.1 no such user", "unknown")
    sendmail(gw, "x@example.net", "nobody@example.net", want=NOUSER)
    sendmail(gw, "bad@example.net", want=UNAVAILABLE)
    sendmail(gw, "x@elsewhere.example", want=UNAVAILABLE)
    sendmail(gw, "later@example.net", want=TEMPFAIL)
    match(sendmail(gw, "a b@example.net", want=DATAERR)[1], "comma",
          "no address")
    match(sendmail(gw, "-t", text=b"To: x@example.net, <y\n\n",
                   want=DATAERR)[1], "To: a < without its >", "the header")
    match(sendmail(gw, "-t", text=b"To: x@@\x1bred\n\n", want=DATAERR)[1],
          r"x@@\?red", "no escapes on the terminal")
    sendmail(gw, "-f", "a@@b", "x@example.net", want=USAGE)
    sendmail(gw, "--bogus", "x@example.net", want=USAGE)
    sendmail(gw, "-bt", want=USAGE)
    # Nothing went out by half.
    equal(len(gw.queue()), 0, "nothing is in the queue")
    equal(mx.wait(0), [], "nothing was sent")
    sendmail(gw, "--", "x@example.net")
    match(sendmail(gw, "-v", "x@example.net")[0], "^250 .*queued as", "-v")
    gw.stop()
    match(sendmail(gw, "x@example.net", want=TEMPFAIL)[1], "submit.sock",
          "not there")
    down(gw, mx)


@test
def options_of_old():
    """What programs write on the command line, and nobody needs."""
    gw, mx = up()
    cron = ("-FCronDaemon", "-i", "-B8BITMIME", "-oem", LOGIN)
    lines = (
        cron,
        ("-i", "-FCronDaemon", "-oem", "-or0s", "x@example.net"),
        ("-oem", "-oi", "-f", "me@c.example", "--", "x@example.net"),  # mutt
        ("-t", "-i", "-fme@c.example"),  # PHP
        ("-i", "-f", "me@c.example", "x@example.net"),  # git send-email
        ("-odb", "-oQ/tmp", "-O", "Timeout.x=1", "-C", "/etc/x", "-Am", "-L",
         "tag", "-X", "/dev/null", "-U", "-G", "-n", "-m", "-d0.1", "-q15m",
         "-h", "3", "-pSMTP", "-e", "m", "x@example.net"),
        ("-bm", "-r", "me@c.example", "x@example.net"))
    for n, args in enumerate(lines):
        sendmail(gw, *args, text=b"From: root (Cron Daemon)\n"
                 b"To: x@example.net\nSubject: Cron\n\nout\n")
        m = sent(mx, n + 1)
        equal(m.body, b"out\r\n", args)
        equal(m.get("from"), ["root@test.example (Cron Daemon)"], args)
    equal(sent(mx, 1).rcpts, [f"{LOGIN}@test.example"], "cron's")
    for name in ("newaliases", "/usr/bin/newaliases"):
        equal(sendmail(gw, name=name, text=b""), ("", ""), name)
    sendmail(gw, "-bi", "-I")
    match(sendmail(gw, "-bV")[0], "^postern [0-9.]+$", "version")
    # The queue, by whose command it is.
    gw.wait_empty()
    env = dict(os.environ, POSTERN_SOCKET=gw.control)
    for name, args in (("mailq", ()), (None, ("-bp",))):
        p = subprocess.run([name or "sendmail", *args], executable=SENDMAIL,
                           env=env, stdout=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, timeout=DEADLINE)
        equal((p.returncode, p.stdout), (0, gw.ctl("show", "queue")[1]
                                         .encode()), args)
    down(gw, mx)


@test
def flushing():
    mx = MX(faults={"connect": Reply("421 4.3.2 not now")})
    gw = Gateway(CONF + "queue retry 1h\n", {"hop": mx.hop})
    gw.start()

    def settled():
        return [m["state"] for m in gw.queue()] == ["deferred"] * 3

    for to in ("x@example.net", "y@test.example", "z@example.net"):
        sendmail(gw, to)
    wait_until(settled, "all deferred")
    env = dict(os.environ, POSTERN_SOCKET=gw.control)
    ids = {m["recipients"][0]["to"]: m["id"] for m in gw.queue()}
    for option, n in (("-qI" + ids["z@example.net"], 1),
                      ("-qRtest.example", 1), ("-qR@test.example", 1),
                      ("-q", 3)):
        wait_until(settled, "all deferred")
        match(sendmail(gw, option, env=env)[0], f"^{n} matched, ", option)

    def out():
        """Tries that were under way then may still fail, or not; then there
        is nothing left for -q."""
        subprocess.run([SENDMAIL, "-q"], env=env, timeout=DEADLINE,
                       capture_output=True)
        return len(mx.mails()) >= 3
    with mx.changed:
        mx.faults.clear()
    wait_until(out, "all to go out")
    equal(len(mx.wait(3)), 3, "all went out")
    down(gw, mx)


@test
def surroundings():
    """No environment, no descriptors, and by the control socket's word."""
    gw, mx = up()
    p = subprocess.run(["/bin/sh", "-c", 'exec "$0" x@example.net <&- >&- '
                        '2>&-', SENDMAIL], env=environment(gw),
                       timeout=DEADLINE)
    equal(p.returncode, OK, "no descriptors")
    equal(sent(mx, 1).body, b"", "an empty mail")
    sendmail(gw, "x@example.net", env={"POSTERN_SOCKET": gw.control,
                                       "POSTERN_SUBMIT": "/not/there"})
    sent(mx, 2)
    # At the usual place there is nothing, or another gateway: not ours.
    if not os.path.exists("/run/postern"):
        p = subprocess.run([SENDMAIL, "x@example.net"], input=TEXT, env={},
                           stderr=subprocess.PIPE, timeout=DEADLINE)
        equal(p.returncode, TEMPFAIL, "nobody there")
        match(p.stderr.decode(), "/run/postern/submit.sock", "which")
    if ROOT:
        path = f"{gw.dir}/setuid"
        shutil.copy(SENDMAIL, path)
        os.chmod(path, 0o4755)
        p = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups",
                            path, "x@example.net"], input=TEXT,
                           env=environment(gw), stderr=subprocess.PIPE, timeout=DEADLINE)
        # Nothing of who started it counts, but who he is.
        equal(p.returncode, TEMPFAIL, "setuid")
        match(p.stderr.decode(), "/run/postern/submit.sock", "which")
        p = subprocess.run(["setpriv", "--reuid=nobody", "--clear-groups",
                            SENDMAIL, "x@example.net"], input=TEXT,
                           env=environment(gw), timeout=DEADLINE)
        equal(p.returncode, OK, "another user")
        equal(sent(mx, 3).sender, "nobody@test.example", "is who he is")
    down(gw, mx)


class FakeSubmit:
    """A submit socket that says what the test wants: script is called with
    the connection's file, for reading and writing, after it said 220."""

    def __init__(self, script):
        self.dir = tempfile.mkdtemp(prefix="postern-submit-")
        self.submit = f"{self.dir}/submit.sock"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.submit)
        self.socket.listen()
        self.lines = []
        self.script = script
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        conn, _ = self.socket.accept()
        with conn, conn.makefile("rwb") as self.io:
            try:
                self.say("220 fake")
                self.script(self)
            except OSError:
                pass

    def say(self, *lines):
        for line in lines:
            self.io.write(line.encode() + b"\r\n")
        self.io.flush()

    def hear(self):
        line = self.io.readline()
        self.lines.append(line.decode("latin-1").strip())
        return line

    def answer(self, *replies):
        """One for each line that comes."""
        for reply in replies:
            self.hear()
            self.say(reply)

    def content(self):
        while self.hear() not in (b".\r\n", b""):
            pass

    def close(self):
        self.thread.join(DEADLINE)
        self.socket.close()
        shutil.rmtree(self.dir)


TAKEN = ("250 fake", "250 2.1.0 ok", "250 2.1.5 ok")


def before_content(fake, *replies):
    fake.answer(*(replies or TAKEN), "354 go")


def dies_behind_the_dot(fake):
    before_content(fake)
    fake.content()


def dies_in_the_content(fake):
    before_content(fake)
    fake.hear()


def has_enough_and_goes(fake):
    before_content(fake)
    fake.say("552 5.3.4 enough")
    fake.io.read(1)


def has_enough_later(fake):
    before_content(fake)
    fake.io.read(100000)
    fake.say("452 4.3.1 no room")


def takes_what_it_did_not_get(fake):
    before_content(fake)
    fake.say("250 2.0.0 queued as 0123456789abcdef")
    fake.io.read(1)


def has_no_room_for_the_second(fake):
    fake.answer(*TAKEN, "452 4.2.2 full")
    fake.hear()


def mumbles(fake):
    fake.hear()
    fake.say("hello")


def is_full(fake):
    fake.hear()
    fake.say("421 4.3.2 later")


@test
def gateways_that_fail():
    """Only a 250 behind the dot is a mail that is in."""
    big = TEXT + b"x" * 70 + b"\n" + b"y" * 5000000
    for script, text, want, why in (
            (dies_behind_the_dot, TEXT, TEMPFAIL, "closed the connection"),
            (dies_in_the_content, big, TEMPFAIL, ""),
            (has_enough_and_goes, big, UNAVAILABLE, "552 5.3.4 enough"),
            (has_enough_later, big, TEMPFAIL, "452 4.3.1 no room"),
            (takes_what_it_did_not_get, big, TEMPFAIL, ""),
            (has_no_room_for_the_second, TEXT, TEMPFAIL,
             "<y@example.net>: 452 4.2.2 full"),
            (mumbles, TEXT, TEMPFAIL, "not SMTP"),
            (is_full, TEXT, TEMPFAIL, "421 4.3.2 later")):
        fake = FakeSubmit(script)
        fake.control = f"{fake.dir}/not-there"
        _, err = sendmail(fake, "x@example.net", "y@example.net"
                          if script is has_no_room_for_the_second
                          else "x@example.net", text=text, want=want)
        match(err, why, script.__name__)
        fake.close()
        # A half of it would be sent twice.
        if script is has_no_room_for_the_second:
            equal(fake.lines[-1], "QUIT", "no DATA")


@test
def odd_pipes():
    gw, mx = up()
    # Standard input that somebody made not to block.
    r, w = os.pipe()
    os.set_blocking(r, False)
    p = subprocess.Popen([SENDMAIL, "x@example.net"], stdin=r,
                         env=environment(gw))
    os.close(r)
    os.write(w, TEXT)
    wait_until(lambda: open(f"/proc/{p.pid}/stat").read().split()[2] == "S",
               "it waits")
    os.write(w, b"more\n")
    os.close(w)
    equal(p.wait(DEADLINE), OK, "does not block")
    equal(sent(mx, 1).body, b"body\r\nmore\r\n", "all of it")
    # Nobody reads what -v says; the mail is in all the same.
    p = subprocess.run(["/bin/sh", "-c", 'exec "$0" -v x@example.net '
                        ">/dev/full", SENDMAIL], input=TEXT,
                       env=environment(gw), timeout=DEADLINE)
    equal(p.returncode, OK, "in is in")
    sent(mx, 2)
    # No mail at all.
    p = subprocess.run([SENDMAIL, "x@example.net"], stdin=os.open("/", 0),
                       env=environment(gw), stderr=subprocess.PIPE,
                       timeout=DEADLINE)
    equal(p.returncode, 74, "a folder")
    gw.wait_empty()
    equal((len(mx.wait(2)), gw.queue()), (2, []), "nothing was sent")
    down(gw, mx)


@test
def smtp():
    gw, mx = up()
    talk = b"EHLO me\r\nMAIL FROM:<root>\r\nRCPT TO:<root>\r\nDATA\r\n" \
           b"S: s\r\n\r\nb\r\n.\r\nQUIT\r\n"
    out, err = sendmail(gw, "-bs", text=talk)
    lines = out.split("\r\n")
    match(lines[0], "^220 ", "greeting")
    match(out, r"250 2\.0\.0 Ok: queued as \w{16}\r\n221 ", "taken")
    match(out, r"250[ -]XDOMAIN test\.example\r\n", "domain")
    m = sent(mx, 1)
    equal((m.sender, m.rcpts), ("root@test.example", ["root@test.example"]),
          "completed")
    # More than any buffer holds, both ways, and nobody waits for an answer.
    rcpts = b"".join(b"RCPT TO:<u%d@example.net>\r\n" % i for i in range(900))
    big = b"x" * 78 + b"\r\n"
    out, err = sendmail(gw, "-bs", text=b"EHLO me\r\nMAIL FROM:<>\r\n" +
                        rcpts + b"DATA\r\nS: s\r\n\r\n" + big * 50000 +
                        b".\r\nQUIT\r\n")
    equal(out.count("\r\n250 2.1.5"), 900, "answers")
    match(out, r"queued as \w{16}\r\n221 [^\r]*\r\n$", "to the end")
    wait_until(lambda: sum(len(m.rcpts) for m in mx.wait(2)[1:]) == 900,
               "all of them")
    equal(Sent(mx.wait(2)[1]).body, big * 50000, "all of it")
    gw.stop()
    out, err = sendmail(gw, "-bs", text=talk, want=TEMPFAIL)
    match(out, r"^421 4\.\d\.\d [^\r]*\r\n$", "nobody there")
    down(gw, mx)


@test
def strangers():
    """Nobody from outside is completed, or told."""
    gw, mx = up()
    with gw.client() as c:
        assert "XDOMAIN" not in c.want("EHLO c.example", 250), "told"
        c.want("MAIL FROM:<root>", 501)
        c.want("MAIL FROM:<a@c.example>", 250)
        c.want("RCPT TO:<root>", 501)
    down(gw, mx)


main()
