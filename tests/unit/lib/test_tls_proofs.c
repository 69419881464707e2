/* Who a server is: names, dates, chains and TLSA records, each as a demand and
 * as what is only remembered. */
#include "tests/unit/lib/tls_servers.h"

enum { LONG_CHAIN = 100 };

enum who {
	ROOT,
	MIDDLE,
	STRANGER,
	MX,
	WILD,
	PARTIAL,
	CN_ONLY,
	OLD,
	EARLY,
	SELF,
	STRANGERS,
	BELOW,
	NUL,
	V4,
	V6,
	WEAK,
	CLIENT,
	OLD_WRONG,
	ODD,
	OLD_MIDDLE,
	BELOW_OLD,
	NARROW,
	BELOW_NARROW,
	BELOW_LEAF,
	WHO_COUNT
};

static struct party *who[WHO_COUNT];

/* By whom: make_parties. */
static const struct party_like likes[WHO_COUNT] = {
	[ROOT] = { .cn = "root", .is_ca = true },
	[STRANGER] = { .cn = "stranger", .is_ca = true },
	[MX] = { .cn = "mx", .san = "DNS:mx.example,DNS:mx2.example" },
	[WILD] = { .cn = "wild", .san = "DNS:*.wild.example" },
	[PARTIAL] = { .cn = "part", .san = "DNS:m*.example" },
	[CN_ONLY] = { .cn = "mx.example" },
	[OLD] = { .cn = "old",
	    .san = "DNS:mx.example",
	    .from_s = -9 * DAY,
	    .to_s = -DAY },
	[EARLY] = { .cn = "early",
	    .san = "DNS:mx.example",
	    .from_s = DAY,
	    .to_s = 9 * DAY },
	[SELF] = { .cn = "self", .san = "DNS:mx.example" },
	[STRANGERS] = { .cn = "strangers", .san = "DNS:mx.example" },
	[MIDDLE] = { .cn = "middle", .is_ca = true },
	[BELOW] = { .cn = "below", .san = "DNS:mx.example" },
	[NUL] = { .cn = "nul", .nul = true },
	[V4] = { .cn = "v4", .san = "IP:192.0.2.1" },
	[V6] = { .cn = "v6", .san = "IP:2001:db8::1" },
	[WEAK] = { .cn = "weak", .san = "DNS:mx.example", .bits = 1024 },
	[CLIENT] = { .cn = "client",
	    .san = "DNS:mx.example",
	    .usage = "clientAuth" },
	[OLD_WRONG] = { .cn = "other",
	    .san = "DNS:other.example",
	    .from_s = -9 * DAY,
	    .to_s = -DAY },
	[ODD] = { .cn = "odd",
	    .san = "DNS:*,DNS:*.example,DNS:*.*.odd.example,"
		   "DNS:f*.odd.example,DNS:*f.odd.example,"
		   "DNS:xn--*.odd.example,DNS:a.*.odd.example,"
		   "DNS:.odd.example,DNS:192.0.2.1,"
		   "email:mx@mail.example,URI:smtp://mail.example" },
	[OLD_MIDDLE] = { .cn = "old middle",
	    .is_ca = true,
	    .from_s = -9 * DAY,
	    .to_s = -DAY },
	[BELOW_OLD] = { .cn = "below old", .san = "DNS:mx.example" },
	[NARROW] = { .cn = "narrow",
	    .is_ca = true,
	    .limits = "critical,permitted;DNS:narrow.example" },
	[BELOW_NARROW] = { .cn = "below narrow", .san = "DNS:mx.example" },
	[BELOW_LEAF] = { .cn = "below leaf", .san = "DNS:mx.example" },
};

static void
make_parties(void)
{
	for (int i = 0; i < WHO_COUNT; i++) {
		struct party_like l = likes[i];

		l.by = i == ROOT || i == STRANGER || i == SELF ? NULL :
		       i == STRANGERS                          ? who[STRANGER] :
		       i == BELOW                              ? who[MIDDLE] :
		       i == BELOW_OLD    ? who[OLD_MIDDLE] :
		       i == BELOW_NARROW ? who[NARROW] :
		       i == BELOW_LEAF   ? who[MX] :
					   who[ROOT];
		who[i] = party_new(&l);
	}
}

static struct tls_client *ours;

static void
setup(void)
{
	servers_enter();
	if (who[0] == NULL)
		make_parties();
	ours = trusting(who[ROOT]->pem);
}

static void
teardown(void)
{
	tls_client_unref(&ours);
	servers_leave();
}

/* --- names --- */

static const struct {
	enum who server;
	int behind; /* shown behind it; -1: none */
	const char *name, *second;
	enum tls_failure failure;
} named[] = {
	{ MX, -1, "mx.example", NULL, TLS_FINE },
	{ MX, ROOT, "mx.example", NULL, TLS_FINE },
	{ MX, -1, "MX2.Example", NULL, TLS_FINE },
	{ MX, -1, "mail.example", "mx.example", TLS_FINE },
	{ MX, -1, "mail.example", NULL, TLS_HOST_MISMATCH },
	{ MX, -1, "mail.example", "mx.exampl", TLS_HOST_MISMATCH },
	{ MX, -1, "", "mail.example", TLS_HOST_MISMATCH },
	{ MX, -1, ".", "..", TLS_HOST_MISMATCH },
	{ MX, -1, "a.mx.example", NULL, TLS_HOST_MISMATCH },
	{ MX, -1, "example", NULL, TLS_HOST_MISMATCH },
	{ MX, -1, ".example", NULL, TLS_FINE },
	{ MX, -1, ".xample", NULL, TLS_HOST_MISMATCH },
	{ MX, -1, ".mx.example", NULL, TLS_HOST_MISMATCH },
	{ WILD, -1, "mx.wild.example", NULL, TLS_FINE },
	{ WILD, -1, ".wild.example", NULL, TLS_FINE },
	{ WILD, -1, "a.mx.wild.example", NULL, TLS_HOST_MISMATCH },
	{ WILD, -1, "wild.example", NULL, TLS_HOST_MISMATCH },
	{ PARTIAL, -1, "mx.example", NULL, TLS_HOST_MISMATCH },
	{ CN_ONLY, -1, "mx.example", NULL, TLS_HOST_MISMATCH },
	{ NUL, -1, "mx.example", NULL, TLS_HOST_MISMATCH },
	{ V4, -1, "192.0.2.1", NULL, TLS_HOST_MISMATCH },
	{ OLD, -1, "mx.example", NULL, TLS_EXPIRED },
	{ EARLY, -1, "mx.example", NULL, TLS_EXPIRED },
	{ SELF, -1, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ STRANGERS, -1, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ STRANGERS, STRANGER, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ BELOW, -1, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ BELOW, MIDDLE, "mx.example", NULL, TLS_FINE },
	{ WEAK, -1, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ CLIENT, -1, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ ODD, -1, "example", "mx.example", TLS_HOST_MISMATCH },
	{ ODD, -1, "a.b.odd.example", "fa.odd.example", TLS_HOST_MISMATCH },
	{ ODD, -1, "af.odd.example", "xn--a.odd.example", TLS_HOST_MISMATCH },
	{ ODD, -1, "mx.odd.example", "192.0.2.1x", TLS_HOST_MISMATCH },
	{ ODD, -1, "mail.example", "mx@mail.example", TLS_HOST_MISMATCH },
	{ BELOW_OLD, OLD_MIDDLE, "mx.example", NULL, TLS_EXPIRED },
	{ BELOW_NARROW, NARROW, "mx.example", NULL, TLS_NOT_TRUSTED },
	{ BELOW_LEAF, MX, "mx.example", NULL, TLS_NOT_TRUSTED },
};

static SSL_CTX *
server_of(enum who server, int behind)
{
	struct party *chain[] = { who[behind < 0 ? 0 : behind] };

	return serve(who[server], chain, behind < 0 ? 0 : 1);
}

/* With the demand as it is, the server is who it says or the handshake fails;
 * without one the same is remembered. */
static void
check_demand(SSL_CTX *server, struct tls_demand *d, enum tls_failure failure)
{
	struct client c;

	meet(&c, server, ours, d);
	ck_assert_int_eq(c.end.secured, failure == TLS_FINE);
	ck_assert_int_eq(tls_failure(tls_of(&c)), failure);
	if (failure != TLS_FINE)
		ck_assert_str_ne(c.end.why, "");
	else
		ck_assert(info_of(&c).verified);
	client_close(&c);
	d->proof = TLS_PROOF_NONE;
	meet(&c, server, ours, d);
	ck_assert(c.done && c.end.secured);
	ck_assert_int_eq(tls_failure(tls_of(&c)), failure);
	ck_assert_int_eq(info_of(&c).verified, failure == TLS_FINE);
	client_close(&c);
}

START_TEST(names)
{
	const char *list[] = { named[_i / 2].name, named[_i / 2].second };
	struct tls_demand d = { .server_name = "mx.example",
		.proof = TLS_PROOF_NAME,
		.names = list,
		.nnames = list[1] == NULL ? 1 : 2 };
	SSL_CTX *server = server_of(named[_i / 2].server, named[_i / 2].behind);

	SSL_CTX_set_max_proto_version(server, versions[_i % 2]);
	check_demand(server, &d, named[_i / 2].failure);
	SSL_CTX_free(server);
}

END_TEST

static const struct {
	enum who server;
	const char *address;
	enum tls_failure failure;
} addressed[] = {
	{ V4, "192.0.2.1", TLS_FINE },
	{ V4, "192.0.2.2", TLS_HOST_MISMATCH },
	{ V4, "2001:db8::1", TLS_HOST_MISMATCH },
	{ V6, "2001:db8::1", TLS_FINE },
	{ V6, "2001:db8::2", TLS_HOST_MISMATCH },
	{ MX, "192.0.2.1", TLS_HOST_MISMATCH },
	{ ODD, "192.0.2.1", TLS_HOST_MISMATCH },
};

START_TEST(addresses)
{
	struct addr a;
	struct tls_demand d = { .proof = TLS_PROOF_NAME, .address = &a };
	SSL_CTX *server = server_of(addressed[_i].server, -1);

	ck_assert_int_eq(addr_parse(str_of(addressed[_i].address), &a), 0);
	check_demand(server, &d, addressed[_i].failure);
	SSL_CTX_free(server);
}

END_TEST

/* Nobody who would be somebody. */
START_TEST(no_name)
{
	static const char *const empty[] = { "", "" };
	struct tls_demand d = { .proof = TLS_PROOF_NAME };
	struct fault why = { .class = FAULT_NONE };

	ck_assert_ptr_null(tls_connect(ours, &d, &why));
	ck_assert_str_ne(why.text, "");
	/* To OpenSSL an empty one is whoever comes. */
	d.names = empty;
	d.nnames = 2;
	why.text[0] = '\0';
	ck_assert_ptr_null(tls_connect(ours, &d, &why));
	ck_assert_str_ne(why.text, "");
}

END_TEST

/* A hundred certificates cost nobody a handshake, but prove nothing. */
START_TEST(long_chain)
{
	const char *name = "mx.example";
	struct party *chain[LONG_CHAIN];
	struct tls_demand d = {
		.proof = TLS_PROOF_NAME, .names = &name, .nnames = 1
	};
	SSL_CTX *server;

	for (int i = 0; i < LONG_CHAIN; i++)
		chain[i] = who[MIDDLE];
	server = serve(who[BELOW], chain, LONG_CHAIN);
	check_demand(server, &d, TLS_NOT_TRUSTED);
	SSL_CTX_free(server);
}

END_TEST

/* SNI is said as it was wished for, and only when it is a name. */
START_TEST(server_names)
{
	static const struct {
		const char *wish, *said;
	} sni[] = {
		{ "mx.example", "mx.example" },
		{ NULL, NULL },
		{ "192.0.2.1", NULL },
		{ "a b", NULL },
	};

	const char *said;
	struct tls_demand d = { .server_name = sni[_i].wish };
	struct client c;
	SSL_CTX *server = server_of(MX, -1);

	meet(&c, server, ours, &d);
	ck_assert(c.end.secured);
	said = SSL_get_servername(c.ssl, TLSEXT_NAMETYPE_host_name);
	ck_assert_pstr_eq(said, sni[_i].said);
	client_close(&c);
	SSL_CTX_free(server);
}

END_TEST

/* --- authorities --- */

START_TEST(bad_authorities)
{
	static const char bad[] = "-----BEGIN CERTIFICATE-----\nAAAA\n"
				  "-----END CERTIFICATE-----\n"
				  "-----BEGIN CERTIFICATE-----\n!\n"
				  "-----END CERTIFICATE-----\n";
	const char *name = "mx.example";
	struct tls_demand d = {
		.proof = TLS_PROOF_NAME, .names = &name, .nnames = 1
	};
	struct fault why;
	struct client c;
	size_t nbad = 7;
	SSL_CTX *server = server_of(MX, -1);
	struct buf b;

	buf_init(&b, 65536);
	buf_addf(&b, "text\n%s%s%s", bad, who[ROOT]->pem, who[ROOT]->pem);
	buf_add_str(&b, STR("-----BEGIN CERTIFICATE-----\nMII"));
	tls_client_unref(&ours);
	ours = tls_client_new(buf_str(&b), &nbad, &why);
	ck_assert_ptr_nonnull(ours);
	ck_assert_uint_eq(nbad, 3);
	meet(&c, server, ours, &d);
	ck_assert(c.end.secured);
	client_close(&c);
	/* Without any nobody is trusted. */
	tls_client_unref(&ours);
	ours = tls_client_new(STR(""), &nbad, &why);
	ck_assert_ptr_nonnull(ours);
	ck_assert_uint_eq(nbad, 0);
	check_demand(server, &d, TLS_NOT_TRUSTED);
	buf_clear(&b);
	SSL_CTX_free(server);
}

END_TEST

/* --- TLSA records --- */

enum { RECORD_MAX = 4096, RECORDS_MAX = 3 };

struct record {
	uint8_t data[RECORD_MAX];
	struct tls_tlsa tlsa;
};

/* Of this certificate; a digest has another last byte when it is wrong. */
static void
make_record(struct record *r, const uint8_t number[3], X509 *cert, bool wrong)
{
	uint8_t *der = NULL;
	int n = number[1] == 0 ?
		    i2d_X509(cert, &der) :
		    i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	unsigned int len = (unsigned int)n;

	ck_assert(n > 0 && n <= RECORD_MAX);
	if (number[2] == 0)
		memcpy(r->data, der, len);
	else
		EVP_Digest(der, len, r->data, &len,
		    number[2] == 1 ? EVP_sha256() : EVP_sha512(), NULL);
	OPENSSL_free(der);
	if (wrong)
		r->data[len - 1] ^= 1;
	r->tlsa =
	    (struct tls_tlsa){ number[0], number[1], number[2], r->data, len };
}

struct matter {
	uint8_t number[3];
	enum who of;
	bool wrong;
};

static enum tls_failure
meet_by(enum who server, int behind, const char *name, const struct matter *m,
    size_t n)
{
	struct record r[RECORDS_MAX];
	struct tls_tlsa tlsas[RECORDS_MAX];
	struct client c;
	struct tls_demand d = { .server_name = "mx.example",
		.proof = TLS_PROOF_DANE,
		.names = &name,
		.nnames = name == NULL ? 0 : 1,
		.tlsas = tlsas,
		.ntlsas = n };
	SSL_CTX *ctx = server_of(server, behind);
	enum tls_failure failure;

	for (size_t i = 0; i < n; i++) {
		make_record(&r[i], m[i].number, who[m[i].of]->cert, m[i].wrong);
		tlsas[i] = r[i].tlsa;
	}
	meet(&c, ctx, ours, &d);
	failure = tls_failure(tls_of(&c));
	ck_assert_int_eq(c.end.secured, failure == TLS_FINE);
	if (c.end.secured)
		ck_assert_pstr_eq(
		    SSL_get_servername(c.ssl, TLSEXT_NAMETYPE_host_name),
		    "mx.example");
	client_close(&c);
	SSL_CTX_free(ctx);
	return failure;
}

/* Usages by selectors by matching types, right and wrong; that of usage 2 by
 * an authority that nobody else trusts. */
START_TEST(dane_matrix)
{
	bool wrong = _i % 2 == 1, ee = _i / 2 % 2 == 1, whole = _i < 8;
	struct matter m = { .number = { ee ? 3 : 2, (uint8_t)(_i / 4 % 2),
				(uint8_t)(_i / 8) },
		.of = ee ? STRANGERS : STRANGER,
		.wrong = wrong && !whole };

	if (wrong && whole)
		m.of = ee ? SELF : ROOT;
	ck_assert_int_eq(meet_by(STRANGERS, STRANGER, "mx.example", &m, 1),
	    wrong ? TLS_NO_MATCH : TLS_FINE);
}

END_TEST

static const struct {
	enum who server;
	int behind;
	const char *name;
	enum tls_failure failure;
	struct matter records[RECORDS_MAX];
	size_t n;
} danes[] = {
	/* usage 3: neither dates nor names nor authorities */
	{ OLD, -1, "mx.example", TLS_FINE, { { { 3, 1, 1 }, OLD, false } }, 1 },
	{ EARLY, -1, NULL, TLS_FINE, { { { 3, 0, 1 }, EARLY, false } }, 1 },
	{ SELF, -1, "other", TLS_FINE, { { { 3, 1, 2 }, SELF, false } }, 1 },
	{ OLD_WRONG, -1, "mx.example", TLS_FINE,
	    { { { 3, 1, 1 }, OLD_WRONG, false } }, 1 },
	{ CN_ONLY, -1, NULL, TLS_FINE, { { { 3, 1, 1 }, CN_ONLY, false } }, 1 },
	/* whom the authorities trust is nobody here */
	{ MX, -1, "mx.example", TLS_NO_MATCH, { { { 3, 1, 1 }, SELF, false } },
	    1 },
	{ MX, ROOT, "mx.example", TLS_NO_MATCH,
	    { { { 2, 0, 1 }, STRANGER, false } }, 1 },
	/* usage 2: both; the chain has to be there */
	{ MX, ROOT, "mx2.example", TLS_FINE, { { { 2, 0, 1 }, ROOT, false } },
	    1 },
	{ MX, ROOT, ".example", TLS_FINE, { { { 2, 1, 1 }, ROOT, false } }, 1 },
	{ MX, ROOT, "mail.example", TLS_HOST_MISMATCH,
	    { { { 2, 0, 1 }, ROOT, false } }, 1 },
	{ CN_ONLY, ROOT, "mx.example", TLS_HOST_MISMATCH,
	    { { { 2, 0, 1 }, ROOT, false } }, 1 },
	{ OLD, ROOT, "mx.example", TLS_EXPIRED,
	    { { { 2, 0, 1 }, ROOT, false } }, 1 },
	{ MX, -1, "mx.example", TLS_NO_MATCH, { { { 2, 0, 1 }, ROOT, false } },
	    1 },
	{ BELOW, MIDDLE, "mx.example", TLS_FINE,
	    { { { 2, 0, 1 }, MIDDLE, false } }, 1 },
	/* unless it is all in the record (RFC 7671 5.2) */
	{ MX, -1, "mx.example", TLS_FINE, { { { 2, 0, 0 }, ROOT, false } }, 1 },
	{ MX, -1, "mx.example", TLS_FINE, { { { 2, 1, 0 }, ROOT, false } }, 1 },
	{ MX, -1, "mail.example", TLS_HOST_MISMATCH,
	    { { { 2, 1, 0 }, ROOT, false } }, 1 },
	{ BELOW, MIDDLE, "mx.example", TLS_FINE,
	    { { { 2, 0, 0 }, ROOT, false } }, 1 },
	{ BELOW_OLD, OLD_MIDDLE, "mx.example", TLS_EXPIRED,
	    { { { 2, 1, 0 }, ROOT, false } }, 1 },
	{ BELOW_LEAF, MX, "mx.example", TLS_NOT_TRUSTED,
	    { { { 2, 0, 1 }, MX, false } }, 1 },
	/* who is shown at the head is nobody's authority, and an authority is
	   not who it vouches for */
	{ MX, ROOT, "mx.example", TLS_NO_MATCH, { { { 2, 0, 1 }, MX, false } },
	    1 },
	{ SELF, -1, "mx.example", TLS_NO_MATCH,
	    { { { 2, 0, 1 }, SELF, false } }, 1 },
	{ MX, ROOT, "mx.example", TLS_NO_MATCH,
	    { { { 3, 0, 1 }, ROOT, false } }, 1 },
	/* several: one will do */
	{ MX, ROOT, "mx.example", TLS_FINE,
	    { { { 3, 1, 1 }, SELF, false }, { { 2, 0, 1 }, ROOT, false } }, 2 },
	{ OLD_WRONG, ROOT, "mx.example", TLS_FINE,
	    { { { 2, 0, 1 }, ROOT, false }, { { 3, 1, 1 }, OLD_WRONG, false } },
	    2 },
	{ MX, -1, NULL, TLS_FINE,
	    { { { 3, 1, 1 }, SELF, false }, { { 3, 1, 1 }, WILD, false },
		{ { 3, 1, 1 }, MX, false } },
	    3 },
	{ MX, ROOT, "mx.example", TLS_NO_MATCH,
	    { { { 3, 1, 1 }, SELF, false }, { { 2, 0, 1 }, STRANGER, false } },
	    2 },
	/* of one kind only the strongest digest counts (RFC 7671 9) */
	{ MX, -1, NULL, TLS_NO_MATCH,
	    { { { 3, 1, 1 }, MX, false }, { { 3, 1, 2 }, MX, true } }, 2 },
	/* what is no use is as if it were not there */
	{ MX, -1, NULL, TLS_FINE,
	    { { { 1, 1, 1 }, MX, false }, { { 3, 1, 1 }, MX, false },
		{ { 2, 0, 1 }, ROOT, false } },
	    3 },
};

START_TEST(dane_rules)
{
	ck_assert_int_eq(meet_by(danes[_i].server, danes[_i].behind,
			     danes[_i].name, danes[_i].records, danes[_i].n),
	    danes[_i].failure);
}

END_TEST

/* Nothing to go by: it does not even begin. */
START_TEST(dane_useless)
{
	static const struct {
		uint8_t number[3];
		size_t len;
	} bad[] = { { { 0, 0, 1 }, 32 }, { { 1, 1, 1 }, 32 },
		{ { 4, 1, 1 }, 32 }, { { 255, 1, 1 }, 32 }, { { 3, 2, 1 }, 32 },
		{ { 3, 1, 3 }, 32 }, { { 3, 1, 1 }, 31 }, { { 3, 1, 1 }, 33 },
		{ { 3, 1, 2 }, 32 }, { { 3, 1, 1 }, 0 }, { { 3, 0, 0 }, 64 },
		{ { 3, 1, 0 }, 64 }, { { 2, 0, 0 }, 1 },
		/* usage 2, and no name */
		{ { 2, 0, 1 }, 32 } };

	static uint8_t data[64];
	struct fault why = { .class = FAULT_NONE };
	const char *name = "mx.example";

	for (int i = 0; i <= COUNT(bad); i++) {
		struct tls_tlsa r = { bad[i % COUNT(bad)].number[0],
			bad[i % COUNT(bad)].number[1],
			bad[i % COUNT(bad)].number[2], data,
			bad[i % COUNT(bad)].len };
		struct tls_demand d = { .proof = TLS_PROOF_DANE,
			.names = &name,
			.nnames = i < COUNT(bad) - 1,
			.tlsas = &r,
			.ntlsas = i < COUNT(bad) };

		why.text[0] = '\0';
		ck_assert_msg(
		    tls_connect(ours, &d, &why) == NULL, "record %d", i);
		ck_assert_str_ne(why.text, "");
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("tls proofs");
	TCase *t = tcase_create("proofs");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, names, 0, 2 * COUNT(named));
	tcase_add_loop_test(t, addresses, 0, COUNT(addressed));
	tcase_add_test(t, no_name);
	tcase_add_test(t, long_chain);
	tcase_add_loop_test(t, server_names, 0, 4);
	tcase_add_test(t, bad_authorities);
	tcase_add_loop_test(t, dane_matrix, 0, 24);
	tcase_add_loop_test(t, dane_rules, 0, COUNT(danes));
	tcase_add_test(t, dane_useless);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	/* One process: keys are made once. */
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	parties_close();
	world_close();
	return failed == 0 ? 0 : 1;
}
