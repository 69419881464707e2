/* What stands still: smtpds are told, lines are held back and go on in their
 * order, mail grows old meanwhile; the file. */
#include "tests/unit/queue/house.h"

static void
pause_it(enum pause_what what, const char *domain, bool resume)
{
	struct ask_pause m = { .what = (uint8_t)what,
		.resume = resume,
		.domain = str_of(domain),
		.reason = STR("a reason"),
		.uid = 7 };

	ask(TYPE_ask_pause, &m);
}

static void
pauses(enum pause_what what, const char *domain)
{
	pause_it(what, domain, false);
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	ck_assert_uint_eq(t.done.matched, 1);
}

static void
goes_on(enum pause_what what, const char *domain)
{
	pause_it(what, domain, true);
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	ck_assert_uint_eq(t.done.changed, 1);
}

static const char *
list(void)
{
	struct ask_pauses m = { 0 };

	ask(TYPE_ask_pauses, &m);
	ck_assert_uint_eq(t.done.code, ANSWER_OK);
	return t.rows;
}

static const char *
destinations(void)
{
	struct ask_destinations m = { 0 };

	return ask(TYPE_ask_destinations, &m);
}

static void
restart(bool orderly)
{
	stop_queue(orderly);
	t.pauses[0] = '\0';
	t.npauses = 0;
	start_queue();
}

static void
mail(const char *from, const char *to)
{
	int n = t.naccepted;

	send_mail(from, MAIL(to, "inside"));
	wait_for(&t.naccepted, n + 1);
}

static void
deliver(int n)
{
	tell_result(&t.got[n], 0, OUTCOME_DELIVERED, "ok");
	tell_done(&t.got[n], false);
}

START_TEST(smtpd_is_told)
{
	wait_for(&t.npauses, 1);
	pauses(PAUSE_SMTP, "");
	ck_assert_uint_eq(t.done.changed, 1);
	/* A second time nothing changes. */
	pauses(PAUSE_SMTP, "");
	ck_assert_uint_eq(t.done.changed, 0);
	goes_on(PAUSE_SMTP, "");
	pause_it(PAUSE_SMTP, "", true);
	ck_assert_uint_eq(t.done.code, ANSWER_NOT_FOUND);
	pauses(PAUSE_DELIVERY, "");
	pauses(PAUSE_DOMAIN, "y");
	pauses(PAUSE_SMTP, "");
	wait_for(&t.npauses, 4);
	ck_assert_str_eq(t.pauses, " open paused open paused");
	restart(true);
	wait_for(&t.npauses, 1);
	ck_assert_str_eq(t.pauses, " paused");
}

END_TEST

START_TEST(they_stay)
{
	pauses(PAUSE_DOMAIN, "b.example");
	pauses(PAUSE_DOMAIN, "A.Example.");
	pauses(PAUSE_DELIVERY, "");
	pauses(PAUSE_DOMAIN, "b\xc3\xbc"
			     "cher.example");
	pauses(PAUSE_DOMAIN, "[192.0.2.1]");
	for (int i = 0; i < 3; i++) {
		ck_assert_str_eq(list(),
		    "1  7 a reason\n"
		    "2 [192.0.2.1] 7 a reason\n"
		    "2 a.example 7 a reason\n"
		    "2 b.example 7 a reason\n"
		    "2 xn--bcher-kva.example 7 a reason\n");
		ck_assert_uint_eq(t.done.matched, 5);
		restart(i == 0);
	}
	goes_on(PAUSE_DOMAIN, "B\xc3\x9c"
			      "CHER.example");
	goes_on(PAUSE_DOMAIN, "a.EXAMPLE");
	restart(false);
	ck_assert_str_eq(list(), "1  7 a reason\n"
				 "2 [192.0.2.1] 7 a reason\n"
				 "2 b.example 7 a reason\n");
}

END_TEST

START_TEST(nonsense)
{
	static const char *const domains[] = { "", ".", "a b", "a..b", "-", "[",
		"[1 2]", "\xff", "a\nb", "x@y" };
	struct ask_pause m = { .what = PAUSE_SMTP, .reason = STR("a\nb") };

	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		pause_it(PAUSE_DOMAIN, domains[i], false);
		ck_assert_msg(t.done.code == ANSWER_REFUSED_IT, "%zu", i);
	}
	ask(TYPE_ask_pause, &m);
	ck_assert_uint_eq(t.done.code, ANSWER_REFUSED_IT);
	ck_assert_str_eq(list(), "");
}

END_TEST

/* Nothing leaves; what came is there, and leaves in its order. */
START_TEST(delivery)
{
	new_agent(1);
	pauses(PAUSE_DELIVERY, "");
	mail("one@x", "b@y");
	mail("two@x", "b@z");
	mail("three@x", "b@y");
	ck_assert_str_eq(show(),
	    "[one@x 0](b@y 0 0 )[two@x 0](b@z 0 0 )[three@x 0](b@y 0 0 )");
	ck_assert_str_eq(
	    destinations(), "(smtp://127.0.0.1:2 inside 3 0 2 paused )");
	ck_assert_int_eq(t.ngot, 0);
	restart(false);
	new_agent(1);
	ck_assert_str_eq(
	    destinations(), "(smtp://127.0.0.1:2 inside 3 0 2 paused )");
	ck_assert_int_eq(t.ngot, 0);
	goes_on(PAUSE_DELIVERY, "");
	for (int i = 0; i < 3; i++) {
		wait_for(&nwhole, i + 1);
		deliver(i);
	}
	wait_shown("");
}

END_TEST

/* What is with an agent is seen through; its next try waits. */
START_TEST(what_is_under_way)
{
	new_agent(4);
	send_mail("a@x", MAIL("b@y", "inside", "c@y", "inside"));
	wait_for(&nwhole, 1);
	pauses(PAUSE_DELIVERY, "");
	tell_result(&t.got[0], 0, OUTCOME_DELIVERED, "ok");
	tell_result(&t.got[0], 1, OUTCOME_DEFERRED, "later");
	tell_done(&t.got[0], false);
	wait_shown("[a@x 1](b@y 3 1 250 2.0.0 ok)(c@y 1 1 451 4.3.0 later)");
	/* Flushed: it goes first, once it may. */
	mail("d@x", "d@y");
	change(CHANGE_FLUSH);
	ck_assert_str_eq(show(), "[a@x 0](b@y 3 1 250 2.0.0 ok)"
				 "(c@y 0 1 451 4.3.0 later)[d@x 0](d@y 0 0 )");
	ck_assert_int_eq(nwhole, 1);
	goes_on(PAUSE_DELIVERY, "");
	wait_for(&nwhole, 3);
	deliver(1);
	deliver(2);
	wait_shown("");
}

END_TEST

/* All to one next hop; one domain of them waits. */
START_TEST(a_domain)
{
	mail("one@x", "b@Held.Example");
	mail("two@x", "b@other");
	mail("three@x", "b@held.example");
	pauses(PAUSE_DOMAIN, "HELD.example");
	mail("four@x", "b@hELD.EXAMPLE");
	ck_assert_str_eq(destinations(),
	    "(smtp://127.0.0.1:2 inside 1 0 2 )"
	    "(smtp://127.0.0.1:2 inside 3 0 2 paused )");
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "b@other");
	deliver(0);
	wait_shown("[one@x 0](b@Held.Example 0 0 )"
		   "[three@x 0](b@held.example 0 0 )"
		   "[four@x 0](b@hELD.EXAMPLE 0 0 )");
	ck_assert_int_eq(t.ngot, 1);
	goes_on(PAUSE_DOMAIN, "held.example");
	wait_for(&nwhole, 4);
	ck_assert_str_eq(t.got[1].rcpts[0].to, "b@Held.Example");
	ck_assert_str_eq(t.got[2].rcpts[0].to, "b@held.example");
	for (int i = 1; i < 4; i++)
		deliver(i);
	wait_shown("");
}

END_TEST

/* The mail has it in letters of its own. */
START_TEST(a_domain_in_letters)
{
	pauses(PAUSE_DOMAIN, "xn--bcher-kva.example");
	mail("one@x", "b@b\xc3\xbc"
		      "cher.example");
	new_agent(4);
	mail("two@x", "b@y");
	wait_for(&nwhole, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "b@y");
	pauses(PAUSE_DELIVERY, "");
	goes_on(PAUSE_DOMAIN, "b\xc3\xbc"
			      "cher.example");
	/* One pause is not the other. */
	ck_assert_int_eq(t.ngot, 1);
	goes_on(PAUSE_DELIVERY, "");
	wait_for(&nwhole, 2);
}

END_TEST

/* Two recipients of one mail, of which one waits. */
START_TEST(half_a_mail)
{
	pauses(PAUSE_DOMAIN, "held");
	send_mail("a@x", MAIL("b@held", "inside", "c@free", "inside"));
	new_agent(4);
	wait_for(&nwhole, 1);
	ck_assert_uint_eq(t.got[0].nrcpts, 1);
	ck_assert_str_eq(t.got[0].rcpts[0].to, "c@free");
	deliver(0);
	wait_shown("[a@x 0](b@held 0 0 )(c@free 3 1 250 2.0.0 ok)");
	/* It can be held, and released, and removed, as ever. */
	change(CHANGE_HOLD);
	change(CHANGE_RELEASE);
	change(CHANGE_REMOVE);
	ck_assert_uint_eq(t.done.changed, 1);
	ck_assert_str_eq(show(), "");
}

END_TEST

/* Nobody tries, but time passes: it is reported, and the report waits. */
static void
expires(enum pause_what what, const char *domain)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;

	t.config->queue.retry_s[0] = 1; /* how often is looked */
	t.config->queue.ttl = 300;
	queue_set_config(t.q, t.config);
	pauses(what, domain);
	mail("a@x", "b@y");
	new_agent(4);
	/* The report of it waits, too, until it is as old. */
	while (
	    strstr(show(), "(b@y 4 0 4.4.7 delivery time expired)") == NULL ||
	    strstr(t.rows, "](a@x ") == NULL)
		ck_assert_uint_lt(clock_mono_ms(), end);
}

START_TEST(mail_expires)
{
	expires(PAUSE_DELIVERY, "");
	ck_assert_int_eq(t.ngot, 0);
}

END_TEST

START_TEST(mail_of_a_domain_expires)
{
	expires(PAUSE_DOMAIN, "y");
}

END_TEST

/* A million of them, nearly: held back and let go, each but once. */
START_TEST(many)
{
	enum { MANY = 3000 };

	char to[40];

	pauses(PAUSE_DOMAIN, "held");
	for (int i = 0; i < MANY; i++) {
		snprintf(to, sizeof(to), "b%d@%s", i, i % 2 ? "held" : "free");
		send_mail("a@x", MAIL(to, "inside"));
	}
	wait_for(&t.naccepted, MANY);
	ck_assert_str_eq(destinations(),
	    "(smtp://127.0.0.1:2 inside 1500 0 2 )"
	    "(smtp://127.0.0.1:2 inside 1500 0 2 paused )");
	for (int i = 0; i < 3; i++) {
		goes_on(PAUSE_DOMAIN, "held");
		ck_assert_str_eq(
		    destinations(), "(smtp://127.0.0.1:2 inside 3000 0 2 )");
		pauses(PAUSE_DOMAIN, "held");
		pauses(PAUSE_DOMAIN, "free");
		ck_assert_str_eq(destinations(),
		    "(smtp://127.0.0.1:2 inside 3000 0 2 paused )");
		goes_on(PAUSE_DOMAIN, "free");
	}
}

END_TEST

static void
spoil(const char *text)
{
	char name[200];
	int fd;

	snprintf(name, sizeof(name), "%s/pauses", t.dir);
	fd = open(name, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* It is set aside whole: what it held back goes. */
START_TEST(damaged)
{
	static const char *const texts[] = { "", "postern pauses 1 ",
		"postern pauses 2 00000000\n", "postern pauses 1 00000001\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		pauses(PAUSE_DELIVERY, "");
		pauses(PAUSE_SMTP, "");
		stop_queue(true);
		spoil(texts[i]);
		start_queue();
		ck_assert_str_eq(list(), "");
		ck_assert(!t.q->schedule.held);
		ck_assert(!t.q->pauses.smtp);
	}
}

END_TEST

/* The disk takes nothing: it holds now, and that is what is said. */
static void
pause_unsaved(void)
{
	char name[200];

	snprintf(name, sizeof(name), "%s/pauses.new", t.dir);
	ck_assert_int_eq(mkdir(name, 0700), 0);
	pause_it(PAUSE_SMTP, "", false);
	ck_assert_uint_eq(t.done.code, ANSWER_UNAVAILABLE);
	ck_assert_str_eq(list(), "0  7 a reason\n");
	ck_assert(timer_is_set(t.q->pauses.list.again));
	ck_assert_int_eq(rmdir(name), 0);
}

START_TEST(unsaved)
{
	pause_unsaved();
	/* Said again it is written. */
	pauses(PAUSE_SMTP, "");
	ck_assert(!timer_is_set(t.q->pauses.list.again));
	restart(false);
	ck_assert_str_eq(list(), "0  7 a reason\n");
}

END_TEST

START_TEST(saved_later)
{
	uint64_t end = clock_mono_ms() + WATCHDOG_MS;
	char name[200];

	pause_unsaved();
	timer_set(t.q->pauses.list.again, 0);
	snprintf(name, sizeof(name), "%s/pauses", t.dir);
	while (access(name, F_OK) == -1) {
		list();
		ck_assert_uint_lt(clock_mono_ms(), end);
	}
	restart(false);
	ck_assert_str_eq(list(), "0  7 a reason\n");
}

END_TEST

int
main(void)
{
	const TTest *const tests[] = { smtpd_is_told, they_stay, nonsense,
		delivery, what_is_under_way, a_domain, a_domain_in_letters,
		half_a_mail, mail_expires, mail_of_a_domain_expires, many,
		damaged, unsaved, saved_later };

	return HOUSE_RUN("pauses", tests);
}
