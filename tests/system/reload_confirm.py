#!/usr/bin/python3
"""What a reload would change and did change, line by line; and one that goes
back unless it is confirmed."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from certs import Ca  # noqa: E402
from postern import *  # noqa: E402,F401,F403

# Some ask again until it is so.
CONF = '''
limit rate-per-source 1000000/1s
action out relay to "$hop"
match for domain "example.net" action out
'''


def changes(gw):
    """(sign, line, text) each."""
    found = []
    for row in gw.json("config", "diff"):
        path, line = row["where"].rsplit(":", 1)
        equal(path, gw.conf_path, "the file")
        found.append((row["change"], int(line), row["text"]))
    return found


def rcpt(gw, to):
    with gw.client(helo="client.example") as c:
        c.want("MAIL FROM:<a@client.example>", 250)
        return c.cmd(f"RCPT TO:<{to}>")[0]


def reloaded(gw):
    """Returns when the log has it, too: its line is nobody else's then."""
    mark = gw.mark()
    gw.ctl("reload", check=0)
    gw.wait_log(r" reload result=ok", since=mark)


def logged(gw, since):
    return [(re.search(r"sign=(\w+)", l)[1], l)
            for l in gw.log_has(r" config-change ", since)]


@test
def what_would_change_is_said_line_by_line():
    gw = Gateway(CONF + '''limit errors 10 hops 40
table names { "a.example", "b.example" }
table secrets {
	"joe" = "$6$salt$aaaaaaaaaaaaaaaaaaaa"
	"ann" = "$6$salt$bbbbbbbbbbbbbbbbbbbb"
}
zone = "c.example"
match for domain names action out
match for domain { "x.example", $zone } action out
''', {"hop": MX().hop})
    with gw:
        before, n = gw.conf_text, gw.conf_text.count("\n")
        equal(changes(gw), [], "nothing")
        equal(gw.ctl("config", "diff")[1], "nothing would change\n", "text")
        # Blanks, comments, blocks, macros: it is the same.
        gw.set_conf("# a word\n" + before.replace(
            "limit errors 10 hops 40", "limit {\n\terrors 10\n\thops 40\n}")
            .replace("$zone", '"c.example"').replace("match for domain n",
                                                     "match  for domain n"))
        equal(changes(gw), [], "the same in other words")
        gw.set_conf(before.replace("hops 40", "hops 41")
                    .replace('"b.example"', '"c.example", "d.example"')
                    .replace('zone = "c.example"', 'zone = "z.example"')
                    .replace("bbbb", "cccc")
                    + "action drop discard\nmatch for any action drop\n")
        at = {text.split()[0]: i + 1
              for i, text in enumerate(gw.conf_text.split("\n"))
              if text and not text.startswith("match")}
        got = changes(gw)
        hidden = [c for c in got if "salt" in c[2] or "joe" in c[2]]
        equal(hidden, [], "no secret")
        texts = {(s, t) for s, _, t in got}
        for want in (
                ("changed", "limit hops 41 (was: limit hops 40)"),
                ("changed", "table names: 2 added, 1 removed, 0 changed"),
                ("changed", "table secrets: 0 added, 0 removed, 1 changed"),
                ("removed", 'match for domain { "x.example", "c.example" } '
                 "action out"),
                ("added", 'match for domain { "x.example", "z.example" } '
                 "action out"),
                ("added", "action drop discard"),
                ("added", "match for any action drop")):
            assert want in texts, (want, texts)
        equal(len(got), 7, got)
        equal(dict((t, l) for _, l, t in got)["action drop discard"],
              n + 1, "its line")
        equal(at["limit"], dict((t, l) for _, l, t in got)[
            "limit hops 41 (was: limit hops 40)"], "its line")
        # Nothing has happened yet; and then the log says the same.
        equal(rcpt(gw, "b@z.example"), 550, "not yet")
        equal(logged(gw, 0), [], "not yet")
        mark = gw.mark()
        answer = gw.json("reload")
        equal([(c["change"], c["text"]) for c in answer["changes"]],
              [(s, t) for s, _, t in got], "the answer")
        gw.wait_log(r" reload result=ok", since=mark)
        equal([s for s, _ in logged(gw, mark)], [s for s, _, _ in got],
              "the log")
        equal(changes(gw), [], "done")
        equal(rcpt(gw, "b@z.example"), 250, "it holds")


@test
def what_is_wrong_is_said_instead():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        before = gw.conf_text
        for more, what in (("banana\n", "unknown statement `banana'"),
                           ("workers smtpd 7\n", "needs a restart")):
            gw.set_conf(before + more)
            code, out, err = gw.ctl("config", "diff")
            equal((code, out), (1, ""), err)
            match(err, what, "why")


@test
def rules_in_another_order():
    gw = Gateway(CONF + 'match for domain "a.example" action out\n'
                 'match for domain "b.example" action out\n'
                 'match for domain "c.example" action out\n',
                 {"hop": MX().hop})
    with gw:
        a, b = ('match for domain "%s.example" action out' % n for n in "ab")
        gw.set_conf(gw.conf_text.replace(f"{a}\n{b}", f"{b}\n{a}"))
        got = changes(gw)
        equal(sorted(s for s, _, _ in got), ["added", "removed"], got)
        equal(got[0][2], got[1][2], "one of them stands elsewhere")


@test
def certificates_and_keys_by_their_files():
    ca = Ca()
    mx = ca.cert("mx.test.example")
    gw = Gateway(CONF + f'pki mx cert "{mx.chain}" key "{mx.key}"\n',
                 {"hop": MX().hop, "listen_options": " pki mx"})
    with gw:
        equal(changes(gw), [], "nothing")
        ca.cert("mx.test.example").copy_to(ca.dir, "other", mx)
        equal([(s, t) for s, _, t in changes(gw)],
              [("changed", f"pki mx: certificate {mx.chain}"),
               ("changed", f"pki mx: key {mx.key}")], "the files")
        gw.ctl("reload", check=0)
        equal(changes(gw), [], "taken")


@test
def it_goes_back_when_nobody_confirms():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        before = gw.conf_text
        more = f"listen on {gw.address} port {free_port(gw.address)}"
        gone = f"listen on {gw.address} port {free_port(gw.address)}"
        gw.set_conf(before + gone + "\n")
        reloaded(gw)
        gw.set_conf(before.replace("example.net", "two.example") + more +
                    "\n")
        mark = gw.mark()
        code, out, err = gw.ctl("reload", "confirm", "1s")
        equal(code, 0, err)
        match(out, "confirm", "what posternctl says")
        # The file does not matter any more.
        os.remove(gw.conf_path)
        gw.wait_log(r"confirm result=back", since=mark)
        gw.wait_log(r"reload result=ok", since=mark, count=2)
        equal(rcpt(gw, "b@two.example"), 550, "not this")
        equal(rcpt(gw, "b@example.net"), 250, "as before")
        port = int(gone.split()[-1])
        with Client(gw.address, port) as c:
            equal(c.greeting[0], 220, "the listener is there again")
        equal(len(gw.log_has(r"config-change sign=removed .*two\.example",
                             mark)), 1, "said in the log")
        equal(gw.ctl("confirm")[0], 1, "nothing waits")
        gw.write_conf()


@test
def it_stays_when_confirmed():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        code, _, err = gw.ctl("confirm")
        equal(code, 1, "nothing waits")
        match(err, "no configuration waits", "why")
        gw.set_conf(gw.conf_text.replace("example.net", "two.example"))
        mark = gw.mark()
        gw.ctl("reload", "confirm", "1h", check=0)
        gw.ctl("confirm", check=0)
        gw.wait_log(r"confirm result=confirmed by=control uid=", since=mark)
        # Another one goes back to this one, and to nothing before it; but not
        # before we have seen that it holds.
        gw.set_conf(gw.conf_text.replace("two.example", "three.example"))
        gw.ctl("reload", "confirm", "1h", check=0)
        equal(rcpt(gw, "b@three.example"), 250, "on trial")
        gw.ctl("reload", "confirm", "1s", check=0)
        gw.wait_log(r"confirm result=back", since=mark)
        wait_until(lambda: rcpt(gw, "b@two.example") == 250, "the confirmed")
        equal(rcpt(gw, "b@example.net"), 550, "not the first")
        equal(len(gw.log_has(r"confirm result=back", mark)), 1, "once")


@test
def one_more_while_one_waits():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        first = gw.conf_text
        mark = gw.mark()
        gw.set_conf(first.replace("example.net", "two.example"))
        gw.ctl("reload", "confirm", "1h", check=0)
        gw.set_conf(first.replace("example.net", "three.example"))
        gw.ctl("reload", "confirm", "1s", check=0)
        gw.wait_log(r"confirm result=back", since=mark)
        wait_until(lambda: rcpt(gw, "b@example.net") == 250,
                   "what was confirmed last")
        # A reload for good is a confirmation.
        gw.ctl("reload", "confirm", "1h", check=0)
        gw.set_conf(first.replace("example.net", "four.example"))
        gw.ctl("reload", check=0)
        equal(gw.ctl("confirm")[0], 1, "nothing waits")
        equal(rcpt(gw, "b@four.example"), 250, "for good")
        # One that is refused changes nothing of it.
        gw.ctl("reload", "confirm", "1h", check=0)
        gw.set_conf(gw.conf_text + "banana\n")
        equal(gw.ctl("reload")[0], 1, "an error")
        gw.ctl("confirm", check=0)


@test
def what_cannot_come_back_is_tried_again():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw, socket.socket() as taken:
        before = gw.conf_text
        port = free_port(gw.address)
        gw.set_conf(before + f"listen on {gw.address} port {port}\n")
        reloaded(gw)
        gw.set_conf(before)
        mark = gw.mark()
        # So long that we have the port before they want it again.
        gw.ctl("reload", "confirm", "5s", check=0)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((gw.address, port))
        taken.listen()
        gw.wait_log(r"reload result=refused", since=mark)
        gw.wait_log(rf"configuration text=.*port {port}", since=mark)
        equal(rcpt(gw, "b@example.net"), 250, "mail goes on")
        taken.close()
        gw.wait_log(r"reload result=ok", since=mark, count=2)
        with Client(gw.address, port) as c:
            equal(c.greeting[0], 220, "it is back")


@test
def a_stop_while_one_waits():
    gw = Gateway(CONF, {"hop": MX().hop})
    with gw:
        gw.set_conf(gw.conf_text.replace("example.net", "two.example"))
        gw.ctl("reload", "confirm", "1h", check=0)
        equal(gw.stop(), 0, "exit")
        gw.start()
        equal(rcpt(gw, "b@two.example"), 250, "the file says so")
        equal(gw.ctl("confirm")[0], 1, "nothing waits")


main()
