/* What is kept of a session: there and back, cut, and too much of it. */
#include <check.h>
#include <string.h>

#include "edges/smtpd_queue.h"
#include "smtpd/context.h"

static struct milter milters[2] = { { .name = (char *)(uintptr_t) "rspamd" },
	{ .name = (char *)(uintptr_t) "clamav" } };
static const struct milter_set set = {
	.members = { { &milters[0], 0 }, { &milters[1], 1 } }, .n = 2
};

static struct milter_facts
sample(void)
{
	return (struct milter_facts){
		.hostname = STR("mx.example"),
		.client = { .family = ADDR_V6,
		    .bytes = { 0x20, 1 },
		    .scope = 7 },
		.port = 4242,
		.client_addr = STR("IPv6:2001::"),
		.client_name = STR("client.example"),
		.client_resolve = STR("OK"),
		.trace = STR("client.example [2001::]"),
		.helo = STR("helo.example"),
		.auth_authen = STR("luke"),
		.cert_subject = STR("/CN=luke"),
		.cert_issuer = STR("/CN=ca"),
		.mail_args = STR("SIZE=10 BODY=8BITMIME"),
		.smtputf8 = true,
	};
}

START_TEST(there_and_back)
{
	struct milter_facts f = sample();
	struct context *c;
	struct buf b;

	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&f, &set, &b);
	c = context_parse(buf_str(&b));
	ck_assert_ptr_nonnull(c);
	ck_assert(addr_eq(&c->facts.client, &f.client));
	ck_assert_uint_eq(c->facts.port, 4242);
	ck_assert(c->facts.smtputf8);
	ck_assert(str_eq(c->facts.hostname, f.hostname));
	ck_assert(str_eq(c->facts.client_addr, f.client_addr));
	ck_assert(str_eq(c->facts.trace, f.trace));
	ck_assert(str_eq(c->facts.helo, f.helo));
	ck_assert(str_eq(c->facts.auth_authen, f.auth_authen));
	ck_assert(str_eq(c->facts.cert_issuer, f.cert_issuer));
	ck_assert(str_eq(c->facts.mail_args, f.mail_args));
	ck_assert_uint_eq(c->facts.tls_version.len, 0);
	ck_assert_uint_eq(c->nmembers, 2);
	ck_assert(str_eq(c->members[0].name, STR("rspamd")));
	ck_assert(str_eq(c->members[1].name, STR("clamav")));
	ck_assert_uint_eq(c->members[1].step, 1);
	context_free(&c);
	ck_assert_ptr_null(c);
	context_free(&c);
	buf_clear(&b);
}

END_TEST

START_TEST(no_filters)
{
	struct milter_facts f = sample();
	struct context *c;
	struct buf b;

	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&f, NULL, &b);
	c = context_parse(buf_str(&b));
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->nmembers, 0);
	context_free(&c);
	buf_clear(&b);
}

END_TEST

/* Cut anywhere, or with a byte too many, it is none. */
START_TEST(cut)
{
	struct milter_facts f = sample();
	struct buf b;

	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&f, &set, &b);
	for (size_t n = 0; n < b.len; n++)
		ck_assert_ptr_null(context_parse(str_head(buf_str(&b), n)));
	buf_add_char(&b, 'x');
	ck_assert_ptr_null(context_parse(buf_str(&b)));
	b.len--;
	b.p[0]++; /* of another version */
	ck_assert_ptr_null(context_parse(buf_str(&b)));
	b.p[0]--;
	b.p[2] = ADDR_LOCAL + 1;
	ck_assert_ptr_null(context_parse(buf_str(&b)));
	buf_clear(&b);
}

END_TEST

/* A NUL would end what a filter is told. */
START_TEST(a_nul)
{
	struct milter_facts f = sample();
	struct buf b;

	f.helo = (struct str){ "a\0b", 3 };
	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&f, &set, &b);
	ck_assert_ptr_null(context_parse(buf_str(&b)));
	buf_clear(&b);
}

END_TEST

/* What does not fit is left out; the filters never are. */
START_TEST(too_much)
{
	struct milter_facts f = sample();
	static char text[2048];
	struct context *c;
	struct buf b;

	memset(text, 'x', sizeof(text));
	struct str fits = { text, 1024 }, over = { text, 1025 };
	f.client_addr = f.client_port = f.client_name = f.client_ptr =
	    f.client_resolve = f.trace = f.helo = f.hostname = f.version =
		f.daemon_name = f.daemon_addr = f.daemon_port = f.if_name =
		    f.if_addr = f.auth_type = f.auth_author = f.auth_ssf =
			f.cert_subject = fits;
	f.mail_args = over;
	buf_init(&b, COMMIT_CONTEXT_MAX);
	context_make(&f, &set, &b);
	ck_assert(!b.failed);
	ck_assert_uint_le(b.len, COMMIT_CONTEXT_MAX);
	c = context_parse(buf_str(&b));
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->facts.helo.len, 1024);
	ck_assert_uint_eq(c->facts.mail_args.len, 0);
	ck_assert_uint_eq(c->facts.cert_subject.len, 0);
	ck_assert_uint_eq(c->nmembers, 2);
	context_free(&c);
	buf_clear(&b);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("context");
	TCase *t = tcase_create("context");
	SRunner *r;

	tcase_add_test(t, there_and_back);
	tcase_add_test(t, no_filters);
	tcase_add_test(t, cut);
	tcase_add_test(t, a_nul);
	tcase_add_test(t, too_much);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
