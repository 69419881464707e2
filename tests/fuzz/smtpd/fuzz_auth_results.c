/* Forged results go, whatever surrounds them, and nothing else does. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/mail/header.h"
#include "lib/rules/config.h"
#include "smtpd/auth_results.h"
#include "smtpd/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_file(void *ctx, struct content *c, bool ok)
{
	(void)ctx;
	(void)c;
	(void)ok;
}

static bool
is_forged(const struct header_field *f, struct str name)
{
	return str_eq_nocase(f->name, STR("Authentication-Results")) &&
	       auth_results_by(f->value, name);
}

/* The fields that may stay, and what is behind them. */
static void
expect(struct str block, struct str name, struct buf *out)
{
	struct header_field f;
	size_t pos = 0;

	while (header_next(block, &pos, &f))
		if (!is_forged(&f, name))
			buf_add_str(out, f.raw);
	buf_add_str(out, str_skip(block, pos));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str name = STR("mx.example");
	struct config *c = config_new();
	struct body *b = body_new(&c->limits, 1 << 20, true, on_file, NULL);
	struct buf want;

	buf_init(&want, 4 << 20);
	body_feed(b, (struct str){ (const char *)data, size });
	body_feed(b, STR("\r\n.\r\n"));
	if (b->ended && body_finish(b) == BODY_FINE) {
		expect(body_header(b), name, &want);
		auth_results_strip(b, name);
		assert(str_eq(body_header(b), buf_str(&want)));
		buf_reset(&want);
		expect(body_header(b), name, &want);
		assert(str_eq(body_header(b), buf_str(&want)));
	}
	buf_clear(&want);
	body_free(&b);
	config_unref(&c);
	return 0;
}
