#!/usr/bin/python3
"""The Debian packages: built, looked at by lintian and systemd, and lived
with on a machine of their own: installed, run, upgraded, removed, purged."""
import glob
import os
import sys
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403
from machine import Machine  # noqa: E402
from packaged import *  # noqa: E402,F401,F403
from realclients import command  # noqa: E402

RUNNING = ("/usr/sbin/posternd", "/usr/libexec/postern/")
LIFE = "/var/spool/postern", "/etc/postern/postern.conf"


@test
def is_built():
    before = tree()
    folder = make_packages(FIRST)
    equal(tree() - before, set(), "files beside the build")
    code, out = command(
        "lintian", "--allow-root", "--fail-on", "error,warning",
        *glob.glob(f"{folder}/postern_{FIRST}_*.changes"))
    equal(code, 0, out)


def running(m):
    return [p for p in m.processes() if p.startswith(RUNNING)]


def exists(m, path):
    return os.path.lexists(m.path(path))


# --- its steps ---

def installed_quietly(m):
    """Services are forbidden: all is in its place, and nothing runs."""
    m.install(*files(FIRST))
    equal(running(m), [], "processes")
    match(m.run("posternd", "-n"), r"^configuration OK\n$")
    for user in ("_postern", "_posternq", "_posternv", "_posternf",
                 "_posternw"):
        match(m.run("getent", "passwd", user), "/nonexistent:/usr/sbin/nologin")
    equal(m.run("stat", "-c", "%U %G %a", "/var/spool/postern"),
          "_posternq _posternq 700\n")
    equal(m.run("dpkg-query", "-W", "-f", "${Conffiles}", "postern").split()
          [::2], ["/etc/init.d/postern", "/etc/logrotate.d/postern",
                  "/etc/postern/postern.conf"])
    for page in ("posternd.8", "posternctl.8", "postern.conf.5",
                 "postern-sendmail.8"):
        assert exists(m, f"/usr/share/man/man{page[-1]}/{page}.gz"), page
    assert exists(m, "/usr/share/bash-completion/completions/posternctl")
    assert exists(m, "/usr/share/doc/postern/examples/postern.conf")


def unit_is_good(m):
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze here")
    text = read(m, "/lib/systemd/system/postern.service")
    match(text, r"\nType=notify\n")
    # Beside the units of this system, with the programs of that one.
    unit = f"{m.top}/postern.service"
    with open(unit, "w") as f:
        f.write(re.sub("=/usr/sbin/", f"={m.root}/usr/sbin/", text))
    code, out = command("systemd-analyze", "--man=no", "verify", unit)
    equal((code, "postern" in out), (0, False), out)
    code, out = command("systemd-analyze", "security", "--offline=true",
                        "--threshold=45", unit)
    equal(code, 0, out)


def started(m):
    m.forbid_services(False)
    m.run("invoke-rc.d", "postern", "start")
    assert running(m), "its program is not seen"
    got = status(m)
    equal(got["version"], FIRST, "version")
    match(m.run("/etc/init.d/postern", "status"), "")
    equal([(l["address"], l["port"]) for l in got["listeners"] if l["port"]],
          [("127.0.0.1", 25)], "listeners")
    for p in got["processes"]:
        if p["role"] not in ("parent", "mda"):
            match(p["sandbox"], "chroot|tree|uid", p["role"])
    return got["pid"]


def takes_mail(m):
    equal(send(m, "root@localhost", "to-root")[0], 250, "root")
    wait_letter(m, "root", "to-root")
    equal(send(m, "luke@example.net", "nowhere")[0], 550, "others")
    m.run("useradd", "-m", "luke")
    m.run("sendmail", "-i", "root", user="luke",
          stdin=b"Subject: by-sendmail\n\nhello\n")
    wait_letter(m, "root", "by-sendmail")
    equal(m.run("readlink", "-f", "/usr/lib/sendmail"),
          "/usr/sbin/postern-sendmail\n")
    m.run("mailq")
    m.run("newaliases")


def asks_who_may(m):
    """root, members of posternadm; adm looks; nobody else."""
    m.run("posternctl", "show", "status", user="luke", code=1)
    m.run("adduser", "--quiet", "luke", "adm")
    match(m.run("posternctl", "show", "status", user="luke"), "smtpd")
    m.run("posternctl", "reload", user="luke", code=1)
    m.run("adduser", "--quiet", "luke", "posternadm")
    match(m.run("posternctl", "reload", user="luke"), "reloaded")


def rotates(m):
    """A file is moved away; it goes on in another one."""
    m.run("logrotate", "-f", "/etc/logrotate.d/postern")
    match(read(m, "/var/log/postern.log.1"), "posternd: ready")
    wait_until(lambda: exists(m, "/var/log/postern.log") and
               "log opened again" in read(m, "/var/log/postern.log"),
               "a new log")


def upgraded(m, pid):
    """While a mail waits: it is there afterwards, and delivered; the
    administrator's change of the configuration is, too; the process and its
    listener never went."""
    add_relay(m)
    conf = read(m, "/etc/postern/postern.conf")
    put_off(m, "over-the-upgrade")
    m.install(*files(SECOND))
    got = status(m)
    equal(got["version"], SECOND, "version")
    equal(got["pid"], pid, "the process")
    equal(read(m, "/etc/postern/postern.conf"), conf, "configuration")
    equal([q["recipients"][0]["to"] for q in queue(m)], ["x@example.net"],
          "queue")
    arrives(m, "over-the-upgrade")


def removed(m):
    """It stops; what is not the package's stays."""
    put_off(m, "over-the-removal")
    m.run("apt-get", "remove", "-y", "-q", "postern")
    equal(running(m), [], "processes")
    for path in LIFE:
        assert exists(m, path), path
    assert not exists(m, "/usr/sbin/posternd")
    assert not exists(m, "/usr/sbin/sendmail"), "postern-mta stayed"


def purged_with_mail(m):
    """The conffiles go, mail does not, and waits for the next one."""
    out = m.run("apt-get", "purge", "-y", "-q", "postern")
    match(out, r"/var/spool/postern is kept: 1 messages", "what it says")
    assert not exists(m, "/etc/postern/postern.conf")
    assert exists(m, "/var/spool/postern/format")
    m.install(*files(SECOND))
    add_relay(m)
    arrives(m, "over-the-removal")


def purged_without(m):
    out = m.run("apt-get", "purge", "-y", "-q", "postern")
    assert "kept" not in out, out
    equal(running(m), [], "processes")
    for path in ("/etc/postern", "/etc/init.d/postern", "/var/spool/postern",
                 "/etc/logrotate.d/postern", "/var/log/postern.log",
                 "/var/log/postern.log.1", "/run/postern",
                 "/usr/libexec/postern", "/usr/lib/sysusers.d/postern.conf"):
        assert not exists(m, path), path
    assert letters(m, "root"), "delivered mail stays"


@test
def lives():
    debs = files(FIRST)
    with Machine(debs[0]) as m:
        m.run("apt-get", "install", "-y", "-q",
              "--no-install-recommends", "logrotate")
        installed_quietly(m)
        unit_is_good(m)
        pid = started(m)
        takes_mail(m)
        asks_who_may(m)
        rotates(m)
        upgraded(m, pid)
        removed(m)
        purged_with_mail(m)
        purged_without(m)


def relays_again(m, token, version):
    """A mail is taken and arrives, and this program did it."""
    put_off(m, token)
    arrives(m, token)
    equal(status(m)["version"], version, "version")


def change(m, old, new):
    path = m.path("/etc/postern/postern.conf")
    with open(path) as f:
        text = f.read()
    assert old in text, f"{old} is not in {text}"
    with open(path, "w") as f:
        f.write(text.replace(old, new, 1))


def users_were_there(m):
    """With another home and shell; what is there already stays."""
    m.run("useradd", "--system", "--home", "/srv", "--shell", "/bin/sh",
          "--user-group", "_posternq")
    m.install(*files(FIRST))
    match(m.run("getent", "passwd", "_posternq"), ":/srv:/bin/sh")
    m.forbid_services(False)
    m.run("invoke-rc.d", "postern", "start")
    add_relay(m)
    relays_again(m, "odd-users", FIRST)


def upgraded_with_errors(m):
    """A configuration that cannot be: the old program goes on, and a later
    SIGUSR2 is the upgrade."""
    pid = status(m)["pid"]
    change(m, "\npostmaster ", "\npostmister ")
    out = m.install(*files(SECOND))
    match(out, "does not say that it runs as the new program")
    change(m, "\npostmister ", "\npostmaster ")
    relays_again(m, "before-the-upgrade", FIRST)
    m.run("sh", "-c", f"kill -USR2 {pid}")
    wait_until(lambda: SECOND in m.run("posternctl", "-j", "show", "status",
                                       code=None), "the new program")
    equal(status(m)["pid"], pid, "the process")


def upgraded_out_of_reach(m):
    """The new posternctl does not reach the old program: who goes on as the
    new one is found without it."""
    elsewhere = "/run/postern/elsewhere.sock"
    pid = status(m)["pid"]
    change(m, "/run/postern/postern.sock", elsewhere)
    m.run("invoke-rc.d", "postern", "stop")
    m.run("invoke-rc.d", "postern", "start")
    m.install(*files(FIRST))
    got = json.loads(m.run("posternctl", "-s", elsewhere, "-j", "show",
                           "status"))
    equal(got["version"], FIRST, "version")
    assert got["pid"] != pid
    change(m, elsewhere, "/run/postern/postern.sock")
    m.run("invoke-rc.d", "postern", "stop")


def upgraded_while_it_does_not_run(m):
    """It is started, as services of Debian are; mail in the spool goes on."""
    equal(running(m), [], "processes")
    m.install(*files(SECOND))
    relays_again(m, "over-the-stop", SECOND)


def removed_while_stopped(m):
    put_off(m, "over-the-stop")
    m.run("invoke-rc.d", "postern", "stop")
    m.run("apt-get", "remove", "-y", "-q", "postern")
    m.install(*files(SECOND))
    equal([q["recipients"][0]["to"] for q in queue(m)], ["x@example.net"],
          "queue")
    arrives(m, "over-the-stop")


def purged_while_it_runs(m):
    """Services may not be stopped: nothing is taken from under the queue."""
    m.forbid_services(True)
    out = m.run("apt-get", "purge", "-y", "-q", "postern")
    match(out, r"/var/spool/postern is kept: a gateway runs on it")
    assert running(m), "nothing runs"
    assert exists(m, "/var/spool/postern/format")
    m.run("sh", "-c", "for p in /proc/[0-9]*; do case $(readlink $p/exe) in "
          "/usr/sbin/posternd*) kill ${p#/proc/};; esac; done")
    wait_until(lambda: running(m) == [], "an end of it")
    # Once more, with nothing of it left but the spool.
    m.install(*files(SECOND))
    m.run("apt-get", "purge", "-y", "-q", "postern")
    assert not exists(m, "/var/spool/postern")
    m.run("dpkg", "--purge", "postern", code=None)


@test
def mishaps():
    debs = files(FIRST)
    with Machine(debs[0]) as m:
        users_were_there(m)
        upgraded_with_errors(m)
        upgraded_out_of_reach(m)
        upgraded_while_it_does_not_run(m)
        removed_while_stopped(m)
        purged_while_it_runs(m)


main()
