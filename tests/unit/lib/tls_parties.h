/*
 * Who meets in the tests of TLS: a server of three identities, a certificate
 * authority, and a person whom it knows.
 */
#ifndef POSTERN_TESTS_TLS_PARTIES_H
#define POSTERN_TESTS_TLS_PARTIES_H

#include "tests/unit/lib/tls_world.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static struct one *rsa, *ec, *other, *wild, *ca, *person;
static struct tls_server *server;

static inline struct tls_server *
make_server(uint32_t context, bool ask, const char *client_ca)
{
	const char *both[] = { rsa->pem, ec->pem }, *second[] = { other->pem },
		   *third[] = { wild->pem };
	struct tls_identity ids[] = { { both, 2 }, { second, 1 },
		{ third, 1 } };
	struct tls_server_conf conf = { ids, 3, context, ask, client_ca };
	struct fault why = { .class = FAULT_NONE };
	struct tls_server *s = tls_server_new(&conf, &why);

	ck_assert_msg(s != NULL, "%s", why.text);
	return s;
}

static struct loop *own_loop;

static inline void
setup(void)
{
	world_open();
	own_loop = loop_new();
	world_enter(own_loop);
	if (rsa == NULL) {
		rsa = one_new(KIND_RSA, "mx.example", NULL, NULL);
		ec = one_new(KIND_EC, "mx.example", "DNS:mx.example", NULL);
		other = one_new(KIND_EC, "other",
		    "DNS:mail.other.example,"
		    "DNS:deep.wild.example",
		    NULL);
		wild = one_new(KIND_EC, "wild", "DNS:*.wild.example", NULL);
		ca = one_new(KIND_EC, "the ca", NULL, NULL);
		person =
		    one_new(KIND_EC, "J\xc3\xb6rg\n", "email:me@example", ca);
	}
	signer.how = SIGNER_ANSWERS;
	signer.nsigned = signer.ncancelled = signer.nasked = 0;
	server = make_server(1, false, NULL);
}

static inline void
teardown(void)
{
	tls_server_unref(&server);
	settle();
	ck_assert_uint_eq(signer.nasked, 0);
	world_leave();
	loop_free(&own_loop);
}

static inline struct tls_info
info_of(const struct client *c)
{
	struct tls_info i;

	ck_assert_ptr_nonnull(stream_tls(c->end.stream));
	tls_info(stream_tls(c->end.stream), &i);
	return i;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

#endif
