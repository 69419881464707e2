#!/usr/bin/python3
"""The Debian packages under a systemd of their own, as on a real machine: its
unit with all that it forbids, what systemd is told, and what it does then."""
import os
import signal
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from booted import Booted  # noqa: E402
from packaged import *  # noqa: E402,F401,F403

CONF = "/etc/postern/postern.conf"
PROGRAM, ROLES = "/usr/sbin/posternd", "/usr/libexec/postern/"
WRONG = "\npostmister nobody\n"
_box = []  # the machine, or why there is none


def box():
    """Started by the first who asks."""
    if not _box:
        try:
            _box.append(Booted(files(FIRST)[0]))
        except Skip as e:
            _box.append(e)
    if isinstance(_box[0], Skip):
        raise _box[0]
    return _box[0]


def show(m, *names):
    """What systemd says of the unit."""
    out = m.run("systemctl", "show", "postern",
                *(f"--property={n}" for n in names))
    got = dict(line.split("=", 1) for line in out.splitlines())
    return got[names[0]] if len(names) == 1 else [got[n] for n in names]


def journal(m):
    m.run("journalctl", "--sync")
    return m.run("journalctl", "--unit=postern", "--output=cat", "--no-pager")


def write_conf(m, text):
    with open(m.path(CONF), "w") as f:
        f.write(text)


def gateway():
    """The machine, with a gateway that is as the package, and a next hop, left
    it, whatever became of it in the test before."""
    m = box()
    if not hasattr(m, "conf"):
        m.install(*files(FIRST))
        m.conf = read(m, CONF) + TO_NEXT_HOP
    if read(m, CONF) != m.conf or show(m, "ActiveState") != "active":
        write_conf(m, m.conf)
        m.run("systemctl", "reset-failed", "postern", code=None)
        m.run("systemctl", "restart", "postern")
    return m


def is_up(m, pid=None):
    """What all agree about; its process."""
    wait_until(lambda: show(m, "ActiveState", "SubState", "StatusText") ==
               ["active", "running", "accepting mail"], "an active unit")
    got = status(m)["pid"]
    equal(show(m, "MainPID"), str(got), "the main process")
    if pid is not None:
        equal(got, pid, "the process")
    return got


def running(m):
    return [pid for pid, path in m.processes().items()
            if path.startswith((PROGRAM, ROLES))]


def parent(m):
    """Its number on the host."""
    return [pid for pid, path in m.processes().items()
            if path.startswith(PROGRAM)][0]


def of(pid, name):
    """A line of the kernel's about a process."""
    with open(f"/proc/{pid}/status") as f:
        return [line.split(":", 1)[1].strip() for line in f
                if line.startswith(name + ":")][0]


def restart_in_place(m):
    """SIGUSR2, to its end."""
    mark = journal(m).count("posternd: ready")
    m.run("systemctl", "kill", "--kill-whom=main", "-s", "USR2", "postern")
    wait_until(lambda: journal(m).count("posternd: ready") > mark,
               "the next program")


# --- before there is a package ---

@test
def makes_users_and_folders():
    """As `make install' leaves it to systemd."""
    m = box()
    for name, folder in ("sysusers", "sysusers.d"), ("tmpfiles", "tmpfiles.d"):
        shutil.copy(f"{TOP}/etc/postern.{name}",
                    m.path(f"/usr/lib/{folder}/postern.conf"))
        m.run(f"systemd-{name}", *(["--create"] if name == "tmpfiles" else []),
              f"/usr/lib/{folder}/postern.conf")
    for user in "_postern", "_posternq", "_posternv", "_posternf", "_posternw":
        match(m.run("getent", "passwd", user), "/nonexistent:/usr/sbin/nologin")
    m.run("getent", "group", "posternadm")
    equal(m.run("stat", "-c", "%U %G %a", "/var/spool/postern", "/run/postern"),
          "_posternq _posternq 700\nroot root 755\n")


# --- the life of the unit ---

@test
def is_started_by_the_package():
    m = gateway()
    is_up(m)
    equal(show(m, "Type", "UnitFileState", "NRestarts"),
          ["notify", "enabled", "0"])
    out = m.run("systemctl", "status", "postern")
    match(out, 'Status: "accepting mail"')
    match(journal(m), "posternd: ready")


@test
def is_in_force():
    """Each line of the unit was understood, and holds for the parent."""
    m = gateway()
    unit = read(m, "/lib/systemd/system/postern.service")
    equal(m.run("systemd-analyze", "verify", "--man=no",
                "/lib/systemd/system/postern.service"), "", "complaints")
    wanted = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1]
    equal(sorted(show(m, "CapabilityBoundingSet").split()),
          sorted(wanted.lower().split()), "capabilities")
    pid = parent(m)
    equal([of(pid, n) for n in ("NoNewPrivs", "Seccomp", "Umask")],
          ["1", "2", "0077"], "of the parent")
    have = int(of(pid, "CapBnd"), 16)
    equal(bin(have).count("1"), len(wanted.split()), "capabilities")
    assert os.readlink(f"/proc/{pid}/ns/mnt") != \
        os.readlink(f"/proc/{m.first}/ns/mnt"), "no files of its own"
    inside = f"/proc/{pid}/root"
    for path, is_open in (("/usr", False), ("/etc", False),
                          ("/proc/sys", False), ("/sys", False),
                          ("/var", True), ("/home", True), ("/run", True)):
        flags = os.statvfs(inside + path).f_flag
        equal(not flags & os.ST_RDONLY, is_open, path)
    match(m.run("stat", "-c", "%U %a", "/run/postern"), "^root 755")


@test
def jails_as_without():
    """Nothing that the unit forbids is what a role needs for its jail."""
    m = gateway()
    under = {p["role"]: p["sandbox"] for p in status(m)["processes"]}
    m.run("systemctl", "stop", "postern")
    m.run("install", "-d", "/run/postern")
    m.run("posternd")
    try:
        free = {p["role"]: p["sandbox"] for p in status(m)["processes"]}
    finally:
        m.run("posternctl", "stop")
        wait_until(lambda: not running(m), "the end of it")
    equal(under, free, "the jails")


@test
def takes_mail():
    m = gateway()
    equal(send(m, "root@localhost", "to-root")[0], 250, "root")
    wait_letter(m, "root", "to-root")
    m.run("useradd", "-m", "luke")
    m.run("sendmail", "-i", "root", user="luke",
          stdin=b"Subject: by-sendmail\n\nhello\n")
    wait_letter(m, "root", "by-sendmail")
    put_off(m, "out")
    arrives(m, "out")
    m.run("posternctl", "show", "status", user="luke", code=1)
    m.run("adduser", "--quiet", "luke", "posternadm")
    match(m.run("posternctl", "reload", user="luke"), "reloaded")
    is_up(m)


@test
def runs_commands():
    """Of `mda': in all that the unit forbids, as another user."""
    m = gateway()
    m.run("useradd", "-m", "mildred")
    write_conf(m, m.conf + '''
action cmd mda "/usr/bin/tee /home/mildred/got" user "mildred"
match from local for rcpt { "mildred@localhost" } action cmd
''')
    m.run("systemctl", "reload", "postern")
    equal(send(m, "mildred@localhost", "to-a-command")[0], 250, "mildred")
    wait_until(lambda: os.path.exists(m.path("/home/mildred/got")) and
               "to-a-command" in read(m, "/home/mildred/got"), "its letter")


@test
def reloads():
    m = gateway()
    pid = is_up(m)
    write_conf(m, m.conf + "\nhostname changed.example.org\n")
    m.run("systemctl", "reload", "postern")
    is_up(m, pid)
    with m.network():
        c = Client("127.0.0.1", 25)
    match(c.greeting, "changed.example.org")
    c.cmd("QUIT")


@test
def journal_knows_how_bad_it_is():
    """Also behind a restart in place; and says nothing twice."""
    m = gateway()
    restart_in_place(m)
    write_conf(m, m.conf + WRONG)
    m.run("systemctl", "reload", "postern", code=1)
    write_conf(m, m.conf)
    m.run("systemctl", "reload", "postern")
    m.run("journalctl", "--sync")
    bad = m.run("journalctl", "--unit=postern", "_COMM=posternd",
                "--priority=warning", "--output=cat", "--no-pager")
    match(bad, r"(?m)^parent reload result=refused")
    assert "posternd: ready" not in bad, bad
    out = journal(m)
    match(out, r'(?m)^parent ready text="posternd: ready"')
    assert not re.search(r"(?m)^(<|\d{4}-)", out), out


@test
def stays_with_a_broken_configuration():
    m = gateway()
    pid = is_up(m)
    write_conf(m, m.conf + WRONG)
    match(m.run("systemctl", "reload", "postern", code=1), "failed")
    is_up(m, pid)
    match(journal(m), "reload result=refused.*postmister|"
          "postmister.*reload result=refused", "the journal")
    equal(send(m, "root@localhost", "broken")[0], 250, "a mail")
    wait_letter(m, "root", "broken")
    write_conf(m, m.conf)
    m.run("systemctl", "reload", "postern")
    is_up(m, pid)


@test
def does_not_start_with_one():
    m = gateway()
    write_conf(m, m.conf + WRONG)
    m.run("systemctl", "restart", "postern", code=1)
    # It is tried again, with nobody who waits for it.
    assert show(m, "ActiveState") != "active"
    match(journal(m), "postmister", "the journal")
    write_conf(m, m.conf)
    m.run("systemctl", "restart", "postern")
    is_up(m)


@test
def restarts_in_place():
    """One process to systemd, before and after; who talks goes on."""
    m = gateway()
    pid = is_up(m)
    put_off(m, "over-the-restart")
    with m.network():
        c = Client("127.0.0.1", 25, helo="client.example")
    equal(c.cmd("MAIL FROM:<luke@example.org>")[0], 250, "MAIL")
    for n in range(2):
        restart_in_place(m)
        is_up(m, pid)
        equal(show(m, "NRestarts", "Result"), ["0", "success"])
    equal(c.cmd("RCPT TO:<root@localhost>")[0], 250, "RCPT")
    equal(c.cmd("DATA")[0], 354, "DATA")
    equal(c.cmd("Subject: goes-on\r\n\r\nhello\r\n.")[0], 250, "a mail")
    c.cmd("QUIT")
    wait_letter(m, "root", "goes-on")
    equal([q["state"] for q in queue(m)], ["deferred"], "queue")
    m.run("systemctl", "reload", "postern")
    is_up(m, pid)
    arrives(m, "over-the-restart")


@test
def stops_in_time():
    m = gateway()
    with m.network():
        c = Client("127.0.0.1", 25, helo="client.example")
    begun = time.monotonic()
    m.run("systemctl", "stop", "postern")
    c.sock.close()
    equal(running(m), [], "processes")
    equal(show(m, "ActiveState", "Result", "ExecMainCode", "ExecMainStatus"),
          ["inactive", "success", "1", "0"])
    assert time.monotonic() - begun < 60, "it had to be killed"
    assert not os.path.exists(f"/proc/{m.first}/root/run/postern")
    m.run("systemctl", "start", "postern")
    is_up(m)


@test
def comes_back():
    """Its parent is killed: a new one, and nothing of the old is left."""
    m = gateway()
    pid = is_up(m)
    put_off(m, "over-the-end")
    before = running(m)
    os.kill(parent(m), signal.SIGKILL)
    wait_until(lambda: show(m, "NRestarts") == "1", "a restart")
    assert is_up(m) != pid, "the same process"
    equal([p for p in before if is_running(p)], [], "left behind")
    arrives(m, "over-the-end")


# --- the life of the machine ---

@test
def boots_with_it():
    """Down in order; the enabled unit is up again by itself."""
    m = gateway()
    put_off(m, "over-the-boot")
    stops = journal(m).count("parent stopped")
    m.boot_again()
    equal(journal(m).count("parent stopped"), stops + 1, "an orderly end")
    is_up(m)
    times = [int(m.run("systemctl", "show", unit, "--value",
                       f"--property={what}TimestampMonotonic"))
             for unit, what in (("network-online.target", "ActiveEnter"),
                                ("postern", "InactiveExit"),
                                ("postern", "ActiveEnter"),
                                ("multi-user.target", "ActiveEnter"))]
    assert 0 < times[0] <= times[1] < times[2] <= times[3], times
    equal(m.run("systemctl", "list-units", "--failed", "--plain",
                "--no-legend", "postern*"), "", "failed units")
    arrives(m, "over-the-boot")


@test
def is_upgraded():
    """The process and its sessions go on; systemd knows the new unit."""
    m = gateway()
    pid = is_up(m)
    put_off(m, "over-the-upgrade")
    with m.network():
        c = Client("127.0.0.1", 25, helo="client.example")
    m.install(*files(SECOND))
    equal(status(m)["version"], SECOND, "version")
    is_up(m, pid)
    equal(show(m, "NRestarts", "NeedDaemonReload"), ["0", "no"])
    equal(c.cmd("NOOP")[0], 250, "a session of before")
    c.cmd("QUIT")
    arrives(m, "over-the-upgrade")


@test
def is_removed():
    m = gateway()
    m.run("apt-get", "purge", "-y", "-q", "postern")
    equal(running(m), [], "processes")
    equal(show(m, "LoadState"), "not-found", "the unit")
    assert not os.path.exists(m.path("/var/spool/postern"))
    del m.conf


try:
    main()
finally:
    if _box and not isinstance(_box[0], Skip):
        _box[0].end()
