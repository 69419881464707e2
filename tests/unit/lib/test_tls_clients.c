/* What clients do with TLS: their certificates, the rules they break, how they
 * end, and much data through little room. */
#include "tests/unit/lib/tls_parties.h"

/* --- certificates of clients --- */

static const struct {
	bool ask, ca, show, self_signed, verified;
} clients[] = {
	{ false, false, true, false, false },
	{ true, false, false, false, false },
	{ true, false, true, false, false },
	{ true, true, false, false, false },
	{ true, true, true, false, true },
	{ true, true, true, true, false },
};

START_TEST(client_certificates)
{
	struct tls_server *s = make_server(
	    1, clients[_i / 2].ask, clients[_i / 2].ca ? ca->pem : NULL);
	struct one *me = clients[_i / 2].self_signed ? other : person;
	struct client c;
	struct tls_info i;

	client_open(&c, s);
	SSL_set_max_proto_version(c.ssl, versions[_i % 2]);
	if (clients[_i / 2].show) {
		SSL_use_certificate(c.ssl, me->cert);
		SSL_use_PrivateKey(c.ssl, me->key);
	}
	shake(&c);
	ck_assert(c.done && c.end.secured);
	i = info_of(&c);
	ck_assert_int_eq(
	    i.has_cert, clients[_i / 2].ask && clients[_i / 2].show);
	ck_assert_int_eq(i.verified, clients[_i / 2].verified);
	if (!i.has_cert) {
		ck_assert_str_eq(i.subject, "");
	} else if (me == person) {
		ck_assert_ptr_null(strpbrk(i.subject, "\n\xb6\xc3"));
		ck_assert_ptr_nonnull(strstr(i.subject, "/CN=J"));
		ck_assert_str_eq(i.issuer, "/CN=the ca");
	}
	client_close(&c);
	tls_server_unref(&s);
}

END_TEST

/* --- clients who break the rules --- */

static const struct {
	const char *bytes;
	size_t len;
} garbage[] = {
	{ "EHLO mx.example\r\n", 17 },
	{ "GET / HTTP/1.1\r\n\r\n", 18 },
	{ "\x16\x03\x01\xff\xff", 5 },
	{ "\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9 },
	{ "\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11 },
	{ "\x17\x03\x03\x00\x01\x00", 6 },
	{ "\0\0\0\0\0\0\0\0", 8 },
};

START_TEST(no_client_hello)
{
	struct client c;

	client_open(&c, server);
	ck_assert_int_eq(write(c.fd, garbage[_i].bytes, garbage[_i].len),
	    (ssize_t)garbage[_i].len);
	settle();
	shutdown(c.fd, SHUT_WR);
	timer_set(guard, GUARD_MS);
	while (!c.end.failed)
		settle();
	timer_stop(guard);
	ck_assert_str_ne(c.end.why, "");
	ck_assert(!c.end.ended);
	ck_assert_uint_eq(c.end.got.len, 0);
	/* What is written now goes nowhere. */
	stream_write(c.end.stream, "250 ok", 6);
	settle();
	client_close(&c);
}

END_TEST

START_TEST(hangs_up)
{
	struct client c;

	client_open(&c, server);
	client_step(&c);
	close(c.fd);
	c.fd = -1;
	timer_set(guard, GUARD_MS);
	while (!c.end.failed)
		settle();
	timer_stop(guard);
	client_close(&c);
}

END_TEST

/* What was there before TLS is never seen. */
START_TEST(injection)
{
	struct client c;

	client_open(&c, NULL);
	ck_assert_int_eq(write(c.fd, "MAIL FROM:<a@b>\r\n", 17), 17);
	c.end.take = 1;
	stream_pause(c.end.stream);
	settle();
	stream_write(c.end.stream, "220 go\r\n", 8);
	stream_resume(c.end.stream);
	stream_start_tls(c.end.stream, tls_accept(server));
	stream_write(c.end.stream, "secret", 6);
	timer_set(guard, GUARD_MS);
	while (!c.end.failed)
		settle();
	timer_stop(guard);
	ck_assert_uint_eq(c.end.got.len, 0);
	char got[64];
	ssize_t n = read(c.fd, got, sizeof(got));
	ck_assert_int_ge(n, 8);
	ck_assert_mem_eq(got, "220 go\r\n", 8);
	ck_assert_ptr_null(memmem(got, (size_t)n, "secret", 6));
	client_close(&c);
}

END_TEST

/* The same when TLS begins while the owner looks at it. */
START_TEST(injection_behind_the_command)
{
	struct client c;
	char got[8];

	client_open(&c, NULL);
	c.end.take = 4;
	c.end.upgrade = server;
	ck_assert_int_eq(write(c.fd, "TLS\nMAIL FROM:<a@b>\r\n", 21), 21);
	settle();
	shake(&c);
	ck_assert(c.done && c.end.secured);
	ck_assert_int_eq(SSL_write(c.ssl, "rest", 4), 4);
	stream_write(c.end.stream, "hi", 2);
	ck_assert_int_eq(client_read(&c, got, 2), 2);
	settle();
	ck_assert(str_eq(buf_str(&c.end.got), STR("TLS\nrest")));
	client_close(&c);
}

END_TEST

START_TEST(renegotiation)
{
	struct client c;
	bool refused_it = false;

	client_open(&c, server);
	SSL_set_max_proto_version(c.ssl, TLS1_2_VERSION);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	ck_assert_int_eq(SSL_renegotiate(c.ssl), 1);
	for (int i = 0; i < 8 && !refused_it; i++) {
		int r = SSL_do_handshake(c.ssl);

		refused_it = r != 1 && SSL_get_error(c.ssl, r) == SSL_ERROR_SSL;
		settle();
	}
	ck_assert(refused_it);
	ck_assert_uint_eq(signer.nsigned, 1);
	client_close(&c);
}

END_TEST

/* Each would cost us an answer. */
START_TEST(many_key_updates)
{
	struct client c;
	char byte;

	client_open(&c, server);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	for (int i = 0; i < 1000 && !c.end.ended; i++) {
		SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_write(c.ssl, "x", 1);
		settle();
		SSL_read(c.ssl, &byte, 1);
	}
	ck_assert(c.end.ended);
	ck_assert_int_ne(c.end.error, 0);
	ck_assert_uint_ge(c.end.got.len, 10);
	client_close(&c);
}

END_TEST

START_TEST(ends)
{
	struct client c;

	client_open(&c, server);
	SSL_set_max_proto_version(c.ssl, versions[_i % 2]);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	SSL_write(c.ssl, "QUIT", 4);
	if (_i / 2 == 0)
		SSL_shutdown(c.ssl);
	else
		shutdown(c.fd, SHUT_WR);
	timer_set(guard, GUARD_MS);
	while (!c.end.ended)
		settle();
	timer_stop(guard);
	ck_assert(str_eq(buf_str(&c.end.got), STR("QUIT")));
	ck_assert_int_eq(c.end.error != 0, _i / 2 == 1);
	client_close(&c);
}

END_TEST

/* We say goodbye ourselves, and still read. */
START_TEST(we_finish)
{
	struct client c;
	char byte;
	int r;

	client_open(&c, server);
	shake(&c);
	stream_finish(c.end.stream);
	settle();
	r = SSL_read(c.ssl, &byte, 1);
	ck_assert_int_eq(SSL_get_error(c.ssl, r), SSL_ERROR_ZERO_RETURN);
	ck_assert_int_eq(SSL_write(c.ssl, "late", 4), 4);
	settle();
	ck_assert(str_eq(buf_str(&c.end.got), STR("late")));
	client_close(&c);
}

END_TEST

/* --- much --- */

static void
fill(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 7919 >> 5);
}

enum { MUCH = 3 << 20, TINY = 4096 };

/* Both directions, through buffers that hold next to nothing. */
START_TEST(much)
{
	static char out[MUCH], in[MUCH];
	size_t sent = 0, received = 0;
	struct client c;
	int size = TINY;

	fill(out, sizeof(out));
	client_open(&c, server);
	SSL_set_max_proto_version(c.ssl, versions[_i % 2]);
	setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(stream_fd(c.end.stream), SOL_SOCKET, SO_SNDBUF, &size,
	    sizeof(size));
	SSL_set_mode(c.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
				SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	shake(&c);
	ck_assert(c.done && c.end.secured);
	c.end.take = _i / 2 == 0 ? 0 : 1000;
	stream_write(c.end.stream, out, sizeof(out));
	timer_set(guard, GUARD_MS);
	while (received < MUCH || c.end.got.len < MUCH) {
		int r;

		if (sent < MUCH) {
			r = SSL_write(c.ssl, out + sent, (int)(MUCH - sent));
			sent += r > 0 ? (size_t)r : 0;
		}
		if (received < MUCH) {
			r = SSL_read(
			    c.ssl, in + received, (int)(MUCH - received));
			received += r > 0 ? (size_t)r : 0;
		}
		settle();
	}
	timer_stop(guard);
	ck_assert_mem_eq(in, out, MUCH);
	ck_assert_mem_eq(c.end.got.p, out, MUCH);
	ck_assert_uint_eq(stream_unsent(c.end.stream), 0);
	ck_assert_uint_ge(c.end.ndrained, 1);
	client_close(&c);
}

END_TEST

/* Nothing is lost in TLS while nobody reads. */
START_TEST(paused)
{
	static char out[16384];
	struct client c;

	fill(out, sizeof(out));
	client_open(&c, server);
	shake(&c);
	stream_pause(c.end.stream);
	ck_assert_int_eq(SSL_write(c.ssl, out, sizeof(out)), sizeof(out));
	ck_assert_int_eq(SSL_write(c.ssl, out, 10), 10);
	settle();
	ck_assert_uint_eq(c.end.got.len, 0);
	c.end.take = 5000;
	stream_resume(c.end.stream);
	timer_set(guard, GUARD_MS);
	while (c.end.got.len < sizeof(out) + 10)
		settle();
	timer_stop(guard);
	ck_assert_mem_eq(c.end.got.p, out, sizeof(out));
	client_close(&c);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("tls_clients");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, client_certificates, 0, 2 * COUNT(clients));
	tcase_add_loop_test(c, no_client_hello, 0, COUNT(garbage));
	tcase_add_test(c, hangs_up);
	tcase_add_test(c, injection);
	tcase_add_test(c, injection_behind_the_command);
	tcase_add_test(c, renegotiation);
	tcase_add_test(c, many_key_updates);
	tcase_add_loop_test(c, ends, 0, 4);
	tcase_add_test(c, we_finish);
	tcase_add_loop_test(c, much, 0, 4);
	tcase_add_test(c, paused);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	/* One process: keys are made once. */
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	world_close();
	return failed == 0 ? 0 : 1;
}
