#!/usr/bin/python3
"""Delivery into Maildirs, and recipients that would like to leave them."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action box maildir "$dir/mail/%{rcpt.user}"$owner
match for domain { "example.net" } action box
queue retry 1h
limit errors 1000
limit soft-errors 1000
'''


def gateway(conf="", user=None):
    owner = ' user "mail"' if ROOT and not user else ""
    return Gateway(CONF + conf, {"owner": owner}, user=user)


def deliver(user):
    with gateway(user=user) as gw:
        c = gw.client(helo="client.example")
        data = letter("m") + b".dot\r\n\r\n"
        mid = queued_id(c.mail("s@client.example", "leia@example.net", data))
        gw.wait_log(f"delivered.*msg={mid}|msg={mid}.*delivered")
        gw.wait_empty()
        files = gw.maildir("leia")
        equal(len(files), 1, "files in new")
        equal(gw.maildir("leia", "tmp"), [], "files in tmp")
        got = files[0].replace(b"\r\n", b"\n")
        want = data.replace(b"\r\n", b"\n")
        assert got.endswith(want), got
        head = got[:-len(want)].decode()
        match(head, r"^Return-Path: <s@client\.example>\n"
              r"Delivered-To: leia@example\.net\nReceived: ", "on top")
        path = f"{gw.dir}/mail/leia/new"
        st = os.stat(path + "/" + os.listdir(path)[0])
        equal(st.st_mode & 0o077, 0, "mode")
        if ROOT:
            equal(pwd.getpwuid(st.st_uid).pw_name, user or "mail", "owner")
        assert os.path.isdir(f"{gw.dir}/mail/leia/cur")


@test
def a_mail_lands_in_new():
    deliver(None)


@test
def and_as_an_ordinary_user():
    if not ROOT:
        raise Skip("the other test is that already")
    deliver("nobody")


@test
def the_empty_sender():
    with gateway() as gw:
        gw.client(helo="c.example").mail("", "x@example.net", letter("e"))
        gw.wait_empty()
        match(gw.maildir("x")[0].decode(), r"^Return-Path: <>", "on top")


@test
def hostile_recipients_stay_outside():
    """Nothing is written outside the base, nothing by another name in it."""
    names = ('"../evil"', '".."', '"."', '"a/../../evil"', '"/etc/evil"',
             '"a/b"', '"../mail-evil/x"', '"%{sender}"', '"a b"', '"~root"',
             "back\\\\slash", "-rf", "x" * 64)
    with gateway() as gw:
        c = gw.client(helo="client.example")
        before = {name: os.path.exists(name) for name in ("/etc/evil",)}
        taken = []
        for n in names:
            c.want("MAIL FROM:<s@client.example>", 250)
            got = c.cmd(f"RCPT TO:<{n}@example.net>")
            if got[0] != 250:
                c.want("RSET", 250)
                continue
            c.want("DATA", 354)
            c.send(letter("h") + b".\r\n")
            taken.append(queued_id(c.reply()))
        for mid in taken:
            gw.fate(mid)
        for bad in (f"{gw.dir}/evil", f"{gw.dir}/mail/evil", "/etc/evil",
                    f"{gw.dir}/new", f"{gw.dir}/mail/new",
                    f"{gw.dir}/mail-evil", f"{gw.dir}/mail/a/b"):
            assert not os.path.exists(bad), f"{bad} was made"
        equal(before["/etc/evil"], False, "the test's own ground")
        for root, dirs, _ in os.walk(f"{gw.dir}/mail"):
            depth = root[len(f"{gw.dir}/mail"):].count("/")
            assert depth <= 2, f"{root} is too deep"


@test
def symbolic_links_are_not_followed():
    with gateway() as gw:
        out = f"{gw.dir}/outside"
        os.mkdir(out, 0o777)
        os.chmod(out, 0o777)
        os.symlink(out, f"{gw.dir}/mail/linked")
        c = gw.client(helo="client.example")
        queued_id(c.mail("s@c.example", "linked@example.net", letter("l")))
        gw.wait_log("(deferred|bounced)")
        equal(os.listdir(out), [], "files outside")
        # Others go on.
        queued_id(c.mail("s@c.example", "fine@example.net", letter("f")))
        gw.wait_log("delivered.*to=fine@")


@test
def a_box_that_cannot_be_written_is_deferred():
    with gateway() as gw:
        path = f"{gw.dir}/mail/full"
        with open(path, "w"):
            pass  # a file where the folder should be
        c = gw.client(helo="client.example")
        mid = queued_id(c.mail("s@c.example", "full@example.net", letter("x")))
        gw.wait_log(f"deferred.*msg={mid}|msg={mid}.*deferred")
        os.remove(path)
        gw.ctl("flush", "all", check=0)
        gw.wait_log(f"delivered.*msg={mid}|msg={mid}.*delivered")
        gw.wait_empty()
        equal(len(gw.maildir("full")), 1, "files")


@test
def many_to_many():
    with gateway() as gw:
        ledger = Ledger()
        c = gw.client(helo="client.example")
        rcpts = [f"u{i}@example.net" for i in range(10)]
        for i in range(30):
            ledger.send(c, f"mm{i}", rcpts=rcpts)
        gw.wait_empty()
        ledger.check(gw, maildirs=[f"u{i}" for i in range(10)])
        for i in range(10):
            equal(len(gw.maildir(f"u{i}")), 30, f"mails of u{i}")


main()
