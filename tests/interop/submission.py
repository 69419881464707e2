#!/usr/bin/python3
"""A mail program: Python's smtplib, over 587 with STARTTLS and over 465."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from secured import *  # noqa: E402,F401,F403
import email  # noqa: E402
import email.message  # noqa: E402
import email.policy  # noqa: E402
import smtplib  # noqa: E402
import ssl  # noqa: E402


TEXT = "The Force is with you, always.\n.\n..\n"


def login(gw, listener, user="luke", password=None, ctx=None):
    """A connection, set up as a mail program does it."""
    ctx = ctx or context(gw.ca)

    class Named:
        """smtplib verifies the name it connects to; ours is an address."""
        check_hostname = True

        @staticmethod
        def wrap_socket(sock, server_hostname=None):
            return ctx.wrap_socket(sock, server_hostname="mx.test.example")
    if listener == "smtps":
        class Direct(smtplib.SMTP_SSL):
            def _get_socket(self, host, port, timeout):
                return Named.wrap_socket(socket.create_connection(
                    (host, port), timeout))
        s = Direct(gw.address, gw.ports[listener], timeout=DEADLINE,
                   context=ctx)
    else:
        s = smtplib.SMTP(gw.address, gw.ports[listener], timeout=DEADLINE)
        s.starttls(context=Named)
    s.login(user, password or gw.users[user][0])
    return s


def letter_of(subject, to="x@example.net"):
    m = email.message.EmailMessage()
    m["From"] = "luke@client.example"
    m["To"] = to
    m["Bcc"] = "secret@example.net, " + "x" * 60 + "@example.net"
    m["Subject"] = subject
    m.set_content(TEXT)
    return m


@test
def a_mail_program_sends():
    with Secured() as gw:
        n = 0
        for listener in ("submission", "smtps"):
            for user in ("luke", "leia", "han", "lando"):
                with login(gw, listener, user) as s:
                    for _ in range(2):
                        s.sendmail("luke@client.example",
                                   ["x@example.net", "secret@example.net"],
                                   letter_of("hi").as_bytes(
                                       policy=email.policy.SMTP))
                        n += 1
        for mail in gw.mx.wait(n):
            m = email.message_from_bytes(mail.data,
                                         policy=email.policy.default)
            equal(m["Bcc"], None, "Bcc")
            assert m["Date"] and m["Message-ID"], m.items()
            equal(len(m.get_all("Date")), 1, "Date")
            match(m["Message-ID"], r"^<[^<>@\s]+@[^<>@\s]+>$", "Message-ID")
            match(m["Received"], r"with ESMTPSA\s+\(version=TLSv1\.3", "with")
            equal(m.get_content().replace("\r\n", "\n"), TEXT, "content")
            equal(mail.rcpts, ["x@example.net", "secret@example.net"], "to")


@test
def what_is_there_stays():
    """Date and Message-ID of the client's, whatever they look like."""
    with Secured() as gw, login(gw, "submission") as s:
        data = b"From: <luke@client.example>\r\nDate: Mon, 1 Jan 2024 " \
            b"00:00:00 +0000\r\nmessage-id: <own@client.example>\r\n" \
            b"Subject: x\r\n\r\nBcc: not a field\r\n"
        s.sendmail("luke@client.example", ["x@example.net"], data)
        assert gw.delivered().data.endswith(data), gw.delivered().data


@test
def others_get_no_help():
    """Port 25 changes nothing."""
    with Secured() as gw, gw.tls("mx") as c:
        data = b"From: <a@b.example>\r\nBcc: <y@example.net>\r\n\r\nhi\r\n"
        queued_id(c.mail("a@b.example", "x@example.net", data))
        got = gw.delivered().data
        assert got.endswith(data) and b"Message-ID" not in got, got


@test
def eai():
    with Secured() as gw, login(gw, "submission") as s:
        s.send_message(letter_of("Grüße", "jürgen@example.net"),
                       "lüke@client.example", ["jürgen@example.net"])
        mail = gw.delivered()
        equal((mail.sender, mail.rcpts),
              ("lüke@client.example", ["jürgen@example.net"]), "envelope")
        match(mail.data.decode(), r"with UTF8SMTPSA", "Received")


@test
def refused():
    with Secured() as gw:
        for user, password in (("luke", "wrong"), ("nobody", "force"),
                               ("luke", "force "), ("luke", "Force")):
            try:
                login(gw, "submission", user, password)
                raise AssertionError(f"{user} {password} was let in")
            except smtplib.SMTPAuthenticationError as e:
                equal(e.smtp_code, 535, f"{user} {password}")
        # Without a login nothing goes out that is not for us.
        with smtplib.SMTP(gw.address, gw.ports["submission"]) as s:
            s.starttls(context=context())
            s.ehlo()
            equal(s.mail("a@b.example")[0], 250, "MAIL")
            equal(s.rcpt("who@elsewhere.example")[0], 550, "relay")
        try:
            with login(gw, "smtps", ctx=context(Ca("Stranger"))):
                raise AssertionError("an unknown root was good enough")
        except ssl.SSLCertVerificationError:
            pass


main()
