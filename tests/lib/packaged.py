"""The Debian packages of this tree, and what is done with a machine
(machine.py, booted.py) that has them."""
import glob
import json
import os

import machine
from postern import BUILD, Client, MX, TOP, equal, match, wait_until
from realclients import command

FIRST, SECOND = "0.1~test1", "0.1~test2"
TO_NEXT_HOP = '''
action out relay to "smtp://127.0.0.1:2525"
match from local for domain { "example.net" } action out
queue retry 1h
'''


def tree():
    """All there is but for what is built."""
    found = set()
    for path, folders, names in os.walk(TOP):
        folders[:] = [f for f in folders
                      if f not in ("build", ".git", "__pycache__")]
        found.update(os.path.join(path, n) for n in names)
    return found


def make_packages(version):
    """The folder they are in."""
    machine.check()
    code, out = command("make", "-s", "-C", TOP, f"B={BUILD}", "deb",
                        f"DEB_VERSION={version}", limit=900)
    equal(code, 0, out)
    return f"{BUILD}/deb"


def files(version):
    """The packages; not made again for a tree that has not changed since."""
    machine.check()
    changed = max(os.lstat(p).st_mtime for p in tree())
    for _ in range(2):
        found = (glob.glob(f"{BUILD}/deb/postern_{version}_*.deb") +
                 glob.glob(f"{BUILD}/deb/postern-mta_{version}_*.deb"))
        if len(found) == 2 and \
                all(os.stat(p).st_mtime > changed for p in found):
            return found
        make_packages(version)
    raise AssertionError(f"no packages {version} newer than the tree")


def read(m, path):
    with open(m.path(path), "rb") as f:
        return f.read().decode()


def status(m):
    return json.loads(m.run("posternctl", "-j", "show", "status"))


def queue(m):
    return json.loads(m.run("posternctl", "-j", "show", "queue"))


def send(m, to, token):
    """Hands a mail in on port 25; the last reply."""
    with m.network():
        c = Client("127.0.0.1", 25, helo="client.example")
    code, text = c.cmd("MAIL FROM:<luke@example.org>")
    equal(code, 250, text)
    code, text = c.cmd(f"RCPT TO:<{to}>")
    if code == 250:
        equal(c.cmd("DATA")[0], 354, "DATA")
        code, text = c.cmd(f"Subject: {token}\r\n\r\nhello\r\n.")
    c.cmd("QUIT")
    return code, text


def letters(m, box):
    return [open(p, "rb").read()
            for p in glob.glob(m.path(f"/var/mail/postern/{box}/new/*"))]


def wait_letter(m, box, token):
    wait_until(lambda: any(token.encode() in l for l in letters(m, box)),
               f"a mail {token} for {box}")


def add_relay(m):
    with open(m.path("/etc/postern/postern.conf"), "a") as f:
        f.write(TO_NEXT_HOP)
    match(m.run("posternctl", "reload"), "reloaded")


def put_off(m, token):
    """A mail that waits for a next hop that is not there."""
    equal(send(m, "x@example.net", token)[0], 250, token)
    wait_until(lambda: [q["state"] for q in queue(m)] == ["deferred"],
               "a mail that waits")


def arrives(m, token):
    """Now the next hop is there."""
    with m.network():
        mx = MX("127.0.0.1", port=2525)
    try:
        m.run("posternctl", "flush", "all")
        match(mx.wait(1)[0].data, token.encode(), "what arrived")
        wait_until(lambda: queue(m) == [], "an empty queue")
    finally:
        mx.close()
