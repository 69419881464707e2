/*
 * A policy as a web server might send it, and the TXT records that announce
 * one (a line each). What is taken keeps its bounds and its grammar.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/policy_text.h"
#include "lib/mail/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXTS_MAX = 16 };

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* What goes to delivery: names, perhaps with a label to come. */
static void
check_mxs(struct str mxs)
{
	while (mxs.len > 0) {
		struct str one = str_cut(&mxs, ' ');

		if (one.len > 2 && one.p[0] == '*' && one.p[1] == '.')
			one = str_skip(one, 2);
		MUST(path_is_domain(one, false));
		for (size_t i = 0; i < one.len; i++)
			MUST(one.p[i] == chr_lower(one.p[i]));
	}
}

static void
try_policy(struct str text)
{
	struct policy_text p;
	struct fault why = { 0 };

	if (policy_text_parse(text, &p, &why) == -1) {
		MUST(why.class == FAULT_PERM && why.text[0] != '\0');
		MUST(p.mxs.p == NULL);
		return;
	}
	MUST(p.mode >= STS_NONE && p.mode <= STS_ENFORCE);
	MUST(p.max_age_s <= POLICY_AGE_MAX_S);
	MUST(p.mxs.len <= STS_MXS_MAX);
	MUST(p.mode == STS_NONE || p.mxs.len > 0);
	check_mxs(buf_str(&p.mxs));
	policy_text_clear(&p);
}

static void
try_records(struct str text)
{
	char *texts[TEXTS_MAX];
	size_t n = 0;

	while (text.len > 0 && n < TEXTS_MAX)
		texts[n++] = str_dup(str_cut(&text, '\n'));

	struct str id = policy_record_id(texts, n);
	MUST(id.len <= STS_ID_MAX);
	for (size_t i = 0; i < id.len; i++)
		MUST(chr_is_alpha(id.p[i]) || chr_is_digit(id.p[i]));
	while (n > 0)
		free(texts[--n]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	try_policy(text);
	try_records(text);
	return 0;
}
