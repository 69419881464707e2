/* STARTTLS and smtps as a session has them: what is refused, what is
 * forgotten, how many may be under way, what the mail says of it. */
#include <check.h>
#include <signal.h>

#include "smtpd/secure.h"
#include "tests/unit/lib/tls_world.h"
#include "tests/unit/smtpd/harness.h"

static struct harness h;
static struct client c;
static struct one *first, *second;
static struct pki pkis[2];

/* The listeners 0 (port 25) and 1 (465, smtps), with this certificate. */
static void
equip(struct config *conf, struct one *one, struct pki *p)
{
	free(p->certs[0].chain);
	*p = (struct pki){ .certs = { { .chain = xstrdup(one->pem) } },
		.ncerts = 1 };
	for (size_t i = 0; i < conf->nlisteners; i++) {
		struct listener *l = &conf->listeners[i];

		l->port = i == 0 ? 25 : 465;
		l->flags = i == 0 ? 0 : LISTENER_SMTPS;
		l->pkis[0] = p;
		l->npkis = 1;
	}
}

static void
setup(void)
{
	world_open();
	if (first == NULL) {
		first = one_new(KIND_EC, "first", "DNS:mx.example", NULL);
		second = one_new(KIND_RSA, "second", "DNS:mx.example", NULL);
	}
	signer.how = SIGNER_ANSWERS;
	signer.nsigned = signer.ncancelled = signer.nasked = 0;
	harness_open(&h);
	world_enter(h.loop);
	harness_rule(h.config, VERDICT_ACTION, NULL);
	equip(h.config, first, &pkis[0]);
	secure_set_config(h.config);
}

static void
teardown(void)
{
	SSL_free(c.ssl);
	SSL_SESSION_free(c.session);
	memset(&c, 0, sizeof(c));
	stream_close(&h.client);
	while (sessions_count() > 0)
		harness_settle(&h);
	secure_set_config(NULL);
	world_leave();
	harness_close(&h);
	for (size_t i = 0; i < 2; i++) {
		free(pkis[i].certs[0].chain);
		pkis[i].certs[0].chain = NULL;
	}
}

/* --- the client --- */

/* From now on the connection is the TLS client's. */
static void
begin_tls(void)
{
	stream_pause(h.client);
	c.ssl = SSL_new(client_ctx);
	SSL_set_fd(c.ssl, stream_fd(h.client));
	SSL_set_app_data(c.ssl, &c);
	SSL_set_connect_state(c.ssl);
}

/* Its side of the handshake, until it knows. */
static bool
secure(void)
{
	begin_tls();
	timer_set(guard, GUARD_MS);
	while (!c.done && !c.failed) {
		client_step(&c);
		harness_settle(&h);
	}
	timer_stop(guard);
	return c.done;
}

static const char *
starttls(void)
{
	return harness_say(&h, STR("STARTTLS\r\n"), 1);
}

/* Says it, and returns n replies; what there is, when the end comes first. */
static const char *
ask(const char *text, size_t n)
{
	static char got[65536];
	size_t len = 0;
	int r;

	if (text[0] != '\0')
		ck_assert_int_eq(SSL_write(c.ssl, text, (int)strlen(text)),
		    (int)strlen(text));
	timer_set(guard, GUARD_MS);
	while (count_replies((struct str){ got, len }) < n) {
		r = SSL_read(c.ssl, got + len, (int)(sizeof(got) - len - 1));
		if (r > 0)
			len += (size_t)r;
		else if (SSL_get_error(c.ssl, r) != SSL_ERROR_WANT_READ)
			break;
		harness_settle(&h);
	}
	timer_stop(guard);
	got[len] = '\0';
	return got;
}

static void
connect_securely(void)
{
	harness_connect(&h);
	harness_say(&h, STR("EHLO client.example\r\n"), 1);
	ck_assert_str_eq(starttls(), "220 2.0.0 Ready to start TLS\r\n");
	ck_assert(secure());
}

static void
begins(const char *got, const char *want)
{
	ck_assert_msg(strncmp(got, want, strlen(want)) == 0,
	    "got \"%s\", want \"%s\"", got, want);
}

static void
gone(void)
{
	timer_set(guard, GUARD_MS);
	while (sessions_count() > 0)
		harness_settle(&h);
	timer_stop(guard);
}

static uint64_t
stat(enum statistic which)
{
	return stats_all()[which].value;
}

/* --- the command --- */

START_TEST(refused)
{
	harness_connect(&h);
	begins(harness_say(&h, STR("STARTTLS now\r\n"), 1), "501 5.5.4 ");
	harness_say(&h, STR("EHLO client.example\r\n"), 1);
	ck_assert_ptr_nonnull(strstr(h.got.p, "STARTTLS\r\n"));
	harness_say(&h, STR("MAIL FROM:<a@client.example>\r\n"), 1);
	begins(starttls(), "503 5.5.1 ");
	begins(harness_say(&h, STR("RSET\r\n"), 1), "250 ");
	secure_set_config(NULL);
	begins(starttls(), "502 5.5.1 ");
}

END_TEST

START_TEST(only_once)
{
	connect_securely();
	begins(ask("STARTTLS\r\n", 1), "503 5.5.1 ");
	ck_assert_ptr_null(
	    strstr(ask("EHLO client.example\r\n", 1), "STARTTLS"));
}

END_TEST

START_TEST(all_is_forgotten)
{
	connect_securely();
	begins(ask("MAIL FROM:<a@client.example>\r\n", 1), "503 5.5.1 ");
	begins(ask("EHLO client.example\r\n", 1), "250-");
	begins(ask("MAIL FROM:<a@client.example>\r\n", 1), "250 ");
}

END_TEST

/* Errors are not. */
START_TEST(errors_are_kept)
{
	h.config->limits.errors = 3;
	harness_connect(&h);
	harness_say(&h, STR("NONSENSE\r\nNONSENSE\r\n"), 2);
	begins(starttls(), "220 ");
	ck_assert(secure());
	begins(ask("NONSENSE\r\n", 1), "421 4.7.0 ");
	stream_close(&h.client);
	gone();
}

END_TEST

/* Behind it in the same segment, or in the next before TLS. */
START_TEST(injection)
{
	uint64_t before = stat(STAT_STARTTLS_INJECTION);

	harness_connect(&h);
	begins(harness_say(&h,
		   STR("STARTTLS\r\nEHLO evil.example\r\n"
		       "MAIL FROM:<a@evil.example>\r\n"),
		   1),
	    "554 5.5.1 ");
	ck_assert_uint_eq(count_replies(buf_str(&h.got)), 1);
	stream_close(&h.client);
	gone();
	ck_assert_uint_eq(stat(STAT_STARTTLS_INJECTION), before + 1);
}

END_TEST

START_TEST(clear_text_instead_of_tls)
{
	uint64_t before = stat(STAT_TLS_FAILED);

	harness_connect(&h);
	begins(starttls(), "220 ");
	harness_say(&h, STR("EHLO evil.example\r\n"), 0);
	gone();
	ck_assert_ptr_null(memmem(h.got.p, h.got.len, "250", 3));
	ck_assert_uint_eq(stat(STAT_TLS_FAILED), before + 1);
	ck_assert_uint_eq(stat(STAT_TLS_HALF_OPEN), 0);
}

END_TEST

/* --- the mail --- */

START_TEST(the_mail_says_so)
{
	char want[200];

	connect_securely();
	begins(ask("EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"
		   "RCPT TO:<b@example.com>\r\nDATA\r\n",
		   4),
	    "250-");
	begins(ask("Subject: x\r\n\r\ntext\r\n.\r\n", 1), "250 ");
	snprintf(want, sizeof(want),
	    "with ESMTPS\r\n\t(version=TLSv1.3 cipher=%s bits=256) id ",
	    SSL_get_cipher(c.ssl));
	ck_assert_ptr_nonnull(
	    memmem(h.fake.content.p, h.fake.content.len, want, strlen(want)));
}

END_TEST

/* --- smtps --- */

START_TEST(from_the_first_byte)
{
	harness_connect_to(&h, 1, NULL);
	ck_assert(secure());
	begins(ask("", 1), "220 mx.example ");
	ck_assert_ptr_null(
	    strstr(ask("EHLO client.example\r\n", 1), "STARTTLS"));
	begins(ask("QUIT\r\n", 1), "221 ");
	gone();
}

END_TEST

/* --- how many --- */

START_TEST(too_many)
{
	struct stream *waiting;

	h.config->limits.handshakes = 1;
	h.config->smtpd_workers = 2;
	signer.how = SIGNER_SLEEPS;
	harness_connect(&h);
	begins(starttls(), "220 ");
	begin_tls();
	for (int i = 0; i < 4; i++) {
		client_step(&c);
		harness_settle(&h);
	}
	ck_assert_uint_eq(signer.nasked, 1);
	ck_assert_uint_eq(stat(STAT_TLS_HALF_OPEN), 1);
	waiting = h.client;
	harness_connect(&h);
	begins(starttls(), "454 4.7.0 ");
	begins(harness_say(&h, STR("NOOP\r\n"), 1), "250 ");
	ck_assert_uint_eq(stat(STAT_TLS_REFUSED), 1);
	/* One place is free again. */
	SSL_free(c.ssl);
	memset(&c, 0, sizeof(c));
	stream_close(&waiting);
	signer.how = SIGNER_ANSWERS;
	sign_one(&signer.asked[0]);
	signer.nasked = 0;
	timer_set(guard, GUARD_MS);
	while (stat(STAT_TLS_HALF_OPEN) > 0)
		harness_settle(&h);
	timer_stop(guard);
	begins(starttls(), "220 ");
	ck_assert(secure());
	begins(ask("NOOP\r\n", 1), "250 ");
	ck_assert_uint_eq(stat(STAT_TLS_HALF_OPEN), 0);
}

END_TEST

/* Who has no words for it goes without. */
START_TEST(too_many_for_smtps)
{
	h.config->limits.handshakes = 1;
	harness_connect(&h);
	begins(starttls(), "220 ");
	struct stream *waiting = h.client;
	harness_connect_to(&h, 1, NULL);
	while (!h.eof)
		harness_settle(&h);
	ck_assert_uint_eq(h.got.len, 0);
	stream_close(&waiting);
}

END_TEST

/* The key's owner is gone for a moment: better said now than in a handshake
 * that fails. */
START_TEST(nobody_signs)
{
	uint64_t before = stat(STAT_TLS_REFUSED);

	tls_set_signer(NULL, NULL);
	harness_connect(&h);
	begins(starttls(), "454 4.7.0 ");
	begins(harness_say(&h, STR("NOOP\r\n"), 1), "250 ");
	struct stream *one = h.client;
	harness_connect_to(&h, 1, NULL);
	while (!h.eof)
		harness_settle(&h);
	ck_assert_uint_eq(stat(STAT_TLS_REFUSED), before + 2);
	stream_close(&h.client);
	h.client = one;
	tls_set_signer(world_sign, world_cancel);
	begins(starttls(), "220 ");
	ck_assert(secure());
}

END_TEST

/* --- when it does not come to an end --- */

START_TEST(nothing_comes)
{
	uint64_t before = stat(STAT_TLS_FAILED);

	h.config->limits.handshake_timeout = 1;
	harness_connect(&h);
	begins(starttls(), "220 ");
	gone();
	ck_assert_uint_eq(stat(STAT_TLS_FAILED), before + 1);
	ck_assert_uint_eq(stat(STAT_TLS_HALF_OPEN), 0);
}

END_TEST

START_TEST(no_signature)
{
	signer.how = _i == 0 ? SIGNER_FAILS : SIGNER_REFUSES;
	harness_connect(&h);
	begins(starttls(), "220 ");
	ck_assert(!secure());
	gone();
	ck_assert_uint_eq(stat(STAT_TLS_HALF_OPEN), 0);
}

END_TEST

/* The client goes while the key is elsewhere. */
START_TEST(goes_meanwhile)
{
	signer.how = SIGNER_SLEEPS;
	h.config->limits.handshake_timeout = 100;
	harness_connect(&h);
	begins(starttls(), "220 ");
	begin_tls();
	for (int i = 0; i < 4; i++) {
		client_step(&c);
		harness_settle(&h);
	}
	ck_assert_uint_eq(signer.nasked, 1);
	stream_close(&h.client);
	gone();
	ck_assert_uint_eq(signer.ncancelled, 1);
	ck_assert_uint_eq(stat(STAT_TLS_HALF_OPEN), 0);
}

END_TEST

static unsigned int nempty;

static void
on_empty(void)
{
	nempty++;
}

/* The gateway stops: who has come so far hears of it by TLS. */
START_TEST(stops_meanwhile)
{
	signer.how = SIGNER_SLEEPS;
	nempty = 0;
	harness_connect(&h);
	begins(starttls(), "220 ");
	begin_tls();
	for (int i = 0; i < 4; i++) {
		client_step(&c);
		harness_settle(&h);
	}
	sessions_stop(on_empty);
	sign_one(&signer.asked[0]);
	signer.nasked = 0;
	begins(ask("", 1), "421 4.3.2 ");
	stream_close(&h.client);
	gone();
	ck_assert_uint_eq(nempty, 1);
}

END_TEST

/* --- other certificates --- */

static void
shows(struct one *one)
{
	X509 *cert = SSL_get1_peer_certificate(c.ssl);

	ck_assert_int_eq(X509_cmp(cert, one->cert), 0);
	X509_free(cert);
}

/* A session that is older is shown the certificates of now. */
START_TEST(replaced)
{
	struct config *fresh = harness_config();

	equip(fresh, second, &pkis[1]);
	harness_connect(&h);
	begins(harness_say(&h, STR("EHLO client.example\r\n"), 1), "250-");
	secure_set_config(fresh);
	begins(starttls(), "220 ");
	ck_assert(secure());
	shows(second);
	begins(ask("NOOP\r\n", 1), "250 ");
	config_unref(&fresh);
}

END_TEST

/* A handshake that has begun keeps what it began with. */
START_TEST(replaced_meanwhile)
{
	struct config *fresh = harness_config();

	equip(fresh, second, &pkis[1]);
	signer.how = SIGNER_SLEEPS;
	harness_connect(&h);
	begins(starttls(), "220 ");
	begin_tls();
	for (int i = 0; i < 4; i++) {
		client_step(&c);
		harness_settle(&h);
	}
	secure_set_config(fresh);
	sign_one(&signer.asked[0]);
	signer.nasked = 0;
	while (!c.done && !c.failed) {
		client_step(&c);
		harness_settle(&h);
	}
	ck_assert(c.done);
	shows(first);
	begins(ask("NOOP\r\n", 1), "250 ");
	config_unref(&fresh);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("secure");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, refused);
	tcase_add_test(t, only_once);
	tcase_add_test(t, all_is_forgotten);
	tcase_add_test(t, errors_are_kept);
	tcase_add_test(t, injection);
	tcase_add_test(t, clear_text_instead_of_tls);
	tcase_add_test(t, the_mail_says_so);
	tcase_add_test(t, from_the_first_byte);
	tcase_add_test(t, too_many);
	tcase_add_test(t, too_many_for_smtps);
	tcase_add_test(t, nobody_signs);
	tcase_add_test(t, nothing_comes);
	tcase_add_loop_test(t, no_signature, 0, 2);
	tcase_add_test(t, goes_meanwhile);
	tcase_add_test(t, stops_meanwhile);
	tcase_add_test(t, replaced);
	tcase_add_test(t, replaced_meanwhile);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	/* One process: keys are made once. */
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	world_close();
	return failed == 0 ? 0 : 1;
}
