/* What becomes of a mail is a matter of this mail: whatever the client did
 * before it on the connection, the queue is handed the same, and each reply is
 * the same, as on a new one. */
#include "tests/unit/smtpd/talk.h"

/* What may stand before; each leaves no transaction behind. */
static const char *const before[] = {
	"NOOP\r\n",
	"MAIL FROM:<e@f> BODY=8BITMIME RET=HDRS ENVID=one\r\n"
	"RCPT TO:<g@h> NOTIFY=NEVER ORCPT=rfc822;i@j\r\nRSET\r\n",
	"MAIL FROM:<\303\244@f> SMTPUTF8\r\nRCPT TO:<\303\266@h>\r\n"
	"EHLO client.example\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<aside@h>\r\nDATA\r\nA: b\r\n\r\nx\r\n"
	".\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<g@refused>\r\nRSET\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<g@h>\r\nRCPT TO:<g@refused>\r\n"
	"RCPT TO:<1@h>\r\nRCPT TO:<2@h>\r\nRCPT TO:<3@h>\r\nRCPT TO:<4@h>\r\n"
	"RSET\r\n",
	/* refused at the end of its content */
	"MAIL FROM:<e@f> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<aside@h>\r\nDATA\r\n"
	"Received: a\r\nReceived: b\r\nReceived: c\r\n\r\n\303\244\r\n.\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<aside@h>\r\nBDAT 45 LAST\r\n"
	"Received: a\r\nReceived: b\r\nReceived: c\r\n\r\n\303\244\r\n",
	/* chunks that come to nothing */
	"MAIL FROM:<e@f> BODY=8BITMIME\r\nRCPT TO:<aside@h>\r\nBDAT 4\r\nA: b"
	"RCPT TO:<g@h>\r\nRSET\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<g@refused>\r\nBDAT 4\r\nA: bRSET\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<aside@h>\r\nBDAT 4\r\nA: b"
	"EHLO client.example\r\n",
	"MAIL FROM:<e@f>\r\nRCPT TO:<aside@h>\r\nVRFY <g@h>\r\n"
	"VRFY <\303\244@h> SMTPUTF8\r\nRSET\r\n",
	"BDAT 6 LAST\r\nQUIT\r\nRCPT TO:<g@h>\r\nDATA\r\n",
};

/* Without a transaction left open by any of them: the last has its end. */
static const struct {
	const char *said;
	size_t nreplies;
} mail[] = {
	{ "RCPT TO:<c@d>\r\n", 1 },
	{ "MAIL FROM:<a@b>\r\n", 1 },
	{ "RCPT TO:<x@refused>\r\nRCPT TO:<\303\244@d>\r\n", 2 },
	{ "RCPT TO:<c@d>\r\nRCPT TO:<c2@d>\r\nRCPT TO:<c3@d>\r\n"
	  "RCPT TO:<c4@d>\r\n",
	    4 },
	{ "DATA\r\n", 1 },
	{ "Received: x\r\n\r\ntext\r\n.\r\n", 1 },
};

static struct condition {
	enum verdict_kind verdict;
	const char *local, *domain;
} conditions[] = { { VERDICT_REJECT, NULL, "refused" },
	{ VERDICT_QUARANTINE, "aside@h", NULL },
	{ VERDICT_ACTION, NULL, NULL } };

static struct table *tables[2];

static struct table *
one_entry(const char *key)
{
	struct table_builder *b = table_builder_new("one");

	ck_assert_int_eq(table_builder_add(b, str_of(key), NULL, NULL), 0);
	return table_open(table_builder_seal(&b, NULL), "one", NULL);
}

static void
make_rules(void)
{
	for (size_t i = 0; i < 3; i++) {
		const struct condition *k = &conditions[i];
		struct rule *r = harness_rule(h.config, k->verdict, NULL);

		if (k->verdict == VERDICT_QUARANTINE)
			r->action = &h.config->actions[0];
		if (i == 2)
			break;
		tables[i] = one_entry(k->local != NULL ? k->local : k->domain);
		r->conds = xcalloc(1, sizeof(*r->conds));
		r->conds[0].kind =
		    k->local != NULL ? COND_FOR_RCPT : COND_FOR_DOMAIN;
		r->conds[0].table = tables[i];
		r->nconds = 1;
	}
	h.config->limits.errors = h.config->limits.soft_errors = 1000;
	h.config->limits.recipients = 3;
	h.config->limits.hops = 2;
}

static void
note(struct buf *out, struct str s)
{
	/* Ids are the mail's own. */
	size_t id = str_find(s, '\r');

	if (str_starts_nocase(s, STR("250 2.0.0 Ok: queued as ")))
		s = str_head(s, id < 23 ? id : 23);
	buf_add_str(out, s);
}

/* All that is heard of the mail, and all that the queue is handed. */
static void
send_mail(struct buf *out)
{
	const struct fake *f = &h.fake;
	unsigned int was = f->ncommits;

	for (size_t i = 0; i < sizeof(mail) / sizeof(mail[0]); i++) {
		harness_say(&h, str_of(mail[i].said), mail[i].nreplies);
		note(out, buf_str(&h.got));
	}
	ck_assert_uint_eq(f->ncommits, was + 1);
	buf_addf(out, "%s %s %s %s %s %s %s flags %u rcpts %u body %u size %d",
	    f->from, f->to, f->orig, f->starts, f->filter, f->reason,
	    f->client_name, f->flags, f->nrcpt, (unsigned int)f->body_size,
	    (int)f->content.len);
}

START_TEST(any_before)
{
	struct buf alone, behind;

	make_rules();
	buf_init(&alone, 65536);
	buf_init(&behind, 65536);
	begin();
	send_mail(&alone);
	harness_hang_up(&h);
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		begin();
		harness_say(&h, str_of(before[i]), 0);
		harness_settle(&h);
		buf_reset(&behind);
		send_mail(&behind);
		ck_assert_msg(str_eq(buf_str(&alone), buf_str(&behind)),
		    "behind %s\n%.*s\nbut alone\n%.*s", before[i],
		    (int)behind.len, behind.p, (int)alone.len, alone.p);
		harness_hang_up(&h);
	}
	/* And behind all of them. */
	begin();
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		harness_say(&h, str_of(before[i]), 0);
		harness_settle(&h);
	}
	buf_reset(&behind);
	send_mail(&behind);
	ck_assert(str_eq(buf_str(&alone), buf_str(&behind)));
	harness_hang_up(&h);
	buf_clear(&alone);
	buf_clear(&behind);
	for (size_t i = 0; i < 2; i++) {
		h.config->rules[i].nconds = 0;
		table_free(&tables[i]);
	}
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { any_before };

	return run_tests(
	    "independence", tests, sizeof(tests) / sizeof(tests[0]));
}
