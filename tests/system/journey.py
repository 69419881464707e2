#!/usr/bin/python3
"""The journey: luke@sender.com writes to aibo, c3po and r2d2 at receiver.com.

Two gateways and a real name server. The sending one finds the way by MX and
asks VRFY first; the receiving one cross-checks who calls. Whatever crosses
the wire between them, and every question to the name server, is recorded.

journey.py --transcript prints that (make demo does).
"""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from dsn import *  # noqa: E402,F401,F403
from nsd import *  # noqa: E402,F401,F403
from postern import *  # noqa: E402,F401,F403

BOX = 'action box maildir "$dir/mail/%{rcpt.user}"$owner\n'
SENDER = BOX + '''
table ours { "sender.com" }
action out relay port $port vrfy
match for domain ours action box
match from local fcrdns for any action out
deliver messages-per-connection 1
'''
RECEIVER = BOX + '''
table users { "c3po@receiver.com", "r2d2@receiver.com" }
match !fcrdns reject "550 5.7.25 who are you?"
match !helo-ptr reject "550 5.7.25 that is not your name"
match for rcpt users action box
match for domain { "receiver.com" } reject "550 5.1.1 no such user here"
'''
LETTER = '''From: Luke <luke@sender.com>\r
To: aibo@receiver.com, c3po@receiver.com, r2d2@receiver.com\r
Subject: the plans\r
Message-ID: <plans@sender.com>\r
X-Token: plans\r
\r
Help me, Obi-Wan Kenobi.\r
.You are my only hope.\r
'''.encode()


class Transcript:
    """What happened, in its order: (who, text)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.lines = []

    def add(self, who, text):
        with self.lock:
            self.lines.append((who, text))

    def of(self, who):
        with self.lock:
            return [t for w, t in self.lines if w == who]

    def questions(self, who):
        """A note for the front of a name server."""
        def note(q, found):
            told = read_answers(found) or \
                ["no such name" if found[3] & 15 == 3 else "nothing"]
            self.add(who, f"{q.name} {q.type}? {', '.join(told)}")
        return note


class Wire:
    """Between two servers: hands on lines and writes them down. It calls
    from `source`, the address of the sending host."""

    def __init__(self, address, to, source, transcript):
        self.to, self.source, self.transcript = to, source, transcript
        self.content = 0
        self.done = threading.Event()
        self.sock = socket.create_server((address, 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            server = socket.create_connection(
                self.to, source_address=(self.source, 0))
            threading.Thread(target=self.pump, daemon=True,
                             args=(client, server, self.command)).start()
            self.pump(server, client, self.reply)
            self.done.set()

    def pump(self, source, sink, note):
        try:
            with source.makefile("rb") as f:
                for line in f:
                    note(line.rstrip(b"\r\n").decode())
                    sink.sendall(line)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def command(self, line):
        """What BDAT announced is the mail (RFC 3030)."""
        if self.content > 0:
            self.content -= len(line.encode()) + 2
            self.transcript.add("data", line)
            return
        self.transcript.add("C", line)
        if line.startswith("BDAT "):
            self.content = int(line.split()[1])

    def reply(self, line):
        self.transcript.add("S", line)

    def close(self):
        self.sock.close()


class World:
    """Both gateways, the name server, and the wire between."""

    def __init__(self):
        self.mail, self.mx, self.luke = map(own_address, (3, 2, 4))
        self.transcript = Transcript()
        self.nsd = Nsd(self.zones())
        self.fronts = {who: self.nsd.front(self.transcript.questions(who))
                       for who in ("sender asks", "receiver asks")}
        owner = {"owner": ' user "mail"' if ROOT else ""}
        self.receiver = Gateway(
            self.fronts["receiver asks"].conf() + RECEIVER, owner,
            hostname="mx.receiver.com")
        self.wire = Wire(self.mx, (self.receiver.address, self.receiver.port),
                         self.mail, self.transcript)
        self.sender = Gateway(
            self.fronts["sender asks"].conf() + SENDER,
            dict(owner, port=self.wire.port), hostname="mail.sender.com")

    def zones(self):
        hosts = {"mail.sender.com": self.mail, "luke.sender.com": self.luke,
                 "mx.receiver.com": self.mx}
        pointers = "".join(
            f"{reverse(a).removesuffix('.127.in-addr.arpa')}\tPTR\t{n}.\n"
            for n, a in hosts.items())
        return {"sender.com": f"@\tMX\t10 mail\nmail\tA\t{self.mail}\n"
                f"luke\tA\t{self.luke}\nns\tA\t{self.nsd_address()}\n",
                "receiver.com": f"@\tMX\t10 mx\nmx\tA\t{self.mx}\n"
                f"ns\tA\t{self.nsd_address()}\n",
                "127.in-addr.arpa": pointers}

    @staticmethod
    def nsd_address():
        return own_address(7)

    def run(self):
        self.receiver.start()
        self.sender.start()
        c = Client(self.sender.address, self.sender.port, source=self.luke,
                   helo="luke.sender.com")
        reply = c.mail("luke@sender.com",
                       ["aibo@receiver.com", "c3po@receiver.com",
                        "r2d2@receiver.com"], LETTER)
        c.want("QUIT", 221)
        self.msgid = queued_id(reply)
        for gw in (self.sender, self.receiver):
            gw.wait_empty()
        wait_until(lambda: self.sender.maildir("luke"), "luke's report")
        assert self.wire.done.wait(DEADLINE), "no end of the connection"
        return self

    def close(self):
        self.wire.close()
        for front in self.fronts.values():
            front.close()
        self.nsd.close()
        for gw in (self.sender, self.receiver):
            gw.remove()


def dialogue(transcript):
    """[(command, last line of its reply)]; the greeting answers ""."""
    commands = [""] + transcript.of("C")
    replies = [r for r in transcript.of("S") if r[3:4] != "-"]
    equal(len(commands), len(replies), "as many replies as commands")
    return list(zip(commands, replies))


STEPS = (
    ("", "220 mx.receiver.com "),
    ("EHLO mail.sender.com", "250 "),
    ("VRFY aibo@receiver.com", "550 5.1.1 "),
    ("VRFY c3po@receiver.com", "250 2.1.5 <c3po@receiver.com>"),
    ("VRFY r2d2@receiver.com", "250 2.1.5 <r2d2@receiver.com>"),
    ("MAIL FROM:<luke@sender.com>", "250 "),
    ("RCPT TO:<c3po@receiver.com>", "250 "),
    ("RCPT TO:<r2d2@receiver.com>", "250 "),
    ("BDAT ", "250 2.0.0 Ok: queued as "),
    ("QUIT", "221 "),
)


def check_dialogue(world):
    said = dialogue(world.transcript)
    equal(len(said), len(STEPS), f"steps: {said}")
    for (command, reply), (want, begins) in zip(said, STEPS):
        assert command.startswith(want), f"{command!r} is not {want!r}"
        assert reply.startswith(begins), f"{command!r}: {reply!r}"
    equal([c for c, _ in said if "aibo" in c], ["VRFY aibo@receiver.com"],
          "what was said of aibo")
    sent = "".join(f"{line}\r\n" for line in world.transcript.of("data"))
    assert sent.endswith(LETTER.decode()), sent


def check_names(world):
    """The MX, then its address; who calls, both ways."""
    asked = [t.split("?")[0] for t in world.transcript.of("sender asks")]
    way = [q for q in asked if "receiver.com" in q]
    equal(way[0], "receiver.com MX", "the first question")
    equal(sorted(way[1:]), ["mx.receiver.com A", "mx.receiver.com AAAA"],
          "then")
    asked = [t.split("?")[0] for t in world.transcript.of("receiver asks")]
    equal(asked, [f"{reverse(world.mail)} PTR", "mail.sender.com A"],
          "the caller's name, cross-checked")


def body(data):
    """What the sender wrote, whatever was put in front of it."""
    return data[data.index(b"From: Luke"):]


def check_delivered(world):
    boxes = [world.receiver.maildir(u) for u in ("c3po", "r2d2")]
    equal([len(b) for b in boxes], [1, 1], "one mail each")
    equal(body(boxes[0][0]), body(boxes[1][0]), "the same content")
    equal(body(boxes[0][0]).replace(b"\r\n", b"\n"),
          LETTER.replace(b"\r\n", b"\n"), "as it was written")
    equal(world.receiver.maildir("aibo"), [], "aibo's Maildir")
    received = email.message_from_bytes(boxes[0][0]).get_all("Received")
    match(received[0], r"^from mail\.sender\.com \(mail\.sender\.com \[" +
          re.escape(world.mail) + r"\]\)\s+by mx\.receiver\.com",
          "the receiver's Received")
    match(received[1], r"^from luke\.sender\.com \(luke\.sender\.com \[" +
          re.escape(world.luke) + r"\]\)\s+by mail\.sender\.com",
          "the sender's Received")


def check_report(world):
    found = world.sender.maildir("luke")
    equal(len(found), 1, "mails for luke")
    r = Report(found[0])
    equal(list(r.rcpts), ["aibo@receiver.com"], "aibo alone")
    f = r.check_rcpt("aibo@receiver.com", "failed", r"5\.1\.1",
                     r"^smtp; ?550 5\.1\.1 ", r"mx\.receiver\.com")
    match(f["Last-Attempt-Date"], DATE, "Last-Attempt-Date")
    equal(r.fields["Reporting-MTA"].split(";")[1].strip(), "mail.sender.com",
          "Reporting-MTA")
    equal(r.fields["X-Postern-Queue-ID"], world.msgid, "the queue id")
    match(r.mail["To"], "luke@sender.com", "To")
    match(r.mail["From"], "MAILER-DAEMON@mail.sender.com", "From")
    equal(r.mail["In-Reply-To"], "<plans@sender.com>", "In-Reply-To")
    match(r.mail["References"], "<plans@sender.com>", "References")
    match(r.mail["Return-Path"] or "<>", "^<>$", "the null sender")
    equal(r.original["Subject"], "the plans", "the original's header")
    equal(r.original["Message-ID"], "<plans@sender.com>", "its id")
    assert b"Obi-Wan" not in r.data, "the content came back too"
    match(world.sender.wait_log(rf"report .*msg={world.msgid}|"
                                rf"msg={world.msgid}.* report "),
          "kind=failed", "the log")


@test
def journey():
    world = World()
    try:
        world.run()
        check_dialogue(world)
        check_names(world)
        check_delivered(world)
        check_report(world)
    finally:
        if sys.exc_info()[0] is not None:
            for line in world.transcript.lines:
                print("  wire:", *line)
            for gw in (world.sender, world.receiver):
                gw.show_log()
        world.close()


def transcript():
    """For people."""
    world = World()
    try:
        world.run()
        for who, text in world.transcript.lines:
            print(f"{who + ':':16}{text}")
        for user in ("c3po", "r2d2"):
            print(f"--- {user}@receiver.com has")
            print(world.receiver.maildir(user)[0].decode().replace("\r", ""))
        print("--- luke@sender.com has")
        print(world.sender.maildir("luke")[0].decode().replace("\r", ""))
    finally:
        world.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--transcript"]:
        transcript()
    else:
        main()
