"""Certificates for tests, made by openssl when they are needed: a throw-away
authority and whatever names, kinds of key and times a test wants.

    ca = Ca()
    mx = ca.cert("mx.test.example")                  # ECDSA P-256
    rsa = ca.cert("mx.test.example", kind="rsa")
    old = ca.cert("old.example", days=(-20, -10))    # expired
    f'pki mx cert "{mx.chain}" key "{mx.key}"'       # or mx.words()
    context(ca)                                      # a client's, see tls.py
"""
import datetime
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import weakref

KINDS = {"ecdsa": ["-algorithm", "EC", "-pkeyopt",
                   "ec_paramgen_curve:P-256"],
         "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
         "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
         "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
         "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]}
CA_CONF = """
[ca]
default_ca = here
[here]
dir = {dir}
database = {dir}/index
new_certs_dir = {dir}/issued
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
organizationName = optional
"""


def openssl(*args, stdin=None):
    p = subprocess.run(["openssl", *map(str, args)], input=stdin,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode:
        raise AssertionError(f"openssl {args}: {p.stderr.decode()}")
    return p.stdout


def private_key(kind, path):
    openssl("genpkey", *KINDS[kind], "-out", path)
    os.chmod(path, 0o600)
    return path


def read(path):
    with open(path) as f:
        return f.read()


class Cert:
    """chain: PEM file, the certificate and what is between it and the root;
    key: PEM file; name: the first of its names."""

    def __init__(self, name, chain, key, ca=None):
        self.name, self.chain, self.key = name, chain, key
        self.ca = ca  # whose folder has the files

    def words(self):
        """What stands behind `pki NAME'."""
        return f'cert "{self.chain}" key "{self.key}"'

    def text(self, *what):
        return openssl("x509", "-in", self.chain, "-noout", *what).decode()

    def serial(self):
        return int(self.text("-serial").strip().split("=")[1], 16)

    def der(self):
        return openssl("x509", "-in", self.chain, "-outform", "DER")

    def tlsa(self, usage=3, selector=1, matching=1, of=None):
        """The TLSA record for it, or for the certificate `of', such as its
        authority's."""
        data = (of or self).der()
        if selector:
            key = openssl("x509", "-in", (of or self).chain, "-noout",
                          "-pubkey")
            data = openssl("pkey", "-pubin", "-outform", "DER", stdin=key)
        if matching:
            data = hashlib.new({1: "sha256", 2: "sha512"}[matching],
                               data).digest()
        return f"{usage} {selector} {matching} {data.hex()}"

    def copy_to(self, folder, name, to=None):
        """Its files under another name (or over that Cert's, each in one
        step), for a test that replaces them."""
        os.makedirs(folder, exist_ok=True)
        to = to or Cert(self.name, f"{folder}/{name}.crt",
                        f"{folder}/{name}.key", self.ca)
        for old, new in ((self.chain, to.chain), (self.key, to.key)):
            shutil.copy2(old, new + ".new")
            os.rename(new + ".new", new)
        return to


class Ca:
    """An authority with a folder of its own, which goes with it. root: a PEM
    file with its certificate. through: names of authorities between."""

    def __init__(self, name="Test Root", kind="ecdsa"):
        self.dir = tempfile.mkdtemp(prefix="postern-ca-")
        os.chmod(self.dir, 0o755)
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.dir,
                                           True)
        self.count = 0
        os.mkdir(f"{self.dir}/issued")
        open(f"{self.dir}/index", "w").close()
        self._write("ca.conf", CA_CONF.format(dir=self.dir))
        self.key = private_key(kind, f"{self.dir}/root.key")
        self.root = f"{self.dir}/root.crt"
        openssl("req", "-x509", "-key", self.key, "-days", 3650, "-subj",
                f"/O=Postern Test/CN={name}", "-addext",
                "basicConstraints=critical,CA:TRUE", "-out", self.root)
        self.issuer = Cert(name, self.root, self.key)

    def _write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as f:
            f.write(text)
        return f"{self.dir}/{name}"

    def _sign(self, subject, key, days, extensions, issuer):
        """Signs with `openssl ca', the only one that takes both times."""
        at = [(datetime.datetime.now(datetime.timezone.utc) +
               datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ")
              for d in days]
        n = self.count
        out = f"{self.dir}/{n}.crt"
        csr = f"{self.dir}/{n}.csr"
        openssl("req", "-new", "-key", key, "-subj", subject, "-out", csr)
        openssl("ca", "-batch", "-notext", "-config", f"{self.dir}/ca.conf",
                "-cert", issuer.chain, "-keyfile", issuer.key, "-in", csr,
                "-out", out, "-startdate", at[0], "-enddate", at[1],
                "-extfile", self._write(f"{n}.ext", extensions))
        return out

    def intermediate(self, name="Test Intermediate", issuer=None):
        """Another authority below this one: for cert(issuer=...)."""
        self.count += 1
        issuer = issuer or self.issuer
        key = private_key("ecdsa", f"{self.dir}/{self.count}.key")
        out = self._sign(f"/O=Postern Test/CN={name}", key, (-1, 3650),
                         "basicConstraints=critical,CA:TRUE\n", issuer)
        if issuer is not self.issuer:
            self._append(out, issuer.chain)
        return Cert(name, out, key, self)

    @staticmethod
    def _append(path, more):
        with open(path, "a") as f:
            f.write(read(more))

    def cert(self, *names, kind="ecdsa", days=(-1, 365), subject=None,
             key=None, issuer=None, extra=""):
        """names: of hosts, or addresses (SAN); key: this one again."""
        self.count += 1
        issuer = issuer or self.issuer
        key = key or private_key(kind, f"{self.dir}/{self.count}.key")
        san = ", ".join(f"IP:{n}" if re.fullmatch(r"[0-9.]+|.*:.*", n)
                        else f"DNS:{n}" for n in names)
        out = self._sign(subject or f"/CN={names[0]}", key, days,
                         f"subjectAltName = {san}\n{extra}\n" if names else
                         f"{extra}\n", issuer)
        if issuer is not self.issuer:
            self._append(out, issuer.chain)
        return Cert(names[0] if names else subject, out, key, self)

    def self_signed(self, name, kind="ecdsa"):
        self.count += 1
        key = private_key(kind, f"{self.dir}/{self.count}.key")
        out = f"{self.dir}/{self.count}.crt"
        openssl("req", "-x509", "-key", key, "-days", 365, "-subj",
                f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                "-out", out)
        return Cert(name, out, key, self)
