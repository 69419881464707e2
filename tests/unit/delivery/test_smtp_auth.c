/* AUTH to a next hop: which mechanism, when never, and that the mail waits
 * when it fails. */
/* NOLINTNEXTLINE(bugprone-suspicious-include): one program, one world */
#include "tests/unit/delivery/talk.c"

/* \0joe\0secret; joe; secret */
#define PLAIN_JOE    "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"
#define JOE          "am9l\r\n"
#define SECRET       "c2VjcmV0\r\n"
#define OFFERS(auth) EHLO_("250 AUTH " auth "\r\n")

static char table[] = "hubs", label[] = "hub";

enum { VAULT_KNOWS, VAULT_KNOWS_NOT, VAULT_DIES, VAULT_SLEEPS };

static struct {
	struct channel *channel;
	struct str password;
	int how;
	unsigned int nasked;
} vault;

static void
on_ask(void *ctx, struct channel *ch, const void *msg, uint64_t id)
{
	const struct ask_credentials *m = msg;
	struct answer_credentials a = { .found = vault.how == VAULT_KNOWS,
		.user = STR("joe"),
		.password = vault.password };

	(void)ctx;
	vault.nasked++;
	ck_assert(str_eq(m->table, STR("hubs")));
	ck_assert(str_eq(m->label, STR("hub")));
	if (vault.how == VAULT_DIES)
		channel_free(&vault.channel);
	else if (vault.how != VAULT_SLEEPS)
		channel_tell(ch, TYPE_answer_credentials, &a, id);
}

static const struct handler vault_handlers[] = {
	{ TYPE_ask_credentials, on_ask },
	{ 0, NULL },
};

static void
begin(int how_it_is)
{
	int sv[2];

	channel_free(&vault.channel);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	vault.channel = channel_new(loop, sv[0], &delivery_vault_edge, EDGE_B,
	    vault_handlers, on_broken, NULL);
	from_vault_open(VAULT_PASSWORDS, sv[1]);
	vault.how = how_it_is;
	vault.nasked = 0;
	vault.password = STR("secret");
	policy.auth_table = table;
	policy.auth_label = label;
	ck_assert_int_eq(addr_parse(STR("127.0.0.1"), &at.addr), 0);
}

static void
at_end(void)
{
	channel_free(&vault.channel);
}

START_TEST(test_plain)
{
	static const struct step script[] = { GREET, OFFERS("LOGIN PLAIN"),
		{ PLAIN_JOE, "235 2.7.0 welcome\r\n" }, MAIL, RCPT, DATA, DOT,
		NOTHING };

	begin(VAULT_KNOWS);
	talk(script, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert_uint_eq(vault.nasked, 1);
	/* once for a connection */
	ck_assert(conn != NULL && conn->auth == NULL);
	at_end();
}

END_TEST

START_TEST(test_login)
{
	static const struct step script[] = { GREET, OFFERS("login"),
		{ "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n" },
		{ JOE, "334 \r\n" }, { SECRET, "235 welcome\r\n" }, MAIL, RCPT,
		DATA, DOT, NOTHING };

	begin(VAULT_KNOWS);
	talk(script, &to_one);
	expect(0, OUTCOME_DELIVERED, 250, "2.0.0");
	ck_assert(conn != NULL && conn->auth == NULL);
	at_end();
}

END_TEST

START_TEST(test_by_tls)
{
	static const struct step script[] = { GREET,
		EHLO_("250-AUTH LOGIN\r\n250 STARTTLS\r\n"),
		{ "STARTTLS", starttls }, OFFERS("PLAIN"),
		{ PLAIN_JOE, "235 welcome\r\n" }, NOTHING };

	begin(VAULT_KNOWS);
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &at.addr), 0);
	talk(script, NULL);
	ck_assert(ready);
	at_end();
}

END_TEST

/* Nobody is even asked for them. */
START_TEST(test_never_in_the_clear)
{
	static const struct step script[] = { GREET, OFFERS("PLAIN LOGIN"),
		NOTHING };

	begin(VAULT_KNOWS);
	ck_assert_int_eq(addr_parse(STR("192.0.2.1"), &at.addr), 0);
	talk(script, &to_one);
	expect_lost(LOST_LINE, "4.7.11");
	ck_assert_uint_eq(vault.nasked, 0);
	ck_assert(!has_heard("AUTH"));
	at_end();
}

END_TEST

/* A wrong password is ours: the mail waits. */
START_TEST(test_refused)
{
	static const struct step plain[] = { GREET, OFFERS("PLAIN"),
		{ PLAIN_JOE, "535 5.7.8 who?\r\n" }, NOTHING };
	static const struct step login[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "534 5.7.9 weak\r\n" }, NOTHING };
	static const struct step user[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "334 \r\n" }, { JOE, "535 no\r\n" },
		NOTHING };
	static const struct step password[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "334 \r\n" }, { JOE, "334 \r\n" },
		{ SECRET, "535 no\r\n" }, NOTHING };
	static const struct step *const scripts[] = { plain, login, user,
		password };

	begin(VAULT_KNOWS);
	talk(scripts[_i], &to_one);
	expect_lost(LOST_LINE, "4.7.8");
	ck_assert(!has_heard("MAIL"));
	at_end();
}

END_TEST

START_TEST(test_not_now)
{
	static const struct step script[] = { GREET, OFFERS("PLAIN"),
		{ PLAIN_JOE, "454 4.7.0 later\r\n" }, NOTHING };

	begin(VAULT_KNOWS);
	talk(script, &to_one);
	expect_lost(LOST_LINE, "4.7.0");
	at_end();
}

END_TEST

START_TEST(test_not_offered)
{
	static const struct step none[] = { GREET, EHLO_("250 HELP\r\n"),
		NOTHING };
	static const struct step others[] = { GREET,
		OFFERS("CRAM-MD5 GSSAPI PLAINER"), NOTHING };

	begin(VAULT_KNOWS);
	talk(_i == 0 ? none : others, &to_one);
	expect_lost(LOST_LINE, "4.7.4");
	ck_assert_uint_eq(vault.nasked, 0);
	at_end();
}

END_TEST

START_TEST(test_no_credentials)
{
	static const struct step script[] = { GREET, OFFERS("PLAIN"), NOTHING };

	begin(_i == 0 ? VAULT_KNOWS_NOT : VAULT_DIES);
	talk(script, &to_one);
	expect_lost(LOST_LINE, "4.3.5");
	ck_assert_uint_eq(vault.nasked, 1);
	at_end();
}

END_TEST

START_TEST(test_vault_sleeps)
{
	static const struct step waits[] = { GREET, OFFERS("PLAIN"), NOTHING };
	static const struct step closes[] = { GREET, OFFERS("PLAIN"),
		{ "", NULL }, NOTHING };
	static const struct step talks[] = { GREET, OFFERS("PLAIN"),
		{ "", "250 well?\r\n" }, NOTHING };

	begin(VAULT_SLEEPS);
	if (_i == 0)
		numbers.helo_timeout = 100;
	talk(_i == 0 ? waits : _i == 1 ? closes : talks, &to_one);
	ck_assert(lost);
	ck_assert_int_ne(how, LOST_TLS);
	ck_assert(!has_heard("AUTH"));
	/* the answer finds nobody */
	vault.how = VAULT_KNOWS;
	settle();
	at_end();
}

END_TEST

/* RFC 4954 4: the line of AUTH is no longer than any other. */
START_TEST(test_long_password)
{
	static const struct step fits[] = { GREET, OFFERS("PLAIN"),
		{ "AUTH PLAIN AGpvZQ", "235 welcome\r\n" }, NOTHING };
	static const struct step alone[] = { GREET, OFFERS("PLAIN"),
		{ "AUTH PLAIN\r\n", "334 \r\n" },
		{ "AGpvZQ", "235 welcome\r\n" }, NOTHING };
	static const struct step refused[] = { GREET, OFFERS("PLAIN"),
		{ "AUTH PLAIN\r\n", "535 5.7.8 no\r\n" }, NOTHING };

	/* 5 + 367 bytes are a line of 509; with one more it has 513 */
	enum { FITS = 367 };

	static char password[VAULT_SECRET_MAX];

	memset(password, 'p', sizeof(password));
	begin(VAULT_KNOWS);
	vault.password =
	    (struct str){ password, _i == 0 ? FITS : sizeof(password) };
	if (_i == 1)
		vault.password.len = FITS + 1;
	talk(_i == 0 ? fits : _i == 3 ? refused : alone, NULL);
	ck_assert(ready == (_i < 3));
	ck_assert(has_heard("AGpvZQ") == (_i < 3));
	at_end();
}

END_TEST

/* Some repeat what they do not understand. It is told to nobody. */
START_TEST(test_repeated)
{
	static const struct step plain[] = { GREET, OFFERS("PLAIN"),
		{ PLAIN_JOE, "535 5.7.8 what is AGpvZQBzZWNyZXQ= then?\r\n" },
		NOTHING };
	static const struct step cut[] = { GREET, OFFERS("PLAIN"),
		{ PLAIN_JOE, "500 what is AUTH PLAIN AGpvZQBzZWNy...\r\n" },
		NOTHING };
	static const struct step bye[] = { GREET, OFFERS("PLAIN"),
		{ PLAIN_JOE, "421 4.7.0 what is AGpvZQBzZWNyZXQ=?\r\n" },
		NOTHING };
	static const struct step login[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "334 \r\n" }, { JOE, "334 \r\n" },
		{ SECRET, "535 what is c2VjcmV0?\r\n" }, NOTHING };
	static const struct step *const scripts[] = { plain, cut, bye, login };

	begin(VAULT_KNOWS);
	talk(scripts[_i], &to_one);
	ck_assert(lost);
	ck_assert_ptr_nonnull(strstr(why_lost.text, "what is"));
	ck_assert_ptr_null(strstr(why_lost.text, "AGpv"));
	ck_assert_ptr_null(strstr(why_lost.text, "c2Vj"));
	at_end();
}

END_TEST

START_TEST(test_odd_answers)
{
	static const struct step more[] = { GREET, OFFERS("PLAIN"),
		{ PLAIN_JOE, "334 more\r\n" }, NOTHING };
	static const struct step early[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "235 fine\r\n" }, NOTHING };
	static const struct step two[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "334 a\r\n334 b\r\n" }, NOTHING };
	static const struct step bye[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "421 bye\r\n" }, NOTHING };
	static const struct step closes[] = { GREET, OFFERS("LOGIN"),
		{ "AUTH LOGIN\r\n", "334 \r\n" }, { JOE, NULL }, NOTHING };
	static const struct step *const scripts[] = { more, early, two, bye,
		closes };

	begin(VAULT_KNOWS);
	talk(scripts[_i], &to_one);
	ck_assert(lost);
	ck_assert_int_ne(how, LOST_TLS);
	ck_assert_int_eq(why_lost.outcome, OUTCOME_DEFERRED);
	ck_assert(!has_heard(SECRET));
	ck_assert(!has_heard("MAIL"));
	at_end();
}

END_TEST

int
main(void)
{
	const struct named_test tests[] = {
		{ "plain", test_plain, 1 },
		{ "login", test_login, 1 },
		{ "tls", test_by_tls, 1 },
		{ "clear", test_never_in_the_clear, 1 },
		{ "refused", test_refused, 4 },
		{ "not now", test_not_now, 1 },
		{ "not offered", test_not_offered, 2 },
		{ "no credentials", test_no_credentials, 2 },
		{ "sleeps", test_vault_sleeps, 3 },
		{ "long", test_long_password, 4 },
		{ "repeated", test_repeated, 4 },
		{ "odd", test_odd_answers, 5 },
	};

	return run_tests("smtp_auth", tests, sizeof(tests) / sizeof(tests[0]));
}
