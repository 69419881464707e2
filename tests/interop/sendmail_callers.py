#!/usr/bin/python3
"""Programs of Debian that call sendmail, with postern-sendmail in its place:
bsd-mailx, s-nail, mutt, git send-email, Python's and Perl's pipes, a shell."""
import os
import shutil
import sys
import tempfile
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from postern import *  # noqa: E402,F401,F403

CONF = '''
domain "test.example"
action out relay to "$hop"
match for domain { "example.net", "test.example" } action out
'''
BIN = f"{PEERS}/bin"
LOGIN = pwd.getpwuid(os.getuid()).pw_name


class House:
    """A gateway, and a folder with `sendmail' in it."""

    def __enter__(self):
        self.mx = MX()
        self.gw = Gateway(CONF, {"hop": self.mx.hop})
        self.gw.start()
        self.dir = tempfile.mkdtemp(prefix="postern-callers-")
        self.sendmail = f"{self.dir}/sendmail"
        os.symlink(f"{BUILD}/postern-sendmail", self.sendmail)
        self.n = 0
        return self

    def __exit__(self, kind, value, tb):
        if kind is None:
            self.gw.remove()
        self.mx.close()
        shutil.rmtree(self.dir)

    def run(self, *argv, text=b"", want=0, cwd=None, **env):
        p = subprocess.run(argv, input=text, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=DEADLINE,
                           cwd=cwd or self.dir,
                           env=dict(os.environ, HOME=self.dir,
                                    POSTERN_SUBMIT=self.gw.submit,
                                    POSTERN_SOCKET=f"{self.dir}/none", **env))
        equal(p.returncode, want, f"{argv}: {p.stdout.decode()}")
        return p.stdout.decode()

    def sent(self, rcpts, *patterns, sender=f"{LOGIN}@test.example"):
        """The next mail."""
        self.n += 1
        m = self.mx.wait(self.n)[self.n - 1]
        equal((m.sender, sorted(m.rcpts)), (sender, sorted(rcpts)),
              "envelope")
        for p in patterns:
            match(m.data, p, "the mail")
        assert b"Bcc" not in m.data, m.data
        return m


def there(name):
    if not os.path.exists(f"{BIN}/{name}"):
        raise Skip(f"{name} is not there: tests/fetch mailers")
    return f"{BIN}/{name}"


@test
def mailx():
    program = there("bsd-mailx")
    with House() as h:
        with open(f"{h.dir}/rc", "w") as f:
            f.write(f"set sendmail={h.sendmail}\n")
        h.run(program, "-n", "-s", "subj", "-c", "c@example.net", "-b",
              "b@example.net", "a@example.net", "root",
              text="grüße\n".encode(), MAILRC=f"{h.dir}/rc",
              LC_ALL="C.UTF-8")
        h.sent(["a@example.net", "b@example.net", "c@example.net",
                "root@test.example"], rb"\r\nSubject: subj\r\n",
               rb"\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n$",
               rb"\r\nTo: a@example.net, root@test.example\r\n")


@test
def s_nail():
    program = there("s-nail")
    with House() as h:
        h.run(program, "-n", "-S", f"mta={h.sendmail}", "-S", "sendwait",
              "-s", "subj", "-r", "me@c.example", "a@example.net",
              text=b"body\n.\nmore\n")
        h.sent(["a@example.net"], rb"\r\n\r\nbody\r\n\.\r\nmore\r\n$",
               sender="me@c.example")
        # It says so when the mail is not taken.
        h.run(program, "-n", "-S", f"mta={h.sendmail}", "-S", "sendwait",
              "-s", "subj", "a@elsewhere.example", text=b"body\n", want=4)


@test
def mutt():
    program = there("mutt")
    with House() as h:
        h.run(program, "-n", "-F", "/dev/null", "-e",
              f'set sendmail="{h.sendmail} -oem -oi"', "-e", "set copy=no",
              "-e", "set use_envelope_from=yes", "-e",
              'set envelope_from_address="me@c.example"', "-s", "subj",
              "-b", "b@example.net", "a@example.net", text=b"body\n")
        h.sent(["a@example.net", "b@example.net"], rb"\r\nSubject: subj\r\n",
               rb"\r\n\r\nbody\r\n$", sender="me@c.example")


@test
def git_send_email():
    program = f"{PEERS}/root/usr/lib/git-core/git-send-email"
    if not os.path.exists(program) or not shutil.which("git"):
        raise Skip("git-email is not there: tests/fetch mailers")
    with House() as h:
        repo = f"{h.dir}/repo"
        os.mkdir(repo)
        me = {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER")
              for k, v in (("NAME", "Ümit"), ("EMAIL", "u@example.net"))}
        for argv in (("init", "-q"),
                     ("commit", "-q", "--allow-empty", "-m", "empty"),
                     ("commit", "-q", "--allow-empty", "-m", "the änd")):
            h.run("git", *argv, cwd=repo, **me)
        with open(f"{repo}/f", "w") as f:
            f.write("line\n.\n")
        h.run("git", "add", "f", cwd=repo)
        h.run("git", "commit", "-q", "-m", "dots", cwd=repo, **me)
        h.run("git", "format-patch", "-q", "-1", "-o", "out", cwd=repo)
        h.run("perl", program, "--from=u@example.net", "--to=a@example.net",
              f"--sendmail-cmd={h.sendmail}", "--confirm=never",
              "--envelope-sender=u@example.net", "--quiet", "out",
              cwd=repo, **me)
        h.sent(["a@example.net", "u@example.net"],
               rb"\r\nSubject: \[PATCH\] dots\r\n", rb"\r\n\+\.\r\n",
               sender="u@example.net")


@test
def pipes():
    """What scripts do, each in its language."""
    with House() as h:
        h.run("sh", "-c", '{ echo "To: a@example.net"; echo "Subject: sh"; '
              f'echo; echo out; }} | {h.sendmail} -t')
        h.sent(["a@example.net"], rb"\r\nSubject: sh\r\n")
        h.run(sys.executable, "-c", f'''
import subprocess
from email.message import EmailMessage
m = EmailMessage()
m["To"], m["Bcc"], m["Subject"] = "a@example.net", "b@example.net", "p\\u00fc"
m["From"] = "Py \\u00fc <py@c.example>"
m.set_content("body")
subprocess.run(["{h.sendmail}", "-t", "-oi", "-f", "py@c.example"],
               input=m.as_bytes(), check=True)
''')
        h.sent(["a@example.net", "b@example.net"], rb"\r\nSubject: =\?utf-8",
               sender="py@c.example")
        h.run("perl", "-e", f'''
open(my $f, "|-", "{h.sendmail}", "-oi", "-t") or die;
print $f "From: web\\nTo: a\\@example.net\\nSubject: perl\\n\\nbody\\n";
close($f) or die "status $?";
''')
        h.sent(["a@example.net"], rb"\r\nFrom: web@test\.example\r\n")


main()
