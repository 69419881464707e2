#!/usr/bin/python3
"""Mails that nobody here wrote come out byte for byte as they went in."""
import glob
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action out relay to "$hop"
action box maildir "$dir/mail/%{rcpt.user}"$owner
match for domain { "box.example" } action box
match for domain { "example.net" } action out
limit messages-per-connection 100000
limit errors 1000
'''


def canonical(raw):
    """As a client submits a file: lines end with CRLF, no NUL; None for what
    SMTP cannot carry."""
    if b"\0" in raw:
        return None
    text = re.sub(rb"\r\n|\n|\r", b"\r\n", raw)
    if not text.endswith(b"\r\n"):
        text += b"\r\n"
    if any(len(l) > 65000 for l in text.split(b"\r\n")):
        return None
    return text


def corpus(kind):
    found = []
    for path in sorted(glob.glob(f"{PEERS}/mails/{kind}/*")):
        with open(path, "rb") as f:
            text = canonical(f.read())
        if text:
            found.append((os.path.basename(path), text))
    if not found:
        raise Skip(f"no mails of {kind}: make check-deps")
    return found


def unix(data):
    return data.replace(b"\r\n", b"\n")


def through(kind):
    mx = MX()
    owner = ' user "mail"' if ROOT else ""
    with Gateway(CONF, {"hop": mx.hop, "owner": owner}) as gw:
        mails = corpus(kind)
        c = gw.client(helo="client.example")
        ids = {}
        for name, text in mails:
            mid = queued_id(c.mail("s@client.example",
                                   ["x@example.net", "u@box.example"], text,
                                   " BODY=8BITMIME"))
            ids[mid] = (name, text)
        relayed = mx.wait(len(mails))
        gw.wait_empty()
        boxed = gw.maildir("u")
        equal(len(boxed), len(mails), "mails in the box")
        for where, got in (("relay", [m.data for m in relayed]),
                           ("box", boxed)):
            left = dict(ids)
            for data in got:
                key = next(k for k in left if k.encode() in data[:2000])
                name, text = left.pop(key)
                if where == "box":
                    data, text = unix(data), unix(text)
                assert data.endswith(text), f"{kind} {name} by {where}"
                head = data[:-len(text)]
                match(head.decode(), r"^(Return-Path: [^\n]*\n"
                      r"Delivered-To: [^\n]*\n)?Received: [^\n]*\n"
                      r"([ \t][^\n]*\n)*$", f"what stands on top of {name}")
            equal(left, {}, f"all came by {where}")
        print(f"  {len(mails)} mails of {kind}")
    mx.close()


@test
def python():
    through("python")


@test
def spamassassin():
    through("spamassassin")


@test
def rspamd():
    through("rspamd")


main()
