/*
 * Each listener's TLS, and the handshakes. A session may be older than the
 * configuration that holds now: it is shown the certificates of now, those of
 * the listener with its address.
 */
#include "smtpd/secure.h"

#include <bsd/sys/queue.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/net/tls.h"
#include "smtpd/auth.h"
#include "smtpd/filtering.h"
#include "smtpd/opening.h"
#include "smtpd/recorder.h"
#include "smtpd/session.h"
#include "smtpd/stats.h"

static struct {
	struct config *config;       /* a reference */
	struct tls_server **servers; /* by listener; NULL: without TLS */
} now;

/* Of a listener that is no more: sessions that came in there go on. There are
 * as many as the gateway has ever listened on. */
struct former {
	SLIST_ENTRY(former) entry;
	struct addr addr;
	uint16_t port;
	struct tls_server *server; /* a reference */
};

static SLIST_HEAD(, former) formers = SLIST_HEAD_INITIALIZER(formers);

static size_t nhandshakes; /* half done */

/* --- the listeners --- */

static struct tls_server *
make_server(const struct listener *l, struct fault *why)
{
	struct tls_identity ids[LISTENER_PKIS_MAX];
	const char *chains[LISTENER_PKIS_MAX][PKI_CERTS_MAX];
	struct tls_server_conf conf = { .identities = ids,
		.nidentities = l->npkis,
		.session_context = l->slot,
		.ask_client_cert = (l->flags & LISTENER_CLIENT_CERT) != 0,
		.client_ca = l->client_ca };

	for (size_t i = 0; i < l->npkis; i++) {
		const struct pki *p = l->pkis[i];

		for (size_t j = 0; j < p->ncerts; j++)
			chains[i][j] = p->certs[j].chain;
		ids[i] = (struct tls_identity){ chains[i], p->ncerts };
	}
	return tls_server_new(&conf, why);
}

static bool
is_at(const struct addr *a, uint16_t port, const struct listener *l)
{
	return port == l->port && addr_eq(a, &l->addr);
}

static struct former *
find_former(const struct listener *l)
{
	struct former *f;

	SLIST_FOREACH(f, &formers, entry)
	if (is_at(&f->addr, f->port, l))
		return f;
	return NULL;
}

static void
forget_former(struct former *f)
{
	SLIST_REMOVE(&formers, f, former, entry);
	tls_server_unref(&f->server);
	free(f);
}

/* The server of a listener that next has no more is kept; takes it. */
static void
keep_former(const struct config *next, const struct listener *l,
    struct tls_server **server)
{
	struct former *f;

	for (size_t i = 0; i < next->nlisteners; i++)
		if (is_at(&l->addr, l->port, &next->listeners[i]))
			return;
	f = xcalloc(1, sizeof(*f));
	f->addr = l->addr;
	f->port = l->port;
	f->server = *server;
	*server = NULL;
	SLIST_INSERT_HEAD(&formers, f, entry);
}

static void
forget_config(const struct config *next)
{
	struct former *f;

	for (size_t i = 0; now.config != NULL && i < now.config->nlisteners;
	     i++) {
		if (next != NULL && now.servers[i] != NULL)
			keep_former(
			    next, &now.config->listeners[i], &now.servers[i]);
		tls_server_unref(&now.servers[i]);
	}
	free(now.servers);
	now.servers = NULL;
	config_unref(&now.config);
	while (next == NULL && (f = SLIST_FIRST(&formers)) != NULL)
		forget_former(f);
}

/* It is there again. */
static void
forget_present(const struct config *c)
{
	for (size_t i = 0; i < c->nlisteners; i++) {
		struct former *f = find_former(&c->listeners[i]);

		if (f != NULL)
			forget_former(f);
	}
}

void
secure_set_config(struct config *c)
{
	struct fault why = { .class = FAULT_NONE };

	forget_config(c);
	if (c == NULL)
		return;
	forget_present(c);
	now.config = config_ref(c);
	now.servers = xcalloc(c->nlisteners + 1, sizeof(struct tls_server *));
	for (size_t i = 0; i < c->nlisteners; i++) {
		const struct listener *l = &c->listeners[i];

		if (l->npkis == 0)
			continue;
		now.servers[i] = make_server(l, &why);
		/* The parent has looked at them: it does not come to this. */
		if (now.servers[i] == NULL)
			log_warn(NULL, "tls", "line=%u why=%s", l->line,
			    log_cstr(why.text));
	}
}

static struct tls_server *
find_server(const struct session *s)
{
	const struct listener *l = s->listener;
	const struct former *f;

	for (size_t i = 0; now.config != NULL && i < now.config->nlisteners;
	     i++) {
		const struct listener *m = &now.config->listeners[i];

		if (m == l ||
		    (s->config != now.config && is_at(&m->addr, m->port, l)))
			return now.servers[i];
	}
	f = find_former(l);
	return f == NULL ? NULL : f->server;
}

bool
secure_is_on(const struct session *s)
{
	return s->stream != NULL && stream_tls(s->stream) != NULL;
}

bool
secure_is_offered(const struct session *s)
{
	return !secure_is_on(s) && find_server(s) != NULL;
}

/* --- the handshake --- */

const char *
secure_obstacle(const struct session *s)
{
	const struct config *c = s->config;
	uint64_t workers = c->smtpd_workers > 0 ? c->smtpd_workers : 1;
	uint64_t most = c->limits.handshakes / workers;

	if (!tls_has_signer())
		return "vault"; /* it is being started again */
	return nhandshakes < (most > 0 ? most : 1) ? NULL : "handshakes";
}

const char *
secure_start(struct session *s)
{
	struct tls_server *server = find_server(s);
	const char *why =
	    server == NULL ? "no-certificate" : secure_obstacle(s);

	if (why != NULL) {
		stats_add(STAT_TLS_REFUSED, 1);
		return why;
	}
	nhandshakes++;
	s->handshaking = true;
	stats_set(STAT_TLS_HALF_OPEN, nhandshakes);
	session_enter(s, SESSION_HANDSHAKE);
	stream_start_tls(s->stream, tls_accept(server));
	return NULL;
}

void
secure_handshake_over(struct session *s)
{
	if (!s->handshaking)
		return;
	s->handshaking = false;
	nhandshakes--;
	stats_set(STAT_TLS_HALF_OPEN, nhandshakes);
}

static void
failed(struct session *s, const char *why)
{
	stats_add(STAT_TLS_FAILED, 1);
	log_info(&s->log, "tls-failed", "why=%s client=%s listener=%s",
	    log_cstr(why), log_cstr(s->client_text),
	    log_cstr(s->listener_name));
	recorder_note(s, "TLS failed: %s", why);
	session_drop(s, "tls-failed");
}

void
secure_timeout(struct session *s)
{
	failed(s, "timeout");
}

/* In the words that filters know (sendmail's {verify}). */
static const char *
verify_word(const struct session *s, const struct tls_info *info)
{
	if ((s->listener->flags & LISTENER_CLIENT_CERT) == 0)
		return "NOT";
	if (!info->has_cert)
		return "NO";
	return info->verified ? "OK" : "FAIL";
}

static void
log_secured(struct session *s)
{
	struct tls_info i;

	tls_info(stream_tls(s->stream), &i);
	stats_add(STAT_TLS_HANDSHAKES, 1);
	stats_add(STAT_TLS_RESUMED, i.resumed ? 1 : 0);
	log_info(&s->log, "tls",
	    "version=%s cipher=%s bits=%d resumed=%s sni=%s verify=%s "
	    "subject=%s issuer=%s client=%s",
	    log_cstr(i.version), log_cstr(i.cipher), i.bits,
	    i.resumed ? "yes" : "no", log_cstr(i.server_name),
	    log_cstr(verify_word(s, &i)), log_cstr(i.subject),
	    log_cstr(i.issuer), log_cstr(s->client_text));
	recorder_note(s, "TLS %s %s%s", i.version, i.cipher,
	    i.resumed ? ", resumed" : "");
}

void
secure_done(struct session *s, const struct fault *why)
{
	secure_handshake_over(s);
	if (why != NULL) {
		failed(s, why->text);
		return;
	}
	log_secured(s);
	if (s->state != SESSION_HANDSHAKE)
		return; /* it ends, and says so by TLS */
	if ((s->listener->flags & LISTENER_SMTPS) != 0) {
		opening_next(s);
		return;
	}
	session_forget(s);
	if (s->filtering != NULL) {
		/* As for a second EHLO: they are told with HELO. */
		facts_set_helo(&s->filtering->facts, STR(""));
		secure_learn(s, &s->filtering->facts);
	}
	session_command_done(s, true);
}

/* --- what is known of it --- */

void
secure_learn(const struct session *s, struct facts *f)
{
	struct tls_info i;
	char bits[12];

	if (!secure_is_on(s))
		return;
	tls_info(stream_tls(s->stream), &i);
	snprintf(bits, sizeof(bits), "%d", i.bits);
	facts_set_tls(f, &(struct facts_tls){ str_of(i.version),
			     str_of(i.cipher), str_of(bits), str_of(i.subject),
			     str_of(i.issuer), str_of(verify_word(s, &i)) });
}

void
secure_format(const struct session *s, struct buf *out)
{
	struct tls_info i;

	if (!secure_is_on(s))
		return;
	tls_info(stream_tls(s->stream), &i);
	buf_addf(
	    out, "(version=%s cipher=%s bits=%d)", i.version, i.cipher, i.bits);
}
