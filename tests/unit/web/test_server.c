/* What the endpoint says, to whom, and for how long it bears with him. */
#include "tests/unit/web/visitors.h"

#define ck_has(text, part)                                                \
	ck_assert_msg(strstr((text), (part)) != NULL, "no \"%s\" in: %s", \
	    (part), (text))
#define ck_has_not(text, part) \
	ck_assert_msg(         \
	    strstr((text), (part)) == NULL, "\"%s\" in: %s", (part), (text))

START_TEST(pages)
{
	const char *text = get("/metrics");

	ck_has(text, "HTTP/1.1 200 OK\r\n");
	ck_has(
	    text, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	ck_has(text, "Cache-Control: no-store\r\n");
	ck_has(text, "X-Content-Type-Options: nosniff\r\n");
	ck_has(text, "\npostern_queue_commits_total 42\n");
	ck_has(text, "\npostern_build_info{version=\"0.1\"} 1\n");
	ck_has(text, "\npostern_milter_up{milter=\"spam\"} 1\n");
	ck_has(text, "\npostern_web_connections_total ");
	text = get("/health");
	ck_has(text, "HTTP/1.1 200 OK\r\n");
	ck_has(text, "\r\n\r\nok\n");
	text = get("/ready?a=b");
	ck_has(text, "HTTP/1.1 200 OK\r\n");
	ck_has(text, "\r\n\r\nready\n");
}

END_TEST

/* /ready for each reason why not; a fresh answer for each. */
static const struct {
	size_t flag;
	const char *why;
} reasons[] = {
	{ offsetof(__typeof__(control), is_paused), "smtp is paused\n" },
	{ offsetof(__typeof__(control), is_stopping), "stopping\n" },
	{ offsetof(__typeof__(control), is_down), "smtpd/1 is down\n" },
	{ offsetof(__typeof__(control), is_refusing),
	    "the queue is full, or its disk\n" },
};

START_TEST(not_ready)
{
	*((bool *)(void *)&control + reasons[_i].flag) = true;
	const char *text = get("/ready");

	ck_has(text, "HTTP/1.1 503 ");
	ck_has(text, "Content-Type: text/plain; charset=utf-8\r\n");
	ck_has(text, reasons[_i].why);
	ck_has(get("/health"), "HTTP/1.1 200 OK\r\n");
}

END_TEST

/* A queue that is not there cannot say that it is not paused. */
START_TEST(refused)
{
	control.code = ANSWER_UNAVAILABLE;
	ck_has(get("/ready"), "HTTP/1.1 503 ");
	ck_has(get("/metrics"), "HTTP/1.1 503 ");
	ck_has(get("/health"), "HTTP/1.1 200 OK\r\n");
}

END_TEST

START_TEST(no_control)
{
	channel_free(&control.ch);
	ck_has(get("/metrics"), "HTTP/1.1 503 ");
	ck_has(get("/ready"), "HTTP/1.1 503 ");
	const char *text = get("/health");

	ck_has(text, "HTTP/1.1 503 ");
	ck_has(text, "control does not answer\n");
}

END_TEST

/* It dies while it is asked; nobody waits for ever. */
START_TEST(control_dies)
{
	struct visitor v;

	control.is_mute = true;
	visit(&v);
	say(&v, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	while (control.nasked < 4)
		loop_run(loop);
	ck_assert_uint_eq(v.nanswers, 0);
	channel_free(&control.ch);
	await_answers(&v, 1);
	ck_has(heard(&v), "HTTP/1.1 503 ");
	leave(&v);
}

END_TEST

/* A storm of scrapes is one question of each kind. */
START_TEST(storm)
{
	struct visitor all[20];

	for (size_t i = 0; i < 20; i++) {
		visit(&all[i]);
		say(&all[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
			     "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	for (size_t i = 0; i < 20; i++)
		await_answers(&all[i], 2);
	ck_assert_uint_eq(control.nasked, 4);
	for (size_t i = 0; i < 20; i++)
		leave(&all[i]);
}

END_TEST

START_TEST(head)
{
	const char *text = ask_for("HEAD /health HTTP/1.1\r\nHost: x\r\n"
				   "Connection: close\r\n\r\n");

	ck_has(text, "HTTP/1.1 200 OK\r\n");
	ck_has(text, "Content-Length: 3\r\n");
	ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}

END_TEST

/* clang-format off */
static const struct {
	const char *request, *status;
} bad[] = {
	{ "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", "405" },
	{ "DELETE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405" },
	{ "OPTIONS /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405" },
	{ "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404" },
	{ "GET /metrics/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404" },
	{ "GET //health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404" },
	{ "GET /<script>evil</script> HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "40" },
	{ "GET /evil HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n", "404" },
	{ "PUT /evil HTTP/1.0\r\n\r\n", "404" },
	{ "CONNECT evil:25 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "40" },
	{ "EVIL /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405" },
	{ "evil\r\n\r\n", "400" },
	{ "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "413" },
	{ "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400" },
};

/* clang-format on */

/* Nothing that was said comes back. */
START_TEST(bad_requests)
{
	const char *text;
	char status[16];

	visit(&lone);
	say(&lone, bad[_i].request);
	await_answers(&lone, 1);
	/* After CONNECT evhttp does not hang up, whatever it was told. */
	shutdown(lone.fd, SHUT_WR);
	await_closed(&lone);
	text = heard(&lone);
	snprintf(status, sizeof(status), " %s", bad[_i].status);
	ck_assert_int_eq(strncmp(text, "HTTP/1.", 7), 0);
	ck_assert_msg(
	    strncmp(text + 8, status, strlen(status)) == 0, "%s", text);
	ck_has_not(text, "evil");
	if (strcmp(bad[_i].status, "405") == 0)
		ck_has(text, "Allow: GET, HEAD\r\n");
	ck_assert_uint_eq(control.nasked, 0);
	ck_has(get("/health"), "HTTP/1.1 200 OK\r\n");
}

END_TEST

/* As much as may be is taken, more is not. */
static const struct {
	size_t size;
	const char *status;
} headers[] = {
	{ SERVER_HEADERS_MAX / 2, "HTTP/1.1 200 " },
	{ SERVER_HEADERS_MAX + 1000, "HTTP/1.1 400 " },
	{ 40 * SERVER_HEADERS_MAX, "HTTP/1.1 400 " },
};

START_TEST(large_headers)
{
	struct buf request;
	size_t n = headers[_i].size;
	char *word = malloc(n + 1);

	memset(word, 'x', n);
	word[n] = '\0';
	visit(&lone);
	buf_init(&request, HEARD_MAX);
	buf_addf(&request,
	    "GET /health HTTP/1.1\r\nConnection: close\r\nX: %s\r\n\r\n", word);
	free(word);
	/* It may hang up before it has heard all of it. */
	struct str rest = buf_str(&request);

	while (rest.len > 0 && !lone.is_closed && lone.nanswers == 0) {
		ssize_t sent = send(lone.fd, rest.p,
		    rest.len < 4000 ? rest.len : 4000, MSG_NOSIGNAL);

		if (sent > 0)
			rest = str_skip(rest, (size_t)sent);
		else if (errno != EAGAIN)
			break;
		loop_fd_want(lone.event, LOOP_READ | LOOP_WRITE);
		loop_run(loop);
	}
	if (!lone.is_closed)
		loop_fd_want(lone.event, LOOP_READ);
	while (!lone.is_closed && lone.nanswers == 0)
		loop_run(loop);
	if (lone.heard.len > 0)
		ck_has(heard(&lone), headers[_i].status);
	else
		ck_assert_uint_gt(n, SERVER_HEADERS_MAX);
	buf_clear(&request);
	ck_has(get("/health"), "HTTP/1.1 200 OK\r\n");
}

END_TEST

/* More than there may be sit and say half a word: one who asks is served,
 * and those who have waited longest go. */
START_TEST(crowd)
{
	static struct visitor all[GUESTS_MAX + 20];
	size_t ngone = 0, n = sizeof(all) / sizeof(all[0]);

	for (size_t i = 0; i < n; i++) {
		visit(&all[i]);
		say(&all[i], "GET /hea");
	}
	for (int i = 0; i < 3; i++)
		ck_has(get("/health"), "HTTP/1.1 200 OK\r\n");
	ck_assert_uint_le(guests_count(), GUESTS_MAX);
	/* The first is gone; the last is not, and goes on. */
	await_closed(&all[0]);
	ck_assert(!all[n - 1].is_closed);
	say(&all[n - 1], "lth HTTP/1.1\r\nHost: x\r\n\r\n");
	await_answers(&all[n - 1], 1);
	for (size_t i = 0; i < n; i++) {
		ngone += all[i].is_closed;
		leave(&all[i]);
	}
	ck_assert_uint_ge(ngone, 1);
	while (guests_count() > 0)
		ck_has(get("/health"), "200 OK"), leave(&lone),
		    lone.event = NULL;
}

END_TEST

/* All of them wait for an answer: nobody else comes in until there is one,
 * and nobody is sent away for that. */
START_TEST(all_wait)
{
	static struct visitor all[GUESTS_MAX + 4];
	size_t n = sizeof(all) / sizeof(all[0]);

	control.is_mute = true;
	for (size_t i = 0; i < n; i++) {
		visit(&all[i]);
		say(&all[i], "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	while (guests_count() < GUESTS_MAX || control.nasked < 1)
		loop_run(loop);
	control_start();
	for (size_t i = 0; i < n; i++) {
		await_answers(&all[i], 1);
	}
	for (size_t i = 0; i < n; i++)
		leave(&all[i]);
}

END_TEST

/* Who leaves while his page is made costs nothing. */
START_TEST(leaves_early)
{
	struct visitor v;

	control.is_mute = true;
	visit(&v);
	say(&v, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	while (control.nasked < 4)
		loop_run(loop);
	struct linger hard = { .l_onoff = 1 };

	setsockopt(v.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	leave(&v);
	control_start();
	ck_has(get("/health"), "HTTP/1.1 200 OK\r\n");
}

END_TEST

/* One connection, many requests. */
START_TEST(kept)
{
	struct visitor v;

	visit(&v);
	for (size_t i = 1; i <= 50; i++) {
		say(&v, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
		await_answers(&v, i);
	}
	ck_assert(!v.is_closed);
	ck_assert_uint_eq(guests_count(), 1);
	ck_assert_uint_eq(control.nasked, 1);
	leave(&v);
}

END_TEST

/* --- the end --- */

static bool has_ended;

static void
on_end(void)
{
	has_ended = true;
	loop_stop(loop);
}

static void
await_end(void)
{
	while (!has_ended)
		loop_run(loop);
}

static void
is_answered_for_good(struct visitor *v)
{
	await_closed(v);
	ck_has(heard(v), "HTTP/1.1 200 OK\r\n");
	ck_has(heard(v), "\r\nConnection: close\r\n");
	leave(v);
}

/* One who waits for his answer, one in the middle of his request, and two at
 * the door, of whom one has not said anything yet: all of them are answered.
 */
START_TEST(ends_gently)
{
	struct visitor asking, half, waiting, silent;
	int fd;

	control.is_mute = true;
	visit(&asking);
	say(&asking, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	visit(&half);
	say(&half, "GET /health HTTP/1.1\r\n");
	while (control.nasked < 4 || guests_count() < 2)
		loop_run(loop);
	visit(&waiting);
	say(&waiting, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	visit(&silent);
	server_end(on_end);
	ck_assert(!has_ended);
	say(&half, "Host: x\r\n\r\n");
	say(&silent, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	/* Another one, which was not asked. */
	control_start();
	await_closed(&asking);
	ck_has(heard(&asking), "HTTP/1.1 503 ");
	ck_has(heard(&asking), "\r\nConnection: close\r\n");
	leave(&asking);
	is_answered_for_good(&half);
	is_answered_for_good(&waiting);
	is_answered_for_good(&silent);
	await_end();
	ck_assert_uint_eq(guests_count(), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	close(fd);
}

END_TEST

/* Who keeps his connection is still answered, and told that it is over. */
START_TEST(ends_with_who_stays)
{
	struct visitor v;

	visit(&v);
	say(&v, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	await_answers(&v, 1);
	ck_has_not(heard(&v), "Connection: close");
	server_end(on_end);
	say(&v, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	await_answers(&v, 2);
	ck_has(heard(&v), "\r\nConnection: close\r\n");
	await_end();
	await_closed(&v);
	leave(&v);
}

END_TEST

/* Who has begun with another request may end it; he is not one who says
 * nothing more. */
START_TEST(ends_behind_who_has_begun)
{
	struct visitor idle, half;

	visit(&idle);
	visit(&half);
	say(&idle, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	say(&half, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	await_answers(&idle, 1);
	await_answers(&half, 1);
	say(&half, "GET /health HTTP/1.1\r\n");
	server_end(on_end);
	await_closed(&idle);
	leave(&idle);
	say(&half, "Host: x\r\n\r\n");
	is_answered_for_good(&half);
	await_end();
}

END_TEST

/* Who says nothing more, or nothing at all, does not keep us. */
START_TEST(ends_without_a_word)
{
	struct visitor idle, silent;

	visit(&idle);
	say(&idle, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	await_answers(&idle, 1);
	if (_i == 1)
		visit(&silent);
	server_end(on_end);
	await_end();
	await_closed(&idle);
	ck_assert_uint_eq(idle.nanswers, 1);
	leave(&idle);
	if (_i == 1) {
		await_closed(&silent);
		ck_assert_uint_eq(silent.heard.len, 0);
		leave(&silent);
	}
}

END_TEST

START_TEST(ends_at_once)
{
	server_end(on_end);
	ck_assert(has_ended);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("server");
	TCase *tc = tcase_create("server");

	log_init("web", 0, "test");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, pages);
	tcase_add_loop_test(
	    tc, not_ready, 0, sizeof(reasons) / sizeof(reasons[0]));
	tcase_add_test(tc, refused);
	tcase_add_test(tc, no_control);
	tcase_add_test(tc, control_dies);
	tcase_add_test(tc, storm);
	tcase_add_test(tc, head);
	tcase_add_loop_test(tc, bad_requests, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(
	    tc, large_headers, 0, sizeof(headers) / sizeof(headers[0]));
	tcase_add_test(tc, crowd);
	tcase_add_test(tc, all_wait);
	tcase_add_test(tc, leaves_early);
	tcase_add_test(tc, kept);
	tcase_add_test(tc, ends_gently);
	tcase_add_test(tc, ends_behind_who_has_begun);
	tcase_add_test(tc, ends_with_who_stays);
	tcase_add_loop_test(tc, ends_without_a_word, 0, 2);
	tcase_add_test(tc, ends_at_once);
	suite_add_tcase(s, tc);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
