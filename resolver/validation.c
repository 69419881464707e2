/*
 * One server after the other is asked, past the cache. A server that is
 * silent, or cannot find out itself, proves nothing: what was known stays,
 * and it is asked again soon. That somebody keeps it from answering must not
 * turn DANE off.
 */
#include "resolver/validation.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "resolver/answer.h"
#include "resolver/cares.h"
#include "resolver/upstream.h"

enum {
	AGAIN_MS = 3600 * 1000, /* all is said */
	SOON_MS = 30 * 1000,    /* something is not */
	WHY_MAX = 400
};

enum verdict { GOOD, BAD, SILENT, VERDICTS };

static struct {
	struct loop *loop;
	struct config *config; /* a reference; NULL: none yet */
	struct timer *timer;   /* the next test */
	enum validation state;
	bool said; /* the log knows it */
	char why[WHY_MAX];
	/* the test under way */
	struct cares_ask *ask; /* NULL: none is */
	size_t server;         /* index */
	bool asks_bogus;       /* else the signed name */
	size_t n[VERDICTS];
	char found[WHY_MAX]; /* of the first that is bad, or else silent */
} v;

static struct counter counters[] = {
	{ "resolver.dnssec", 0 },
	{ NULL, 0 },
};

/* --- what it comes to --- */

static void
set_state(enum validation state, const char *why)
{
	bool changed = !v.said || state != v.state;

	v.state = state;
	v.said = true;
	counters[0].value = state == VALIDATION_ON;
	(void)snprintf(v.why, sizeof(v.why), "%s", why);
	if (!changed)
		return;
	switch (state) {
	case VALIDATION_ON:
		log_info(NULL, "dnssec", "state=on");
		break;
	case VALIDATION_NONE:
		log_info(NULL, "dnssec", "state=off why=%s", log_cstr(why));
		break;
	case VALIDATION_UNKNOWN:
		log_warn(NULL, "dnssec", "state=unknown why=%s", log_cstr(why));
		break;
	case VALIDATION_OFF:
		log_warn(
		    NULL, "dnssec", "state=off dane=off why=%s", log_cstr(why));
		break;
	}
}

static void
finish(void)
{
	if (v.n[BAD] > 0)
		set_state(VALIDATION_OFF, v.found);
	else if (v.n[GOOD] > 0)
		set_state(VALIDATION_ON, "");
	else if (v.state != VALIDATION_ON && v.state != VALIDATION_OFF)
		set_state(VALIDATION_UNKNOWN, v.found);
	timer_set(v.timer, v.n[SILENT] > 0 ? SOON_MS : AGAIN_MS);
}

/* --- one server --- */

static const char *
signed_name(void)
{
	return v.config->dnssec_signed != NULL ? v.config->dnssec_signed : "";
}

static const char *
name_asked(void)
{
	return v.asks_bogus ? v.config->dnssec_bogus : signed_name();
}

static enum dns_type
type_asked(void)
{
	return v.asks_bogus ? DNS_A : DNS_NS;
}

static void ask_next(void);

static void
judge(enum verdict verdict, const char *what)
{
	const struct server *s = &v.config->servers[v.server];
	const char *name = name_asked();
	char text[SERVER_TEXT_MAX];

	if (verdict != GOOD &&
	    (v.found[0] == '\0' || (verdict == BAD && v.n[BAD] == 0)))
		(void)snprintf(v.found, sizeof(v.found), "%s: %.255s: %s",
		    server_format(s, text), name[0] == '\0' ? "." : name, what);
	v.n[verdict]++;
	v.server++;
	v.asks_bogus = false;
	ask_next();
}

/* Only a refusal of the server itself is one; nothing that the way to it may
 * have brought about. */
static void
judge_bogus(const struct dns_answer *a)
{
	if (a->status != DNS_FAULT)
		judge(BAD, "a bogus answer was not refused");
	else if (strcmp(a->why, "servfail") == 0)
		judge(GOOD, "");
	else
		judge(SILENT, a->why);
}

static void
judge_signed(const struct dns_answer *a)
{
	if (a->status == DNS_FAULT) {
		judge(SILENT, a->why);
	} else if (!a->ad) {
		judge(BAD, "the answer is not authenticated (no AD)");
	} else if (v.config->dnssec_bogus == NULL) {
		judge(GOOD, "");
	} else {
		v.asks_bogus = true;
		ask_next();
	}
}

static void
on_packet(void *ctx, const char *why, struct str packet)
{
	struct answer_chase chase;
	struct dns_answer *a;

	(void)ctx;
	v.ask = NULL;
	if (why != NULL) {
		judge(SILENT, why);
		return;
	}
	a = answer_parse(
	    packet, str_of(name_asked()), type_asked(), true, &chase);
	if (v.asks_bogus)
		judge_bogus(a);
	else
		judge_signed(a);
	dns_answer_unref(&a);
}

static void
ask_next(void)
{
	const struct config *c = v.config;

	while (v.server < c->nservers && !c->servers[v.server].trust_ad)
		v.server++;
	if (v.server == c->nservers) {
		finish();
		return;
	}
	if (answer_name_is_askable(str_of(name_asked())))
		v.ask = cares_ask(&c->servers[v.server], name_asked(),
		    type_asked(), on_packet, NULL);
	if (v.ask == NULL)
		judge(SILENT, "this name cannot be asked for");
}

/* --- when --- */

static void
start(void *unused)
{
	(void)unused;
	cares_cancel(&v.ask);
	memset(v.n, 0, sizeof(v.n));
	v.found[0] = '\0';
	v.server = 0;
	v.asks_bogus = false;
	ask_next();
}

static bool
has_trusted(const struct config *c)
{
	for (size_t i = 0; i < c->nservers; i++)
		if (c->servers[i].trust_ad)
			return true;
	return false;
}

static bool
name_eq_or_null(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
is_same(const struct config *a, const struct config *b)
{
	struct upstreams *u = upstreams_new(a->servers, a->nservers);
	bool same = upstreams_are(u, b->servers, b->nservers);

	upstreams_unref(&u);
	return same && name_eq_or_null(a->dnssec_signed, b->dnssec_signed) &&
	       name_eq_or_null(a->dnssec_bogus, b->dnssec_bogus);
}

void
validation_set_config(struct config *c)
{
	struct config *old = v.config;
	bool same = old != NULL && is_same(old, c);

	if (!same)
		cares_cancel(&v.ask);
	v.config = config_ref(c);
	config_unref(&old);
	if (same)
		return;
	if (has_trusted(c)) {
		v.state = VALIDATION_UNKNOWN;
		start(NULL);
	} else {
		timer_stop(v.timer);
		set_state(VALIDATION_NONE,
		    "no name server's AD bit is believed (trust-ad)");
	}
}

void
validation_init(struct loop *l)
{
	v.loop = l;
	v.state = VALIDATION_NONE;
	v.said = false;
	v.timer = timer_new(l, start, NULL);
}

void
validation_clear(void)
{
	cares_cancel(&v.ask);
	config_unref(&v.config);
	timer_free(&v.timer);
}

enum validation
validation_get(void)
{
	return v.state;
}

const char *
validation_why(void)
{
	return v.why;
}

bool
validation_allows_dane(void)
{
	return v.state == VALIDATION_ON || v.state == VALIDATION_UNKNOWN;
}

const struct counter *
validation_counters(void)
{
	return counters;
}
