/* Where a page is looked for. */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fetch/https.h"

static struct loop *loop;
static enum https_result result;

static void
on_answer(void *ctx, const struct https_answer *a)
{
	(void)ctx;
	result = a->result;
	loop_stop(loop);
}

/* Whether some refuse or cannot be reached at all: the next one at once, not
 * when half of the time is over. */
START_TEST(every_address_is_tried)
{
	static const char *const addresses[] = {
		"127.250.0.1",
		"127.250.0.1,127.250.0.2,127.250.0.3,127.250.0.4",
		"255.255.255.255,255.255.255.255,255.255.255.255",
		"127.250.0.1,127.250.0.2,255.255.255.255,255.255.255.255,"
		"127.250.0.3",
	};
	int fd = memfd_create("authorities", 0);

	loop = loop_new();
	https_init(loop);
	ck_assert_int_eq(write(fd, "none", 4), 4);
	https_set_authorities(fd);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		result = HTTPS_OK;
		https_get(STR("host.example"), "/", str_of(addresses[i]),
		    3600000, on_answer, NULL);
		loop_run(loop);
		ck_assert_int_eq(result, HTTPS_FAILED);
	}
}

END_TEST

int
main(void)
{
	Suite *s = suite_create("https");
	TCase *c = tcase_create("https");
	SRunner *sr;
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, every_address_is_tried);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
