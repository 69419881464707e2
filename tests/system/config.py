#!/usr/bin/python3
"""posternd -n: what it takes, what it refuses and where it says so."""
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403


def check(text, head=True, files=None):
    """(exit code, output) of posternd -n."""
    gw = Gateway(listen=False)
    for name, content in (files or {}).items():
        with open(f"{gw.dir}/{name}", "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
    gw.conf_text = (gw.conf_text if head else "") + gw.expand(text)
    gw.write_conf()
    lines = gw.conf_text[:gw.conf_text.rfind(gw.expand(text))].count("\n")
    p = subprocess.run(gw.command("-n"), stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=DEADLINE)
    out = p.stdout.decode().replace(gw.dir, "DIR")
    gw.remove()
    return p.returncode, out, lines


def good(text, **kw):
    code, out, _ = check(text, **kw)
    equal(code, 0, f"{text}: {out}")
    match(out, "configuration OK", text)
    return out


def bad(text, line, why=".", **kw):
    """The line counts from the first of text."""
    code, out, lines = check(text, **kw)
    equal(code, 1, f"{text!r}: {out}")
    match(out, rf"(?im)^DIR/postern\.conf:{lines + line}: .*{why}", text)
    assert "configuration OK" not in out, out
    return out


TAIL = '''listen on 127.0.0.1 port 2525
action out relay to "smtp://127.0.0.1:26"
match for domain { "example.net" } action out
'''


@test
def the_statements():
    good(TAIL)
    good('''
name = "example.net"
table routes { "example.com" = "smtp://10.0.0.5:25 smtp://10.0.0.6:25" }
table nets { 192.0.2.0/24, 2001:db8::/32, "192.0.2.1" }
table domains { "example.com", ".example.org", $name }
listen on 127.0.0.1 port 2525 hostname "inside.example.com" \\
    max-size 100M tag inner
listen on :: port 2526 {
	tag outer
}
listen on socket "$dir/control/submit.sock"
action a relay to "smtp://10.0.0.5:25" "smtp://[::1]:26"
action b relay to routes
action c maildir "$dir/mail/%{rcpt.domain}/%{rcpt.user}"
action d discard
match from local for any action a
match !from source nets for domain domains action b
match from source nets mail-from { "@example.com", "x@y.example" } action c
match tag inner helo { "x.example" } reject "550 5.7.1 not you"
match for rcpt { "a@b.example", "@c.example", "postmaster@" } tempfail
limit message-size 50M
limit connections 10000 connections-per-source 100 rate-per-source 60/1m
bare-newline reject except nets
queue retry 1m 5m 15m 30m 1h 2h 4h
queue warn off
queue limit 1000000 disk-reserve 256M undo 1h
deliver concurrency 20 messages-per-connection 100 idle-timeout 30s
deliver for domain domains rate 100/1m concurrency 2
log format json
workers smtpd 2 delivery 2
''')


@test
def include_and_tables_from_files():
    good('include "$dir/more.conf"\n', files={"more.conf": TAIL})
    good('table u file "$dir/users"\n' + TAIL +
         "match for rcpt u action out\n",
         files={"users": "# people\na@example.net\nb@example.net\n"})
    bad('include "$dir/none.conf"\n' + TAIL, 1)
    bad('table u file "$dir/none"\n' + TAIL, 1, "none")
    code, out, _ = check('include "$dir/more.conf"\n' + TAIL,
                         files={"more.conf": "\nbanana\n"})
    equal(code, 1, "an error in an included file")
    match(out, r"(?m)^DIR/more\.conf:2: ", "its place")
    code, out, _ = check('include "$dir/postern.conf"\n' + TAIL)
    equal(code, 1, "an include loop")


@test
def errors_name_their_line():
    for text, line in (
            ("banana\n" + TAIL, 1),
            (TAIL + "match action nowhere\n", 4),
            (TAIL + "match for domain nowhere action out\n", 4),
            (TAIL + "match from any for any\n", 4),
            (TAIL + 'match reject "250 ok"\n', 4),
            (TAIL + 'match reject "450 no"\n', 4),
            (TAIL + 'match tempfail "550 no"\n', 4),
            (TAIL + "action out discard\n", 4),
            (TAIL + 'table t { "a" }\ntable t { "b" }\n', 5),
            (TAIL + "listen on 127.0.0.1 port 2525\n", 4),
            (TAIL + "listen on 127.0.0.1 port 70000\n", 4),
            (TAIL + "listen on 300.1.1.1 port 25\n", 4),
            (TAIL + "limit message-size banana\n", 4),
            (TAIL + "limit banana 5\n", 4),
            (TAIL + "limit recipients 5x\n", 4),
            (TAIL + "limit recipients 99999999999999999999\n", 4),
            (TAIL + "queue retry 1y\n", 4),
            (TAIL + 'hostname "a.example"\n', 4),
            (TAIL + 'action x relay to "http://x:1"\n', 4),
            (TAIL + 'action x relay to "smtp://127.0.0.1:0"\n', 4),
            (TAIL + 'action x maildir "relative/%{rcpt.user}"\n', 4),
            (TAIL + 'action x maildir "$dir/mail/%{banana}"\n', 4),
            (TAIL + 'table t { "unfinished }\n', 4),
            (TAIL + "match for domain { \"a\" action out\n", 4),
            (TAIL + "x = $nothing\n", 4),
            (TAIL + "workers smtpd 0\n", 4),
            (TAIL + "log format xml\n", 4)):
        bad(text, line)


@test
def several_errors_in_one_run():
    code, out, lines = check("banana\n" + TAIL + "limit x 5\nmatch action y\n")
    equal(code, 1, "exit")
    for n in (1, 5, 6):
        match(out, rf"(?m)^DIR/postern\.conf:{lines + n}: ", "each of them")


@test
def not_available_yet():
    bad(TAIL + "http 127.0.0.1 port 8025 allow-changes\n", 4, "not available yet")


@test
def an_open_relay_is_warned_of():
    out = good(TAIL + "match from any for any action out\n")
    match(out, "open relay", "warning")
    out = good(TAIL + "match from local for any action out\n")
    assert "open relay" not in out, out


@test
def what_was_meant():
    """Unknown words, and what works but is hardly meant."""
    bad(TAIL + "queue retires 1m\n", 4, "did you mean `retry'")
    bad(TAIL + "workers queue 2\n", 4, "known: `smtpd', `delivery'")
    out = good('spare = "x"\n' + TAIL)
    match(out, "macro `spare' is not used", "a macro")
    out = good(TAIL + "match reject\nmatch from local reject\n")
    match(out, r"never reached: the rule in DIR/postern\.conf:\d+ matches "
          "everything", "a rule")


@test
def odd_files():
    equal(check("", head=False)[0], 1, "an empty file: no listener")
    equal(check("banana " + "x" * 1000000 + "\n" + TAIL)[0], 1, "a long line")
    equal(check(TAIL + "\0\n")[0], 1, "a NUL")
    good(TAIL + "# no newline at the end")
    gw = Gateway()
    os.remove(gw.conf_path)
    p = subprocess.run(gw.command("-n"), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    equal(p.returncode, 1, "no file")
    gw.remove()


@test
def what_cannot_be_started_says_why():
    gw = Gateway('action d discard\nmatch action d\n')
    with socket.socket() as s:
        s.bind((gw.address, gw.port))
        s.listen()
        p = subprocess.run(gw.command("-d"), stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, timeout=DEADLINE)
        assert p.returncode != 0, "started on a port in use"
        match(p.stderr.decode(), str(gw.port), "which port")
    gw.remove()
    if not ROOT:
        return
    for spoil, why in ((no_user, "no-such-user"), (foreign_spool, "spool")):
        gw = Gateway('action d discard\nmatch action d\n')
        spoil(gw)
        p = subprocess.run(gw.command("-d"), stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, timeout=DEADLINE)
        assert p.returncode != 0, f"started with {why}"
        match(p.stderr.decode(), why, "what")
        gw.remove()


def no_user(gw):
    gw.conf_text = gw.conf_text.replace('user "nobody"', 'user "no-such-user"')
    gw.write_conf()


def foreign_spool(gw):
    os.chown(f"{gw.dir}/spool", 0, 0)


@test
def macros_from_the_command_line():
    gw = Gateway(listen=False)
    gw.conf_text += "listen on 127.0.0.1 port $port\n" \
        'action d discard\nmatch action d\n'
    gw.write_conf()
    p = subprocess.run([*gw.command("-n"), "-D", "port=2525"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal(p.returncode, 0, p.stdout)
    p = subprocess.run(gw.command("-n"), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    equal(p.returncode, 1, "without it")
    gw.remove()


main()
