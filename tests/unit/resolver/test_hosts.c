/* What is kept of long answers; the rest of hosts.c is in test_way.c. */
#include <check.h>
#include <stdio.h>

#include "resolver/hosts.h"

enum { PORT = 2525 };

static char us[] = "us.example";
static struct listener ours = { .port = PORT };

/* Of a thousand records no more is kept than can be of use. */
START_TEST(long_answers_are_cut)
{
	enum { MANY = 1000 };

	static struct dns_record mxs[MANY], addrs[MANY];
	static char names[MANY][32];
	struct dns_answer mx = {
		.ttl_s = 60, .records = mxs, .nrecords = MANY
	};
	struct dns_answer a = {
		.ttl_s = 50, .records = addrs, .nrecords = MANY
	};
	struct dns_answer *whole, *none = dns_answer_fault("servfail");
	struct way_found found;
	struct config config = {
		.hostname = us, .listeners = &ours, .nlisteners = 1
	};
	struct hosts h;

	addr_parse(STR("127.0.0.1"), &ours.addr);
	for (int i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "h%d.example", i);
		mxs[i].text = str_of(names[i]);
		mxs[i].preference = (uint16_t)i;
		addrs[i].addr = (struct addr){ .family = ADDR_V4,
			.bytes = {
			    10, 0, (uint8_t)(i / 250), (uint8_t)(i % 250) } };
	}
	for (int i = 0; i < 2; i++) {
		hosts_init(&h, STR("example.com"), WAY_MX, PORT, &config);
		whole = dns_answer_copy(&mx, 0);
		ck_assert_int_eq(hosts_from_mx(&h, whole), WAY_FOUND);
		dns_answer_unref(&whole);
		ck_assert_uint_eq(h.n, WAY_HOSTS_MAX);
		ck_assert_uint_eq(h.mx->nrecords, WAY_HOSTS_MAX);
		/* The second time the third host's last address is ours. */
		if (i == 1)
			addr_parse(STR("127.0.0.1"), &addrs[MANY - 1].addr);
		for (size_t k = 0; k < h.n; k++) {
			hosts_set_answer(&h, k, 0, none);
			hosts_set_answer(&h, k, 1, k == 2 ? &a : none);
		}
		ck_assert_uint_le(
		    h.list[2].answers[1]->nrecords, WAY_ADDRS_MAX + 1);
		hosts_finish(&h, WAY_FOUND, &found);
		ck_assert_int_eq(found.result, i == 0 ? WAY_FOUND : WAY_FAULT);
		if (i == 0) {
			ck_assert_uint_eq(found.naddrs, WAY_ADDRS_MAX);
			ck_assert(
			    str_eq(found.addrs[9].host, STR("h2.example")));
			ck_assert_uint_eq(found.addrs[9].addr.bytes[0], 10);
			ck_assert(found.partial);
		}
		hosts_clear(&h);
	}
	dns_answer_unref(&none);
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("hosts");
	TCase *c = tcase_create("hosts");

	tcase_add_test(c, long_answers_are_cut);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
