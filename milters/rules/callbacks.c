/*
 * Events of a session, gathered; judged at the end of each mail. libmilter
 * calls from a thread for each session; what they share is the rules in force,
 * of which each keeps its own reference.
 */
#include "milters/rules/callbacks.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "milters/common/note.h"
#include "milters/rules/perform.h"
#include "milters/rules/rule.h"
#include "milters/rules/seen.h"

enum { FILE_MAX = 4 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rules *in_force; /* under the lock */

/* --- the file --- */

static int
read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "re");
	char chunk[4096];
	size_t n;
	int e;

	if (f == NULL)
		return errno;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	e = ferror(f) ? EIO : out->failed ? EFBIG : 0;
	(void)fclose(f);
	return e;
}

/* Each line of it is a line of the log. */
static void
note_errors(struct str errors)
{
	while (errors.len > 0) {
		size_t n = str_find(errors, '\n');

		note_warn("%.*s", (int)n, errors.p);
		errors = str_skip(errors, n + 1);
	}
}

int
callbacks_load(const char *file)
{
	struct rules *fresh = NULL, *old;
	struct buf text, errors;
	int e;

	buf_init(&text, FILE_MAX);
	buf_init(&errors, FILE_MAX);
	e = read_file(file, &text);
	if (e != 0)
		note_warn("%s: %s", file, strerror(e));
	else
		fresh = rules_parse(file, buf_str(&text), &errors);
	note_errors(buf_str(&errors));
	buf_clear(&text);
	buf_clear(&errors);
	if (fresh == NULL)
		return -1;
	pthread_mutex_lock(&lock);
	old = in_force;
	in_force = fresh;
	pthread_mutex_unlock(&lock);
	rules_unref(&old);
	return 0;
}

/* --- the events --- */

static struct seen *
seen_of(SMFICTX *ctx)
{
	return smfi_getpriv(ctx);
}

/* The answer to an event that decides nothing. */
static sfsistat
go_on(const struct seen *s, unsigned long no_reply)
{
	return (s->steps & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat
/* NOLINTNEXTLINE(readability-function-size): libmilter's */
on_negotiate(SMFICTX *ctx, unsigned long acts, unsigned long steps,
    unsigned long unused0, unsigned long unused1, unsigned long *acts_out,
    unsigned long *steps_out, unsigned long *unused2, unsigned long *unused3)
{
	unsigned long wanted = SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_NR_CONN |
			       SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT |
			       SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY;
	struct rules *rules;
	struct seen *s;

	(void)unused0;
	(void)unused1;
	pthread_mutex_lock(&lock);
	rules = rules_ref(in_force);
	pthread_mutex_unlock(&lock);
	if ((rules->acts & ~acts) != 0) {
		note_warn("the MTA does not allow what the rules do");
		rules_unref(&rules);
		return SMFIS_REJECT;
	}
	if (!rules->wants_body)
		wanted |= SMFIP_NOBODY;
	s = seen_new(rules, steps & wanted);
	*acts_out = rules->acts;
	*steps_out = s->steps;
	*unused2 = *unused3 = 0;
	(void)smfi_setpriv(ctx, s);
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
	struct seen *s = seen_of(ctx);

	(void)name;
	s->client = (struct addr){ .family = ADDR_LOCAL };
	if (address != NULL && address->sa_family == AF_INET)
		addr_from_sockaddr(
		    address, sizeof(struct sockaddr_in), &s->client, NULL);
	else if (address != NULL && address->sa_family == AF_INET6)
		addr_from_sockaddr(
		    address, sizeof(struct sockaddr_in6), &s->client, NULL);
	return go_on(s, SMFIP_NR_CONN);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct seen *s = seen_of(ctx);

	seen_set(&s->helo, name);
	return go_on(s, SMFIP_NR_HELO);
}

static sfsistat
on_mail(SMFICTX *ctx, char **args)
{
	static char auth[] = "{auth_authen}";
	struct seen *s = seen_of(ctx);

	seen_reset(s);
	seen_from(s, args[0]);
	s->auth = smfi_getsymval(ctx, auth) != NULL;
	return go_on(s, SMFIP_NR_MAIL);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **args)
{
	struct seen *s = seen_of(ctx);

	seen_rcpt(s, args[0]);
	return go_on(s, SMFIP_NR_RCPT);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct seen *s = seen_of(ctx);

	seen_field(s, name, value);
	return go_on(s, SMFIP_NR_HDR);
}

static sfsistat
on_header_end(SMFICTX *ctx)
{
	struct seen *s = seen_of(ctx);

	mime_scan_header_end(&s->mime);
	return go_on(s, SMFIP_NR_EOH);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *bytes, size_t len)
{
	struct seen *s = seen_of(ctx);

	s->size += len;
	mime_scan_body(&s->mime, (struct str){ (const char *)bytes, len });
	return go_on(s, SMFIP_NR_BODY);
}

static sfsistat
on_end(SMFICTX *ctx)
{
	static char id[] = "i";
	struct seen *s = seen_of(ctx);
	struct judgement j;
	sfsistat result;

	mime_scan_end(&s->mime);
	seen_set(&s->id, smfi_getsymval(ctx, id));
	judge(s, &j);
	result = perform(ctx, s, &j);
	judgement_clear(&j);
	seen_reset(s);
	return result;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct seen *s = seen_of(ctx);

	if (s != NULL)
		seen_reset(s);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct seen *s = seen_of(ctx);

	seen_free(&s);
	(void)smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

struct smfiDesc callbacks_desc = {
	.xxfi_version = SMFI_VERSION,
	.xxfi_connect = on_connect,
	.xxfi_helo = on_helo,
	.xxfi_envfrom = on_mail,
	.xxfi_envrcpt = on_rcpt,
	.xxfi_header = on_header,
	.xxfi_eoh = on_header_end,
	.xxfi_body = on_body,
	.xxfi_eom = on_end,
	.xxfi_abort = on_abort,
	.xxfi_close = on_close,
	.xxfi_negotiate = on_negotiate,
};
