#!/usr/bin/python3
"""Delivery by commands: what they get, what they say, how they end."""
import hashlib
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
action pipe mda "$dir/command %{rcpt.user} '%{sender}' 'two words' x%{rcpt.domain}"\
 user "mail" $limit
action missing mda "$dir/missing" user "mail"
action barred mda "$dir/postern.conf" user "mail"
action fds mda "/bin/sh -c 'test -p /proc/self/fd/0 && cd /proc/self/fd && \
echo yes *'" user "mail"
match for rcpt { "fds@example.net" } action fds
match for rcpt { "missing@example.net" } action missing
match for rcpt { "barred@example.net" } action barred
match for domain { "example.net" } action pipe
queue retry 1h
limit errors 1000
limit soft-errors 1000
limit message-size 100M
'''
HEAD = '#!/bin/sh\nbox="$(dirname "$0")/mail"\n'
KEEP = 'cat >"$box/.$1.$$" && mv "$box/.$1.$$" "$box/$1.$$"\n'


def gateway(script, user=None, limit="", conf=CONF):
    gw = Gateway(conf, {"limit": limit}, user=user)
    set_command(gw, script)
    return gw


def set_command(gw, script):
    path = f"{gw.dir}/command"
    with open(path + ".new", "w") as f:
        f.write(HEAD + script)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)


def kept(gw, user):
    """What commands have made of mail for a user."""
    found = []
    for name in sorted(os.listdir(f"{gw.dir}/mail")):
        if name.startswith(user + "."):
            with open(f"{gw.dir}/mail/{name}", "rb") as f:
                found.append(f.read())
    return found


def text_of(gw, name):
    with open(f"{gw.dir}/mail/{name}", errors="surrogateescape") as f:
        return f.read()


def send(gw, user, data=None, sender="s@client.example", domain="example.net",
         params=""):
    c = gw.client(helo="client.example")
    c.want(f"MAIL FROM:<{sender}>", 250)
    c.want(f"RCPT TO:<{user}@{domain}>{params}", 250)
    c.want("DATA", 354)
    c.send(stuff(data or letter("m")) + b".\r\n")
    mid = queued_id(c.reply())
    c.close()
    return mid


def goes(gw, user, event, pattern, **kw):
    got, line = gw.fate(send(gw, user, **kw))
    equal(got, event, line)
    match(line, pattern, user)
    return line


def begin(gw, name):
    with open(f"{gw.dir}/{name}", "w"):
        pass


def exists(gw, name):
    return lambda: os.path.exists(f"{gw.dir}/mail/{name}")


# --- what it gets ---

def deliver(user):
    with gateway(KEEP, user=user) as gw:
        data = letter("m") + b".dot\r\n\r\nlast\r\n"
        line = goes(gw, "leia", "delivered", r"action=pipe", data=data)
        match(line, rf"relay={gw.dir}/command .*reply=\"?2\.0\.0 delivered by",
              "the line")
        gw.wait_empty()
        (got,) = kept(gw, "leia")
        want = data.replace(b"\r\n", b"\n")
        assert got.endswith(want), got
        match(got[:-len(want)].decode(),
              r"^Return-Path: <s@client\.example>\n"
              r"Delivered-To: leia@example\.net\nReceived: ", "on top")
        if ROOT:
            st = os.stat(f"{gw.dir}/mail/" + [
                n for n in os.listdir(f"{gw.dir}/mail") if n[0] == "l"][0])
            equal(pwd.getpwuid(st.st_uid).pw_name, user or "mail", "owner")
            equal(st.st_mode & 0o077, 0, "mode")
        (row,) = [r for r in gw.json("show", "status")["processes"]
                  if r["role"] == "mda"]
        equal(row["sandbox"], "uid" if ROOT and not user else "none",
              "what show status says")


@test
def a_command_takes_a_mail():
    deliver(None)


@test
def and_as_an_ordinary_user():
    if not ROOT:
        raise Skip("the other test is that already")
    deliver("nobody")


@test
def words_are_words():
    """No shell, no option, nothing split, whatever the address."""
    users = ('"a b"', '"$(id >$HOME/evil)"', '"*"', '"`id`; id"', '"a\\"b"',
             "a'b", '"x -y"', "%{sender}", '"%{rcpt}"')
    with gateway('printf "%s\\n" "$#" "$@" >"$box/args.$$"\n') as gw:
        for n, user in enumerate(users):
            goes(gw, user, "delivered", "2.0.0")
        gw.wait_empty()
        got = sorted(kept(gw, "args"))
        want = sorted(
            "\n".join(("4", u.strip('"').replace('\\"', '"'),
                       "s@client.example", "two words", "xexample.net",
                       "")).encode() for u in users)
        equal(got, want, "arguments")
        goes(gw, '"-rf"', "bounced", r"5\.1\.3")
        goes(gw, "-f", "bounced", r"5\.1\.3")
        goes(gw, "fine", "delivered", r"2\.0\.0", sender="")
        equal([a.split(b"\n")[2] for a in kept(gw, "args")
               if b"fine" in a], [b""], "the empty sender")


@test
def its_environment_and_nothing_else():
    script = 'tr "\\0" "\\n" <"/proc/$$/environ" >"$box/env.$1"\n'
    gw = gateway(script)
    gw.env = {"HOSTILE": "1", "LD_LIBRARY_PATH": "/nowhere"}
    with gw:
        goes(gw, '"a b"', "delivered", "",
             params=" NOTIFY=NEVER ORCPT=rfc822;First+2EOne@example.org")
        got = dict(v.split("=", 1) for v in
                   text_of(gw, "env.a b").splitlines())
        who = pwd.getpwnam("mail") if ROOT else pwd.getpwuid(os.getuid())
        equal(got, {
            "PATH": "/usr/bin:/bin", "HOME": who.pw_dir,
            "USER": who.pw_name, "LOGNAME": who.pw_name,
            "SHELL": who.pw_shell or "/bin/sh",
            "SENDER": "s@client.example",
            "RECIPIENT": '"a b"@example.net', "LOCAL": "a b",
            "DOMAIN": "example.net",
            "ORIGINAL_RECIPIENT": "First.One@example.org"}, "environment")
        goes(gw, "x", "delivered", "", sender="")
        got = text_of(gw, "env.x")
        match(got, r"(?m)^SENDER=$", "the empty sender")
        assert "ORIGINAL_RECIPIENT" not in got, got


@test
def its_process():
    script = '''
cat /proc/self/status /proc/self/limits >"$box/look.$1"
echo "cwd: $(readlink "/proc/$$/cwd")" >>"$box/look.$1"
echo "umask: $(umask)" >>"$box/look.$1"
echo "session: $(cut -d" " -f5,6 "/proc/$$/stat") $$" >>"$box/look.$1"
'''
    with gateway(script) as gw:
        goes(gw, "x", "delivered", "")
        text = text_of(gw, "look.x")
        look = dict(re.findall(r"(?m)^(\w+):\s*(.*)$", text))
        equal([look[k] for k in ("Seccomp", "NoNewPrivs")], ["0", "0"], "jail")
        libc = 3 << 31  # signals 32 and 33 are its own
        for key in ("SigIgn", "SigBlk"):
            equal(int(look[key], 16) & ~libc, 0, key)
        if ROOT:
            uid = str(pwd.getpwnam("mail").pw_uid)
            equal(set(look["Uid"].split()), {uid}, "uid")
            equal(look["Groups"].split(), [str(pwd.getpwnam("mail").pw_gid)],
                  "groups")
            home = pwd.getpwnam("mail").pw_dir
            equal(look["cwd"], home if os.path.isdir(home) else "/", "folder")
        equal(int(look["umask"], 8), 0o077, "umask")
        group, session, pid = look["session"].split()
        equal((group, session), (pid, pid), "group and session")
        # The last is the folder that the shell looks at.
        goes(gw, "fds", "delivered", r': yes 0 1 2 3"')
        if not SANITIZED:
            match(text, r"Max address space +unlimited", "limits")
        match(text, r"Max core file size +0 ", "limits")
        match(text, r"Max open files +1024 ", "limits")


@test
def each_by_its_own_user():
    """Commands and Maildirs of two users beside each other."""
    if not ROOT:
        raise Skip("only root can be others")
    conf = "".join(
        f'action do-{u} mda "/usr/bin/id -un" user "{u}"\n'
        f'action box-{u} maildir "$dir/{u}/%{{rcpt.user}}" user "{u}"\n'
        f'match for domain {{ "do.{u}.example" }} action do-{u}\n'
        f'match for domain {{ "box.{u}.example" }} action box-{u}\n'
        for u in ("mail", "news", "lp"))
    with Gateway(conf) as gw:
        equal(len(gw.role_pids("mda")), 3, "processes")
        for u in ("lp", "mail", "news"):
            event, line = gw.fate(send(gw, "x", domain=f"do.{u}.example"))
            equal(event, "delivered", line)
            match(line, rf'by the command: {u}"', "its user")
            event, line = gw.fate(send(gw, "x", domain=f"box.{u}.example"))
            equal(event, "delivered", line)
            (name,) = os.listdir(f"{gw.dir}/{u}/x/new")
            st = os.stat(f"{gw.dir}/{u}/x/new/{name}")
            equal(pwd.getpwuid(st.st_uid).pw_name, u, "owner")


@test
def a_large_mail():
    with gateway('sha256sum >"$box/sum.$1"\n') as gw:
        data = letter("large", 40 << 20)
        goes(gw, "x", "delivered", "", data=data)
        # Without the lines on top, which have a time in them.
        set_command(gw, 'sed "1,/^Subject/d" | sha256sum >"$box/sum.$1"\n')
        goes(gw, "y", "delivered", "", data=data)
        want = data.replace(b"\r\n", b"\n").split(b"Subject: large\n", 1)[1]
        equal(text_of(gw, "sum.y").split()[0],
              hashlib.sha256(want).hexdigest(), "what came")


# --- how it ends ---

ENDS = {
    0: ("delivered", r"2\.0\.0"), 1: ("bounced", r"5\.3\.0"),
    64: ("bounced", r"5\.3\.0"), 65: ("bounced", r"5\.6\.0"),
    66: ("bounced", r"5\.3\.0"), 67: ("bounced", r"5\.1\.1"),
    68: ("bounced", r"5\.1\.2"), 69: ("bounced", r"5\.3\.0"),
    70: ("bounced", r"5\.3\.0"), 71: ("deferred", r"4\.3\.0"),
    72: ("bounced", r"5\.3\.0"), 73: ("bounced", r"5\.2\.0"),
    74: ("deferred", r"4\.3\.0"), 75: ("deferred", r"4\.3\.0"),
    76: ("bounced", r"5\.5\.0"), 77: ("bounced", r"5\.7\.0"),
    78: ("bounced", r"5\.3\.5"), 99: ("bounced", r"5\.3\.0"),
    126: ("deferred", r"4\.3\.5"), 127: ("deferred", r"4\.3\.5"),
    255: ("bounced", r"5\.3\.0"),
}


@test
def exit_statuses():
    with gateway('cat >/dev/null; echo "line one"; echo "two ü" >&2\n'
                 'exit "$1"\n') as gw:
        for code, (event, status) in ENDS.items():
            line = goes(gw, str(code), event,
                        rf'reply="{status} .*: line one two \?\?"')
            if code != 0:
                match(line, rf"\(exit status {code}\)", "the line")


@test
def signals_and_what_cannot_be_run():
    with gateway('kill -"$1" $$\n') as gw:
        goes(gw, "KILL", "deferred", r"4\.3\.0 .*signal 9 \(KILL\)")
        goes(gw, "SEGV", "deferred", r"4\.3\.0 .*signal 11 \(SEGV\)")
        goes(gw, "missing", "deferred", r"4\.3\.5 .*No such file")
        goes(gw, "barred", "deferred", r"4\.3\.5 .*Permission denied")


@test
def its_own_status():
    """An enhanced status that it says holds when it fits how it ended."""
    with gateway('echo "$LOCAL"; exit 75\n') as gw:
        goes(gw, '"4.2.2 the box is full"', "deferred",
             r'reply="4\.2\.2 .*: the box is full"')
        goes(gw, '"5.2.2 for ever"', "deferred",
             r'reply="4\.3\.0 .*: 5\.2\.2 for ever"')


@test
def who_does_not_read():
    """What it makes of a mail it has not read is its own decision."""
    with gateway('exec <&-; exit "$1"\n') as gw:
        data = letter("large", 4 << 20)
        goes(gw, "0", "delivered", r"2\.0\.0", data=data)
        goes(gw, "67", "bounced", r"5\.1\.1", data=data)


@test
def a_flood_of_output():
    with gateway('yes "many words" | head -c 30000000; exit 75\n') as gw:
        line = goes(gw, "x", "deferred", r"4\.3\.0 .*: many words many words")
        assert len(line) < 1200, line
        equal(len(gw.role_pids("mda")), 1, "it lives")


@test
def its_time_is_limited():
    """All of its group ends; a first process that says 0 then is not
    believed."""
    script = '''
if test "$1" = deaf; then trap "" TERM; else trap "exit 0" TERM; fi
sleep 1000 & echo "$$ $!" >"$box/pids.$1"
while :; do wait; done
'''
    # Long enough for them to begin; both at once.
    with gateway(script, limit="timeout 4s") as gw:
        mids = {user: send(gw, user) for user in ("hears", "deaf")}
        for user, mid in mids.items():
            event, line = gw.fate(mid)
            equal(event, "deferred", line)
            match(line, r"4\.3\.0 .*took too long", user)
            wait_gone([int(p) for p in
                       text_of(gw, f"pids.{user}").split()])


@test
def what_stays_behind_is_not_waited_for():
    with gateway('sleep 1000 & echo "$!" >"$box/pid"; exit 0\n') as gw:
        goes(gw, "x", "delivered", r"2\.0\.0")
        pid = int(text_of(gw, "pid"))
        assert is_running(pid), "the process behind"
        os.kill(pid, signal.SIGKILL)


# --- many, and the ends of others ---

WAITS = '''
: >"$box/runs.$1.$$"
ls "$box" | grep -c "^runs" >"$box/count.$1"
until test -e "$box/../go"; do sleep 0.05; done
cat >"$box/.$1.$$" && mv "$box/.$1.$$" "$box/$1.$$"; rm "$box/runs.$1.$$"
'''


def running(gw):
    return [n for n in os.listdir(f"{gw.dir}/mail") if n.startswith("runs.")]


@test
def several_at_once_but_not_all():
    users = [f"u{i}" for i in range(20)]
    with gateway(WAITS) as gw:
        (pid,) = gw.role_pids("mda")
        if ROOT:
            before = len(os.listdir(f"/proc/{pid}/fd"))
        c = gw.client(helo="client.example")
        queued_id(c.mail("s@client.example",
                         [f"{u}@example.net" for u in users[:10]],
                         letter("ten")))
        for u in users[10:]:
            send(gw, u)
        wait_until(lambda: len(running(gw)) == 8, "eight commands")
        begin(gw, "go")
        gw.wait_empty()
        for u in users:
            equal(len(kept(gw, u)), 1, u)
            assert int(text_of(gw, f"count.{u}")) <= 8, u
        wait_until(lambda: children(pid) == [], "no children")
        if ROOT:
            wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) == before,
                       "the descriptors to go")


@test
def one_that_hangs_does_not_keep_others():
    script = 'test "$1" != stuck || exec sleep 1000\n' + KEEP
    with gateway(script) as gw:
        send(gw, "stuck")
        for i in range(20):
            goes(gw, f"u{i}", "delivered", "")


TELLS = '''
echo $$ >"$box/pid.$1.$$"
until test -e "$box/../go"; do sleep 0.05; done
''' + KEEP


def told(gw):
    """Process ids of the commands for x; a file is there before its line."""
    return [int(p) for p in kept(gw, "pid.x") if p]


@test
def the_death_of_the_role():
    """Its commands die with it; their mail comes again."""
    with gateway(TELLS) as gw:
        send(gw, "x")
        wait_until(lambda: told(gw), "the command")
        (first,) = told(gw)
        (role,) = gw.role_pids("mda")
        os.kill(role, signal.SIGKILL)
        wait_gone([first])
        gw.wait_log(r"died process=mda .*KILL")
        wait_until(lambda: len(told(gw)) == 2, "the second one")
        begin(gw, "go")
        gw.wait_log(r"delivered .*to=x@example\.net")
        gw.wait_empty()
        equal(len(kept(gw, "x")), 1, "mails")


@test
def the_death_of_the_queue():
    with gateway(TELLS) as gw:
        send(gw, "x")
        wait_until(lambda: told(gw), "the command")
        (first,) = told(gw)
        (queue,) = gw.role_pids("queue")
        os.kill(queue, signal.SIGKILL)
        wait_gone([first])
        begin(gw, "go")
        gw.wait_log(r"delivered .*to=x@example\.net")
        equal(len(kept(gw, "x")), 1, "mails")


@test
def a_reload_in_between():
    """What runs goes on as it began; what comes has the new command."""
    with gateway(WAITS) as gw:
        send(gw, "old")
        wait_until(lambda: running(gw), "the command")
        gw.conf_text = gw.conf_text.replace("two words", "other words")
        gw.write_conf()
        gw.ctl("reload", check=0)
        set_command(gw, 'echo "$3" >"$box/third.$1"\n')
        goes(gw, "new", "delivered", "")
        equal(text_of(gw, "third.new"), "other words\n", "its argument")
        begin(gw, "go")
        gw.wait_log(r"delivered .*to=old@")
        equal(len(kept(gw, "old")), 1, "the old one's mail")


@test
def a_stop_lets_it_finish():
    with gateway(WAITS) as gw:
        send(gw, "x")
        wait_until(lambda: running(gw), "the command")
        stopping = threading.Thread(target=gw.stop)
        stopping.start()
        wait_until(lambda: not gw.role_pids("smtpd"), "the end of smtpd")
        begin(gw, "go")
        gw.wait_log(r"delivered .*to=x@example\.net")
        stopping.join(DEADLINE)
        equal(len(kept(gw, "x")), 1, "mails")


main()
