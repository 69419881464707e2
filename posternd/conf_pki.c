/* `pki`: certificates with their keys; and the listeners that name them. */
#include "posternd/conf_pki.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

enum {
	PEM_FILE_MAX = 1 << 20,
	CA_FILE_MAX = 16 << 20, /* all the world's */
	PEM_PATH_MAX = 255,     /* in the messages that carry it */
	PKIS_MAX = 1000
};

/* --- files in PEM (RFC 7468) --- */

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END   "-----END CERTIFICATE-----"
#define PEM_KEY   "PRIVATE KEY-----"

static int
check_text(const char *path, struct str text, size_t max, struct fault *why)
{
	if (text.len > max)
		return fault_set(why, FAULT_PERM, "%s is too large", path);
	if (memchr(text.p, '\0', text.len) != NULL)
		return fault_set(why, FAULT_PERM, "%s is not text", path);
	return 0;
}

/* All of the file, at most max bytes of it, with a NUL behind. The caller
 * wipes it (explicit_bzero): nobody knows yet what is in there. text has two
 * bytes more than max. */
static int
read_file(const char *path, char *text, size_t max, struct fault *why)
{
	int fd = conf_file_open(path, why);
	size_t len = 0;
	ssize_t n;

	if (fd == -1)
		return -1;
	do {
		n = read(fd, text + len, max + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && len <= max) || (n == -1 && errno == EINTR));
	if (n == -1)
		fault_errno(why, FAULT_PERM, "cannot read %s", path);
	close(fd);
	text[len] = '\0';
	return n == -1 ? -1 :
			 check_text(path, (struct str){ text, len }, max, why);
}

/* The certificates alone: what stands around them is for people. */
static int
take_certs(
    const char *text, const char *path, struct buf *out, struct fault *why)
{
	const char *begin, *end;

	if (strstr(text, PEM_KEY) != NULL)
		return fault_set(why, FAULT_PERM,
		    "%s has a private key in it, which may stand only in the "
		    "file that `key' names",
		    path);
	while ((begin = strstr(text, PEM_BEGIN)) != NULL) {
		end = strstr(begin, PEM_END);
		if (end == NULL)
			return fault_set(why, FAULT_PERM,
			    "%s: a certificate has no end", path);
		text = end + strlen(PEM_END);
		buf_add(out, begin, (size_t)(text - begin));
		buf_add_char(out, '\n');
	}
	if (out->failed)
		return fault_set(why, FAULT_PERM,
		    "%s has more than %d bytes of certificates", path,
		    CERT_CHAIN_MAX);
	if (out->len == 0)
		return fault_set(
		    why, FAULT_PERM, "%s has no certificate in PEM", path);
	return 0;
}

static char *
read_certs(const char *path, struct fault *why)
{
	char *text = xmalloc(PEM_FILE_MAX + 2), *certs = NULL;
	struct buf out;

	buf_init(&out, CERT_CHAIN_MAX);
	if (read_file(path, text, PEM_FILE_MAX, why) == 0 &&
	    take_certs(text, path, &out, why) == 0)
		certs = str_dup(buf_str(&out));
	explicit_bzero(text, PEM_FILE_MAX + 2);
	free(text);
	buf_clear(&out);
	return certs;
}

char *
conf_take_file(struct conf_parser *p)
{
	struct str s;
	char *path;

	if (conf_take_text(p, "a file", &s) == -1)
		return NULL;
	p->at--; /* errors name its line */
	path = conf_resolve_path(p, s);
	if (s.len == 0 || strlen(path) > PEM_PATH_MAX) {
		conf_error(p, "a file's name has 1 to %d bytes", PEM_PATH_MAX);
		free(path);
		return NULL;
	}
	conf_advance(p);
	return path;
}

char *
conf_take_certs(struct conf_parser *p, char **path)
{
	struct fault why = { 0 };
	char *certs;

	*path = conf_take_file(p);
	if (*path == NULL)
		return NULL;
	certs = read_certs(*path, &why);
	if (certs == NULL) {
		p->at--;
		conf_error(p, "%s", why.text);
		conf_advance(p);
	}
	return certs;
}

int
conf_check_ca(const char *path, struct fault *why)
{
	char *text = xmalloc(CA_FILE_MAX + 2);
	int r = read_file(path, text, CA_FILE_MAX, why);

	if (r == 0 && strstr(text, PEM_KEY) != NULL)
		r = fault_set(why, FAULT_PERM,
		    "%s has a private key in it: nobody needs it to trust its "
		    "certificate",
		    path);
	else if (r == 0 && (strstr(text, PEM_BEGIN) == NULL ||
			       strstr(text, PEM_END) == NULL))
		r = fault_set(
		    why, FAULT_PERM, "%s has no certificate in PEM", path);
	explicit_bzero(text, CA_FILE_MAX + 2);
	free(text);
	return r;
}

/* --- pki NAME cert F key F [cert F key F] --- */

static int
set_cert(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct pki *pki = into;
	struct cert *cert;

	(void)k;
	if (pki->ncerts > 0 && pki->certs[pki->ncerts - 1].key_path == NULL)
		return conf_error(p, "a `cert' needs its `key' behind it");
	if (pki->ncerts == PKI_CERTS_MAX)
		return conf_error(
		    p, "more than %d certificates", PKI_CERTS_MAX);
	cert = &pki->certs[pki->ncerts++];
	cert->chain = conf_take_certs(p, &cert->cert_path);
	return cert->chain == NULL ? -1 : 0;
}

static int
set_key(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct pki *pki = into;
	struct cert *cert =
	    pki->ncerts > 0 ? &pki->certs[pki->ncerts - 1] : NULL;

	(void)k;
	if (cert == NULL || cert->key_path != NULL)
		return conf_error(p, "a `key' stands behind its `cert'");
	cert->key_path = conf_take_file(p);
	return cert->key_path == NULL ? -1 : 0;
}

/* clang-format off */
static const struct conf_keyword options[] = {
	{ .name = "cert", .parse = set_cert, .again = true },
	{ .name = "key", .parse = set_key, .again = true },
	CONF_NO_MORE
};

/* clang-format on */

static struct pki *
find_pki(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->npkis; i++)
		if (str_eq(str_of(c->pkis[i].name), name))
			return &c->pkis[i];
	return NULL;
}

int
conf_pki(struct conf_parser *p, const struct conf_keyword *k, void *into)
{
	struct pki pki = { .line = p->st->line };
	struct config *c = into;
	const struct pki *same;
	struct str name;
	int r;

	(void)k;
	if (conf_take_name(p, "the name of a pki", &name) == -1)
		return -1;
	same = find_pki(c, name);
	if (same != NULL)
		return conf_error(p, "pki `%s' is there already, in %s:%u",
		    same->name, p->pki_notes[same->id].file, same->line);
	if (c->npkis == PKIS_MAX)
		return conf_error(p, "more than %d pkis", PKIS_MAX);
	r = conf_options(p, options, &pki, CONF_ONCE_A_STATEMENT);
	if (r == 0 && pki.ncerts == 0)
		r = conf_error(p, "a pki needs a `cert' and its `key'");
	if (r == 0 && pki.certs[pki.ncerts - 1].key_path == NULL)
		r = conf_error(p, "a `cert' needs its `key' behind it");
	/* One that is half wrong is there too: its name is not unknown. */
	pki.id = (uint32_t)c->npkis;
	pki.name = str_dup(name);
	c->pkis = xreallocarray(c->pkis, c->npkis + 1, sizeof(*c->pkis));
	conf_note(p, &p->pki_notes, c->npkis);
	c->pkis[c->npkis++] = pki;
	return r;
}

/* --- listen ... pki a b, or pki { a, b } --- */

static int
unknown_pki(struct conf_parser *p, struct str name)
{
	const struct config *c = p->config;
	const char **names = xcalloc(c->npkis + 1, sizeof(*names));

	for (size_t i = 0; i < c->npkis; i++)
		names[i] = c->pkis[i].name;
	conf_error(p, "unknown pki `%.*s'%s", (int)name.len, name.p,
	    conf_nearest_name(name, names, c->npkis));
	free(names);
	return -1;
}

const struct pki *
conf_take_pki(struct conf_parser *p)
{
	const struct pki *pki;
	struct str name;

	if (conf_take_name(p, "the name of a pki", &name) == -1)
		return NULL;
	pki = find_pki(p->config, name);
	if (pki == NULL) {
		p->at--; /* the error names its line */
		unknown_pki(p, name);
		conf_advance(p);
		return NULL;
	}
	p->pki_notes[pki->id].used = true;
	return pki;
}

/* One more of the listener's. */
static int
add_pki(struct conf_parser *p, struct listener *l)
{
	const struct pki *pki = conf_take_pki(p);

	if (pki == NULL)
		return -1;
	p->at--; /* errors name its line */
	for (size_t i = 0; i < l->npkis; i++)
		if (l->pkis[i] == pki)
			return conf_error(p, "pki `%s' twice", pki->name);
	if (l->npkis == LISTENER_PKIS_MAX)
		return conf_error(p, "more than %d pkis", LISTENER_PKIS_MAX);
	l->pkis[l->npkis++] = pki;
	conf_advance(p);
	return 0;
}

/* The names behind `{', and its `}'. */
static int
take_list(struct conf_parser *p, struct listener *l)
{
	enum conf_kind kind;

	while ((kind = conf_peek_word(p)->kind) != CONF_CLOSE) {
		if (kind == CONF_COMMA || kind == CONF_EOL)
			conf_advance(p);
		else if (add_pki(p, l) == -1)
			return -1;
	}
	conf_advance(p);
	return l->npkis > 0 ? 0 : conf_error(p, "a list without a pki");
}

int
conf_take_pkis(
    struct conf_parser *p, const struct conf_keyword *stop, struct listener *l)
{
	const struct conf_token *t;

	if (conf_peek_word(p)->kind == CONF_OPEN) {
		conf_advance(p);
		return take_list(p, l);
	}
	do {
		if (add_pki(p, l) == -1)
			return -1;
		t = conf_peek_word(p);
	} while (
	    t->kind == CONF_STRING || t->kind == CONF_MACRO ||
	    (t->kind == CONF_WORD && conf_find_keyword(stop, t->text) == NULL));
	return 0;
}
