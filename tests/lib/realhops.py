"""Next hops that Debian has, each started for real: Postfix, Exim and
OpenSMTPD on a copy of the root that only they see, Dovecot in a folder of its
own. All of them hand on what they took to a sink (MX), Dovecot keeps it."""
import imaplib
import os
import shutil
import subprocess
import tempfile

from certs import read
from postern import (TOP, equal, free_port, own_address, wait_until,
                     wide_port)
from realclients import Chrooted, EximClient, PostfixClient, listens
from realmilters import Real

__all__ = ["PostfixHop", "EximHop", "OpenSmtpdHop", "Dovecot", "body_of"]


def body_of(data):
    return data.split(b"\r\n\r\n", 1)[1]


class PostfixHop(PostfixClient):
    """Takes mail for example.net, by STARTTLS with that certificate. auth:
    the folder with Dovecot's socket `auth': only who logs in may send. main:
    more lines for main.cf."""

    def __init__(self, sink, cert, auth=None, main=""):
        self.lent = auth is not None
        self.dir = auth or tempfile.mkdtemp(prefix="postern-postfix-")
        os.chmod(self.dir, 0o755)
        for name, path in (("cert.pem", cert.chain), ("key.pem", cert.key)):
            shutil.copy(path, f"{self.dir}/{name}")
        text = "smtpd_tls_security_level = may\n" \
            "smtpd_tls_chain_files = /shared/key.pem, /shared/cert.pem\n" \
            "smtpd_tls_received_header = yes\nsmtpd_tls_loglevel = 1\n" \
            "smtpd_tls_session_cache_database =\n" \
            "myhostname = hub.example\n" + main
        if auth:
            text += "smtpd_sasl_auth_enable = yes\n" \
                "smtpd_sasl_type = dovecot\n" \
                "smtpd_sasl_path = /shared/auth\n" \
                "smtpd_sasl_authenticated_header = yes\n" \
                "smtpd_tls_auth_only = yes\nmynetworks =\n" \
                "smtpd_recipient_restrictions = " \
                "permit_sasl_authenticated, reject\n" \
                "smtpd_relay_restrictions = " \
                "permit_sasl_authenticated, reject\n"
        super().__init__(sink.address, sink.port, text, shared=self.dir)

    def close(self):
        super().close()
        if not self.lent:
            shutil.rmtree(self.dir, ignore_errors=True)


EXIM_ACLS = """
domainlist ours = example.net
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = accept
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
accept_8bitmime = true
tls_advertise_hosts = *
tls_certificate = {work}/cert.pem
tls_privatekey = {work}/key.pem
received_header_text = Received: from $sender_helo_name by $primary_hostname \
  with $received_protocol ($tls_in_ver) id $message_exim_id
log_selector = +all
queue_run_max = 1
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
begin acl
acl_rcpt:
  {rule}
  deny message = not from you
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth2:$auth3}}{{luke:force}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if eq{{$auth1:$auth2}}{{luke:force}}}}
  server_set_id = $auth1
"""


class EximHop(EximClient):
    """A daemon that offers CHUNKING, STARTTLS and AUTH. auth: needed."""

    def __init__(self, sink, cert, auth=False):
        super().__init__(sink.address, sink.port, "hosts_avoid_tls = *")
        self.address, self.port = own_address(5), 0
        self.port = free_port(self.address)
        for name, path in (("cert.pem", cert.chain), ("key.pem", cert.key)):
            shutil.copy(path, self.path(name))
            shutil.chown(self.path(name), "mail", "mail")
        text = read(self.conf).replace("tls_advertise_hosts =\n", "") \
            .replace("log_selector = +all\n", "") \
            .replace("begin routers", EXIM_ACLS.format(
                work=self.work, rule="accept authenticated = *" if auth
                else "accept domains = +ours") + "begin routers")
        text = text.replace("primary_hostname = client.example",
                            "primary_hostname = hub.example")
        self.write("exim.conf", text)
        self.out = open(self.path("out"), "wb")
        self.proc = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             self.inside, "sh", self.program, "-C", self.conf, "-bdf", "-oX",
             f"[{self.address}]:{self.port}", "-odi",
             "-oP", self.path("exim/pid")],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            start_new_session=True)

        def up():
            if self.proc.poll() is not None:
                self.show()
                raise AssertionError("Exim ended")
            return listens(self.address, self.port)
        try:
            wait_until(up, "Exim")
        except BaseException:
            self.close()
            raise

    def show(self):
        super().show()
        print("  exim:", read(self.path("out")))


OPENSMTPD = """
pki here cert "/bench.pem"
pki here key "/bench.pem"
listen on {address} port {port} tls pki here hostname hub.example
action "out" relay host smtp://{sink} helo hub.example
match from any for domain "example.net" action "out"
"""


class OpenSmtpdHop(Chrooted):
    needs = "usr/sbin/smtpctl"

    def __init__(self, sink, cert):
        super().__init__()
        self.address, self.port = "127.0.0.1", wide_port("127.0.0.1")
        pem = self.write("here.pem", read(cert.key) + read(cert.chain))
        os.chmod(pem, 0o600)
        conf = self.write("hop.conf", OPENSMTPD.format(
            address=self.address, port=self.port,
            sink=f"{sink.address}:{sink.port}"))
        self.out = open(self.path("out"), "wb")
        self.proc = subprocess.Popen(
            [f"{TOP}/bench/opensmtpd", self.work, str(self.port), pem],
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
            start_new_session=True, env=dict(os.environ, CONF=conf))

        def up():
            if self.proc.poll() is not None:
                self.show()
                raise AssertionError("OpenSMTPD ended")
            return listens(self.address, self.port)
        try:
            wait_until(up, "OpenSMTPD")
        except BaseException:
            self.close()
            raise

    def show(self):
        with open(self.path("out"), errors="replace") as f:
            for line in f.read().splitlines()[-40:]:
                print("  opensmtpd:", line)


DOVECOT = """
base_dir = $D/run
state_dir = $D/state
log_path = $D/dovecot.log
auth_verbose = yes
mail_debug = yes
protocols = lmtp imap
listen = {address}
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:$D/mail/%n
lmtp_save_to_detail_mailbox = no
recipient_delimiter = +
postmaster_address = postmaster@example.net
hostname = mda.example
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%n $D/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n $D/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = {address}
    port = {lmtp}
  }}
  unix_listener $D/sock/lmtp {{
    mode = 0666
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service auth {{
  unix_listener $D/sock/auth {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-reader {{
    mode = 0
  }}
}}
"""


class Dovecot(Real):
    """Mailboxes of c3po, r2d2 and luke, by LMTP (port and socket) and IMAP.
    auth: the folder with the socket that others ask."""
    programs = ("/usr/sbin/dovecot", "/usr/lib/dovecot/lmtp",
                "/usr/lib/dovecot/imap")
    users = {"c3po": "protocol", "r2d2": "beep", "luke": "force"}

    def __init__(self, cert):
        self.cert = cert
        self.address = own_address(6)
        self.lmtp, self.imap = (free_port(self.address) for _ in "12")
        super().__init__()

    def start(self):
        for name in ("run", "state", "sock", "mail"):
            os.mkdir(self.path(name), 0o755)
        shutil.chown(self.path("mail"), "mail", "mail")
        self.auth = self.path("sock")
        self.socket = self.path("sock/lmtp")
        self.write("users", "".join(
            f"{name}:{{PLAIN}}{word}:8:8::{self.path('mail')}/{name}::\n"
            for name, word in self.users.items()))
        os.chmod(self.path("users"), 0o644)
        conf = self.write("dovecot.conf", DOVECOT.format(
            address=self.address, chain=self.cert.chain, key=self.cert.key,
            lmtp=self.lmtp, imap=self.imap))
        self.conf = conf
        return self.restart()

    def restart(self):
        proc = self.run("/usr/sbin/dovecot", "-F", "-c", self.conf)

        def up():
            if proc.poll() is not None:
                raise AssertionError("Dovecot ended")
            return listens(self.address, self.lmtp) and \
                listens(self.address, self.imap) and \
                os.path.exists(self.socket)
        wait_until(up, "Dovecot")
        return ""

    def show(self):
        super().show()
        print(read(self.path("dovecot.log"))
              if os.path.exists(self.path("dovecot.log")) else "")

    def mails(self, user, box="INBOX"):
        """Of a mailbox, read by IMAP."""
        with imaplib.IMAP4(self.address, self.imap) as c:
            equal(c.login(user, self.users[user])[0], "OK", "LOGIN")
            if c.select(box, readonly=True)[0] != "OK":
                return []
            _, (found,) = c.search(None, "ALL")
            return [c.fetch(n, "(BODY.PEEK[])")[1][0][1]
                    for n in found.split()]

    def wait(self, user, count=1):
        found = []

        def there():
            found[:] = self.mails(user)
            return len(found) >= count
        wait_until(there, f"{count} mails of {user}")
        return found
