/*
 * What is remembered of a session, whatever its client says: the input, where
 * a byte 0xfe begins a new piece (the loop runs in between). The recording
 * stays within its bound and can be told to control; behind 354 and 334, and
 * behind AUTH, there is nothing of what the client sent; what is kept after
 * the end is the same; and all memory is given back.
 */
#include <stdint.h>

#include "smtpd/auth.h"
#include "smtpd/recorder.h"
#include "smtpd/sessions.h"
#include "tests/unit/smtpd/fake_vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

struct seen {
	bool secret;  /* 334 was the last reply */
	bool content; /* 354 was */
	char id[ID_LEN + 1];
	size_t lines;
};

/* "AUTH", "AUTH PLAIN", "AUTH PLAIN ***", "AUTH ***" */
static void
check_auth(struct str line)
{
	struct str rest = str_skip(line, 5), shown;

	if (str_eq(line, STR("AUTH")))
		return;
	shown = auth_shown(rest);
	MUST(str_eq(rest, shown) ||
	     (rest.len == shown.len + 4 &&
		 str_eq(str_skip(rest, shown.len), STR(" " AUTH_MASK))));
}

static void
check_in(struct seen *seen, struct str text)
{
	MUST(!seen->content);
	if (seen->secret)
		MUST(str_eq(text, STR(AUTH_MASK)));
	else if (str_starts_nocase(str_trim(text), STR("AUTH")))
		check_auth(text);
}

static void
check_out(struct seen *seen, struct str text)
{
	seen->secret = str_starts_nocase(text, STR("334"));
	seen->content = str_starts_nocase(text, STR("354"));
	if (seen->secret)
		MUST(str_eq(text, STR("334 ")) ||
		     str_eq(text, STR("334 " AUTH_MASK)));
}

static void
check_line(void *ctx, enum line_way way, uint64_t wall_ms, struct str text)
{
	struct seen *seen = ctx;

	MUST(wall_ms > 0 && text.len <= RECORDING_TEXT_MAX);
	MUST(text.len == 0 || memchr(text.p, '\0', text.len) == NULL);
	seen->lines++;
	if (way == LINE_IN)
		check_in(seen, text);
	else if (way == LINE_OUT)
		check_out(seen, text);
}

static void
check_session(void *ctx, const struct session *s)
{
	struct seen *seen = ctx;

	*seen = (struct seen){ .lines = 0 };
	memcpy(seen->id, s->id, sizeof(seen->id));
	MUST(recording_size(s->recording) <= RECORDING_MAX);
	recording_each(s->recording, check_line, seen);
	MUST(seen->lines > 0);
}

static void
play(struct harness *h, struct str in, struct seen *seen)
{
	while (in.len > 0 && !h->eof) {
		struct str piece = str_cut(&in, (char)0xfe);

		stream_write(h->client, piece.p, piece.len);
		harness_settle(h);
		sessions_each(check_session, seen);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = { .lines = 0 };
	struct harness h;

	if (size > 16384)
		return 0;
	log_set_level(LOG_LEVEL_WARN);
	harness_open(&h);
	harness_rule(h.config, VERDICT_ACTION, NULL);
	vault_start(&h);
	harness_connect_to(&h, 0, NULL);
	harness_settle(&h);
	sessions_each(check_session, &seen);
	play(&h, (struct str){ (const char *)data, size }, &seen);
	stream_close(&h.client);
	harness_settle(&h);
	seen.secret = seen.content = false; /* it begins anew */
	recorder_each_kept(str_of(seen.id), check_line, &seen);
	vault_stop(&h);
	harness_close(&h);
	MUST(sessions_count() == 0 && recordings_size() == 0);
	recorder_clear();
	MUST(recorder_kept_size() == 0);
	return 0;
}
