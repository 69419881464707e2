#!/usr/bin/python3
"""dovecot-lda as a command of `mda': a mail in a mailbox, and one that cannot
be written, for which Dovecot has words of its own."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

LDA = "/usr/lib/dovecot/dovecot-lda"
# Without a configuration, so that no other part of Dovecot has to run.
CONF = '''
action lda mda "$lda -O -f '%{sender}' -a %{rcpt} -o log_path=/dev/stderr \\
-o mail_home=$dir/mail/%{rcpt.user} \\
-o mail_location=maildir:$dir/mail/%{rcpt.user}" user "mail"
match for domain { "example.net" } action lda
queue retry 1h
'''


def gateway():
    if not os.access(LDA, os.X_OK):
        raise Skip("no dovecot-lda")
    return Gateway(CONF, {"lda": LDA})


@test
def into_a_mailbox():
    with gateway() as gw:
        c = gw.client(helo="client.example")
        data = letter("m") + b".dot\r\n"
        for user in ("leia", '"a b"'):
            mid = queued_id(
                c.mail("s@client.example", f"{user}@example.net", data))
            event, line = gw.fate(mid)
            equal(event, "delivered", line)
            match(line, r"saved mail to INBOX", "its words")
            (got,) = gw.maildir(user.strip('"'))
            assert got.replace(b"\r\n", b"\n").endswith(
                data.replace(b"\r\n", b"\n")), got
            match(got, rb"^Return-Path: <s@client\.example>\r?\n", "on top")
        gw.wait_empty()


@test
def a_mailbox_that_cannot_be_written():
    """Dovecot says 75 then, and why."""
    with gateway() as gw:
        with open(f"{gw.dir}/mail/leia", "w"):
            pass  # a file where the folder should be
        c = gw.client(helo="client.example")
        event, line = gw.fate(queued_id(
            c.mail("s@client.example", "leia@example.net", letter("m"))))
        equal(event, "deferred", line)
        match(line, r"4\.3\.0 temporary failure \(exit status 75\): .*lda\(",
              "why")
        os.remove(f"{gw.dir}/mail/leia")
        gw.ctl("flush", "all", check=0)
        gw.wait_log(r"delivered .*to=leia@example\.net")
        equal(len(gw.maildir("leia")), 1, "mails")


main()
